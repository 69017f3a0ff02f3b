/** The buttons that save the picture as a file and copy a link to it. */
import { download } from '../../shared/download';
import { drawingContext, drawImage, element } from '../../shared/element';
import { imageOf, slugOf, type Pixels } from '../pixels';
import type { PictureRequest } from '../request';

/** Pixels of a saved picture along a side, per pixel of the model's picture. */
const enlargement = 8;
const copyLabel = 'Copy link';
const copiedLabelMilliseconds = 1500;

export class PictureExport {
  readonly #save = element('save-picture', HTMLButtonElement);
  readonly #copy = element('copy-link', HTMLButtonElement);
  readonly #fallback = element('link-fallback', HTMLElement);
  readonly #link = element('link', HTMLInputElement);
  #offered: { readonly request: PictureRequest; readonly pixels: Pixels } | undefined;

  /** @param isSmooth returns whether the picture is shown smoothed; it is then saved smoothed */
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
    this.#copy.textContent = copied ? 'Copied' : copyLabel;
    this.#fallback.hidden = copied;
    if (!copied) {
      this.#link.value = location.href;
      this.#link.select();
    }
    setTimeout(() => (this.#copy.textContent = copyLabel), copiedLabelMilliseconds);
  }
}

/** Returns false if the browser does not allow access to the clipboard, as without HTTPS. */
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
  large.width = large.height = small.width * enlargement;
  const context = drawingContext(large);
  context.imageSmoothingEnabled = isSmooth;
  context.imageSmoothingQuality = 'high';
  context.drawImage(small, 0, 0, large.width, large.height);
  return new Promise((resolve) => large.toBlob(resolve, 'image/png'));
}
