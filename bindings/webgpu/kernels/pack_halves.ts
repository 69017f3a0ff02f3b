// Single-precision numbers as halves, two in each 32 bits: half the memory and traffic of weights. pack2x16float and its
// inverse are in every WebGPU; no shader-f16 is needed, for what is computed with stays float32.
import { type Kernel, parameterStruct } from './kernel';

export const packParameters = ['pairs'] as const;
export const packWorkgroup = 64;
/** The largest half: what is larger must not be packed. */
export const largestHalf = 65504;

/** Bindings: parameters, singles, halves. Workgroups: 256 along x, as many as needed along y. */
export const packWidth = 256;
export function packHalvesKernel(): Kernel {
  const code = (): string => `${parameterStruct(packParameters)}
@group(0) @binding(1) var<storage, read> singles: array<vec2f>;
@group(0) @binding(2) var<storage, read_write> halves: array<u32>;

@compute @workgroup_size(${packWorkgroup})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) invocation: u32) {
let at = (group.y * ${packWidth}u + group.x) * ${packWorkgroup}u + invocation;
if (at < p.pairs) { halves[at] = pack2x16float(singles[at]); }
}`;
  return { label: 'pack halves', code };
}
