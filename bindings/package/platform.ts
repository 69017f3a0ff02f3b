// What loading a module needs of the environment: a page or worker of the web, or Node (platform_node.ts).

/** A worker as the web defines it; Node's is adapted to it. */
export interface ThreadWorker {
  onerror: ((event: ErrorEvent) => void) | null;
  onmessageerror: ((event: MessageEvent) => void) | null;
  terminate(): void;
  /** In Node: lets the process end although the worker waits for work. */
  unref?(): void;
}

/** The script of a module's threads. */
export interface ThreadScript {
  /** Starts it from the URL that the bundler knows. */
  start: () => ThreadWorker;
  /** The URL of the module's loader without its ending, if no bundler moved it; else null. */
  loader: string | null;
  /** The URL that the user has set. */
  url: string | null;
}

/** A file on disk. It is opened for each read, so that nothing remains open if it is never closed. */
export interface DiskFile {
  readonly size: number;
  /** Throws if the file has changed since it was opened. */
  read(begin: number, target: Uint8Array): Promise<void>;
}

export interface Platform {
  /** Returns the number of processor cores that this program may use; 0 if it is unknown. */
  cores(): number;
  /** Compiles the .wasm file at a URL; in Node also at a path. */
  compile(url: string): Promise<WebAssembly.Module>;
  /** Default: a worker of the web. */
  startThread?(script: ThreadScript): ThreadWorker;
  /** Opens a file by path or file: URL. Default: there are no files. */
  openFile?(location: string | URL): Promise<DiskFile>;
}

/** Returns why memory cannot be shared with workers; null if it can, or if only trying shows it. */
export function sharedMemoryObstacle(): string | null {
  const {
    SharedArrayBuffer: shared,
    crossOriginIsolated,
    WorkerGlobalScope: scope,
  } = globalThis as {
    SharedArrayBuffer?: unknown;
    // Undefined outside of browsers.
    crossOriginIsolated?: boolean;
    WorkerGlobalScope?: unknown;
  };
  const missing = shared === undefined ? 'no SharedArrayBuffer' : '';
  const place = scope === undefined ? 'the page' : 'the worker';
  if (crossOriginIsolated === false) {
    return `${missing}${missing && ': '}${place} is not cross-origin isolated`;
  }
  if (!missing) return null;
  return crossOriginIsolated
    ? `${missing}, although ${place} is cross-origin isolated`
    : `${missing} in this JavaScript engine`;
}

async function compile(url: string): Promise<WebAssembly.Module> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${response.url} has HTTP status ${response.status}`);
  // Not all servers send the MIME type that compileStreaming requires.
  return response.headers.get('Content-Type') === 'application/wasm'
    ? WebAssembly.compileStreaming(response)
    : WebAssembly.compile(await response.arrayBuffer());
}

export const web: Platform = {
  cores: () => globalThis.navigator?.hardwareConcurrency || 0,
  compile,
};
