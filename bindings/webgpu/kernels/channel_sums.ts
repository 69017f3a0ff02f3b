// The gradient of the bias: sums over all tokens of each channel.
import channelSums from './channel_sums.wgsl';
import type { Kernel } from './kernel';
import { expandTemplate } from './template';

/** Bindings: parameters, values, sums. Workgroups: channels. */
export const channelSumsKernel = (hasSubgroups: boolean): Kernel => ({
  label: `channel sums${hasSubgroups ? ', subgroups' : ''}`,
  code: () => expandTemplate(channelSums, { hasSubgroups }),
  constants: { workgroupSize: 64 },
});
