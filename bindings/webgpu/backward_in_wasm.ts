// The backward pass in WebAssembly of a training forward that ran on the GPU.
import type { AcceleratedBackward, Moment, SavedForward } from '../package/accelerator';
import { coreCall } from '../package/layer_call';
import type { Location } from '../package/resident';
import { type Tensor, tensorHandle, wrapTensor } from '../package/tensor';
import { moveTo, withTensorsInWasm } from '../package/transfer';

/**
 * Repeats the forward with the parameters of `moment` in a temporary layer, because the layer itself may have
 * saved a later forward, and computes its backward.
 */
export async function backwardInWasm(
  saved: SavedForward,
  outputGradient: Tensor,
  moment: Moment,
  location: Location,
): Promise<AcceleratedBackward> {
  const gradient = { input: outputGradient, context: null, mask: null };
  const done = await withTensorsInWasm(gradient, ({ input }) =>
    withTensorsInWasm(saved, (tensors) =>
      moment.useCopy(async (core) => {
        core.setTraining(true);
        const call = coreCall('float32', tensors.input, tensors.context, tensors);
        core.forward(...call, null, '', false).delete();
        const gradientHandle = tensorHandle('outputGradient', input, 'float32');
        const inputGradient = wrapTensor(core.backward(gradientHandle), 'float32');
        const contextGradient = core.contextGradient();
        return {
          inputGradient,
          contextGradient: contextGradient && wrapTensor(contextGradient, 'float32'),
          parameterGradients: [core.gradientsView().slice() as Float32Array],
        };
      }),
    ),
  );
  return { ...done, inputGradient: await moveTo(location, done.inputGradient) };
}
