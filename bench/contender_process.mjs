// A contender in a process of its own, as the benchmark sees it.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const host = fileURLToPath(new URL('./contender_host.mjs', import.meta.url));

export class ContenderProcess {
  #child;
  #waiting = new Map();
  #lastId = 0;

  /** @param {string} name a file of contenders/ */
  static async start(name, options) {
    const contender = new ContenderProcess(name);
    await contender.ask('start', { name, options });
    return contender;
  }

  /** Use start. */
  constructor(name) {
    // Typed arrays as they are, not as JSON.
    this.#child = fork(host, { serialization: 'advanced' });
    this.#child.on('message', ({ id, answer, error }) => {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) resolve(answer);
      else reject(new Error(`${name}: ${error}`));
    });
    this.#child.on('exit', (code, signal) => {
      const error = new Error(`the process of ${name} ended: ${signal ?? code}`);
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    });
  }

  /** @param {string} request one of contender_host.mjs's */
  ask(request, argument) {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child.send({ id, request, argument });
    });
  }

  stop() {
    this.#child.kill();
  }
}
