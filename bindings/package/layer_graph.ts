// A layer's graph: how it is written, and which layer an output is of.
import type { AcceleratedLayer } from './accelerator';
import type { ComputationNode } from './graph';

/** The graph of one layer: its inputs (input, context unless shared, mask if wanted) and output. */
export interface LayerGraph {
  inputs: ComputationNode[];
  output: ComputationNode;
}

/** How composeGraph has several layers' graphs written. */
export interface LayerGraphNames {
  input: string;
  tokens: string;
  context: ComputationNode | null;
}

/** A layer's graph as an accelerator sees it: the whole layer, between these nodes. */
export interface LayerNodes {
  readonly layer: AcceleratedLayer;
  readonly input: ComputationNode;
  readonly context: ComputationNode;
  readonly mask: ComputationNode | null;
}

export const layerNodes = new WeakMap<ComputationNode, LayerNodes>();

/** The layer that a node is the output of; null for any other node. */
export const layerNodesOf = (output: ComputationNode): LayerNodes | null => layerNodes.get(output) ?? null;
