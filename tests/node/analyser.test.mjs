// Tests of the picture analyser in evaluation/: the objects it finds and its comparison of a picture with a
// scene. The test pictures are drawn here with 16 samples per pixel.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  adheres,
  analysePicture,
  backgrounds,
  colours,
  nameOf,
  relationOf,
} from '../../evaluation/analyser/index.mjs';
import { normalArray } from '../../support/random.mjs';

const size = 32;
const samples = 4;

const isWithinBox = (x, y, halfWidth, halfHeight) => Math.abs(x) < halfWidth && Math.abs(y) < halfHeight;

/** Tests whether a point lies within a polygon (even-odd rule). */
function isWithinPolygon(x, y, corners) {
  let inside = false;
  for (const [index, [fromX, fromY]] of corners.entries()) {
    const [toX, toY] = corners[(index + 1) % corners.length];
    if (fromY > y !== toY > y && x < fromX + ((y - fromY) / (toY - fromY)) * (toX - fromX)) inside = !inside;
  }
  return inside;
}

// A five-pointed star of half-width 1 (circumradius 1 / sin 72°), centred vertically at 0.
const starCorners = Array.from({ length: 10 }, (_, tenth) => {
  const length = (tenth % 2 === 0 ? 1 : 0.45) / Math.sin((2 * Math.PI) / 5);
  const drop = 1 / Math.sin((2 * Math.PI) / 5) - 0.951;
  const angle = (tenth * Math.PI) / 5;
  return [length * Math.sin(angle), drop - length * Math.cos(angle)];
});

/**
 * Tests whether (x, y) lies within a unit shape: the analyser's six shapes, then four that it does not know.
 */
const isWithinShape = {
  circle: (x, y) => Math.hypot(x, y) < 1,
  square: (x, y) => isWithinBox(x, y, 1, 1),
  triangle: (x, y) => Math.abs(y) < 0.866 && Math.abs(x) < (y + 0.866) / 1.732,
  star: (x, y) => isWithinPolygon(x, y, starCorners),
  ring: (x, y) => Math.hypot(x, y) < 1 && Math.hypot(x, y) > 0.55,
  cross: (x, y) => isWithinBox(x, y, 1, 0.31) || isWithinBox(x, y, 0.31, 1),
  bar: (x, y) => isWithinBox(x, y, 1, 0.5),
  'half disc': (x, y) => Math.hypot(x, y) < 1 && y > 0,
  corner: (x, y) => isWithinBox(x, y, 1, 1) && (x < -0.3 || y > 0.3),
  'triangle upside down': (x, y) => isWithinShape.triangle(x, -y),
};
const knownShapes = ['circle', 'square', 'triangle', 'star', 'ring', 'cross'];

const object = (colour, shape, x, y, radius, sizeWord = 'none') => ({
  colour,
  shape,
  x,
  y,
  radius,
  size: sizeWord,
});

/** The fraction of a pixel's samples that lie within the object. */
function coverage({ shape, x, y, radius }, pixel) {
  let covered = 0;
  for (let sample = 0; sample < samples * samples; ++sample) {
    const sampleX = (pixel % size) + ((sample % samples) + 0.5) / samples;
    const sampleY = Math.floor(pixel / size) + (Math.floor(sample / samples) + 0.5) / samples;
    if (isWithinShape[shape]((sampleX - x) / radius, (sampleY - y) / radius)) ++covered;
  }
  return covered / (samples * samples);
}

/**
 * Draws a planar picture [3, 32, 32] in [-1, 1]. Later objects cover earlier ones. `tint` (one value per
 * channel) is added to the colours of the objects.
 */
function draw(background, objects, { tint = [0, 0, 0] } = {}) {
  const pixels = size * size;
  const picture = new Float32Array(3 * pixels);
  for (let pixel = 0; pixel < pixels; ++pixel) {
    let colour = backgrounds[background];
    for (const drawn of objects) {
      const alpha = coverage(drawn, pixel);
      const tinted = colours[drawn.colour].map((value, channel) => value + tint[channel]);
      colour = colour.map((value, channel) => value + alpha * (tinted[channel] - value));
    }
    for (const [channel, value] of colour.entries()) picture[channel * pixels + pixel] = 2 * value - 1;
  }
  return picture;
}

function withNoise(picture, deviation, seed) {
  const noise = normalArray(picture.length, seed, { deviation });
  return picture.map((value, index) => Math.min(1, Math.max(-1, value + noise[index])));
}

/** Blurs a picture: a pixel has weight 1/2, each of its four neighbours 1/8. */
function softened(picture) {
  return picture.map((value, index) => {
    const column = index % size;
    const row = Math.floor(index / size) % size;
    const left = column > 0 ? picture[index - 1] : value;
    const right = column < size - 1 ? picture[index + 1] : value;
    const above = row > 0 ? picture[index - size] : value;
    const below = row < size - 1 ? picture[index + size] : value;
    return value / 2 + (left + right + above + below) / 8;
  });
}

function toBytes(picture) {
  const pixels = size * size;
  return Uint8ClampedArray.from({ length: 4 * pixels }, (_, index) =>
    index % 4 === 3 ? 255 : 127.5 * (picture[(index % 4) * pixels + (index >> 2)] + 1),
  );
}

const namesOf = ({ objects }) => objects.map(nameOf).sort();
const assertNames = (found, ...names) => assert.deepEqual(namesOf(found), names.sort());

describe('one object', () => {
  for (const [shapeIndex, shape] of knownShapes.entries()) {
    for (const radius of [4, 5.6, 8]) {
      test(`${shape} of radius ${radius}, in all colours, on all backgrounds, with and without noise`, () => {
        for (const [colourIndex, colour] of Object.keys(colours).entries()) {
          for (const background of Object.keys(backgrounds)) {
            const [x, y] = [13 + colourIndex * 0.37, 15 + shapeIndex * 0.29];
            const clean = draw(background, [object(colour, shape, x, y, radius)]);
            for (const picture of [clean, withNoise(clean, 0.1, colourIndex)]) {
              const found = analysePicture(picture);
              assertNames(found, `${colour} ${shape}`);
              assert.equal(found.background, background);
              const [{ centre, radius: foundRadius }] = found.objects;
              // The search ends with steps of 1/8 pixel in each direction; noise may add the same error
              // again.
              assert.ok(Math.hypot(centre.x - x, centre.y - y) < 0.4, `centre ${centre.x}, ${centre.y}`);
              assert.ok(Math.abs(foundRadius - radius) < 0.4, `radius ${foundRadius}; expected ${radius}`);
            }
          }
        }
      });
    }
  }

  test('the mask sums to the area of the object', () => {
    const [{ mask }] = analysePicture(draw('white', [object('blue', 'circle', 16, 15, 6)])).objects;
    const area = mask.reduce((sum, share) => sum + share, 0);
    // With 16 samples per pixel the error is at most 1/32 pixel for each of the about 2·π·6 pixels at the
    // edge.
    assert.ok(Math.abs(area - Math.PI * 36) < 1.2, `area ${area}`);
  });

  test('the box is the bounding box of the shape: a triangle is wider than high', () => {
    const [{ box }] = analysePicture(draw('gray', [object('red', 'triangle', 16, 16, 8)])).objects;
    for (const [side, expected] of Object.entries({
      left: 8,
      right: 24,
      top: 16 - 6.93,
      bottom: 16 + 6.93,
    })) {
      assert.ok(Math.abs(box[side] - expected) < 0.3, `${side} is ${box[side]}; expected ${expected}`);
    }
  });

  test('accepts RGBA bytes', () => {
    const picture = draw('brown', [object('cyan', 'star', 12, 18, 5)]);
    assertNames(analysePicture(toBytes(picture)), 'cyan star');
  });

  test('inexact colours and soft edges, as models generate them', () => {
    for (const shape of knownShapes) {
      for (const colour of Object.keys(colours)) {
        const drawn = draw('white', [object(colour, shape, 15.4, 16.3, 5.5)], { tint: [-0.06, 0.05, -0.05] });
        assertNames(analysePicture(withNoise(softened(drawn), 0.05, 3)), `${colour} ${shape}`);
      }
    }
  });

  test('other shapes are unknown at any size', () => {
    for (const shape of ['bar', 'half disc', 'corner', 'triangle upside down']) {
      for (const radius of [4.5, 6, 8]) {
        const found = analysePicture(draw('white', [object('blue', shape, 15.3, 16.2, radius)]));
        assertNames(found, 'blue unknown');
        assert.equal(found.objects[0].confidence, 0);
      }
    }
  });

  test('specks and streaks are ignored', () => {
    const specks = [object('red', 'square', 4, 4, 1), object('blue', 'circle', 27, 6, 1.2)];
    const picture = draw('white', [object('green', 'circle', 16, 18, 6), ...specks]);
    assertNames(analysePicture(picture), 'green circle');
    const streak = draw('black', []);
    for (let column = 4; column < 28; ++column) streak[20 * size + column] = 0.8;
    assertNames(analysePicture(streak));
  });

  test('an empty picture has no objects', () => {
    for (const background of Object.keys(backgrounds)) {
      const found = analysePicture(withNoise(draw(background, []), 0.1, 8));
      assert.deepEqual([found.objects.length, found.background], [0, background]);
    }
  });
});

describe('several objects', () => {
  test('touching objects of different colours are separate', () => {
    const found = analysePicture(
      draw('white', [object('red', 'square', 9, 16, 6), object('blue', 'square', 21, 16, 6)]),
    );
    assertNames(found, 'red square', 'blue square');
  });

  test('an edge between red and blue is not purple, an edge between red and white not pink', () => {
    for (const deviation of [0, 0.1]) {
      const inner = object('red', 'circle', 16.4, 15.2, 4.6);
      const picture = draw('white', [object('blue', 'square', 16, 16, 11), inner]);
      assertNames(analysePicture(withNoise(picture, deviation, 4)), 'red circle', 'blue square');
    }
  });

  test('each shape inside each shape that is large enough', () => {
    for (const outer of ['circle', 'square', 'ring']) {
      for (const inner of knownShapes) {
        const radius = outer === 'ring' ? 12.5 : 10;
        const objects = [object('yellow', outer, 16, 15.5, radius), object('purple', inner, 16.3, 15.8, 4.1)];
        const picture = draw('gray', objects);
        for (const deviation of [0, 0.1]) {
          const found = analysePicture(withNoise(picture, deviation, 5));
          assertNames(found, `yellow ${outer}`, `purple ${inner}`);
          assert.equal(found.objects[0].shape, outer, 'the largest comes first');
          assert.equal(found.relationOf(found.objects[1], found.objects[0]), 'inside');
          assert.equal(found.relationOf(found.objects[0], found.objects[1]), 'around');
        }
      }
    }
  });

  test('three objects, one of them a small ring', () => {
    const found = analysePicture(
      draw('black', [
        object('orange', 'ring', 7, 8, 4),
        object('orange', 'cross', 24, 8, 4.4),
        object('pink', 'triangle', 16, 23, 6.6),
      ]),
    );
    assertNames(found, 'orange ring', 'orange cross', 'pink triangle');
  });
});

test('relationOf uses the axis along which the centres are further apart', () => {
  const at = (x, y, radius = 4) => ({
    centre: { x, y },
    box: { left: x - radius, top: y - radius, right: x + radius, bottom: y + radius },
  });
  assert.equal(relationOf(at(8, 10), at(22, 18)), 'left of');
  assert.equal(relationOf(at(22, 10), at(8, 18)), 'right of');
  assert.equal(relationOf(at(12, 8), at(18, 22)), 'above');
  assert.equal(relationOf(at(12, 22), at(18, 8)), 'below');
  assert.equal(relationOf(at(15, 15, 4), at(16, 16, 10)), 'inside');
  assert.equal(relationOf(at(16, 16, 10), at(15, 15, 4)), 'around');
  assert.equal(relationOf(at(15, 16, 4), at(16, 16, 4)), 'left of', 'boxes of the same size');
});

describe('adheres', () => {
  const red = object('red', 'circle', 9, 9, 4.5, 'small');
  const blue = object('blue', 'square', 22, 22, 7.5, 'large');
  const links = (relation) => [{ subject: 0, relation, object: 1 }];
  const scene = (relation = 'above') => ({
    objects: [red, { ...blue, x: 11 }],
    links: links(relation),
    background: 'white',
    backgroundSaid: true,
  });
  const read = (background, ...objects) => analysePicture(draw(background, objects));
  const lower = { ...blue, x: 11 };

  test('a picture that shows the scene', () => {
    const judgement = adheres(read('white', red, lower), scene());
    assert.deepEqual(judgement.reasons, []);
    assert.ok(judgement.ok && judgement.coloursOk && judgement.shapesOk);
    assert.deepEqual(judgement.relations, [{ relation: 'above', holds: true }]);
    assert.deepEqual(
      judgement.sizes.map(({ size: sizeWord, holds }) => [sizeWord, holds]),
      [
        ['small', true],
        ['large', true],
      ],
    );
    assert.deepEqual(judgement.background, { said: 'white', found: 'white', holds: true });
  });

  const wrong = {
    'another relation': {
      found: read('white', lower, red),
      relation: 'left of',
      reasons: ['the red circle is above the blue square, not left of it'],
      coloursOk: true,
      shapesOk: true,
    },
    'a missing object': { found: read('white', red), reasons: ['there is no blue square'] },
    'an extra object': {
      found: read('white', red, lower, object('green', 'star', 25, 8, 4.5)),
      reasons: ['there is a green star that was not asked for'],
      relationHolds: true,
    },
    'a duplicated object': {
      found: read('white', red, lower, object('red', 'circle', 25, 8, 4.5)),
      reasons: ['there are 2 of the red circle'],
    },
    'exchanged colours': {
      found: read('white', { ...red, colour: 'blue' }, { ...lower, colour: 'red' }),
      reasons: [
        'there is no red circle',
        'there is no blue square',
        'there is a red square that was not asked for',
        'there is a blue circle that was not asked for',
      ],
      coloursOk: true,
      shapesOk: true,
    },
    'another shape': {
      found: read('white', { ...red, shape: 'ring' }, lower),
      reasons: ['there is no red circle', 'there is a red ring that was not asked for'],
      coloursOk: true,
    },
  };
  for (const [name, { found, relation, reasons, ...expected }] of Object.entries(wrong)) {
    test(name, () => {
      const judgement = adheres(found, scene(relation));
      assert.equal(judgement.ok, false);
      assert.deepEqual(judgement.reasons.sort(), reasons.sort());
      assert.deepEqual(
        judgement.relations.map(({ holds }) => holds),
        [expected.relationHolds ?? false],
      );
      assert.equal(judgement.coloursOk, expected.coloursOk ?? false);
      assert.equal(judgement.shapesOk, expected.shapesOk ?? false);
    });
  }

  test('wrong sizes and a wrong background are reported, but do not fail', () => {
    const judgement = adheres(read('brown', { ...red, radius: 7 }, { ...lower, radius: 4.5 }), scene());
    assert.ok(judgement.ok, judgement.reasons.join());
    assert.deepEqual(
      judgement.sizes.map(({ holds }) => holds),
      [false, false],
    );
    assert.deepEqual(judgement.background, { said: 'white', found: 'brown', holds: false });
    assert.equal(adheres(read('brown', red, lower), { ...scene(), backgroundSaid: false }).background, null);
  });
});

test('analysePicture throws if the argument is not a picture', () => {
  for (const wrong of [null, undefined, 'picture', [1, 2, 3], new Float64Array(3072)]) {
    assert.throws(() => analysePicture(wrong), { name: 'TypeError', message: /picture.*Float32Array/s });
  }
  for (const wrong of [
    new Float32Array(0),
    new Float32Array(3071),
    new Uint8Array(3072),
    new Float32Array(12),
  ]) {
    assert.throws(() => analysePicture(wrong), { name: 'RangeError', message: /picture has \d+ elements/ });
  }
  const broken = draw('white', []);
  broken[1500] = NaN;
  assert.throws(() => analysePicture(broken), { name: 'RangeError', message: /NaN at pixel 476/ });
});
