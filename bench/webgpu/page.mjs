// What runs in the page: see run.mjs, which calls globalThis.benchmark.
import { init } from 'diffusion-cross-attention';
import { prepare as prepareInWasm } from '../contenders/cross_attention.mjs';
import { contenders } from './contenders.mjs';
import { measureShape } from './measurement.mjs';

const runners = [];

/** The part of a GPUAdapterInfo that tells adapters apart. */
const identityOf = ({ vendor, architecture, device, description }) => ({
  vendor,
  architecture,
  device,
  description,
});

const requestAdapter = () => navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' });

/** The adapter that contenders get who ask for a fast one; null where none answers. */
async function describeAdapter() {
  const adapter = await requestAdapter();
  if (!adapter) return null;
  const { subgroupMinSize, subgroupMaxSize, isFallbackAdapter } = adapter.info;
  const subgroupSizes = adapter.features.has('subgroups') ? [subgroupMinSize, subgroupMaxSize] : null;
  return {
    ...identityOf(adapter.info),
    isFallbackAdapter,
    subgroupSizes,
    hasFloat16: adapter.features.has('shader-f16'),
    hasTimestamps: adapter.features.has('timestamp-query'),
  };
}

/** Starts contenders by their names. Returns why the others did not: [{ name, reason }]. */
async function start(names, files) {
  // Once a page, for all that asks: the reference is computed in WebAssembly nevertheless.
  await init({ device: 'webgpu' });
  const failures = [];
  for (const name of names) {
    const { load, options } = contenders[name];
    try {
      const started = await (await load())({ ...options, files: files[name] });
      const synchronize = async () => (await started.getDevice()).queue.onSubmittedWorkDone();
      runners.push({ name, synchronize, ...started });
    } catch (error) {
      failures.push({ name, reason: error.message });
    }
  }
  return failures;
}

/** Throws where somebody computes on another adapter than the page's. Devices may be made with the first layer. */
async function checkAdapters() {
  const adapter = await requestAdapter();
  const expected = JSON.stringify(identityOf(adapter.info));
  for (const { name, getDevice } of runners) {
    const info = (await getDevice())?.adapterInfo;
    const found = info && JSON.stringify(identityOf(info));
    if (info && found !== expected) throw new Error(`${name} computes on ${found}, the page has ${expected}`);
  }
}

/** Our layer in WebAssembly, with its first context. */
function referenceOf(shape) {
  const layer = prepareInWasm(shape, 'float32', 'forward', 0);
  // A copy: the values may lie in WASM memory.
  const values = layer.check().slice();
  layer.dispose();
  return values;
}

async function measure(shape, rounds) {
  const onProgress = (progress) => globalThis.reportProgress?.({ shape: shape.name, ...progress });
  const measured = await measureShape(runners, shape, referenceOf(shape), rounds, onProgress);
  await checkAdapters();
  return measured;
}

globalThis.benchmark = { describeAdapter, start, measure };
