// A typical program. It must compile against the package's declarations; wrong calls must not compile.
import {
  AdamOptimizer,
  ArgumentError,
  CrossAttentionError,
  DiffusionCrossAttention,
  DisposedError,
  init,
  memoryInUse,
  NotInitializedError,
  OutOfMemoryError,
  ShapeError,
  Tensor,
  WeightFile,
  WeightsError,
} from 'diffusion-cross-attention';
import type { DType, RuntimeInfo, TypedArray, WeightLoadResult } from 'diffusion-cross-attention';

export async function train(file: ArrayBuffer): Promise<number> {
  const info: RuntimeInfo = await init({
    threads: 'auto',
    simd: 'auto',
    wasmBaseUrl: new URL('https://example.org/'),
  });
  const dtype: DType = 'float64';
  const layer = new DiffusionCrossAttention(320, 768, 8, 64, { dtype, seed: 1, scale: 0.1 });
  const input = Tensor.randn([1, 320, 64, 64], { seed: 1, dtype });
  const context = Tensor.from(new Float64Array(77 * 768), [77, 768] as const);
  layer.training = true;
  const output = layer.forwardWithContext(input, context, { mask: Tensor.full([1, 77], 1) });
  const gradient: Tensor = layer.backward(output);
  const contextGradient: Tensor | null = layer.contextGradient;
  layer.updateParameters(0.1);
  layer.updateParameters(0.1, { only: ['to_q.weight'] as const });
  const optimizer = new AdamOptimizer(layer, {
    learningRate: 1e-4,
    betas: [0.9, 0.99],
    only: ['to_k.weight'],
  });
  optimizer.step();
  optimizer.step({ learningRate: 1e-5 });
  const state: Uint8Array = optimizer.saveState();
  optimizer.loadState(state);
  optimizer[Symbol.dispose]();
  const result: WeightLoadResult = layer.loadWeights(file, {
    mapping: (name) => (name ? name : null),
    strict: false,
  });
  layer.loadWeights(new Map([['to_q.weight', input]]));
  layer.loadWeights({ 'to_q.weight': input });
  const maps = layer.attentionMaps(input, null, { heads: 'all' });
  const values: TypedArray = maps.data();
  const asyncOutput: Tensor = await layer.forwardAsync(input, null);
  for (const resource of [layer, input, context, output, gradient, asyncOutput]) resource[Symbol.dispose]();
  return memoryInUse() + values.length + result.loadedCount + info.threads + (contextGradient?.size ?? 0);
}

export async function loadLayer(layer: DiffusionCrossAttention, parts: File[]): Promise<number> {
  const signal = AbortSignal.timeout(60_000);
  const options = { signal, fetch: (url: string | URL | Request, init?: RequestInit) => fetch(url, init) };
  const file = await WeightFile.open(new URL('https://example.org/unet.safetensors'), options);
  const result = await layer.loadWeightsFrom(file, { prefix: 'mid_block.attentions.0.' });
  const tensor: Tensor = await file.read(file.names[0]!);
  (await WeightFile.open([...parts, 'https://example.org/2.safetensors', new Uint8Array(8)])).close();
  layer.loadWeights([new ArrayBuffer(8), new Uint8Array(8)]);
  return result.loadedCount + tensor.size + (file.shapeOf('a')?.length ?? 0);
}

export function codeOf(error: unknown): string | undefined {
  const classes = [
    ShapeError,
    ArgumentError,
    DisposedError,
    NotInitializedError,
    WeightsError,
    OutOfMemoryError,
  ];
  return error instanceof CrossAttentionError && classes.some((known) => error instanceof known)
    ? error.code
    : undefined;
}

export function wrongCalls(layer: DiffusionCrossAttention, tensor: Tensor): void {
  // @ts-expect-error The input is an array, not a tensor.
  layer.forward([1, 2, 3]);
  // @ts-expect-error The dtype does not exist.
  Tensor.zeros([1], 'float16');
  // @ts-expect-error The shape is read-only.
  tensor.shape[0] = 5;
  // @ts-expect-error Tensors are created by from, zeros, full and randn.
  new Tensor();
  // @ts-expect-error The value of heads does not exist.
  layer.attentionMaps(tensor, null, { heads: 'first' });
  // @ts-expect-error The second decay is missing.
  new AdamOptimizer(layer, { betas: [0.9] });
  // @ts-expect-error A dimension is missing.
  new DiffusionCrossAttention(8);
}
