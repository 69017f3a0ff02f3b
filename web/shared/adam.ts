/**
 * Based on: Kingma and Ba, "Adam: A method for stochastic optimization" (2015). Part of the site, because the
 * layer's own update is plain gradient descent. Shows how a caller adds an optimiser.
 */
export interface AdamOptions {
  /** Decay of the running mean of the gradient, per step. Default 0.9. */
  readonly meanDecay?: number;
  /** Decay of the running mean of the squared gradient, per step. Default 0.999. */
  readonly squareDecay?: number;
  /** Keeps the division finite for parameters whose gradient has always been zero. Default 1e-8. */
  readonly epsilon?: number;
}

export class Adam {
  readonly #mean: Float32Array;
  readonly #square: Float32Array;
  readonly #meanDecay: number;
  readonly #squareDecay: number;
  readonly #epsilon: number;
  #meanWeight = 1;
  #squareWeight = 1;

  constructor(
    parameterCount: number,
    { meanDecay = 0.9, squareDecay = 0.999, epsilon = 1e-8 }: AdamOptions = {},
  ) {
    this.#mean = new Float32Array(parameterCount);
    this.#square = new Float32Array(parameterCount);
    this.#meanDecay = meanDecay;
    this.#squareDecay = squareDecay;
    this.#epsilon = epsilon;
  }

  /** Updates `parameters` in place by one step. */
  step(parameters: Float32Array, gradients: ArrayLike<number>, learningRate: number): void {
    const mean = this.#mean;
    const square = this.#square;
    const meanDecay = this.#meanDecay;
    const squareDecay = this.#squareDecay;
    const epsilon = this.#epsilon;
    // Both running means start at zero. The two weights correct the bias of the first steps towards it.
    this.#meanWeight *= meanDecay;
    this.#squareWeight *= squareDecay;
    const rate = (learningRate * Math.sqrt(1 - this.#squareWeight)) / (1 - this.#meanWeight);
    for (let index = 0; index < parameters.length; index++) {
      const gradient = gradients[index]!;
      const newMean = meanDecay * mean[index]! + (1 - meanDecay) * gradient;
      const newSquare = squareDecay * square[index]! + (1 - squareDecay) * gradient * gradient;
      mean[index] = newMean;
      square[index] = newSquare;
      parameters[index] = parameters[index]! - (rate * newMean) / (Math.sqrt(newSquare) + epsilon);
    }
  }
}
