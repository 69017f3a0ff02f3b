// What the parts of a layer share: the core's layer, its dtype, and the version of its parameters.
import type { AcceleratedLayer, LayerSizes } from './accelerator';
import type { CoreLayer, DType } from './core';
import { Owned } from './handles';
import { LayerMoment } from './layer_moment';

export class LayerState {
  readonly dtype: DType;
  readonly accelerated: AcceleratedLayer;
  /** Increases whenever the parameters change. */
  parametersVersion = 0;
  /** Increases when the parameters' gradients are cleared: those of calls in progress are not added. */
  gradientsVersion = 0;
  /** The parameters whose gradients are computed, in their order. Null: all. */
  trainable: string[] | null = null;
  /** Creates a layer of the core with the same sizes and options. */
  readonly create: () => CoreLayer;
  readonly #owned: Owned<CoreLayer>;
  #moment: LayerMoment | null = null;

  constructor(create: () => CoreLayer, dtype: DType, sizes: LayerSizes) {
    this.create = create;
    this.#owned = new Owned(this, create());
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

  /** Returns the current parameters for a call in progress, which releases them at its end. */
  hold(): LayerMoment {
    this.#moment ??= new LayerMoment(this);
    return this.#moment.hold();
  }

  /**
   * Call before the parameters change: calls in progress compute with those of their moment. Calls in
   * WebAssembly that have started are finished by the core.
   */
  beforeChange(): void {
    this.#moment?.leave();
    this.#moment = null;
  }

  /** Changes the parameters by their gradients, which are cleared. */
  update(change: (core: CoreLayer) => void): void {
    const { core } = this;
    this.beforeChange();
    change(core);
    this.parametersVersion++;
    this.gradientsVersion++;
  }

  dispose(): void {
    if (!this.disposed) this.beforeChange();
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
    hold: () => alive().hold(),
    parameters: () => alive().core.effectiveView() as Float32Array,
  };
}
