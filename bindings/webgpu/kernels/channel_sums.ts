// The bias gradient: for each channel the sum over all tokens of the batch. A workgroup takes a channel; its invocations'
// sums are added by subgroup operations where there are some – whatever a subgroup's size –, else in a tree.
import { type Kernel, parameterStruct } from './kernel';

export const channelSumParameters = [
  'channels',
  'tokens',
  'batch',
  'channelStride',
  'tokenStride',
  'batchStride',
] as const;

const width = 64;

const tree = `partial[invocation] = sum;
workgroupBarrier();
for (var half = ${width / 2}u; half > 0u; half >>= 1u) {
  if (invocation < half) { partial[invocation] += partial[invocation + half]; }
  workgroupBarrier();
}
let total = partial[0];`;

const subgroups = `let ofSubgroup = subgroupAdd(sum);
// One number a subgroup: its first invocation's. Others leave what is zero.
partial[invocation] = select(0.0, ofSubgroup, subgroupElect());
workgroupBarrier();
var total = 0.0;
if (invocation == 0u) { for (var at = 0u; at < ${width}u; at++) { total += partial[at]; } }`;

/** Bindings: parameters, values, sums. Workgroups: channels. */
export function channelSumsKernel(withSubgroups: boolean): Kernel {
  const code =
    (): string => `${withSubgroups ? 'enable subgroups;\n' : ''}${parameterStruct(channelSumParameters)}
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;
var<workgroup> partial: array<f32, ${width}>;

@compute @workgroup_size(${width})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) invocation: u32) {
let channel = group.x;
var sum = 0.0;
for (var row = 0u; row < p.batch; row++) {
  for (var token = invocation; token < p.tokens; token += ${width}u) {
    sum += values[row * p.batchStride + channel * p.channelStride + token * p.tokenStride];
  }
}
${withSubgroups ? subgroups : tree}
if (invocation == 0u) { sums[channel] = total; }
}`;
  return { label: `channel sums${withSubgroups ? ', subgroups' : ''}`, code };
}
