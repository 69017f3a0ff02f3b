import { checkArray, checkString, fail, readOptions } from './checks';
import { ArgumentError } from './errors';
import type { ComputationNode } from './graph';
import { DiffusionCrossAttention } from './layer';
import { exportLayerGraph } from './layer_graph';

/** Several layers as one graph. */
export interface ComposedGraph {
  /** One input for each layer (input.0, input.1, …), then the shared context. */
  readonly inputs: readonly ComputationNode[];
  readonly context: ComputationNode;
  /** One output for each layer, in their order. */
  readonly outputs: readonly ComputationNode[];
}

/**
 * Combines the graphs of several layers, such as the 16 of Stable Diffusion's U-Net, into one with a shared
 * context, to be compiled once for each prompt. Each layer has its own number of tokens ('tokens.0',
 * 'tokens.1', …). `names` are prefixes of the layers' nodes, default 'layer.0', 'layer.1', …. Throws
 * ShapeError if contextDim differs between layers, ArgumentError if dtype does.
 *
 * @example
 * const { inputs, context, outputs } = composeGraph(layers);
 * const constants = new Map([[context, text]]);
 * const compiled = await compile(outputs, inputs, { inputShapes, constants });
 * const first = compiled.runOutput(0, image);
 */
export function composeGraph(
  layers: readonly DiffusionCrossAttention[],
  options?: { names?: readonly string[] },
): ComposedGraph {
  const names = checkNames(readOptions('options', options, ['names']).names);
  const given = checkArray('layers', layers, 'an array of layers');
  if (given.length === 0) fail('layers', layers, 'an array of layers');
  if (names !== null && names.length !== given.length) fail('names', names, `${given.length} strings`);
  const checked = given.map((layer, index) => DiffusionCrossAttention.stateOf(`layers[${index}]`, layer));
  const inputs: ComputationNode[] = [];
  const outputs: ComputationNode[] = [];
  let context: ComputationNode | null = null;
  for (const [index, layer] of checked.entries()) {
    if (layer.dtype !== checked[0]!.dtype) {
      throw new ArgumentError(
        `layers[${index}] has dtype ${layer.dtype}; expected the first layer's, ${checked[0]!.dtype}`,
      );
    }
    const name = names?.[index] ?? `layer.${index}`;
    const graph = exportLayerGraph(
      layer,
      { name, mask: false },
      { input: `input.${index}`, tokens: `tokens.${index}`, context },
    );
    inputs.push(graph.inputs[0]!);
    context ??= graph.inputs[1]!;
    outputs.push(graph.output);
  }
  return { inputs: [...inputs, context!], context: context!, outputs };
}

function checkNames(names: unknown): string[] | null {
  if (names === undefined) return null;
  const strings = checkArray('names', names, 'an array of strings');
  return strings.map((name, index) => checkString(`names[${index}]`, name));
}
