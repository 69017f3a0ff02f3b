/**
 * The package in one file, for service workers, which may not import on demand, and for tools that build one
 * script. It contains the baseline variant with one thread, and no WebGPU.
 *
 * @packageDocumentation
 */
import { fail } from './checks';
import { type Core, coreClasses, coreFunctions } from './core';
import { compileEmbedded } from './embedded';
import dataUrl from './wasm/cross-attention-baseline.wasm';
import { type Init, type LoadCore, makeInit } from './init';
import { restoreStackAfterErrors } from './stack';
import create from './wasm/cross-attention-baseline.js';
import { compileBinary } from './wasm_binary';

export * from './exports';

const load: LoadCore = async (options) => {
  const { simd, threads, binary } = options;
  const given = binary && (await compileBinary(options, 'cross-attention', fail));
  if (given?.hasThreads) fail('wasmBinary', 'a variant with threads', 'one without, as this entry has none');
  const found = given?.simd ?? 'baseline';
  if (simd !== 'auto' && simd !== found) {
    fail('simd', simd, `'auto' or '${found}': this entry has no other variant`);
  }
  const core: Core = await create({ wasm: given === null ? compileEmbedded(dataUrl) : given.module });
  restoreStackAfterErrors(core, coreClasses, coreFunctions);
  core.setThreads(1);
  const threadsReason = threads === 1 ? 'requested' : 'the single-file entry has no threads';
  return { core, info: { simd: found, threads: 1, threadsReason } };
};

/** Loads the module, as the main entry's `init`. The options that concern files and WebGPU have no effect. */
export const init: Init = makeInit(load, null);
