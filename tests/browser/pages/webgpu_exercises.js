// Exercises of the package on WebGPU, for pages and workers. A page runs one exercise, because init counts
// once.
import {
  DiffusionCrossAttention,
  Tensor,
  gpuMemoryInUse,
  init,
  memoryInUse,
  synchronize,
} from '../../../dist/index.js';
import { compileFor, makeLayer } from './exercise.js';
import { failures, stopClock, watchGpu } from './webgpu_hooks.js';
import { Problem, relativeDifference } from './webgpu_problem.js';

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/**
 * Returns the memory that remains after everything was disposed. Calls in progress free their buffers when
 * they end.
 */
async function remainingMemory(watched) {
  await synchronize();
  for (let poll = 0; poll < 500 && watched.live.size + memoryInUse() > 0; ++poll) await pause(20);
  return {
    buffers: [...watched.live].map(({ label, size }) => `${label}, ${size} bytes`),
    reported: gpuMemoryInUse(),
    memoryInUse: memoryInUse(),
  };
}

/** Makes all calls, with tensors in WebAssembly and on the GPU. */
async function compute({ initOptions }) {
  const watched = watchGpu();
  const runtime = await init(initOptions);
  const problem = new Problem();
  const results = { wasm: await problem.callAll('wasm') };
  if (runtime.device === 'webgpu') results.webgpu = await problem.callAll('webgpu');
  const diagnostics = problem.layer.getDiagnostics();
  problem.dispose();
  return { runtime, results, diagnostics, remaining: await remainingMemory(watched) };
}

/**
 * Simulates a failure that begins before init, after it, or before the call `from`. Then ends it and waits
 * until the GPU is used again.
 */
async function fail(options) {
  const { initOptions, failure, beforeInit = false, afterLoss = false, location = 'wasm', from } = options;
  const watched = watchGpu();
  let end = beforeInit ? failures[failure]() : null;
  const runtime = await init(initOptions);
  const startClock = stopClock();
  const problem = new Problem();
  if (afterLoss) watched.devices.at(-1).destroy();
  const results = await problem.callAll(location, (next) => {
    if (from === undefined || next === from) end ??= failures[failure]();
  });
  const diagnostics = problem.layer.getDiagnostics();
  startClock();
  end();
  const recovered = await callUntilOnGpu(problem);
  problem.dispose();
  const devices = watched.devices.length - watched.destroyed;
  const remaining = await remainingMemory(watched);
  return { runtime, results, diagnostics, recovered, devices, remaining };
}

/** Requests results on the GPU during a failure. The input is on the GPU only if `resident`. */
async function resultOnGpu({ initOptions, failure, resident = false, backwardOn }) {
  const watched = watchGpu();
  await init(initOptions);
  stopClock();
  const problem = new Problem();
  const { layer, tensors, expected } = problem;
  const input = await tensors.input.to(resident ? 'webgpu' : 'wasm');
  // The first call, without a failure, uploads the weights.
  (await layer.forwardAsync(input, tensors.context)).dispose();
  const endFirst = failures[failure]();
  const results = {};
  const record = async (call, tensor) => {
    results[call] = { location: tensor.location, explained: layer.explain() };
    endFirst();
    results[call].difference = relativeDifference(await tensor.dataAsync(), expected[call]);
    tensor.dispose();
  };
  layer.training = true;
  await record('forward', await layer.forwardAsync(input, tensors.context, { location: 'webgpu' }));
  const endSecond = failures[failure]();
  const options = { location: 'webgpu', ...(backwardOn && { device: backwardOn }) };
  await record('inputGradient', await layer.backwardAsync(tensors.gradient, options));
  endSecond();
  input.dispose();
  problem.dispose();
  return { results, remaining: await remainingMemory(watched) };
}

/** Makes concurrent calls of two layers. */
async function concurrentCalls({ initOptions, calls }) {
  const watched = watchGpu();
  await init(initOptions);
  const problems = [new Problem(), new Problem({ input: [1, 24, 9, 5], context: [1, 7, 20], heads: 3 })];
  const promises = Array.from({ length: calls }, async (_, call) => {
    const { layer, tensors, expected } = problems[call % 2];
    const mask = call % 4 < 2 ? null : tensors.mask.clone();
    const input = await tensors.input.to(call % 3 === 0 ? 'webgpu' : 'wasm');
    const promise = layer.forwardAsync(input, tensors.context, { mask });
    for (const tensor of [input, mask]) tensor?.dispose();
    const output = await promise;
    const values = await output.dataAsync();
    output.dispose();
    return relativeDifference(values, expected[mask ? 'masked' : 'forward']);
  });
  const differences = await Promise.all(promises);
  for (const problem of problems) problem.dispose();
  return { differences, remaining: await remainingMemory(watched) };
}

async function errorOf(call) {
  try {
    await call();
    return null;
  } catch ({ name, code, message }) {
    return { name, code, message: message.slice(0, 300) };
  }
}

/** Destroys the device while it has tensors, whose values are lost. */
async function loseTensors({ initOptions }) {
  const watched = watchGpu();
  await init(initOptions);
  const problem = new Problem();
  const { layer, tensors, expected } = problem;
  const input = await tensors.input.to('webgpu');
  layer.training = true;
  (await layer.forwardAsync(input, tensors.context)).dispose();
  watched.devices.at(-1).destroy();
  const errors = {
    backwardAsync: await errorOf(() => layer.backwardAsync(tensors.gradient)),
    dataAsync: await errorOf(() => input.dataAsync()),
    to: await errorOf(() => input.to('wasm')),
    clone: await errorOf(() => input.clone()),
    forwardAsync: await errorOf(() => layer.forwardAsync(input, tensors.context)),
  };
  layer.training = false;
  const output = await layer.forwardAsync(tensors.input, tensors.context);
  const after = relativeDifference(await output.dataAsync(), expected.forward);
  for (const owner of [output, input]) owner.dispose();
  problem.dispose();
  return { errors, after, remaining: await remainingMemory(watched) };
}

/** Repeats calls until one runs on the GPU. Returns the duration and the largest difference of a result. */
async function callUntilOnGpu({ layer, tensors, expected }, timeout = 60_000) {
  const start = performance.now();
  let worst = 0;
  for (let calls = 1; ; ++calls) {
    const output = await layer.forwardAsync(tensors.input, tensors.context);
    worst = Math.max(worst, relativeDifference(await output.dataAsync(), expected.forward));
    output.dispose();
    const milliseconds = performance.now() - start;
    const isOnGpu = layer.explain().startsWith('webgpu');
    if (isOnGpu || milliseconds > timeout) {
      return { isOnGpu, milliseconds, calls, worst, state: layer.getDiagnostics().webgpuState };
    }
    await pause(20);
  }
}

/** Destroys the device before the call `lostCall`, at its submit, or while the GPU computes it. */
async function loseDevice({ initOptions, when, lostCall }) {
  const watched = watchGpu();
  const runtime = await init(initOptions);
  const startClock = stopClock();
  const problem = new Problem();
  const { layer } = problem;
  let lost = false;
  const destroy = () => {
    lost = true;
    watched.onSubmit = () => {};
    watched.devices.at(-1).destroy();
  };
  const results = await problem.callAll('wasm', async (next) => {
    if (next !== lostCall) return;
    if (when === 'before') destroy();
    if (when === 'at submit') watched.onSubmit = destroy;
    if (when === 'soon after') watched.onSubmit = () => setTimeout(destroy, 2);
  });
  const diagnostics = layer.getDiagnostics();
  const devicesBefore = watched.devices.length;
  startClock();
  const recovered = await callUntilOnGpu(problem);
  problem.dispose();
  const devices = watched.devices.length;
  return {
    runtime,
    lost,
    results,
    diagnostics,
    recovered,
    devicesBefore,
    devices,
    remaining: await remainingMemory(watched),
  };
}

/**
 * Repeats calls without an adapter until the package has requested one `count` times. Returns the times of
 * the requests.
 */
async function retries({ initOptions, count }) {
  const watched = watchGpu();
  await init(initOptions);
  const problem = new Problem({ input: [1, 8, 4, 4], context: [1, 3, 8], heads: 2 });
  const { layer, tensors } = problem;
  watched.devices.at(-1).destroy();
  await watched.devices.at(-1).lost;
  const requests = [];
  GPU.prototype.requestAdapter = async () => {
    requests.push(performance.now());
    return null;
  };
  const start = performance.now();
  let calls = 0;
  for (; requests.length < count; ++calls) {
    (await layer.forwardAsync(tensors.input, tensors.context)).dispose();
    await pause(5);
  }
  const { webgpuState } = layer.getDiagnostics();
  problem.dispose();
  return { requests: requests.map((time) => time - start), calls, webgpuState };
}

/** Uses the application's device: its buffers as tensors, and the package's buffers in its shader. */
async function interop({ initOptions }) {
  const adapter = await navigator.gpu.requestAdapter();
  const gpuDevice = await adapter.requestDevice();
  const errors = [];
  gpuDevice.onuncapturederror = ({ error }) => errors.push(error.message.slice(0, 300));
  const watched = watchGpu();
  const runtime = await init({ ...initOptions, gpuDevice });
  const problem = new Problem();
  const { layer, tensors, expected } = problem;
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const bufferOf = (tensor) => {
    const buffer = gpuDevice.createBuffer({ size: 4 * tensor.size, usage });
    gpuDevice.queue.writeBuffer(buffer, 0, tensor.data());
    return buffer;
  };
  const buffers = { input: bufferOf(tensors.input), context: bufferOf(tensors.context) };
  const input = Tensor.fromGpuBuffer(buffers.input, tensors.input.shape);
  const context = Tensor.fromGpuBuffer(buffers.context, tensors.context.shape);
  const output = await layer.forwardAsync(input, context);
  // Doubles the output in place, then reads it with the package and with the application's code.
  await double(gpuDevice, output.gpuBuffer, output.size);
  const half = (values) => values.map((value) => value / 2);
  const differences = {
    'read by the package': relativeDifference(half(await output.dataAsync()), expected.forward),
    'read by the application': relativeDifference(
      half(await read(gpuDevice, output.gpuBuffer, output.size)),
      expected.forward,
    ),
  };
  const [location, explained] = [output.location, layer.explain()];
  for (const owner of [output, input, context]) owner.dispose();
  // The buffers still belong to the application.
  const inputs = await read(gpuDevice, buffers.input, tensors.input.size);
  differences['the input afterwards'] = relativeDifference(inputs, tensors.input.data());
  for (const buffer of Object.values(buffers)) buffer.destroy();
  problem.dispose();
  const remaining = await remainingMemory(watched);
  gpuDevice.destroy();
  return { runtime, differences, location, explained, errors, remaining, devices: watched.devices.length };
}

async function double(device, buffer, count) {
  const code = `
    @group(0) @binding(0) var<storage, read_write> values: array<f32>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
      if (id.x < ${count}) { values[id.x] *= 2; }
    }`;
  const module = device.createShaderModule({ code });
  const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module } });
  const bindGroup = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [{ binding: 0, resource: { buffer } }],
  });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, bindGroup);
  pass.dispatchWorkgroups(Math.ceil(count / 64));
  pass.end();
  device.queue.submit([encoder.finish()]);
}

async function read(device, buffer, count) {
  const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
  const staging = device.createBuffer({ size: 4 * count, usage });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, 0, staging, 0, 4 * count);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const values = new Float32Array(staging.getMappedRange().slice(0));
  staging.destroy();
  return values;
}

/** Returns what init measures, and the keys of the measurements that it saves. */
async function calibrate({ initOptions }) {
  const watched = watchGpu();
  const start = performance.now();
  const runtime = await init(initOptions);
  const milliseconds = performance.now() - start;
  const { submits, created } = watched;
  const databases = await indexedDB.databases();
  const keys = [];
  for (const { name } of databases) keys.push(...(await keysOf(name)));
  const remaining = await remainingMemory(watched);
  return { runtime, submits, created, milliseconds, keys, remaining };
}

/** Returns all keys of an IndexedDB database. */
async function keysOf(name) {
  const finished = (request) =>
    new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  const database = await finished(indexedDB.open(name));
  const keys = [];
  for (const store of database.objectStoreNames) {
    keys.push(...(await finished(database.transaction(store).objectStore(store).getAllKeys())));
  }
  database.close();
  return keys;
}

/**
 * Repeats each kind of call `runs` times with a tiny shape. Returns numbers of buffers and bytes after 10 and
 * `runs` calls.
 */
async function repeatCalls({ initOptions, runs }) {
  const watched = watchGpu();
  const runtime = await init(initOptions);
  const sizes = { input: [1, 8, 4, 4], context: [1, 3, 8], heads: 2 };
  const layer = makeLayer(sizes);
  const trained = makeLayer(sizes);
  trained.training = true;
  const [input, context] = [Tensor.randn(sizes.input, { seed: 1 }), Tensor.randn(sizes.context, { seed: 2 })];
  const resident = await input.to('webgpu');
  const compiled = await compileFor(layer, input, context);
  const calls = {
    forward: async () => (await layer.forwardAsync(input, context)).dispose(),
    resident: async () => (await layer.forwardAsync(resident, context)).dispose(),
    run: async () => (await compiled.runAsync(resident)).dispose(),
    training: async () => {
      (await trained.forwardAsync(input, context)).dispose();
      (await trained.backwardAsync(input)).dispose();
      trained.updateParameters(1e-3);
    },
  };
  const counts = {};
  for (const [name, call] of Object.entries(calls)) {
    const count = () => ({ live: watched.live.size, ...gpuMemoryInUse(), wasm: memoryInUse() });
    for (let run = 0; run < 10; ++run) await call();
    const early = count();
    const start = performance.now();
    for (let run = 10; run < runs; ++run) await call();
    counts[name] = { early, late: count(), milliseconds: (performance.now() - start) / (runs - 10) };
  }
  const explained = [layer, trained, compiled].map((owner) => owner.explain());
  for (const owner of [layer, trained, compiled, resident, input, context]) owner.dispose();
  return { runtime, counts, explained, remaining: await remainingMemory(watched) };
}

/** Makes calls that the package does not support, and returns their errors. */
async function unsupportedCalls({ initOptions }) {
  await init(initOptions);
  const problem = new Problem();
  const { layer, tensors } = problem;
  const resident = await tensors.input.to('webgpu');
  const doubles = new DiffusionCrossAttention(8, 8, 2, 4, { dtype: 'float64', seed: 1 });
  const double = Tensor.randn([1, 8, 4, 4], { dtype: 'float64', seed: 1 });
  const errors = {
    data: await errorOf(() => resident.data()),
    view: await errorOf(() => resident.view()),
    forward: await errorOf(() => layer.forwardWithContext(resident, tensors.context)),
    maps: await errorOf(() => layer.attentionMaps(resident, tensors.context)),
    double: await errorOf(() => double.to('webgpu')),
    shape: await errorOf(() => layer.forwardAsync(tensors.context, tensors.context)),
  };
  (await doubles.forwardAsync(double, null)).dispose();
  const explained = doubles.explain();
  for (const owner of [resident, doubles, double]) owner.dispose();
  problem.dispose();
  return { errors, explained };
}

const exercises = {
  compute,
  fail,
  resultOnGpu,
  concurrentCalls,
  loseDevice,
  loseTensors,
  retries,
  interop,
  calibrate,
  repeatCalls,
  unsupportedCalls,
};

export const exercise = ({ exercise: name, ...options }) => exercises[name](options);
