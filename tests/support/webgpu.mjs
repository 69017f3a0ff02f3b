// WebGPU in Node: Dawn (npm `webgpu`), with devices whose buffers are counted, whose errors are kept, and whose features and
// limits are the test's choice. Environment variables that tools/lib/webgpu.mjs gives say where the adapter is. Nothing is
// awaited here, so that webgpu_package.mjs is the first to call init.
import assert from 'node:assert/strict';
import { create, globals } from 'webgpu';

for (const [name, value] of Object.entries(globals)) globalThis[name] ??= value;

/** Dawn ends with the last reference to it, and takes the process with it. */
const gpu = create([]);
globalThis.keptForTheProcess = gpu;

async function requestAdapter(options) {
  const adapter = await gpu.requestAdapter(options);
  if (adapter !== null) return adapter;
  throw new Error(
    `no WebGPU adapter answers: VK_DRIVER_FILES is ${process.env.VK_DRIVER_FILES ?? 'not set'}; the tests take what ` +
      'tools/lib/webgpu.mjs sets, as `npm test -- --only webgpu` does',
  );
}

/** Buffers of all devices of this process. */
export const counts = { created: 0, destroyed: 0, alive: 0, bytes: 0 };
const uncaptured = [];
/** Devices that are not lost. */
const alive = new Set();

/** Throws where a device has told of an error that nobody waited for. */
export function assertNoUncapturedErrors() {
  assert.deepEqual(uncaptured.splice(0), [], 'errors that no error scope captured');
}

/** Errors that a test provokes on purpose. */
export const takeUncapturedErrors = () => uncaptured.splice(0);

function watchBuffers(device) {
  const { maxBufferSize } = device.limits;
  const createBuffer = device.createBuffer.bind(device);
  device.createBuffer = (descriptor) => {
    assert.ok(
      descriptor.size <= maxBufferSize,
      `the buffer '${descriptor.label}' has ${descriptor.size} bytes, more than the device takes`,
    );
    const buffer = createBuffer(descriptor);
    const destroy = buffer.destroy.bind(buffer);
    let isAlive = true;
    counts.created++;
    counts.alive++;
    counts.bytes += descriptor.size;
    buffer.destroy = () => {
      if (isAlive) {
        counts.destroyed++;
        counts.alive--;
        counts.bytes -= descriptor.size;
      }
      isAlive = false;
      destroy();
    };
    return buffer;
  };
}

/** What the device itself would only check against its real limits. */
function watchBindings(device) {
  const { maxStorageBufferBindingSize } = device.limits;
  const createBindGroup = device.createBindGroup.bind(device);
  device.createBindGroup = (descriptor) => {
    for (const { binding, resource } of descriptor.entries) {
      const size = resource.size ?? resource.buffer.size - (resource.offset ?? 0);
      assert.ok(
        size <= maxStorageBufferBindingSize,
        `binding ${binding} has ${size} bytes, more than the device takes`,
      );
    }
    return createBindGroup(descriptor);
  };
}

/** An adapter or device with some limits made smaller: those that code reads, and that the watchers hold it to. */
function withLimits(object, limits) {
  if (Object.keys(limits).length === 0) return;
  const real = object.limits;
  const names = new Set();
  for (let at = Object.getPrototypeOf(real); at !== null; at = Object.getPrototypeOf(at)) {
    for (const name of Object.getOwnPropertyNames(at)) if (typeof real[name] === 'number') names.add(name);
  }
  const all = Object.fromEntries([...names].map((name) => [name, real[name]]));
  Object.defineProperty(object, 'limits', { value: { ...all, ...limits } });
}

/**
 * A GPUDevice. subgroups: whether it has that feature; limits: smaller ones than it really has, by their names. All else
 * as the package's own request has it.
 */
export async function requestTestDevice({ subgroups = true, limits = {} } = {}) {
  const adapter = await requestAdapter();
  const wanted = ['maxBufferSize', 'maxStorageBufferBindingSize', 'maxComputeWorkgroupStorageSize'];
  const device = await adapter.requestDevice({
    requiredFeatures: subgroups ? ['subgroups'] : [],
    requiredLimits: Object.fromEntries(wanted.map((name) => [name, adapter.limits[name]])),
  });
  assert.equal(device.features.has('subgroups'), subgroups, 'the adapter of the tests has subgroups');
  withLimits(device, limits);
  return watched(device);
}

function watched(device) {
  watchBuffers(device);
  watchBindings(device);
  alive.add(device);
  device.lost.then(() => alive.delete(device));
  device.onuncapturederror = ({ error }) => uncaptured.push(error.message.slice(0, 300));
  return device;
}

/**
 * navigator.gpu as a page has it. Options change what it gives: `adapter` and `device` may return null or throw in place of
 * what is really there, `onDevice` sees each device.
 */
export function installNavigatorGpu({ adapter, device, onDevice = () => {} } = {}) {
  const request = async (options) => {
    const real = await requestAdapter(options);
    if (adapter !== undefined) return adapter(real);
    const requestDevice = real.requestDevice.bind(real);
    real.requestDevice = async (descriptor) => {
      if (device !== undefined) return device(() => requestDevice(descriptor).then(watched));
      const made = watched(await requestDevice(descriptor));
      onDevice(made);
      return made;
    };
    return real;
  };
  // Node 20 has no navigator.
  globalThis.navigator ??= {};
  Object.defineProperty(globalThis.navigator, 'gpu', {
    value: { requestAdapter: request },
    configurable: true,
  });
}

/** Waits until the queues of all devices are empty and no buffer is created or destroyed any more. */
export async function settle() {
  for (let before; before !== counts.created + counts.destroyed;) {
    before = counts.created + counts.destroyed;
    await Promise.all([...alive].map(({ queue }) => queue.onSubmittedWorkDone().catch(() => {})));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
