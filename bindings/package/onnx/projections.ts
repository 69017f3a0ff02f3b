// The linear layers around an attention: the shapes of its projections, and the output projection.
import { contiguousChannels } from './axes';
import type { Axes, HeadSplit } from './axes';
import { addedConstant, asLinear, isPerChannel, isTransparent, isZero } from './linear';
import type { Linear, Rows, Search } from './linear';
import type { NodeProto } from './model';
import { describeNode, maxSteps, refuse } from './model_graph';
import { passAxes, sourceOf } from './operands';
import type { Operand, OperandNorm, Operands, Role } from './operands';
import { zeroedInput } from './zeroed_rows';

/** A projection, or the part of it that is used. */
export interface Projection extends Linear {
  /** Name of the result with its bias. */
  readonly projected: string;
  readonly rows: Rows;
  /** The elements of the bias. */
  readonly biasRows: Rows;
  /** The norm of each head; null for none. */
  readonly norm: OperandNorm | null;
}

export interface Projections extends Readonly<Record<Role, Projection>> {
  /** True if keys and values are projected from the same tokens as the queries. */
  readonly isSelf: boolean;
}
export interface OutputProjection {
  readonly output: Linear;
  /** Name of a constant. */
  readonly bias: string | null;
}

/** Returns the three projections. Throws WeightsError if their shapes are not those of a layer. */
export function matchProjections(
  search: Search,
  node: NodeProto,
  operands: Operands,
  splits: Readonly<Record<Role, Omit<HeadSplit, 'position'>>>,
): Projections {
  const project = (role: Role): Projection => {
    const { linear, offset, bias, biasOffset, projected, norm }: Operand = operands[role];
    const { heads, headDim, headStride } = splits[role];
    const rows = { offset, heads, headDim, headStride };
    const biasRows = biasOffset === null ? rows : { offset: biasOffset, heads, headDim, headStride: headDim };
    if (norm !== null) requireHeadNorm(search, role, norm, rows);
    return { ...linear, bias, projected, rows, biasRows, norm };
  };
  const [query, key, value] = [project('query'), project('key'), project('value')];
  const channels = query.rows.heads * query.rows.headDim;
  requireSameNorm(node, query.norm, key.norm);
  requireShape(node, 'key', key, key.inFeatures, channels);
  requireShape(node, 'value', value, key.inFeatures, channels);
  const source = sourceOf(search, key.input);
  if (source !== sourceOf(search, value.input)) {
    refuse(node, 'has keys and values of different contexts; expected one context');
  }
  return { query, key, value, isSelf: source === sourceOf(search, query.input) };
}

/** Refuses a norm over other channels than those of one head. */
function requireHeadNorm(search: Search, role: Role, norm: OperandNorm, rows: Rows): void {
  const { node, kind, axes, weight, bias } = norm;
  const { headDim, headStride, offset } = rows;
  const channels = contiguousChannels(axes.at(-1));
  const isAligned = headStride % headDim === 0 && (offset - norm.offset) % headDim === 0;
  if (channels !== headDim || !isAligned) {
    const over = channels === null ? 'other elements than channels' : `${channels} channels`;
    refuse(node, `normalizes the ${role} over ${over}; expected the ${headDim} channels of each head`);
  }
  for (const constant of [weight, bias]) {
    const isScalar = constant !== null && search.constants.uniform(constant) !== null;
    if (constant !== null && !isScalar && !isPerChannel(search, constant, headDim)) {
      refuse(node, `has a weight or bias of another shape; expected one number for each channel of a head`);
    }
  }
  if (kind === 'rms_norm' && bias !== null && !isZero(search, bias)) {
    refuse(node, 'adds a bias after an RMS norm; expected none');
  }
}

/** Refuses norms of queries and keys that differ, or only one norm. */
function requireSameNorm(node: NodeProto, query: OperandNorm | null, key: OperandNorm | null): void {
  if (query === null && key === null) return;
  if (query === null || key === null) {
    refuse(node, `has a norm of the ${query === null ? 'keys' : 'queries'} only; expected one of both`);
  }
  if (query.kind !== key.kind || query.epsilon !== key.epsilon) {
    const describe = ({ kind, epsilon }: OperandNorm) => `${kind} with epsilon ${epsilon}`;
    refuse(node, `has ${describe(query)} for queries and ${describe(key)} for keys; expected the same`);
  }
}

function requireShape(
  node: NodeProto,
  role: string,
  { inFeatures, rows, outFeatures }: Linear & { rows?: Rows },
  from: number,
  to: number,
): void {
  const channels = rows === undefined ? outFeatures : rows.heads * rows.headDim;
  if (inFeatures === from && channels === to) return;
  refuse(
    node,
    `has a projection of the ${role} from ${inFeatures} to ${channels} channels; ` +
      `expected one from ${from} to ${to}`,
  );
}

/** A node that uses the result, and the axes after it. */
interface Next {
  readonly node: NodeProto;
  readonly linear: Linear | null;
  readonly axes: Axes;
}

/**
 * Searches forward from the attention's result to the output projection. `axes` are those of the result, in
 * which the channels of the values have the order of the layer. `scores`: see zeroedInput.
 */
export function traceForward(
  search: Search,
  attention: NodeProto,
  start: string,
  result: Axes,
  channels: number,
  scores: readonly string[],
): OutputProjection {
  const { graph } = search;
  let axes = result;
  let value = start;
  for (let step = 0; step < maxSteps; ++step) {
    const consumers = graph.consumers(value);
    const next = consumers.flatMap((node): Next[] => {
      if (zeroedInput(search, node, scores) === value) return [{ node, linear: null, axes }];
      if (node.input[0] !== value) return [];
      const linear = asLinear(search, node);
      const passed = passAxes(search, node, axes);
      return linear !== null || passed !== null ? [{ node, linear, axes: passed?.axes ?? axes }] : [];
    });
    if (next.length !== 1) {
      const others = consumers.filter(({ opType }) => opType !== 'Shape');
      const [other] = next.length === 0 ? others : [];
      const reason = other === undefined ? '' : `, but ${describeNode(other)} changes it`;
      refuse(
        attention,
        `has a result that ${next.length} nodes use; expected one output projection${reason}`,
      );
    }
    const [{ node, linear, axes: moved }] = next as [Next];
    if (linear !== null) {
      if (contiguousChannels(axes.at(-1)) !== channels) {
        refuse(node, "projects the heads' channels in another order; expected that of the layer");
      }
      requireShape(node, 'output', linear, channels, linear.outFeatures);
      return { output: linear, bias: linear.bias ?? findBias(search, linear) };
    }
    axes = moved;
    value = node.output[0] ?? '';
  }
  return refuse(attention, 'has no output projection');
}

/** Returns the bias that is added right after a projection; null if there is none. */
function findBias(search: Search, { output, outFeatures }: Linear): string | null {
  let value = output;
  for (let step = 0; step < maxSteps; ++step) {
    const consumers = search.graph.consumers(value);
    for (const node of consumers) {
      const added = addedConstant(search, node, value);
      if (added !== null && isPerChannel(search, added, outFeatures)) return added;
    }
    const onward = consumers.find((node) => isTransparent(search, node));
    if (onward === undefined) return null;
    value = onward.output[0] ?? '';
  }
  return null;
}
