// "Teach it a new word": eight pictures of a shape that no scene has, a minute of learning, and do the model's pictures of
// the word show that shape, in the colour that is asked for?
import { analysePicture } from './analyser/index.mjs';
import { coverageAt, mirrored, shapes } from './analyser/shapes.mjs';
import { backgrounds, colours } from '../support/palette.mjs';
import { rateOf } from './rates.mjs';

const size = 32;
/** Of each kind that is judged. */
const judgedPictures = 50;
/** That teachWord draws. */
export const wordPictures = 3 * judgedPictures;
/** So that lessons of different seeds share no picture's noise. */
const seedsApart = 1000;

/** A heart, by the corners of its right half from the top to the bottom. */
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

/** The names of the colours, one for each of the eight pictures and for each prompt in turn. */
const colourNames = Object.keys(colours);
const nth = (values, number) => values[number % values.length];
const colourOf = (number) => nth(colourNames, number * 3);
/** As the model's own captions have it: they name the colour of each shape. */
const captionOf = (colour) => `${colour === 'orange' ? 'an' : 'a'} ${colour} heart`;
const bareCaption = 'a heart';

/** Planar [3, size, size] in [-1, 1]: a heart of a place, size and colour that differ from number to number. */
export function drawHeart(number) {
  const colour = colours[colourOf(number)];
  const background = nth(Object.values(backgrounds), number);
  const radius = 6 + (number % 4);
  const place = { x: 11 + ((number * 5) % 11), y: 11 + ((number * 7) % 11), radius };
  const picture = new Float32Array(3 * size * size);
  for (let pixel = 0; pixel < size * size; ++pixel) {
    const coverage = coverageAt(heart, place, (pixel % size) + 0.5, Math.floor(pixel / size) + 0.5);
    for (let channel = 0; channel < 3; ++channel) {
      const value = background[channel] + coverage * (colour[channel] - background[channel]);
      picture[channel * size * size + pixel] = 2 * value - 1;
    }
  }
  return picture;
}

/** The one object of the picture; undefined where there is none, or more than one. A heart fits better than any other shape. */
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

function learn(denoiser, seconds, seed) {
  const numbers = Array.from({ length: 8 }, (_, number) => number);
  const learner = denoiser.learner({
    word: 'heart',
    like: 'triangle',
    pictures: numbers.map(drawHeart),
    captions: numbers.map((number) => [captionOf(colourOf(number)), bareCaption]),
    seed,
  });
  const start = performance.now();
  let last = { step: 0, loss: NaN };
  try {
    for (let done = 0; done < 1; done = (performance.now() - start) / (1000 * seconds)) {
      last = learner.step(done);
    }
  } finally {
    learner.dispose();
  }
  return { ...last, seconds: (performance.now() - start) / 1000 };
}

/**
 * Teaches a denoiser the word "heart" for so many seconds. Returns { seconds, steps, loss, recognised, unsaid, unsaidKnown,
 * samples }. `recognised`: the rate of 50 pictures of a heart of a colour that show it, in that colour, and nothing else;
 * `samples` are those, each { picture, ok }. `unsaid`: of 50 for which no colour was said, the shape alone; `unsaidKnown`:
 * the same of a triangle, before the lesson, for in the captions that the model knows no shape is without a colour.
 */
export function teachWord(denoiser, { seconds, steps, seed }, tick) {
  const judge = (promptOf, isRight) =>
    Array.from({ length: judgedPictures }, (_, number) => {
      const picture = sample(denoiser, promptOf(number), seed * seedsApart + number, steps);
      tick();
      return { picture, ok: isRight(onlyObject(picture), number) };
    });
  const rate = (samples) => rateOf(samples, ({ ok }) => ok);
  const unsaidKnown = judge(
    () => 'a triangle',
    (object) => object?.shape === 'triangle',
  );
  const { step, loss, seconds: taken } = learn(denoiser, seconds, seed);
  const samples = judge(
    (number) => captionOf(nth(colourNames, number)),
    (object, number) => object?.shape === 'heart' && object.colour === nth(colourNames, number),
  );
  const unsaid = judge(
    () => bareCaption,
    (object) => object?.shape === 'heart',
  );
  return {
    seconds: taken,
    steps: step,
    loss,
    recognised: rate(samples),
    unsaid: rate(unsaid),
    unsaidKnown: rate(unsaidKnown),
    samples,
  };
}
