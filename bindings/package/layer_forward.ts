// The forward pass of a layer without blocking the calling thread.
import type { CallTensors } from './accelerator';
import { checkRecord, type CheckedRecord, recordArguments, recordOnGpu } from './attention_recorder';
import type { CoreLayer, CorePendingForward, DType } from './core';
import { accelerator } from './current_accelerator';
import type { BackwardPass } from './layer_backward';
import { callTensors, coreCall, readCausal } from './layer_call';
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
  const deviceOptions = checkDeviceOptions(options);
  const record = checkRecord(options);
  const causal = readCausal(options);
  const tensors = callTensors(dtype, input, context, options);
  // Reading options may run the caller's code, which may dispose the layer.
  const { core } = state;
  record?.recorder.getHandle();
  const training = core.training();
  const call = training ? backwardPass.startForward() : 0;
  const start = async (layer: CoreLayer, inWasm: CallTensors): Promise<Tensor> => {
    const saves = training && backwardPass.isLatest(call);
    const result = forwardInWasm(layer, dtype, inWasm, { training: saves, record, causal });
    if (training) backwardPass.save(null, call);
    return result;
  };
  if (gpu === null) return start(core, tensors);
  const forwardOptions = {
    ...deviceOptions,
    wasmReason: causal ? 'causal attention runs in WebAssembly only' : '',
    record: record && recordOnGpu(record, tensors, state.accelerated.numHeads),
  };
  const moment = state.hold();
  try {
    const { output, saved } = await gpu.forward(state.accelerated, tensors, forwardOptions, (inWasm) =>
      moment.use((layer) => start(layer, inWasm)),
    );
    if (saved !== null) backwardPass.save(saved, call);
    return output;
  } finally {
    moment.release();
  }
}

interface WasmOptions {
  /** True to save what the core's backward needs. */
  training?: boolean;
  /** If the recorder was reset or disposed since the call, it records nothing. */
  record?: CheckedRecord | null;
  causal?: boolean;
}

/** Starts a forward before it returns. */
export function forwardInWasm(
  core: CoreLayer,
  dtype: DType,
  { input, context, mask }: CallTensors,
  { training = false, record = null, causal = false }: WasmOptions = {},
): Promise<Tensor> {
  const call = coreCall(dtype, input, context, { mask, causal });
  // The layer may have another mode now than at the time of the call.
  const mode = core.training();
  core.setTraining(training);
  try {
    const recorded = record?.recorder.generation === record?.generation ? record : null;
    return finish(core.startForward(...call, ...recordArguments(recorded)), dtype);
  } finally {
    core.setTraining(mode);
  }
}

async function finish(pending: CorePendingForward, dtype: DType): Promise<Tensor> {
  try {
    await awaitPending(pending);
    return wrapTensor(pending.result(), dtype);
  } finally {
    pending.delete();
  }
}
