// Scenes to learn from: what the type says, and what is true of them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { scoped } from '../support/cases.mjs';
import { ArgumentError, expectNoMemory, randomModel, randomScene } from '../support/denoiser.mjs';
import { assertThrows } from '../support/errors.mjs';

expectNoMemory();

const size = 32;
const colours = ['red', 'orange', 'yellow', 'green', 'cyan', 'blue', 'purple', 'pink'];
const shapes = ['circle', 'square', 'triangle', 'star', 'ring', 'cross'];
const backgrounds = ['white', 'black', 'gray', 'brown'];
const relations = ['left of', 'right of', 'above', 'below', 'inside'];

const scenes = ['training', 'heldOut'].flatMap((split) =>
  Array.from({ length: 100 }, (_, seed) => ({ split, scene: randomScene({ seed, split }) })),
);

test('a seed gives the same scene again, in every split and number of objects, and others give others', () => {
  assert.deepEqual(randomScene({ seed: 3 }), randomScene({ seed: 3, split: 'training', objects: 0 }));
  assert.deepEqual(randomScene(), randomScene({ seed: 0 }));
  for (const { split, scene } of scenes.slice(0, 10)) {
    assert.deepEqual(randomScene({ seed: scenes.findIndex((each) => each.scene === scene), split }), scene);
  }
  const pictures = new Set(scenes.map(({ scene }) => scene.picture.join()));
  assert.equal(pictures.size, scenes.length);
});

describe('a scene', () => {
  test('has the fields that its type says', () => {
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
        for (const place of [link.subject, link.object]) assert.ok(place in scene.objects);
      }
      assert.equal(scene.links.length, scene.objects.length - 1);
    }
  });

  test('has its boxes around their centres, within the picture', () => {
    for (const { scene } of scenes) {
      for (const { x, y, radius, box } of scene.objects) {
        assert.ok(
          box.left >= 0 && box.top >= 0 && box.right <= size && box.bottom <= size,
          JSON.stringify(box),
        );
        // Floats of up to 32: off by some 2^-19.
        assert.ok(Math.abs((box.left + box.right) / 2 - x) < 1e-5);
        assert.ok(Math.abs((box.top + box.bottom) / 2 - y) < 1e-5);
        assert.ok(Math.abs(box.right - box.left - 2 * radius) < 1e-5);
        assert.ok(box.bottom > box.top);
      }
    }
  });

  test('has a picture of values from -1 to 1 that is bright in the corners of what is white', () => {
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

  test('has what it says: relations by the boxes, colours where a whole shape is filled', () => {
    for (const { scene } of scenes) {
      for (const { subject, relation, object } of scene.links) {
        const [one, other] = [scene.objects[subject], scene.objects[object]];
        const holds = {
          'left of': one.box.right < other.box.left,
          'right of': one.box.left > other.box.right,
          above: one.box.bottom < other.box.top,
          below: one.box.top > other.box.bottom,
          inside:
            one.box.left > other.box.left &&
            one.box.right < other.box.right &&
            one.box.top > other.box.top &&
            one.box.bottom < other.box.bottom,
        };
        assert.ok(holds[relation], `${relation}: ${JSON.stringify([one, other])}`);
      }
      const isOuter = (index) =>
        scene.links.some((link) => link.relation === 'inside' && link.object === index);
      scene.objects.forEach((each, index) => {
        if (each.shape === 'ring' || isOuter(index) || !['red', 'blue'].includes(each.colour)) return;
        const at = Math.floor(each.y) * size + Math.floor(each.x);
        const [red, , blue] = [0, 1, 2].map((channel) => scene.picture[channel * size * size + at]);
        assert.ok(
          each.colour === 'red' ? red > blue + 0.5 : blue > red + 0.5,
          `${each.colour}: ${red}, ${blue}`,
        );
      });
    }
  });

  test('has captions of words that every model knows, which name all that there is', () =>
    scoped((own) => {
      const model = randomModel(own);
      for (const { scene } of scenes) {
        for (const text of [scene.caption, scene.plainCaption]) {
          const words = model.splitWords(text);
          assert.equal(words.join(' '), text);
          assert.deepEqual(model.unknownWords(text), []);
          assert.ok(words.length <= model.mostWords, text);
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
      assert.ok(different > scenes.length / 4, 'captions are in many phrasings');
    }));
});

describe('the splits', () => {
  test('held-out scenes have links, and no object of a training scene is held out in its role', () => {
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

  test('objects are as many as were asked for', () => {
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

test('options that cannot be are an ArgumentError that names them', () => {
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
