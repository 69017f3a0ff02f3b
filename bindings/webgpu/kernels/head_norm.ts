// Norms of queries and keys: LayerNorm or RMSNorm of each head's channels, in place.
import headNorm from './head_norm.wgsl';
import type { Kernel } from './kernel';
import { expandTemplate } from './template';

/** Tokens of a workgroup. */
export const headNormWorkgroup = 64;

/**
 * Bindings: parameters, values, weight, bias (LayerNorm only). Workgroups: tokens / headNormWorkgroup, heads,
 * batch rows.
 */
export const headNormKernel = (isLayerNorm: boolean): Kernel => ({
  label: isLayerNorm ? 'layer norm of heads' : 'RMS norm of heads',
  code: () => expandTemplate(headNorm, { isLayerNorm }),
  constants: { workgroupSize: headNormWorkgroup },
});
