// A training step as commands: forward, loss, backward, Adam.
import type { TrainingBatch, TrainingOptions } from '../../package/denoiser/training_on_gpu';
import type { Device } from '../device';
import { Adam } from './adam';
import type { Checkpoint } from './checkpoint';
import { learnPicture, learnPlaces, unknown } from './loss';
import { type Configuration, Model } from './model';
import type { Parameters } from './parameters';
import type { Tape, Value } from './tape';

const channels = 3;

/** [length, length], added to scores: each word sees itself and those before it. */
const causalMask = (length: number): Float32Array =>
  Float32Array.from({ length: length ** 2 }, (_, at) =>
    at % length > Math.floor(at / length) ? -Infinity : 0,
  );

const configurationOf = (checkpoint: Checkpoint): Configuration => ({
  pixelBlocks: checkpoint.number('pixelBlocks'),
  patch: checkpoint.number('patch'),
  features: checkpoint.number('features'),
  blocks: checkpoint.number('blocks'),
  numHeads: checkpoint.number('numHeads'),
  textBlocks: checkpoint.number('textBlocks'),
  textHeads: checkpoint.number('textHeads'),
});

/** What is uploaded for a step. */
type Inputs = Record<keyof TrainingBatch | 'keyMask', Value>;

export class TrainingStep {
  /** Where the loss of a step is, one number. */
  readonly loss: GPUBuffer;
  readonly #device: Device;
  readonly #inputs: Inputs;
  readonly #adam: Adam;

  /** Records all of it. */
  constructor(
    tape: Tape,
    parameters: Parameters,
    checkpoint: Checkpoint,
    { batch, adam, alignment, sizes }: Pick<TrainingOptions, 'batch' | 'adam' | 'alignment' | 'sizes'>,
  ) {
    this.#device = tape.device;
    const size = checkpoint.number('imageSize');
    const length = checkpoint.number('mostWords');
    const tokens = (size / checkpoint.number('patch')) ** 2;
    const pixels = [batch, size ** 2, channels];
    const inputs = {
      pictures: tape.input('pictures', pixels),
      noisy: tape.input('noisy pictures', pixels),
      timestepEmbedding: tape.input('timestep embedding', [batch, 1, sizes.timestepEmbedding / batch]),
      places: tape.input('places', [batch, tokens, sizes.places / (batch * tokens)]),
      weights: tape.input('weights of pictures', [batch]),
      ids: tape.input('ids', [batch, length]),
      keyMask: tape.input('key mask', [batch, length]),
    };
    this.#inputs = inputs;
    const causal = tape.input('causal mask', [1, 1, length, length]);
    this.#device.upload(causal.binding.buffer, 0, causalMask(length));
    const maskOf = ({ shape, binding }: Value) => ({ shape, buffer: binding.buffer });

    const model = new Model(tape, (name) => parameters.get(name), configurationOf(checkpoint));
    const given = { ...inputs, keyMask: maskOf(inputs.keyMask), causalMask: maskOf(causal) };
    const estimate = model.forward(given, (middle) => learnPlaces(tape, middle, inputs.places, alignment));
    const loss = tape.input('loss', [4]).binding;
    this.loss = loss.buffer;
    learnPicture(tape, estimate, inputs.pictures, inputs.weights, loss);
    tape.backward();
    this.#adam = new Adam(tape, parameters, adam);
  }

  /** Uploads what is of step number `step`, from 1 on. */
  prepare(batch: TrainingBatch, step: number, learningRate: number): void {
    const put = (name: keyof Inputs, values: Float32Array | Uint32Array): void =>
      this.#device.upload(this.#inputs[name].binding.buffer, 0, values);
    for (const name of ['pictures', 'noisy', 'timestepEmbedding', 'weights'] as const) put(name, batch[name]);
    put(
      'places',
      batch.places.map((place) => (Number.isNaN(place) ? unknown : place)),
    );
    put('ids', Uint32Array.from(batch.ids));
    put(
      'keyMask',
      Uint32Array.from(batch.ids, (id) => (id === 0 ? 0 : 1)),
    );
    this.#adam.prepare(step, learningRate);
  }
}
