import { checkOptions, checkString, fail } from './checks';
import { ArgumentError } from './errors';
import type { ComputationNode } from './graph';
import { DiffusionCrossAttention, exportLayerGraph } from './layer';

/** Several layers as one graph. */
export interface ComposedGraph {
  /** An input for each layer (input.0, input.1, …), then the one context of all. */
  readonly inputs: readonly ComputationNode[];
  readonly context: ComputationNode;
  /** One for each layer, in their order. */
  readonly outputs: readonly ComputationNode[];
}

/**
 * The graphs of several layers, such as the 16 of Stable Diffusion's U-Net, as one with one shared context: to be
 * compiled once a prompt. Each layer has tokens of its own ('tokens.0', 'tokens.1', …). ShapeError where their contextDims
 * differ, ArgumentError where their dtypes do.
 */
export function composeGraph(
  layers: readonly DiffusionCrossAttention[],
  options?: { names?: readonly string[] },
): ComposedGraph {
  if (!Array.isArray(layers) || layers.length === 0) fail('layers', layers, 'an array of layers');
  const { names } = checkOptions('options', options);
  if (names !== undefined && (!Array.isArray(names) || names.length !== layers.length)) {
    fail('names', names, `an array of ${layers.length} strings, one for each layer`);
  }
  const inputs: ComputationNode[] = [];
  const outputs: ComputationNode[] = [];
  let context: ComputationNode | null = null;
  for (const [number, layer] of layers.entries()) {
    if (!(layer instanceof DiffusionCrossAttention)) {
      fail(`layers[${number}]`, layer, 'a DiffusionCrossAttention');
    }
    if (layer.dtype !== layers[0]!.dtype) {
      throw new ArgumentError(
        `layers[${number}] is of ${layer.dtype}; it takes the dtype of the first, ${layers[0]!.dtype}`,
      );
    }
    const name = names === undefined ? `layer.${number}` : checkString(`names[${number}]`, names[number]);
    const graph = exportLayerGraph(
      layer,
      { name, mask: false },
      { input: `input.${number}`, tokens: `tokens.${number}`, context },
    );
    inputs.push(graph.inputs[0]!);
    context ??= graph.inputs[1]!;
    outputs.push(graph.output);
  }
  return { inputs: [...inputs, context!], context: context!, outputs };
}
