// The layers and compiled graphs that have resources on a device.
import type { AcceleratedLayer } from '../package/accelerator';
import type { CallSizes } from './call';
import type { ReadyDevice } from './device_manager';
import { GpuLayer, type ParameterState } from './gpu_layer';
import type { Operand } from './operands';
import type { Association, PreparedContext } from './prepared_context';
import type { Precision } from './weights';

/** The resources of one layer or compiled graph on a device. */
export class DeviceLayer {
  readonly layer: GpuLayer;
  #context: Promise<PreparedContext> | null = null;
  #contextVersion = -1;

  constructor(layer: GpuLayer) {
    this.layer = layer;
  }

  /**
   * Resolves to the graph's constant context, prepared once for each version of the parameters. The caller is
   * an owner.
   */
  async shareContext(
    call: CallSizes,
    context: Operand,
    parameters: ParameterState,
    association: Association,
  ): Promise<PreparedContext> {
    if (this.#context === null || this.#contextVersion !== parameters.version) {
      this.#releaseContext();
      const preparing = this.layer.prepareContext(call, context, parameters, association);
      this.#context = preparing;
      this.#contextVersion = parameters.version;
      preparing.catch(() => {
        if (this.#context === preparing) this.#context = null;
      });
    }
    return (await this.#context).share();
  }

  release(): void {
    this.#releaseContext();
    this.layer.release();
  }

  #releaseContext(): void {
    this.#context?.then(
      (context) => context.release(),
      () => {},
    );
    this.#context = null;
  }
}

export class DeviceLayers {
  readonly #precision: Precision;
  /** By layer or compiled graph. */
  readonly #layers = new WeakMap<object, DeviceLayer>();

  constructor(precision: Precision) {
    this.#precision = precision;
  }

  /** Returns the resources of `owner` on this device; frees those on another one. */
  get(owner: object, layer: AcceleratedLayer, { device, strategy }: ReadyDevice): DeviceLayer {
    const existing = this.#layers.get(owner);
    if (existing?.layer.device === device) return existing;
    this.release(owner);
    const created = new DeviceLayer(new GpuLayer(device, layer, this.#precision, strategy));
    this.#layers.set(owner, created);
    return created;
  }

  release(owner: object): void {
    this.#layers.get(owner)?.release();
    this.#layers.delete(owner);
  }
}
