/** The properties of the machine that a browser reveals, for the page and the JSON. Works in workers, too. */
import { relaxedSimd } from 'wasm-feature-detect';
import { messageOf } from '../shared/message_of';

/** The maximum of the package. */
const maxThreads = 64;

export interface Machine {
  readonly browser: string;
  readonly system: string;
  readonly cores: number;
  /** Rounded by browsers; null if the browser does not reveal it. */
  readonly memoryGigabytes: number | null;
  readonly crossOriginIsolated: boolean;
  readonly simd: 'relaxed' | 'baseline';
  /** Maximum number of threads that can be measured here. */
  readonly threads: number;
  /** The GPU as the adapter names it, or why there is none. */
  readonly webgpu: string;
}

/** Not in TypeScript's library, because not every browser has them. */
interface NavigatorBeyondTypes {
  readonly deviceMemory?: number;
  readonly userAgentData?: {
    readonly platform: string;
    readonly brands: readonly { readonly brand: string; readonly version: string }[];
  };
}

export async function readMachine(): Promise<Machine> {
  const { deviceMemory, userAgentData } = navigator as NavigatorBeyondTypes;
  const cores = navigator.hardwareConcurrency || 1;
  return {
    browser: browserOf(userAgentData?.brands) ?? navigator.userAgent,
    system: userAgentData?.platform || systemOf(navigator.userAgent),
    cores,
    memoryGigabytes: deviceMemory ?? null,
    crossOriginIsolated: globalThis.crossOriginIsolated,
    simd: (await relaxedSimd()) ? 'relaxed' : 'baseline',
    threads: globalThis.crossOriginIsolated ? Math.min(cores, maxThreads) : 1,
    webgpu: await webGpuOf(),
  };
}

async function webGpuOf(): Promise<string> {
  // Some browsers lack it, and no browser offers it without TLS.
  if (!('gpu' in navigator)) return 'not supported by this browser';
  try {
    const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
    if (adapter === null) return 'no adapter available';
    const { vendor, architecture, device, description } = adapter.info;
    const names = [vendor, architecture, device, description].filter((name) => name !== '');
    return names.join(' ') || 'adapter without a name';
  } catch (error) {
    return messageOf(error);
  }
}

/** Returns the most specific brand: not the fake one that browsers add, and not the engine's if possible. */
function browserOf(brands: readonly { brand: string; version: string }[] | undefined): string | undefined {
  const named = brands?.filter(({ brand }) => !/not.?a.?brand/i.test(brand.replaceAll(/[^\w]/g, ' ')));
  const found = named?.find(({ brand }) => brand !== 'Chromium') ?? named?.[0];
  return found && `${found.brand} ${found.version}`;
}

/** Returns the part in parentheses of "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) …". */
function systemOf(userAgent: string): string {
  return /\(([^)]*)\)/.exec(userAgent)?.[1] ?? 'unknown';
}
