// Fine-tuning in the page: training pictures, the training, and the new word: drawn, saved and loaded.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { PNG } from 'pngjs';
import { openCreate } from './support/create_page.mjs';

const word = 'house';
const trainingSeconds = 30;

describe('fine-tuning', () => {
  let site;
  let visit;
  let file;
  before(async () => {
    site = await openCreate();
    visit = await site.visit({ viewport: { width: 1280, height: 1000 } });
    await visit.waitForStatus('finished');
    await visit.page.locator('#fine-tuning summary').click();
  });
  after(() => site.close());

  const pictures = () => visit.page.locator('#training-list li');
  const status = () => visit.page.locator('#training-status');

  test('known words and several words are rejected', async () => {
    const name = visit.page.getByLabel('Word', { exact: true });
    const check = visit.page.locator('#word-check');
    await name.fill('circle');
    await check.filter({ hasText: 'already' }).waitFor();
    await name.fill('little house');
    await check.filter({ hasText: 'single word' }).waitFor();
    await name.fill(word);
    await check.filter({ hasNotText: /./ }).waitFor({ state: 'attached' });
    assert.ok(await visit.button('Teach').isDisabled(), 'there are no pictures yet');
  });

  test('pictures can be drawn, chosen as files, captioned and removed', async () => {
    const board = await visit.page.locator('#board').boundingBox();
    const { mouse } = visit.page;
    const at = (x, y) => [board.x + board.width * x, board.y + board.height * y];
    await mouse.move(...at(0.3, 0.6));
    await mouse.down();
    await mouse.move(...at(0.7, 0.6), { steps: 5 });
    await mouse.up();
    await visit.button('Add drawing').click();
    const drawn = await visit.pixels(pictures().first().locator('canvas'));
    const pixel = (x, y) => Array.from(drawn.bytes.subarray((y * 32 + x) * 4, (y * 32 + x) * 4 + 4));
    assert.deepEqual(pixel(16, 19), [224, 20, 26, 255], 'the brush is red');
    assert.deepEqual(pixel(16, 4), [255, 255, 255, 255]);

    const defaultCaption = () => pictures().first().getByLabel('Caption').getAttribute('placeholder');
    assert.equal(await defaultCaption(), `a red ${word}`, 'the default caption names the colour');

    await visit.chooseFiles(
      'Choose files…',
      Array.from({ length: 5 }, (_, index) => house(index)),
    );
    await pictures().nth(5).waitFor();
    await pictures().first().getByRole('button', { name: 'Remove this picture' }).click();
    assert.equal(await pictures().count(), 5);
    assert.equal(await defaultCaption(), `a ${word}`, 'brown and red: the model has no such colour');
    assert.ok(await visit.button('Teach').isEnabled());
  });

  test('a file that is not a picture is rejected by name', async () => {
    const buffer = Buffer.from('no picture');
    await visit.chooseFiles('Choose files…', [{ name: 'letter.txt', mimeType: 'text/plain', buffer }]);
    await visit.page.locator('#notice').waitFor();
    assert.match(await visit.notice(), /“letter.txt” is not a picture/);
    assert.equal(await pictures().count(), 5);
  });

  test('a cancelled training learns no word', async () => {
    await visit.button('Teach').click();
    await visit.page.locator('#training-clock:not(:empty)').waitFor();
    await visit.page.locator('#training').getByRole('button', { name: 'Cancel' }).click();
    assert.match(await status().innerText(), /Cancelled/);
    assert.match(await visit.page.locator('#learned').innerText(), /No word/);
  });

  test('training: the loss is shown, and the word can be drawn', async (t) => {
    await visit.page.getByLabel('Training time').selectOption(String(trainingSeconds));
    await visit.button('Teach').click();
    const curve = visit.page.getByRole('img', { name: /^Loss after step/ });
    await curve.waitFor();
    t.diagnostic(await curve.getAttribute('aria-label'));
    await status()
      .filter({ hasText: 'has learned' })
      .waitFor({ timeout: (trainingSeconds + 120) * 1000 });
    t.diagnostic(await curve.getAttribute('aria-label'));
    await visit.page.locator('#learned').filter({ hasText: word }).waitFor();
    await visit.waitForPicture(() => visit.button(`Draw “a ${word}”`).click());
    assert.equal(await visit.notice(), '');
    assert.ok(await visit.page.locator('#vocabulary .learned-word').getByText(word).count());
  });

  test('a saved word, loaded in another page, draws the same picture', async () => {
    file = await visit.download(() => visit.button('Save word').click());
    assert.equal(file.name, `${word}.safetensors`);
    const other = await site.visit();
    await other.waitForStatus('finished');
    await other.page.locator('#fine-tuning summary').click();
    const chosen = { name: file.name, mimeType: 'application/octet-stream', buffer: file.bytes };
    await other.chooseFiles('Load word…', [chosen]);
    await other.waitForPicture(() => other.button(`Draw “a ${word}”`).click());
    assert.deepEqual(await other.pixels('picture'), await visit.pixels('picture'));
    await other.chooseFiles('Load word…', [{ ...chosen, buffer: Buffer.from('{}') }]);
    await other.page.locator('#notice').waitFor();
    assert.ok((await other.notice()).length > 0, 'an invalid file is reported');
    await other.button('Forget word').click();
    await other.prompt.fill(`a ${word}`);
    await other.page.locator('#prompt-check').filter({ hasText: word }).waitFor();
    await other.leave();
  });

  test('the page reported no problems', () => visit.leave());
});

/** Returns a picture file: a brown house with a red roof on white. The position depends on `index`. */
function house(index) {
  const png = new PNG({ width: 64, height: 64 });
  const [left, top] = [14 + index * 3, 16 + index * 2];
  for (let y = 0; y < 64; y++) {
    for (let x = 0; x < 64; x++) {
      const [dx, dy] = [x - left, y - top];
      const isWall = dx >= 3 && dx < 21 && dy >= 12 && dy < 28;
      const isRoof = dy >= 0 && dy < 12 && Math.abs(dx - 12) <= dy;
      const colour = isRoof ? [224, 20, 26] : isWall ? [92, 56, 26] : [255, 255, 255];
      png.data.set([...colour, 255], (y * 64 + x) * 4);
    }
  }
  return { name: `house-${index}.png`, mimeType: 'image/png', buffer: PNG.sync.write(png) };
}
