// Runs a contender in a separate process.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const host = fileURLToPath(new URL('./contender_host.mjs', import.meta.url));

export class ContenderProcess {
  #name;
  #options;
  #child;
  #pending;
  #lastId = 0;
  static #started = new Set();

  /** @param {string} name a key of contenders.mjs or 'onnxruntime_node' */
  static async start(name, options) {
    const contender = new ContenderProcess(name, options);
    await contender.restart();
    return contender;
  }

  /** Stops all processes. The benchmark's process ends only after them. */
  static stopAll() {
    for (const contender of ContenderProcess.#started) contender.stop();
  }

  /** Private: use start. */
  constructor(name, options) {
    this.#name = name;
    this.#options = options;
  }

  async restart() {
    this.stop();
    ContenderProcess.#started.add(this);
    // Sends typed arrays without a conversion to JSON.
    this.#child = fork(host, { serialization: 'advanced' });
    this.#pending = new Map();
    const pending = this.#pending;
    this.#child.on('message', ({ id, result, error }) => {
      const { resolve, reject } = pending.get(id);
      pending.delete(id);
      if (error === undefined) resolve(result);
      else reject(Object.assign(new Error(error.message), { stack: error.stack }));
    });
    this.#child.on('exit', (code, signal) => {
      const error = new Error(`the process of ${this.#name} ended: ${signal ?? code}`);
      for (const { reject } of pending.values()) reject(error);
      pending.clear();
    });
    await this.request('start', { name: this.#name, options: this.#options });
  }

  /**
   * Sends a request and resolves to its result.
   * @param {string} request a name in contender_requests.mjs
   */
  request(request, argument) {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#child.send({ id, request, argument }, (error) => error && reject(error));
    });
  }

  stop() {
    ContenderProcess.#started.delete(this);
    this.#child?.kill();
  }
}
