// Sums of the probabilities of groups of keys.
import groupSums from './group_sums.wgsl';
import type { Kernel } from './kernel';
import mask from './mask.wgsl';
import type { MaskKind } from './mask';
import { expandTemplate } from './template';

/** Tokens of a workgroup. */
export const groupSumsWorkgroup = 64;

/**
 * Bindings: parameters, query, key, mask (if any), logSumExp, keys, sums. Workgroups: tokens, recorded rows,
 * groups.
 */
export function groupSumsKernel(kind: MaskKind): Kernel {
  return {
    label: `group sums, mask ${kind}`,
    code: () => expandTemplate(mask + groupSums, { mask: kind, maskBinding: 3 }),
    constants: { workgroupSize: groupSumsWorkgroup },
  };
}
