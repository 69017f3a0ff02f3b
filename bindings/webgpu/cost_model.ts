// The time of a call on each device: predicted from calibration, or measured on earlier calls of the same
// kind.

/** Returns the median; of an even number of values, the upper of the two in the middle. */
function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

/** Measured speed of a device. */
export interface Rates {
  /** Time of a call that computes nothing. */
  milliseconds: number;
  flopsPerMillisecond: number;
}

/** Measured speed of copies between WASM memory and GPU memory. */
export interface TransferRates {
  uploadBytesPerMillisecond: number;
  downloadBytesPerMillisecond: number;
}

/** Stored by calibration_store.ts. */
export interface Calibration {
  wasm: Rates;
  webgpu: Rates;
  transfer: TransferRates;
}

export type DeviceName = 'wasm' | 'webgpu';

/** The work of a call on one device. */
export interface Work {
  flops: number;
  uploadBytes: number;
  downloadBytes: number;
}

export interface CallWork {
  /** Identifies calls of equal cost: operation, sizes and locations of the tensors. */
  key: string;
  wasm: Work;
  webgpu: Work;
}

/** Returns milliseconds. */
export function predict(rates: Rates, transfer: TransferRates, work: Work): number {
  return (
    rates.milliseconds +
    work.flops / rates.flopsPerMillisecond +
    work.uploadBytes / transfer.uploadBytesPerMillisecond +
    work.downloadBytes / transfer.downloadBytesPerMillisecond
  );
}

/** Number of times that are stored for each kind of call and device. */
const maxTimes = 5;

/**
 * Times of calls, by kind and device. The first call of a kind is ignored: it compiles, packs and allocates,
 * so that its time does not predict the next one.
 */
export class Observations {
  readonly #times = new Map<string, number[]>();
  readonly #started = new Set<string>();

  add(key: string, device: DeviceName, milliseconds: number): void {
    const name = `${device} ${key}`;
    if (!this.#started.has(name)) {
      this.#started.add(name);
      return;
    }
    const times = this.#times.get(name) ?? [];
    this.#times.set(name, [...times, milliseconds].slice(-maxTimes));
  }

  /** Returns the number of calls of this kind, including the first one, at most maxTimes + 1. */
  calls(key: string, device: DeviceName): number {
    const name = `${device} ${key}`;
    return (this.#started.has(name) ? 1 : 0) + (this.#times.get(name)?.length ?? 0);
  }

  /** Returns the median of the stored times, null if there are none. */
  expected(key: string, device: DeviceName): number | null {
    const times = this.#times.get(`${device} ${key}`);
    return times === undefined ? null : median(times);
  }
}
