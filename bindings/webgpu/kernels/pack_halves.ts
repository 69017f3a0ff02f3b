// Rounding of weights to float16: half the memory and traffic. pack2x16float and its inverse are in every
// WebGPU, and arithmetic stays float32, so that no shader-f16 is needed.
import type { Kernel } from './kernel';
import packHalves from './pack_halves.wgsl';

/** Pairs of numbers of a workgroup. */
export const packWorkgroup = 64;
/** Workgroups along x; as many as needed along y. */
export const packWidth = 256;
/** The largest float16. Larger values must not be packed. */
export const maxHalf = 65504;

/** Bindings: parameters, singles, halves. */
export const packHalvesKernel = (): Kernel => ({
  label: 'pack halves',
  code: () => packHalves,
  constants: { workgroupSize: packWorkgroup, gridWidth: packWidth },
});
