// Matrices in GPU memory, and their product with the kernel and the tiling that fit them.
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

/** In elements; one of the strides is 1. `outer`, `inner`: from one batch row, one head to the next. */
export interface Matrix {
  binding: Binding;
  offset: number;
  rowStride: number;
  columnStride: number;
  outer: number;
  inner: number;
  /** Half-precision numbers, two in each 32 bits. */
  packed?: boolean;
}

export const transposed = (matrix: Matrix): Matrix => ({
  ...matrix,
  rowStride: matrix.columnStride,
  columnStride: matrix.rowStride,
});

/** C = scale·A·B + bias; `bias` lies along C's rows or columns. */
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
  bias?: { binding: Binding; along: 'rows' | 'columns' };
  accumulates?: boolean;
  /** Where B has fewer columns than C, and A, B are contiguous in depth: C's further columns are finite, and nobody's. */
  columnsOfB?: number;
}

/** The same product, read the other way: Cᵀ = Bᵀ·Aᵀ. */
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

/** In a form that the kernel takes: never A contiguous in rows with B contiguous in depth; C contiguous in columns if it can be. */
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

/** Below so many workgroups a device is not busy, and smaller tiles are taken. */
const fewWorkgroups = 64;

/** The larger of the tilings that has enough workgroups for the device; the last one where none has. */
function chooseTiling(tilings: readonly MultiplyTiling[], product: Product): MultiplyTiling {
  const workgroups = (tiling: MultiplyTiling): number =>
    Math.ceil(product.rows / workgroupRows(tiling)) *
    Math.ceil(product.columns / workgroupColumns(tiling)) *
    product.outer *
    product.inner;
  return tilings.find((tiling) => workgroups(tiling) >= fewWorkgroups) ?? tilings.at(-1)!;
}

/** Records a product. `tilings`: from the largest tile to the smallest. */
export function multiply(recorder: Recorder, tilings: readonly MultiplyTiling[], given: Product): void {
  const product = canonical(given);
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

/** The tilings that a device's limits allow, the best guess first; calibration measures them. */
export function possibleTilings({ gpu, isSoftware }: Device): MultiplyTiling[][] {
  const tile = (stage: MultiplyTiling['stage'], tileRows: number, tileColumns: number): MultiplyTiling => ({
    stage,
    tileRows,
    tileColumns,
  });
  // A processor has caches, and waits at every barrier.
  if (isSoftware) return [[tile('registers', 8, 16), tile('registers', 8, 8), tile('registers', 4, 4)]];
  const inRegisters = [tile('registers', 8, 8), tile('registers', 4, 4)];
  const inWorkgroup = [tile('workgroup', 8, 8), tile('workgroup', 4, 4)];
  const fits = multiplyWorkgroupBytes(inWorkgroup[0]!) <= gpu.limits.maxComputeWorkgroupStorageSize;
  return fits ? [inWorkgroup, inRegisters] : [inRegisters];
}
