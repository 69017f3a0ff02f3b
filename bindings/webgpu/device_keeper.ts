// The device, as long as there is one: what failed is tried again, at first soon, then less and less often.
import { messageOf } from '../package/errors';
import { Device } from './device';
import type { Strategy } from './recording';
import type { Scheduler } from './scheduler';

const firstPause = 250;
const longestPause = 60_000;

/** Limits that are asked for as high as the adapter has them. */
const wantedLimits = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
] as const;

/** A device of an adapter; the reason where there is none. Never throws. */
export async function requestDevice(gpu: GPU | undefined): Promise<Device | string> {
  if (gpu === undefined || gpu === null) return 'navigator.gpu is not there';
  try {
    const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
    if (adapter === null) return 'no adapter answers';
    const device = await adapter.requestDevice({
      label: 'diffusion-cross-attention',
      requiredFeatures: adapter.features.has('subgroups') ? ['subgroups'] : [],
      requiredLimits: Object.fromEntries(wantedLimits.map((name) => [name, adapter.limits[name]])),
    });
    return new Device(device, adapter);
  } catch (error) {
    return `the adapter gives no device: ${messageOf(error)}`;
  }
}

/** A device, and what is known of it. */
export interface ReadyDevice {
  readonly device: Device;
  readonly strategy: Strategy;
  readonly scheduler: Scheduler;
}

export class DeviceKeeper {
  /** Makes another one, or says why it can't; null for the user's own device, which can't be made again. */
  readonly #renew: (() => Promise<ReadyDevice | string>) | null;
  #ready: ReadyDevice | null;
  #problem: string | null = null;
  #failures = 0;
  #retryAt = 0;
  #renewing = false;

  /** `first`: the device, or why there is none yet. */
  constructor(first: ReadyDevice | string, renew: (() => Promise<ReadyDevice | string>) | null) {
    this.#renew = renew;
    this.#ready = typeof first === 'string' ? null : first;
    if (typeof first === 'string') this.#pause(first);
  }

  /** Null while there is none, or it failed lately; `problem` then says why. */
  get(): ReadyDevice | null {
    const lost = this.#ready?.device.lost;
    if (lost) this.#lose(lost);
    if (performance.now() < this.#retryAt) return null;
    if (this.#ready === null) void this.#tryAgain();
    return this.#ready;
  }

  /** What failed last; null where nothing did since the last success. */
  get problem(): string | null {
    return this.#problem;
  }

  /** A call failed: after a pause the next one is tried. */
  fail(error: unknown): void {
    this.#pause(messageOf(error));
    const lost = this.#ready?.device.lost;
    if (lost) this.#lose(lost);
  }

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
    this.#retryAt = performance.now() + Math.min(longestPause, firstPause * 2 ** this.#failures);
    this.#failures++;
  }

  async #tryAgain(): Promise<void> {
    if (this.#renew === null || this.#renewing) return;
    this.#renewing = true;
    const ready = await this.#renew();
    this.#renewing = false;
    if (typeof ready === 'string') this.#pause(ready);
    else this.#ready = ready;
  }
}
