// The linear layers around an attention: searches back from its operands to their projections, and forward
// from its result to the output projection, and traces the channels on these paths.
import { show } from '../checks';
import { symbol, valueOf } from './symbolic_size';
import { hasAllChannels, projectedAxes, reshapeAxes, transposeAxes } from './axes';
import type { Axes } from './axes';
import type { InferredValue } from './inferred_value';
import { addedConstant, asLinear, findConstant, isPerChannel } from './linear';
import { isReshape, isTransparent, isTranspose, isZero } from './linear';
import type { Linear } from './linear';
import type { NodeProto, TensorProto } from './model';
import { attributeOf, isStandard, maxSteps, refuse } from './model_graph';
import type { ModelGraph } from './model_graph';

export interface Search {
  readonly graph: ModelGraph;
  readonly inferred: ReadonlyMap<string, InferredValue>;
}

type Role = 'query' | 'key' | 'value';

/** An operand of attention: the result of a projection, reshaped and scaled. */
export interface Operand {
  readonly linear: Linear;
  readonly axes: Axes;
  readonly scale: number;
}
export type Operands = Readonly<Record<Role, Operand>>;

export interface Projections extends Readonly<Record<Role, Linear>> {
  /** True if keys and values are projected from the same tokens as the queries. */
  readonly isSelf: boolean;
}
export interface OutputProjection {
  readonly output: Linear;
  readonly bias: TensorProto | null;
}

/** Returns the only element of a value of any shape; NaN if it is unknown. */
export function scalarOf({ inferred }: Search, value: string): number {
  const elements = inferred.get(value)?.elements;
  const element = elements?.length === 1 ? elements[0] : null;
  return (element && valueOf(element)) ?? NaN;
}

const outputOnly = 'expected a bias of the output projection only';

/** Throws WeightsError unless `value`, which the node adds to an operand, is a constant of zeros. */
export function requireZeroBias({ graph }: Search, node: NodeProto, value: string, operand: string): void {
  const constant = findConstant(graph, value);
  if (constant === null) refuse(node, `adds a value that is not constant to ${operand}; ${outputOnly}`);
  if (!isZero(constant.tensor)) refuse(node, `has a bias of ${operand} that is not zero; ${outputOnly}`);
}

/** Searches back from an operand of attention to its projection. */
export function traceBack(search: Search, attention: NodeProto, role: Role, start: string): Operand {
  const { graph } = search;
  const passed: NodeProto[] = [];
  let scale = 1;
  let value = start;
  for (let step = 0; step < maxSteps; ++step) {
    const node = graph.producer(value);
    if (node === undefined) break;
    const linear = asLinear(graph, node);
    if (linear !== null) {
      if (linear.bias !== null && !isZero(linear.bias)) {
        refuse(node, `has a bias of the ${role} that is not zero; ${outputOnly}`);
      }
      return { linear, axes: replay(search, attention, role, linear, passed), scale };
    }
    const [first = '', second = ''] = node.input;
    if (isStandard(node) && (node.opType === 'Mul' || node.opType === 'Div')) {
      const isFactorFirst = node.opType === 'Mul' && !Number.isNaN(scalarOf(search, first));
      const factor = scalarOf(search, isFactorFirst ? first : second);
      if (Number.isNaN(factor)) refuse(node, `scales the ${role} by an unknown value; expected a constant`);
      scale = node.opType === 'Mul' ? scale * factor : scale / factor;
      value = isFactorFirst ? second : first;
    } else if (isStandard(node) && node.opType === 'Add') {
      const isBiasFirst = findConstant(graph, first) !== null;
      requireZeroBias(search, node, isBiasFirst ? first : second, `the ${role}`);
      value = isBiasFirst ? second : first;
    } else if (isTranspose(node) || isReshape(node) || isTransparent(node)) {
      passed.unshift(node);
      value = first;
    } else refuse(node, `computes the ${role}; expected a linear projection, split into heads`);
  }
  return refuse(attention, `has the ${role} ${show(value)}; expected the result of a linear projection`);
}

/** Returns the axes of a projection's result after these nodes. */
function replay(
  { inferred }: Search,
  attention: NodeProto,
  role: Role,
  linear: Linear,
  nodes: readonly NodeProto[],
): Axes {
  const sizes = inferred.get(linear.output)?.sizes ?? null;
  // If the shape is unknown, three axes are most likely.
  const outer = sizes === null ? [symbol('batch?'), symbol('rows?')] : sizes.slice(0, -1);
  let axes: Axes = projectedAxes(outer, linear.outFeatures);
  for (const node of nodes) {
    axes = passAxes(inferred, node, axes) ?? refuse(node, `splits the ${role} into heads by unknown sizes`);
  }
  if (axes.length < 2) refuse(attention, `has a ${role} of ${axes.length} axes; expected at least 2`);
  return axes;
}

/** Returns the axes after a node; null if they are unknown or the node does more than move elements. */
function passAxes(inferred: Search['inferred'], node: NodeProto, axes: Axes): Axes | null {
  if (isTransparent(node)) return axes;
  if (isTranspose(node)) {
    const perm = attributeOf(node, 'perm')?.ints ?? axes.map((_, axis) => axes.length - 1 - axis);
    return transposeAxes(axes, perm);
  }
  const sizes = isReshape(node) ? inferred.get(node.output[0] ?? '')?.sizes : null;
  return sizes ? reshapeAxes(axes, sizes) : null;
}

/** Returns the value from which another differs only in type and shape. */
function sourceOf({ graph }: Search, value: string): string {
  let source = value;
  for (let step = 0; step < maxSteps; ++step) {
    const node = graph.producer(source);
    if (node === undefined || !(isTransparent(node) || isReshape(node))) break;
    source = node.input[0] ?? '';
  }
  return source;
}

/** Returns the three projections. Throws WeightsError if their shapes are not those of a layer. */
export function matchProjections(search: Search, node: NodeProto, operands: Operands): Projections {
  const query = operands.query.linear;
  const key = operands.key.linear;
  const value = operands.value.linear;
  requireShape(node, 'query', query, query.inFeatures, query.inFeatures);
  requireShape(node, 'key', key, key.inFeatures, query.inFeatures);
  requireShape(node, 'value', value, key.inFeatures, query.inFeatures);
  const source = sourceOf(search, key.input);
  if (source !== sourceOf(search, value.input)) {
    refuse(node, 'has keys and values of different contexts; expected one context');
  }
  return { query, key, value, isSelf: source === sourceOf(search, query.input) };
}

function requireShape(node: NodeProto, role: string, linear: Linear, from: number, to: number): void {
  const { inFeatures, outFeatures } = linear;
  if (inFeatures === from && outFeatures === to) return;
  refuse(
    node,
    `has a projection of the ${role} from ${inFeatures} to ${outFeatures} channels; ` +
      `expected one from ${from} to ${to}`,
  );
}

/**
 * Searches forward from the attention's result, […, rows, channels of one head] or […, rows, channels], to
 * the output projection.
 */
export function traceForward(
  search: Search,
  attention: NodeProto,
  start: string,
  { query, value: values }: Operands,
): OutputProjection {
  const { graph, inferred } = search;
  const channels = values.linear.outFeatures;
  let axes: Axes = [...query.axes.slice(0, -1), values.axes.at(-1)!];
  let value = start;
  for (let step = 0; step < maxSteps; ++step) {
    const next = graph.consumers(value).flatMap((node) => {
      if (node.input[0] !== value) return [];
      const linear = asLinear(graph, node);
      const passed = passAxes(inferred, node, axes);
      return linear !== null || passed !== null ? [{ node, linear, passed }] : [];
    });
    if (next.length !== 1) {
      refuse(attention, `has a result that ${next.length} nodes use; expected one output projection`);
    }
    const [{ node, linear, passed }] = next as [(typeof next)[0]];
    if (linear !== null) {
      if (!hasAllChannels(axes.at(-1), channels)) {
        refuse(node, "projects the heads' channels in another order; expected that of the layer");
      }
      requireShape(node, 'output', linear, channels, channels);
      return { output: linear, bias: linear.bias ?? findBias(graph, linear) };
    }
    axes = passed!;
    value = node.output[0] ?? '';
  }
  return refuse(attention, 'has no output projection');
}

/** Returns the bias that is added right after a projection; null if there is none. */
function findBias(graph: ModelGraph, { output, outFeatures }: Linear): TensorProto | null {
  let value = output;
  for (let step = 0; step < maxSteps; ++step) {
    const consumers = graph.consumers(value);
    for (const node of consumers) {
      const added = addedConstant(graph, node, value);
      if (added !== null && isPerChannel(added, outFeatures)) return added;
    }
    const onward = consumers.find(isTransparent);
    if (onward === undefined) return null;
    value = onward.output[0] ?? '';
  }
  return null;
}
