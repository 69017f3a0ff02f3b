/** What a worker's end is told where its script could not even be loaded; what goes wrong inside it, it tells itself. */
export interface LoadFailure {
  readonly kind: 'failed';
  readonly message: string;
}

/** The page's end of the line to a worker. The worker is made by the page: bundlers look for its literal address. */
export class WorkerLink<Command, News> {
  readonly #worker: Worker;

  constructor(worker: Worker) {
    this.#worker = worker;
  }

  send(command: Command): void {
    this.#worker.postMessage(command);
  }

  onNews(listener: (news: News | LoadFailure) => void): void {
    this.#worker.onmessage = ({ data }: MessageEvent<News>) => listener(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      listener({ kind: 'failed', message: event.message || 'its script did not load.' });
    };
  }

  end(): void {
    this.#worker.terminate();
  }
}
