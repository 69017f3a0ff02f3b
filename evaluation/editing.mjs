// Edits with the picture kept: a colour word is replaced, and what becomes of the object that it names, and of the other one?
import { analysePicture, colours, findOne } from './analyser/index.mjs';
import { rateOf } from './rates.mjs';

// The named object must stay where it was, within so many pixels.
const mostMove = 3;
// Pixels that an object covers by more than this share are its own.
const leastCoverage = 0.5;

const names = Object.keys(colours);

/** The same prompt with the colour of one of the two objects replaced; which one and by what, the number says. */
function replaceColour({ plainCaption, objects }, number) {
  const changed = number % 2;
  const taken = objects.map(({ colour }) => colour);
  const free = names.filter((name) => !taken.includes(name));
  const colour = free[number % free.length];
  const words = plainCaption.split(' ');
  const { colour: before, shape } = objects[changed];
  const place = words.findIndex((word, index) => word === before && words[index + 1] === shape);
  words[place] = colour;
  return { prompt: words.join(' '), changed, wanted: { ...objects[changed], colour } };
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

/** The mean difference of two pictures where the mask is, as a share of the range from black to white. */
function differenceWithin(one, other, mask) {
  const pixels = mask.length;
  let sum = 0;
  let count = 0;
  for (let pixel = 0; pixel < pixels; ++pixel) {
    if (mask[pixel] < leastCoverage) continue;
    for (let channel = 0; channel < 3; ++channel) {
      sum += Math.abs(one[channel * pixels + pixel] - other[channel * pixels + pixel]) / 2;
      ++count;
    }
  }
  return count > 0 ? sum / count : 0;
}

/**
 * `count` pictures of two objects side by side, drawn right in the first place, edited. Returns { edits, changed,
 * difference, most }: `changed`, the rate of those where the named object has the new colour, the same shape and place;
 * `difference`, the mean difference of the other object's pixels, and the largest one.
 */
export function judgeEdits(denoiser, randomScene, { count, seed, steps }, tick) {
  const edits = [];
  // Scenes that the model does not draw right tell nothing of edits.
  for (let number = 0; edits.length < count && number < 10 * count; ++number) {
    const scene = randomScene({ seed: seed + 2_000_000 + number, objects: 2 });
    if (scene.links[0].relation === 'inside') continue;
    const common = { seed: seed + number, steps };
    const before = draw(denoiser, { prompt: scene.plainCaption, ...common });
    const seen = analysePicture(before).objects;
    const { prompt, changed, wanted } = replaceColour(scene, number);
    const named = findOne(seen, scene.objects[changed]);
    const other = findOne(seen, scene.objects[1 - changed]);
    if (named === undefined || other === undefined) continue;
    const after = draw(denoiser, { prompt, edit: { from: scene.plainCaption }, ...common });
    const found = findOne(analysePicture(after).objects, wanted);
    const move = found && Math.hypot(found.centre.x - named.centre.x, found.centre.y - named.centre.y);
    edits.push({
      from: scene.plainCaption,
      prompt,
      isChanged: move !== undefined && move <= mostMove,
      difference: differenceWithin(before, after, other.mask),
    });
    tick();
  }
  const differences = edits.map(({ difference }) => difference);
  return {
    edits,
    changed: rateOf(edits, ({ isChanged }) => isChanged),
    difference: differences.reduce((sum, each) => sum + each, 0) / Math.max(1, differences.length),
    most: Math.max(0, ...differences),
  };
}
