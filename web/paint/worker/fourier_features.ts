import type { SeededRandom } from '../../shared/seeded_random';

/** Features before the waves: a constant, both coordinates, and the squared distance from the centre. */
const plainFeatures = 4;
/** Standard deviation of the frequencies, in waves per picture: fine enough for edges at 64 × 64 pixels. */
const frequencyDeviation = 4;

/**
 * The amplitude of a wave falls with its frequency. The layer then learns large areas before details, and a
 * context vector comes to stand for an object, such as a sail or the sun, instead of specks all over the
 * picture.
 */
function amplitude(wavesAcross: number): number {
  return Math.SQRT2 / (1 + wavesAcross);
}

/**
 * Encodes the position of a pixel for a linear layer. From the two coordinates alone, a linear layer can only
 * compute straight ramps; from sines and cosines of many directions and wavelengths, it can compose any
 * outline.
 *
 * Based on: Tancik et al., "Fourier features let networks learn high frequency functions in low dimensional
 * domains" (2020).
 */
export class FourierFeatures {
  /** [waves, 2]: periods across the picture, horizontally and vertically. */
  readonly frequencies: Float32Array;
  /** Number of features of a pixel. */
  readonly width: number;

  constructor(frequencies: Float32Array) {
    this.frequencies = frequencies;
    this.width = plainFeatures + frequencies.length;
  }

  /** Features with normally distributed frequencies. */
  static random(width: number, random: SeededRandom): FourierFeatures {
    const frequencies = new Float32Array(width - plainFeatures);
    for (let index = 0; index < frequencies.length; index++)
      frequencies[index] = frequencyDeviation * random.normal();
    return new FourierFeatures(frequencies);
  }

  /** Returns the features of all pixels of a square picture, [size × size, width]. */
  ofPicture(size: number): Float32Array {
    const features = new Float32Array(size * size * this.width);
    let index = 0;
    for (let row = 0; row < size; row++) {
      const y = ((row + 0.5) / size) * 2 - 1;
      for (let column = 0; column < size; column++) {
        const x = ((column + 0.5) / size) * 2 - 1;
        features[index++] = 1;
        features[index++] = x * Math.sqrt(3);
        features[index++] = y * Math.sqrt(3);
        features[index++] = 1.5 * (x * x + y * y - 2 / 3);
        for (let wave = 0; wave < this.frequencies.length; wave += 2) {
          const across = this.frequencies[wave]!;
          const down = this.frequencies[wave + 1]!;
          const angle = Math.PI * (across * x + down * y);
          const height = amplitude(Math.hypot(across, down));
          features[index++] = height * Math.sin(angle);
          features[index++] = height * Math.cos(angle);
        }
      }
    }
    return features;
  }
}
