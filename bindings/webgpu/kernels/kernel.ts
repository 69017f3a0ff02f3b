// What all kernels consist of: WGSL, its override constants, and the numbers that accompany a dispatch.

/** A compute shader. Tensor sizes are numbers of a dispatch, so that few pipelines serve all shapes. */
export interface Kernel {
  /** Identifies code and constants: kernels with equal labels share a pipeline. */
  readonly label: string;
  /** Called when the kernel is compiled, not at every dispatch. */
  readonly code: () => string;
  /** Values of the code's override constants; booleans are 0 and 1. */
  readonly constants?: Readonly<Record<string, number>>;
}

/** Numbers of a dispatch, in the order of the kernel's struct. */
export type Parameters = readonly number[];

/** Declares the struct of a dispatch's numbers at binding 0. Members are u32, those in `floats` f32. */
export function parameterStruct(names: readonly string[], floats: readonly string[] = []): string {
  const members = names.map((name) => `  ${name}: ${floats.includes(name) ? 'f32' : 'u32'},`);
  return `struct Parameters {\n${members.join('\n')}\n}\n@group(0) @binding(0) var<uniform> p: Parameters;\n`;
}
