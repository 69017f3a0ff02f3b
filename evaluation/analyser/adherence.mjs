// Compares the objects found in a picture with those of its prompt.
import { relationOf } from './relations.mjs';

// Radii in pixels: "small" is 5.2–5.8 (from 4.2 inside a ring), "large" is 7.2 or more, other objects of the
// same scene are 6.0–7.0. The limits are the midpoints between these ranges.
const maxSmallRadius = 5.9;
const minLargeRadius = 7.1;

/** Returns the name of an object as in prompts: "red circle". */
export const nameOf = ({ colour, shape }) => `${colour} ${shape}`;

/** Returns the object of this colour and shape, or undefined if there is none or more than one. */
export function findOne(objects, expected) {
  const matches = objects.filter((object) => nameOf(object) === nameOf(expected));
  return matches.length === 1 ? matches[0] : undefined;
}

/**
 * `found`: the result of analysePicture. `scene`: the expected scene, { objects: [{ shape, colour, size }],
 * links: [{ subject, relation, object }], background, backgroundSaid }. `subject` and `object` are indices of
 * objects. No two objects have the same colour and shape.
 *
 * Returns { ok, reasons, coloursOk, shapesOk, relations, sizes, background }:
 * - `ok`: true if each object was found exactly once with its colour and shape, there is no other object, and
 * each relation holds.
 * - `reasons`: a sentence per violation of `ok`.
 * - `coloursOk`, `shapesOk`: true if the multiset of colours or of shapes is as expected.
 * - `relations`: [{ relation, holds }].
 * - `sizes`: [{ size, radius, holds }] of the objects that were found and have a size word. Not part of `ok`.
 * - `background`: { said, found, holds }, or null if the prompt names no background. Not part of `ok`.
 */
export function adheres(found, scene) {
  const reasons = objectReasons(found.objects, scene.objects);
  const relations = scene.links.map(({ subject, relation, object }) => {
    const [one, other] = [scene.objects[subject], scene.objects[object]];
    const [foundOne, foundOther] = [findOne(found.objects, one), findOne(found.objects, other)];
    if (foundOne === undefined || foundOther === undefined) return { relation, holds: false };
    const actual = relationOf(foundOne, foundOther);
    if (actual !== relation) {
      reasons.push(`the ${nameOf(one)} is ${actual} the ${nameOf(other)}, not ${relation} it`);
    }
    return { relation, holds: actual === relation };
  });
  return {
    ok: reasons.length === 0,
    reasons,
    coloursOk: areAlike(found.objects, scene.objects, ({ colour }) => colour),
    shapesOk: areAlike(found.objects, scene.objects, ({ shape }) => shape),
    relations,
    sizes: sizesOf(found.objects, scene.objects),
    background: scene.backgroundSaid
      ? { said: scene.background, found: found.background, holds: found.background === scene.background }
      : null,
  };
}

function objectReasons(found, expected) {
  const reasons = [];
  const names = expected.map(nameOf);
  for (const name of names) {
    const count = found.filter((object) => nameOf(object) === name).length;
    if (count === 0) reasons.push(`there is no ${name}`);
    if (count > 1) reasons.push(`there are ${count} of the ${name}`);
  }
  for (const object of found) {
    if (!names.includes(nameOf(object))) reasons.push(`there is a ${nameOf(object)} that was not asked for`);
  }
  return reasons;
}

function areAlike(found, expected, propertyOf) {
  return found.map(propertyOf).sort().join() === expected.map(propertyOf).sort().join();
}

function sizesOf(found, expected) {
  return expected
    .filter(({ size }) => size === 'small' || size === 'large')
    .map((object) => ({ size: object.size, radius: findOne(found, object)?.radius }))
    .filter(({ radius }) => radius !== undefined)
    .map(({ size, radius }) => ({
      size,
      radius,
      holds: size === 'small' ? radius < maxSmallRadius : radius > minLargeRadius,
    }));
}
