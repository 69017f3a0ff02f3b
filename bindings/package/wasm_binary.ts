// Loaded by init if the option wasmBinary is given.
import type { fail } from './checks';
import type { Binary } from './module_options';

export interface CompiledBinary {
  module: WebAssembly.Module;
  simd: 'relaxed' | 'baseline';
  hasThreads: boolean;
}

/** Compiles `wasmBinary` and returns its variant. Throws ArgumentError if it is no variant of this module. */
export async function compileBinary(
  binary: Binary,
  moduleName: string,
  refuse: typeof fail,
): Promise<CompiledBinary> {
  let name = 'unknown';
  try {
    const module =
      binary instanceof Uint8Array ? await WebAssembly.compile(binary) : (binary as WebAssembly.Module);
    const [section] = WebAssembly.Module.customSections(module, 'variant');
    if (section !== undefined) name = new TextDecoder().decode(section);
    const [, simd, threads] = new RegExp(`^${moduleName}-(relaxed|baseline)(-threads)?$`).exec(name) ?? [];
    if (simd !== undefined) return { module, simd: simd as 'relaxed', hasThreads: threads !== undefined };
  } catch (error) {
    name = String(error);
  }
  refuse('wasmBinary', name, `a file ${moduleName}-*.wasm of this package`);
}
