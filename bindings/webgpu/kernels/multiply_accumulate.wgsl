// Adds the products of `steps` (1 or 4) depths to the tile. Each variable of the tile is read and written
// once for all of them: if a compiler does not keep it in a register, these accesses take most of the time.
#if a == depth
#for rowFour in 0..rowFours
#for rowLane in 0..4
#if stage == workgroup
let a${rowFour}_${rowLane} =
  stageA[(local.y * tileRows + ${rowFour}u * 4u + ${rowLane}u) * (stageDepth / 4u) + four];
#else
let a${rowFour}_${rowLane} = loadA(aRow${rowFour}_${rowLane} + depth, p.depth - depth);
#end
#end
#end
#else
#for step in 0..steps
#for rowFour in 0..rowFours
#if stage == workgroup
let a${step}_${rowFour} =
  stageA[(four * 4u + ${step}u) * (stageWidthA / 4u) + local.y * (tileRows / 4u) + ${rowFour}u];
#else
let a${step}_${rowFour} = loadA(aRow${rowFour} + (depth + ${step}u) * p.aStride, aCount${rowFour});
#end
#end
#end
#end
#if b == columns
#for step in 0..steps
#for columnFour in 0..columnFours
#if stage == workgroup
let b${step}_${columnFour} =
  stageB[(four * 4u + ${step}u) * (stageWidthB / 4u) + local.x + workgroupWidth * ${columnFour}u];
#else
let b${step}_${columnFour} =
  loadB(bColumn${columnFour} + min(depth + ${step}u, p.depth - 1u) * p.bStride, bCount${columnFour});
#end
#end
#end
#else
#for columnFour in 0..columnFours
#for columnLane in 0..4
#if stage == workgroup
let t${columnFour}_${columnLane} =
  stageB[((workgroupWidth * ${columnFour}u + local.x) * 4u + ${columnLane}u) * (stageDepth / 4u) + four];
#else
let t${columnFour}_${columnLane} = loadB(bRow${columnFour}_${columnLane} + depth, p.depth - depth);
#end
#end
#end
// From four depths of each column to four columns of each depth.
#for step in 0..steps
#for columnFour in 0..columnFours
let b${step}_${columnFour} = vec4f(
#for columnLane in 0..4
  t${columnFour}_${columnLane}[${step}],
#end
);
#end
#end
#end
#for rowFour in 0..rowFours
#for rowLane in 0..4
#for columnFour in 0..columnFours
c${rowFour}_${rowLane}_${columnFour} +=
#if a == depth
  a${rowFour}_${rowLane}[0] * b0_${columnFour}
#for step in 1..steps
  + a${rowFour}_${rowLane}[${step}] * b${step}_${columnFour}
#end
#else
  a0_${rowFour}[${rowLane}] * b0_${columnFour}
#for step in 1..steps
  + a${step}_${rowFour}[${rowLane}] * b${step}_${columnFour}
#end
#end
  ;
#end
#end
#end
