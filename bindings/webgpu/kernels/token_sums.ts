// Sums over tokens of values, or of products of two. If there are many tokens and few features, several
// invocations (lanes) share a feature.
import type { Kernel } from './kernel';
import { expandTemplate } from './template';
import tokenSums from './token_sums.wgsl';

const workgroupSize = 256;
const maxLanes = 16;
/** So many features keep a device busy with one lane each. */
const manyFeatures = 4096;

export interface TokenSumKernel {
  hasFactors: boolean;
  /** True to add the sums to what the target contains. */
  accumulates: boolean;
  lanes: number;
}

export const tokenSumLanes = (tokens: number, features: number): number =>
  tokens <= maxLanes || features >= manyFeatures ? 1 : maxLanes;
/** Features of a workgroup. */
export const tokenSumFeatures = (lanes: number): number => workgroupSize / lanes;

/** Bindings: parameters, values, sums, factors (if any). Workgroups: features / tokenSumFeatures, outer. */
export const tokenSumKernel = ({ hasFactors, accumulates, lanes }: TokenSumKernel): Kernel => ({
  label: `token sums, ${lanes} lanes${hasFactors ? ', products' : ''}${accumulates ? ', accumulates' : ''}`,
  code: () => expandTemplate(tokenSums, { hasFactors, hasLanes: lanes > 1 }),
  constants: { workgroupSize, lanes, accumulates: Number(accumulates) },
});
