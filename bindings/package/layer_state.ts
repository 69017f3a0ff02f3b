// What the parts of a layer share: the core's layer, its dtype, and the version of its parameters.
import type { AcceleratedLayer, LayerSizes } from './accelerator';
import type { CoreLayer, DType } from './core';
import { Owned } from './handles';

export class LayerState {
  readonly dtype: DType;
  readonly accelerated: AcceleratedLayer;
  /** Increases whenever the parameters change. */
  parametersVersion = 0;
  readonly #owned: Owned<CoreLayer>;

  constructor(handle: CoreLayer, dtype: DType, sizes: LayerSizes) {
    this.#owned = new Owned(this, handle);
    this.dtype = dtype;
    this.accelerated = describeForAccelerator(this, sizes);
  }

  /** The core's layer. Throws DisposedError after dispose. */
  get core(): CoreLayer {
    return this.#owned.get(name);
  }

  get disposed(): boolean {
    return this.#owned.disposed;
  }

  /** Throws DisposedError after dispose. */
  requireAlive(): void {
    this.#owned.get(name);
  }

  dispose(): void {
    this.#owned.dispose();
  }
}

const name = 'this DiffusionCrossAttention';

function describeForAccelerator(state: LayerState, sizes: LayerSizes): AcceleratedLayer {
  // A weak reference: the accelerator must not prevent the layer from being collected.
  const reference = new WeakRef(state);
  const alive = (): LayerState => reference.deref()!;
  return {
    ...sizes,
    get training() {
      return alive().core.training();
    },
    get isAlive() {
      return reference.deref()?.disposed === false;
    },
    get parametersVersion() {
      return alive().parametersVersion;
    },
    parameters: () => alive().core.parametersView() as Float32Array,
  };
}
