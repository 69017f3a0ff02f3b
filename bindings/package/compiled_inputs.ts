// Inputs of a compiled graph, checked.
import { checkArray, checkShape, fail, isSameShape, mapEntries, show } from './checks';
import type { CoreTensor } from './core';
import { ArgumentError, ShapeError } from './errors';
import { checkNode, type ComputationNode } from './graph';
import { failInstance } from './instances';
import { Tensor, tensorHandle } from './tensor';

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

/** Returns copies of the inputs with their shapes, and of the constants. */
export function checkInputs(
  inputs: unknown,
  inputShapes: unknown,
  constants: unknown,
): { inputs: CompiledInput[]; constants: Map<ComputationNode, Tensor> } {
  const nodes = checkArray('inputs', inputs, 'an array of ComputationNodes');
  const shapes = checkArray('inputShapes', inputShapes, 'an array of shapes');
  const entries = mapEntries(constants ?? new Map()) ?? failInstance('constants', constants, Map);
  if (shapes.length !== nodes.length) {
    throw new ShapeError(`inputShapes has ${shapes.length} shapes; expected ${nodes.length}, one per input`);
  }
  const tensors = new Map<ComputationNode, Tensor>();
  for (const [key, tensor] of entries) {
    const node = checkNode('constants', key);
    if (!nodes.includes(node)) {
      throw new ArgumentError(`constants has node '${node.name}'; expected nodes that are in inputs`);
    }
    tensors.set(node, tensor as Tensor);
  }
  const checked = nodes.map((input, index): CompiledInput => {
    const node = checkNode(`inputs[${index}]`, input);
    const shape = checkShape(`inputShapes[${index}]`, shapes[index]);
    return { node, shape, isConstant: tensors.has(node) };
  });
  return { inputs: checked, constants: tensors };
}

/**
 * Returns a mask as compiled graphs read it: a boolean one becomes additive, 0 and -infinity, unless it is a
 * key mask of the graph's dtype. The caller disposes a tensor that is not `tensor` itself. Throws
 * ArgumentError for other values than ones and zeros.
 */
export function asGraphMask({ node }: CompiledInput, tensor: unknown): Tensor {
  if (!Tensor.isTensor(tensor) || !tensor.isBoolean || node.attributes['broadcast'] !== true) {
    return tensor as Tensor;
  }
  const isKeyMask = tensor.rank === 2;
  if (isKeyMask && tensor.dtype === node.dtype) return tensor;
  tensorHandle(`input '${node.name}'`, tensor, null);
  const values = Float32Array.from(tensor.view(), (value) => {
    if (value !== 0 && value !== 1)
      fail(`a value of input '${node.name}'`, value, '1 or 0 in a boolean mask');
    return isKeyMask ? value : value === 1 ? 0 : -Infinity;
  });
  return Tensor.from(values, tensor.shape, node.dtype);
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
