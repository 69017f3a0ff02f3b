/** A contender in a worker of its own, as the benchmark sees it: what bench/contender_process.mjs is in Node. */
export interface Question {
  readonly id: number;
  readonly request: string;
  readonly argument: unknown;
}

export type Answer =
  { readonly id: number; readonly answer: unknown } | { readonly id: number; readonly error: string };

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class ContenderWorker {
  readonly #name: string;
  readonly #options: unknown;
  #worker: Worker | undefined;
  #waiting = new Map<number, Waiting>();
  #lastId = 0;

  /** @param name as in bench/contenders.mjs */
  constructor(name: string, options: unknown) {
    this.#name = name;
    this.#options = options;
  }

  /** Begins, or after a failure, which may have left anything behind, begins anew. */
  async restart(): Promise<void> {
    this.stop();
    const worker = new Worker(new URL('./contender.worker.ts', import.meta.url), { type: 'module' });
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<Answer>) => this.#receive(data);
    // A script that can't be loaded, or an error outside of any request: nothing more comes.
    worker.onerror = (event) => {
      // Else it would be the whole benchmark's error.
      event.preventDefault();
      this.#end(event.message || 'its script could not be loaded');
    };
    await this.ask('start', { name: this.#name, options: this.#options });
  }

  /** @param request one of bench/contender_requests.mjs's */
  ask(request: string, argument?: unknown): Promise<unknown> {
    const worker = this.#worker;
    if (!worker) return Promise.reject(new Error('its worker has ended'));
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      worker.postMessage({ id, request, argument } satisfies Question);
    });
  }

  stop(): void {
    this.#end('its worker was stopped');
  }

  #receive(message: Answer): void {
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if ('error' in message) waiting?.reject(new Error(message.error));
    else waiting?.resolve(message.answer);
  }

  #end(reason: string): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    for (const { reject } of this.#waiting.values()) reject(new Error(reason));
    this.#waiting.clear();
  }
}
