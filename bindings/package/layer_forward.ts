// The forward pass of a layer without blocking the calling thread.
import type { CallTensors } from './accelerator';
import { accelerator } from './current_accelerator';
import type { BackwardPass } from './layer_backward';
import { callTensors, type CoreCall, coreCall } from './layer_call';
import { type AsyncAttentionOptions, checkDeviceOptions } from './layer_options';
import type { LayerState } from './layer_state';
import { awaitPending } from './pending';
import { type Tensor, wrapTensor } from './tensor';

/** See DiffusionCrossAttention.forwardAsync. */
export async function forwardAsync(
  state: LayerState,
  backwardPass: BackwardPass,
  input: Tensor,
  context: Tensor | null,
  options: AsyncAttentionOptions | undefined,
): Promise<Tensor> {
  const { dtype } = state;
  const gpu = dtype === 'float32' ? accelerator() : null;
  const inWasm = async (tensors: CallTensors): Promise<Tensor> => {
    if (state.core.training()) backwardPass.dropSaved();
    return forwardInWasm(state, coreCall(dtype, tensors.input, tensors.context, tensors));
  };
  const { device, location } = checkDeviceOptions(options);
  if (gpu === null) return inWasm({ input, context, mask: options?.mask ?? null });
  const tensors = callTensors(dtype, input, context, options);
  const { output, saved } = await gpu.forward(state.accelerated, tensors, { device, location }, inWasm);
  if (saved !== null) backwardPass.save(saved);
  return output;
}

async function forwardInWasm({ core, dtype }: LayerState, call: CoreCall): Promise<Tensor> {
  const pending = core.startForward(...call);
  try {
    await awaitPending(pending);
    return wrapTensor(pending.result(), dtype);
  } finally {
    pending.delete();
  }
}
