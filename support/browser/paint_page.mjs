// "Paint by attention" as a visitor has it before them: opened, read and waited for.
import { openSiteAt, Visit } from './visit.mjs';

/** See openSiteAt. */
export const openSite = (options) => openSiteAt('/paint/', PaintPage, options);

export class PaintPage extends Visit {
  menu(name) {
    return this.page.getByLabel(name, { exact: true });
  }

  /** A figure that the page shows, unrounded; NaN while it shows none. */
  async reading(id) {
    return Number((await this.page.locator(`#${id}`).getAttribute('data-value')) ?? Number.NaN);
  }

  /** Waits until a figure is at least so large. */
  async waitForReading(id, least) {
    const reached = ([which, bound]) => Number(document.getElementById(which).dataset.value) >= bound;
    await this.page.waitForFunction(reached, [id, least], { polling: 50 });
  }

  /** 'training', 'paused' or 'finished'. */
  async waitForStatus(status) {
    await this.page.locator(`#status[data-status="${status}"]`).waitFor();
  }

  /** Stops the training; everything shown then belongs to the same, last step. */
  async pause() {
    await this.button('Pause').click();
    await this.waitForStatus('paused');
  }

  /** Drops a file on the target picture, with all the events of a mouse that carries it there. */
  async drop(name, buffer, type = '') {
    const transfer = await this.page.evaluateHandle(
      ([fileName, base64, mimeType]) => {
        const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
        const carried = new DataTransfer();
        carried.items.add(new File([bytes], fileName, { type: mimeType }));
        return carried;
      },
      [name, buffer.toString('base64'), type],
    );
    for (const event of ['dragenter', 'dragover', 'drop']) {
      await this.page.dispatchEvent('#target', event, { dataTransfer: transfer });
    }
  }
}
