// C = scale·A·B + bias, or C += scale·A·B, for all batch rows (outer) and heads (inner). Each invocation
// computes a tile of C in registers: 4·rowFours rows and 4·columnFours columns. Column fours of an invocation
// are 4·workgroupWidth columns apart, so that neighbours access neighbouring vectors.
//
// a, b, c say which dimension of a matrix [rows × depth], [depth × columns], [rows × columns] is contiguous.
// stage: registers, operands are read from memory; workgroup, through workgroup memory.
struct Parameters {
  rows: u32,
  columns: u32,
  depth: u32,
  inner: u32,
  // Columns of B; further columns of C repeat the last one or become zeros.
  columnsOfB: u32,
  // Offsets and strides are in elements; outer and inner lead to the next batch row and head.
  aOffset: u32,
  aStride: u32,
  aOuter: u32,
  aInner: u32,
  bOffset: u32,
  bStride: u32,
  bOuter: u32,
  bInner: u32,
  cOffset: u32,
  cStride: u32,
  cOuter: u32,
  cInner: u32,
  scale: f32,
}
@group(0) @binding(0) var<uniform> p: Parameters;

// Invocations of a workgroup, along columns and along rows.
override workgroupWidth: u32;
// Depth of the tiles in workgroup memory.
override stageDepth: u32;
override accumulates: bool;
override fourStride = 4u * workgroupWidth;
override groupColumns = fourStride * ${columnFours}u;
const tileRows = 4u * ${rowFours}u;

${operands}

#if vectors
@group(0) @binding(3) var<storage, read_write> matrixC: array<vec4f>;
#else
@group(0) @binding(3) var<storage, read_write> matrixC: array<f32>;
#end
#if bias != none
@group(0) @binding(4) var<storage, read> bias: array<f32>;
#end

// Stores the first `count` of four consecutive results.
fn store(index: u32, value: vec4f, count: u32) {
#if vectors
  if (accumulates) {
    matrixC[index >> 2u] += value;
  } else {
    matrixC[index >> 2u] = value;
  }
#else
#for lane in 0..4
  if (count > ${lane}u) {
    if (accumulates) {
      matrixC[index + ${lane}u] += value[${lane}];
    } else {
      matrixC[index + ${lane}u] = value[${lane}];
    }
  }
#end
#end
}

@compute @workgroup_size(workgroupWidth, workgroupWidth)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let outer = group.z / p.inner;
  let inner = group.z % p.inner;
  let aBase = p.aOffset + outer * p.aOuter + inner * p.aInner;
  let bBase = p.bOffset + outer * p.bOuter + inner * p.bInner;
  let cBase = p.cOffset + outer * p.cOuter + inner * p.cInner;
  let row = (group.y * workgroupWidth + local.y) * tileRows;
  let column = group.x * groupColumns + local.x * 4u;
#if stage == registers
  if (row >= p.rows || column >= p.columns) { return; }
#end
#for rowFour in 0..rowFours
#for rowLane in 0..4
#for columnFour in 0..columnFours
  var c${rowFour}_${rowLane}_${columnFour} = vec4f();
#end
#end
#end

  // Out-of-range rows and columns are clamped to the last valid ones; their results are discarded.
#if stage == registers
#for rowFour in 0..rowFours
#if a == depth
#for rowLane in 0..4
  let aRow${rowFour}_${rowLane} = aBase + min(row + ${rowFour}u * 4u + ${rowLane}u, p.rows - 1u) * p.aStride;
#end
#else
#if vectors
  let aRow${rowFour} = aBase + min(row + ${rowFour}u * 4u, p.rows - 4u);
#else
  let aRow${rowFour} = aBase + row + ${rowFour}u * 4u;
#end
  let aCount${rowFour} = p.rows - min(p.rows, row + ${rowFour}u * 4u);
#end
#end
#for columnFour in 0..columnFours
#if b == depth
#for columnLane in 0..4
  let bRow${columnFour}_${columnLane} =
    bBase + min(column + ${columnFour}u * fourStride + ${columnLane}u, p.columnsOfB - 1u) * p.bStride;
#end
#else
#if vectors
  let bColumn${columnFour} = bBase + min(column + ${columnFour}u * fourStride, p.columns - 4u);
#else
  let bColumn${columnFour} = bBase + column + ${columnFour}u * fourStride;
#end
  let bCount${columnFour} = p.columns - min(p.columns, column + ${columnFour}u * fourStride);
#end
#end
  var depth = 0u;
#if a == depth
  // Loads along the depth return zeros beyond its end.
  for (; depth < p.depth; depth += 4u) {
${accumulateFour}
  }
#else
  for (; depth + 4u <= p.depth; depth += 4u) {
${accumulateFour}
  }
  for (; depth < p.depth; depth++) {
${accumulateOne}
  }
#end
#else
  let invocation = local.y * workgroupWidth + local.x;
  for (var depth = 0u; depth < p.depth; depth += stageDepth) {
    fillStageA(invocation, aBase, group.y * stageWidthA, depth);
    fillStageB(invocation, bBase, group.x * stageWidthB, depth);
    workgroupBarrier();
    for (var four = 0u; four < stageDepth / 4u; four++) {
${accumulateFour}
    }
    workgroupBarrier();
  }
#end

#if bias == columns
#for columnFour in 0..columnFours
  let bias${columnFour} = vec4f(
#for lane in 0..4
    bias[min(column + ${columnFour}u * fourStride + ${lane}u, p.columns - 1u)],
#end
  );
#end
#end
#for rowFour in 0..rowFours
#for rowLane in 0..4
#if bias == rows
  let bias${rowFour}_${rowLane} = bias[min(row + ${rowFour}u * 4u + ${rowLane}u, p.rows - 1u)];
#end
#for columnFour in 0..columnFours
  c${rowFour}_${rowLane}_${columnFour} = p.scale * c${rowFour}_${rowLane}_${columnFour}
#if bias == rows
    + vec4f(bias${rowFour}_${rowLane})
#end
#if bias == columns
    + bias${columnFour}
#end
    ;
#end
#end
#end

#if c == columns
#for rowFour in 0..rowFours
#for rowLane in 0..4
#for columnFour in 0..columnFours
  if (row + ${rowFour}u * 4u + ${rowLane}u < p.rows && column + ${columnFour}u * fourStride < p.columns) {
    let first = column + ${columnFour}u * fourStride;
    let index = cBase + (row + ${rowFour}u * 4u + ${rowLane}u) * p.cStride + first;
    store(index, c${rowFour}_${rowLane}_${columnFour}, p.columns - first);
  }
#end
#end
#end
#else
#for columnFour in 0..columnFours
#for columnLane in 0..4
#for rowFour in 0..rowFours
  if (column + ${columnFour}u * fourStride + ${columnLane}u < p.columns && row + ${rowFour}u * 4u < p.rows) {
    let first = row + ${rowFour}u * 4u;
    let index = cBase + (column + ${columnFour}u * fourStride + ${columnLane}u) * p.cStride + first;
    let value = vec4f(
#for rowLane in 0..4
      c${rowFour}_${rowLane}_${columnFour}[${columnLane}],
#end
    );
    store(index, value, p.rows - first);
  }
#end
#end
#end
#end
}
