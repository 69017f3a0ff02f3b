// "Teach it a new word": eight pictures of a shape that no scene has, a minute of learning, and do the model's pictures of
// the word show that shape?
import { analysePicture } from './analyser/index.mjs';
import { coverageAt, mirrored, shapes } from './analyser/shapes.mjs';
import { backgrounds, colours } from './analyser/palette.mjs';
import { rateOf } from './rates.mjs';

const size = 32;

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

/** Planar [3, size, size] in [-1, 1]: a heart of a place, size and colour that differ from number to number. */
export function drawHeart(number) {
  const pick = (values, step) => Object.values(values)[(number * step) % Object.keys(values).length];
  const colour = pick(colours, 3);
  const background = pick(backgrounds, 1);
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

/** Whether the picture shows one heart and nothing else: it fits better than any other shape. */
const showsHeart = (picture) => {
  const { objects } = analysePicture(picture, { shapes: { ...shapes, heart } });
  return objects.length === 1 && objects[0].shape === 'heart';
};

function sample(denoiser, seed, steps) {
  const sampler = denoiser.sampler({ prompt: 'a heart', seed, steps, maps: false });
  try {
    while (sampler.advance());
    return sampler.picture();
  } finally {
    sampler.dispose();
  }
}

/**
 * Teaches a denoiser the word "heart" for so many seconds. Returns { seconds, steps, loss, recognised, samples }: the rate
 * of 50 pictures that show one, and those, each { picture, ok }.
 */
export function teachWord(denoiser, { seconds, steps, seed }, tick) {
  const pictures = Array.from({ length: 8 }, (_, number) => drawHeart(number));
  const learner = denoiser.learner({ word: 'heart', like: 'triangle', pictures, seed });
  const start = performance.now();
  let last = { step: 0, loss: NaN };
  try {
    for (let done = 0; done < 1; done = (performance.now() - start) / (1000 * seconds)) {
      last = learner.step(done);
    }
  } finally {
    learner.dispose();
  }
  const samples = Array.from({ length: 50 }, (_, number) => {
    const picture = sample(denoiser, seed + number, steps);
    tick();
    return { picture, ok: showsHeart(picture) };
  });
  return {
    seconds: (performance.now() - start) / 1000,
    steps: last.step,
    loss: last.loss,
    recognised: rateOf(samples, ({ ok }) => ok),
    samples,
  };
}
