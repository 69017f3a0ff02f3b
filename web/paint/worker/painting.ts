import { Tensor } from 'diffusion-cross-attention';
import { warmUpThenCosine } from '../../shared/learning_rate';
import type { Picture } from '../../shared/picture_source';
import { SeededRandom } from '../../shared/seeded_random';
import type { Configuration } from '../messages';
import { MODEL_WIDTH, PaintingModel } from './painting_model';
import { PixelBatches } from './pixel_batches';

const STEPS_PER_ROUND = 2000;
const BATCH_SIZE = 1024;
const BATCH_SEED = 11;
const PEAK_RATE = 0.02;
const WARM_UP = 0.025;
const RATE_FLOOR = 0.02;

export interface PaintingState {
  /** RGBA bytes. */
  readonly pixels: Uint8ClampedArray<ArrayBuffer>;
  /** Peak signal-to-noise ratio of the painting against the picture, in dB. */
  readonly psnr: number;
}

/** What each context vector is for: see AttentionNews. */
export interface AttentionState {
  readonly maps: Uint8Array<ArrayBuffer>;
  readonly shares: readonly number[];
  readonly peaks: readonly number[];
  readonly colours: Uint8ClampedArray<ArrayBuffer>;
}

/** One picture on its way to being learned: the model, the picture, and how far along they are. */
export class Painting {
  readonly picture: Picture;
  readonly model: PaintingModel;
  #step: number;
  #plannedSteps: number;
  readonly #colours: Float32Array;
  readonly #features: Float32Array;
  /** The features of all pixels, kept where the layer reads them. */
  readonly #input: Tensor;
  readonly #batches: PixelBatches;

  constructor(picture: Picture, model: PaintingModel, step = 0) {
    const { size, pixels } = picture;
    this.picture = picture;
    this.model = model;
    this.#step = step;
    this.#plannedSteps = Math.max(1, Math.ceil(step / STEPS_PER_ROUND)) * STEPS_PER_ROUND;
    this.#colours = coloursOf(pixels);
    this.#features = model.features.ofPicture(size);
    this.#input = Tensor.from(this.#features, [size * size, MODEL_WIDTH]);
    this.#batches = new PixelBatches(size * size, BATCH_SIZE, new SeededRandom(BATCH_SEED + step));
  }

  static begin(picture: Picture, { contextLength, heads }: Configuration): Painting {
    const mean = meanColour(coloursOf(picture.pixels));
    return new Painting(picture, PaintingModel.untrained(contextLength, heads, mean));
  }

  get step(): number {
    return this.#step;
  }

  get plannedSteps(): number {
    return this.#plannedSteps;
  }

  get finished(): boolean {
    return this.#step >= this.#plannedSteps;
  }

  get configuration(): Configuration {
    const { contextLength, layer } = this.model;
    return { size: this.picture.size, contextLength, heads: layer.numHeads };
  }

  planAnotherRound(): void {
    this.#plannedSteps += STEPS_PER_ROUND;
  }

  /** One step of training; tells the loss. */
  train(): number {
    const batch = this.#batches.next();
    const features = takeRows(this.#features, MODEL_WIDTH, batch);
    const colours = takeRows(this.#colours, 3, batch);
    const loss = this.model.learn(features, colours, this.#learningRate());
    this.#step++;
    return loss;
  }

  /** The painting as it is now, and how good. */
  look(): PaintingState {
    const colours = this.model.paint(this.#input);
    const pixels = new Uint8ClampedArray((colours.length / 3) * 4).fill(255);
    let sum = 0;
    for (let index = 0; index < colours.length; index++) {
      const colour = Math.min(1, Math.max(0, colours[index]!));
      sum += (colour - this.#colours[index]!) ** 2;
      pixels[byteOf(index)] = colour * 255;
    }
    return { pixels, psnr: -10 * Math.log10(sum / colours.length) };
  }

  attention(): AttentionState {
    using context = this.model.contextTensor();
    using probabilities = this.model.layer.attentionMaps(this.#input, context);
    const scaled = scaleMaps(probabilities.view(), this.model.contextLength);
    const colours = Uint8ClampedArray.from(this.model.contextColours(), (colour) => colour * 255);
    return { ...scaled, colours };
  }

  dispose(): void {
    this.#input.dispose();
    this.model.dispose();
  }

  /** Each further round starts at half the rate of the one before: there is less and less to put right. */
  #learningRate(): number {
    const round = Math.floor(this.#step / STEPS_PER_ROUND);
    const progress = ((this.#step % STEPS_PER_ROUND) + 1) / STEPS_PER_ROUND;
    return warmUpThenCosine(PEAK_RATE / 2 ** round, progress, WARM_UP, RATE_FLOOR);
  }
}

/** Brings every map to the whole range of a byte, and notes what that hides: how much it was. */
function scaleMaps(
  probabilities: ArrayLike<number>,
  contextLength: number,
): Pick<AttentionState, 'maps' | 'shares' | 'peaks'> {
  const maps = new Uint8Array(probabilities.length);
  const pixelCount = probabilities.length / contextLength;
  const shares: number[] = [];
  const peaks: number[] = [];
  for (let start = 0; start < probabilities.length; start += pixelCount) {
    const end = start + pixelCount;
    let sum = 0;
    let peak = 0;
    for (let place = start; place < end; place++) {
      sum += probabilities[place]!;
      peak = Math.max(peak, probabilities[place]!);
    }
    const scale = peak > 0 ? 255 / peak : 0;
    for (let place = start; place < end; place++) maps[place] = probabilities[place]! * scale;
    shares.push(sum / pixelCount);
    peaks.push(peak);
  }
  return { maps, shares, peaks };
}

function takeRows(table: Float32Array, width: number, rows: Uint32Array): Float32Array {
  const taken = new Float32Array(rows.length * width);
  for (const [place, row] of rows.entries()) {
    taken.set(table.subarray(row * width, (row + 1) * width), place * width);
  }
  return taken;
}

/** Where in RGBA bytes the colour with this index (three a pixel) lies. */
function byteOf(index: number): number {
  return Math.floor(index / 3) * 4 + (index % 3);
}

/** RGBA bytes as red, green and blue from 0 to 1. */
function coloursOf(pixels: Uint8ClampedArray): Float32Array {
  const colours = new Float32Array((pixels.length / 4) * 3);
  for (let index = 0; index < colours.length; index++) colours[index] = pixels[byteOf(index)]! / 255;
  return colours;
}

function meanColour(colours: Float32Array): number[] {
  const sum = [0, 0, 0];
  for (let index = 0; index < colours.length; index++) sum[index % 3]! += colours[index]!;
  return sum.map((total) => (total * 3) / colours.length);
}
