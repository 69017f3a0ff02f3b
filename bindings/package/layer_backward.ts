// The backward pass of a layer, on the device of the training forward that it belongs to.
import type { AcceleratedBackward, DeviceOptions, SavedForward } from './accelerator';
import { noRecord } from './attention_recorder';
import { accelerator } from './current_accelerator';
import { ArgumentError } from './errors';
import { coreCall, outputShape } from './layer_call';
import { checkDeviceOptions } from './layer_options';
import type { LayerState } from './layer_state';
import { addGradients } from './layer_training';
import { getCore } from './runtime';
import { checkTensor, type Tensor, tensorHandle, wrapTensor } from './tensor';
import { moveTo, withTensorsInWasm } from './transfer';

export class BackwardPass {
  readonly #state: LayerState;
  /** The last training forward, if it ran on the GPU. Those of WebAssembly are saved by the core. */
  #saved: SavedForward | null = null;
  /**
   * Numbers of calls, which may end in another order: results of an earlier call do not replace those of a
   * later one.
   */
  #forwardCalls = 0;
  #savedCall = 0;
  #backwardCalls = 0;
  #contextGradientCall = 0;
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

  /** Returns the number of a training forward that starts now. */
  startForward(): number {
    return ++this.#forwardCalls;
  }

  /** True unless a later training forward was saved, or the state was reset. */
  isLatest(call: number): boolean {
    return call > this.#savedCall && !this.#state.disposed;
  }

  /** Takes over a training forward. `saved` is null if the core saves it. */
  save(saved: SavedForward | null, call: number): void {
    if (!this.isLatest(call)) {
      saved?.dispose();
      return;
    }
    this.#dropSaved();
    this.#saved = saved;
    this.#savedCall = call;
  }

  #dropSaved(): void {
    this.#saved?.dispose();
    this.#saved = null;
  }

  reset(): void {
    this.#dropSaved();
    this.#savedCall = this.#forwardCalls;
    this.#setContextGradient(null, this.#backwardCalls);
  }

  inWasm(outputGradient: Tensor): Tensor {
    const { core, dtype } = this.#state;
    const gradient = tensorHandle('outputGradient', outputGradient, dtype);
    const saved = this.#currentSaved();
    if (saved !== null) this.#repeatForward(saved);
    const result = wrapTensor(core.backward(gradient), dtype);
    const contextGradient = core.contextGradient();
    this.#setContextGradient(contextGradient && wrapTensor(contextGradient, dtype), ++this.#backwardCalls);
    return result;
  }

  async onAnyDevice(outputGradient: Tensor, options: DeviceOptions | undefined): Promise<Tensor> {
    this.#state.requireAlive();
    const { device, location } = checkDeviceOptions(options);
    checkTensor('outputGradient', outputGradient, this.#state.dtype);
    const target = location ?? outputGradient.location;
    const saved = this.#currentSaved();
    if (saved !== null) return this.#withAccelerator(saved, outputGradient, { device, location });
    if (outputGradient.location === 'wasm') return moveTo(target, this.inWasm(outputGradient));
    const gradient = { input: outputGradient, context: null, mask: null };
    return moveTo(target, await withTensorsInWasm(gradient, ({ input }) => this.inWasm(input)));
  }

  /** Returns the training forward that the next backward belongs to, if the GPU did it. */
  #currentSaved(): SavedForward | null {
    if (this.#saved !== null && this.#saved.parametersVersion !== this.#state.parametersVersion) {
      this.#dropSaved();
    }
    return this.#saved;
  }

  async #withAccelerator(
    saved: SavedForward,
    outputGradient: Tensor,
    options: DeviceOptions,
  ): Promise<Tensor> {
    const expected = outputShape(this.#state.accelerated, saved.input.shape);
    getCore().checkOutputGradient(outputGradient.shape, expected);
    this.#state.core.requireGradients();
    const call = ++this.#backwardCalls;
    const { gradientsVersion, trainable } = this.#state;
    const done = await accelerator()!.backward(this.#state.accelerated, saved, outputGradient, options);
    this.#accept(done, call, gradientsVersion, trainable);
    return done.inputGradient;
  }

  #accept(
    { contextGradient, parameterGradients }: AcceleratedBackward,
    call: number,
    version: number,
    trainable: readonly string[] | null,
  ): void {
    if (this.#state.disposed || call < this.#contextGradientCall) contextGradient?.dispose();
    else this.#setContextGradient(contextGradient, call);
    if (this.#state.disposed || version !== this.#state.gradientsVersion) return;
    addGradients(this.#state, parameterGradients, trainable);
  }

  /** Repeats in WebAssembly a forward that ran on the GPU, for a backward in WebAssembly. */
  #repeatForward({ input, context, mask }: SavedForward): void {
    if ([input, context, mask].some((tensor) => tensor?.location === 'webgpu')) {
      throw new ArgumentError('the last forward used GPU memory; use backwardAsync');
    }
    const { core, dtype } = this.#state;
    const wasTraining = core.training();
    core.setTraining(true);
    try {
      core.forward(...coreCall(dtype, input, context, { mask }), ...noRecord).delete();
    } finally {
      core.setTraining(wasTraining);
    }
    this.#dropSaved();
  }

  #setContextGradient(gradient: Tensor | null, call: number): void {
    this.#contextGradient?.dispose();
    this.#contextGradient = gradient;
    this.#contextGradientCall = call;
  }
}
