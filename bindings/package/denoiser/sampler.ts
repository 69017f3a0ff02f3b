import {
  checkBoolean,
  checkFinite,
  checkInteger,
  checkNumbers,
  checkOptions,
  checkString,
  fail,
} from '../checks';
import { Owned } from '../handles';
import type { CoreConfiguration, CoreDenoiser, CoreSampler, CoreSamplerOptions } from './core';
import { getCore } from './runtime';

/** "Keep the picture that this prompt has with this seed, and change what differs" (Hertz et al., "Prompt-to-prompt", 2022). */
export interface EditOptions {
  from: string;
  /** Of the words of `from`. */
  wordWeights?: readonly number[];
  /** Share of the steps in which the words keep the attention that they have in `from`, 0 to 1. Default 0.8. */
  crossSteps?: number;
  /** Share of the steps in which the picture keeps its attention to itself, 0 to 1. Default 0.5. */
  selfSteps?: number;
  /** Whether pixels that no changed word looks at, there or in the tokens around, stay as they were. Default true. */
  keepElsewhere?: boolean;
}

export interface SamplerOptions {
  prompt: string;
  /** An integer from 0 to 2^53 - 1. The same seed gives the same picture. Default 0. */
  seed?: number;
  /** 1 to 1000. Default 20. */
  steps?: number;
  /** Classifier-free guidance, 0 to 100; 1: none. Default 3. */
  guidance?: number;
  /**
   * How much of the noise is drawn anew in each step, 0 to 1: DDIM's eta (Song et al., 2021). 0: none, Euler's method. New
   * noise lets later steps mend what earlier ones got wrong. Default 0.5.
   */
  eta?: number;
  /** Attention of each word, by its place in the prompt: 1 as it is, 0 none at all, 2 twice as much, up to 1000. */
  wordWeights?: readonly number[];
  edit?: EditOptions;
  /** Whether heat maps are collected. Default true. */
  maps?: boolean;
}

export interface SamplerFrame {
  /** Steps that are done: 1 after the first one. */
  step: number;
  steps: number;
}

const checkWeights = (argument: string, weights: unknown): readonly number[] =>
  weights === undefined ? [] : Array.from(checkNumbers(argument, weights));

function checkEdit(edit: EditOptions | undefined): CoreSamplerOptions['edit'] {
  if (edit === undefined) return undefined;
  const {
    from,
    wordWeights,
    crossSteps = 0.8,
    selfSteps = 0.5,
    keepElsewhere = true,
  } = checkOptions('edit', edit);
  return {
    from: checkString('edit.from', from),
    wordWeights: checkWeights('edit.wordWeights', wordWeights),
    crossSteps: checkFinite('edit.crossSteps', crossSteps),
    selfSteps: checkFinite('edit.selfSteps', selfSteps),
    keepElsewhere: checkBoolean('edit.keepElsewhere', keepElsewhere),
  };
}

function checkSampler(options: SamplerOptions): CoreSamplerOptions {
  const { prompt, seed = 0, steps = 20, guidance = 3, eta = 0.5, wordWeights, edit, maps = true } = options;
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

/** A picture on its way from noise, a step at a time. Iterating does the steps that are left. */
export class Sampler implements Iterable<SamplerFrame>, Disposable {
  static readonly name = 'Sampler';
  /** The prompt's words as the model sees them. */
  readonly words: readonly string[];
  readonly steps: number;
  readonly #sampler: Owned<CoreSampler>;
  readonly #getModel: () => CoreDenoiser;
  readonly #configuration: CoreConfiguration;

  /** @internal */
  constructor(getModel: () => CoreDenoiser, configuration: CoreConfiguration, options: CoreSamplerOptions) {
    this.#getModel = getModel;
    this.#configuration = configuration;
    this.#sampler = new Owned(this, getCore().Sampler.create(getModel(), options));
    this.words = getCore().splitWords(options.prompt);
    this.steps = options.steps;
  }

  get #core(): CoreSampler {
    return this.#sampler.get('the sampler');
  }

  /** Steps that are done. */
  get step(): number {
    return this.#core.step();
  }
  /** One step; false, and nothing done, where all are. Throws DisposedError where the denoiser was disposed of. */
  advance(): boolean {
    const sampler = this.#core;
    this.#getModel();
    return sampler.advance();
  }
  *[Symbol.iterator](): Iterator<SamplerFrame> {
    while (this.advance()) yield { step: this.step, steps: this.steps };
  }

  /** The present estimate of the picture, planar [3, imageSize, imageSize], values from -1 to 1. */
  picture(): Float32Array {
    return this.#core.picture().slice();
  }
  /** The same as imageSize² pixels of red, green, blue and opacity, for ImageData. */
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
   * How much each place of the picture has attended to each word, [words, mapSize, mapSize]: probabilities, averaged over
   * the steps so far and over all blocks and heads, or those chosen. Throws ArgumentError where maps were not asked for.
   */
  maps(options?: { block?: number; head?: number }): Float32Array {
    const { block, head } = checkOptions('options', options);
    const place = (name: string, value: number | undefined, count: number): number =>
      value === undefined ? -1 : checkInteger(name, value, 0, count - 1);
    const { blocks, heads } = this.#configuration;
    return this.#core.maps(place('block', block, blocks), place('head', head, heads)).slice();
  }

  get disposed(): boolean {
    return this.#sampler.disposed;
  }
  /** Frees its memory; a second time does nothing. */
  dispose(): void {
    this.#sampler.dispose();
  }
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Checked. */
export function makeSampler(
  getModel: () => CoreDenoiser,
  configuration: CoreConfiguration,
  options: SamplerOptions,
): Sampler {
  getModel();
  if (typeof options !== 'object' || options === null) fail('options', options, 'an object with a prompt');
  return new Sampler(getModel, configuration, checkSampler(options));
}
