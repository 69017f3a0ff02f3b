// Calls of a layer, one after another: they share their scratch, so that each must be submitted before the next is recorded.
import type { Device } from './device';
import { ParameterBuffers, Recorder } from './recorder';
import type { Scratch } from './scratch';

/** A call in three steps. The first and the last two are each done at one go, under the device's eye. */
export interface Submission<Recorded, Result> {
  /** Takes buffers and records commands. */
  record: (recorder: Recorder) => Recorded;
  /** Fills buffers, right before the commands are submitted. */
  upload: () => void;
  /** Begins to read results. */
  read: (recorded: Recorded) => Promise<Result> | Result;
}

export class Submissions {
  readonly #device: Device;
  readonly #scratch: Scratch;
  readonly #parameters: ParameterBuffers;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(device: Device, scratch: Scratch) {
    this.#device = device;
    this.#scratch = scratch;
    this.#parameters = new ParameterBuffers(device);
  }

  /** What `read` gives, once the device has done all of it without an error. Throws DeviceError, OutOfMemoryError. */
  async run<Recorded, Result>({ record, upload, read }: Submission<Recorded, Result>): Promise<Result> {
    const submitted = this.#turn.then(async () => {
      const recorder = new Recorder(this.#device, this.#parameters);
      let recorded: Recorded;
      let submitCommands: () => void;
      try {
        recorded = await this.#device.guarded(async () => record(recorder));
        submitCommands = await recorder.ready();
      } catch (error) {
        // A buffer that could not be had must not be found there next time.
        this.#scratch.dispose();
        throw error;
      }
      const done = this.#device.guarded(async () => {
        upload();
        submitCommands();
        return read(recorded);
      });
      // Whoever waits for the result hears of it; the next in turn does not wait.
      done.catch(() => this.#parameters.dispose());
      return { done };
    });
    this.#turn = submitted.catch(() => {});
    return (await submitted).done;
  }

  /** Frees the scratch, too, once everything that was begun is submitted. */
  dispose(): void {
    void this.#turn.then(() => {
      this.#parameters.dispose();
      this.#scratch.dispose();
    });
  }
}
