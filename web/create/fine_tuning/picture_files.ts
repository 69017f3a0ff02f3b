import type { Pixels } from '../pixels';
import type { ReadRequest, ReadResult } from '../worker/picture_file.worker';

type Settle = (result: ReadResult) => void;

/** Reads picture files in a worker, which starts with the first file. */
export class PictureFiles {
  readonly #size: number;
  readonly #waiting = new Map<number, Settle>();
  #worker: Worker | undefined;
  #lastId = 0;

  constructor(size: number) {
    this.#size = size;
  }

  /** Returns the scaled middle square of a picture. Throws with a message for visitors if that fails. */
  async read(file: File): Promise<Pixels> {
    const id = ++this.#lastId;
    const result = await new Promise<ReadResult>((settle) => {
      this.#waiting.set(id, settle);
      this.#start().postMessage({ id, file, size: this.#size } satisfies ReadRequest);
    });
    if ('error' in result) throw new Error(result.error);
    return result.pixels;
  }

  #start(): Worker {
    if (this.#worker) return this.#worker;
    const worker = new Worker(new URL('../worker/picture_file.worker.ts', import.meta.url), {
      type: 'module',
      name: 'picture files',
    });
    worker.onmessage = ({ data }: MessageEvent<ReadResult>) => this.#settle(data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#worker = undefined;
      for (const id of this.#waiting.keys())
        this.#settle({ id, error: event.message || 'The script that reads pictures did not load.' });
    };
    return (this.#worker = worker);
  }

  #settle(result: ReadResult): void {
    this.#waiting.get(result.id)?.(result);
    this.#waiting.delete(result.id);
  }
}
