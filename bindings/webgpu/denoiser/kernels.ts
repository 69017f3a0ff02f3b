// Kernels of one invocation an element, and how many workgroups that takes.
import { type Kernel, parameterStruct } from '../kernels/kernel';

export const workgroupWidth = 64;
/** Workgroups along x: every device takes so many. */
const gridWidth = 2 ** 15;

/** Workgroups for so many elements, or rows. */
export function grid(count: number, ofWorkgroup = workgroupWidth): [number, number, number] {
  const workgroups = Math.ceil(count / ofWorkgroup);
  return [Math.min(workgroups, gridWidth), Math.ceil(workgroups / gridWidth), 1];
}
/** The number of a workgroup of `grid`, in WGSL. */
export const gridIndex = `(group.y * ${gridWidth}u + group.x)`;
export const builtins =
  '@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) invocation: u32';

type Access = 'read' | 'write';
/** Name, access and type of the elements, f32 unless said. */
export type BufferDeclaration = readonly [name: string, access: Access, type?: string];

export const declareBuffers = (buffers: readonly BufferDeclaration[]): string =>
  buffers
    .map(
      ([name, access, type = 'f32'], index) =>
        `@group(0) @binding(${index + 1}) var<storage, ${access === 'read' ? 'read' : 'read_write'}> ${name}: array<${type}>;\n`,
    )
    .join('');

/** WGSL for each element: `i` is its number, `p` has the numbers of the dispatch. */
export interface ElementKernel {
  readonly label: string;
  /** Beside the count of the elements. */
  readonly numbers?: readonly string[];
  /** Those of them that are no whole numbers. */
  readonly floats?: readonly string[];
  readonly buffers: readonly BufferDeclaration[];
  readonly body: string;
}

export function elementKernel({ label, numbers = [], floats = [], buffers, body }: ElementKernel): Kernel {
  const code = (): string => `${parameterStruct(['count', ...numbers], floats)}${declareBuffers(buffers)}
@compute @workgroup_size(${workgroupWidth})
fn main(${builtins}) {
let i = ${gridIndex} * ${workgroupWidth}u + invocation;
if (i >= p.count) { return; }
${body}
}`;
  return { label, code };
}

/** `target[at] = value`, or what is there and the value. */
export const assign = (target: string, value: string, adds: boolean): string =>
  `${target} ${adds ? '+=' : '='} ${value};`;
export const orAdds = (adds: boolean): string => (adds ? ', adds' : '');
