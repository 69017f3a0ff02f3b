import { checkBoolean, checkFinite, checkInteger, checkString, fail, readOptions } from '../checks';
import { Owned } from '../handles';
import { guardMethods, internal, lockFields, requireInternal } from '../instances';
import { checkNumbers } from '../numbers';
import type { CoreConfiguration, CoreDenoiser, CoreSampler, CoreSamplerOptions } from './core';
import { getCore } from './runtime';

/**
 * Edits the picture that another prompt gives with the same seed: only what differs between the prompts
 * changes. Based on: Hertz et al., "Prompt-to-prompt image editing with cross attention control" (2022).
 */
export interface EditOptions {
  /** The prompt of the original picture. */
  from: string;
  /** Word weights of `from`; see SamplerOptions.wordWeights. */
  wordWeights?: readonly number[];
  /**
   * Share of the steps in which shared words use the cross-attention maps of the original, 0 to 1. Default
   * 0.8.
   */
  crossSteps?: number;
  /** Share of the steps in which self-attention uses the maps of the original, 0 to 1. Default 0.5. */
  selfSteps?: number;
  /**
   * If true, pixels stay unchanged unless they or tokens around them attend to a changed word. Default true.
   */
  keepElsewhere?: boolean;
}

export interface SamplerOptions {
  prompt: string;
  /** An integer from 0 to 2^53 - 1. The same seed gives the same picture. Default 0. */
  seed?: number;
  /** Number of sampling steps, 1 to 1000. Default 20. */
  steps?: number;
  /** Scale of classifier-free guidance, 0 to 100; 1 for none. Default 3. */
  guidance?: number;
  /**
   * Share of the noise that each step draws again, 0 to 1: DDIM's eta (Song et al., 2021). 0 is Euler's
   * method. New noise lets later steps correct errors of earlier ones. Default 0.5.
   */
  eta?: number;
  /** Factors of the attention to each word of the prompt, in order, 0 to 1000. Default: 1 for all. */
  wordWeights?: readonly number[];
  edit?: EditOptions;
  /** Collects heat maps for Sampler.maps. Default true. */
  maps?: boolean;
}

export interface SamplerFrame {
  /** The number of completed steps: 1 after the first one. */
  step: number;
  steps: number;
}

/** The core's limit for the words of a prompt is lower. */
const maxWords = 10_000;

function checkWeights(argument: string, weights: unknown): readonly number[] {
  if (weights === undefined) return [];
  const checkLength = (length: number): unknown => checkInteger(`${argument}.length`, length, 0, maxWords);
  return Array.from(checkNumbers(argument, weights, checkLength, 'float64').values);
}

function checkEdit(edit: EditOptions | undefined): CoreSamplerOptions['edit'] {
  if (edit === undefined) return undefined;
  const names = ['from', 'wordWeights', 'crossSteps', 'selfSteps', 'keepElsewhere'] as const;
  const given = readOptions('edit', edit, names);
  const { from, wordWeights, crossSteps = 0.8, selfSteps = 0.5, keepElsewhere = true } = given;
  return {
    from: checkString('edit.from', from),
    wordWeights: checkWeights('edit.wordWeights', wordWeights),
    crossSteps: checkFinite('edit.crossSteps', crossSteps),
    selfSteps: checkFinite('edit.selfSteps', selfSteps),
    keepElsewhere: checkBoolean('edit.keepElsewhere', keepElsewhere),
  };
}

const optionNames = [
  'prompt',
  'seed',
  'steps',
  'guidance',
  'eta',
  'wordWeights',
  'edit',
  'maps',
] as const satisfies readonly (keyof SamplerOptions)[];

function checkSampler(options: SamplerOptions): CoreSamplerOptions {
  const given = readOptions('options', options, optionNames);
  const { prompt, seed = 0, steps = 20, guidance = 3, eta = 0.5, wordWeights, edit, maps = true } = given;
  return {
    prompt: checkString('prompt', prompt),
    seed: checkInteger('seed', seed, 0, Number.MAX_SAFE_INTEGER),
    steps: checkInteger('steps', steps, 1, 1000),
    guidance: checkFinite('guidance', guidance),
    eta: checkFinite('eta', eta),
    wordWeights: checkWeights('wordWeights', wordWeights),
    edit: checkEdit(edit),
    maps: checkBoolean('maps', maps),
  };
}

/**
 * Computes a picture from noise, one step at a time. See Denoiser.sampler. Iteration takes the remaining
 * steps.
 *
 * @example
 * for (const { step, steps } of sampler) draw(sampler.rgba(), step / steps);
 */
export class Sampler implements Iterable<SamplerFrame>, Disposable {
  static readonly name = 'Sampler';
  /** The prompt's words as the model sees them. */
  readonly words: readonly string[];
  readonly steps: number;
  readonly #sampler: Owned<CoreSampler>;
  readonly #getModel: () => CoreDenoiser;
  readonly #configuration: CoreConfiguration;

  static {
    guardMethods(this, (value) => #sampler in value);
  }

  /** @internal */
  constructor(
    token: typeof internal,
    getModel: () => CoreDenoiser,
    configuration: CoreConfiguration,
    options: CoreSamplerOptions,
  ) {
    requireInternal(token, 'Sampler', 'Denoiser.sampler');
    this.#getModel = getModel;
    this.#configuration = configuration;
    this.#sampler = new Owned(this, getCore().Sampler.create(getModel(), options));
    this.words = getCore().splitWords(options.prompt);
    this.steps = options.steps;
    lockFields(this);
  }

  get #core(): CoreSampler {
    return this.#sampler.get('the sampler');
  }

  /** The number of completed steps. */
  get step(): number {
    return this.#core.step();
  }
  /**
   * Takes one step. Returns false, without effect, if all are done. Throws DisposedError if the denoiser was
   * disposed.
   */
  advance(): boolean {
    const sampler = this.#core;
    this.#getModel();
    return sampler.advance();
  }
  *[Symbol.iterator](): Iterator<SamplerFrame> {
    while (this.advance()) yield { step: this.step, steps: this.steps };
  }

  /** Returns the current estimate of the picture: planar [3, imageSize, imageSize], values from -1 to 1. */
  picture(): Float32Array {
    return this.#core.picture().slice();
  }
  /** Returns the current estimate as imageSize² RGBA pixels, for ImageData. */
  rgba(): Uint8ClampedArray {
    const planes = this.#core.picture();
    const pixels = planes.length / 3;
    const rgba = new Uint8ClampedArray(4 * pixels);
    for (let pixel = 0; pixel < pixels; ++pixel) {
      for (let channel = 0; channel < 3; ++channel) {
        rgba[4 * pixel + channel] = 127.5 * (planes[channel * pixels + pixel]! + 1);
      }
      rgba[4 * pixel + 3] = 255;
    }
    return rgba;
  }
  /**
   * Returns the attention of each token to each word, [words, mapSize, mapSize]: probabilities, averaged over
   * the steps so far. Throws ArgumentError if the sampler was created with `maps: false`.
   *
   * @param options.block index of a transformer block; default: the average over all
   * @param options.head index of a head; default: the average over all
   */
  maps(options?: { block?: number; head?: number }): Float32Array {
    const { block, head } = readOptions('options', options, ['block', 'head']);
    const indexOf = (name: string, value: number | undefined, count: number): number =>
      value === undefined ? -1 : checkInteger(name, value, 0, count - 1);
    const { blocks, heads } = this.#configuration;
    return this.#core.maps(indexOf('block', block, blocks), indexOf('head', head, heads)).slice();
  }

  get disposed(): boolean {
    return this.#sampler.disposed;
  }
  /** Frees its memory. A second call has no effect. */
  dispose(): void {
    this.#sampler.dispose();
  }
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Checks the options and creates a Sampler. */
export function makeSampler(
  getModel: () => CoreDenoiser,
  configuration: CoreConfiguration,
  options: SamplerOptions,
): Sampler {
  if (typeof options !== 'object' || options === null) fail('options', options, 'an object with a prompt');
  return new Sampler(internal, getModel, configuration, checkSampler(options));
}
