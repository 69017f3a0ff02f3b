// The operands of an attention: searches back to their projections, and traces the channels on these paths.
import { show } from '../checks';
import { reshapeAxes, projectedAxes, selectChannels, transposeAxes, withoutAxis } from './axes';
import type { Axes } from './axes';
import { asHeadNorm } from './head_norms';
import type { HeadNorm } from './head_norms';
import { Step } from './inferred_value';
import {
  asLinear,
  isArithmetic,
  isPerChannel,
  isReshape,
  isTransparent,
  isTranspose,
  isZero,
} from './linear';
import type { Linear, Search } from './linear';
import type { NodeProto } from './model';
import { attributeOf, describeNode, integerAttribute, isStandard, maxSteps, refuse } from './model_graph';
import { splitSizes } from './shape_inference_layers';
import { symbol } from './symbolic_size';

export type Role = 'query' | 'key' | 'value';

/** A norm of an operand, and the axes and the offset of the value that it normalizes. */
export interface OperandNorm extends HeadNorm {
  readonly axes: Axes;
  readonly offset: number;
}

/**
 * An operand of attention: the result of a projection, reshaped, normalized and scaled, or a part of its
 * channels.
 */
export interface Operand {
  readonly linear: Linear;
  readonly axes: Axes;
  /** Name of a constant that is added to the projection's result, one number for each channel. */
  readonly bias: string | null;
  /** The index of the operand's first channel in the bias; null for that in the projection's result. */
  readonly biasOffset: number | null;
  /** Name of the projection's result with its bias. */
  readonly projected: string;
  /** The index of the operand's first channel in the projection's result. */
  readonly offset: number;
  /** Null for none. The scale is applied after it. */
  readonly norm: OperandNorm | null;
  readonly scale: number;
}
export type Operands = Readonly<Record<Role, Operand>>;

/** A node on the path of an operand, and the output of it that is used. */
interface Passed {
  readonly node: NodeProto;
  readonly value: string;
  readonly norm?: HeadNorm;
}

const isSelection = (node: NodeProto): boolean =>
  isStandard(node) && ['Split', 'Slice', 'Gather'].includes(node.opType);

/** The bias of an operand: a constant that is added right after the projection. */
export class OperandBias {
  #value: string | null = null;
  /** The node that adds it. */
  #node: NodeProto | null = null;

  constructor(
    private readonly search: Search,
    private readonly role: string,
  ) {}

  add(node: NodeProto, value: string): void {
    if (!this.search.constants.has(value)) {
      refuse(node, `adds a value that is not constant to the ${this.role}; expected a constant bias`);
    }
    if (isZero(this.search, value)) return;
    this.requireNone(node);
    this.#value = value;
    this.#node = node;
  }

  /** Refuses a node between the projection and the bias. */
  requireNone(node: NodeProto): void {
    if (this.#node === null) return;
    const after = `after ${describeNode(node)}; expected it right after its projection`;
    refuse(this.#node, `adds a bias of the ${this.role} ${after}`);
  }

  of({ node, outFeatures, output }: Linear): Pick<Operand, 'bias' | 'biasOffset' | 'projected'> {
    const value = this.#value;
    if (value !== null && !isPerChannel(this.search, value, outFeatures)) {
      refuse(node, `has a bias of the ${this.role} of another shape; expected one number for each channel`);
    }
    return { bias: value, biasOffset: null, projected: this.#node?.output[0] ?? output };
  }
}

/**
 * Searches back from an operand of attention to its projection. Each node on the path is represented by the
 * result, or refused.
 */
export function traceBack(search: Search, attention: NodeProto, role: Role, start: string): Operand {
  const { graph, constants } = search;
  const passed: Passed[] = [];
  const bias = new OperandBias(search, role);
  let norm: HeadNorm | null = null;
  let scale = 1;
  let value = start;
  for (let step = 0; step < maxSteps; ++step) {
    const node = graph.producer(value);
    if (node === undefined) break;
    const linear = asLinear(search, node);
    if (linear !== null) {
      if (linear.bias !== null) bias.add(node, linear.bias);
      return { linear, ...replay(search, attention, role, linear, passed), scale, ...bias.of(linear) };
    }
    const [first = '', second = ''] = node.input;
    const found = asHeadNorm(search, node);
    if (found !== null && found.output === value) {
      bias.requireNone(node);
      if (norm !== null) refuse(node, `is the second norm of the ${role}; expected one`);
      norm = found;
      passed.unshift({ node, value, norm });
      value = found.input;
    } else if (isArithmetic(node, 'Mul', 'Div')) {
      bias.requireNone(node);
      if (norm !== null) refuse(node, `scales the ${role} before its norm; expected the scale after it`);
      const isFactorFirst = node.opType === 'Mul' && constants.uniform(first) !== null;
      const factor = constants.uniform(isFactorFirst ? first : second);
      if (factor === null) refuse(node, `scales the ${role} by an unknown value; expected a constant`);
      scale = node.opType === 'Mul' ? scale * factor : scale / factor;
      value = isFactorFirst ? second : first;
    } else if (isArithmetic(node, 'Add')) {
      const isBiasFirst = constants.has(first);
      bias.add(node, isBiasFirst ? first : second);
      value = isBiasFirst ? second : first;
    } else if (isTranspose(node) || isReshape(node) || isTransparent(search, node) || isSelection(node)) {
      if (!isTransparent(search, node)) bias.requireNone(node);
      passed.unshift({ node, value });
      value = first;
    } else refuse(node, `computes the ${role}; expected a linear projection, split into heads`);
  }
  return refuse(attention, `has the ${role} ${show(value)}; expected the result of a linear projection`);
}

/** Returns the axes of a projection's result after these nodes. */
function replay(
  search: Search,
  attention: NodeProto,
  role: Role,
  linear: Linear,
  nodes: readonly Passed[],
): Pick<Operand, 'axes' | 'offset' | 'norm'> {
  const sizes = search.inferred.get(linear.output)?.sizes ?? null;
  // If the shape is unknown, three axes are most likely.
  const outer = sizes === null ? [symbol('batch?'), symbol('rows?')] : sizes.slice(0, -1);
  let axes: Axes = projectedAxes(outer, linear.outFeatures);
  let offset = 0;
  let norm: OperandNorm | null = null;
  for (const { node, value, norm: found } of nodes) {
    if (found !== undefined) {
      norm = { ...found, axes, offset };
      continue;
    }
    const next =
      passAxes(search, node, axes) ??
      (isSelection(node) ? selectAxes(search, node, value, axes) : null) ??
      refuse(node, [`splits the ${role} into heads by unknown sizes`, ...search.unreadable].join(': '));
    axes = next.axes;
    offset += next.offset;
  }
  if (axes.length < 2) refuse(attention, `has a ${role} of ${axes.length} axes; expected at least 2`);
  return { axes, offset, norm };
}

/** Returns the axes after a node; null if they are unknown or the node does more than move elements. */
export function passAxes(search: Search, node: NodeProto, axes: Axes): { axes: Axes; offset: 0 } | null {
  if (isTransparent(search, node)) return { axes, offset: 0 };
  let moved: Axes | null;
  if (isTranspose(node)) {
    const perm = attributeOf(node, 'perm')?.ints ?? axes.map((_, axis) => axes.length - 1 - axis);
    moved = transposeAxes(axes, perm);
  } else {
    const sizes = isReshape(node) ? search.inferred.get(node.output[0] ?? '')?.sizes : null;
    moved = sizes ? reshapeAxes(axes, sizes) : null;
  }
  return moved === null ? null : { axes: moved, offset: 0 };
}

/**
 * Returns the axes after a node that selects some channels, as of a projection to queries, keys and values.
 */
function selectAxes(
  { inferred }: Search,
  node: NodeProto,
  value: string,
  axes: Axes,
): { axes: Axes; offset: number } | null {
  const step = new Step(node, value, inferred);
  const positive = (axis: number) => (axis < 0 ? axis + axes.length : axis);
  if (node.opType === 'Split') {
    const sizes = step.input(0).sizes;
    const found = sizes === null ? null : splitSizes(step, sizes);
    if (found === null) return null;
    const index = node.output.indexOf(value);
    const begin = found.parts.slice(0, index).reduce((sum, part) => sum + part, 0);
    return selectChannels(axes, found.axis, begin, found.parts[index]!);
  }
  if (node.opType === 'Gather') {
    const axis = positive(integerAttribute(node, 'axis', 0));
    const indices = step.integers(1, '');
    const size = step.input(0).sizes?.[axis];
    if (indices?.length !== 1 || size === undefined) return null;
    const length = size.symbols.length === 0 ? size.factor : NaN;
    const index = indices[0]! < 0 ? indices[0]! + length : indices[0]!;
    const selected = selectChannels(axes, axis, index, 1);
    const isScalar = step.input(1).sizes?.length === 0;
    return selected && isScalar ? { ...selected, axes: withoutAxis(selected.axes, axis) } : selected;
  }
  const starts = step.integers(1, 'starts');
  const ends = step.integers(2, 'ends');
  const steps = step.has(4) ? step.integers(4, '') : [1];
  const listed = step.has(3) ? step.integers(3, '') : (attributeOf(node, 'axes')?.ints ?? [0]);
  if (starts?.length !== 1 || ends?.length !== 1 || listed?.length !== 1 || steps?.[0] !== 1) return null;
  const axis = positive(listed[0]!);
  const size = step.input(0).sizes?.[axis];
  const length = size?.symbols.length === 0 ? size.factor : NaN;
  const clamp = (index: number) => Math.min(index < 0 ? index + length : index, length);
  return selectChannels(axes, axis, clamp(starts[0]!), clamp(ends[0]!) - clamp(starts[0]!));
}

export function traceOperands(search: Search, node: NodeProto, values: readonly string[]): Operands {
  const [query = '', key = '', value = ''] = values;
  const operands = {
    query: traceBack(search, node, 'query', query),
    key: traceBack(search, node, 'key', key),
    value: traceBack(search, node, 'value', value),
  };
  requirePlainValues(node, operands.value);
  return operands;
}

/** Refuses values that are more than a projection. */
export function requirePlainValues(node: NodeProto, { norm, scale }: Operand): void {
  if (norm !== null) refuse(norm.node, 'normalizes the values; expected norms of queries and keys');
  if (scale !== 1) refuse(node, `has values that are scaled by ${scale}; expected no scale`);
}

/** Returns the value from which another differs only in type and shape. */
export function sourceOf(search: Search, value: string): string {
  let source = value;
  for (let step = 0; step < maxSteps; ++step) {
    const node = search.graph.producer(source);
    if (node === undefined || !(isTransparent(search, node) || isReshape(node))) break;
    source = node.input[0] ?? '';
  }
  return source;
}
