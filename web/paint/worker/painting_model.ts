import { DiffusionCrossAttention, Tensor, type TypedArray } from 'diffusion-cross-attention';
import { Adam } from '../../shared/adam';
import { SeededRandom } from '../../shared/seeded_random';
import { FourierFeatures } from './fourier_features';

/** Width of the pixels' features and of the context vectors. */
export const MODEL_WIDTH = 64;
const COLOURS = 3;
const SEED = 7;
const CONTEXT_SPREAD = 0.5;
/** The mean of the squares forgets quickly: the picture's fine detail comes late and must not wait for it. */
const ADAM = { meanDecay: 0.9, squareDecay: 0.95 };
/** Queries turn short, faint waves into sharp edges, which takes larger weights than anything else here. */
const QUERY_RATE = 3;
const QUERY = 'to_q.weight';
const BIAS = 'to_out.0.bias';

/**
 * One cross-attention layer and its context vectors. A pixel's features are the query; the context vectors, the
 * only other thing the layer sees, are keys and values. Of the output's channels the first three are red, green
 * and blue; no loss reaches the others.
 */
export class PaintingModel {
  readonly layer: DiffusionCrossAttention;
  readonly features: FourierFeatures;
  /** [contextLength, MODEL_WIDTH]; learned like the weights. */
  readonly context: Float32Array;
  readonly contextLength: number;
  readonly #parameters: Float32Array;
  /** The queries' weights come first among the parameters. */
  readonly #queryCount: number;
  readonly #queryAdam: Adam;
  readonly #otherAdam: Adam;
  readonly #contextAdam: Adam;

  private constructor(layer: DiffusionCrossAttention, features: FourierFeatures, context: Float32Array) {
    this.layer = layer;
    this.features = features;
    this.context = context;
    this.contextLength = context.length / MODEL_WIDTH;
    this.#parameters = Float32Array.from(layer.getParameters());
    this.#queryCount = layer.getParameterShape(QUERY)!.reduce((product, length) => product * length, 1);
    this.#queryAdam = new Adam(this.#queryCount, ADAM);
    this.#otherAdam = new Adam(this.#parameters.length - this.#queryCount, ADAM);
    this.#contextAdam = new Adam(context.length, ADAM);
  }

  /** A model that has learned nothing; its first painting is little more than one flat colour. */
  static untrained(contextLength: number, heads: number, meanColour: readonly number[]): PaintingModel {
    const random = new SeededRandom(SEED);
    const features = FourierFeatures.random(MODEL_WIDTH, random);
    const context = Float32Array.from(
      { length: contextLength * MODEL_WIDTH },
      () => CONTEXT_SPREAD * random.normal(),
    );
    const layer = newLayer(heads);
    const otherChannels = new Array<number>(MODEL_WIDTH - COLOURS).fill(0);
    using bias = Tensor.from([...meanColour, ...otherChannels], [MODEL_WIDTH]);
    layer.setParameter(BIAS, bias);
    return new PaintingModel(layer, features, context);
  }

  /** A model from a file; `layerWeights` is a safetensors file, and the layer checks it. */
  static restored(
    layerWeights: Uint8Array,
    heads: number,
    features: FourierFeatures,
    context: Float32Array,
  ): PaintingModel {
    const layer = newLayer(heads);
    try {
      layer.loadWeights(layerWeights);
      if (!layer.getParameters().every(Number.isFinite))
        throw new Error('its weights are not all finite numbers');
      return new PaintingModel(layer, features, context);
    } catch (error) {
      layer.dispose();
      throw error;
    }
  }

  /**
   * One step of learning from some pixels: their features, row by row, and the colours they should have had.
   * Tells how far off the layer was.
   */
  learn(features: Float32Array, colours: Float32Array, learningRate: number): number {
    const { layer } = this;
    using input = Tensor.from(features, [colours.length / COLOURS, MODEL_WIDTH]);
    using context = this.contextTensor();
    layer.training = true;
    using output = layer.forwardWithContext(input, context);
    const { loss, gradient } = squaredError(output.view(), colours);
    using outputGradient = Tensor.from(gradient, output.shape);
    layer.backward(outputGradient).dispose();
    this.#update(layer.getParameterGradients(), layer.contextGradient!.view(), learningRate);
    layer.clearGradients();
    return loss;
  }

  /** The colours of pixels, three numbers each, nominally 0 to 1. */
  paint(input: Tensor): Float32Array {
    using context = this.contextTensor();
    return this.#coloursOf(input, context);
  }

  /** The colour that each context vector stands for: that of a pixel which has nothing else to attend to. */
  contextColours(): Float32Array {
    using anywhere = Tensor.zeros([this.contextLength, 1, MODEL_WIDTH]);
    using oneByOne = Tensor.from(this.context, [this.contextLength, 1, MODEL_WIDTH]);
    return this.#coloursOf(anywhere, oneByOne);
  }

  /** The context vectors as the layer takes them. The caller disposes of the tensor. */
  contextTensor(): Tensor {
    return Tensor.from(this.context, [this.contextLength, MODEL_WIDTH]);
  }

  dispose(): void {
    this.layer.dispose();
  }

  #update(gradients: TypedArray, contextGradients: ArrayLike<number>, learningRate: number): void {
    const parameters = this.#parameters;
    const count = this.#queryCount;
    this.#queryAdam.step(
      parameters.subarray(0, count),
      gradients.subarray(0, count),
      QUERY_RATE * learningRate,
    );
    this.#otherAdam.step(parameters.subarray(count), gradients.subarray(count), learningRate);
    this.#contextAdam.step(this.context, contextGradients, learningRate);
    this.layer.setParameters(parameters);
  }

  #coloursOf(input: Tensor, context: Tensor): Float32Array {
    this.layer.training = false;
    using output = this.layer.forwardWithContext(input, context);
    const channels = output.view();
    const colours = new Float32Array((channels.length / MODEL_WIDTH) * COLOURS);
    for (let index = 0; index < colours.length; index++) colours[index] = channels[channelOf(index)]!;
    return colours;
  }
}

function newLayer(heads: number): DiffusionCrossAttention {
  return new DiffusionCrossAttention(MODEL_WIDTH, MODEL_WIDTH, heads, undefined, { seed: SEED });
}

/** Where among the output's channels the colour with this index lies. */
function channelOf(index: number): number {
  return Math.floor(index / COLOURS) * MODEL_WIDTH + (index % COLOURS);
}

/** Mean squared error of the three colour channels, and its gradient for all channels. */
function squaredError(
  channels: ArrayLike<number>,
  colours: Float32Array,
): { loss: number; gradient: Float32Array } {
  const gradient = new Float32Array(channels.length);
  let sum = 0;
  for (let index = 0; index < colours.length; index++) {
    const channel = channelOf(index);
    const difference = channels[channel]! - colours[index]!;
    sum += difference * difference;
    gradient[channel] = (2 * difference) / colours.length;
  }
  return { loss: sum / colours.length, gradient };
}
