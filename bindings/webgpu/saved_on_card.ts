// A training forward that was done on the card, for its backward.
import type { CallTensors, SavedForward } from '../package/accelerator';
import type { Tensor } from '../package/tensor';
import { disposeAll } from './call_tensors';
import type { GpuLayer, SavedCall } from './gpu_layer';

/** What the card keeps of it, with its tensors: whoever shares it disposes of it. */
export class SavedOnCard implements SavedForward {
  readonly input: Tensor;
  readonly context: Tensor | null;
  readonly mask: Tensor | null;
  readonly parametersVersion: number;
  readonly call: SavedCall;
  readonly layer: GpuLayer;
  #owners = 1;

  constructor(tensors: CallTensors, parametersVersion: number, call: SavedCall, layer: GpuLayer) {
    this.input = tensors.input;
    this.context = tensors.context;
    this.mask = tensors.mask;
    this.parametersVersion = parametersVersion;
    this.call = call;
    this.layer = layer.share();
  }

  share(): this {
    this.#owners++;
    return this;
  }

  dispose(): void {
    if (--this.#owners > 0) return;
    this.call.release();
    this.layer.dispose();
    disposeAll(this);
  }
}
