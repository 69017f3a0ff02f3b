// WebGPU in Node with Dawn (npm `webgpu`). Buffers of devices are counted, errors are collected, and tests
// select features and limits. Environment variables set by tools/lib/webgpu.mjs select the adapter. This
// module has no top-level await, so that webgpu_package.mjs is the first to call init.
import assert from 'node:assert/strict';
import { create, globals } from 'webgpu';

for (const [name, value] of Object.entries(globals)) globalThis[name] ??= value;

/** The global reference keeps Dawn alive: when it is collected, it ends the process. */
const gpu = create([]);
globalThis.dawnReference = gpu;

async function requestAdapter(options) {
  const adapter = await gpu.requestAdapter(options);
  if (adapter !== null) return adapter;
  throw new Error(
    `no WebGPU adapter; VK_DRIVER_FILES is ${process.env.VK_DRIVER_FILES ?? 'not set'}; ` +
      'expected the value that tools/lib/webgpu.mjs sets, as in `npm test -- --only webgpu`',
  );
}

/** Counts the buffers of all devices of this process. */
export const counts = { created: 0, destroyed: 0, alive: 0, bytes: 0 };
const uncaptured = [];
/** The devices that are not lost. */
const alive = new Set();

/** Throws if a device reported an error outside error scopes. */
export function assertNoUncapturedErrors() {
  assert.deepEqual(uncaptured.splice(0), [], 'expected no uncaptured errors');
}

function watchBuffers(device) {
  const { maxBufferSize } = device.limits;
  const createBuffer = device.createBuffer.bind(device);
  device.createBuffer = (descriptor) => {
    assert.ok(
      descriptor.size <= maxBufferSize,
      `buffer '${descriptor.label}' has ${descriptor.size} bytes; expected at most ${maxBufferSize}`,
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

/** Checks the sizes of bindings against the reduced limits; the device itself checks only its real limits. */
function watchBindings(device) {
  const { maxStorageBufferBindingSize } = device.limits;
  const createBindGroup = device.createBindGroup.bind(device);
  device.createBindGroup = (descriptor) => {
    for (const { binding, resource } of descriptor.entries) {
      const size = resource.size ?? resource.buffer.size - (resource.offset ?? 0);
      assert.ok(
        size <= maxStorageBufferBindingSize,
        `binding ${binding} has ${size} bytes; expected at most ${maxStorageBufferBindingSize}`,
      );
    }
    return createBindGroup(descriptor);
  };
}

/** Reduces limits of an adapter or device, as the package reads them and the watchers above check them. */
function withLimits(object, limits) {
  if (Object.keys(limits).length === 0) return;
  const real = object.limits;
  const names = new Set();
  let prototype = Object.getPrototypeOf(real);
  for (; prototype !== null; prototype = Object.getPrototypeOf(prototype)) {
    const own = Object.getOwnPropertyNames(prototype);
    for (const name of own) if (typeof real[name] === 'number') names.add(name);
  }
  const all = Object.fromEntries([...names].map((name) => [name, real[name]]));
  Object.defineProperty(object, 'limits', { value: { ...all, ...limits } });
}

/**
 * Returns a GPUDevice as the package requests it. subgroups: whether it has this feature. limits: reduced
 * limits by name.
 */
export async function requestTestDevice({ subgroups = true, limits = {} } = {}) {
  const adapter = await requestAdapter();
  const limitNames = ['maxBufferSize', 'maxStorageBufferBindingSize', 'maxComputeWorkgroupStorageSize'];
  const device = await adapter.requestDevice({
    requiredFeatures: subgroups ? ['subgroups'] : [],
    requiredLimits: Object.fromEntries(limitNames.map((name) => [name, adapter.limits[name]])),
  });
  assert.equal(device.features.has('subgroups'), subgroups, 'expected the adapter to have subgroups');
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
 * Defines navigator.gpu as in a browser. `adapter` and `device` may replace the real adapter and device,
 * return null or throw. `onDevice` is called with each device.
 */
export function installNavigatorGpu({ adapter, device, onDevice = () => {} } = {}) {
  const request = async (options) => {
    const real = await requestAdapter(options);
    if (adapter !== undefined) return adapter(real);
    const requestDevice = real.requestDevice.bind(real);
    real.requestDevice = async (descriptor) => {
      if (device !== undefined) return device(() => requestDevice(descriptor).then(watched));
      const created = watched(await requestDevice(descriptor));
      onDevice(created);
      return created;
    };
    return real;
  };
  // Node 20 does not define navigator.
  globalThis.navigator ??= {};
  Object.defineProperty(globalThis.navigator, 'gpu', {
    value: { requestAdapter: request },
    configurable: true,
  });
}

/** Waits until the queues of all devices are empty and buffers are no longer created or destroyed. */
export async function settle() {
  for (let before; before !== counts.created + counts.destroyed;) {
    before = counts.created + counts.destroyed;
    await Promise.all([...alive].map(({ queue }) => queue.onSubmittedWorkDone().catch(() => {})));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
