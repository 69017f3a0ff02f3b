// The current device. After a failure WebGPU is paused, first shortly, then twice as long each time; a lost
// device is replaced by a new one.
import { messageOf } from '../package/errors';
import { withLimit } from '../package/time_limit';
import { Device } from './device';
import type { Strategy } from './recording';
import type { Scheduler } from './scheduler';

const firstPauseMilliseconds = 250;
const maxPauseMilliseconds = 60_000;

/** Limits that are requested as high as the adapter supports. */
const requestedLimits = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
] as const;

/** Limit of the wait for an adapter and its device, in seconds: some browsers never answer. */
const maxWait = 5;

/**
 * Resolves to a device, or to the reason why there is none. Never throws. What the browser provides after
 * `maxWait` is not used: a device is destroyed, and none is requested from an adapter.
 */
export async function requestDevice(): Promise<Device | string> {
  let isLate = false;
  const request = async (): Promise<Device | string> => {
    const gpu = globalThis.navigator?.gpu;
    if (!gpu) return 'navigator.gpu is not available';
    const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
    if (!adapter || isLate) return 'there is no WebGPU adapter';
    const limits = requestedLimits.map((name) => [name, adapter.limits[name]]);
    const device = await adapter.requestDevice({
      label: 'diffusion-cross-attention',
      requiredFeatures: adapter.features.has('subgroups') ? ['subgroups'] : [],
      requiredLimits: Object.fromEntries(limits),
    });
    if (isLate) device.destroy();
    return new Device(device, adapter);
  };
  try {
    return await withLimit(maxWait, 'it did not answer', request());
  } catch (error) {
    isLate = true;
    return `the WebGPU adapter provides no device: ${messageOf(error)}`;
  }
}

/** A calibrated device. */
export interface ReadyDevice {
  readonly device: Device;
  readonly strategy: Strategy;
  readonly scheduler: Scheduler;
}

/** Returns a new device, or the reason why there is none. */
export type RenewDevice = () => Promise<ReadyDevice | string>;

export class DeviceManager {
  readonly #renew: RenewDevice | null;
  #ready: ReadyDevice | null;
  #problem: string | null = null;
  #failures = 0;
  #retryTime = 0;
  #isRenewing = false;

  /**
   * `first` is the device, or the reason why there is none yet. `renew` is null for a device of the user,
   * which can't be replaced.
   */
  constructor(first: ReadyDevice | string, renew: RenewDevice | null) {
    this.#renew = renew;
    this.#ready = typeof first === 'string' ? null : first;
    if (typeof first === 'string') this.#pause(first);
  }

  /** Returns the device; null if there is none or WebGPU is paused. `problem` is then the reason. */
  get(): ReadyDevice | null {
    const lost = this.#ready?.device.lost;
    if (lost) this.#lose(lost);
    if (performance.now() < this.#retryTime) return null;
    if (this.#ready === null) void this.#tryRenew();
    return this.#ready;
  }

  /** The last failure; null if there was none since the last success. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Reports that a call failed: WebGPU is paused. */
  fail(error: unknown): void {
    this.#pause(messageOf(error));
    const lost = this.#ready?.device.lost;
    if (lost) this.#lose(lost);
  }

  /** Reports that a call succeeded. */
  succeed(): void {
    this.#failures = 0;
    this.#problem = null;
  }

  #lose(reason: string): void {
    this.#ready = null;
    if (this.#problem === null) this.#pause(reason);
    this.#problem = reason;
  }

  #pause(problem: string): void {
    this.#problem = problem;
    const pause = Math.min(maxPauseMilliseconds, firstPauseMilliseconds * 2 ** this.#failures);
    this.#retryTime = performance.now() + pause;
    this.#failures++;
  }

  async #tryRenew(): Promise<void> {
    if (this.#renew === null || this.#isRenewing) return;
    this.#isRenewing = true;
    const ready = await this.#renew().catch(messageOf);
    this.#isRenewing = false;
    if (typeof ready === 'string') this.#pause(ready);
    else this.#ready = ready;
  }
}
