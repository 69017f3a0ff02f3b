// The parameters of a layer at one moment, with their LoRAs, for calls that may compute with them later.
import type { Moment } from './accelerator';
import type { CoreLayer, TypedArray } from './core';

/** The layer. */
interface Source {
  readonly core: CoreLayer;
  /** Creates a layer of the core with the same sizes and options. */
  readonly create: () => CoreLayer;
}

/**
 * Refers to the layer until its parameters change or it is disposed, and then has a copy of the parameters.
 * All calls in progress of one version share it.
 */
export class LayerMoment implements Moment {
  readonly #layer: Source;
  #calls = 0;
  #copy: TypedArray | null = null;

  constructor(layer: Source) {
    this.#layer = layer;
  }

  get isCurrent(): boolean {
    return this.#copy === null;
  }

  hold(): this {
    this.#calls++;
    return this;
  }

  release(): void {
    this.#calls--;
  }

  /** Call before the parameters change or are freed. */
  leave(): void {
    if (this.#calls > 0) this.#copy = this.#layer.core.effectiveView().slice();
  }

  async use<T>(work: (core: CoreLayer) => Promise<T>): Promise<T> {
    return this.isCurrent ? work(this.#layer.core) : this.useCopy(work);
  }

  async useCopy<T>(work: (core: CoreLayer) => Promise<T>): Promise<T> {
    const core = this.#layer.create();
    try {
      core.parametersView().set(this.#copy ?? this.#layer.core.effectiveView());
      return await work(core);
    } finally {
      core.delete();
    }
  }
}
