import type { Tensor } from './tensor';
import { ArgumentError } from './errors';

function notAvailable(what: string): never {
  throw new ArgumentError(`${what} is not available yet`);
}

/** A node of the layer's computation graph. Sizes known only at run time are names: 'batch', 'tokens', 'contextLength'. */
export class ComputationNode {
  /** ONNX operator names: 'MatMul', 'Softmax', 'Transpose', …; 'Input', 'Constant'. */
  readonly op!: string;
  readonly name!: string;
  readonly inputs!: readonly ComputationNode[];
  readonly shape!: readonly (number | string)[];
  readonly attributes!: Readonly<Record<string, unknown>>;

  constructor() {
    notAvailable('ComputationNode');
  }
}

export interface CompileOptions {
  /** One shape per input node, all sizes fixed. */
  inputShapes: readonly (readonly number[])[];
  /** Inputs that stay the same over many runs, folded into the plan. */
  constants?: Map<ComputationNode, Tensor>;
  device?: 'wasm' | 'webgpu';
}

/** Not available yet: throws ArgumentError. */
export class CompiledGraph {
  readonly flops!: number;
  readonly scratchBytes!: number;

  constructor() {
    notAvailable('CompiledGraph');
  }
  run(..._inputs: Tensor[]): Tensor {
    notAvailable('CompiledGraph.run');
  }
  async runAsync(..._inputs: Tensor[]): Promise<Tensor> {
    notAvailable('CompiledGraph.runAsync');
  }
  describe(): string {
    notAvailable('CompiledGraph.describe');
  }
  dispose(): void {}
  [Symbol.dispose](): void {}
}

/** Not available yet: rejects with ArgumentError. */
export async function compile(
  _output: ComputationNode,
  _inputs: readonly ComputationNode[],
  _options: CompileOptions,
): Promise<CompiledGraph> {
  notAvailable('compile');
}

/** Not available yet: throws ArgumentError. */
export function toOnnx(
  _output: ComputationNode,
  _inputs: readonly ComputationNode[],
  _options?: { opset?: number },
): Uint8Array {
  notAvailable('toOnnx');
}
