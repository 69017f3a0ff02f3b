import {
  randomScene,
  type Denoiser,
  type DenoiserRuntimeInfo,
  type SamplerOptions,
} from 'diffusion-cross-attention/denoiser';
import { messageOf } from '../../shared/message_of';
import { nextTask } from '../../shared/next_task';
import type { GeneratorMessage, MapChoice, GeneratorEvent } from '../messages';
import { omitDefaultWeights, type PictureRequest } from '../request';
import { AttentionMapHistory } from './attention_map_history';

export type Post = (event: GeneratorEvent, transfer?: Transferable[]) => void;

/** Draws one picture at a time, step by step, and handles messages between the steps. */
export class Generator {
  readonly #load: () => Denoiser;
  readonly #post: Post;
  #denoiser: Denoiser;
  #choice: MapChoice = {};
  #learned: readonly string[] = [];
  /** The number of the picture that is being drawn. */
  #run: number | undefined;
  /** The attention maps of the latest picture, finished or not. */
  #latest: { readonly run: number; readonly history: AttentionMapHistory } | undefined;

  /** @param load returns a new model without learned words */
  constructor(load: () => Denoiser, runtime: DenoiserRuntimeInfo, post: Post) {
    this.#load = load;
    this.#denoiser = load();
    this.#post = post;
    const { blocks, heads, parameterCount } = this.#denoiser;
    const seconds = performance.now() / 1000;
    post({
      kind: 'ready',
      runtime,
      isolated: self.crossOriginIsolated,
      blocks,
      heads,
      parameterCount,
      seconds,
    });
    this.#postWords();
  }

  handle(message: GeneratorMessage): void {
    switch (message.kind) {
      case 'generate':
        this.#stop();
        void this.#draw(message.run, message.request);
        break;
      case 'cancel':
        this.#stop();
        break;
      case 'chooseMaps':
        this.#choice = message.choice;
        this.#postMaps();
        break;
      case 'check':
        this.#check(message.prompt);
        break;
      case 'surprise':
        this.#post({ kind: 'scene', prompt: randomScene({ seed: message.seed }).plainCaption });
        break;
      case 'loadWords':
        this.#loadWords(message.bytes);
        break;
      case 'removeWords':
        this.#loadWords(undefined);
        break;
    }
  }

  /** Loads learned words into a new model, so that they replace the ones that were loaded before. */
  #loadWords(bytes: Uint8Array | undefined): void {
    const denoiser = this.#load();
    try {
      this.#learned = bytes ? denoiser.loadLora(bytes) : [];
    } catch (error) {
      denoiser.dispose();
      throw error;
    }
    this.#stop();
    this.#denoiser.dispose();
    this.#denoiser = denoiser;
    this.#postWords();
  }

  #stop(): void {
    if (this.#run === undefined) return;
    this.#post({ kind: 'stopped', run: this.#run });
    this.#run = undefined;
  }

  async #draw(run: number, request: PictureRequest): Promise<void> {
    this.#run = run;
    try {
      using sampler = this.#denoiser.sampler(optionsOf(request));
      const history = new AttentionMapHistory(this.#denoiser);
      this.#latest = { run, history };
      this.#post({ kind: 'started', run, words: sampler.words });
      const start = performance.now();
      /** Time of the steps alone, in milliseconds. */
      let computed = 0;
      while (sampler.step < sampler.steps) {
        const before = performance.now();
        sampler.advance();
        computed += performance.now() - before;
        const { step, steps } = sampler;
        const pixels = new Uint8ClampedArray(sampler.rgba());
        history.add(sampler);
        const maps = history.at(step - 1, this.#choice);
        const milliseconds = computed / step;
        this.#post({ kind: 'frame', run, step, steps, pixels, maps, milliseconds }, [
          pixels.buffer,
          maps.bytes.buffer,
        ]);
        await nextTask();
        if (this.#run !== run) return;
      }
      const seconds = (performance.now() - start) / 1000;
      this.#post({ kind: 'finished', run, seconds, milliseconds: computed / sampler.steps });
      this.#run = undefined;
    } catch (error) {
      if (this.#run === run) this.#stop();
      this.#post({ kind: 'error', message: messageOf(error) });
    }
  }

  #postMaps(): void {
    if (!this.#latest) return;
    const { run, history } = this.#latest;
    const maps = Array.from({ length: history.steps }, (_, step) => history.at(step, this.#choice));
    this.#post(
      { kind: 'maps', run, maps },
      maps.map(({ bytes }) => bytes.buffer),
    );
  }

  #check(prompt: string): void {
    const words = this.#denoiser.splitWords(prompt);
    const unknown = this.#denoiser.unknownWords(prompt);
    this.#post({ kind: 'checked', prompt, words, unknown, maxWords: this.#denoiser.maxWords });
  }

  #postWords(): void {
    const learned = this.#learned;
    const vocabulary = [...new Set([...this.#denoiser.vocabulary, ...learned])];
    this.#post({ kind: 'words', vocabulary, learned });
  }
}

function optionsOf({ prompt, seed, steps, guidance, weights, edit }: PictureRequest): SamplerOptions {
  return {
    prompt,
    seed,
    steps,
    guidance,
    ...weightsOf(weights),
    ...(edit && {
      edit: { from: edit.from, keepElsewhere: edit.keepElsewhere, ...weightsOf(edit.weights) },
    }),
  };
}

function weightsOf(weights: readonly number[]): { wordWeights?: readonly number[] } {
  return omitDefaultWeights(weights).length > 0 ? { wordWeights: weights } : {};
}
