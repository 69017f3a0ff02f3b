// Which device takes a call. Where a kind of call was seen on both, the one that was faster; before, the one of which the cost
// model says so – but where they are near each other, each is tried, so that no prediction decides a close race.
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

/**
 * A device that was not tried yet is – twice, for a first call tells nothing –, where it is expected to take less than so
 * many times what the other takes.
 */
const worthATry = 3;

export class Scheduler {
  readonly #calibration: Calibration;
  readonly #observations = new Observations();

  constructor(calibration: Calibration) {
    this.#calibration = calibration;
  }

  decide(call: CallWork): Decision {
    const wasm = this.#estimate(call, 'wasm');
    const webgpu = this.#estimate(call, 'webgpu');
    const faster = wasm.milliseconds <= webgpu.milliseconds ? 'wasm' : 'webgpu';
    const [best, other] = faster === 'wasm' ? [wasm, webgpu] : [webgpu, wasm];
    const slower = faster === 'wasm' ? 'webgpu' : 'wasm';
    if (best.from === 'predicted') return { device: faster, reason: 'predicted to be faster', wasm, webgpu };
    if (other.from === 'predicted' && other.milliseconds < worthATry * best.milliseconds) {
      return { device: slower, reason: 'may be faster, and was not tried yet', wasm, webgpu };
    }
    const reason = other.from === 'measured' ? 'was faster' : 'was faster than is predicted of the other';
    return { device: faster, reason, wasm, webgpu };
  }

  /** A call of this kind took so long. */
  observe(call: CallWork, device: DeviceName, milliseconds: number): void {
    this.#observations.add(call.key, device, milliseconds);
  }

  #estimate({ key, ...works }: CallWork, device: DeviceName): Estimate {
    const work = works[device];
    const seen = this.#observations.expected(key, device);
    if (seen !== null) return { ...work, milliseconds: seen, from: 'measured' };
    const milliseconds = predict(this.#calibration[device], this.#calibration.transfer, work);
    return { ...work, milliseconds, from: 'predicted' };
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
