// A training forward that ran on the GPU, for its backward pass.
import type { CallTensors, SavedForward } from '../package/accelerator';
import type { Tensor } from '../package/tensor';
import { disposeTensors } from './call_tensors';
import type { GpuLayer } from './gpu_layer';
import { Shared } from './shared';
import type { SavedCall } from './training_call';

/** Owns its tensors and what the forward stored on the device. */
export class GpuSavedForward extends Shared implements SavedForward {
  readonly input: Tensor;
  readonly context: Tensor | null;
  readonly mask: Tensor | null;
  readonly parametersVersion: number;
  readonly call: SavedCall;
  readonly layer: GpuLayer;

  /** Becomes the owner of the tensors and the call, and an owner of the layer. */
  constructor(tensors: CallTensors, parametersVersion: number, call: SavedCall, layer: GpuLayer) {
    super();
    this.input = tensors.input;
    this.context = tensors.context;
    this.mask = tensors.mask;
    this.parametersVersion = parametersVersion;
    this.call = call;
    this.layer = layer.share();
  }

  /** The same as `release`, for the package. */
  dispose(): void {
    this.release();
  }

  protected override free(): void {
    this.call.release();
    this.layer.release();
    disposeTensors(this);
  }
}
