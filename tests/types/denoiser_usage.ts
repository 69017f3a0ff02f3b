// A typical program that uses the denoiser. It must compile against the declarations; wrong calls must not
// compile.
import { ArgumentError as MainArgumentError } from 'diffusion-cross-attention';
import {
  ArgumentError,
  CrossAttentionError,
  Denoiser,
  DeviceError,
  DisposedError,
  init,
  learningRate,
  memoryInUse,
  NotInitializedError,
  OutOfMemoryError,
  randomScene,
  ShapeError,
  version,
  WeightsError,
} from 'diffusion-cross-attention/denoiser';
import type {
  DenoiserOptions,
  DenoiserRuntimeInfo,
  EditOptions,
  FineTuner,
  FineTunerOptions,
  GpuTrainer,
  Learner,
  LearnerOptions,
  LearningRateOptions,
  ModuleOptions,
  Sampler,
  SamplerFrame,
  SamplerOptions,
  Scene,
  Trainer,
  TrainerOptions,
} from 'diffusion-cross-attention/denoiser';

export async function paint(file: ArrayBuffer, canvas: CanvasRenderingContext2D): Promise<Float32Array> {
  const moduleOptions: ModuleOptions = {
    threads: 'auto',
    simd: 'auto',
    wasmBaseUrl: new URL('https://example.org/'),
  };
  const info: DenoiserRuntimeInfo = await init(moduleOptions);
  const model = Denoiser.load(file);
  const unknown: string[] = model.unknownWords('a red circle');
  const edit: EditOptions = {
    from: 'a red circle',
    wordWeights: [1, 1, 2],
    crossSteps: 0.8,
    keepElsewhere: false,
  };
  const options: SamplerOptions = {
    prompt: 'a blue circle',
    seed: 1,
    steps: 20,
    guidance: 3,
    eta: 0.5,
    edit,
    maps: true,
  };
  const sampler: Sampler = model.sampler({ ...options, wordWeights: new Array<number>(3).fill(1) });
  for (const frame of sampler) {
    const { step, steps }: SamplerFrame = frame;
    canvas.putImageData(new ImageData(new Uint8ClampedArray(sampler.rgba()), model.imageSize), step, steps);
  }
  while (sampler.advance());
  const maps: Float32Array = sampler.maps({ block: model.blocks - 1, head: model.heads - 1 });
  const words: readonly string[] = sampler.words;
  const picture: Float32Array = sampler.picture();
  sampler[Symbol.dispose]();
  model[Symbol.dispose]();
  return maps.length + words.length + unknown.length + info.threads + memoryInUse() > 0 ? picture : maps;
}

export function fineTune(model: Denoiser, file: Uint8Array): Uint8Array {
  const scenes: Scene[] = [1, 2].map((seed) => randomScene({ seed, split: 'heldOut', objects: 2 }));
  const options: FineTunerOptions = {
    word: 'blob',
    like: 'circle',
    pictures: scenes.map((scene) => scene.picture),
    captions: scenes.map((scene) => `${scene.plainCaption} and a blob`),
    rank: 4,
    learningRate: 0.003,
    batch: 8,
    rehearsal: 0.5,
    shift: 1,
    seed: 0,
  };
  const fineTuner: FineTuner = model.fineTuner(options);
  const { step, loss }: { step: number; loss: number } = fineTuner.step();
  fineTuner.step(0.5);
  fineTuner.dispose();
  model.loraScale = step + loss;
  const newWords: string[] = model.loadLora(file);
  model.unloadLora();
  return newWords.length > 0 ? model.saveLora() : model.save({ dtype: 'float32' });
}

/** The deprecated names still compile. */
export function useDeprecatedNames(model: Denoiser, trainer: Trainer, options: LearnerOptions): number {
  const learner: Learner = model.learner(options);
  const rate = trainer.withAverages(() => learningRate(5, { most: 0.001, steps: 100 }));
  return learner.step().loss + rate;
}

export function train(options: DenoiserOptions, trainerOptions: TrainerOptions): Uint8Array {
  const model = Denoiser.create(options);
  const trainer: Trainer = model.trainer(trainerOptions);
  while (trainer.step(0.001).loss > 0.1);
  trainer.loadCheckpoint(trainer.saveCheckpoint());
  const file: Uint8Array = trainer.withEma(() => model.save());
  for (const resource of [trainer, model]) resource[Symbol.dispose]();
  return file;
}

export async function trainOnGpu(trainer: Trainer, gpuDevice: GPUDevice): Promise<string> {
  const rates: LearningRateOptions = { max: 0.001, warmUp: 10, steps: 100, fall: 0.5 };
  using training: GpuTrainer = await trainer.onWebGPU({ gpuDevice });
  while (trainer.steps < 100) {
    const { step, loss }: { step: number; loss: number } = await training.step(learningRate(5, rates));
    if (step > loss) await training.synchronize();
  }
  return training.disposed ? '' : training.description;
}

export function codeOf(error: unknown): string | undefined {
  const classes = [
    ShapeError,
    ArgumentError,
    DeviceError,
    DisposedError,
    NotInitializedError,
    WeightsError,
    OutOfMemoryError,
  ];
  // The error classes are those of the main entry.
  const same: typeof MainArgumentError = ArgumentError;
  return error instanceof CrossAttentionError && [...classes, same].some((known) => error instanceof known)
    ? error.code
    : version;
}

export function wrongCalls(model: Denoiser, sampler: Sampler): void {
  // @ts-expect-error Denoisers are created by load or create.
  new Denoiser();
  // @ts-expect-error A sampler requires a prompt.
  model.sampler({ steps: 5 });
  // @ts-expect-error The option does not exist.
  model.sampler({ prompt: 'a star', negativePrompt: 'a circle' });
  // @ts-expect-error An edit requires the original prompt.
  model.sampler({ prompt: 'a star', edit: {} });
  // @ts-expect-error The words are read-only.
  sampler.words[0] = 'circle';
  // @ts-expect-error The step is read-only.
  sampler.step = 3;
  // @ts-expect-error A FineTuner requires pictures.
  model.fineTuner({ word: 'blob' });
  // @ts-expect-error The data type does not exist.
  model.save({ dtype: 'float64' });
  // @ts-expect-error The split does not exist.
  randomScene({ split: 'test' });
  // @ts-expect-error A step requires a learning rate.
  model.trainer().step();
}
