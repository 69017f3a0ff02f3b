// The outputs of a compiled graph that the GPU can compute: those of a layer.
import type { AcceleratedGraph, DeviceChoice } from './accelerator';
import type { CompileOptions } from './compile_options';
import type { CompiledInput } from './compiled_inputs';
import { accelerator } from './current_accelerator';
import type { ComputationNode } from './graph';
import { layerNodesOf } from './layer_graph';
import type { Tensor } from './tensor';

/** An output that the GPU can compute. */
export interface GpuOutput {
  graph: AcceleratedGraph;
  /** Indices of the compiled graph's inputs; -1 for none. */
  inputIndices: { input: number; context: number; mask: number };
  /** Version of the parameters that the graph was compiled with. */
  parametersVersion: number;
}

export interface GpuOutputs {
  /** Null for an output that only WebAssembly can compute. */
  outputs: readonly (GpuOutput | null)[];
  device: DeviceChoice | undefined;
  constants: GpuConstants;
}

/** The constants as they were when the graph was compiled, and the user's tensors for refresh. */
export class GpuConstants {
  readonly #shared: Tensors;
  #copies: Tensors;

  constructor(constants: Tensors) {
    // Share the elements: the user may dispose the tensors.
    this.#shared = mapAll(constants, (tensor) => tensor.reshape(tensor.shape));
    try {
      this.#copies = this.#copy();
    } catch (error) {
      disposeAll(this.#shared);
      throw error;
    }
  }

  get(node: ComputationNode | null): Tensor | null {
    return (node && this.#copies.get(node)) ?? null;
  }

  /** Calls `compile` and copies the current elements; if either fails, the copies stay. */
  refresh(compile: () => void): void {
    const copies = this.#copy();
    try {
      compile();
    } catch (error) {
      disposeAll(copies);
      throw error;
    }
    disposeAll(this.#copies);
    this.#copies = copies;
  }

  dispose(): void {
    disposeAll(this.#shared);
    disposeAll(this.#copies);
  }

  #copy(): Tensors {
    return mapAll(this.#shared, (tensor) => tensor.clone());
  }
}

type Tensors = Map<ComputationNode, Tensor>;

const disposeAll = (tensors: Tensors): void => tensors.forEach((tensor) => tensor.dispose());

/** Returns what `make` returns for each tensor. If it throws, the earlier ones are disposed. */
function mapAll(tensors: Tensors, make: (tensor: Tensor) => Tensor): Tensors {
  const made: Tensors = new Map();
  try {
    for (const [node, tensor] of tensors) made.set(node, make(tensor));
    return made;
  } catch (error) {
    disposeAll(made);
    throw error;
  }
}

/** Selects the outputs that the GPU can compute. `flopsOf` returns the FLOPs of an output in WebAssembly. */
export function gpuOutputs(
  outputs: readonly ComputationNode[],
  inputs: readonly CompiledInput[],
  constants: Map<ComputationNode, Tensor>,
  { device, association = 'auto', passes }: Pick<CompileOptions, 'device' | 'association' | 'passes'>,
  flopsOf: (output: number) => number,
): GpuOutputs {
  // The GPU has no compiler passes. Without a GPU, constants need not be saved.
  if (accelerator() === null || outputs[0]!.dtype !== 'float32' || passes !== undefined) {
    return { outputs: outputs.map(() => null), device, constants: new GpuConstants(new Map()) };
  }
  const copies = new GpuConstants(constants);
  const onGpu = outputs.map((output, outputIndex): GpuOutput | null => {
    const nodes = layerNodesOf(output);
    if (nodes === null || !nodes.layer.isAlive || constants.has(nodes.input)) return null;
    // What such rows contribute depends on the mask of each run.
    if (nodes.mask !== null && constants.get(nodes.context)?.view().every(Number.isFinite) === false) {
      return null;
    }
    const indexOf = (node: ComputationNode | null): number =>
      inputs.findIndex((input) => input.node === node);
    const inputIndices = {
      input: indexOf(nodes.input),
      context: indexOf(nodes.context),
      mask: indexOf(nodes.mask),
    };
    const shapeOf = (index: number): readonly number[] | null => inputs[index]?.shape ?? null;
    const graph = {
      layer: nodes.layer,
      shapes: {
        input: shapeOf(inputIndices.input)!,
        context: shapeOf(inputIndices.context),
        mask: shapeOf(inputIndices.mask),
      },
      constants: {
        get context() {
          return copies.get(nodes.context);
        },
        get mask() {
          return copies.get(nodes.mask);
        },
      },
      association,
      flops: flopsOf(outputIndex),
    };
    return { graph, inputIndices, parametersVersion: nodes.layer.parametersVersion };
  });
  return { outputs: onGpu, device, constants: copies };
}
