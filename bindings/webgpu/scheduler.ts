// Which device takes a call. Where a kind of call was seen on both, the one that was faster; before, the one of which the cost
// model says so – but where they are near each other, each is tried some times, so that neither a prediction nor a call that
// was disturbed decides a close race.
import {
  type Calibration,
  type CallWork,
  type DeviceName,
  Observations,
  predict,
  type Work,
} from './cost_model';

/** What is expected of a device. */
export interface Estimate extends Work {
  milliseconds: number;
  /** measured: by calls like this one; predicted: by the cost model. */
  from: 'measured' | 'predicted';
}

/** A decision, with its figures. `wasm`, `webgpu`: null where nothing was weighed. */
export interface Decision {
  device: DeviceName;
  reason: string;
  wasm: Estimate | null;
  webgpu: Estimate | null;
}

/** A device is tried where it is predicted to take less than so many times what the other takes … */
const worthATry = 3;
/** … and judged by no fewer calls: the first tells nothing, and a single one may have been disturbed. */
const enoughCalls = 4;

export class Scheduler {
  readonly #calibration: Calibration;
  readonly #observations = new Observations();

  constructor(calibration: Calibration) {
    this.#calibration = calibration;
  }

  decide(call: CallWork): Decision {
    const wasm = this.#estimate(call, 'wasm');
    const webgpu = this.#estimate(call, 'webgpu');
    const faster: DeviceName = wasm.milliseconds <= webgpu.milliseconds ? 'wasm' : 'webgpu';
    const slower: DeviceName = faster === 'wasm' ? 'webgpu' : 'wasm';
    const figures = { wasm, webgpu };
    const isPredicted = figures[faster].from === 'predicted';
    if (this.#isToBeTried(call, faster, slower)) {
      const reason = isPredicted ? 'predicted to be faster' : 'was faster so far';
      return { device: faster, reason, ...figures };
    }
    if (this.#isToBeTried(call, slower, faster)) {
      return { device: slower, reason: 'may be faster: it is tried', ...figures };
    }
    const isSeen = figures[slower].from === 'measured';
    const reason = isSeen ? 'was faster' : 'was faster than is predicted of the other';
    return { device: faster, reason, ...figures };
  }

  /** A call of this kind took so long. */
  observe(call: CallWork, device: DeviceName, milliseconds: number): void {
    this.#observations.add(call.key, device, milliseconds);
  }

  #estimate(call: CallWork, device: DeviceName): Estimate {
    const seen = this.#observations.expected(call.key, device);
    return seen === null
      ? { ...call[device], milliseconds: this.#predict(call, device), from: 'predicted' }
      : { ...call[device], milliseconds: seen, from: 'measured' };
  }

  #predict(call: CallWork, device: DeviceName): number {
    return predict(this.#calibration[device], this.#calibration.transfer, call[device]);
  }

  #isToBeTried(call: CallWork, device: DeviceName, other: DeviceName): boolean {
    const calls = this.#observations.calls(call.key, device);
    if (calls > 0) return calls < enoughCalls;
    return this.#predict(call, device) < worthATry * this.#predict(call, other);
  }
}

const millions = (number: number): string => (number / 1e6).toFixed(2);

function estimateText(name: string, estimate: Estimate): string {
  const { milliseconds, from, flops, uploadBytes, downloadBytes } = estimate;
  return (
    `${name}: ${milliseconds.toFixed(2)} ms ${from} (${millions(flops)} MFLOP, ` +
    `${millions(uploadBytes)} MB up, ${millions(downloadBytes)} MB down)`
  );
}

/** A decision for people. */
export function decisionText({ device, reason, wasm, webgpu }: Decision): string {
  const figures = [wasm && estimateText('wasm', wasm), webgpu && estimateText('webgpu', webgpu)];
  return [`${device}: ${reason}`, ...figures.filter((text) => text !== null)].join('; ');
}
