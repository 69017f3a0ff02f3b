// Who owns what lies in WASM memory: an object of ours until it is disposed of, or forgotten and collected.
import type { CoreHandle } from './core';
import { DisposedError } from './errors';

const forgotten = new FinalizationRegistry<CoreHandle>((handle) => handle.delete());

/** A handle with the one object that owns it. */
export class Owned<H extends CoreHandle> {
  #handle: H | null;

  constructor(owner: object, handle: H) {
    this.#handle = handle;
    forgotten.register(owner, handle, this);
  }

  get disposed(): boolean {
    return this.#handle === null;
  }

  /** The handle. Throws DisposedError, saying `what` was disposed of. */
  get(what: string): H {
    if (this.#handle === null) throw new DisposedError(`${what} was disposed of; it takes one that was not`);
    return this.#handle;
  }

  /** Frees the memory; a second time does nothing. */
  dispose(): void {
    if (this.#handle === null) return;
    forgotten.unregister(this);
    const handle = this.#handle;
    this.#handle = null;
    handle.delete();
  }
}
