// The linear layers around an attention: back from what it takes to the projections that made it, and forward from its
// result to the output projection, with an eye on where the channels go meanwhile.
import { unknown, valueOf } from './amounts';
import { hasAllChannels, projectedAxes, reshapeAxes, transposeAxes } from './axes';
import type { Axes } from './axes';
import type { Facts } from './facts';
import { addedConstant, asLinear, findConstant, isPerChannel } from './linear';
import { isReshape, isTransparent, isTranspose, isZero } from './linear';
import type { Linear } from './linear';
import { showName } from './model';
import type { NodeProto, TensorProto } from './model';
import { attributeOf, isStandard, mostSteps, refuse } from './model_graph';
import type { ModelGraph } from './model_graph';

export interface Search {
  readonly graph: ModelGraph;
  readonly facts: ReadonlyMap<string, Facts>;
}

type Role = 'query' | 'key' | 'value';

/** What attention takes: a projection's result, and what it went through. */
export interface Operand {
  readonly linear: Linear;
  readonly axes: Axes;
  /** By what it is multiplied. */
  readonly scale: number;
}
export type Operands = Readonly<Record<Role, Operand>>;

export interface Projections extends Readonly<Record<Role, Linear>> {
  /** Whether keys and values are those of the queries' own tokens. */
  readonly isSelf: boolean;
}
export interface OutputProjection {
  readonly output: Linear;
  readonly bias: TensorProto | null;
}

/** The number that a value is, in whatever shape; NaN where it is not known to be one. */
export function scalarOf({ facts }: Search, value: string): number {
  const elements = facts.get(value)?.elements;
  const element = elements?.length === 1 ? elements[0] : null;
  return (element && valueOf(element)) ?? NaN;
}

const onlyAtOutput = 'the layer has a bias at its output only';

export function requireZeroBias({ graph }: Search, node: NodeProto, value: string, of: string): void {
  const constant = findConstant(graph, value);
  if (constant === null) refuse(node, `adds what the file does not hold to ${of}; ${onlyAtOutput}`);
  if (!isZero(constant.tensor)) refuse(node, `has a bias of ${of} that is not zero; ${onlyAtOutput}`);
}

/** Back from what attention takes to the projection that made it. */
export function traceBack(search: Search, attention: NodeProto, role: Role, start: string): Operand {
  const { graph } = search;
  const passed: NodeProto[] = [];
  let scale = 1;
  let value = start;
  for (let step = 0; step < mostSteps; ++step) {
    const node = graph.producer(value);
    if (node === undefined) break;
    const linear = asLinear(graph, node);
    if (linear !== null) {
      if (linear.bias !== null && !isZero(linear.bias)) {
        refuse(node, `has a bias of the ${role} that is not zero; ${onlyAtOutput}`);
      }
      return { linear, axes: replay(search, attention, role, linear, passed), scale };
    }
    const [first = '', second = ''] = node.input;
    if (isStandard(node) && (node.opType === 'Mul' || node.opType === 'Div')) {
      const isFactorFirst = node.opType === 'Mul' && !Number.isNaN(scalarOf(search, first));
      const factor = scalarOf(search, isFactorFirst ? first : second);
      if (Number.isNaN(factor)) refuse(node, `scales the ${role} by what the file does not tell as a number`);
      scale = node.opType === 'Mul' ? scale * factor : scale / factor;
      value = isFactorFirst ? second : first;
    } else if (isStandard(node) && node.opType === 'Add') {
      const isBiasFirst = findConstant(graph, first) !== null;
      requireZeroBias(search, node, isBiasFirst ? first : second, `the ${role}`);
      value = isBiasFirst ? second : first;
    } else if (isTranspose(node) || isReshape(node) || isTransparent(node)) {
      passed.unshift(node);
      value = first;
    } else refuse(node, `makes the ${role}; fromOnnx takes a linear projection, split into heads`);
  }
  return refuse(attention, `takes the ${role} from ${showName(value)}, which is no linear projection`);
}

/** The axes of a projection's result behind the nodes that it goes through. */
function replay(
  { facts }: Search,
  attention: NodeProto,
  role: Role,
  linear: Linear,
  nodes: readonly NodeProto[],
): Axes {
  const sizes = facts.get(linear.output)?.sizes ?? null;
  // Most likely three axes, where nobody tells.
  const outer = sizes === null ? [unknown('batch?'), unknown('rows?')] : sizes.slice(0, -1);
  let axes: Axes = projectedAxes(outer, linear.outFeatures);
  for (const node of nodes) {
    axes =
      passAxes(facts, node, axes) ??
      refuse(node, `splits the ${role} into heads by sizes that the file does not tell`);
  }
  if (axes.length < 2) refuse(attention, `takes a ${role} of ${axes.length} axes; it takes two or more`);
  return axes;
}

/** What becomes of the axes in a node; null where that cannot be told, or the node does more than move elements. */
function passAxes(facts: Search['facts'], node: NodeProto, axes: Axes): Axes | null {
  if (isTransparent(node)) return axes;
  if (isTranspose(node)) {
    const perm = attributeOf(node, 'perm')?.ints ?? axes.map((_, axis) => axes.length - 1 - axis);
    return transposeAxes(axes, perm);
  }
  const sizes = isReshape(node) ? facts.get(node.output[0] ?? '')?.sizes : null;
  return sizes ? reshapeAxes(axes, sizes) : null;
}

/** Where a value comes from, but for its type and shape. */
function sourceOf({ graph }: Search, value: string): string {
  let source = value;
  for (let step = 0; step < mostSteps; ++step) {
    const node = graph.producer(source);
    if (node === undefined || !(isTransparent(node) || isReshape(node))) break;
    source = node.input[0] ?? '';
  }
  return source;
}

/** The three projections; refuses those of shapes that the layer's do not have. */
export function matchProjections(search: Search, node: NodeProto, operands: Operands): Projections {
  const query = operands.query.linear;
  const key = operands.key.linear;
  const value = operands.value.linear;
  requireShape(node, 'query', query, query.inFeatures, query.inFeatures);
  requireShape(node, 'key', key, key.inFeatures, query.inFeatures);
  requireShape(node, 'value', value, key.inFeatures, query.inFeatures);
  const source = sourceOf(search, key.input);
  if (source !== sourceOf(search, value.input)) {
    refuse(node, 'has keys and values of different contexts; the layer takes one');
  }
  return { query, key, value, isSelf: source === sourceOf(search, query.input) };
}

function requireShape(node: NodeProto, role: string, linear: Linear, from: number, to: number): void {
  const { inFeatures, outFeatures } = linear;
  if (inFeatures === from && outFeatures === to) return;
  refuse(
    node,
    `has a projection of the ${role} from ${inFeatures} to ${outFeatures} channels; ` +
      `the layer takes one from ${from} to ${to}`,
  );
}

/** Forward from the attention's result, […, rows, channels of one head] or […, rows, channels], to the output projection. */
export function traceForward(
  search: Search,
  attention: NodeProto,
  start: string,
  { query, value: values }: Operands,
): OutputProjection {
  const { graph, facts } = search;
  const channels = values.linear.outFeatures;
  let axes: Axes = [...query.axes.slice(0, -1), values.axes.at(-1)!];
  let value = start;
  for (let step = 0; step < mostSteps; ++step) {
    const next = graph.consumers(value).flatMap((node) => {
      if (node.input[0] !== value) return [];
      const linear = asLinear(graph, node);
      const passed = passAxes(facts, node, axes);
      return linear !== null || passed !== null ? [{ node, linear, passed }] : [];
    });
    if (next.length !== 1) {
      refuse(attention, `has a result that ${next.length} nodes go on with; one output projection is taken`);
    }
    const [{ node, linear, passed }] = next as [(typeof next)[0]];
    if (linear !== null) {
      if (!hasAllChannels(axes.at(-1), channels)) {
        refuse(node, "projects the heads' channels in another order than the layer has them");
      }
      requireShape(node, 'output', linear, channels, channels);
      return { output: linear, bias: linear.bias ?? findBias(graph, linear) };
    }
    axes = passed!;
    value = node.output[0] ?? '';
  }
  return refuse(attention, 'has a result that no output projection takes');
}

/** What is added to a projection's result right after it, if it is a bias. */
function findBias(graph: ModelGraph, { output, outFeatures }: Linear): TensorProto | null {
  let value = output;
  for (let step = 0; step < mostSteps; ++step) {
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
