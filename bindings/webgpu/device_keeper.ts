// The device, as long as there is one: what failed is tried again, at first soon, then less and less often.
import { Device } from './device';

const firstPause = 250;
const longestPause = 60_000;

/** Limits that are asked for as high as the adapter has them. */
const wantedLimits = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
] as const;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

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

export class DeviceKeeper {
  /** Makes another one; null for the user's own device, which can't be made again. */
  readonly #renew: (() => Promise<Device | string>) | null;
  #device: Device | null;
  #problem: string | null = null;
  #failures = 0;
  #retryAt = 0;
  #renewing = false;

  constructor(device: Device, renew: (() => Promise<Device | string>) | null) {
    this.#device = device;
    this.#renew = renew;
  }

  /** Null while there is none, or it failed lately; `problem` then says why. */
  get(): Device | null {
    const lost = this.#device?.lost;
    if (lost) this.#lose(lost);
    if (performance.now() < this.#retryAt) return null;
    if (this.#device === null) void this.#tryAgain();
    return this.#device;
  }

  /** What failed last; null where nothing did since the last success. */
  get problem(): string | null {
    return this.#problem;
  }

  /** A call failed: after a pause the next one is tried. */
  fail(error: unknown): void {
    this.#pause(messageOf(error));
    const lost = this.#device?.lost;
    if (lost) this.#lose(lost);
  }

  succeed(): void {
    this.#failures = 0;
    this.#problem = null;
  }

  #lose(reason: string): void {
    this.#device = null;
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
    const device = await this.#renew();
    this.#renewing = false;
    if (typeof device === 'string') this.#pause(device);
    else this.#device = device;
  }
}
