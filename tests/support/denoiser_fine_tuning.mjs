// A word and pictures for fine-tuning a denoiser.
import { normalArray } from '../../support/random.mjs';

export const word = 'blob';

/**
 * Returns pictures of a soft yellow spot on blue, at different positions and slightly noisy. `size`: side in
 * pixels.
 */
export function blobPictures(count = 4, size = 32) {
  return Array.from({ length: count }, (_, index) => {
    const picture = normalArray(3 * size * size, 100 + index, { dtype: 'float32', deviation: 0.02 });
    const [centreX, centreY] = [(12 + 3 * (index % 3)) / 32, (14 + 2 * (index % 4)) / 32];
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

export const fineTunerOptions = (options = {}) => ({ word, pictures, batch: 2, seed: 5, ...options });

/** Fine-tunes for `steps` steps and disposes the fineTuner. Returns the losses. */
export function fineTune(model, steps, options) {
  const fineTuner = model.fineTuner(fineTunerOptions(options));
  try {
    return Array.from({ length: steps }, () => fineTuner.step().loss);
  } finally {
    fineTuner.dispose();
  }
}
