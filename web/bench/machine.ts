/** The machine that measures, as far as a browser tells; for the page and for the JSON. Works in workers, too. */
import { relaxedSimd } from 'wasm-feature-detect';

/** The package takes no more. */
const MOST_THREADS = 64;

export interface Machine {
  readonly browser: string;
  readonly system: string;
  readonly cores: number;
  /** Browsers round it, and some keep it to themselves. */
  readonly memoryGigabytes: number | null;
  readonly crossOriginIsolated: boolean;
  readonly simd: 'relaxed' | 'baseline';
  /** The most that can be measured here. */
  readonly threads: number;
  /** The graphics card, as the adapter names it, or why there is none. */
  readonly webgpu: string;
}

/** Not yet in TypeScript's library, for not yet in every browser. */
interface NavigatorBeyondTypes {
  readonly deviceMemory?: number;
  readonly userAgentData?: {
    readonly platform: string;
    readonly brands: readonly { readonly brand: string; readonly version: string }[];
  };
}

export async function machineOf(): Promise<Machine> {
  const { deviceMemory, userAgentData } = navigator as NavigatorBeyondTypes;
  const cores = navigator.hardwareConcurrency || 1;
  return {
    browser: browserOf(userAgentData?.brands) ?? navigator.userAgent,
    system: userAgentData?.platform || systemOf(navigator.userAgent),
    cores,
    memoryGigabytes: deviceMemory ?? null,
    crossOriginIsolated: globalThis.crossOriginIsolated,
    simd: (await relaxedSimd()) ? 'relaxed' : 'baseline',
    threads: globalThis.crossOriginIsolated ? Math.min(cores, MOST_THREADS) : 1,
    webgpu: await webGpuOf(),
  };
}

async function webGpuOf(): Promise<string> {
  // Not in every browser, and nowhere without TLS.
  if (!('gpu' in navigator)) return 'not offered by this browser';
  try {
    const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
    if (adapter === null) return 'no adapter answers';
    const { vendor, architecture, device, description } = adapter.info;
    const names = [vendor, architecture, device, description].filter((name) => name !== '');
    return names.join(' ') || 'an adapter without a name';
  } catch (error) {
    return (error as Error).message;
  }
}

/** The brand that says most: the list has one to keep sites on their toes, and the engine's, which many share. */
function browserOf(brands: readonly { brand: string; version: string }[] | undefined): string | undefined {
  const named = brands?.filter(({ brand }) => !/not.?a.?brand/i.test(brand.replaceAll(/[^\w]/g, ' ')));
  const found = named?.find(({ brand }) => brand !== 'Chromium') ?? named?.[0];
  return found && `${found.brand} ${found.version}`;
}

/** "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) …": what stands in the brackets. */
function systemOf(userAgent: string): string {
  return /\(([^)]*)\)/.exec(userAgent)?.[1] ?? 'unknown';
}
