// C = scale·A·B + bias, or C += scale·A·B: every product of the layer, forward and backward. Each invocation holds a tile of
// C in registers. Products are batched: workgroup z is a batch row (outer) and a head (inner).
import { components, type Kernel, parameterStruct, range, repeat } from './kernel';

/** Which of an operand's two dimensions is contiguous in memory. */
export interface MultiplyLayout {
  /** A [rows × depth] */
  a: 'depth' | 'rows';
  /** B [depth × columns] */
  b: 'depth' | 'columns';
  /** C [rows × columns] */
  c: 'columns' | 'rows';
}

/** How the work is cut into tiles. */
export interface MultiplyTiling {
  /** Where an invocation reads its operands: from memory, or from workgroup memory, where the workgroup puts them first. */
  stage: 'registers' | 'workgroup';
  /** C's rows and columns of an invocation: multiples of 4. */
  tileRows: number;
  tileColumns: number;
}

export interface MultiplyKernel extends MultiplyLayout, MultiplyTiling {
  /** Whether all strides, offsets and sizes along contiguous dimensions are multiples of 4. */
  vectors: boolean;
  /** Operands of half-precision numbers, two in each 32 bits: what says `vectors` must be so of them in any case. */
  packedA: boolean;
  packedB: boolean;
  bias: 'none' | 'rows' | 'columns';
  accumulates: boolean;
}

/** Invocations of a workgroup, along columns and along rows. */
export const workgroupWidth = 8;
/** Depth of a tile in workgroup memory. */
const stageDepth = 16;

export const workgroupRows = ({ tileRows }: MultiplyTiling): number => workgroupWidth * tileRows;
export const workgroupColumns = ({ tileColumns }: MultiplyTiling): number => workgroupWidth * tileColumns;
/** Bytes of workgroup memory. */
export const multiplyWorkgroupBytes = (tiling: MultiplyTiling): number =>
  tiling.stage === 'registers' ? 0 : 4 * stageDepth * (workgroupRows(tiling) + workgroupColumns(tiling));

/** Offsets and strides in elements; `inner`: heads of a batch row; `columnsOfB`: C's further ones repeat or are zeros. */
export const multiplyParameters = [
  'rows',
  'columns',
  'depth',
  'inner',
  'columnsOfB',
  'aOffset',
  'aStride',
  'aOuter',
  'aInner',
  'bOffset',
  'bStride',
  'bOuter',
  'bInner',
  'cOffset',
  'cStride',
  'cOuter',
  'cInner',
  'scale',
] as const;

/** Four numbers in a row of an operand, zeros where `count` says that fewer are there. */
function loadFunction(name: string, buffer: string, vectors: boolean, packed: boolean): string {
  if (packed) {
    return `fn ${name}(at: u32, count: u32) -> vec4f {
  let pair = ${buffer}[at >> 2u];
  return vec4f(unpack2x16float(pair.x), unpack2x16float(pair.y));
}\n`;
  }
  if (vectors) return `fn ${name}(at: u32, count: u32) -> vec4f { return ${buffer}[at >> 2u]; }\n`;
  return `fn ${name}(at: u32, count: u32) -> vec4f {
  let last = max(count, 1u) - 1u;
  let four = vec4f(${range(4)
    .map((index) => `${buffer}[at + min(${index}u, last)]`)
    .join(', ')});
  return select(vec4f(), four, vec4u(0u, 1u, 2u, 3u) < vec4u(count));
}\n`;
}

const bindings = ({ vectors, packedA, packedB, bias }: MultiplyKernel): string => {
  const four = vectors ? 'vec4f' : 'f32';
  return `@group(0) @binding(1) var<storage, read> matrixA: array<${packedA ? 'vec2u' : four}>;
@group(0) @binding(2) var<storage, read> matrixB: array<${packedB ? 'vec2u' : four}>;
@group(0) @binding(3) var<storage, read_write> matrixC: array<${four}>;
${bias === 'none' ? '' : '@group(0) @binding(4) var<storage, read> bias: array<f32>;\n'}`;
};

/** Where an invocation reads four numbers of each operand, in a loop over depth. */
interface Sources {
  /** Contiguous in depth: of row `index` of the tile the four at 4·`four`; else, at depth `index`, rows 4·`four` … */
  a: (index: number, four: number) => string;
  /** Contiguous in depth: of a column of the tile the four at 4·`four`; else, at depth `index`, a group of columns. */
  b: (index: number, four: number) => string;
}

/**
 * The tile's sums over `steps` numbers of depth. Each variable of the tile is read and written once for all of them: where a
 * compiler does not keep it in a register, that is what takes the time.
 */
function accumulate(kernel: MultiplyKernel, { a, b }: Sources, steps: number): string {
  const { tileRows, tileColumns } = kernel;
  const groups = range(tileColumns / 4);
  const fours = range(Math.max(1, steps / 4));
  const lines: string[] = [];
  const load = (name: string, count: number, lengths: readonly number[], source: Sources['a']): void => {
    for (const index of range(count)) {
      for (const four of lengths) lines.push(`let ${name}${index}_${four} = ${source(index, four)};`);
    }
  };
  if (kernel.a === 'depth') load('a', tileRows, fours, a);
  else load('a', steps, range(tileRows / 4), a);
  if (kernel.b === 'columns') load('b', steps, groups, b);
  else {
    load('t', tileColumns, fours, b);
    // Four columns at a depth, out of four depths of each column.
    for (const step of range(steps)) {
      for (const group of groups) {
        const four = range(4).map((index) => `t${4 * group + index}_${step >> 2}.${components[step & 3]}`);
        lines.push(`let b${step}_${group} = vec4f(${four.join(', ')});`);
      }
    }
  }

  const element = (row: number, step: number): string =>
    kernel.a === 'depth'
      ? `a${row}_${step >> 2}.${components[step & 3]}`
      : `a${step}_${row >> 2}.${components[row & 3]}`;
  for (const row of range(tileRows)) {
    for (const group of groups) {
      const terms = range(steps).map((step) => `${element(row, step)} * b${step}_${group}`);
      lines.push(`c${row}_${group} += ${terms.join(' + ')};`);
    }
  }
  return lines.join('\n');
}

/** A row, a column of C that lie outside take the last inside: they are read in vain, and not written. */
const rowAt = (index: number): string => `min(row + ${index}u, p.rows - 1u)`;

/** The first column of a tile's group of four: groups of neighbouring invocations lie side by side. */
const columnOf = (group: number): string => `column + ${4 * workgroupWidth * group}u`;

function loopFromMemory(kernel: MultiplyKernel): string {
  const { tileRows, tileColumns, vectors } = kernel;
  const starts: string[] = [];
  const sources: Sources = {
    a: (row, four) => `loadA(aRow${row} + depth + ${4 * four}u, p.depth - depth)`,
    b: (column, four) => `loadB(bRow${column} + depth + ${4 * four}u, p.depth - depth)`,
  };
  if (kernel.a === 'depth') {
    for (const row of range(tileRows)) starts.push(`let aRow${row} = aBase + ${rowAt(row)} * p.aStride;`);
  } else {
    for (const group of range(tileRows / 4)) {
      const row = `row + ${4 * group}u`;
      starts.push(`let aRow${group} = aBase + ${vectors ? `min(${row}, p.rows - 4u)` : row};`);
      starts.push(`let aCount${group} = p.rows - min(p.rows, ${row});`);
    }
    sources.a = (step, group) => `loadA(aRow${group} + (depth + ${step}u) * p.aStride, aCount${group})`;
  }
  if (kernel.b === 'depth') {
    for (const column of range(tileColumns)) {
      const at = `${columnOf(column >> 2)} + ${column & 3}u`;
      starts.push(`let bRow${column} = bBase + min(${at}, p.columnsOfB - 1u) * p.bStride;`);
    }
  } else {
    for (const group of range(tileColumns / 4)) {
      const column = columnOf(group);
      starts.push(`let bColumn${group} = bBase + ${vectors ? `min(${column}, p.columns - 4u)` : column};`);
      starts.push(`let bCount${group} = p.columns - min(p.columns, ${column});`);
    }
    sources.b = (step, group) =>
      `loadB(bColumn${group} + min(depth + ${step}u, p.depth - 1u) * p.bStride, bCount${group})`;
  }
  const loop = (condition: string, steps: number): string => `for (; ${condition}; depth += ${steps}u) {
${accumulate(kernel, sources, steps)}
}`;
  // Fours that are contiguous in depth have zeros beyond it; rows of A are read one by one at the end.
  const loops =
    kernel.a === 'depth'
      ? [loop('depth < p.depth', 4)]
      : [loop('depth + 4u <= p.depth', 4), loop('depth < p.depth', 1)];
  return [...starts, 'var depth = 0u;', ...loops].join('\n');
}

/** A workgroup's share of an operand, put into workgroup memory as it lies: fours along the contiguous dimension. */
function stageOperand(
  operand: 'A' | 'B',
  inDepth: boolean,
  width: number,
  invocations: number,
  first: string,
  size: string,
): string {
  const name = operand.toLowerCase();
  const count = (stageDepth * width) / 4;
  const place = inDepth
    ? `let across = ${first} + at / ${stageDepth / 4}u; let deep = depth + at % ${stageDepth / 4}u * 4u;
let address = ${name}Base + across * p.${name}Stride + deep; let left = p.depth - min(p.depth, deep);`
    : `let across = ${first} + at % ${width / 4}u * 4u; let deep = depth + at / ${width / 4}u;
let address = ${name}Base + deep * p.${name}Stride + across; let left = p.${size} - min(p.${size}, across);`;
  return `for (var at = invocation; at < ${count}u; at += ${invocations}u) {
${place}
var four = vec4f();
if (across < p.${size} && deep < p.depth) { four = load${operand}(address, left); }
stage${operand}[at] = four;
}`;
}

function loopFromWorkgroup(kernel: MultiplyKernel): string {
  const { tileRows } = kernel;
  const [rows, columns] = [workgroupRows(kernel), workgroupColumns(kernel)];
  const invocations = workgroupWidth * workgroupWidth;
  const fours = stageDepth / 4;
  const sources: Sources = {
    a: (index, group) =>
      kernel.a === 'depth'
        ? `stageA[(local.y * ${tileRows}u + ${index}u) * ${fours}u + four]`
        : `stageA[(four * 4u + ${index}u) * ${rows / 4}u + local.y * ${tileRows / 4}u + ${group}u]`,
    b: (index, group) =>
      kernel.b === 'depth'
        ? `stageB[((${workgroupWidth * (index >> 2)}u + local.x) * 4u + ${index & 3}u) * ${fours}u + four]`
        : `stageB[(four * 4u + ${index}u) * ${columns / 4}u + local.x + ${workgroupWidth * group}u]`,
  };
  return `let invocation = local.y * ${workgroupWidth}u + local.x;
for (var depth = 0u; depth < p.depth; depth += ${stageDepth}u) {
${stageOperand('A', kernel.a === 'depth', rows, invocations, `group.y * ${rows}u`, 'rows')}
${stageOperand('B', kernel.b === 'depth', columns, invocations, `group.x * ${columns}u`, 'columnsOfB')}
workgroupBarrier();
for (var four = 0u; four < ${fours}u; four++) {
${accumulate(kernel, sources, 4)}
}
workgroupBarrier();
}`;
}

/** Four results at an address, of which `count` lie inside. */
function storeFunction({ vectors, accumulates }: MultiplyKernel): string {
  const sum = (element: string): string => (accumulates ? `${element} + value` : 'value');
  if (vectors) {
    const element = 'matrixC[at >> 2u]';
    return `fn store(at: u32, value: vec4f, count: u32) { ${element} = ${sum(element)}; }\n`;
  }
  return `fn store(at: u32, value: vec4f, count: u32) {
${repeat(4, (index) => {
  const element = `matrixC[at + ${index}u]`;
  const value = sum(element).replace('value', `value.${components[index]}`);
  return `if (count > ${index}u) { ${element} = ${value}; }\n`;
})}}\n`;
}

function storeTile(kernel: MultiplyKernel): string {
  const { tileRows, tileColumns, bias } = kernel;
  const groups = range(tileColumns / 4);
  const lines: string[] = [];
  const biasOfColumns = (group: number): string =>
    `vec4f(${range(4)
      .map((component) => `bias[min(${columnOf(group)} + ${component}u, p.columns - 1u)]`)
      .join(', ')})`;
  if (bias === 'columns') {
    for (const group of groups) lines.push(`let bias${group} = ${biasOfColumns(group)};`);
  }
  for (const row of range(tileRows)) {
    if (bias === 'rows') lines.push(`let rowBias${row} = bias[${rowAt(row)}];`);
    for (const group of groups) {
      const added = { none: '', rows: ` + vec4f(rowBias${row})`, columns: ` + bias${group}` }[bias];
      lines.push(`c${row}_${group} = p.scale * c${row}_${group}${added};`);
    }
  }
  if (kernel.c === 'columns') {
    for (const row of range(tileRows)) {
      for (const group of groups) {
        lines.push(`if (row + ${row}u < p.rows && ${columnOf(group)} < p.columns) {
store(cBase + (row + ${row}u) * p.cStride + ${columnOf(group)}, c${row}_${group}, p.columns - (${columnOf(group)}));
}`);
      }
    }
    return lines.join('\n');
  }
  for (const column of range(tileColumns)) {
    const at = `(${columnOf(column >> 2)} + ${column & 3}u)`;
    for (const four of range(tileRows / 4)) {
      const values = range(4).map((index) => `c${4 * four + index}_${column >> 2}.${components[column & 3]}`);
      lines.push(`if (${at} < p.columns && row + ${4 * four}u < p.rows) {
store(cBase + ${at} * p.cStride + row + ${4 * four}u, vec4f(${values.join(', ')}), p.rows - (row + ${4 * four}u));
}`);
    }
  }
  return lines.join('\n');
}

function multiplyCode(kernel: MultiplyKernel): string {
  const { stage, tileRows, tileColumns, vectors, packedA, packedB } = kernel;
  const staged =
    stage === 'registers'
      ? ''
      : `var<workgroup> stageA: array<vec4f, ${(stageDepth * workgroupRows(kernel)) / 4}>;
var<workgroup> stageB: array<vec4f, ${(stageDepth * workgroupColumns(kernel)) / 4}>;\n`;
  const tile = repeat(tileRows, (row) =>
    repeat(tileColumns / 4, (group) => `var c${row}_${group} = vec4f();\n`),
  );
  return `${parameterStruct(multiplyParameters, ['scale'])}${bindings(kernel)}${staged}${loadFunction(
    'loadA',
    'matrixA',
    vectors,
    packedA,
  )}${loadFunction('loadB', 'matrixB', vectors, packedB)}${storeFunction(kernel)}
@compute @workgroup_size(${workgroupWidth}, ${workgroupWidth})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
let outer = group.z / p.inner;
let inner = group.z % p.inner;
let aBase = p.aOffset + outer * p.aOuter + inner * p.aInner;
let bBase = p.bOffset + outer * p.bOuter + inner * p.bInner;
let cBase = p.cOffset + outer * p.cOuter + inner * p.cInner;
let row = (group.y * ${workgroupWidth}u + local.y) * ${tileRows}u;
let column = group.x * ${workgroupColumns(kernel)}u + local.x * 4u;
${stage === 'registers' ? 'if (row >= p.rows || column >= p.columns) { return; }\n' : ''}${tile}${
    stage === 'registers' ? loopFromMemory(kernel) : loopFromWorkgroup(kernel)
  }
${storeTile(kernel)}
}`;
}

/** Bindings: parameters, A, B, C, bias (where there is one). Workgroups: columns, rows, outer · inner. */
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
  return { label, code: () => multiplyCode(kernel) };
}
