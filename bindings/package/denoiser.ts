/**
 * Text to image with the cross-attention layer. Call `await init()`, then `Denoiser.load(weights)` and its
 * `sampler`.
 *
 * @packageDocumentation
 */
import { makeInitOn } from './denoiser/module';
import type { DenoiserInit } from './denoiser/runtime';
import { platformHere } from './platform_here';

export * from './denoiser/exports';

/**
 * Loads the denoiser's WASM variant that fits this machine: a module separate from the layer's. Idempotent:
 * once loaded, every call returns the same information, whatever its options. Throws ArgumentError for
 * invalid options and CrossAttentionError 'ERR_LOAD' if the module cannot be loaded; a failed call may be
 * repeated. If threads cannot be started, or do not start within 20 seconds, it runs on one thread, and
 * `threadsReason` says why.
 */
export const init: DenoiserInit = makeInitOn(platformHere);
