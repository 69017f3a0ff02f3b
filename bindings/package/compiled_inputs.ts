// Inputs of a compiled graph, checked.
import { checkShape, fail, isSameShape, show } from './checks';
import type { CoreTensor } from './core';
import { ArgumentError, ShapeError } from './errors';
import { checkNode, type ComputationNode } from './graph';
import { type Tensor, tensorHandle } from './tensor';

export interface CompiledInput {
  node: ComputationNode;
  shape: readonly number[];
  isConstant: boolean;
}

/** Throws ArgumentError if a key mask has values other than 1 and 0. */
export function checkKeyMask({ node, shape }: CompiledInput, tensor: Tensor): void {
  if (node.attributes['broadcast'] !== true || shape.length !== 2) return;
  const wrong = tensor.view().find((value) => value !== 0 && value !== 1);
  if (wrong === undefined) return;
  fail(`a value of input '${node.name}' [B, L]`, wrong, '1 (attend) or 0 (ignore) in a key mask');
}

export function checkInputs(
  inputs: readonly ComputationNode[],
  inputShapes: readonly (readonly number[])[],
  constants: Map<ComputationNode, Tensor>,
): CompiledInput[] {
  if (!Array.isArray(inputs)) fail('inputs', inputs, 'an array of ComputationNodes');
  if (!Array.isArray(inputShapes)) fail('inputShapes', inputShapes, 'an array of shapes');
  if (!(constants instanceof Map)) fail('constants', constants, 'a Map from ComputationNodes to Tensors');
  if (inputShapes.length !== inputs.length) {
    throw new ShapeError(
      `inputShapes has ${inputShapes.length} shapes; expected ${inputs.length}, one per input`,
    );
  }
  for (const node of constants.keys()) {
    if (!inputs.includes(checkNode('constants', node))) {
      throw new ArgumentError(`constants has node '${node.name}'; expected nodes that are in inputs`);
    }
  }
  return inputs.map((input, index) => {
    const node = checkNode(`inputs[${index}]`, input);
    const shape = checkShape(`inputShapes[${index}]`, inputShapes[index]);
    return { node, shape, isConstant: constants.has(node) };
  });
}

/**
 * Returns the core's tensor of a constant. Throws ShapeError unless it has the shape that inputShapes has for
 * it.
 */
export function checkConstant(input: CompiledInput, tensor: Tensor): CoreTensor {
  const { node, shape } = input;
  const handle = tensorHandle(`constant '${node.name}'`, tensor, node.dtype);
  if (!isSameShape(tensor.shape, shape)) {
    throw new ShapeError(
      `constant '${node.name}' has shape ${show([...tensor.shape])}; ` + `expected ${show([...shape])}`,
    );
  }
  checkKeyMask(input, tensor);
  return handle;
}
