// What a WebAssembly module is loaded from, and what the parts of its loading share.
import type { CheckedModuleOptions } from './module_options';
import type { Platform, ThreadWorker } from './platform';
import type { CompiledBinary } from './wasm_binary';

export type Simd = 'relaxed' | 'baseline';
export type VariantName = Simd | `${Simd}-threads`;

/** Options of the function that creates a module. */
export interface CoreOptions {
  wasm: Promise<WebAssembly.Module> | WebAssembly.Module;
  /** Number of workers to start, for the core's threads. */
  workers?: number;
  createWorker?: () => ThreadWorker;
}

/** A module that tools/lib/loader.mjs adapted. */
export interface Loader<C> {
  default: (options: CoreOptions) => Promise<C>;
  wasmUrl: () => URL;
}

/** What the modules of an entry are loaded from. */
export interface ModuleSources<C> {
  name: string;
  /** One literal import each: bundlers do not resolve computed names. */
  loaders: Record<VariantName, () => Promise<Loader<C>>>;
  /** Start a worker thread. Bundlers recognize only `new Worker(new URL('…', import.meta.url), …)`. */
  workers: Record<`${Simd}-threads`, () => ThreadWorker>;
  /** Modules that contain the .wasm files of one thread: esbuild and Rollup leave out other files. */
  embedded: Record<Simd, () => Promise<{ compile: () => Promise<WebAssembly.Module> }>>;
}

/** What the parts of loadModule share. */
export interface Loading<C> {
  sources: ModuleSources<C>;
  platform: Platform;
  options: CheckedModuleOptions;
  binary: CompiledBinary | null;
  /** Compiles the .wasm file of a variant. */
  compile(variant: VariantName, loader: Loader<C>): Promise<WebAssembly.Module>;
  /** Throws if `work` takes longer than `seconds`, or than threads and files may take in all. */
  limited<T>(what: string, work: Promise<T>, seconds?: number): Promise<T>;
}
