// Softmax over the keys of scores in memory, and its gradient.
import delta from './delta.wgsl';
import type { Kernel } from './kernel';
import mask from './mask.wgsl';
import type { MaskKind } from './mask';
import scores from './scores.wgsl';
import softmax from './softmax.wgsl';
import softmaxGradient from './softmax_gradient.wgsl';
import { expandTemplate } from './template';

export interface SoftmaxKernel {
  mask: MaskKind;
  /** True to store log Σ exp(score) of each token, [outer · inner][tokens], for the backward pass. */
  storesLogSumExp: boolean;
}

/** Tokens of a workgroup, of all kernels of this file. */
export const softmaxWorkgroup = 64;
const constants = { workgroupSize: softmaxWorkgroup };

/** Bindings: parameters, scores, mask (if any), logSumExp (if stored). Workgroups: tokens, outer · inner. */
export function softmaxKernel({ mask: kind, storesLogSumExp }: SoftmaxKernel): Kernel {
  return {
    label: `softmax, mask ${kind}${storesLogSumExp ? ', logSumExp' : ''}`,
    code: () => expandTemplate(scores + mask + softmax, { mask: kind, maskBinding: 2, storesLogSumExp }),
    constants,
  };
}

/**
 * Bindings: parameters, scores, mask (if any), gradients, logSumExp, delta. Workgroups: tokens, keys, outer ·
 * inner.
 */
export function softmaxGradientKernel(kind: MaskKind): Kernel {
  return {
    label: `softmax gradient, mask ${kind}`,
    code: () => expandTemplate(scores + mask + softmaxGradient, { mask: kind, maskBinding: 2 }),
    constants,
  };
}

/** delta = Σ over channels of a ∘ b. Bindings: parameters, a, b, delta. Workgroups: tokens, outer · inner. */
export const deltaKernel = (): Kernel => ({ label: 'delta', code: () => delta, constants });
