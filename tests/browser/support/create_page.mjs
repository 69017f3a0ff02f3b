// Page object of "Text to image".
import { openSiteAt, Visit } from '../../../support/browser/visit.mjs';

/** See openSiteAt. */
export const openCreate = (options) => openSiteAt('/create/', CreatePage, options);

export class CreatePage extends Visit {
  prompt = this.page.getByLabel('Prompt', { exact: true });
  editedPrompt = this.page.getByLabel('Edited prompt');
  steps = this.page.locator('#strip button');
  gallery = this.page.locator('#gallery button');
  caption = this.page.locator('#picture-caption');

  /** Waits for a status: 'starting', 'drawing', 'finished', 'cancelled' or 'failed'. */
  async waitForStatus(status) {
    await this.page.locator(`#status[data-status="${status}"]`).waitFor();
  }

  /** Calls `act`, which makes the page draw a picture. Returns the finished picture. */
  async waitForPicture(act) {
    // Overwrites the status: it may still be that of the previous picture.
    await this.page.evaluate(() => (document.getElementById('status').dataset.status = 'awaited'));
    await act();
    await this.waitForStatus('finished');
    return this.pixels('picture');
  }

  generate(prompt) {
    return this.waitForPicture(async () => {
      if (prompt !== undefined) await this.prompt.fill(prompt);
      // The button is enabled when the words have been checked.
      await this.button('Generate').click();
    });
  }

  edit(prompt) {
    return this.waitForPicture(async () => {
      await this.editedPrompt.fill(prompt);
      await this.button('Edit').click();
    });
  }

  /** Moves a slider to a value and releases it. */
  slide(name, value) {
    return this.page.getByRole('slider', { name, exact: true }).evaluate((slider, newValue) => {
      slider.value = String(newValue);
      slider.dispatchEvent(new Event('input', { bubbles: true }));
      slider.dispatchEvent(new Event('change', { bubbles: true }));
    }, value);
  }

  /** Returns the button of a word, by its index in the prompt. */
  word(index) {
    return this.page.locator('.word-map').nth(index);
  }

  /** Calls `act` and returns the downloaded file: its name and its bytes. */
  async download(act) {
    const [download] = await Promise.all([this.page.waitForEvent('download'), act()]);
    const chunks = await (await download.createReadStream()).toArray();
    return { name: download.suggestedFilename(), bytes: Buffer.concat(chunks) };
  }

  /** Chooses files in the dialog that a button opens. */
  async chooseFiles(button, files) {
    const [chooser] = await Promise.all([this.page.waitForEvent('filechooser'), this.button(button).click()]);
    await chooser.setFiles(files);
  }
}

/** Returns the number of pixels that differ by more than `tolerance` levels in a channel. */
export function differingPixels(one, other, tolerance = 0) {
  let count = 0;
  for (let start = 0; start < one.bytes.length; start += 4) {
    const differences = [0, 1, 2].map((channel) =>
      Math.abs(one.bytes[start + channel] - other.bytes[start + channel]),
    );
    if (Math.max(...differences) > tolerance) count++;
  }
  return count;
}
