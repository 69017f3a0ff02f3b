// Reference counting: only `destroy` frees the memory of a GPUBuffer.

/** A resource with several owners. It is freed when its last owner has released it. */
export abstract class Shared {
  /** The creator is the first owner. */
  #owners = 1;

  /** Adds an owner, who must call `release`. */
  share(): this {
    this.#owners++;
    return this;
  }

  release(): void {
    if (--this.#owners === 0) this.free();
  }

  /** True if the last owner has released it. */
  protected get isFreed(): boolean {
    return this.#owners <= 0;
  }

  protected abstract free(): void;
}
