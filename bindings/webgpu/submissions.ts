// The queue of a layer's calls. Calls share scratch buffers, so each must be submitted before the next is
// recorded.
import type { Device } from './device';
import { ParameterBuffers, Recorder } from './recorder';
import type { Scratch } from './scratch';

/**
 * A call in three steps. `record` runs in one error scope, `upload` and `read` without interruption in
 * another.
 */
export interface Submission<Recorded, Result> {
  /** Takes buffers and records commands. */
  record: (recorder: Recorder) => Recorded;
  /** Fills buffers, right before the commands are submitted. */
  upload: () => void;
  /** Starts reading results. */
  read: (recorded: Recorded) => Promise<Result> | Result;
}

export class Submissions {
  readonly #device: Device;
  readonly #scratch: Scratch;
  readonly #parameters: ParameterBuffers;
  /** Resolves when the last call in the queue is submitted. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(device: Device, scratch: Scratch) {
    this.#device = device;
    this.#scratch = scratch;
    this.#parameters = new ParameterBuffers(device);
  }

  /**
   * Resolves to the result of `read` when the device has executed the call without errors. Throws
   * DeviceError, OutOfMemoryError.
   */
  async run<Recorded, Result>({ record, upload, read }: Submission<Recorded, Result>): Promise<Result> {
    const submitted = this.#last.then(async () => {
      const recorder = new Recorder(this.#device, this.#parameters);
      let recorded: Recorded;
      let submit: () => void;
      try {
        recorded = await this.#device.guarded(async () => record(recorder));
        submit = await recorder.prepare();
      } catch (error) {
        // A buffer whose creation failed must not be used by the next call.
        this.#scratch.dispose();
        throw error;
      }
      const done = this.#device.guarded(async () => {
        upload();
        submit();
        return read(recorded);
      });
      // The caller receives the error; the next call in the queue is not delayed.
      done.catch(() => this.#parameters.dispose());
      return { done };
    });
    this.#last = submitted.catch(() => {});
    return (await submitted).done;
  }

  /** Frees the scratch buffers, too, when all calls in the queue are submitted. */
  dispose(): void {
    void this.#last.then(() => {
      this.#parameters.dispose();
      this.#scratch.dispose();
    });
  }
}
