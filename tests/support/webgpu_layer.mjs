// Runs a case of cases.mjs on the GPU: GpuLayer with a given strategy, without the decisions of the package.
import { scoped } from './cases.mjs';
import { Device, GpuLayer, callSizes, maskBits } from '../../build/for_tests/webgpu.js';
import { settle } from './webgpu.mjs';

export { Device, GpuLayer, callSizes, maskBits };

const tile = (stage, tileRows, tileColumns) => ({ stage, tileRows, tileColumns });

/** All strategies of devices: tilings from the largest tile to the smallest, and the attention algorithm. */
export const strategies = {
  'registers, parts': {
    tilings: [tile('registers', 16, 8), tile('registers', 8, 8), tile('registers', 4, 4)],
    attention: 'parts',
  },
  'workgroup, flash': {
    tilings: [tile('workgroup', 8, 8), tile('workgroup', 4, 4)],
    attention: 'flash',
  },
};

/** Returns the call of a case as GpuLayer expects it. */
export function gpuCall({ layer, input, context, options, problem }) {
  const sizes = {
    queryDim: problem.queryDim,
    contextDim: problem.contextDim,
    numHeads: problem.numHeads,
    headDim: problem.queryDim / problem.numHeads,
    outputDim: problem.queryDim,
    scale: problem.scale,
    bias: false,
    outputBias: true,
    queryKeyNorm: 'none',
    normEpsilon: 0,
  };
  const mask = options.mask ?? null;
  const call = callSizes(sizes, input.shape, context?.shape ?? null, mask?.shape ?? null);
  const bits = mask && maskBits(call.mask.kind, mask.data());
  const [inputValues, contextValues, parameters] = [input.data(), context?.data(), layer.getParameters()];
  return {
    sizes,
    call,
    operands: {
      input: { values: () => inputValues },
      context: context && { values: () => contextValues },
      mask: bits && { values: () => bits },
    },
    parameters: { version: 1, values: () => parameters },
  };
}

/** Calls work(gpuLayer, gpuCall(layerCase)) and releases the GpuLayer. */
export function withGpuLayer(device, strategy, layerCase, work, { precision = 'float32' } = {}) {
  return scoped(async (own) => {
    const call = gpuCall(layerCase);
    const gpuLayer = new GpuLayer(device, call.sizes, precision, strategy);
    own({ dispose: () => gpuLayer.release() });
    try {
      return await work(gpuLayer, call);
    } finally {
      await settle();
    }
  });
}

/** Returns the values of the output. */
export async function forwardOnGpu(gpuLayer, { call, operands, parameters }) {
  const { result } = await gpuLayer.forward(call, operands, parameters, { training: false, resident: false });
  return result.values;
}

/**
 * Runs a training forward and backward. Returns {output, input, context, parameters}: the output and the
 * gradients.
 */
export async function trainOnGpu(gpuLayer, { call, operands, parameters }, outputGradient) {
  const { result, saved } = await gpuLayer.forward(call, operands, parameters, {
    training: true,
    resident: false,
  });
  try {
    const gradients = await gpuLayer.backward(saved, { values: () => outputGradient }, false);
    return {
      output: result.values,
      input: gradients.inputGradient.values,
      context: gradients.contextGradient,
      parameters: Float32Array.from(gradients.parameterGradients.flatMap((part) => Array.from(part))),
    };
  } finally {
    saved.release();
  }
}
