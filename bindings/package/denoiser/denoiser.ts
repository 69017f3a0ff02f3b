import { takeBytes, withBytes } from '../bytes';
import { checkFinite, checkInteger, checkOneOf, checkString, readOptions } from '../checks';
import { ArgumentError } from '../errors';
import { Owned } from '../handles';
import { guardMethods, internal, requireInternal } from '../instances';
import type { CoreConfiguration, CoreDenoiser, DenoiserOptions } from './core';
import { checkFineTuner, type FineTuner, type FineTunerOptions, makeFineTuner } from './fine_tuner';
import { checkFile, getCore } from './runtime';
import { makeSampler, type Sampler, type SamplerOptions } from './sampler';
import { makeTrainer, type Trainer, type TrainerOptions } from './trainer';

const defaults: Required<DenoiserOptions> = {
  imageSize: 32,
  pixelFeatures: 16,
  pixelBlocks: 1,
  patch: 4,
  features: 128,
  blocks: 5,
  heads: 4,
  textFeatures: 128,
  textBlocks: 2,
  textHeads: 4,
  seed: 0,
};

/** The core's limit for each size. */
const maxSize = 16384;

function checkDenoiser(options: DenoiserOptions | undefined): Required<DenoiserOptions> {
  const checked = { ...defaults };
  const names = Object.keys(defaults) as (keyof DenoiserOptions)[];
  const given = readOptions('options', options, names);
  for (const name of names) {
    const { [name]: value = defaults[name] } = given;
    const min = name === 'pixelBlocks' || name === 'textBlocks' || name === 'seed' ? 0 : 1;
    checked[name] = checkInteger(name, value, min, name === 'seed' ? Number.MAX_SAFE_INTEGER : maxSize);
  }
  return checked;
}

/**
 * A text-conditional diffusion transformer (Peebles and Xie, "Scalable diffusion models with transformers",
 * 2023). All its attention layers are DiffusionCrossAttention. Pictures are Float32Array, planar [3,
 * imageSize, imageSize], values from -1 to 1.
 *
 * @example
 * await init();
 * using denoiser = Denoiser.load(weights);
 * using sampler = denoiser.sampler({ prompt: 'a red circle', steps: 20 });
 * while (sampler.advance());
 * const pixels = sampler.rgba();
 */
export class Denoiser implements Disposable {
  static readonly name = 'Denoiser';
  readonly #model: Owned<CoreDenoiser>;
  readonly #configuration: CoreConfiguration;
  #loraScale = 1;
  #tuner: FineTuner | null = null;

  static {
    guardMethods(this, (value) => #model in value);
  }

  private constructor(token: typeof internal, model: CoreDenoiser) {
    requireInternal(token, 'Denoiser', 'Denoiser.load or create');
    this.#model = new Owned(this, model);
    this.#configuration = model.describe();
  }

  /**
   * Loads a .safetensors file that `save` or `npm run train` has written. Throws WeightsError if the file is
   * corrupt or not of such a model.
   */
  static load(weights: Uint8Array | ArrayBuffer): Denoiser {
    return new Denoiser(
      internal,
      withBytes(getCore(), checkFile('weights', weights), (bytes) => getCore().DenoiserModel.load(bytes)),
    );
  }

  /**
   * Creates a model with random weights for training. Its vocabulary has the words of the scenes' captions.
   */
  static create(options?: DenoiserOptions): Denoiser {
    return new Denoiser(internal, getCore().DenoiserModel.create(checkDenoiser(options)));
  }

  get #core(): CoreDenoiser {
    return this.#model.get('the denoiser');
  }

  /** Pixels along a side of a picture. */
  get imageSize(): number {
    return this.#configuration.imageSize;
  }
  /** Tokens along a side, which is the size of heat maps. */
  get mapSize(): number {
    return this.#configuration.mapSize;
  }
  /** Transformer blocks, each of which has one cross-attention to the words. */
  get blocks(): number {
    return this.#configuration.blocks;
  }
  /** Heads of each attention. */
  get heads(): number {
    return this.#configuration.heads;
  }
  /** The number of trainable parameters. */
  get parameterCount(): number {
    return this.#configuration.parameterCount;
  }
  /** The maximum number of words of a prompt. */
  get maxWords(): number {
    return this.#configuration.maxWords;
  }
  /** @deprecated Use maxWords. */
  get mostWords(): number {
    return this.maxWords;
  }
  /** All known words. */
  get vocabulary(): readonly string[] {
    return this.#core.words();
  }

  /** Returns the words of a prompt as the model sees them: in lower case, without punctuation. */
  splitWords(prompt: string): string[] {
    return getCore().splitWords(checkString('prompt', prompt));
  }
  /** Returns the words of a prompt that are not in the vocabulary. */
  unknownWords(prompt: string): string[] {
    const known = new Set(this.vocabulary);
    return this.splitWords(prompt).filter((word) => !known.has(word));
  }

  /**
   * Creates a sampler. Throws ArgumentError that names an unknown word or the option that is out of range.
   */
  sampler(options: SamplerOptions): Sampler {
    return makeSampler(() => this.#core, this.#configuration, options);
  }

  /**
   * Creates a trainer of all parameters on generated scenes. Throws ArgumentError that names the wrong
   * option, or if the denoiser has a FineTuner: then only what that trains is trainable.
   */
  trainer(options?: TrainerOptions): Trainer {
    const getModel = (): CoreDenoiser => {
      const model = this.#core;
      this.#requireNoFineTuner('a trainer');
      return model;
    };
    return makeTrainer(getModel, options);
  }

  /**
   * Creates a FineTuner, which trains a word from pictures: its embedding and low-rank updates of the
   * attentions (LoRA), nothing else. The updates stay after the FineTuner was disposed. A denoiser has one
   * FineTuner at a time. Samplers that were created before it cannot continue. The meaning of a known word is
   * overwritten. Throws ArgumentError or ShapeError that names the wrong option.
   *
   * @example
   * using tuner = denoiser.fineTuner({ word: 'heart', pictures, captions });
   * for (let step = 0; step < 200; ++step) tuner.step(step / 200);
   */
  fineTuner(options: FineTunerOptions): FineTuner {
    // Reading the options runs the caller's code, which may dispose the denoiser or create a FineTuner.
    const checked = checkFineTuner(options, this.#configuration);
    const model = this.#core;
    this.#requireNoFineTuner('another one');
    this.#tuner = makeFineTuner(model, checked);
    return this.#tuner;
  }

  /** @deprecated Use fineTuner. */
  learner(options: FineTunerOptions): FineTuner {
    return this.fineTuner(options);
  }

  /**
   * Loads low-rank updates that `saveLora` has written, with the names of diffusers, and replaces existing
   * ones. Returns the words that they define. Throws WeightsError if the file does not match; then nothing
   * has changed.
   */
  loadLora(file: Uint8Array | ArrayBuffer): string[] {
    const model = this.#core;
    this.#requireNoFineTuner('loadLora');
    withBytes(getCore(), checkFile('file', file), (bytes) => model.loadLora(bytes));
    this.#loraScale = 1;
    return model.loraWords()!;
  }
  /** Returns the low-rank updates as a .safetensors file. Throws ArgumentError if there are none. */
  saveLora(): Uint8Array {
    return takeBytes(this.#modelWithLora().saveLora());
  }
  /** Removes the low-rank updates. The words that they define stay in the vocabulary. */
  unloadLora(): void {
    const model = this.#core;
    this.#requireNoFineTuner('unloadLora');
    model.unloadLora();
    this.#loraScale = 1;
  }
  /** Factor of the low-rank updates: 1, the default, as trained; 0 without effect. */
  get loraScale(): number {
    return this.#loraScale;
  }
  set loraScale(scale: number) {
    this.#modelWithLora().setLoraScale(checkFinite('loraScale', scale));
    this.#loraScale = scale;
  }

  #modelWithLora(): CoreDenoiser {
    if (this.#core.loraWords() === undefined) {
      throw new ArgumentError('the denoiser has no LoRA; use loadLora or fineTuner first');
    }
    return this.#core;
  }
  #requireNoFineTuner(user: string): void {
    if (this.#tuner !== null && !this.#tuner.disposed) {
      throw new ArgumentError(`the denoiser has a FineTuner; dispose it before ${user}`);
    }
  }

  /** Returns the model without its LoRA as a .safetensors file for `load`. `dtype` defaults to 'float16'. */
  save(options?: { dtype?: 'float16' | 'float32' }): Uint8Array {
    const { dtype = 'float16' } = readOptions('options', options, ['dtype']);
    checkOneOf('dtype', dtype, ['float16', 'float32']);
    return takeBytes(this.#core.save(dtype === 'float16' ? 'F16' : 'F32'));
  }

  get disposed(): boolean {
    return this.#model.disposed;
  }
  /**
   * Frees its memory and that of its FineTuner. Its samplers cannot continue. A second call has no effect.
   */
  dispose(): void {
    this.#tuner?.dispose();
    this.#model.dispose();
  }
  [Symbol.dispose](): void {
    this.dispose();
  }
}
