import { checkArray, checkFinite, checkInteger, checkString, fail, read, readOptions } from '../checks';
import { ShapeError } from '../errors';
import { Owned } from '../handles';
import { guardMethods, internal, lockFields, requireInternal } from '../instances';
import { checkNumbers } from '../numbers';
import { typedArrayName } from '../typed_arrays';
import type { CoreConfiguration, CoreDenoiser, CoreFineTuner, CoreFineTunerOptions } from './core';
import { getCore } from './runtime';

export interface FineTunerOptions {
  /** One word in lower case, new or known. */
  word: string;
  /** The known word whose embedding is the initial value of a new word's. Default 'circle'. */
  like?: string;
  /** 1 to 64 pictures: planar [3, imageSize, imageSize], values from -1 to 1. */
  pictures: readonly Float32Array[];
  /**
   * Captions of known words and the new one: one for each picture, or several, of which each step draws one.
   * Default: 'a ' and the word. What all captions say becomes part of the word's meaning; what none of them
   * says cannot be changed by a prompt. For a shape of any colour, use captions with and without its colour:
   * ['a red heart', 'a heart'].
   */
  captions?: readonly (string | readonly string[])[];
  /**
   * Rank of new low-rank updates, 1 to 64. Existing updates are trained further with their rank. Default 4.
   */
  rank?: number;
  /** Learning rate of Adam, 0 to 1. Default 0.005. */
  learningRate?: number;
  /** Pictures in each step, 1 to 256. Default 4. */
  batch?: number;
  /** Share of known scenes in a batch, which prevent forgetting, 0 to 0.95. Default 0.25. */
  rehearsal?: number;
  /** Maximum random shift of a picture in pixels; its border is repeated. Default 2. */
  shift?: number;
  /** Seed of the random choices, 0 to 2^53 - 1. Default 0. */
  seed?: number;
}

const maxPictures = 64;

function checkPictures(pictures: unknown, { imageSize }: CoreConfiguration): readonly Float32Array[] {
  const size = 3 * imageSize * imageSize;
  const given = checkArray('pictures', pictures, 'an array of Float32Array');
  if (given.length > maxPictures) {
    throw new ShapeError(`pictures has ${given.length} pictures; expected 1 to ${maxPictures}`);
  }
  return given.map((picture, index) => {
    const name = `pictures[${index}]`;
    if (typedArrayName(picture) !== 'Float32Array') fail(name, picture, 'a Float32Array');
    const checkLength = (length: number): void => {
      if (length === size) return;
      throw new ShapeError(`${name} has ${length} values; expected ${size}: [3, ${imageSize}, ${imageSize}]`);
    };
    const values = checkNumbers(name, picture, checkLength).values as Float32Array;
    const wrong = values.find((value) => !Number.isFinite(value));
    if (wrong !== undefined) fail(`a value of ${name}`, wrong, 'finite values');
    return values;
  });
}

function checkCaptions(captions: unknown): readonly (readonly string[])[] {
  const expected = 'an array of strings, or of arrays of strings';
  return checkArray('captions', captions, expected, maxPictures).map((caption, picture) => {
    const name = `captions[${picture}]`;
    if (!read(name, () => Array.isArray(caption))) return [checkString(name, caption)];
    return checkArray(name, caption, expected).map((text, index) => checkString(`${name}[${index}]`, text));
  });
}

const optionNames = [
  'word',
  'like',
  'pictures',
  'captions',
  'rank',
  'learningRate',
  'batch',
  'rehearsal',
  'shift',
  'seed',
] as const satisfies readonly (keyof FineTunerOptions)[];

/** Reading the options runs the caller's code. */
export function checkFineTuner(
  options: FineTunerOptions,
  configuration: CoreConfiguration,
): CoreFineTunerOptions {
  if (typeof options !== 'object' || options === null) {
    fail('options', options, 'an object with a word and pictures');
  }
  const given = readOptions('options', options, optionNames);
  const { word, like = 'circle', rank = 4, learningRate = 0.005, batch = 4, seed = 0 } = given;
  const { rehearsal = 0.25, shift = 2 } = given;
  checkString('word', word);
  const pictures = checkPictures(given.pictures, configuration);
  return {
    word,
    like: checkString('like', like),
    pictures,
    captions: checkCaptions(given.captions ?? pictures.map(() => `a ${word}`)),
    rank: checkInteger('rank', rank, 1, 64),
    learningRate: checkFinite('learningRate', learningRate),
    batch: checkInteger('batch', batch, 1, 256),
    rehearsal: checkFinite('rehearsal', rehearsal),
    shift: checkInteger('shift', shift, 0, configuration.imageSize - 1),
    seed: checkInteger('seed', seed, 0, Number.MAX_SAFE_INTEGER),
  };
}

/** Fine-tunes a denoiser on pictures of one word. See Denoiser.fineTuner. */
export class FineTuner implements Disposable {
  static readonly name = 'FineTuner';
  readonly word: string;
  readonly #tuner: Owned<CoreFineTuner>;
  #step = 0;

  static {
    guardMethods(this, (value) => #tuner in value);
  }

  /** @internal */
  constructor(token: typeof internal, model: CoreDenoiser, options: CoreFineTunerOptions) {
    requireInternal(token, 'FineTuner', 'Denoiser.fineTuner');
    this.#tuner = new Owned(this, getCore().FineTuner.create(model, options));
    this.word = options.word;
    lockFields(this);
  }

  /**
   * Takes one step of Adam. Returns the number of steps so far, and the loss before this step. Throws
   * ArgumentError; then nothing has changed.
   *
   * @param done share of the whole fine-tuning, in time or in steps, that is done, 0 to 1. The learning rate
   * decays to zero from 0.4 to 1. Default 0: no decay.
   */
  step(done = 0): { step: number; loss: number } {
    const loss = this.#tuner.get('the FineTuner').step(checkFinite('done', done));
    return { step: ++this.#step, loss };
  }

  get disposed(): boolean {
    return this.#tuner.disposed;
  }
  /** Frees its memory. The denoiser keeps the updates. A second call has no effect. */
  dispose(): void {
    this.#tuner.dispose();
  }
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Creates a FineTuner with checked options. */
export const makeFineTuner = (model: CoreDenoiser, options: CoreFineTunerOptions): FineTuner =>
  new FineTuner(internal, model, options);
