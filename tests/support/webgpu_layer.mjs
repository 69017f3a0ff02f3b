// A case of cases.mjs on the graphics card: GpuLayer with a strategy of the test's choice, without the package's decisions.
import { scoped } from './cases.mjs';
import { forTests } from '../../dist/webgpu.js';
import { settle } from './webgpu.mjs';

export const { Device, GpuLayer, checkCall, maskBits } = forTests;

const tile = (stage, tileRows, tileColumns) => ({ stage, tileRows, tileColumns });

/** Every way in which a device may compute: tilings from the largest tile to the smallest, and how attention goes. */
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

/** A case's call as GpuLayer takes it. `resident`: tensors that are put into GPU memory first. */
export function gpuCall({ layer, input, context, options, problem }) {
  const sizes = {
    queryDim: problem.queryDim,
    contextDim: problem.contextDim,
    numHeads: problem.numHeads,
    headDim: problem.queryDim / problem.numHeads,
    scale: problem.scale,
  };
  const mask = options.mask ?? null;
  const call = checkCall(sizes, input.shape, context?.shape ?? null, mask?.shape ?? null);
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

/** Calls work(gpuLayer, gpuCall(made)) and disposes of the GpuLayer. */
export function withGpuLayer(device, strategy, made, work, { precision = 'float32' } = {}) {
  return scoped(async (own) => {
    const given = gpuCall(made);
    const gpuLayer = own(new GpuLayer(device, given.sizes, precision, strategy));
    try {
      return await work(gpuLayer, given);
    } finally {
      await settle();
    }
  });
}

/** The output's numbers. */
export async function forwardOnGpu(gpuLayer, { call, operands, parameters }) {
  const { result } = await gpuLayer.forward(call, operands, parameters, { keeps: false, resident: false });
  return result.values;
}

/** {output, input, context, parameters}: a training forward's output, and the gradients. */
export async function trainOnGpu(gpuLayer, { call, operands, parameters }, outputGradient) {
  const { result, saved } = await gpuLayer.forward(call, operands, parameters, {
    keeps: true,
    resident: false,
  });
  try {
    const done = await gpuLayer.backward(saved, { values: () => outputGradient }, false);
    return {
      output: result.values,
      input: done.inputGradient.values,
      context: done.contextGradient,
      parameters: Float32Array.from(done.parameterGradients.flatMap((part) => Array.from(part))),
    };
  } finally {
    saved.release();
  }
}
