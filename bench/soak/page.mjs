// The page of the soak test: starts the package and computes until the page is left, in mid-call. Its devices
// are lost from time to time.
import * as library from '../../dist/index.js';
import { runRound } from './load.mjs';

const devices = [];
if (globalThis.GPUAdapter) {
  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = async function (...args) {
    const device = await requestDevice.apply(this, args);
    devices.push(device);
    return device;
  };
}

const query = new URLSearchParams(location.search);
await library.init({ device: query.get('device'), threads: 2 });
globalThis.soak = {
  rounds: 0,
  error: null,
  loseDevice: () => devices.at(-1)?.destroy(),
  state: () => ({ inUse: library.memoryInUse(), buffers: library.gpuMemoryInUse().buffers }),
};
try {
  for (;;) {
    await runRound(library, globalThis.soak.rounds);
    globalThis.soak.rounds++;
  }
} catch (error) {
  globalThis.soak.error = String(error.stack ?? error);
}
