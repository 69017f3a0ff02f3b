import { checkFinite, checkInteger, checkOneOf, checkOptions, checkString } from '../checks';
import { takeBytes, withBytes } from '../bytes';
import { ArgumentError } from '../errors';
import { Owned } from '../handles';
import type { CoreConfiguration, CoreDenoiser, DenoiserOptions } from './core';
import { Learner, type LearnerOptions, makeLearner } from './learner';
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

/** The core's own limit, by its own names. */
const mostSize = 16384;

function checkDenoiser(options: DenoiserOptions): Required<DenoiserOptions> {
  const checked = { ...defaults };
  for (const name of Object.keys(defaults) as (keyof DenoiserOptions)[]) {
    const { [name]: value = defaults[name] } = options;
    const least = name === 'pixelBlocks' || name === 'textBlocks' || name === 'seed' ? 0 : 1;
    checked[name] = checkInteger(name, value, least, name === 'seed' ? Number.MAX_SAFE_INTEGER : mostSize);
  }
  return checked;
}

/**
 * A text-conditional diffusion transformer (Peebles and Xie, "Scalable diffusion models with transformers", 2023) whose
 * every attention is DiffusionCrossAttention. Pictures are Float32Array, planar [3, imageSize, imageSize], values from -1
 * to 1.
 */
export class Denoiser implements Disposable {
  static readonly name = 'Denoiser';
  readonly #model: Owned<CoreDenoiser>;
  readonly #configuration: CoreConfiguration;
  #loraScale = 1;
  #learner: Learner | null = null;

  private constructor(model: CoreDenoiser) {
    this.#model = new Owned(this, model);
    this.#configuration = model.describe();
  }

  /** From a .safetensors file that `save` or `npm run train` has written. Throws WeightsError where it is none. */
  static load(weights: Uint8Array | ArrayBuffer): Denoiser {
    return new Denoiser(
      withBytes(getCore(), checkFile('weights', weights), (bytes) => getCore().DenoiserModel.load(bytes)),
    );
  }

  /** A model with random weights, which knows the words of scenes' captions: for training. */
  static create(options?: DenoiserOptions): Denoiser {
    return new Denoiser(getCore().DenoiserModel.create(checkDenoiser(checkOptions('options', options))));
  }

  get #core(): CoreDenoiser {
    return this.#model.get('the denoiser');
  }

  /** Pixels along a side of its pictures. */
  get imageSize(): number {
    return this.#configuration.imageSize;
  }
  /** Tokens along a side: of heat maps. */
  get mapSize(): number {
    return this.#configuration.mapSize;
  }
  /** Blocks, each of which attends to the words once. */
  get blocks(): number {
    return this.#configuration.blocks;
  }
  /** Heads of each attention. */
  get heads(): number {
    return this.#configuration.heads;
  }
  /** Numbers that were learned. */
  get parameterCount(): number {
    return this.#configuration.parameterCount;
  }
  /** Words that a prompt may have at most. */
  get mostWords(): number {
    return this.#configuration.maxWords;
  }
  /** All words that it knows. */
  get vocabulary(): readonly string[] {
    return this.#core.words();
  }

  /** The words of a prompt as the model will see them: in lower case, without punctuation. */
  splitWords(prompt: string): string[] {
    return getCore().splitWords(checkString('prompt', prompt));
  }
  /** Those of them that it does not know. */
  unknownWords(prompt: string): string[] {
    const known = new Set(this.vocabulary);
    return this.splitWords(prompt).filter((word) => !known.has(word));
  }

  /** Begins a picture. Throws ArgumentError, naming what is wrong: a word that it does not know, an option out of range. */
  sampler(options: SamplerOptions): Sampler {
    return makeSampler(() => this.#core, this.#configuration, options);
  }

  /**
   * Begins to train all of it on scenes. Throws ArgumentError, naming what is wrong. While the denoiser has a learner no
   * trainer can be made or used: only what learns a word is trainable then.
   */
  trainer(options?: TrainerOptions): Trainer {
    const getModel = (): CoreDenoiser => {
      const model = this.#core;
      this.#checkNoLearner('a trainer');
      return model;
    };
    return makeTrainer(getModel, options);
  }

  /**
   * Begins to learn a word from pictures: its embedding and low-rank updates of the attentions (LoRA), nothing else. The
   * updates stay when the learner is disposed of. One learner at a time; samplers that were made before cannot go on. A word
   * that was known is learned anew: what it meant is not kept.
   * Throws ArgumentError or ShapeError, naming what is wrong.
   */
  learner(options: LearnerOptions): Learner {
    const model = this.#core;
    if (this.#learner !== null && !this.#learner.disposed)
      throw new ArgumentError('the denoiser has a learner; it takes one after that was disposed of');
    this.#learner = makeLearner(model, this.#configuration, options);
    return this.#learner;
  }

  /**
   * Low-rank updates that `saveLora` has written, with diffusers' names, in place of those that are there. Returns the
   * words that they bring. Throws WeightsError where the file does not fit, and then nothing has changed.
   */
  loadLora(file: Uint8Array | ArrayBuffer): string[] {
    const model = this.#core;
    this.#checkNoLearner('its LoRA');
    withBytes(getCore(), checkFile('file', file), (bytes) => model.loadLora(bytes));
    this.#loraScale = 1;
    return model.loraWords()!;
  }
  /** The updates as a .safetensors file. Throws ArgumentError where there are none. */
  saveLora(): Uint8Array {
    return takeBytes(this.#modelWithLora().saveLora());
  }
  /** Forgets the updates; the words that they brought stay known. */
  unloadLora(): void {
    const model = this.#core;
    this.#checkNoLearner('its LoRA');
    model.unloadLora();
    this.#loraScale = 1;
  }
  /** By how much the updates count: 1 as they were learned, 0 not at all. */
  get loraScale(): number {
    return this.#loraScale;
  }
  set loraScale(scale: number) {
    this.#modelWithLora().setLoraScale(checkFinite('loraScale', scale));
    this.#loraScale = scale;
  }

  #modelWithLora(): CoreDenoiser {
    if (this.#core.loraWords() === undefined)
      throw new ArgumentError('the denoiser has no LoRA; it takes loadLora or a learner first');
    return this.#core;
  }
  #checkNoLearner(what: string): void {
    if (this.#learner !== null && !this.#learner.disposed)
      throw new ArgumentError(`the denoiser has a learner; ${what} takes that to be disposed of first`);
  }

  /** The model without its LoRA as a .safetensors file, which `load` reads. */
  save(options?: { dtype?: 'float16' | 'float32' }): Uint8Array {
    const { dtype = 'float16' } = checkOptions('options', options);
    checkOneOf('dtype', dtype, ['float16', 'float32']);
    return takeBytes(this.#core.save(dtype === 'float16' ? 'F16' : 'F32'));
  }

  get disposed(): boolean {
    return this.#model.disposed;
  }
  /** Frees its memory, and that of its learner; a second time does nothing. Samplers of it cannot go on. */
  dispose(): void {
    this.#learner?.dispose();
    this.#model.dispose();
  }
  [Symbol.dispose](): void {
    this.dispose();
  }
}
