import { checkFinite, checkInteger, checkString, fail } from '../checks';
import { ShapeError } from '../errors';
import { Owned } from '../handles';
import type { CoreConfiguration, CoreDenoiser, CoreLearner, CoreLearnerOptions } from './core';
import { getCore } from './runtime';

export interface LearnerOptions {
  /** One word in lower case; new, or to be learned further. */
  word: string;
  /** The known word whose embedding a new one begins with. Default 'circle'. */
  like?: string;
  /** 1 to 64 pictures: planar [3, imageSize, imageSize], values from -1 to 1. */
  pictures: readonly Float32Array[];
  /**
   * One a picture, of known words and the new one, or several, of which one is drawn anew at each step. Default: 'a ' and
   * the word. They decide what the word can be said with: what they always say belongs to it, what they never say it does not
   * know how to be. With a colour and without, ['a red heart', 'a heart'], is right for a shape that shall take any colour.
   */
  captions?: readonly (string | readonly string[])[];
  /** Of the updates, 1 to 64; where there are some already, those are learned further. Default 4. */
  rank?: number;
  /** Of Adam, 0 to 1. Default 0.005. */
  learningRate?: number;
  /** Pictures a step, 1 to 256. Default 4. */
  batch?: number;
  /** Share of a batch that are scenes which the model knows, so that it does not forget them, 0 to 0.95. Default 0.25. */
  rehearsal?: number;
  /** Pixels that a picture is moved by at most, its border repeated. Default 2. */
  shift?: number;
  seed?: number;
}

function checkPictures(pictures: unknown, { imageSize }: CoreConfiguration): readonly Float32Array[] {
  if (!Array.isArray(pictures)) fail('pictures', pictures, 'an array of Float32Array');
  const size = 3 * imageSize * imageSize;
  pictures.forEach((picture: unknown, index) => {
    if (!(picture instanceof Float32Array)) fail(`pictures[${index}]`, picture, 'a Float32Array');
    if (picture.length !== size) {
      throw new ShapeError(
        `pictures[${index}] has ${picture.length} values; it takes ${size}: [3, ${imageSize}, ${imageSize}]`,
      );
    }
    if (!picture.every(Number.isFinite)) fail(`pictures[${index}]`, 'not finite', 'finite values');
  });
  return pictures as Float32Array[];
}

function checkLearner(options: LearnerOptions, configuration: CoreConfiguration): CoreLearnerOptions {
  if (typeof options !== 'object' || options === null)
    fail('options', options, 'an object with a word and pictures');
  const { word, like = 'circle', rank = 4, learningRate = 0.005, batch = 4, seed = 0 } = options;
  const { rehearsal = 0.25, shift = 2 } = options;
  checkString('word', word);
  const pictures = checkPictures(options.pictures, configuration);
  const captions: unknown = options.captions ?? pictures.map(() => `a ${word}`);
  if (!Array.isArray(captions)) fail('captions', captions, 'an array of strings, or of arrays of strings');
  return {
    word,
    like: checkString('like', like),
    pictures,
    captions: captions.map((caption: unknown, picture) => {
      const name = `captions[${picture}]`;
      if (!Array.isArray(caption)) return [checkString(name, caption)];
      return caption.map((one: unknown, index) => checkString(`${name}[${index}]`, one));
    }),
    rank: checkInteger('rank', rank, 1, 64),
    learningRate: checkFinite('learningRate', learningRate),
    batch: checkInteger('batch', batch, 1, 256),
    rehearsal: checkFinite('rehearsal', rehearsal),
    shift: checkInteger('shift', shift, 0, configuration.imageSize - 1),
    seed: checkInteger('seed', seed, 0, Number.MAX_SAFE_INTEGER),
  };
}

/** Teaches a denoiser a word, a step at a time. See Denoiser.learner. */
export class Learner implements Disposable {
  static readonly name = 'Learner';
  readonly word: string;
  readonly #learner: Owned<CoreLearner>;
  #step = 0;

  /** @internal */
  constructor(model: CoreDenoiser, options: CoreLearnerOptions) {
    this.#learner = new Owned(this, getCore().FineTuner.create(model, options));
    this.word = options.word;
  }

  /**
   * One step of Adam. `done` is the share of the whole teaching, in time or in steps, that lies behind, 0 to 1: beyond 0.4 of
   * it the learning rate falls to zero, and what was learned settles. Default 0: it does not fall. Returns the number of
   * steps so far, and the loss before this one. Throws ArgumentError, and then nothing has changed.
   */
  step(done = 0): { step: number; loss: number } {
    const loss = this.#learner.get('the learner').step(checkFinite('done', done));
    return { step: ++this.#step, loss };
  }

  get disposed(): boolean {
    return this.#learner.disposed;
  }
  /** Frees its memory; what was learned stays with the denoiser. A second time does nothing. */
  dispose(): void {
    this.#learner.dispose();
  }
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Checked. */
export function makeLearner(
  model: CoreDenoiser,
  configuration: CoreConfiguration,
  options: LearnerOptions,
): Learner {
  return new Learner(model, checkLearner(options, configuration));
}
