// The backward pass of a layer, on the device of the training forward that it belongs to.
import type { CallTensors, DeviceOptions, SavedForward } from './accelerator';
import { accelerator } from './current_accelerator';
import { ArgumentError } from './errors';
import { coreCall } from './layer_call';
import { checkDeviceOptions } from './layer_options';
import type { LayerState } from './layer_state';
import { getCore } from './runtime';
import { checkTensor, type Tensor, tensorHandle, wrapTensor } from './tensor';
import { moveTo, withTensorsInWasm } from './transfer';

export class BackwardPass {
  readonly #state: LayerState;
  /** The last training forward, if it ran on the GPU. Those of WebAssembly are saved by the core. */
  #saved: SavedForward | null = null;
  #contextGradient: Tensor | null = null;

  constructor(state: LayerState) {
    this.#state = state;
  }

  /**
   * The gradient of the last backward, owned by this object; null for self-attention and before a backward.
   */
  get contextGradient(): Tensor | null {
    return this.#contextGradient;
  }

  /** Takes over a training forward that ran on the GPU. */
  save(saved: SavedForward): void {
    this.dropSaved();
    // A layer that was disposed during the forward has no backward.
    if (this.#state.disposed) saved.dispose();
    else this.#saved = saved;
  }

  dropSaved(): void {
    this.#saved?.dispose();
    this.#saved = null;
  }

  reset(): void {
    this.dropSaved();
    this.#setContextGradient(null);
  }

  inWasm(outputGradient: Tensor): Tensor {
    const { core, dtype } = this.#state;
    const gradient = tensorHandle('outputGradient', outputGradient, dtype);
    const saved = this.#currentSaved();
    if (saved !== null) this.#repeatForward(saved);
    const result = core.backward(gradient);
    this.#setContextGradient(null);
    const contextGradient = core.contextGradient();
    if (contextGradient !== null) this.#contextGradient = wrapTensor(contextGradient, dtype);
    return wrapTensor(result, dtype);
  }

  async onAnyDevice(outputGradient: Tensor, options: DeviceOptions | undefined): Promise<Tensor> {
    this.#state.requireAlive();
    const { device, location } = checkDeviceOptions(options);
    checkTensor('outputGradient', outputGradient, this.#state.dtype);
    const target = location ?? outputGradient.location;
    if (this.#currentSaved() === null && outputGradient.location === 'wasm') {
      return moveTo(target, this.inWasm(outputGradient));
    }
    // Shares the elements, so that the caller may dispose the tensor during the call.
    const gradient = outputGradient.reshape(outputGradient.shape);
    try {
      return (
        (await this.#onGpu(gradient, { device, location })) ??
        moveTo(target, await this.#readBackAndRun(gradient))
      );
    } finally {
      gradient.dispose();
    }
  }

  /** Returns the training forward that the next backward belongs to, if the GPU did it. */
  #currentSaved(): SavedForward | null {
    if (this.#saved !== null && this.#saved.parametersVersion !== this.#state.parametersVersion) {
      this.dropSaved();
    }
    return this.#saved;
  }

  /** Resolves with null if the forward did not run on the GPU, or the GPU cannot do the backward. */
  async #onGpu(outputGradient: Tensor, options: DeviceOptions): Promise<Tensor | null> {
    const saved = this.#currentSaved();
    if (saved === null) return null;
    getCore().checkOutputGradient(outputGradient.shape, saved.input.shape);
    this.#state.core.requireGradients();
    const done = await accelerator()!.backward(this.#state.accelerated, saved, outputGradient, options);
    if (done === null) return null;
    if (this.#state.disposed) {
      done.contextGradient?.dispose();
      return done.inputGradient;
    }
    this.#addParameterGradients(done.parameterGradients);
    this.#setContextGradient(done.contextGradient);
    return done.inputGradient;
  }

  /** Runs the backward in WebAssembly. Tensors in GPU memory are read back first. */
  async #readBackAndRun(outputGradient: Tensor): Promise<Tensor> {
    const saved = this.#currentSaved();
    if (saved !== null) await withTensorsInWasm(saved, (tensors) => this.#repeatForward(tensors));
    const gradient = { input: outputGradient, context: null, mask: null };
    return withTensorsInWasm(gradient, ({ input }) => this.inWasm(input));
  }

  /** Repeats in WebAssembly a forward that ran on the GPU, for a backward in WebAssembly. */
  #repeatForward({ input, context, mask }: CallTensors): void {
    if ([input, context, mask].some((tensor) => tensor?.location === 'webgpu')) {
      throw new ArgumentError('the last forward used GPU memory; use backwardAsync');
    }
    const { core, dtype } = this.#state;
    const wasTraining = core.training();
    core.setTraining(true);
    try {
      core.forward(...coreCall(dtype, input, context, { mask })).delete();
    } finally {
      core.setTraining(wasTraining);
    }
    this.dropSaved();
  }

  #setContextGradient(gradient: Tensor | null): void {
    this.#contextGradient?.dispose();
    this.#contextGradient = gradient;
  }

  #addParameterGradients(parts: readonly Float32Array[]): void {
    const gradients = this.#state.core.gradientsView();
    let first = 0;
    for (const part of parts) {
      for (let index = 0; index < part.length; ++index) gradients[first + index]! += part[index]!;
      first += part.length;
    }
  }
}
