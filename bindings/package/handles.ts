// Ownership of objects in WASM memory: each belongs to one JavaScript object until that is disposed or
// collected.
import type { CoreHandle } from './core';
import { DisposedError } from './errors';

const collected = new FinalizationRegistry<CoreHandle>((handle) => handle.delete());

/** A handle with the one object that owns it. */
export class Owned<H extends CoreHandle> {
  #handle: H | null;

  constructor(owner: object, handle: H) {
    this.#handle = handle;
    collected.register(owner, handle, this);
  }

  get disposed(): boolean {
    return this.#handle === null;
  }

  /** Returns the handle. Throws DisposedError with the given name if it was disposed. */
  get(name: string): H {
    if (this.#handle === null) throw new DisposedError(`${name} was disposed`);
    return this.#handle;
  }

  /** Frees the memory. A second call has no effect. */
  dispose(): void {
    if (this.#handle === null) return;
    collected.unregister(this);
    const handle = this.#handle;
    this.#handle = null;
    handle.delete();
  }
}
