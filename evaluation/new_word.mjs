// Judges fine-tuning of a new word. The model is fine-tuned for a minute on eight pictures of a shape that no
// scene contains. Then its pictures of the word must show that shape in the requested colour.
import { analysePicture } from './analyser/index.mjs';
import { coverageAt, mirrored, shapes } from './analyser/shapes.mjs';
import { backgrounds, colours } from '../support/palette.mjs';
import { rateOf } from './rates.mjs';

const size = 32;
/** Number of pictures per kind of prompt. */
const picturesPerKind = 50;
/** Number of pictures that judgeNewWord generates. */
export const newWordPictures = 3 * picturesPerKind;
/** Distance of the seeds, so that runs with different seeds do not share the noise of a picture. */
const seedStride = 1000;

/** A heart, given by the corners of its right half from top to bottom. */
export const heart = mirrored([
  [0, -0.45],
  [0.18, -0.78],
  [0.5, -0.92],
  [0.82, -0.78],
  [1, -0.42],
  [0.9, 0],
  [0.5, 0.5],
  [0, 1],
]);

/** The names of the colours. Each of the eight pictures has one of them; prompts use them in turn. */
const colourNames = Object.keys(colours);
const cyclic = (values, index) => values[index % values.length];
const colourOf = (index) => cyclic(colourNames, index * 3);
/** Has the form of the model's training captions, which name the colour of each shape. */
const captionOf = (colour) => `${colour === 'orange' ? 'an' : 'a'} ${colour} heart`;
const bareCaption = 'a heart';

/**
 * Draws a heart as a planar picture [3, size, size] in [-1, 1]. `index` selects its position, size and
 * colour.
 */
export function drawHeart(index) {
  const colour = colours[colourOf(index)];
  const background = cyclic(Object.values(backgrounds), index);
  const radius = 6 + (index % 4);
  const placement = { x: 11 + ((index * 5) % 11), y: 11 + ((index * 7) % 11), radius };
  const picture = new Float32Array(3 * size * size);
  for (let pixel = 0; pixel < size * size; ++pixel) {
    const coverage = coverageAt(heart, placement, (pixel % size) + 0.5, Math.floor(pixel / size) + 0.5);
    for (let channel = 0; channel < 3; ++channel) {
      const value = background[channel] + coverage * (colour[channel] - background[channel]);
      picture[channel * size * size + pixel] = 2 * value - 1;
    }
  }
  return picture;
}

/**
 * Returns the only object of the picture, or undefined if there is none or more than one. Hearts are also
 * recognised.
 */
function onlyObject(picture) {
  const { objects } = analysePicture(picture, { shapes: { ...shapes, heart } });
  return objects.length === 1 ? objects[0] : undefined;
}

function sample(denoiser, prompt, seed, steps) {
  const sampler = denoiser.sampler({ prompt, seed, steps, maps: false });
  try {
    while (sampler.advance());
    return sampler.picture();
  } finally {
    sampler.dispose();
  }
}

function fineTune(denoiser, seconds, seed) {
  const indices = Array.from({ length: 8 }, (_, index) => index);
  const fineTuner = denoiser.fineTuner({
    word: 'heart',
    like: 'triangle',
    pictures: indices.map(drawHeart),
    captions: indices.map((index) => [captionOf(colourOf(index)), bareCaption]),
    seed,
  });
  const start = performance.now();
  let last = { step: 0, loss: NaN };
  try {
    for (let done = 0; done < 1; done = (performance.now() - start) / (1000 * seconds)) {
      last = fineTuner.step(done);
    }
  } finally {
    fineTuner.dispose();
  }
  return { ...last, seconds: (performance.now() - start) / 1000 };
}

/**
 * Fine-tunes a denoiser on the word "heart" for `seconds` and judges its pictures. Returns { seconds, steps,
 * loss, recognised, withoutColour, knownWithoutColour, samples }. `recognised`: the rate of 50 pictures of a
 * coloured heart that show only a heart of that colour; `samples` are these pictures, each { picture, ok }.
 * `withoutColour`: the rate of 50 pictures of "a heart" that show only a heart of any colour.
 * `knownWithoutColour`: the same for "a triangle" before fine-tuning, as a baseline: all captions in training
 * name a colour.
 */
export function judgeNewWord(denoiser, { seconds, steps, seed }, tick) {
  const judge = (promptOf, isCorrect) =>
    Array.from({ length: picturesPerKind }, (_, index) => {
      const picture = sample(denoiser, promptOf(index), seed * seedStride + index, steps);
      tick();
      return { picture, ok: isCorrect(onlyObject(picture), index) };
    });
  const rate = (samples) => rateOf(samples, ({ ok }) => ok);
  const knownWithoutColour = judge(
    () => 'a triangle',
    (object) => object?.shape === 'triangle',
  );
  const { step, loss, seconds: trainingSeconds } = fineTune(denoiser, seconds, seed);
  const samples = judge(
    (index) => captionOf(cyclic(colourNames, index)),
    (object, index) => object?.shape === 'heart' && object.colour === cyclic(colourNames, index),
  );
  const withoutColour = judge(
    () => bareCaption,
    (object) => object?.shape === 'heart',
  );
  return {
    seconds: trainingSeconds,
    steps: step,
    loss,
    recognised: rate(samples),
    withoutColour: rate(withoutColour),
    knownWithoutColour: rate(knownWithoutColour),
    samples,
  };
}
