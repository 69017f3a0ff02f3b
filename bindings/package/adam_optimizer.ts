import { checkArray, checkInteger, checkNotNegative, fail, isSameShape, readOptions, show } from './checks';
import { takeBytes } from './bytes';
import type { CoreAdam, CoreLayer, DType, TypedArray } from './core';
import { DisposedError, messageOf, WeightsError } from './errors';
import { Owned } from './handles';
import { guardMethods } from './instances';
import { DiffusionCrossAttention } from './layer';
import type { LayerState } from './layer_state';
import { checkParameterNames } from './layer_training';
import { getCore, lastingBytes } from './runtime';
import { readFile, type TensorBytes } from './safetensors';
import { list } from './weight_matching';

export interface AdamOptions {
  /** At least 0. Default 1e-3. */
  learningRate?: number;
  /**
   * Decay of the averages of the gradients and of their squares: from 0 to less than 1. Default [0.9, 0.999].
   */
  betas?: readonly [number, number];
  /** Added to the root of the mean square of the gradients. At least 0. Default 1e-8. */
  epsilon?: number;
  /** Each step subtracts learningRate · weightDecay · p from a parameter p. At least 0. Default 0. */
  weightDecay?: number;
  /** Names of the parameters that are updated. Default: those that are trainable now, normally all. */
  only?: readonly string[];
}

/**
 * Adam with decoupled weight decay over the parameters of a layer, as torch.optim.AdamW (Loshchilov and
 * Hutter, 2019). Its state, twice the size of the parameters, is in WASM memory.
 *
 * @example
 * using optimizer = new AdamOptimizer(layer, { learningRate: 1e-4, only: ['to_k.weight', 'to_v.weight'] });
 * layer.training = true;
 * using output = layer.forwardWithContext(image, text);
 * using inputGradient = layer.backward(outputGradient);
 * optimizer.step();
 */
export class AdamOptimizer {
  static readonly name = 'AdamOptimizer';
  readonly #layer: LayerState;
  readonly #adam: Owned<CoreAdam>;
  /** The parameters that are updated. */
  readonly #names: readonly string[];
  #hyperParameters: HyperParameters;
  #steps = 0;

  static {
    guardMethods(this, (value) => #adam in value);
  }

  /**
   * @throws ArgumentError that names the option; it names unknown parameters, and refuses an empty `only`.
   */
  constructor(layer: DiffusionCrossAttention, options?: AdamOptions) {
    const core = getCore();
    const {
      learningRate = 1e-3,
      betas = [0.9, 0.999],
      epsilon = 1e-8,
      weightDecay = 0,
      only,
    } = readOptions('options', options, optionNames);
    this.#hyperParameters = checkHyperParameters({ learningRate, betas, epsilon, weightDecay });
    this.#layer = DiffusionCrossAttention.stateOf('layer', layer);
    const coreLayer = this.#layer.core;
    this.#names =
      only === undefined
        ? (this.#layer.trainable ?? coreLayer.parameterNames())
        : checkParameterNames(this.#layer, 'only', only);
    if (this.#names.length === 0) fail('only', [], 'at least one name of a parameter');
    const adam = (this.#layer.dtype === 'float32' ? core.AdamFloat32 : core.AdamFloat64).create();
    this.#adam = new Owned(this, adam);
    try {
      for (const name of this.#names) adam.add(coreLayer, name);
    } catch (error) {
      this.#adam.dispose();
      throw error;
    }
  }

  /** Steps so far, including those of a loaded state. */
  get steps(): number {
    this.#handles();
    return this.#steps;
  }

  /**
   * Updates the parameters from the layer's gradients, and clears all gradients of the layer.
   *
   * @param options.learningRate that of this step; default: that of the optimizer
   */
  step(options?: { learningRate?: number }): void {
    const { learningRate = this.#hyperParameters.learningRate } = readOptions('options', options, [
      'learningRate',
    ]);
    checkNotNegative('learningRate', learningRate);
    const { adam } = this.#handles();
    const { betas, epsilon, weightDecay } = this.#hyperParameters;
    this.#layer.update((layer) =>
      adam.step(layer, learningRate, ...betas, epsilon, weightDecay, this.#steps + 1),
    );
    this.#steps++;
  }

  /**
   * Returns the state as a safetensors file of the layer's dtype: for each parameter, the averages
   * `NAME.exp_avg` and `NAME.exp_avg_sq`, and the number of steps and the options as JSON in the metadata
   * `adam`. The layer's parameters are not part of it: see saveWeights.
   */
  saveState(): Uint8Array {
    const { adam, layer } = this.#handles();
    return takeBytes(adam.save(layer, JSON.stringify({ step: this.#steps, ...this.#hyperParameters })));
  }

  /**
   * Continues from a state of saveState, with its options, as PyTorch's load_state_dict. Throws WeightsError
   * if it is of another dtype, of other parameters or shapes, or damaged: NaN, infinity, negative squares.
   * Then nothing has changed.
   */
  loadState(bytes: ArrayBuffer | ArrayBufferView): void {
    const file = lastingBytes('bytes', bytes) ?? fail('bytes', bytes, 'the bytes of a file of saveState');
    const { adam, layer } = this.#handles();
    const { tensors, metadata } = readFile(file);
    const { step, ...hyperParameters } = readMetadata(metadata['adam']);
    const moments = readMoments(tensors, this.#names, layer, this.#layer.dtype);
    moments.forEach((values, index) => adam.momentView(index >> 1, index % 2 === 1).set(values));
    this.#hyperParameters = hyperParameters;
    this.#steps = step;
  }

  get disposed(): boolean {
    return this.#adam.disposed;
  }

  /** Frees the state. The layer stays. A second call has no effect. */
  dispose(): void {
    this.#adam.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #handles(): { adam: CoreAdam; layer: CoreLayer } {
    const adam = this.#adam.get('this AdamOptimizer');
    if (this.#layer.disposed) throw new DisposedError('the layer of this AdamOptimizer was disposed');
    return { adam, layer: this.#layer.core };
  }
}

type HyperParameters = Required<Omit<AdamOptions, 'only'>>;

const optionNames = ['learningRate', 'betas', 'epsilon', 'weightDecay', 'only'] as const;

const isBeta = (value: unknown): boolean => typeof value === 'number' && value >= 0 && value < 1;

function checkHyperParameters(given: HyperParameters): HyperParameters {
  const betas = checkArray('betas', given.betas, 'an array of two numbers', 2);
  if (betas.length !== 2 || !betas.every(isBeta)) fail('betas', betas, 'two numbers from 0 to less than 1');
  return {
    learningRate: checkNotNegative('learningRate', given.learningRate),
    betas: betas as [number, number],
    epsilon: checkNotNegative('epsilon', given.epsilon),
    weightDecay: checkNotNegative('weightDecay', given.weightDecay),
  };
}

/** Far from where numbers are no longer integers. */
const maxSteps = 1e15;

function readMetadata(text = '{}'): HyperParameters & { step: number } {
  try {
    const given = JSON.parse(text) as HyperParameters & { step: number };
    return { step: checkInteger('step', given.step, 0, maxSteps), ...checkHyperParameters(given) };
  } catch (error) {
    throw new WeightsError(`the file is not a state of AdamOptimizer: ${messageOf(error)}`);
  }
}

/** Returns the mean and the mean square of each parameter, in this order. */
function readMoments(
  tensors: readonly TensorBytes[],
  names: readonly string[],
  layer: CoreLayer,
  dtype: DType,
): TypedArray[] {
  const found = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const expected = names.flatMap((name) => [`${name}.exp_avg`, `${name}.exp_avg_sq`]);
  const missing = expected.filter((name) => !found.has(name));
  const unexpected = [...found.keys()].filter((name) => !expected.includes(name));
  if (missing.length + unexpected.length > 0) {
    throw new WeightsError(
      'the state is of other parameters than those of this optimizer: ' +
        `missing ${list(missing)}; unexpected ${list(unexpected)}`,
    );
  }
  return expected.map((name, index) =>
    readMoment(found.get(name)!, layer.parameterShape(names[index >> 1]!)!, dtype, index % 2 === 1),
  );
}

function readMoment(
  { name, type, shape, bytes }: TensorBytes,
  expected: readonly number[],
  dtype: DType,
  isSquare: boolean,
): TypedArray {
  const isSingle = dtype === 'float32';
  const expectedType = isSingle ? 'F32' : 'F64';
  if (type !== expectedType || !isSameShape(shape, expected)) {
    throw new WeightsError(
      `${name} has dtype ${type} and shape ${show(shape)}; expected ${expectedType} and ${show(expected)}`,
    );
  }
  // A copy: a tensor may begin at any byte, and shared memory may change after the check.
  const values = new (isSingle ? Float32Array : Float64Array)(bytes.slice().buffer);
  const wrong = values.findIndex((value) => !Number.isFinite(value) || (isSquare && value < 0));
  if (wrong >= 0) {
    const allowed = isSquare ? 'a finite number of at least 0' : 'a finite number';
    throw new WeightsError(`${name} has the element ${values[wrong]}; expected ${allowed}`);
  }
  return values;
}
