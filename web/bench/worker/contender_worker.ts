/** A contender in its own worker. The counterpart of bench/contender_process.mjs in Node. */
export interface ContenderRequest {
  readonly id: number;
  readonly request: string;
  readonly argument: unknown;
}

export type ContenderResponse =
  { readonly id: number; readonly result: unknown } | { readonly id: number; readonly error: string };

interface PendingRequest {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class ContenderWorker {
  readonly #name: string;
  readonly #options: unknown;
  #worker: Worker | undefined;
  #pending = new Map<number, PendingRequest>();
  #lastId = 0;

  /** @param name as in bench/contenders.mjs */
  constructor(name: string, options: unknown) {
    this.#name = name;
    this.#options = options;
  }

  /** Starts the worker. After a failure, replaces it, because its state is unknown. */
  async restart(): Promise<void> {
    this.stop();
    const worker = new Worker(new URL('./contender.worker.ts', import.meta.url), { type: 'module' });
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<ContenderResponse>) => this.#receive(data);
    // The script could not be loaded, or an error occurred outside of a request: no response follows.
    worker.onerror = (event) => {
      // Keeps the error from reaching the benchmark's own worker.
      event.preventDefault();
      this.#end(event.message || 'its script could not be loaded');
    };
    await this.request('start', { name: this.#name, options: this.#options });
  }

  /** @param request a name from bench/contender_requests.mjs */
  request(request: string, argument?: unknown): Promise<unknown> {
    const worker = this.#worker;
    if (!worker) return Promise.reject(new Error('its worker was terminated'));
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      worker.postMessage({ id, request, argument } satisfies ContenderRequest);
    });
  }

  stop(): void {
    this.#end('its worker was stopped');
  }

  #receive(message: ContenderResponse): void {
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if ('error' in message) pending?.reject(new Error(message.error));
    else pending?.resolve(message.result);
  }

  #end(reason: string): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    for (const { reject } of this.#pending.values()) reject(new Error(reason));
    this.#pending.clear();
  }
}
