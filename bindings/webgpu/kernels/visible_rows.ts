// Copies of context rows without those that a mask hides.
import type { Kernel } from './kernel';
import type { MaskKind } from './mask';
import { expandTemplate } from './template';
import visibleRows from './visible_rows.wgsl';

/** Bindings: parameters, source, mask, copy. Workgroups: keys (x and y), context rows. */
export const visibleRowsKernel = (mask: MaskKind): Kernel => ({
  label: `visible rows, ${mask}`,
  code: () => expandTemplate(visibleRows, { mask }),
  constants: { workgroupSize: 64 },
});
