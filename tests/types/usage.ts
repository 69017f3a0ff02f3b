// A program as users write it, against the package's declarations: it has to compile, and wrong calls must not.
import {
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
  const result: WeightLoadResult = layer.loadWeights(file, {
    mapping: (name) => (name ? name : null),
    strict: false,
  });
  layer.loadWeights(new Map([['to_q.weight', input]]));
  layer.loadWeights({ 'to_q.weight': input });
  const maps = layer.attentionMaps(input, null, { heads: 'all' });
  const values: TypedArray = maps.data();
  const later: Tensor = await layer.forwardAsync(input, null);
  for (const owned of [layer, input, context, output, gradient, later]) owned[Symbol.dispose]();
  return memoryInUse() + values.length + result.loadedCount + info.threads + (contextGradient?.size ?? 0);
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
  // @ts-expect-error an image is no array
  layer.forward([1, 2, 3]);
  // @ts-expect-error there is no such dtype
  Tensor.zeros([1], 'float16');
  // @ts-expect-error the shape cannot be changed
  tensor.shape[0] = 5;
  // @ts-expect-error tensors are made by from, zeros, full and randn
  new Tensor();
  // @ts-expect-error there is no such head
  layer.attentionMaps(tensor, null, { heads: 'first' });
  // @ts-expect-error of the dimensions one is missing
  new DiffusionCrossAttention(8);
}
