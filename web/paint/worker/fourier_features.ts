import type { SeededRandom } from '../../shared/seeded_random';

/** Features before the waves: a constant, both coordinates, the squared distance from the centre. */
const PLAIN_FEATURES = 4;
/** Standard deviation of the frequencies, in waves across the picture: fine enough for edges at 64 × 64. */
const FREQUENCY_SPREAD = 4;

/**
 * Short waves are fainter than long ones. So the layer finds large areas before details, and a context vector
 * comes to look at a thing, a sail or the sun, instead of at specks all over the picture.
 */
function amplitude(wavesAcross: number): number {
  return Math.SQRT2 / (1 + wavesAcross);
}

/**
 * Where a pixel is, told so that a linear layer can use it. Two bare coordinates through a matrix give nothing
 * but straight ramps; sines and cosines of many directions and wavelengths let it compose any outline
 * (Tancik et al., "Fourier features let networks learn high frequency functions in low dimensional domains").
 */
export class FourierFeatures {
  /** One wave a row: how often it swings across the picture, horizontally and vertically. */
  readonly frequencies: Float32Array;
  /** Features of one pixel. */
  readonly width: number;

  constructor(frequencies: Float32Array) {
    this.frequencies = frequencies;
    this.width = PLAIN_FEATURES + frequencies.length;
  }

  static random(width: number, random: SeededRandom): FourierFeatures {
    const frequencies = new Float32Array(width - PLAIN_FEATURES);
    for (let index = 0; index < frequencies.length; index++)
      frequencies[index] = FREQUENCY_SPREAD * random.normal();
    return new FourierFeatures(frequencies);
  }

  /** The features of all pixels of a square picture, one row a pixel. */
  ofPicture(size: number): Float32Array {
    const features = new Float32Array(size * size * this.width);
    let place = 0;
    for (let row = 0; row < size; row++) {
      const y = ((row + 0.5) / size) * 2 - 1;
      for (let column = 0; column < size; column++) {
        const x = ((column + 0.5) / size) * 2 - 1;
        features[place++] = 1;
        features[place++] = x * Math.sqrt(3);
        features[place++] = y * Math.sqrt(3);
        features[place++] = 1.5 * (x * x + y * y - 2 / 3);
        for (let wave = 0; wave < this.frequencies.length; wave += 2) {
          const across = this.frequencies[wave]!;
          const down = this.frequencies[wave + 1]!;
          const angle = Math.PI * (across * x + down * y);
          const height = amplitude(Math.hypot(across, down));
          features[place++] = height * Math.sin(angle);
          features[place++] = height * Math.cos(angle);
        }
      }
    }
    return features;
  }
}
