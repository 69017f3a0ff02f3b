import type { Pixels } from '../pixels';
import type { FileAnswer, FileQuestion } from '../worker/picture_file.worker';

type Settle = (answer: FileAnswer) => void;

/** Reads picture files in a worker, which is started with the first of them. */
export class PictureFiles {
  readonly #size: number;
  readonly #waiting = new Map<number, Settle>();
  #worker: Worker | undefined;
  #questions = 0;

  constructor(size: number) {
    this.#size = size;
  }

  /** Middle square of the picture, at the size that was asked for. The error says what is wrong, in words for the visitor. */
  async read(file: File): Promise<Pixels> {
    const id = ++this.#questions;
    const answer = await new Promise<FileAnswer>((settle) => {
      this.#waiting.set(id, settle);
      this.#start().postMessage({ id, file, size: this.#size } satisfies FileQuestion);
    });
    if ('error' in answer) throw new Error(answer.error);
    return answer.pixels;
  }

  #start(): Worker {
    if (this.#worker) return this.#worker;
    const worker = new Worker(new URL('../worker/picture_file.worker.ts', import.meta.url), {
      type: 'module',
      name: 'picture files',
    });
    worker.onmessage = ({ data }: MessageEvent<FileAnswer>) => this.#settle(data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#worker = undefined;
      for (const id of this.#waiting.keys())
        this.#settle({ id, error: event.message || 'The script that reads pictures did not load.' });
    };
    return (this.#worker = worker);
  }

  #settle(answer: FileAnswer): void {
    this.#waiting.get(answer.id)?.(answer);
    this.#waiting.delete(answer.id);
  }
}
