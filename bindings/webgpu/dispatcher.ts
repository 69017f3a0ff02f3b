// Runs a call on the chosen device, and in WebAssembly if the GPU fails.
import type { DeviceChoice, ForwardOptions } from '../package/accelerator';
import { DeviceError, OutOfMemoryError } from '../package/errors';
import type { CallWork } from './cost_model';
import { LimitError } from './device';
import type { DeviceManager, ReadyDevice } from './device_manager';
import { type Decision, decisionText } from './scheduler';

export class Dispatcher {
  readonly #devices: DeviceManager;
  readonly #choice: DeviceChoice;
  /** Texts of the last decisions, by layer or graph. */
  readonly #decisions = new WeakMap<object, string>();

  /** `choice`: the default of the calls. */
  constructor(devices: DeviceManager, choice: DeviceChoice) {
    this.#devices = devices;
    this.#choice = choice;
  }

  /**
   * Runs a call of `owner`, a layer or graph, on the chosen device. `options.problem`: why the GPU cannot do
   * it, or null.
   */
  async dispatch<T>(
    owner: object,
    work: CallWork,
    options: ForwardOptions & { problem: string | null },
    onGpu: (ready: ReadyDevice) => Promise<T>,
    inWasm: () => Promise<T>,
  ): Promise<T> {
    const ready = this.#devices.get();
    const decision = this.#decide(options, ready, work);
    this.record(owner, decisionText(decision));
    if (decision.device === 'webgpu') {
      try {
        const start = performance.now();
        const result = await onGpu(ready!);
        this.#devices.succeed();
        // A result that stays in GPU memory is complete later than its Tensor.
        void ready!.device.gpu.queue
          .onSubmittedWorkDone()
          .then(() => ready!.scheduler.observe(work, 'webgpu', performance.now() - start))
          .catch(() => {});
        return result;
      } catch (error) {
        if (!this.fail(owner, error)) throw error;
      }
    }
    const start = performance.now();
    const result = await inWasm();
    ready?.scheduler.observe(work, 'wasm', performance.now() - start);
    return result;
  }

  /**
   * Records that a call on the GPU failed. Returns true if WebAssembly must do it: the error is not the
   * caller's.
   */
  fail(owner: object, error: unknown): boolean {
    if (!(error instanceof DeviceError) && !(error instanceof OutOfMemoryError)) return false;
    if (!(error instanceof LimitError)) this.#devices.fail(error);
    this.record(owner, `wasm: webgpu failed: ${error.message}`);
    return true;
  }

  /** Records the text that `explain` returns. */
  record(owner: object, decision: string): void {
    this.#decisions.set(owner, decision);
  }

  explain(owner: object): string | null {
    return this.#decisions.get(owner) ?? null;
  }

  #decide(
    options: ForwardOptions & { problem: string | null },
    ready: ReadyDevice | null,
    work: CallWork,
  ): Decision {
    const noFigures = { wasm: null, webgpu: null };
    const choice = options.device ?? this.#choice;
    if (options.wasmReason) return { device: 'wasm', reason: options.wasmReason, ...noFigures };
    if (choice === 'wasm') return { device: 'wasm', reason: 'requested', ...noFigures };
    if (options.problem !== null)
      return { device: 'wasm', reason: `webgpu: ${options.problem}`, ...noFigures };
    if (ready === null) {
      const reason = `webgpu: ${this.#devices.problem ?? 'there is no device yet'}`;
      return { device: 'wasm', reason, ...noFigures };
    }
    const decision = ready.scheduler.decide(work);
    return choice === 'webgpu' ? { ...decision, device: 'webgpu', reason: 'requested' } : decision;
  }
}
