import type { Command, News } from './messages.ts';

/** The page's end of the line to the worker that generates. */
export class GeneratorLink {
  readonly #worker = new Worker(new URL('./worker/generator.worker.ts', import.meta.url), {
    type: 'module',
    name: 'generator',
  });

  send(command: Command): void {
    this.#worker.postMessage(command);
  }

  onNews(listener: (news: News) => void): void {
    this.#worker.onmessage = ({ data }: MessageEvent<News>) => listener(data);
    // Only a worker that did not load ends up here; what goes wrong inside it is told as news.
    this.#worker.onerror = (event) => {
      event.preventDefault();
      listener({ kind: 'failed', message: event.message || 'its script did not load.' });
    };
  }
}
