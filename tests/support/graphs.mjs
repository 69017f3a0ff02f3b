// Graphs of layers and their compilation.
import { compile } from './package.mjs';

/** Returns the graph of a layer: {output, inputs}. */
export function graphOf(layer, options) {
  const inputs = [];
  return { inputs, output: layer.exportComputationGraph(inputs, options) };
}

/**
 * Compiles a layer for these tensors: input, context and an optional mask. `constant`: indices of constant
 * inputs. The other options are those of compile. Returns {compiled, runInputs}; runInputs are the tensors
 * that a run expects.
 */
export async function compileLayer(layer, tensors, { constant = [], ...options } = {}) {
  const { inputs, output } = graphOf(layer, { mask: tensors.length > 2 });
  const compiled = await compile(output, inputs, {
    inputShapes: tensors.map(({ shape }) => shape),
    constants: new Map(constant.map((index) => [inputs[index], tensors[index]])),
    ...options,
  });
  return { compiled, runInputs: tensors.filter((_, index) => !constant.includes(index)) };
}

/** Returns a node and all nodes that it depends on. */
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
