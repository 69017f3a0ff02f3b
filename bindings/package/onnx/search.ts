// What is known of a graph before its attentions are read, and which values lie between two products.
import { Constants } from './constants';
import type { Search } from './linear';
import { isProduct } from './matrix_products';
import type { GraphProto, NodeProto, OperatorSetIdProto } from './model';
import { ModelGraph } from './model_graph';
import { inferValues } from './shape_inference';

/** What is known of a graph whose attentions are searched. */
export interface AttentionSearch extends Search {
  /** Values that depend on a product of two values, with no layer between. */
  readonly scores: ReadonlySet<string>;
  /** Values on which a product of two values depends, with no layer between. */
  readonly factors: ReadonlySet<string>;
}

/** True for nodes where the search for scores ends: layers, and operators that return sizes. */
const isLayer = ({ opType }: NodeProto): boolean =>
  /Softmax|Attention|Normalization|Conv|MatMul|Gemm|Einsum|^Shape$|^Size$/.test(opType);

export function makeSearch(model: GraphProto, operatorSets: readonly OperatorSetIdProto[]): AttentionSearch {
  const graph = new ModelGraph(model, operatorSets);
  const unreadable: string[] = [];
  const inferred = inferValues(graph, model.valueInfo, unreadable);
  const constants = new Constants(graph, inferred);
  const scores = new Set<string>();
  const factors = new Set<string>();
  const products = new Set(graph.nodes.filter((node) => isProduct(constants, node)));
  for (const node of graph.nodes) {
    const depends = node.input.some((value) => value !== '' && scores.has(value));
    const isScore = products.has(node) || (!isLayer(node) && depends);
    if (isScore) node.output.forEach((value) => scores.add(value));
  }
  for (const node of [...graph.nodes].reverse()) {
    const isUsed = node.output.some((value) => value !== '' && factors.has(value));
    const isFactor = products.has(node) || (!isLayer(node) && isUsed);
    if (isFactor) node.input.forEach((value) => factors.add(value));
  }
  // The name of omitted inputs and outputs.
  scores.delete('');
  factors.delete('');
  return { graph, inferred, unreadable, constants, scores, factors };
}

/** Returns the products that depend on a value, with no layer between. */
export function productsOf({ graph, constants, factors }: AttentionSearch, start: string): NodeProto[] {
  const found = new Set<NodeProto>();
  const seen = new Set([start]);
  // The set grows during the iteration.
  for (const value of seen) {
    if (seen.size > maxVisited) break;
    for (const node of graph.consumers(value)) {
      if (isProduct(constants, node)) found.add(node);
      else if (!isLayer(node)) {
        for (const output of node.output) if (factors.has(output)) seen.add(output);
      }
    }
  }
  return [...found];
}

const maxVisited = 256;
