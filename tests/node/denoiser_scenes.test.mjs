// Tests of randomScene: the fields of a scene, their consistency, and the splits.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { scoped } from '../support/cases.mjs';
import { ArgumentError, expectNoMemoryAfterEach, randomModel, randomScene } from '../support/denoiser.mjs';
import { assertThrows } from '../support/errors.mjs';

expectNoMemoryAfterEach();

const size = 32;
const colours = ['red', 'orange', 'yellow', 'green', 'cyan', 'blue', 'purple', 'pink'];
const shapes = ['circle', 'square', 'triangle', 'star', 'ring', 'cross'];
const backgrounds = ['white', 'black', 'gray', 'brown'];
const relations = ['left of', 'right of', 'above', 'below', 'inside'];

const scenes = ['training', 'heldOut'].flatMap((split) =>
  Array.from({ length: 100 }, (_, seed) => ({ split, scene: randomScene({ seed, split }) })),
);

test('the same seed gives the same scene, different seeds give different scenes', () => {
  assert.deepEqual(randomScene({ seed: 3 }), randomScene({ seed: 3, split: 'training', objects: 0 }));
  assert.deepEqual(randomScene(), randomScene({ seed: 0 }));
  for (const { split, scene } of scenes.slice(0, 10)) {
    assert.deepEqual(randomScene({ seed: scenes.findIndex((entry) => entry.scene === scene), split }), scene);
  }
  const pictures = new Set(scenes.map(({ scene }) => scene.picture.join()));
  assert.equal(pictures.size, scenes.length);
});

describe('a scene', () => {
  test('has the fields of its type', () => {
    for (const { scene } of scenes) {
      assert.deepEqual(Object.keys(scene).sort(), [
        'background',
        'backgroundSaid',
        'caption',
        'links',
        'objects',
        'picture',
        'plainCaption',
      ]);
      assert.ok(backgrounds.includes(scene.background));
      assert.equal(typeof scene.backgroundSaid, 'boolean');
      for (const object of scene.objects) {
        assert.deepEqual(Object.keys(object).sort(), ['box', 'colour', 'radius', 'shape', 'size', 'x', 'y']);
        assert.ok(colours.includes(object.colour) && shapes.includes(object.shape));
        assert.ok(['none', 'small', 'large'].includes(object.size));
        assert.ok(object.radius >= 4.2 && object.radius <= 15, `${object.radius}`);
      }
      for (const link of scene.links) {
        assert.deepEqual(Object.keys(link).sort(), ['object', 'relation', 'subject']);
        assert.ok(relations.includes(link.relation));
        assert.ok(link.subject !== link.object);
        for (const index of [link.subject, link.object]) assert.ok(index in scene.objects);
      }
      assert.equal(scene.links.length, scene.objects.length - 1);
    }
  });

  test('has boxes around the centres of its objects, within the picture', () => {
    for (const { scene } of scenes) {
      for (const { x, y, radius, box } of scene.objects) {
        assert.ok(
          box.left >= 0 && box.top >= 0 && box.right <= size && box.bottom <= size,
          JSON.stringify(box),
        );
        // Float32 numbers up to 32 have errors of about 2^-19.
        assert.ok(Math.abs((box.left + box.right) / 2 - x) < 1e-5);
        assert.ok(Math.abs((box.top + box.bottom) / 2 - y) < 1e-5);
        assert.ok(Math.abs(box.right - box.left - 2 * radius) < 1e-5);
        assert.ok(box.bottom > box.top);
      }
    }
  });

  test('has a picture of values from -1 to 1 whose corners have the brightness of the background', () => {
    for (const { scene } of scenes) {
      assert.ok(scene.picture instanceof Float32Array);
      assert.equal(scene.picture.length, 3 * size * size);
      assert.ok(scene.picture.every((value) => value >= -1 && value <= 1));
      assert.ok(new Set(scene.picture).size > 2);
      const corner = [0, 1, 2].map((channel) => scene.picture[channel * size * size]);
      if (scene.background === 'white') assert.ok(Math.min(...corner) > 0.7, `${corner}`);
      if (scene.background === 'black') assert.ok(Math.max(...corner) < -0.7, `${corner}`);
    }
  });

  test('has boxes that fulfil its relations, and pixels with the colours of its objects', () => {
    for (const { scene } of scenes) {
      for (const { subject, relation, object } of scene.links) {
        const [a, b] = [scene.objects[subject].box, scene.objects[object].box];
        const holds = {
          'left of': a.right < b.left,
          'right of': a.left > b.right,
          above: a.bottom < b.top,
          below: a.top > b.bottom,
          inside: a.left > b.left && a.right < b.right && a.top > b.top && a.bottom < b.bottom,
        };
        assert.ok(holds[relation], `${relation}: ${JSON.stringify([a, b])}`);
      }
      const isOuter = (index) =>
        scene.links.some((link) => link.relation === 'inside' && link.object === index);
      scene.objects.forEach(({ shape, colour, x, y }, index) => {
        // The centre of a ring or of an object around another has another colour.
        if (shape === 'ring' || isOuter(index) || !['red', 'blue'].includes(colour)) return;
        const pixel = Math.floor(y) * size + Math.floor(x);
        const [red, , blue] = [0, 1, 2].map((channel) => scene.picture[channel * size * size + pixel]);
        assert.ok(colour === 'red' ? red > blue + 0.5 : blue > red + 0.5, `${colour}: ${red}, ${blue}`);
      });
    }
  });

  test('has captions of known words that name all objects', () =>
    scoped((own) => {
      const model = randomModel(own);
      for (const { scene } of scenes) {
        for (const text of [scene.caption, scene.plainCaption]) {
          const words = model.splitWords(text);
          assert.equal(words.join(' '), text);
          assert.deepEqual(model.unknownWords(text), []);
          assert.ok(words.length <= model.maxWords, text);
          for (const { colour, shape, size: sizeWord } of scene.objects) {
            assert.ok(words.includes(colour) && words.includes(shape), `${text}: ${colour} ${shape}`);
            if (sizeWord !== 'none') assert.ok(words.includes(sizeWord), text);
          }
          assert.deepEqual(
            backgrounds.filter((background) => words.includes(background)),
            scene.backgroundSaid ? [scene.background] : [],
            text,
          );
        }
      }
      const different = scenes.filter(({ scene }) => scene.caption !== scene.plainCaption).length;
      assert.ok(different > scenes.length / 4, 'captions have different phrasings');
    }));
});

describe('the splits', () => {
  test('a held-out scene has an object in a held-out role, a training scene has none', () => {
    const converse = {
      'left of': 'right of',
      'right of': 'left of',
      above: 'below',
      below: 'above',
      inside: 'around',
    };
    const roles = ['left of', 'right of', 'above', 'below', 'inside', 'around'];
    const isHeldOut = ({ colour, shape }, role) =>
      (3 * shapes.indexOf(shape) + 5 * roles.indexOf(role) + 1) % 8 === colours.indexOf(colour);
    for (const { split, scene } of scenes) {
      const heldOut = scene.links.some(
        ({ subject, relation, object }) =>
          isHeldOut(scene.objects[subject], relation) || isHeldOut(scene.objects[object], converse[relation]),
      );
      assert.equal(heldOut, split === 'heldOut', scene.plainCaption);
      if (split === 'heldOut') assert.ok(scene.links.length > 0);
    }
  });

  test('scenes have the requested number of objects', () => {
    for (const objects of [1, 2, 3]) {
      for (let seed = 0; seed < 20; ++seed) {
        assert.equal(randomScene({ seed, objects }).objects.length, objects);
        if (objects > 1)
          assert.equal(randomScene({ seed, objects, split: 'heldOut' }).objects.length, objects);
      }
    }
    const counts = new Set(scenes.map(({ split, scene }) => `${split} ${scene.objects.length}`));
    assert.deepEqual([...counts].sort(), [
      'heldOut 2',
      'heldOut 3',
      'training 1',
      'training 2',
      'training 3',
    ]);
  });
});

test('invalid options throw ArgumentError and name the option', () => {
  for (const seed of [-1, 0.5, NaN, '1', 2 ** 53]) {
    assertThrows(() => randomScene({ seed }), ArgumentError, 'seed', 'an integer');
  }
  for (const objects of [-1, 4, 1.5, 'two']) {
    assertThrows(() => randomScene({ objects }), ArgumentError, 'objects', '0 to 3');
  }
  for (const split of ['held out', 'test', 1, null]) {
    assertThrows(() => randomScene({ split }), ArgumentError, 'split', 'training');
  }
  assertThrows(
    () => randomScene({ objects: 1, split: 'heldOut' }),
    ArgumentError,
    'objects is 1',
    'held-out',
  );
  assertThrows(() => randomScene(3), ArgumentError, 'options', 'an object');
});
