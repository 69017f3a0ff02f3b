import {
  randomScene,
  type Denoiser,
  type DenoiserRuntimeInfo,
  type SamplerOptions,
} from 'diffusion-cross-attention/denoiser';
import { nextTask } from '../../shared/next_task';
import { messageOf } from '../../shared/message_of';
import type { Command, MapChoice, News } from '../messages';
import { told, type PictureRequest } from '../request';
import { MapRecord } from './attention_map_history';

export type Tell = (news: News, transfer?: Transferable[]) => void;

/** Draws one picture at a time, step by step, and listens for commands between the steps. */
export class Generator {
  readonly #load: () => Denoiser;
  readonly #tell: Tell;
  #denoiser: Denoiser;
  #choice: MapChoice = {};
  #learned: readonly string[] = [];
  /** The picture that is being drawn. */
  #run: number | undefined;
  /** What the latest picture attended to, drawn to its end or not. */
  #latest: { readonly run: number; readonly record: MapRecord } | undefined;

  /** @param load a model that has learned nothing from the visitor */
  constructor(load: () => Denoiser, runtime: DenoiserRuntimeInfo, tell: Tell) {
    this.#load = load;
    this.#denoiser = load();
    this.#tell = tell;
    const { blocks, heads, parameterCount } = this.#denoiser;
    const seconds = performance.now() / 1000;
    tell({
      kind: 'ready',
      runtime,
      isolated: self.crossOriginIsolated,
      blocks,
      heads,
      parameterCount,
      seconds,
    });
    this.#tellWords();
  }

  obey(command: Command): void {
    switch (command.kind) {
      case 'generate':
        this.#stop();
        void this.#draw(command.run, command.request);
        break;
      case 'cancel':
        this.#stop();
        break;
      case 'chooseMaps':
        this.#choice = command.choice;
        this.#tellMaps();
        break;
      case 'check':
        this.#check(command.prompt);
        break;
      case 'surprise':
        this.#tell({ kind: 'scene', prompt: randomScene({ seed: command.seed }).plainCaption });
        break;
      case 'learn':
        this.#learn(command.bytes);
        break;
      case 'forget':
        this.#learn(undefined);
        break;
    }
  }

  /** Learned words replace those before them, which would stay known otherwise: so a model as it came learns them. */
  #learn(bytes: Uint8Array | undefined): void {
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
    this.#tellWords();
  }

  #stop(): void {
    if (this.#run === undefined) return;
    this.#tell({ kind: 'stopped', run: this.#run });
    this.#run = undefined;
  }

  async #draw(run: number, request: PictureRequest): Promise<void> {
    this.#run = run;
    try {
      using sampler = this.#denoiser.sampler(optionsOf(request));
      const record = new MapRecord(this.#denoiser);
      this.#latest = { run, record };
      this.#tell({ kind: 'started', run, words: sampler.words });
      const start = performance.now();
      let worked = 0;
      while (sampler.step < sampler.steps) {
        const before = performance.now();
        sampler.advance();
        worked += performance.now() - before;
        const { step, steps } = sampler;
        const pixels = new Uint8ClampedArray(sampler.rgba());
        record.add(sampler);
        const maps = record.at(step - 1, this.#choice);
        const milliseconds = worked / step;
        this.#tell({ kind: 'frame', run, step, steps, pixels, maps, milliseconds }, [
          pixels.buffer,
          maps.bytes.buffer,
        ]);
        await nextTask();
        if (this.#run !== run) return;
      }
      const seconds = (performance.now() - start) / 1000;
      this.#tell({ kind: 'finished', run, seconds, milliseconds: worked / sampler.steps });
      this.#run = undefined;
    } catch (error) {
      if (this.#run === run) this.#stop();
      this.#tell({ kind: 'error', message: messageOf(error) });
    }
  }

  #tellMaps(): void {
    if (!this.#latest) return;
    const { run, record } = this.#latest;
    const maps = Array.from({ length: record.steps }, (_, step) => record.at(step, this.#choice));
    this.#tell(
      { kind: 'maps', run, maps },
      maps.map(({ bytes }) => bytes.buffer),
    );
  }

  #check(prompt: string): void {
    const words = this.#denoiser.splitWords(prompt);
    const unknown = this.#denoiser.unknownWords(prompt);
    this.#tell({ kind: 'checked', prompt, words, unknown, mostWords: this.#denoiser.mostWords });
  }

  #tellWords(): void {
    const learned = this.#learned;
    const vocabulary = [...new Set([...this.#denoiser.vocabulary, ...learned])];
    this.#tell({ kind: 'words', vocabulary, learned });
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
  return told(weights).length > 0 ? { wordWeights: weights } : {};
}
