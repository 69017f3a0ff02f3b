import { fail, readOptions } from './checks';
import { checkCompileOptions, type CompileOptions } from './compile_options';
import { CompiledGraph } from './compiled_graph';
import { asGraphMask, checkConstant, checkInputs, type CompiledInput } from './compiled_inputs';
import { gpuOutputs } from './compiled_on_gpu';
import type { CoreGraphSource } from './core';
import { ArgumentError } from './errors';
import { checkOutputs, type ComputationNode } from './graph';
import { flopsOf, planDescription } from './plan_description';
import { getCore } from './runtime';
import type { Tensor } from './tensor';

/**
 * Compiles a graph for fixed shapes: folds constants, fuses each attention into one kernel, chooses the order
 * of products with the lowest cost, and plans memory.
 *
 * @param output a node, or a list of nodes whose values runs compute one at a time
 * @param inputs all Input nodes that `output` depends on, each once, in the order of inputShapes
 * @throws ArgumentError if an input is missing or listed twice, ShapeError that names the node if shapes do
 * not fit.
 *
 * @example
 * const inputs = [];
 * const output = layer.exportComputationGraph(inputs);
 * const constants = new Map([[inputs[1], text]]); // the prompt's context
 * const compiled = await compile(output, inputs, { inputShapes: [image.shape, text.shape], constants });
 * using result = compiled.run(image);
 */
export async function compile(
  output: ComputationNode | readonly ComputationNode[],
  inputs: readonly ComputationNode[],
  options: CompileOptions,
): Promise<CompiledGraph> {
  const core = getCore();
  if (typeof options !== 'object' || options === null) fail('options', options, 'an object with inputShapes');
  const given = readOptions('options', options, optionNames);
  const outputs = checkOutputs(output);
  const { inputs: compiledInputs, constants: constantTensors } = checkInputs(
    inputs,
    given.inputShapes,
    given.constants,
  );
  const { switches, association } = checkCompileOptions(given);
  const { dtype } = outputs[0]!;
  for (const node of [...outputs, ...compiledInputs.map((input) => input.node)]) {
    if (node.dtype === dtype) continue;
    throw new ArgumentError(`node '${node.name}' has dtype ${node.dtype}; expected the output's, ${dtype}`);
  }

  const masks = replaceMasks(compiledInputs, constantTensors);
  const source = core.GraphSource.create();
  try {
    addNodes(source, outputs, compiledInputs, constantTensors);
    const handle = core.CompiledGraph.compile(source, switches, association);
    try {
      const gpu = gpuOutputs(outputs, compiledInputs, constantTensors, given, (index) =>
        flopsOf([planDescription(handle, index)]),
      );
      return CompiledGraph.wrap(handle, dtype, compiledInputs, gpu);
    } catch (error) {
      handle.delete();
      throw error;
    }
  } finally {
    source.delete();
    masks.forEach((mask) => mask.dispose());
  }
}

/** Replaces boolean masks by those that compiled graphs read, and returns the new tensors. */
function replaceMasks(inputs: readonly CompiledInput[], constants: Map<ComputationNode, Tensor>): Tensor[] {
  const masks: Tensor[] = [];
  for (const input of inputs) {
    const tensor = constants.get(input.node);
    const mask = asGraphMask(input, tensor);
    if (mask === tensor) continue;
    constants.set(input.node, mask);
    masks.push(mask);
  }
  return masks;
}

const optionNames = ['inputShapes', 'constants', 'association', 'measure', 'passes', 'device'] as const;

function addNodes(
  source: CoreGraphSource,
  outputs: readonly ComputationNode[],
  inputs: readonly CompiledInput[],
  constants: Map<ComputationNode, Tensor>,
): void {
  for (const node of outputs) {
    const { nodes, index } = node.origin;
    source.addOutput(nodes, index);
  }
  for (const input of inputs) {
    const { nodes, index } = input.node.origin;
    const constant = input.isConstant ? checkConstant(input, constants.get(input.node)!) : null;
    const isSingle = input.node.dtype === 'float32';
    source.addInput(nodes, index, input.shape, isSingle ? constant : null, isSingle ? null : constant);
  }
}
