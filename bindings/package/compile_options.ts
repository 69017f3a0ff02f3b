import type { DeviceChoice } from './accelerator';
import { checkBoolean, checkOneOf, read, readOptions } from './checks';
import type { ComputationNode } from './graph';
import type { Tensor } from './tensor';

/** Passes of the compiler, each of which can be disabled to see its effect. Default: true for all. */
export interface CompilePasses {
  /** Merges operations with the same operator and inputs. */
  shareSubexpressions?: boolean;
  /** Fuses the operations of a layer into one attention kernel. */
  fuseAttention?: boolean;
  /** Lets an attention kernel read and write images [B, C, H, W] without transposes. */
  keepLayout?: boolean;
  /** Computes at compile time what depends on constants only. */
  foldConstants?: boolean;
  /** Removes keys that a constant mask hides. */
  dropMaskedKeys?: boolean;
}

export interface CompileOptions {
  /**
   * One shape for each input node, without symbolic sizes. Tokens may be [B, N, C], an image [B, C, H, W] or
   * [N, C]; the output has the same form. A context is [B | 1, L, D] or [L, D]. A mask is a key mask [B | 1,
   * L] (1 = attend, 0 = ignore), or [B | 1, N | 1, L] or [B | 1, heads | 1, N | 1, L]: additive, or boolean.
   */
  inputShapes: readonly (readonly number[])[];
  /** Inputs that stay the same over many runs, such as a prompt's context over all denoising steps. */
  constants?: Map<ComputationNode, Tensor>;
  /**
   * Device of runAsync; run always computes in WebAssembly. Default: the device that was given to `init`. The
   * GPU computes float32 outputs of layers; its results are within 1e-4 of the largest element of those of
   * run.
   */
  device?: DeviceChoice;
  /**
   * Order of an attention's products: as written ('plain'), with folded weights ('folded': x·(Wq·Kᵀ) and
   * P·(V·Wo)), or the one with lower cost ('auto', the default). Both are equal in real arithmetic; results
   * differ by rounding.
   */
  association?: 'auto' | 'plain' | 'folded';
  /** Measures both orders if their costs differ by less than 15 %, and chooses the faster. Default true. */
  measure?: boolean;
  passes?: CompilePasses;
}

/** In the order of the core's numbers. */
const associations = ['auto', 'plain', 'folded'] as const;
/** In the order of the core's bits. */
const passNames = [
  'shareSubexpressions',
  'fuseAttention',
  'keepLayout',
  'foldConstants',
  'dropMaskedKeys',
] as const;

/** Returns the core's switches, one bit each, and its number of the association. */
export function checkCompileOptions(options: Omit<CompileOptions, 'inputShapes'>): {
  switches: number;
  association: number;
} {
  const { association = 'auto', measure = true, passes, device } = options;
  if (device !== undefined) checkOneOf('device', device, ['auto', 'wasm', 'webgpu']);
  const given = readOptions('passes', passes, passNames);
  for (const name of read('passes', () => Object.keys(passes ?? {}))) checkOneOf('passes', name, passNames);
  const enabled = [
    ...passNames.map((name) => checkBoolean(`passes.${name}`, given[name] ?? true)),
    checkBoolean('measure', measure),
  ];
  return {
    switches: enabled.reduce((bits, isEnabled, bit) => bits | (isEnabled ? 1 << bit : 0), 0),
    association: associations.indexOf(checkOneOf('association', association, associations)),
  };
}
