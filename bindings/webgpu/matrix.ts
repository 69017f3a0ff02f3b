// Matrices in GPU memory, and their products with the kernel and tiling that fit them.
import type { Device } from './device';
import {
  type MultiplyKernel,
  multiplyKernel,
  multiplyWorkgroupBytes,
  type MultiplyTiling,
  workgroupColumns,
  workgroupRows,
} from './kernels/multiply';
import type { Binding, Recorder } from './recorder';

/** Offset and strides are in elements; one of rowStride and columnStride is 1. */
export interface Matrix {
  binding: Binding;
  offset: number;
  rowStride: number;
  columnStride: number;
  /** From one batch row to the next. */
  outer: number;
  /** From one head to the next. */
  inner: number;
  /** True if the elements are float16, two in each 32 bits. */
  packed?: boolean;
}

export const transposed = (matrix: Matrix): Matrix => ({
  ...matrix,
  rowStride: matrix.columnStride,
  columnStride: matrix.rowStride,
});

/** C = scale·A·B + bias, or C += scale·A·B if it accumulates. */
export interface Product {
  a: Matrix;
  b: Matrix;
  c: Matrix;
  rows: number;
  columns: number;
  depth: number;
  outer: number;
  inner: number;
  scale?: number;
  /** One number for each row or column of C. */
  bias?: { binding: Binding; along: 'rows' | 'columns' };
  accumulates?: boolean;
  /**
   * Columns of B if it has fewer than C. A and B must then be contiguous in depth. The other columns of C
   * become finite numbers without a meaning. Default: columns.
   */
  columnsOfB?: number;
}

/** Returns the same product as Cᵀ = Bᵀ·Aᵀ. */
function exchanged(product: Product): Product {
  const { a, b, c, rows, columns, bias } = product;
  return {
    ...product,
    a: transposed(b),
    b: transposed(a),
    c: transposed(c),
    rows: columns,
    columns: rows,
    ...(bias && { bias: { ...bias, along: bias.along === 'rows' ? 'columns' : 'rows' } }),
  };
}

const isContiguousInRows = ({ columnStride }: Matrix): boolean => columnStride === 1;

/**
 * Returns the product in a form that the kernel supports: not with A contiguous in rows and B contiguous in
 * depth. C is contiguous in columns if possible.
 */
function canonical(product: Product): Product {
  const aInDepth = isContiguousInRows(product.a);
  const bInColumns = isContiguousInRows(product.b);
  if (!aInDepth && !bInColumns) return exchanged(product);
  const cInColumns = isContiguousInRows(product.c);
  return aInDepth !== bInColumns && !cInColumns ? exchanged(product) : product;
}

const strideOf = ({ rowStride, columnStride }: Matrix): number => Math.max(rowStride, columnStride);
const isAligned = (matrix: Matrix): boolean =>
  [matrix.offset, strideOf(matrix), matrix.outer, matrix.inner].every((number) => number % 4 === 0);

/** With fewer workgroups a device is not busy: smaller tiles are faster. */
const minWorkgroups = 64;

/** Returns the largest tiling with enough workgroups for the device; the smallest one if there is none. */
function chooseTiling(tilings: readonly MultiplyTiling[], product: Product): MultiplyTiling {
  const workgroups = (tiling: MultiplyTiling): number =>
    Math.ceil(product.rows / workgroupRows(tiling)) *
    Math.ceil(product.columns / workgroupColumns(tiling)) *
    product.outer *
    product.inner;
  return tilings.find((tiling) => workgroups(tiling) >= minWorkgroups) ?? tilings.at(-1)!;
}

/** Records a product. `tilings` are sorted from the largest tile to the smallest. */
export function multiply(recorder: Recorder, tilings: readonly MultiplyTiling[], requested: Product): void {
  const product = canonical(requested);
  const { a, b, c, rows, columns, depth, outer, inner, scale = 1, bias, accumulates = false } = product;
  if (rows === 0 || columns === 0) return;
  const layout = {
    a: isContiguousInRows(a) ? 'depth' : 'rows',
    b: isContiguousInRows(b) ? 'columns' : 'depth',
    c: isContiguousInRows(c) ? 'columns' : 'rows',
  } as const;
  const contiguous = [
    layout.a === 'depth' ? depth : rows,
    layout.b === 'depth' ? depth : columns,
    layout.c === 'columns' ? columns : rows,
  ];
  const vectors = contiguous.every((size) => size % 4 === 0) && [a, b, c].every(isAligned);
  const kernel: MultiplyKernel = {
    ...layout,
    ...chooseTiling(tilings, product),
    vectors,
    packedA: a.packed === true,
    packedB: b.packed === true,
    bias: bias?.along ?? 'none',
    accumulates,
  };
  const numbers = [rows, columns, depth, inner, product.columnsOfB ?? columns];
  for (const matrix of [a, b, c]) numbers.push(matrix.offset, strideOf(matrix), matrix.outer, matrix.inner);
  numbers.push(scale);
  recorder.dispatch(
    multiplyKernel(kernel),
    numbers,
    [numbers.length - 1],
    [a.binding, b.binding, c.binding, bias?.binding ?? null],
    [Math.ceil(columns / workgroupColumns(kernel)), Math.ceil(rows / workgroupRows(kernel)), outer * inner],
  );
}

/**
 * Returns the tilings that a device's limits allow, the one that is probably the fastest first. Calibration
 * measures them.
 */
export function possibleTilings({ gpu, isSoftware }: Device): MultiplyTiling[][] {
  const tile = (stage: MultiplyTiling['stage'], tileRows: number, tileColumns: number): MultiplyTiling => ({
    stage,
    tileRows,
    tileColumns,
  });
  // A CPU has caches instead of workgroup memory, and barriers are slow.
  if (isSoftware) return [[tile('registers', 8, 16), tile('registers', 8, 8), tile('registers', 4, 4)]];
  const inRegisters = [tile('registers', 8, 8), tile('registers', 4, 4)];
  const inWorkgroup = [tile('workgroup', 8, 8), tile('workgroup', 4, 4)];
  const fits = multiplyWorkgroupBytes(inWorkgroup[0]!) <= gpu.limits.maxComputeWorkgroupStorageSize;
  return fits ? [inWorkgroup, inRegisters] : [inRegisters];
}
