// What all kernels are made of: WGSL text, and the numbers that go with a dispatch.

/** A compute shader. Texts are the same for all sizes: those are parameters, so that few pipelines serve every shape. */
export interface Kernel {
  /** Names what the text depends on: the same label, the same text. */
  readonly label: string;
  /** Written when it is compiled, not at every dispatch. */
  readonly code: () => string;
}

/** Numbers of a dispatch, in the order of the kernel's struct. */
export type Parameters = readonly number[];

/** A struct of a dispatch's numbers, at binding 0; whole numbers, but those of `floats`. */
export function parameterStruct(names: readonly string[], floats: readonly string[] = []): string {
  const members = names.map((name) => `  ${name}: ${floats.includes(name) ? 'f32' : 'u32'},`);
  return `struct Parameters {\n${members.join('\n')}\n}\n@group(0) @binding(0) var<uniform> p: Parameters;\n`;
}

export const components = ['x', 'y', 'z', 'w'] as const;

/** 0, 1, … count - 1 */
export const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

/** `text` of each number, one after another. */
export const repeat = (count: number, text: (index: number) => string): string =>
  range(count).map(text).join('');
