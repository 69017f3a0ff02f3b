/** The event that the page receives if the script of a worker could not be loaded. */
export interface LoadFailure {
  readonly kind: 'failed';
  readonly message: string;
}

/**
 * A worker with typed messages (page to worker) and events (worker to page). The caller creates the worker,
 * because bundlers look for `new Worker(new URL('literal', import.meta.url))`.
 */
export class TypedWorker<Message, WorkerEvent> {
  readonly #worker: Worker;

  constructor(worker: Worker) {
    this.#worker = worker;
  }

  post(message: Message): void {
    this.#worker.postMessage(message);
  }

  /** Calls `listener` with every event of the worker. Replaces the listener of an earlier call. */
  onEvent(listener: (event: WorkerEvent | LoadFailure) => void): void {
    this.#worker.onmessage = ({ data }: MessageEvent<WorkerEvent>) => listener(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      listener({ kind: 'failed', message: event.message || 'its script did not load.' });
    };
  }

  terminate(): void {
    this.#worker.terminate();
  }
}
