// How long a call takes on each device: predicted from what calibration measured, or known from calls like it.

/** What a device was measured to do. */
export interface Rates {
  /** Of a call that computes nothing. */
  milliseconds: number;
  flopsPerMillisecond: number;
}

/** Bytes between WASM memory and the graphics card. */
export interface TransferRates {
  uploadBytesPerMillisecond: number;
  downloadBytesPerMillisecond: number;
}

export interface Calibration {
  wasm: Rates;
  webgpu: Rates;
  transfer: TransferRates;
}

export type DeviceName = 'wasm' | 'webgpu';

/** What a device would have to do for a call. */
export interface Work {
  flops: number;
  uploadBytes: number;
  downloadBytes: number;
}

export interface CallWork {
  /** The same for calls that take the same time: what is done, its sizes, where its tensors lie. */
  key: string;
  wasm: Work;
  webgpu: Work;
}

export function predict(rates: Rates, transfer: TransferRates, work: Work): number {
  return (
    rates.milliseconds +
    work.flops / rates.flopsPerMillisecond +
    work.uploadBytes / transfer.uploadBytesPerMillisecond +
    work.downloadBytes / transfer.downloadBytesPerMillisecond
  );
}

/** Calls whose times are remembered, of each kind and device. */
const remembered = 5;

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((left, right) => left - right);
  return sorted[sorted.length >> 1]!;
}

/** Times of calls, by what they were. A first call compiles, packs and allocates: its time tells nothing of the next. */
export class Observations {
  readonly #times = new Map<string, number[]>();
  readonly #begun = new Set<string>();

  add(key: string, device: DeviceName, milliseconds: number): void {
    const name = `${device} ${key}`;
    if (!this.#begun.has(name)) {
      this.#begun.add(name);
      return;
    }
    const times = this.#times.get(name) ?? [];
    this.#times.set(name, [...times, milliseconds].slice(-remembered));
  }

  /** Calls of this kind, the first one among them, as far as they are remembered. */
  calls(key: string, device: DeviceName): number {
    const name = `${device} ${key}`;
    return (this.#begun.has(name) ? 1 : 0) + (this.#times.get(name)?.length ?? 0);
  }

  /** Null where no call of this kind was seen. */
  expected(key: string, device: DeviceName): number | null {
    const times = this.#times.get(`${device} ${key}`);
    return times === undefined ? null : median(times);
  }
}
