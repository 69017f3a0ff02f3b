// Something to teach a denoiser: a word and pictures of it.
import { normalArray } from '../../support/random.mjs';

export const word = 'blob';

/** Pictures: a soft yellow spot on blue, each somewhere else and a little noisy. `size`: pixels a side. */
export function blobPictures(count = 4, size = 32) {
  return Array.from({ length: count }, (_, number) => {
    const picture = normalArray(3 * size * size, 100 + number, { dtype: 'float32', deviation: 0.02 });
    const [centreX, centreY] = [(12 + 3 * (number % 3)) / 32, (14 + 2 * (number % 4)) / 32];
    for (let y = 0; y < size; ++y) {
      for (let x = 0; x < size; ++x) {
        const spot = Math.exp(-25 * ((x / size - centreX) ** 2 + (y / size - centreY) ** 2));
        const colour = [-0.8 + 1.6 * spot, -0.8 + 1.5 * spot, 0.6 - 1.3 * spot];
        colour.forEach((value, channel) => (picture[(channel * size + y) * size + x] += value));
      }
    }
    return picture;
  });
}

const pictures = blobPictures();

export const lesson = (options = {}) => ({ word, pictures, batch: 2, seed: 5, ...options });

/** Learns for some steps and disposes of the learner. */
export function teach(model, steps, options) {
  const learner = model.learner(lesson(options));
  try {
    return Array.from({ length: steps }, () => learner.step().loss);
  } finally {
    learner.dispose();
  }
}
