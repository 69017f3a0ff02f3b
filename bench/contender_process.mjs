// A contender in a process of its own, as the benchmark sees it.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const host = fileURLToPath(new URL('./contender_host.mjs', import.meta.url));

export class ContenderProcess {
  #name;
  #options;
  #child;
  #waiting;
  #lastId = 0;
  static #started = new Set();

  /** @param {string} name as in contenders.mjs */
  static async start(name, options) {
    const contender = new ContenderProcess(name, options);
    await contender.restart();
    return contender;
  }

  /** Whoever does not call it waits for them. */
  static stopAll() {
    for (const contender of ContenderProcess.#started) contender.stop();
  }

  /** Use start. */
  constructor(name, options) {
    this.#name = name;
    this.#options = options;
  }

  async restart() {
    this.stop();
    ContenderProcess.#started.add(this);
    // Typed arrays as they are, not as JSON.
    this.#child = fork(host, { serialization: 'advanced' });
    this.#waiting = new Map();
    const waiting = this.#waiting;
    this.#child.on('message', ({ id, answer, error }) => {
      const { resolve, reject } = waiting.get(id);
      waiting.delete(id);
      if (error === undefined) resolve(answer);
      else reject(Object.assign(new Error(error.message), { stack: error.stack }));
    });
    this.#child.on('exit', (code, signal) => {
      const error = new Error(`the process of ${this.#name} ended: ${signal ?? code}`);
      for (const { reject } of waiting.values()) reject(error);
      waiting.clear();
    });
    await this.ask('start', { name: this.#name, options: this.#options });
  }

  /** @param {string} request one of contender_requests.mjs's */
  ask(request, argument) {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child.send({ id, request, argument }, (error) => error && reject(error));
    });
  }

  stop() {
    ContenderProcess.#started.delete(this);
    this.#child?.kill();
  }
}
