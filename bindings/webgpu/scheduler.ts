// Chooses the device of a call: the faster one if both were measured on calls of this kind, else the one that
// the cost model predicts to be faster. If the predictions are close, each device is tried some times, so
// that neither a prediction nor a single slow call decides.
import {
  type Calibration,
  type CallWork,
  type DeviceName,
  Observations,
  predict,
  type Work,
} from './cost_model';

/** The expected cost of a call on one device. */
export interface Estimate extends Work {
  milliseconds: number;
  /** 'measured': the median of earlier calls of this kind. 'predicted': the cost model. */
  from: 'measured' | 'predicted';
}

/** A decision with its figures. `wasm` and `webgpu` are null if there was no choice. */
export interface Decision {
  device: DeviceName;
  reason: string;
  wasm: Estimate | null;
  webgpu: Estimate | null;
}

/** A device is tried if its predicted time is less than this factor times the estimate of the other one. */
const maxPredictedRatio = 3;
/** Calls before a device is judged: the first one is ignored, and a single one may have been disturbed. */
const minCalls = 4;

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
    if (this.#needsTrial(call, faster, figures[slower])) {
      const reason = isPredicted ? 'predicted to be faster' : 'faster so far';
      return { device: faster, reason, ...figures };
    }
    if (this.#needsTrial(call, slower, figures[faster])) {
      return { device: slower, reason: 'trial, it may be faster', ...figures };
    }
    const isMeasured = figures[slower].from === 'measured';
    const reason = isMeasured ? 'measured to be faster' : 'faster than predicted for the other device';
    return { device: faster, reason, ...figures };
  }

  /** Records the time of a call. */
  observe(call: CallWork, device: DeviceName, milliseconds: number): void {
    this.#observations.add(call.key, device, milliseconds);
  }

  #estimate(call: CallWork, device: DeviceName): Estimate {
    const measured = this.#observations.expected(call.key, device);
    return measured === null
      ? { ...call[device], milliseconds: this.#predict(call, device), from: 'predicted' }
      : { ...call[device], milliseconds: measured, from: 'measured' };
  }

  #predict(call: CallWork, device: DeviceName): number {
    return predict(this.#calibration[device], this.#calibration.transfer, call[device]);
  }

  #needsTrial(call: CallWork, device: DeviceName, other: Estimate): boolean {
    const calls = this.#observations.calls(call.key, device);
    if (calls > 0) return calls < minCalls;
    return this.#predict(call, device) < maxPredictedRatio * other.milliseconds;
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

/** Returns the text of `explain()`: device, reason and figures. */
export function decisionText({ device, reason, wasm, webgpu }: Decision): string {
  const figures = [wasm && estimateText('wasm', wasm), webgpu && estimateText('webgpu', webgpu)];
  return [`${device}: ${reason}`, ...figures.filter((text) => text !== null)].join('; ');
}
