// Serving a site while parts of it are still being built: a request for such a part waits for its build, and the pages
// say so.
import path from 'node:path';
import { project } from './paths.mjs';

/** What web/shared/build_notice.ts listens for. */
const event = 'pending-build';

/** Builds that go on while a Vite server answers. */
export class PendingBuilds {
  #builds = new Map();
  #socket;

  /**
   * @param {string} title what pages say that they wait for
   * @param {readonly string[]} files what the build makes, below the project's folder
   * @param {Promise<unknown>} promise the build
   */
  add(title, files, promise) {
    const build = { title, promise, waiting: 0, state: 'building' };
    for (const file of files) this.#builds.set(path.join(project, file), build);
    const end = (state) => {
      build.state = state;
      if (state === 'ready') for (const file of files) this.#builds.delete(path.join(project, file));
      if (build.waiting > 0) this.#tell(build);
    };
    promise.then(
      () => end('ready'),
      () => end('failed'),
    );
  }

  /** The plugin for Vite's development server. */
  plugin() {
    return {
      name: 'pending-builds',
      enforce: 'pre',
      apply: 'serve',
      // Vite refuses imports of files that do not exist yet.
      resolveId: (id, importer) => {
        if (!importer || !id.startsWith('.')) return null;
        const [file, query] = id.split('?');
        const full = path.resolve(path.dirname(importer.split('?')[0]), file);
        return this.#builds.has(full) ? full + (query === undefined ? '' : `?${query}`) : null;
      },
      configureServer: (server) => {
        this.#socket = server.ws;
        // Pages that connect after a wait began.
        server.ws.on('connection', () => {
          for (const build of new Set(this.#builds.values())) if (build.waiting > 0) this.#tell(build);
        });
        server.middlewares.use((request, response, next) => this.#answer(request, response, next));
      },
      transformIndexHtml: () => [
        { tag: 'script', attrs: { type: 'module', src: '/shared/build_notice.ts' }, injectTo: 'head' },
      ],
    };
  }

  async #answer(request, response, next) {
    const { pathname } = new URL(request.url, 'http://localhost');
    const file = decodeURIComponent(pathname).replace(/^\/@fs/, '');
    const build = this.#builds.get(file);
    if (build === undefined) return next();
    build.waiting += 1;
    this.#tell(build);
    try {
      await build.promise;
      next();
    } catch (error) {
      response.statusCode = 500;
      response.end(error.message);
    }
  }

  #tell({ title, state }) {
    this.#socket?.send(event, { title, state });
  }
}
