// Page object of "Paint by attention".
import { openSiteAt, Visit } from './visit.mjs';

/** See openSiteAt. */
export const openSite = (options) => openSiteAt('/paint/', PaintPage, options);

export class PaintPage extends Visit {
  menu(name) {
    return this.page.getByLabel(name, { exact: true });
  }

  /** Returns a number that the page shows, unrounded; NaN if it shows none. */
  async reading(id) {
    return Number((await this.page.locator(`#${id}`).getAttribute('data-value')) ?? Number.NaN);
  }

  /** Waits until a number that the page shows is at least `min`. */
  async waitForReading(id, min) {
    const isReached = ([key, bound]) => Number(document.getElementById(key).dataset.value) >= bound;
    await this.page.waitForFunction(isReached, [id, min], { polling: 50 });
  }

  /** Waits for a status: 'training', 'paused' or 'finished'. */
  async waitForStatus(status) {
    await this.page.locator(`#status[data-status="${status}"]`).waitFor();
  }

  /** Pauses the training. Everything shown then belongs to the same step, the last one. */
  async pause() {
    await this.button('Pause').click();
    await this.waitForStatus('paused');
  }

  /** Drops a file on the target picture, with the events of a drag by mouse. */
  async drop(name, buffer, type = '') {
    const transfer = await this.page.evaluateHandle(
      ([fileName, base64, mimeType]) => {
        const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([bytes], fileName, { type: mimeType }));
        return dataTransfer;
      },
      [name, buffer.toString('base64'), type],
    );
    for (const event of ['dragenter', 'dragover', 'drop']) {
      await this.page.dispatchEvent('#target', event, { dataTransfer: transfer });
    }
  }
}
