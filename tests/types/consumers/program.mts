// A program that compiles in every set-up of tests/node/types_consumers.test.mjs: without lib.dom, and with
// no declarations of Symbol.dispose but those that the package asks for.
import * as main from 'diffusion-cross-attention';
import * as denoiser from 'diffusion-cross-attention/denoiser';
import * as onnx from 'diffusion-cross-attention/onnx';
import type { InitOptions, RuntimeInfo, TypedArray } from 'diffusion-cross-attention';

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
/** Compiles only if the value's type is exactly Expected, which `any` never is. */
declare function expectType<Expected>(): <Actual>(
  value: Actual,
  ...wrong: Equal<Expected, Actual> extends true ? [] : [expected: Expected]
) => void;

export async function computes(): Promise<void> {
  const options: InitOptions = {
    threads: 2,
    simd: 'auto',
    device: 'wasm',
    wasmBaseUrl: 'https://example.org/',
  };
  expectType<RuntimeInfo>()(await main.init(options));
  using input = main.Tensor.from([1, 2], [1, 2], 'float64');
  using layer = new main.DiffusionCrossAttention(2, 2, 1, 1, { dtype: 'float64', seed: 1 });
  expectType<main.Tensor>()(input);
  expectType<readonly number[]>()(input.shape);
  expectType<TypedArray>()(input.data());
  const output = layer.forwardWithContext(input, null, { mask: main.Tensor.full([1, 1], 1) });
  expectType<main.Tensor>()(output);
  expectType<main.Tensor>()(await layer.forwardAsync(input, null));
  expectType<main.Tensor | null>()(layer.contextGradient);
  expectType<main.WeightLoadResult>()(layer.loadWeights(layer.saveWeights()));
  const inputs: main.ComputationNode[] = [];
  const graph = layer.exportComputationGraph(inputs);
  expectType<main.ComputationNode>()(graph);
  const compiled = await main.compile(graph, inputs, { inputShapes: [input.shape, [1, 2]] });
  expectType<main.CompiledGraph>()(compiled);
  expectType<number>()(main.memoryInUse());
  for (const resource of [output, compiled]) resource[Symbol.dispose]();
}

export async function draws(file: Uint8Array): Promise<void> {
  expectType<denoiser.DenoiserRuntimeInfo>()(await denoiser.init({ threads: 'auto' }));
  using model = denoiser.Denoiser.load(file);
  using sampler = model.sampler({ prompt: 'a circle', seed: 1 });
  expectType<denoiser.Denoiser>()(model);
  expectType<denoiser.Sampler>()(sampler);
  for (const frame of sampler) expectType<denoiser.SamplerFrame>()(frame);
  expectType<Float32Array>()(sampler.maps());
}

// Classes are the same types in all entries.
export function exchanges(file: Uint8Array): Uint8Array {
  const [imported] = onnx.fromOnnx(file);
  if (imported === undefined) throw new main.ArgumentError('no attention');
  expectType<main.DiffusionCrossAttention>()(imported.layer);
  expectType<typeof main.ArgumentError>()(denoiser.ArgumentError);
  const inputs: main.ComputationNode[] = [];
  return onnx.toOnnx(imported.layer.exportComputationGraph(inputs), inputs);
}

// Inferred types of exports can be named in declarations.
export const initialized = () => Promise.all([main.init(), denoiser.init()]);
export const made = (file: Uint8Array) => [
  onnx.fromOnnx(file),
  denoiser.randomScene(),
  main.gpuMemoryInUse(),
];
export const gpuBuffer = (tensor: main.Tensor) => tensor.gpuBuffer;
export const defaults: Required<InitOptions>['wasmBaseUrl'] = 'wasm/';
