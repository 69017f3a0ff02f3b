// Export of a layer as a computation graph, and the layer that an output node belongs to.
import type { AcceleratedLayer } from './accelerator';
import { fail, read } from './checks';
import { checkGraphOptions, type ComputationNode, type GraphOptions, wrapNodes } from './graph';
import type { LayerState } from './layer_state';
import { getCore } from './runtime';

/** The graph of one layer. `mask`: null unless requested. */
export interface LayerGraph {
  input: ComputationNode;
  context: ComputationNode;
  mask: ComputationNode | null;
  output: ComputationNode;
}

/** A layer's inputs in a graph of several layers. */
export interface LayerGraphInputs {
  /** Names of the input and of its dimension of tokens. */
  input: string;
  tokens: string;
  /** The name of the mask's input; '' for no mask. */
  mask: string;
  /** The mask is [batch, 1, 1, contextLength], for layers of any size. */
  isKeyMask: boolean;
  /** Nodes of another layer's graph that take the place of this one's; null for none. */
  context: ComputationNode | null;
  sharedMask: ComputationNode | null;
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
  name: string,
  given: LayerGraphInputs,
): LayerGraph {
  const { input, tokens, mask, isKeyMask, context, sharedMask } = given;
  const { exportGraphFloat32, exportGraphFloat64 } = getCore();
  const exportGraph = dtype === 'float32' ? exportGraphFloat32 : exportGraphFloat64;
  const shared = context?.origin;
  const handle = exportGraph(
    core,
    name,
    mask,
    isKeyMask,
    input,
    tokens,
    shared?.nodes ?? null,
    shared?.index ?? 0,
    sharedMask?.origin.index ?? -1,
  );
  const nodes = wrapNodes(
    handle,
    [context, sharedMask].filter((node) => node !== null),
  );
  const find = (wanted: string) => nodes.find(({ op, name: found }) => op === 'Input' && found === wanted)!;
  const graph: LayerGraph = {
    input: find(input),
    context: find('context'),
    mask: mask === '' ? null : find(mask),
    output: nodes.at(-1)!,
  };
  layerNodes.set(graph.output, { layer: accelerated, ...graph });
  return graph;
}

/** See DiffusionCrossAttention.exportComputationGraph. */
export function exportComputationGraph(
  state: LayerState,
  inputNodes: ComputationNode[],
  options: GraphOptions | undefined,
): ComputationNode {
  const { name, mask: hasMask } = checkGraphOptions(options);
  const isArray = read('inputNodes', () => Array.isArray(inputNodes));
  if (!isArray) fail('inputNodes', inputNodes, 'an array to which nodes are appended');
  const { input, context, mask, output } = exportLayerGraph(state, name, {
    input: 'input',
    tokens: 'tokens',
    mask: hasMask ? 'mask' : '',
    isKeyMask: false,
    context: null,
    sharedMask: null,
  });
  const inputs = mask === null ? [input, context] : [input, context, mask];
  read('inputNodes', () => Array.prototype.push.apply(inputNodes, inputs));
  return output;
}
