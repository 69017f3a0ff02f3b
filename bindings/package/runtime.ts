// State: the loaded WebAssembly core, what init chose, and GPU memory if there is any.
import { viewBytes } from './bytes';
import type { Core, CoreBytes } from './core';
import { NotInitializedError } from './errors';
import type { Platform } from './platform';
import type { GpuMemory, GpuMemoryInUse } from './resident';

export interface RuntimeInfo {
  readonly simd: 'relaxed' | 'baseline';
  readonly threads: number;
  /** Why this number of threads was chosen. */
  readonly threadsReason: string;
  /** The device of calls that do not name one. */
  readonly device: 'wasm' | 'webgpu';
  /** The adapter's description, or why WebGPU is not used. */
  readonly webgpu: string;
  readonly version: string;
}

/** `empty` has the buffer of WASM memory, which is another one after the memory has grown. */
let loaded: { core: Core; info: RuntimeInfo; empty: CoreBytes } | null = null;
let gpuMemory: GpuMemory | null = null;
let openFile: Platform['openFile'];

export function setRuntime(core: Core, info: RuntimeInfo): void {
  loaded = { core, info, empty: loaded?.empty ?? core.Bytes.allocate(0) };
}

export function setGpuMemory(memory: GpuMemory | null): void {
  gpuMemory = memory;
}

/** Sets how files on disk are opened; undefined if there are none. */
export function setOpenFile(open: Platform['openFile']): void {
  openFile = open;
}

export const getOpenFile = (): Platform['openFile'] => openFile;

/** Returns the core. Throws NotInitializedError before `init`. */
export function getCore(): Core {
  if (loaded === null) {
    throw new NotInitializedError('the package is not initialized; call `await init()`');
  }
  return loaded.core;
}

/** As viewBytes. A view of WASM memory, which is invalid after the memory has grown, is copied. */
export function lastingBytes(argument: string, value: unknown): Uint8Array | null {
  getCore();
  const bytes = viewBytes(argument, value);
  return bytes?.buffer === loaded!.empty.view().buffer ? bytes.slice() : bytes;
}

/** Returns what `init` found and chose. Throws NotInitializedError before `init`. */
export function getRuntimeInfo(): RuntimeInfo {
  getCore();
  return loaded!.info;
}

/** Returns GPU memory; null if `init` found no device. */
export const getGpuMemory = (): GpuMemory | null => gpuMemory;

/** Bytes of WASM memory in live tensors, layers and caches: 0 after everything was disposed. */
export function memoryInUse(): number {
  return getCore().memoryInUse();
}

/** Buffers and bytes of GPU memory in live tensors, layers and caches: 0 after everything was disposed. */
export function gpuMemoryInUse(): GpuMemoryInUse {
  getCore();
  return gpuMemory?.memoryInUse() ?? { buffers: 0, bytes: 0 };
}

/** Resolves when the GPU has done all submitted work. Resolves at once without a GPU. */
export async function synchronize(): Promise<void> {
  getCore();
  await gpuMemory?.synchronize();
}
