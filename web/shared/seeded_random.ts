/**
 * A small random number generator with a seed (mulberry32). Unlike `Math.random`, it makes training
 * repeatable: "Restart" gives the same painting again.
 */
export class SeededRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Uniform in [0, 1). */
  uniform(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let bits = this.#state;
    bits = Math.imul(bits ^ (bits >>> 15), bits | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Normal with mean 0 and standard deviation 1 (Box–Muller). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Shuffles `values` in place (Fisher–Yates). */
  shuffle(values: Uint32Array): void {
    for (let index = values.length - 1; index > 0; index--) {
      const other = Math.floor(this.uniform() * (index + 1));
      const value = values[index]!;
      values[index] = values[other]!;
      values[other] = value;
    }
  }
}
