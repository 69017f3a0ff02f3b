// Pictures of the visitor: chosen or dropped, cropped to a square, painted; other files are rejected with a
// reason.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { PNG } from 'pngjs';
import { openSite } from '../../support/browser/paint_page.mjs';

const red = [220, 30, 40, 255];
const green = [30, 160, 70, 255];
const blue = [40, 60, 200, 255];
const yellow = [250, 210, 60, 255];
const magenta = [255, 0, 255, 255];
const transparent = [0, 0, 0, 0];
const white = [255, 255, 255, 255];

describe('pictures', () => {
  let site;
  let visit;
  before(async () => {
    site = await openSite();
    visit = await site.visit();
    await visit.waitForReading('steps', 1);
  });
  after(() => site.close());

  test('a chosen picture is cropped to its central square and painted', async () => {
    const [chooser] = await Promise.all([
      visit.page.waitForEvent('filechooser'),
      visit.button('Choose picture…').click(),
    ]);
    const buffer = quarters({
      width: 400,
      height: 200,
      colours: [red, green, blue, yellow],
      margin: magenta,
    });
    await chooser.setFiles({ name: 'wide.png', mimeType: 'image/png', buffer });
    await waitForTarget('wide.png');
    assert.deepEqual(await targetQuarters(), [red, green, blue, yellow]);
    await visit.waitForReading('psnr', 20);
    const painted = await quartersOf('painting');
    for (const [index, colour] of [red, green, blue, yellow].entries()) {
      // 20 dB is a root mean square error of 25.5 over the picture. The centre of a quarter has a smaller
      // error.
      const distance = Math.hypot(...painted[index].map((value, channel) => value - colour[channel]));
      assert.ok(distance < 60, `colour of quarter ${index} is ${painted[index]}; expected ${colour}`);
    }
  });

  test('a picture can be dropped; transparent pixels become white', async () => {
    const hint = visit.page.locator('.drop-hint').first();
    assert.equal(await hint.isVisible(), false);
    const buffer = quarters({
      width: 90,
      height: 200,
      colours: [blue, transparent, red, green],
      margin: magenta,
    });
    await visit.drop('tall.png', buffer, 'image/png');
    await waitForTarget('tall.png');
    assert.deepEqual(await targetQuarters(), [blue, white, red, green]);
    assert.equal(await hint.isVisible(), false, 'the hint disappears after the drop');
    await visit.waitForReading('psnr', 20);
  });

  test('a picture can have every size, also a larger one than the file', async () => {
    const buffer = quarters({ width: 20, height: 20, colours: [red, green, blue, yellow] });
    await visit.drop('tiny.png', buffer, 'image/png');
    await waitForTarget('tiny.png');
    for (const size of [96, 32, 64]) {
      await visit.menu('Pixels').selectOption(String(size));
      await visit.page.waitForFunction((side) => document.getElementById('target').width === side, size);
      assert.deepEqual(await targetQuarters(), [red, green, blue, yellow]);
    }
    assert.equal(await targetName(), 'tiny.png');
  });

  test('while a file is dragged over the page, a hint shows the drop target', async () => {
    const drag = (event) =>
      visit.page.evaluate((type) => {
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File(['x'], 'x.png'));
        document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
      }, event);
    await drag('dragenter');
    assert.ok(await visit.page.getByText('Drop to paint this picture').isVisible());
    await drag('dragleave');
    assert.equal(await visit.page.getByText('Drop to paint this picture').isVisible(), false);
  });

  const unreadable = {
    'a text file': ['letter.txt', Buffer.from('Dear friend, this is not a picture.')],
    'an empty file': ['empty.png', Buffer.alloc(0)],
    'a damaged picture': [
      'damaged.png',
      quarters({ width: 8, height: 8, colours: [red, red, red, red] }).subarray(0, 30),
    ],
    'a text file named .png': ['letter.png', Buffer.from('PNG or it did not happen')],
  };
  for (const [kind, [name, buffer]] of Object.entries(unreadable)) {
    test(`${kind} is rejected with a reason, and the training continues`, async () => {
      await visit.drop(name, buffer, 'image/png');
      await visit.page.locator('#notice').waitFor();
      assert.match(await visit.notice(), new RegExp(`“${name.replace('.', '\\.')}” is not a picture`));
      assert.equal(await visit.page.getByRole('alert').count(), 1, 'screen readers announce the message');
      assert.equal(await targetName(), 'tiny.png');
      const step = await visit.reading('steps');
      await visit.button('Dismiss this message').click();
      if ((await visit.page.locator('#status').getAttribute('data-status')) === 'training')
        await visit.waitForReading('steps', step + 1);
    });
  }

  test('of two pictures in quick succession, the later one is painted', async () => {
    const large = quarters({ width: 3000, height: 3000, colours: [red, red, red, red] });
    const small = quarters({ width: 8, height: 8, colours: [green, green, green, green] });
    await visit.page
      .locator('#picture-file')
      .setInputFiles({ name: 'slow.png', mimeType: 'image/png', buffer: large });
    await visit.drop('quick.png', small, 'image/png');
    await waitForTarget('quick.png');
    await visit.waitForReading('steps', 5);
    assert.equal(await targetName(), 'quick.png');
  });

  test('“Sample” restores the sample picture', async () => {
    await visit.button('Sample').click();
    await waitForTarget('Sample picture');
    await visit.waitForReading('psnr', 15);
  });

  test('the page reported no problems', () => visit.leave());

  async function targetName() {
    return (await visit.page.locator('#target-name').innerText()).trim();
  }

  function waitForTarget(name) {
    return visit.page.waitForFunction(
      (expected) => document.getElementById('target-name').textContent === expected,
      name,
    );
  }

  const targetQuarters = () => quartersOf('target');

  /** Returns the colours in the centres of the canvas's quarters. */
  async function quartersOf(id) {
    const { size, bytes } = await visit.pixels(id);
    const [near, far] = [Math.floor(size / 4), Math.floor((size * 3) / 4)];
    const pixels = [near * size + near, near * size + far, far * size + near, far * size + far];
    return pixels.map((pixel) => Array.from(bytes.subarray(pixel * 4, pixel * 4 + 4)));
  }
});

/** Returns a PNG file whose central square has four colours, by rows, and whose margins have another one. */
function quarters({ width, height, colours, margin }) {
  const png = new PNG({ width, height });
  const side = Math.min(width, height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const across = (x - (width - side) / 2) / side;
      const down = (y - (height - side) / 2) / side;
      const isInside = across >= 0 && across < 1 && down >= 0 && down < 1;
      const colour = isInside ? colours[(down < 0.5 ? 0 : 2) + (across < 0.5 ? 0 : 1)] : margin;
      png.data.set(colour, (y * width + x) * 4);
    }
  }
  return PNG.sync.write(png);
}
