import { Tensor } from 'diffusion-cross-attention';
import { warmUpThenCosine } from '../../shared/learning_rate';
import type { Picture } from '../../shared/picture_source';
import { SeededRandom } from '../../shared/seeded_random';
import type { Configuration } from '../messages';
import { modelWidth, PaintingModel } from './painting_model';
import { PixelBatches } from './pixel_batches';

const stepsPerRound = 2000;
const batchSize = 1024;
const batchSeed = 11;
const peakRate = 0.02;
const warmUpShare = 0.025;
const rateFloor = 0.02;

export interface PaintingState {
  /** RGBA bytes. */
  readonly pixels: Uint8ClampedArray<ArrayBuffer>;
  /** Peak signal-to-noise ratio of the painting against the picture, in dB. */
  readonly psnr: number;
}

/** See AttentionEvent. */
export interface AttentionState {
  readonly maps: Uint8Array<ArrayBuffer>;
  readonly shares: readonly number[];
  readonly peaks: readonly number[];
  readonly colours: Uint8ClampedArray<ArrayBuffer>;
}

/** A picture, the model that learns it, and the progress of the training. */
export class Painting {
  readonly picture: Picture;
  readonly model: PaintingModel;
  #step: number;
  #plannedSteps: number;
  readonly #colours: Float32Array;
  readonly #features: Float32Array;
  /** The features of all pixels, in WebAssembly memory. */
  readonly #input: Tensor;
  readonly #batches: PixelBatches;

  constructor(picture: Picture, model: PaintingModel, step = 0) {
    const { size, pixels } = picture;
    this.picture = picture;
    this.model = model;
    this.#step = step;
    this.#plannedSteps = Math.max(1, Math.ceil(step / stepsPerRound)) * stepsPerRound;
    this.#colours = coloursOf(pixels);
    this.#features = model.features.ofPicture(size);
    this.#input = Tensor.from(this.#features, [size * size, modelWidth]);
    this.#batches = new PixelBatches(size * size, batchSize, new SeededRandom(batchSeed + step));
  }

  /** Returns a painting with an untrained model. */
  static start(picture: Picture, { contextLength, heads }: Configuration): Painting {
    const mean = meanColour(coloursOf(picture.pixels));
    return new Painting(picture, PaintingModel.untrained(contextLength, heads, mean));
  }

  get step(): number {
    return this.#step;
  }

  get plannedSteps(): number {
    return this.#plannedSteps;
  }

  get isFinished(): boolean {
    return this.#step >= this.#plannedSteps;
  }

  get configuration(): Configuration {
    const { contextLength, layer } = this.model;
    return { size: this.picture.size, contextLength, heads: layer.numHeads };
  }

  planAnotherRound(): void {
    this.#plannedSteps += stepsPerRound;
  }

  /** Trains for one step and returns the loss. */
  train(): number {
    const batch = this.#batches.next();
    const features = gatherRows(this.#features, modelWidth, batch);
    const colours = gatherRows(this.#colours, 3, batch);
    const loss = this.model.trainStep(features, colours, this.#learningRate());
    this.#step++;
    return loss;
  }

  /** Renders the painting and compares it with the picture. */
  render(): PaintingState {
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

  /** Each round starts at half the rate of the previous one. */
  #learningRate(): number {
    const round = Math.floor(this.#step / stepsPerRound);
    const progress = ((this.#step % stepsPerRound) + 1) / stepsPerRound;
    return warmUpThenCosine(peakRate / 2 ** round, progress, warmUpShare, rateFloor);
  }
}

/** Scales each map to the range of a byte, and returns the original shares and maxima with them. */
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
    for (let index = start; index < end; index++) {
      sum += probabilities[index]!;
      peak = Math.max(peak, probabilities[index]!);
    }
    const scale = peak > 0 ? 255 / peak : 0;
    for (let index = start; index < end; index++) maps[index] = probabilities[index]! * scale;
    shares.push(sum / pixelCount);
    peaks.push(peak);
  }
  return { maps, shares, peaks };
}

function gatherRows(table: Float32Array, width: number, rows: Uint32Array): Float32Array {
  const gathered = new Float32Array(rows.length * width);
  for (const [index, row] of rows.entries()) {
    gathered.set(table.subarray(row * width, (row + 1) * width), index * width);
  }
  return gathered;
}

/** Returns the index in RGBA bytes of the colour value with this index in [pixels, 3]. */
function byteOf(index: number): number {
  return Math.floor(index / 3) * 4 + (index % 3);
}

/** Returns RGBA bytes as [pixels, 3] colours from 0 to 1. */
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
