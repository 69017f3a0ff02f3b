// What of a compiled graph runs on the graphics card.
import { accelerator, type AcceleratedGraph, type DeviceChoice } from './accelerator';
import type { ComputationNode } from './graph';
import { layerNodesOf } from './layer_graph';
import type { Tensor } from './tensor';

/** An input of a compiled graph. */
export interface CompiledInput {
  node: ComputationNode;
  shape: readonly number[];
  isConstant: boolean;
}

/** What of CompileOptions matters to the card. Runs with passes of the user's choice are the core's. */
export interface CardCompileOptions {
  device?: DeviceChoice;
  association?: 'auto' | 'plain' | 'folded';
  passes?: object;
}

/** An output as the graphics card can compute it: from which inputs, of which parameters. */
export interface OnCard {
  graph: AcceleratedGraph;
  /** Among the compiled graph's inputs; -1: none. */
  places: { input: number; context: number; mask: number };
  parametersVersion: number;
}

/** What runs on the graphics card need. */
export interface CardOptions {
  /** Null for an output that is no layer's. */
  outputs: readonly (OnCard | null)[];
  device: DeviceChoice | undefined;
  /** The constants, shared. */
  constants: readonly Tensor[];
}

/** What the graphics card can compute of the outputs: those that are a layer's, of its three inputs. */
export function cardOptions(
  outputs: readonly ComputationNode[],
  inputs: readonly CompiledInput[],
  constants: Map<ComputationNode, Tensor>,
  { device, association = 'auto', passes }: CardCompileOptions,
  flopsOf: (output: number) => number,
): CardOptions {
  // One without an accelerator needs no constants of its own.
  if (accelerator() === null || outputs[0]!.dtype !== 'float32' || passes !== undefined) {
    return { outputs: outputs.map(() => null), device, constants: [] };
  }
  const shared = new Map([...constants].map(([node, tensor]) => [node, tensor.reshape(tensor.shape)]));
  const onCard = outputs.map((output, number): OnCard | null => {
    const nodes = layerNodesOf(output);
    if (nodes === null || !nodes.layer.isAlive || constants.has(nodes.input)) return null;
    const placeOf = (node: ComputationNode | null): number =>
      inputs.findIndex((input) => input.node === node);
    const places = {
      input: placeOf(nodes.input),
      context: placeOf(nodes.context),
      mask: placeOf(nodes.mask),
    };
    const shapeAt = (place: number): readonly number[] | null => inputs[place]?.shape ?? null;
    const graph = {
      layer: nodes.layer,
      shapes: {
        input: shapeAt(places.input)!,
        context: shapeAt(places.context),
        mask: shapeAt(places.mask),
      },
      constants: {
        context: shared.get(nodes.context) ?? null,
        mask: (nodes.mask && shared.get(nodes.mask)) ?? null,
      },
      association,
      flops: flopsOf(number),
    };
    return { graph, places, parametersVersion: nodes.layer.parametersVersion };
  });
  return { outputs: onCard, device, constants: [...shared.values()] };
}
