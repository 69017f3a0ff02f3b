// Tests of the parts of `npm run evaluate`: the test of the analyser on the package's scenes, the choice of
// prompts, the figures.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { init, randomScene } from 'diffusion-cross-attention/denoiser';
import { PNG } from 'pngjs';
import { adheres, analysePicture, nameOf } from '../../evaluation/analyser/index.mjs';
import { contactSheet } from '../../evaluation/contact_sheet.mjs';
import { isAccurate, testAnalyser } from '../../evaluation/ground_truth.mjs';
import { playPointing } from '../../evaluation/pointing.mjs';
import { choosePrompts } from '../../evaluation/prompts.mjs';
import { figuresOf, rateOf } from '../../evaluation/rates.mjs';
import { figuresMarkdown, figuresTable } from '../../evaluation/report.mjs';
import { initOptions } from '../support/variant.mjs';

await init(initOptions);

describe('the analyser on drawn scenes', () => {
  test('400 scenes of all kinds, with and without noise', () => {
    const result = testAnalyser(randomScene, 400, 77);
    assert.ok(isAccurate(result), JSON.stringify(result.wrong, null, 1));
  });

  test('centres and radii', () => {
    for (let seed = 0; seed < 60; ++seed) {
      const scene = randomScene({ seed, split: 'heldOut', objects: 2 + (seed % 2) });
      const found = analysePicture(scene.picture);
      for (const expected of scene.objects) {
        const object = found.objects.find((candidate) => nameOf(candidate) === nameOf(expected));
        assert.ok(object, `${nameOf(expected)} in ${scene.plainCaption}`);
        const distance = Math.hypot(object.centre.x - expected.x, object.centre.y - expected.y);
        // The search ends with steps of 1/8 pixel; partly hidden objects are less exact.
        assert.ok(distance < 0.5, `${nameOf(expected)} is ${distance} pixels off in ${scene.plainCaption}`);
        assert.ok(Math.abs(object.radius - expected.radius) < 0.4, `radius in ${scene.plainCaption}`);
      }
    }
  });

  test('an analyser is proven with at most 0.5 % errors, and 1 % with noise', () => {
    assert.ok(isAccurate({ count: 1000, clean: 995, noisy: 990 }));
    assert.ok(!isAccurate({ count: 1000, clean: 994, noisy: 1000 }));
    assert.ok(!isAccurate({ count: 1000, clean: 1000, noisy: 989 }));
  });
});

test('prompts are unique, half held out, with 1 to 3 objects, and equal for equal seeds', () => {
  const prompts = choosePrompts(randomScene, 80, 5);
  for (const [split, minObjects] of [
    ['training', 1],
    ['heldOut', 2],
  ]) {
    const chosen = prompts.filter((entry) => entry.split === split);
    assert.equal(chosen.length, 40);
    assert.equal(new Set(chosen.map(({ prompt }) => prompt)).size, 40);
    const counts = new Set(chosen.map(({ scene }) => scene.objects.length));
    assert.deepEqual(
      [...counts].sort(),
      [1, 2, 3].filter((count) => count >= minObjects),
    );
  }
  const again = choosePrompts(randomScene, 80, 5);
  assert.deepEqual(
    again.map(({ prompt }) => prompt),
    prompts.map(({ prompt }) => prompt),
  );
});

test('a rate has its Wilson interval: 49.0 % to 94.3 % for 8 of 10', () => {
  const rate = rateOf([1, 1, 1, 1, 1, 1, 1, 1, 0, 0], (value) => value === 1);
  assert.deepEqual([rate.count, rate.of, rate.share], [8, 10, 0.8]);
  // Published values.
  assert.ok(Math.abs(rate.low - 0.4902) < 5e-4 && Math.abs(rate.high - 0.9433) < 5e-4, JSON.stringify(rate));
  assert.equal(rateOf([], () => true).share, null);
});

/** Returns records in which the picture of prompt `index` shows the scene `shownAt(index)`. */
function recordsOf(count, shownAt) {
  const prompts = choosePrompts(randomScene, count, 9);
  return prompts.map((entry, index) => {
    const found = analysePicture(prompts[shownAt(index)].scene.picture);
    return { ...entry, found, judgement: adheres(found, entry.scene), pointing: [{ word: 'x', hit: true }] };
  });
}

describe('figures', () => {
  test('of a model that draws the prompted scene', () => {
    const figures = figuresOf(
      recordsOf(24, (index) => index),
      [],
    );
    for (const split of ['training', 'heldOut']) {
      const { adherence, colours, shapes, byObjects, chance, unconditional } = figures.splits[split];
      assert.deepEqual([adherence.share, adherence.of], [1, 12]);
      assert.deepEqual([colours.share, shapes.share], [1, 1]);
      assert.deepEqual(Object.keys(byObjects), split === 'training' ? ['1', '2', '3'] : ['2', '3']);
      assert.equal(chance.pairs, 12 * 11);
      assert.ok(chance.share < 0.05, `chance ${chance.share}`);
      assert.equal(unconditional.share, null);
    }
    assert.equal(figures.pointing.share, 1);
  });

  test('of a model that draws another scene: that of the prompt after the next', () => {
    const records = recordsOf(24, (index) => (index + 2) % 24);
    const { adherence, chance, unconditional } = figuresOf(records, [records[0].found]).splits.training;
    assert.equal(adherence.share, 0);
    // Each of the 12 pictures matches one of the 11 other prompts.
    assert.equal(chance.share, 12 / (12 * 11));
    assert.deepEqual(unconditional, { pairs: 12, share: 1 / 12 });
  });

  test('as tables', () => {
    const figures = figuresOf(
      recordsOf(12, (index) => index),
      [],
    );
    assert.match(figuresTable(figures), /Adherence.* 100\.0 % \(\d+\.\d % – 100\.0 %; 6\)/);
    const markdown = figuresMarkdown(figures, { prompts: 12, steps: 20, guidance: undefined, seed: 9 });
    const rows = markdown.split('\n').filter((line) => line.startsWith('|'));
    assert.ok(rows.every((line) => line.split('|').length === 5));
    assert.match(markdown, /12 prompts, 20 steps, the default guidance, seed 9/);
  });
});

describe('the pointing game', () => {
  const words = ['a', 'red', 'circle', 'above', 'a', 'blue', 'circle'];
  const at = (colour, left, top) => ({
    colour,
    shape: 'circle',
    box: { left, top, right: left + 8, bottom: top + 8 },
  });
  const found = { objects: [at('red', 4, 4), at('blue', 20, 22)] };
  const scene = { objects: found.objects };
  /** Makes maps of 8 × 8 in which word `index` has its maximum at (column, row). */
  const mapsWith = (...peaks) => {
    const maps = new Float32Array(words.length * 64).fill(0.1);
    for (const [index, column, row] of peaks) maps[index * 64 + row * 8 + column] = 0.5;
    return maps;
  };

  test('compares each word with the box of its object', () => {
    const maps = mapsWith([2, 1, 2], [6, 5, 6]);
    const points = playPointing(found, scene, { words, maps }, 32);
    assert.deepEqual(
      points.map(({ hit }) => hit),
      [true, true],
    );
    const exchanged = mapsWith([2, 5, 6], [6, 1, 2]);
    const missed = playPointing(found, scene, { words, maps: exchanged }, 32);
    assert.deepEqual(
      missed.map(({ hit }) => hit),
      [false, false],
    );
  });

  test('skips objects that are not in the picture, and scenes of three objects', () => {
    const maps = mapsWith([2, 1, 2]);
    assert.equal(
      playPointing({ objects: [found.objects[0]] }, scene, { words, maps }, 32).length,
      1,
      'the picture has only the red circle',
    );
    const three = { objects: [...found.objects, at('green', 4, 20)] };
    assert.deepEqual(playPointing(three, three, { words, maps }, 32), []);
  });
});

test('the contact sheet frames correct pictures in green, others in red', () => {
  const picture = new Float32Array(3 * 32 * 32).fill(-1);
  const sheet = PNG.sync.read(
    contactSheet(
      [
        { picture, ok: true },
        { picture: picture.map(() => 1), ok: false },
      ],
      32,
    ),
  );
  const at = (x, y) => [...sheet.data.subarray(4 * (y * sheet.width + x), 4 * (y * sheet.width + x) + 3)];
  const cell = 32 * 4 + 3 * 4;
  const [right, wrong] = [at(5, 5), at(cell + 5, 5)];
  assert.ok(right[1] > right[0] && wrong[0] > wrong[1], `${right}; ${wrong}`);
  assert.deepEqual(
    [at(20, 20), at(cell + 20, 20)],
    [
      [0, 0, 0],
      [255, 255, 255],
    ],
  );
});
