// The parameters of a layer at one moment, for calls that may compute with them later.
import type { Moment } from './accelerator';
import type { CoreLayer, TypedArray } from './core';
import type { LayerState } from './layer_state';

/**
 * Refers to the layer until its parameters change or it is disposed, and then has a copy of the parameters.
 * All calls in progress of one version share it.
 */
export class LayerMoment implements Moment {
  readonly #state: LayerState;
  #calls = 0;
  #copy: TypedArray | null = null;

  constructor(state: LayerState) {
    this.#state = state;
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
    if (this.#calls > 0) this.#copy = this.#state.core.parametersView().slice();
  }

  async use<T>(work: (core: CoreLayer) => Promise<T>): Promise<T> {
    return this.isCurrent ? work(this.#state.core) : this.useCopy(work);
  }

  async useCopy<T>(work: (core: CoreLayer) => Promise<T>): Promise<T> {
    const core = this.#state.create();
    try {
      core.parametersView().set(this.#copy ?? this.#state.core.parametersView());
      return await work(core);
    } finally {
      core.delete();
    }
  }
}
