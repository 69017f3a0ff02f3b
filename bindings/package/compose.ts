import { checkArray, checkString, fail, readOptions } from './checks';
import { ArgumentError } from './errors';
import type { ComputationNode } from './graph';
import { DiffusionCrossAttention } from './layer';
import { exportLayerGraph } from './layer_graph';

/** Several layers as one graph. */
export interface ComposedGraph {
  /** One input for each layer (input.0, input.1, …), then the shared context, then the masks. */
  readonly inputs: readonly ComputationNode[];
  readonly context: ComputationNode;
  /** One mask for each layer (mask.0, mask.1, …), one for all (mask), or none: see the option `mask`. */
  readonly masks: readonly ComputationNode[];
  /** One output for each layer, in their order. */
  readonly outputs: readonly ComputationNode[];
}

export interface ComposeOptions {
  /** Prefixes of the layers' nodes. Default 'layer.0', 'layer.1', …. */
  names?: readonly string[];
  /**
   * true: each layer has a mask input of its own, as with `mask: true` of exportComputationGraph. 'shared':
   * all layers have one, a key mask [batch, contextLength] or an additive mask [batch, 1, 1, contextLength],
   * whose batch may be 1. Default false.
   */
  mask?: boolean | 'shared';
}

/**
 * Combines the graphs of several layers, such as the 16 of Stable Diffusion's U-Net, into one with a shared
 * context, to be compiled once for each prompt. Each layer has its own number of tokens ('tokens.0',
 * 'tokens.1', …). Throws ShapeError if contextDim differs between layers, ArgumentError if dtype does.
 *
 * @example
 * const { inputs, context, outputs } = composeGraph(layers);
 * const constants = new Map([[context, text]]);
 * const compiled = await compile(outputs, inputs, { inputShapes, constants });
 * const first = compiled.runOutput(0, image);
 */
export function composeGraph(
  layers: readonly DiffusionCrossAttention[],
  options?: ComposeOptions,
): ComposedGraph {
  const { mask, ...rest } = readOptions('options', options, ['names', 'mask']);
  const names = checkNames(rest.names);
  const isMaskShared = mask === 'shared';
  const hasMask = isMaskShared || (mask !== undefined && checkMask(mask));
  const given = checkArray('layers', layers, 'an array of layers');
  if (given.length === 0) fail('layers', layers, 'an array of layers');
  if (names !== null && names.length !== given.length) fail('names', names, `${given.length} strings`);
  const checked = given.map((layer, index) => DiffusionCrossAttention.stateOf(`layers[${index}]`, layer));
  const inputs: ComputationNode[] = [];
  const outputs: ComputationNode[] = [];
  const masks: ComputationNode[] = [];
  let context: ComputationNode | null = null;
  for (const [index, layer] of checked.entries()) {
    if (layer.dtype !== checked[0]!.dtype) {
      throw new ArgumentError(
        `layers[${index}] has dtype ${layer.dtype}; expected the first layer's, ${checked[0]!.dtype}`,
      );
    }
    const sharedMask: ComputationNode | null = (isMaskShared && masks[0]) || null;
    const ownMask = isMaskShared ? 'mask' : `mask.${index}`;
    const graph = exportLayerGraph(layer, names?.[index] ?? `layer.${index}`, {
      input: `input.${index}`,
      tokens: `tokens.${index}`,
      mask: hasMask ? ownMask : '',
      isKeyMask: isMaskShared,
      context,
      sharedMask,
    });
    inputs.push(graph.input);
    context ??= graph.context;
    if (graph.mask !== null && sharedMask === null) masks.push(graph.mask);
    outputs.push(graph.output);
  }
  return { inputs: [...inputs, context!, ...masks], context: context!, masks, outputs };
}

function checkMask(mask: unknown): boolean {
  if (typeof mask !== 'boolean') fail('options.mask', mask, "true, false or 'shared'");
  return mask;
}

function checkNames(names: unknown): string[] | null {
  if (names === undefined) return null;
  const strings = checkArray('names', names, 'an array of strings');
  return strings.map((name, index) => checkString(`names[${index}]`, name));
}
