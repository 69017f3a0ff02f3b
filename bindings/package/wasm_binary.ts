// Loaded by init if the option wasmBinary is given.
import type { fail } from './checks';
import type { CheckedModuleOptions } from './module_options';

export interface CompiledBinary {
  module: WebAssembly.Module;
  simd: 'relaxed' | 'baseline';
  hasThreads: boolean;
}

/** Compiles `wasmBinary` and returns its variant. Throws ArgumentError if it is no variant of this module. */
export async function compileBinary(
  { binary, simd: wanted }: CheckedModuleOptions,
  moduleName: string,
  refuse: typeof fail,
): Promise<CompiledBinary> {
  let name = 'unknown';
  let module = binary as WebAssembly.Module;
  try {
    if (binary instanceof Uint8Array) module = await WebAssembly.compile(binary);
    const [section] = WebAssembly.Module.customSections(module, 'variant');
    if (section !== undefined) name = new TextDecoder().decode(section);
  } catch (error) {
    name = String(error);
  }
  const [, simd, threads] = new RegExp(`^${moduleName}-(relaxed|baseline)(-threads)?$`).exec(name) ?? [];
  if (simd === undefined) refuse('wasmBinary', name, `a file ${moduleName}-*.wasm of this package`);
  if (wanted !== 'auto' && wanted !== simd) {
    refuse('simd', wanted, `'auto' or '${simd}', the variant of wasmBinary`);
  }
  return { module, simd: simd as 'relaxed', hasThreads: threads !== undefined };
}
