// Sums over tokens of values, or of products of two, [outer][tokens][features]. Where there are many tokens and few features
// several invocations take a feature.
import { type Kernel, parameterStruct } from './kernel';

const width = 256;
const shared = 16;
/** So many features keep a device busy by themselves. */
const manyFeatures = 4096;

export const tokenSumParameters = ['tokens', 'features', 'tokenStride', 'offset', 'outerStride'] as const;

export interface TokenSumKernel {
  hasFactors: boolean;
  adds: boolean;
  /** Invocations of a feature. */
  lanes: number;
}

export const tokenSumLanes = (tokens: number, features: number): number =>
  tokens <= shared || features >= manyFeatures ? 1 : shared;
export const tokenSumFeatures = (lanes: number): number => width / lanes;

/** Bindings: parameters, values, sums, factors (where there are some). Workgroups: features / tokenSumFeatures, outer. */
export function tokenSumKernel({ hasFactors, adds, lanes }: TokenSumKernel): Kernel {
  const factors = hasFactors ? '@group(0) @binding(3) var<storage, read> factors: array<f32>;\n' : '';
  const features = tokenSumFeatures(lanes);
  const meet = `partial[invocation] = sum;
workgroupBarrier();
if (lane == 0u) {
  for (var other = 1u; other < ${lanes}u; other++) { sum += partial[other * ${features}u + invocation]; }
}`;
  const code = (): string => `${parameterStruct(tokenSumParameters)}
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;
${factors}${lanes > 1 ? `var<workgroup> partial: array<f32, ${width}>;\n` : ''}
@compute @workgroup_size(${width})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) invocation: u32) {
let feature = group.x * ${features}u + invocation % ${features}u;
let lane = invocation / ${features}u;
var sum = 0.0;
if (feature < p.features) {
  for (var token = lane; token < p.tokens; token += ${lanes}u) {
    let at = (group.y * p.tokens + token) * p.tokenStride + feature;
    sum += values[at]${hasFactors ? ' * factors[at]' : ''};
  }
}
${lanes > 1 ? meet : ''}
if (lane == 0u && feature < p.features) { sums[p.offset + group.y * p.outerStride + feature] ${adds ? '+=' : '='} sum; }
}`;
  const label = `token sums, ${lanes} lanes${hasFactors ? ', of products' : ''}${adds ? ', adds' : ''}`;
  return { label, code };
}
