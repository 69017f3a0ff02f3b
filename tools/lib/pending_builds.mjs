// Serves a site while some of its files are still being built. A request for such a file waits for the build,
// and pages show a notice. `init` of the package waits before it starts: it has limits, and a build takes
// longer.
import path from 'node:path';
import { project } from './paths.mjs';

/** web/shared/build_notice.ts listens for this event. */
const event = 'pending-build';

/** Entries of the package with an `init`, and the prefix of their .wasm files. */
const entries = {
  'dist/index_browser.js': 'dist/wasm/cross-attention-',
  'dist/denoiser_browser.js': 'dist/wasm/denoiser-',
};

/** Marks modules that this plugin writes. */
const wrapped = '\0wait-for-builds:';
/** Requests below this address wait for the build of a file. */
const waitAddress = '/@wait-for-build/';

const featureDetection = path.join(project, 'node_modules/wasm-feature-detect/dist/esm/index.js');

/** Returns the source of an entry whose `init` waits for the variant that it will choose. */
const waitingEntry = (file) => `
  import { relaxedSimd } from ${JSON.stringify(featureDetection)};
  import { init as start } from ${JSON.stringify(path.join(project, file))};
  export * from ${JSON.stringify(path.join(project, file))};
  export async function init(options) {
    const { simd = 'auto', threads = 'auto' } = options ?? {};
    const found = simd === 'auto' ? ((await relaxedSimd()) ? 'relaxed' : 'baseline') : simd;
    const variant = found + (crossOriginIsolated && threads !== 1 ? '-threads' : '');
    const response = await fetch(${JSON.stringify(waitAddress + entries[file])} + variant + '.wasm');
    const problem = await response.text();
    if (!response.ok) throw new Error(problem);
    return start(options);
  }`;

/** The builds that run while a Vite server handles requests. */
export class PendingBuilds {
  #builds = new Map();
  #socket;

  /**
   * Adds a build.
   *
   * @param {string} title name of the build in the notice
   * @param {readonly string[]} files outputs of the build, relative to the project
   * @param {Promise<unknown>} promise settles when the build ends
   */
  add(title, files, promise) {
    const build = { title, promise, waiting: 0, state: 'building' };
    for (const file of files) this.#builds.set(path.join(project, file), build);
    const end = (state) => {
      build.state = state;
      if (state === 'ready') for (const file of files) this.#builds.delete(path.join(project, file));
      if (build.waiting > 0) this.#notify(build);
    };
    promise.then(
      () => end('ready'),
      () => end('failed'),
    );
  }

  /** Returns the plugin for Vite's development server. */
  plugin() {
    return {
      name: 'pending-builds',
      enforce: 'pre',
      apply: 'serve',
      // Vite rejects imports of files that do not exist.
      resolveId: (id, importer) => {
        const entry = path.relative(project, id);
        if (Object.hasOwn(entries, entry) && importer && !importer.startsWith(wrapped))
          return wrapped + entry;
        if (!importer || !id.startsWith('.')) return null;
        const [file, query] = id.split('?');
        const full = path.resolve(path.dirname(importer.split('?')[0]), file);
        return this.#builds.has(full) ? full + (query === undefined ? '' : `?${query}`) : null;
      },
      load: (id) => (id.startsWith(wrapped) ? waitingEntry(id.slice(wrapped.length)) : null),
      configureServer: (server) => {
        this.#socket = server.ws;
        // A page may connect after its request began to wait.
        server.ws.on('connection', () => {
          for (const build of new Set(this.#builds.values())) if (build.waiting > 0) this.#notify(build);
        });
        server.middlewares.use((request, response, next) => this.#handle(request, response, next));
      },
      transformIndexHtml: () => [
        { tag: 'script', attrs: { type: 'module', src: '/shared/build_notice.ts' }, injectTo: 'head' },
      ],
    };
  }

  async #handle(request, response, next) {
    const { pathname } = new URL(request.url, 'http://localhost');
    const isWait = pathname.startsWith(waitAddress);
    const file = isWait
      ? path.join(project, pathname.slice(waitAddress.length))
      : decodeURIComponent(pathname).replace(/^\/@fs/, '');
    const proceed = isWait ? () => response.end() : next;
    const build = this.#builds.get(file);
    if (build === undefined) return proceed();
    build.waiting += 1;
    this.#notify(build);
    try {
      await build.promise;
      proceed();
    } catch (error) {
      response.statusCode = 500;
      response.end(error.message);
    }
  }

  #notify({ title, state }) {
    this.#socket?.send(event, { title, state });
  }
}
