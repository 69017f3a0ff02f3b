// Layers' graphs, compiled.
import { compile } from './package.mjs';

/** The graph of a layer: {output, inputs}. */
export function graphOf(layer, options) {
  const inputs = [];
  return { inputs, output: layer.exportComputationGraph(inputs, options) };
}

/**
 * A layer compiled for these tensors – input, context and, if any, mask –: {compiled, given}, the tensors that a run
 * takes. `constant`: numbers of those that stay the same; else options of compile.
 */
export async function compileLayer(layer, tensors, { constant = [], ...options } = {}) {
  const { inputs, output } = graphOf(layer, { mask: tensors.length > 2 });
  const compiled = await compile(output, inputs, {
    inputShapes: tensors.map(({ shape }) => shape),
    constants: new Map(constant.map((number) => [inputs[number], tensors[number]])),
    ...options,
  });
  return { compiled, given: tensors.filter((_, number) => !constant.includes(number)) };
}

/** All nodes that a node needs, and it itself. */
export function nodesOf(output) {
  const nodes = new Set();
  const open = [output];
  while (open.length > 0) {
    const node = open.pop();
    if (nodes.has(node)) continue;
    nodes.add(node);
    open.push(...node.inputs);
  }
  return [...nodes];
}
