// The scores of an attention: every operator between the product of queries and keys and the softmax, as a
// scale and as masks.
import { show } from '../checks';
import { headPosition, reshapeAxes, transposeAxes } from './axes';
import type { Axes, Axis, Kind } from './axes';
import type { ConstantArray } from './constant_arrays';
import { isArithmetic, isReshape, isTransparent, isTranspose } from './linear';
import { additiveMask, combined, maskInputs, maxExcluding, placed, single } from './masks';
import { asProduct, isProduct } from './matrix_products';
import type { Product } from './matrix_products';
import type { NodeProto } from './model';
import { attributeOf, describeNode, integerAttribute, isStandard, maxSteps, refuse } from './model_graph';
import type { Operands } from './operands';
import type { AttentionSearch } from './search';
import { zeroedInput } from './zeroed_rows';

/** A value that is added to the scores, and the factor by which the sum is scaled afterwards. */
export interface Term {
  readonly value: string;
  readonly scale: number;
}

/** softmax(scale · q·kᵀ + mask + terms that depend on inputs of the model). */
export interface Scores {
  readonly scale: number;
  /** Sum of all constants, [batch, heads, tokens, keys] with sizes of 1 where it broadcasts. */
  readonly mask: ConstantArray | null;
  /** Everything that the model adds to the scores, in its order. */
  readonly terms: readonly Term[];
  /** Inputs of the model from which it computes further masks. */
  readonly maskInputs: readonly string[];
}

/** A node between the product and the softmax, and the index of its input that has the scores. */
interface PathStep {
  readonly node: NodeProto;
  readonly index: number;
}

export interface ScorePath {
  readonly product: Product;
  readonly steps: readonly PathStep[];
}

/** Searches back from the softmax to the only product that its input depends on. */
export function findScores(search: AttentionSearch, softmax: NodeProto): ScorePath {
  const { graph, constants, scores } = search;
  const steps: PathStep[] = [];
  let value = softmax.input[0] ?? '';
  while (steps.length < maxSteps) {
    const node = graph.producer(value)!;
    if (isProduct(constants, node)) return { product: asProduct(node), steps: steps.reverse() };
    const from = node.input.flatMap((input, index) => (scores.has(input) ? [index] : []));
    if (from.length !== 1) {
      refuse(
        node,
        `combines ${from.length} products before the softmax; expected one, that of queries and keys`,
      );
    }
    const index = from[0]!;
    steps.push({ node, index });
    value = node.input[index]!;
  }
  return refuse(softmax, `has more than ${maxSteps} nodes between it and a product`);
}

// ---------------------------------------------------------------------------------------------- axes

/** Returns the axes of the product of queries and keys. */
export function scoreAxes({ query, key }: Operands, { summedAxis }: Product): Axes {
  const tag = (axis: Axis | undefined, kind: Kind): Axis => (axis ?? []).map((piece) => ({ ...piece, kind }));
  const outer = query.axes
    .slice(0, -2)
    .map((axis) => axis.map((piece) => ({ ...piece, kind: piece.stride > 0 ? 'heads' : 'batch' }) as const));
  return [...outer, tag(query.axes.at(-2), 'tokens'), tag(key.axes.at(summedAxis === -1 ? -2 : -1), 'keys')];
}

const isAll = (axis: Axis | undefined, expected: Kind): boolean =>
  axis?.every(({ kind }) => kind === expected) ?? false;

/** Returns the axes after a node that moves the scores; null if they are unknown or the node does more. */
function movedAxes(search: AttentionSearch, node: NodeProto, axes: Axes): Axes | null {
  if (isTransparent(search, node)) return axes;
  if (isTranspose(node)) {
    const perm = attributeOf(node, 'perm')?.ints ?? axes.map((_, axis) => axes.length - 1 - axis);
    return transposeAxes(axes, perm);
  }
  const sizes = isReshape(node) ? search.inferred.get(node.output[0] ?? '')?.sizes : null;
  return sizes ? reshapeAxes(axes, sizes) : null;
}

/** Throws WeightsError unless the softmax is one over the keys. */
export function checkSoftmax(search: AttentionSearch, softmax: NodeProto, axes: Axes): void {
  const { operatorSet } = search.graph;
  const isFlat = operatorSet < 13;
  const axis = integerAttribute(softmax, 'axis', isFlat ? 1 : -1);
  const first = axis < 0 ? axis + axes.length : axis;
  const isOverKeys =
    isAll(axes.at(-1), 'keys') && !axes.slice(0, -1).some((one) => one.some(({ kind }) => kind === 'keys'));
  // Before operator set 13, all axes from this one on are one.
  const isLast =
    first === axes.length - 1 ||
    (isFlat && first >= 0 && axes.slice(first, -1).every((pieces) => pieces.length === 0));
  if (isLast && isOverKeys) return;
  const flat = isFlat ? ` and operator set ${operatorSet}, which joins all axes from there on` : '';
  refuse(softmax, `has axis ${axis}${flat}; expected the last axis, that of the keys`);
}

// --------------------------------------------------------------------------------------- scale and masks

/** Applies the nodes of a path to q·kᵀ. Each node is represented by the result, or refused. */
export class ScoreReader {
  axes: Axes;
  #scale: number;
  /** 0 where scores are replaced by `#added`; null if nowhere. */
  #keep: ConstantArray | null = null;
  #added: ConstantArray | null = null;
  #terms: Term[] = [];
  readonly #inputs = new Set<string>();

  /**
   * `attention`: the softmax, or the operator that computes a whole attention. `tokens`: values on which a
   * mask must not depend.
   */
  constructor(
    private readonly search: AttentionSearch,
    private readonly attention: NodeProto,
    axes: Axes,
    scale: number,
    private readonly tokens: readonly string[],
  ) {
    this.axes = axes;
    this.#scale = scale;
  }

  apply({ node, index }: PathStep): void {
    const moved = movedAxes(this.search, node, this.axes);
    if (moved !== null) {
      if (index !== 0) refuse(node, 'has the scores as its shape');
      this.axes = moved;
      return;
    }
    const other = node.input[1 - index] ?? '';
    if (isArithmetic(node, 'Mul')) this.#multiply(node, other);
    else if (isArithmetic(node, 'Div') && index === 0) this.#scaleBy(node, 1 / this.#uniform(node, other));
    else if (isArithmetic(node, 'Add')) this.addTerm(node, other, 1);
    else if (isArithmetic(node, 'Sub')) {
      if (index === 1) this.#scaleBy(node, -1);
      this.addTerm(node, other, index === 0 ? -1 : 1);
    } else if (isStandard(node) && node.opType === 'Neg') this.#scaleBy(node, -1);
    else if (isStandard(node) && node.opType === 'Where' && index > 0) this.#choose(node, index);
    else refuse(node, 'changes the scores; expected a constant scale, or a mask');
  }

  /** Adds factor · value to the scores. */
  addTerm(node: NodeProto, value: string, factor: number): void {
    this.#terms.push({ value, scale: factor });
    this.#add(node, value, factor, 0);
  }

  /** Adds a mask in which true, or 1, is a key that is attended to. */
  addChoice(node: NodeProto, condition: string): void {
    this.#terms.push({ value: condition, scale: NaN });
    this.#replace(node, condition, false, single(-Infinity));
  }

  addMask(node: NodeProto, mask: ConstantArray): void {
    this.#sum(node, mask);
  }

  finish(): Scores {
    const node = this.attention;
    if (!Number.isFinite(this.#scale))
      refuse(node, 'has scores of unknown scale; expected a constant number');
    const mask = additiveMask(node, this.#keep, this.#added);
    return { scale: this.#scale, mask, terms: this.#terms, maskInputs: [...this.#inputs] };
  }

  #uniform(node: NodeProto, value: string): number {
    const { constants } = this.search;
    const found = constants.uniform(value);
    if (found === null || !Number.isFinite(found)) {
      const by = `${describeNode(node)} scales them by ${show(value)}`;
      refuse(this.attention, `has scores of unknown scale: ${by}; expected a constant number`);
    }
    return found;
  }

  #scaleBy(node: NodeProto, factor: number): void {
    this.#scale *= factor;
    this.#terms = this.#terms.map(({ value, scale }) => ({ value, scale: scale * factor }));
    if (this.#added !== null && factor !== 1) {
      this.#added = combined(node, [this.#added], (value) => value * factor);
    }
    const isMasked = this.#inputs.size > 0 && factor !== 1;
    if (isMasked)
      refuse(node, 'scales the scores after a mask of the call was added; expected the scale before');
  }

  #multiply(node: NodeProto, value: string): void {
    const { constants } = this.search;
    if (!constants.has(value) || constants.uniform(value) !== null) {
      return this.#scaleBy(node, this.#uniform(node, value));
    }
    // Where the factor is zero, a key is excluded by what is added later.
    const factors = placed(node, constants.read(value), this.axes);
    const scale = (factors.elements as Float64Array).find((factor) => factor !== 0)!;
    const isChoice = (factors.elements as Float64Array).every((factor) => factor === 0 || factor === scale);
    if (!isChoice) refuse(node, 'multiplies the scores by different numbers; expected one scale');
    this.#keep = combined(node, [this.#keep ?? single(1), factors], (kept, factor) =>
      factor === 0 ? 0 : kept,
    );
    if (this.#added !== null) {
      this.#added = combined(node, [this.#added, factors], (added, factor) => (factor === 0 ? 0 : added));
    }
    this.#scaleBy(node, scale);
  }

  #add(node: NodeProto, value: string, factor: number, depth: number): void {
    const { constants, graph } = this.search;
    const uniform = constants.uniform(value);
    // Softmax does not change if one number is added to all scores.
    if (uniform !== null && Number.isFinite(uniform) && this.#keep === null) return;
    if (uniform !== null || constants.has(value)) {
      const array = uniform === null ? placed(node, constants.read(value), this.axes) : single(uniform);
      return this.#sum(node, factor === 1 ? array : combined(node, [array], (element) => element * factor));
    }
    const from = graph.producer(value);
    if (from !== undefined && depth < maxSteps) {
      const [first = '', second = ''] = from.input;
      if (isArithmetic(from, 'Add', 'Sub')) {
        this.#add(node, first, factor, depth + 1);
        return this.#add(node, second, from.opType === 'Add' ? factor : -factor, depth + 1);
      }
      if (isTransparent(this.search, from)) return this.#add(node, first, factor, depth + 1);
    }
    for (const input of maskInputs(this.search, node, value, this.tokens)) this.#inputs.add(input);
    if (factor !== 1) refuse(node, 'subtracts a mask of the call; expected one that is added');
  }

  #sum(node: NodeProto, array: ConstantArray): void {
    this.#added =
      this.#added === null ? array : combined(node, [this.#added, array], (left, right) => left + right);
  }

  /** Where(condition, scores, other) or Where(condition, other, scores). */
  #choose(node: NodeProto, index: number): void {
    const { constants } = this.search;
    const [condition = '', yes = '', no = ''] = node.input;
    const other = index === 1 ? no : yes;
    const uniform = constants.uniform(other);
    if (uniform === null && !constants.has(other)) {
      refuse(node, `replaces scores by ${show(other)}, which is not constant; expected a number`);
    }
    const fill = uniform === null ? placed(node, constants.read(other), this.axes) : single(uniform);
    this.#terms.push({ value: condition, scale: NaN });
    this.#replace(node, condition, index === 2, fill);
  }

  /** Replaces scores by `fill` where the condition is `replaced`. */
  #replace(node: NodeProto, condition: string, replaced: boolean, fill: ConstantArray): void {
    const { constants } = this.search;
    const uniform = constants.uniform(condition);
    if (uniform === null && !constants.has(condition)) {
      const score = fill.elements.length === 1 ? fill.elements[0]! : NaN;
      if (!(score <= maxExcluding)) {
        refuse(node, `replaces scores by ${score}; expected at most ${maxExcluding}, which excludes a key`);
      }
      for (const input of maskInputs(this.search, node, condition, this.tokens)) this.#inputs.add(input);
      return;
    }
    const chosen = uniform === null ? placed(node, constants.read(condition), this.axes) : single(uniform);
    const isReplaced = (value: number) => (value !== 0) === replaced;
    const added = this.#added ?? single(0);
    this.#added = combined(node, [chosen, added, fill], (value, old, replacement) =>
      isReplaced(value) ? replacement : old,
    );
    this.#keep = combined(node, [chosen, this.#keep ?? single(1)], (value, kept) =>
      isReplaced(value) ? 0 : kept,
    );
  }
}

// ----------------------------------------------------------------------------------- after the softmax

/**
 * Searches back from the product of probabilities and values to the softmax. Returns the axes of the
 * probabilities in the product. A node that changes probabilities is refused, other than one that replaces
 * NaN in rows without keys by 0.
 */
export function probabilityAxes(
  search: AttentionSearch,
  softmax: NodeProto,
  product: NodeProto,
  axes: Axes,
): Axes {
  const { graph } = search;
  const steps: NodeProto[] = [];
  let value = product.input[0] ?? '';
  for (let step = 0; step < maxSteps && value !== softmax.output[0]; ++step) {
    const node = graph.producer(value);
    if (node === undefined || isProduct(search.constants, node)) {
      refuse(product, 'is not the product of probabilities and values');
    }
    const guarded = zeroedInput(search, node, [softmax.input[0] ?? '']);
    const isMover = isTransparent(search, node) || isReshape(node) || isTranspose(node);
    if (guarded === null && !isMover) {
      refuse(node, 'changes the probabilities; expected their product with the values');
    }
    if (guarded === null) steps.unshift(node);
    value = guarded ?? node.input[0] ?? '';
  }
  if (value !== softmax.output[0]) refuse(product, 'is not the product of probabilities and values');
  let moved = axes;
  for (const node of steps) {
    moved = movedAxes(search, node, moved) ?? refuse(node, 'moves the probabilities by unknown sizes');
  }
  if (!isAll(moved.at(-1), 'keys') || !isAll(moved.at(-2), 'tokens')) {
    refuse(product, 'is not the product of probabilities and values');
  }
  return moved;
}

/** Returns where the heads are in axes of scores, for comparison with those of values. */
export const positionOfHeads = (axes: Axes): string | null =>
  headPosition(axes.slice(0, -2), ({ kind }) => kind === 'heads');
