// Adam with a running average of the parameters, as src/operators/adam.
import type { AdamOptions } from '../../package/denoiser/training_on_gpu';
import type { ElementKernel } from './kernels';
import type { Parameters } from './parameters';
import type { Tape } from './tape';
import { recordTotal } from './totals';

const kernel: ElementKernel = {
  label: 'Adam',
  numbers: ['beta1', 'beta2', 'epsilon', 'mostNorm'],
  floats: ['beta1', 'beta2', 'epsilon', 'mostNorm'],
  buffers: [
    ['values', 'write'],
    ['gradients', 'read'],
    ['mean', 'write'],
    ['square', 'write'],
    ['average', 'write'],
    // Rate, factor of the squares, decay.
    ['step', 'read'],
    ['squaredNorm', 'read'],
  ],
  body: `let norm = sqrt(squaredNorm[0]);
let shrink = select(1.0, p.mostNorm / norm, p.mostNorm > 0.0 && norm > p.mostNorm);
let slope = gradients[i] * shrink;
mean[i] += (1.0 - p.beta1) * (slope - mean[i]);
square[i] += (1.0 - p.beta2) * (slope * slope - square[i]);
values[i] -= step[0] * mean[i] / (sqrt(square[i] * step[1]) + p.epsilon);
average[i] += (1.0 - step[2]) * (values[i] - average[i]);`,
};

export class Adam {
  readonly #options: AdamOptions;
  readonly #step: GPUBuffer;
  readonly #tape: Tape;

  /** Records the update of all parameters. */
  constructor(tape: Tape, parameters: Parameters, options: AdamOptions) {
    this.#tape = tape;
    this.#options = options;
    const { values, gradients, mean, square, average } = parameters.buffers;
    this.#step = tape.input('numbers of the step', [4]).binding.buffer;
    const norm = tape.input('squared norm', [4]).binding;
    recordTotal(tape, { buffer: gradients }, parameters.size, norm, true);
    const { beta1, beta2, epsilon, maxGradientNorm: mostNorm } = options;
    const buffers = [values, gradients, mean, square, average, this.#step].map((buffer) => ({ buffer }));
    tape.forElements(kernel, parameters.size, { beta1, beta2, epsilon, mostNorm }, [...buffers, norm]);
  }

  /** Uploads what is of the update that comes, number `step` from 1 on. */
  prepare(step: number, learningRate: number): void {
    const { beta1, beta2, averageDecay } = this.#options;
    const decay = Math.min(averageDecay, (1 + step) / (10 + step));
    const numbers = [learningRate / (1 - beta1 ** step), 1 / (1 - beta2 ** step), decay, 0];
    this.#tape.device.upload(this.#step, 0, new Float32Array(numbers));
  }
}
