// Export of a layer as a computation graph, and the layer that an output node belongs to.
import type { AcceleratedLayer } from './accelerator';
import { fail, read } from './checks';
import { checkGraphOptions, type ComputationNode, type GraphOptions, wrapNodes } from './graph';
import type { LayerState } from './layer_state';
import { getCore } from './runtime';

/** The graph of one layer. Inputs: input, context unless it is shared, mask if requested. */
export interface LayerGraph {
  inputs: ComputationNode[];
  output: ComputationNode;
}

/**
 * Names of a layer's inputs in a graph of several layers. `context`: the node that all of them share, or
 * null.
 */
export interface LayerGraphNames {
  input: string;
  tokens: string;
  context: ComputationNode | null;
}

/** The nodes between which an accelerator computes a whole layer. */
export interface LayerNodes {
  readonly layer: AcceleratedLayer;
  readonly input: ComputationNode;
  readonly context: ComputationNode;
  readonly mask: ComputationNode | null;
}

const layerNodes = new WeakMap<ComputationNode, LayerNodes>();

/** Returns the layer that a node is the output of; null for any other node. */
export const layerNodesOf = (output: ComputationNode): LayerNodes | null => layerNodes.get(output) ?? null;

export function exportLayerGraph(
  { core, dtype, accelerated }: LayerState,
  options: Required<GraphOptions>,
  { input, tokens, context }: LayerGraphNames,
): LayerGraph {
  const { exportGraphFloat32, exportGraphFloat64 } = getCore();
  const exportGraph = dtype === 'float32' ? exportGraphFloat32 : exportGraphFloat64;
  const shared = context?.origin;
  const handle = exportGraph(
    core,
    options.name,
    options.mask,
    input,
    tokens,
    shared?.nodes ?? null,
    shared?.index ?? 0,
  );
  const nodes = wrapNodes(handle, context);
  const inputNames = [input, ...(context === null ? ['context'] : []), ...(options.mask ? ['mask'] : [])];
  const inputs = inputNames.map((name) => nodes.find((node) => node.op === 'Input' && node.name === name)!);
  const output = nodes.at(-1)!;
  layerNodes.set(output, {
    layer: accelerated,
    input: inputs[0]!,
    context: context ?? inputs[1]!,
    mask: options.mask ? inputs.at(-1)! : null,
  });
  return { inputs, output };
}

/** See DiffusionCrossAttention.exportComputationGraph. */
export function exportComputationGraph(
  state: LayerState,
  inputNodes: ComputationNode[],
  options: GraphOptions | undefined,
): ComputationNode {
  const checked = checkGraphOptions(options);
  const names = { input: 'input', tokens: 'tokens', context: null };
  const isArray = read('inputNodes', () => Array.isArray(inputNodes));
  if (!isArray) fail('inputNodes', inputNodes, 'an array to which nodes are appended');
  const { inputs, output } = exportLayerGraph(state, checked, names);
  read('inputNodes', () => Array.prototype.push.apply(inputNodes, inputs));
  return output;
}
