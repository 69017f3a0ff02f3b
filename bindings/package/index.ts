/**
 * The cross-attention layer of diffusion models in WebAssembly, with WebGPU if there is a GPU. Call `await
 * init()` first, then create a DiffusionCrossAttention and Tensors.
 *
 * @packageDocumentation
 */
import { makeInitOn } from './core_module';
import type { Init } from './init';
import { platformHere } from './platform_here';

export * from './exports';

/**
 * Loads the WASM variant that fits this machine and starts the GPU if there is one. Everything else in this
 * package throws NotInitializedError before. Idempotent: once loaded, every call returns the same
 * RuntimeInfo, whatever its options. Throws ArgumentError for invalid options and CrossAttentionError
 * 'ERR_LOAD' if the module cannot be loaded; a failed call may be repeated. If threads cannot be started, or
 * do not start within 20 seconds, the layer runs on one thread, and `threadsReason` says why.
 *
 * @example
 * const { simd, threads, device } = await init({ threads: 4, device: 'wasm' });
 */
export const init: Init = makeInitOn(platformHere);
