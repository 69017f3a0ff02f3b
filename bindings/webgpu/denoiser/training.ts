// A training on the card: a step is recorded once and submitted for every batch.
import type { TrainingBatch, TrainingOnGpu, TrainingOptions } from '../../package/denoiser/training_on_gpu';
import { DeviceError, messageOf } from '../../package/errors';
import type { Device } from '../device';
import { type ReplayableCommands, ParameterBuffers, Recorder } from '../recorder';
import type { Strategy } from '../recording';
import { Checkpoint } from './checkpoint';
import { Parameters } from './parameters';
import { TrainingStep } from './step';
import { Tape } from './tape';

/** Numbers of which the first is the loss. */
const lossBytes = 16;

/** All that a training has made on the card. */
interface Resources {
  device: Device;
  checkpoint: Checkpoint;
  parameters: Parameters;
  step: TrainingStep;
  commands: ReplayableCommands;
  dispose: () => void;
}

class Training implements TrainingOnGpu {
  readonly #resources: Resources;
  #steps: number;
  #problem: string | null = null;
  #disposed = false;

  constructor(resources: Resources) {
    this.#resources = resources;
    this.#steps = resources.checkpoint.number('step');
  }

  get description(): string {
    return this.#resources.device.description;
  }

  get steps(): number {
    return this.#steps;
  }

  async step(batch: TrainingBatch, learningRate: number): Promise<number> {
    const { device, step, commands } = this.#resources;
    return this.#unlessFailed(async () => {
      step.prepare(batch, this.#steps + 1, learningRate);
      commands.submit();
      this.#steps++;
      return (await device.read(step.loss, 0, lossBytes))[0]!;
    });
  }

  async checkpoint(): Promise<Uint8Array> {
    const { checkpoint, parameters } = this.#resources;
    return this.#unlessFailed(() => parameters.toFile(checkpoint, this.#steps));
  }

  /** After a failure nobody knows what the card's parameters are: nothing is done with them any more. */
  async #unlessFailed<T>(work: () => Promise<T>): Promise<T> {
    if (this.#problem !== null) throw new DeviceError(`the training on the card has ended: ${this.#problem}`);
    try {
      return await this.#resources.device.guarded(work);
    } catch (error) {
      this.#problem ??= messageOf(error);
      throw error;
    }
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#resources.dispose();
  }
}

/** `release`: what is to be done with the device in the end. Throws DeviceError, OutOfMemoryError. */
export async function startTraining(
  device: Device,
  strategy: Strategy,
  options: TrainingOptions,
  release: () => void,
): Promise<TrainingOnGpu> {
  const numbers = new ParameterBuffers(device);
  const recorder = new Recorder(device, numbers);
  const tape = new Tape(device, recorder, strategy);
  let parameters: Parameters | null = null;
  let commands: ReplayableCommands | null = null;
  const dispose = (): void => {
    commands?.release();
    numbers.dispose();
    tape.dispose();
    parameters?.dispose();
    release();
  };
  try {
    const checkpoint = new Checkpoint(options.checkpoint);
    const step = await device.guarded(async () => {
      parameters = new Parameters(device, checkpoint);
      return new TrainingStep(tape, parameters, checkpoint, options);
    });
    const keep = await recorder.prepareReplay();
    // Known before the device says whether it could: what it took is given back then, too.
    const kept = await device.guarded(async () => (commands = keep()));
    return new Training({ device, checkpoint, parameters: parameters!, step, commands: kept, dispose });
  } catch (error) {
    dispose();
    throw error;
  }
}
