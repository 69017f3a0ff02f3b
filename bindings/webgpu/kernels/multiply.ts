// All matrix products of the layer, forward and backward: C = scale·A·B + bias, or C += scale·A·B
// (multiply.wgsl).
import type { Kernel } from './kernel';
import multiply from './multiply.wgsl';
import accumulate from './multiply_accumulate.wgsl';
import operand from './multiply_operand.wgsl';
import { expandTemplate } from './template';

/** Which of a matrix's two dimensions is contiguous in memory. */
export interface MultiplyLayout {
  /** A [rows × depth] */
  a: 'depth' | 'rows';
  /** B [depth × columns] */
  b: 'depth' | 'columns';
  /** C [rows × columns] */
  c: 'columns' | 'rows';
}

/** How a product is divided among invocations. */
export interface MultiplyTiling {
  /**
   * Where an invocation reads its operands: from memory, or from workgroup memory, which the workgroup fills
   * first.
   */
  stage: 'registers' | 'workgroup';
  /** Rows and columns of C that one invocation computes: multiples of 4. */
  tileRows: number;
  tileColumns: number;
}

export interface MultiplyKernel extends MultiplyLayout, MultiplyTiling {
  /** True if all strides, offsets and sizes along contiguous dimensions are multiples of 4. */
  vectors: boolean;
  /**
   * True if the operand is float16, two in each 32 bits. Its strides, offset and size are then multiples of
   * 4.
   */
  packedA: boolean;
  packedB: boolean;
  bias: 'none' | 'rows' | 'columns';
  accumulates: boolean;
}

/** Invocations of a workgroup, along columns and along rows. */
const workgroupWidth = 8;
/** Depth of a tile in workgroup memory. */
const stageDepth = 16;

/** Rows and columns of C that one workgroup computes. */
export const workgroupRows = ({ tileRows }: MultiplyTiling): number => workgroupWidth * tileRows;
export const workgroupColumns = ({ tileColumns }: MultiplyTiling): number => workgroupWidth * tileColumns;
/** Bytes of workgroup memory. */
export const multiplyWorkgroupBytes = (tiling: MultiplyTiling): number =>
  tiling.stage === 'registers' ? 0 : 4 * stageDepth * (workgroupRows(tiling) + workgroupColumns(tiling));

function multiplyCode(kernel: MultiplyKernel): string {
  const { stage, a, b, c, vectors, bias } = kernel;
  const [rowFours, columnFours] = [kernel.tileRows / 4, kernel.tileColumns / 4];
  const ofA = { Name: 'A', name: 'a', binding: 1, packed: kernel.packedA, fours: rowFours };
  const ofB = { Name: 'B', name: 'b', binding: 2, packed: kernel.packedB, fours: columnFours };
  const operands = [
    { ...ofA, contiguous: a, size: 'rows' },
    { ...ofB, contiguous: b, size: 'columnsOfB' },
  ].map((values) => expandTemplate(operand, { ...values, stage, vectors }));
  const values = { stage, a, b, c, vectors, bias, rowFours, columnFours };
  return expandTemplate(multiply, {
    ...values,
    operands: operands.join('\n'),
    accumulateFour: expandTemplate(accumulate, { ...values, steps: 4 }),
    accumulateOne: expandTemplate(accumulate, { ...values, steps: 1 }),
  });
}

/** Bindings: parameters, A, B, C, bias (if any). Workgroups: columns, rows, outer · inner. */
export function multiplyKernel(kernel: MultiplyKernel): Kernel {
  const { stage, tileRows, tileColumns, vectors, packedA, packedB } = kernel;
  const { a, b, c, bias, accumulates } = kernel;
  const label = [
    'multiply',
    stage,
    `${tileRows}x${tileColumns}`,
    `a ${a}${packedA ? ' packed' : ''}`,
    `b ${b}${packedB ? ' packed' : ''}`,
    `c ${c}`,
    vectors ? 'vectors' : 'scalars',
    `bias ${bias}`,
    accumulates ? 'accumulates' : 'sets',
  ].join(', ');
  return {
    label,
    code: () => multiplyCode(kernel),
    constants: { workgroupWidth, stageDepth, accumulates: Number(accumulates) },
  };
}
