// "Text to image" as a visitor has it before them: a prompt typed, pictures waited for and read.
import { openSiteAt, Visit } from '../../../support/browser/visit.mjs';

/** See openSiteAt. */
export const openCreate = (options) => openSiteAt('/create/', CreatePage, options);

export class CreatePage extends Visit {
  prompt = this.page.getByLabel('Prompt', { exact: true });
  editedPrompt = this.page.getByLabel('Edited prompt');
  steps = this.page.locator('#strip button');
  gallery = this.page.locator('#gallery button');
  caption = this.page.locator('#picture-caption');

  /** 'starting', 'drawing', 'finished', 'cancelled' or 'failed'. */
  async waitForStatus(status) {
    await this.page.locator(`#status[data-status="${status}"]`).waitFor();
  }

  /** Does what makes the page draw; gives the picture, finished. */
  async drawn(act) {
    // What was shown is the next one's start, so that its end is not taken for the next one's.
    await this.page.evaluate(() => (document.getElementById('status').dataset.status = 'awaited'));
    await act();
    await this.waitForStatus('finished');
    return this.pixels('picture');
  }

  generate(prompt) {
    return this.drawn(async () => {
      if (prompt !== undefined) await this.prompt.fill(prompt);
      // Enabled once the words are known.
      await this.button('Generate').click();
    });
  }

  edit(prompt) {
    return this.drawn(async () => {
      await this.editedPrompt.fill(prompt);
      await this.button('Edit').click();
    });
  }

  /** Moves a slider as its keys would: all at once, and lets go. */
  slide(name, value) {
    return this.page.getByRole('slider', { name, exact: true }).evaluate((slider, wanted) => {
      slider.value = String(wanted);
      slider.dispatchEvent(new Event('input', { bubbles: true }));
      slider.dispatchEvent(new Event('change', { bubbles: true }));
    }, value);
  }

  /** A word's button, by its place in the prompt. */
  word(place) {
    return this.page.locator('.word-map').nth(place);
  }

  /** What an act downloads. */
  async download(act) {
    const [download] = await Promise.all([this.page.waitForEvent('download'), act()]);
    const chunks = await (await download.createReadStream()).toArray();
    return { name: download.suggestedFilename(), bytes: Buffer.concat(chunks) };
  }

  /** Chooses files as in the dialogue that a button opens. */
  async chooseFiles(button, files) {
    const [chooser] = await Promise.all([this.page.waitForEvent('filechooser'), this.button(button).click()]);
    await chooser.setFiles(files);
  }
}

/** How many pixels differ by more than `most` levels in some channel. */
export function differingPixels(one, other, most = 0) {
  let count = 0;
  for (let start = 0; start < one.bytes.length; start += 4) {
    const differences = [0, 1, 2].map((channel) =>
      Math.abs(one.bytes[start + channel] - other.bytes[start + channel]),
    );
    if (Math.max(...differences) > most) count++;
  }
  return count;
}
