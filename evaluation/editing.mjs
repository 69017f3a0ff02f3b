// Judges edits that preserve the picture: one colour word is replaced. The named object must change its
// colour; the other object must not change.
import { analysePicture, colours, findOne } from './analyser/index.mjs';
import { rateOf } from './rates.mjs';

// The maximum distance in pixels that the named object may move.
const maxMove = 3;
// A pixel belongs to an object that covers at least this share of it.
const minCoverage = 0.5;

const names = Object.keys(colours);

/**
 * Returns the prompt with the colour of one of the two objects replaced. `index` selects the object and the
 * colour.
 */
function replaceColour({ plainCaption, objects }, index) {
  const changed = index % 2;
  const usedColours = objects.map(({ colour }) => colour);
  const unusedColours = names.filter((name) => !usedColours.includes(name));
  const colour = unusedColours[index % unusedColours.length];
  const words = plainCaption.split(' ');
  const { colour: before, shape } = objects[changed];
  const wordIndex = words.findIndex((word, index) => word === before && words[index + 1] === shape);
  words[wordIndex] = colour;
  return { prompt: words.join(' '), changed, expected: { ...objects[changed], colour } };
}

function draw(denoiser, options) {
  const sampler = denoiser.sampler({ ...options, maps: false });
  try {
    while (sampler.advance());
    return sampler.picture();
  } finally {
    sampler.dispose();
  }
}

/**
 * Returns the mean difference of two pictures within the mask, as a share of the range from black to white.
 */
function differenceWithin(one, other, mask) {
  const pixels = mask.length;
  let sum = 0;
  let count = 0;
  for (let pixel = 0; pixel < pixels; ++pixel) {
    if (mask[pixel] < minCoverage) continue;
    for (let channel = 0; channel < 3; ++channel) {
      sum += Math.abs(one[channel * pixels + pixel] - other[channel * pixels + pixel]) / 2;
      ++count;
    }
  }
  return count > 0 ? sum / count : 0;
}

/**
 * Edits `count` pictures of two separate objects which the model draws correctly. Returns { edits, changed,
 * difference, maxDifference }. `changed`: the rate of edits after which the named object has the new colour,
 * the same shape and the same position. `difference` and `maxDifference`: the mean and maximum difference of
 * the other object's pixels.
 */
export function judgeEdits(denoiser, randomScene, { count, seed, steps }, tick) {
  const edits = [];
  // Scenes that the model draws incorrectly say nothing about edits and are skipped.
  for (let index = 0; edits.length < count && index < 10 * count; ++index) {
    const scene = randomScene({ seed: seed + 2_000_000 + index, objects: 2 });
    if (scene.links[0].relation === 'inside') continue;
    const common = { seed: seed + index, steps };
    const before = draw(denoiser, { prompt: scene.plainCaption, ...common });
    const seen = analysePicture(before).objects;
    const { prompt, changed, expected } = replaceColour(scene, index);
    const named = findOne(seen, scene.objects[changed]);
    const other = findOne(seen, scene.objects[1 - changed]);
    if (named === undefined || other === undefined) continue;
    const after = draw(denoiser, { prompt, edit: { from: scene.plainCaption }, ...common });
    const found = findOne(analysePicture(after).objects, expected);
    const move = found && Math.hypot(found.centre.x - named.centre.x, found.centre.y - named.centre.y);
    edits.push({
      from: scene.plainCaption,
      prompt,
      isChanged: move !== undefined && move <= maxMove,
      difference: differenceWithin(before, after, other.mask),
    });
    tick();
  }
  const differences = edits.map(({ difference }) => difference);
  return {
    edits,
    changed: rateOf(edits, ({ isChanged }) => isChanged),
    difference: differences.reduce((sum, each) => sum + each, 0) / Math.max(1, differences.length),
    maxDifference: Math.max(0, ...differences),
  };
}
