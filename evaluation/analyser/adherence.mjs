// Whether what is seen in a picture is what its prompt asked for.
import { relationOf } from './relations.mjs';

// Sizes that are said are 5.2–5.8 pixels (small; inside a ring from 4.2) and 7.2 or more (large), others 6.0–7.0: these are
// the middles between them.
const mostSmall = 5.9;
const leastLarge = 7.1;

/** What an object is called in prompts: "red circle". */
export const nameOf = ({ colour, shape }) => `${colour} ${shape}`;

/** The one object among those found that is of this colour and shape; undefined where there is none, or more than one. */
export function findOne(objects, wanted) {
  const alike = objects.filter((object) => nameOf(object) === nameOf(wanted));
  return alike.length === 1 ? alike[0] : undefined;
}

/**
 * `found`: what analysePicture returns. `scene`: what was asked for, { objects: [{ shape, colour, size }], links:
 * [{ subject, relation, object }], background, backgroundSaid }, subject and object being indices of objects, no two of
 * which are alike in both colour and shape.
 *
 * Returns { ok, reasons, coloursOk, shapesOk, relations, sizes, background }. `ok`: each object is there once with its
 * colour and shape, there is no other one, and each relation holds; `reasons` says why not, a sentence each. `coloursOk`,
 * `shapesOk`: the colours, the shapes alone are those asked for, as often. `relations`: [{ relation, holds }]. Not part of
 * `ok`: `sizes`, [{ size, radius, holds }], of those said and found, and `background`, { said, found, holds }, null where
 * none is said.
 */
export function adheres(found, scene) {
  const reasons = objectReasons(found.objects, scene.objects);
  const relations = scene.links.map(({ subject, relation, object }) => {
    const [one, other] = [scene.objects[subject], scene.objects[object]];
    const [foundOne, foundOther] = [findOne(found.objects, one), findOne(found.objects, other)];
    if (foundOne === undefined || foundOther === undefined) return { relation, holds: false };
    const seen = relationOf(foundOne, foundOther);
    if (seen !== relation) {
      reasons.push(`the ${nameOf(one)} is ${seen} the ${nameOf(other)}, not ${relation} it`);
    }
    return { relation, holds: seen === relation };
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

function objectReasons(found, wanted) {
  const reasons = [];
  const names = wanted.map(nameOf);
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

function areAlike(found, wanted, propertyOf) {
  return found.map(propertyOf).sort().join() === wanted.map(propertyOf).sort().join();
}

function sizesOf(found, wanted) {
  return wanted
    .filter(({ size }) => size === 'small' || size === 'large')
    .map((object) => ({ size: object.size, radius: findOne(found, object)?.radius }))
    .filter(({ radius }) => radius !== undefined)
    .map(({ size, radius }) => ({
      size,
      radius,
      holds: size === 'small' ? radius < mostSmall : radius > leastLarge,
    }));
}
