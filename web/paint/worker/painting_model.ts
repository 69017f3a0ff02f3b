import { DiffusionCrossAttention, Tensor, type TypedArray } from 'diffusion-cross-attention';
import { Adam } from '../../shared/adam';
import { SeededRandom } from '../../shared/seeded_random';
import { FourierFeatures } from './fourier_features';

/** Number of features of a pixel, and width of the context vectors. */
export const modelWidth = 64;
const colourChannels = 3;
const modelSeed = 7;
const initialContextDeviation = 0.5;
/** A short memory of squared gradients: details are learned late, when the gradients are much smaller. */
const adamOptions = { meanDecay: 0.9, squareDecay: 0.95 };
/** The query weights learn faster: they must become large to turn faint, short waves into sharp edges. */
const queryRateFactor = 3;
const queryWeightName = 'to_q.weight';
const outputBiasName = 'to_out.0.bias';

/**
 * One cross-attention layer and its context vectors. The features of a pixel are its query input; the context
 * vectors are the input of keys and values. The first three output channels are red, green and blue; the
 * others are ignored.
 */
export class PaintingModel {
  readonly layer: DiffusionCrossAttention;
  readonly features: FourierFeatures;
  /** [contextLength, modelWidth]; trained like the weights. */
  readonly context: Float32Array;
  readonly contextLength: number;
  readonly #parameters: Float32Array;
  /** The query weights come first among the parameters. */
  readonly #queryCount: number;
  readonly #queryAdam: Adam;
  readonly #otherAdam: Adam;
  readonly #contextAdam: Adam;

  private constructor(layer: DiffusionCrossAttention, features: FourierFeatures, context: Float32Array) {
    this.layer = layer;
    this.features = features;
    this.context = context;
    this.contextLength = context.length / modelWidth;
    this.#parameters = Float32Array.from(layer.getParameters());
    const queryShape = layer.getParameterShape(queryWeightName)!;
    this.#queryCount = queryShape.reduce((product, length) => product * length, 1);
    this.#queryAdam = new Adam(this.#queryCount, adamOptions);
    this.#otherAdam = new Adam(this.#parameters.length - this.#queryCount, adamOptions);
    this.#contextAdam = new Adam(context.length, adamOptions);
  }

  /** Returns an untrained model. Its bias is the mean colour, so its first painting is nearly uniform. */
  static untrained(contextLength: number, heads: number, meanColour: readonly number[]): PaintingModel {
    const random = new SeededRandom(modelSeed);
    const features = FourierFeatures.random(modelWidth, random);
    const context = Float32Array.from(
      { length: contextLength * modelWidth },
      () => initialContextDeviation * random.normal(),
    );
    const layer = newLayer(heads);
    const otherChannels = new Array<number>(modelWidth - colourChannels).fill(0);
    using bias = Tensor.from([...meanColour, ...otherChannels], [modelWidth]);
    layer.setParameter(outputBiasName, bias);
    return new PaintingModel(layer, features, context);
  }

  /** Returns a model with saved weights. The layer checks `layerWeights`, a safetensors file. */
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
        throw new Error('its weights have values that are not finite');
      return new PaintingModel(layer, features, context);
    } catch (error) {
      layer.dispose();
      throw error;
    }
  }

  /**
   * Trains for one step and returns the loss, the mean squared error.
   *
   * @param features [pixels, modelWidth]
   * @param colours [pixels, 3], the target colours
   */
  trainStep(features: Float32Array, colours: Float32Array, learningRate: number): number {
    const { layer } = this;
    using input = Tensor.from(features, [colours.length / colourChannels, modelWidth]);
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

  /** Returns the colours of pixels, [pixels, 3], nominally 0 to 1. */
  paint(input: Tensor): Float32Array {
    using context = this.contextTensor();
    return this.#coloursOf(input, context);
  }

  /** Returns the colour of each context vector: that of a pixel that attends to this vector only. */
  contextColours(): Float32Array {
    using queryInput = Tensor.zeros([this.contextLength, 1, modelWidth]);
    using singleVectors = Tensor.from(this.context, [this.contextLength, 1, modelWidth]);
    return this.#coloursOf(queryInput, singleVectors);
  }

  /** Returns the context vectors as a tensor, which the caller must dispose. */
  contextTensor(): Tensor {
    return Tensor.from(this.context, [this.contextLength, modelWidth]);
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
      queryRateFactor * learningRate,
    );
    this.#otherAdam.step(parameters.subarray(count), gradients.subarray(count), learningRate);
    this.#contextAdam.step(this.context, contextGradients, learningRate);
    this.layer.setParameters(parameters);
  }

  #coloursOf(input: Tensor, context: Tensor): Float32Array {
    this.layer.training = false;
    using output = this.layer.forwardWithContext(input, context);
    const channels = output.view();
    const colours = new Float32Array((channels.length / modelWidth) * colourChannels);
    for (let index = 0; index < colours.length; index++) colours[index] = channels[channelOf(index)]!;
    return colours;
  }
}

function newLayer(heads: number): DiffusionCrossAttention {
  return new DiffusionCrossAttention(modelWidth, modelWidth, heads, undefined, { seed: modelSeed });
}

/** Returns the index in the layer's output of the colour value with this index in [pixels, 3]. */
function channelOf(index: number): number {
  return Math.floor(index / colourChannels) * modelWidth + (index % colourChannels);
}

/** Returns the mean squared error of the three colour channels and its gradient for all channels. */
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
