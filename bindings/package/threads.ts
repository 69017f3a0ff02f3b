// Loaded by init if memory can be shared with workers.
import type { Loader, Loading, Simd } from './module_sources';
import type { ThreadScript, ThreadWorker } from './platform';

/** Limit of the wait for the workers, in seconds: one that never answers must not block init. */
const maxWait = 15;

/** Starts a worker of a page, or of another worker. */
function startWebThread({ start, loader, url }: ThreadScript): ThreadWorker {
  const { location } = globalThis;
  const { href, origin, protocol } = new URL(url ?? `${loader}-worker.js`, location?.href);
  // A worker's script must have the page's origin, but may import modules of other origins.
  if (protocol.startsWith('http') && origin !== location?.origin) {
    const source = new Blob([`import ${JSON.stringify(href)}`], { type: 'text/javascript' });
    return new Worker(URL.createObjectURL(source), { type: 'module' });
  }
  return url === null ? start() : new Worker(href, { type: 'module' });
}

/** Starts the threads of a module. Throws if a worker fails or does not answer; then no worker remains. */
export async function createThreads<C>(
  loading: Loading<C>,
  variant: `${Simd}-threads`,
  threads: number,
  loader: Loader<C>,
): Promise<C> {
  const { sources, platform, options, limited } = loading;
  const name = `${sources.name}-${variant}`;
  const script = {
    start: sources.workers[variant],
    loader: String(new URL(name, loader.wasmUrl())),
    url: options.workerUrl && options.workerUrl.replace(/\/$/, `/${name}-worker.js`),
  };
  const started: ThreadWorker[] = [];
  try {
    const core = await new Promise<C>((resolve, reject) => {
      const createWorker = (): ThreadWorker => {
        const worker = (platform.startThread ?? startWebThread)(script);
        started.push(worker);
        worker.onerror = (event) => {
          // Otherwise, browsers write it to the console.
          event.preventDefault?.();
          reject(new Error(event.message || 'the worker script could not be loaded or is forbidden'));
        };
        worker.onmessageerror = () => reject(new Error('a message of a worker could not be read'));
        return worker;
      };
      const wasm = limited('the .wasm file did not arrive', loading.compile(variant, loader));
      // One worker for each thread besides the calling one, and one for forwards that run in the background.
      const core = loader.default({ wasm, workers: threads, createWorker });
      const wait = (): Promise<C> => limited('the workers did not start', core, maxWait);
      wasm.then(wait).then(resolve, reject);
      core.catch(reject);
    });
    for (const worker of started) {
      worker.onerror = worker.onmessageerror = null;
      worker.unref?.();
    }
    return core;
  } catch (error) {
    for (const worker of started) worker.terminate();
    throw error;
  }
}
