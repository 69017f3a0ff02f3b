// Serves a site while some of its files are still being built. A request for such a file waits for the build,
// and pages show a notice.
import path from 'node:path';
import { project } from './paths.mjs';

/** web/shared/build_notice.ts listens for this event. */
const event = 'pending-build';

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
        if (!importer || !id.startsWith('.')) return null;
        const [file, query] = id.split('?');
        const full = path.resolve(path.dirname(importer.split('?')[0]), file);
        return this.#builds.has(full) ? full + (query === undefined ? '' : `?${query}`) : null;
      },
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
    const file = decodeURIComponent(pathname).replace(/^\/@fs/, '');
    const build = this.#builds.get(file);
    if (build === undefined) return next();
    build.waiting += 1;
    this.#notify(build);
    try {
      await build.promise;
      next();
    } catch (error) {
      response.statusCode = 500;
      response.end(error.message);
    }
  }

  #notify({ title, state }) {
    this.#socket?.send(event, { title, state });
  }
}
