// The script of the page. run.mjs calls globalThis.benchmark.
import { init } from 'diffusion-cross-attention';
import { prepare as prepareInWasm } from '../contenders/cross_attention.mjs';
import { contenders } from './contenders.mjs';
import { measureShape } from './measurement.mjs';

const runners = [];

/** Returns the members of a GPUAdapterInfo that identify an adapter. */
const identityOf = ({ vendor, architecture, device, description }) => ({
  vendor,
  architecture,
  device,
  description,
});

const requestAdapter = () => navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' });

/** Describes the high-performance adapter, which all contenders request; null if there is none. */
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

/** Starts contenders by name. Returns those that failed: [{ name, reason }]. */
async function start(names, files) {
  // init counts once per page. The reference runs in WebAssembly nevertheless.
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

/**
 * Throws if a contender uses another adapter than the page. Call it after prepare, which may create the
 * devices.
 */
async function checkAdapters() {
  const adapter = await requestAdapter();
  const expected = JSON.stringify(identityOf(adapter.info));
  for (const { name, getDevice } of runners) {
    const info = (await getDevice())?.adapterInfo;
    const found = info && JSON.stringify(identityOf(info));
    if (info && found !== expected) throw new Error(`adapter of ${name} is ${found}; expected ${expected}`);
  }
}

/** Returns the output of this package in WebAssembly with the first context. */
function referenceOf(shape) {
  const layer = prepareInWasm(shape, 'float32', 'forward', 0);
  // A copy: the values may be a view of WebAssembly memory.
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
