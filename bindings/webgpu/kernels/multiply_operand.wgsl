// Reading one operand of multiply.wgsl: `Name` is A or B, `name` a or b; `size` is the parameter that counts
// its rows (A) or columns (B).
#if packed
@group(0) @binding(${binding}) var<storage, read> matrix${Name}: array<vec2u>;

// Returns four consecutive elements.
fn load${Name}(index: u32, count: u32) -> vec4f {
  let pair = matrix${Name}[index >> 2u];
  return vec4f(unpack2x16float(pair.x), unpack2x16float(pair.y));
}
#else
#if vectors
@group(0) @binding(${binding}) var<storage, read> matrix${Name}: array<vec4f>;

fn load${Name}(index: u32, count: u32) -> vec4f { return matrix${Name}[index >> 2u]; }
#else
@group(0) @binding(${binding}) var<storage, read> matrix${Name}: array<f32>;

// Returns four consecutive elements; zeros instead of those from `count` on.
fn load${Name}(index: u32, count: u32) -> vec4f {
  let last = max(count, 1u) - 1u;
  let four = vec4f(
    matrix${Name}[index],
    matrix${Name}[index + min(1u, last)],
    matrix${Name}[index + min(2u, last)],
    matrix${Name}[index + min(3u, last)],
  );
  return select(vec4f(), four, vec4u(0u, 1u, 2u, 3u) < vec4u(count));
}
#end
#end

#if stage == workgroup
override stageWidth${Name} = workgroupWidth * 4u * ${fours}u;
override stageSize${Name} = stageDepth * stageWidth${Name} / 4u;
// The workgroup's share of the operand, as it lies in memory: vectors along the contiguous dimension.
var<workgroup> stage${Name}: array<vec4f, stageSize${Name}>;

fn fillStage${Name}(invocation: u32, base: u32, first: u32, firstDepth: u32) {
  for (var index = invocation; index < stageSize${Name}; index += workgroupWidth * workgroupWidth) {
#if contiguous == depth
    let across = first + index / (stageDepth / 4u);
    let depth = firstDepth + index % (stageDepth / 4u) * 4u;
    let address = base + across * p.${name}Stride + depth;
    let count = p.depth - min(p.depth, depth);
#else
    let across = first + index % (stageWidth${Name} / 4u) * 4u;
    let depth = firstDepth + index / (stageWidth${Name} / 4u);
    let address = base + depth * p.${name}Stride + across;
    let count = p.${size} - min(p.${size}, across);
#end
    var four = vec4f();
    if (across < p.${size} && depth < p.depth) { four = load${Name}(address, count); }
    stage${Name}[index] = four;
  }
}
#end
