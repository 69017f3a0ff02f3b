// Serves the pages of cases: each case has a folder with its headers, and receives a report from its page.
import { createReadStream, existsSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';

const types = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
  '.json': 'application/json',
};

/** A CDN: other origins may load its files. */
const sharingHeaders = {
  'Access-Control-Allow-Origin': '*',
  'Cross-Origin-Resource-Policy': 'cross-origin',
};

/**
 * The pages of a case.
 *
 * @typedef {object} Site
 * @property {Record<string, string>} files contents by path
 * @property {Record<string, string>} headers of every response
 * @property {Record<string, string>} folders paths of folders on this machine, by their path in the site
 */

/** Two origins with the same files: the pages' own, and another one. */
export class CaseServer {
  #sites = new Map();
  #reports = new Map();
  #servers = [];

  async start() {
    for (const isOther of [false, true]) {
      const server = createServer((request, response) => this.#handle(request, response, isOther));
      await new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(0, '127.0.0.1', resolve);
      });
      this.#servers.push(server);
    }
    [this.origin, this.otherOrigin] = this.#servers.map(
      (server) => `http://127.0.0.1:${server.address().port}`,
    );
  }

  /**
   * Adds the site of a case below `/name/`. Returns a promise of the first report that is posted to
   * `/name/report`.
   *
   * @param {string} name
   * @param {Site} site
   */
  add(name, site) {
    this.#sites.set(name, site);
    return new Promise((resolve) => this.#reports.set(name, resolve));
  }

  remove(name) {
    this.#sites.delete(name);
    this.#reports.delete(name);
  }

  #handle(request, response, isOther) {
    const [, name, ...parts] = decodeURIComponent(new URL(request.url, 'http://x').pathname).split('/');
    const site = this.#sites.get(name);
    if (site === undefined) return void response.writeHead(404).end();
    const headers = { ...site.headers, ...(isOther && sharingHeaders) };
    const file = parts.join('/') || 'index.html';
    if (request.method === 'POST') return void this.#receive(request, response, name, headers);
    const type = types[path.extname(file)] ?? 'text/plain';
    // Browsers must not take a file of an earlier case from their cache.
    const all = { ...headers, 'Content-Type': type, 'Cache-Control': 'no-store' };
    if (Object.hasOwn(site.files, file)) return void response.writeHead(200, all).end(site.files[file]);
    const onDisk = this.#find(site, file);
    if (onDisk === null) return void response.writeHead(404, headers).end();
    response.writeHead(200, all);
    createReadStream(onDisk).pipe(response);
  }

  #find({ folders }, file) {
    for (const [prefix, folder] of Object.entries(folders)) {
      if (!file.startsWith(`${prefix}/`)) continue;
      const full = path.join(folder, file.slice(prefix.length + 1));
      if (full.startsWith(folder) && existsSync(full)) return full;
    }
    return null;
  }

  async #receive(request, response, name, headers) {
    let body = '';
    for await (const chunk of request) body += chunk;
    response.writeHead(204, headers).end();
    this.#reports.get(name)?.(JSON.parse(body));
  }

  async close() {
    await Promise.all(
      this.#servers.map(
        (server) =>
          new Promise((resolve) => {
            server.close(resolve);
            server.closeAllConnections();
          }),
      ),
    );
  }
}
