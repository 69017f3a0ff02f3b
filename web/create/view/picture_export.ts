/** The picture as a file, and the way back to it as a link. */
import { download } from '../../shared/download';
import { drawingContext, drawImage, element } from '../../shared/element';
import { imageOf, slugOf, type Pixels } from '../pixels';
import type { PictureRequest } from '../request';

/** A saved picture has so many pixels for one of the model's. */
const ENLARGEMENT = 8;
const COPY_TEXT = 'Copy link';
const SHOW_COPIED_MILLISECONDS = 1500;

export class TakeHome {
  readonly #save = element('save-picture', HTMLButtonElement);
  readonly #copy = element('copy-link', HTMLButtonElement);
  readonly #fallback = element('link-fallback', HTMLElement);
  readonly #link = element('link', HTMLInputElement);
  #offered: { readonly request: PictureRequest; readonly pixels: Pixels } | undefined;

  /** @param isSmooth whether the visitor looks at the picture smoothed: then it is saved so */
  constructor(isSmooth: () => boolean) {
    this.#save.addEventListener('click', () => void this.#savePicture(isSmooth()));
    this.#copy.addEventListener('click', () => void this.#copyLink());
  }

  offer(request: PictureRequest, pixels: Pixels): void {
    this.#offered = { request, pixels };
    this.#save.disabled = this.#copy.disabled = false;
    this.#fallback.hidden = true;
  }

  async #savePicture(isSmooth: boolean): Promise<void> {
    if (!this.#offered) return;
    const { request, pixels } = this.#offered;
    const blob = await enlarged(pixels, isSmooth);
    if (blob) download(blob, `${slugOf(request.prompt)}-${request.seed}.png`, 'image/png');
  }

  async #copyLink(): Promise<void> {
    const copied = await copy(location.href);
    this.#copy.textContent = copied ? 'Copied' : COPY_TEXT;
    this.#fallback.hidden = copied;
    if (!copied) {
      this.#link.value = location.href;
      this.#link.select();
    }
    setTimeout(() => (this.#copy.textContent = COPY_TEXT), SHOW_COPIED_MILLISECONDS);
  }
}

/** The clipboard may be forbidden here, or not be there at all where a page does not come over HTTPS. */
async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

function enlarged(pixels: Pixels, isSmooth: boolean): Promise<Blob | null> {
  const small = document.createElement('canvas');
  drawImage(small, imageOf(pixels));
  const large = document.createElement('canvas');
  large.width = large.height = small.width * ENLARGEMENT;
  const context = drawingContext(large);
  context.imageSmoothingEnabled = isSmooth;
  context.imageSmoothingQuality = 'high';
  context.drawImage(small, 0, 0, large.width, large.height);
  return new Promise((resolve) => large.toBlob(resolve, 'image/png'));
}
