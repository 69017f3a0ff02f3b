// Kernels one by one: numbers into GPU memory, commands, numbers out.
import { forTests } from '../../dist/webgpu.js';
import { requestTestDevice } from './webgpu.mjs';

const { Device, ParameterBuffers, Recorder, Scratch } = forTests;

/** A device for kernels, with what a recording needs. dispose() it. */
export async function kernelBench(options) {
  const device = new Device(await requestTestDevice(options));
  const parameters = new ParameterBuffers(device);
  const scratch = new Scratch(device);
  const owned = [];
  return {
    device,
    scratch,
    /** A buffer of these numbers, until the next `take`. */
    put(values) {
      const storage = device.memory.createStorage('test', values.byteLength);
      owned.push(storage);
      device.upload(storage.buffer, 0, values);
      return storage.buffer;
    },
    /** Submits what `work` records; the numbers of these buffers after it. All that was put is gone then. */
    async take(buffers, work) {
      try {
        const recorder = new Recorder(device, parameters);
        await device.guarded(async () => work(recorder));
        const submit = await recorder.ready();
        return await device.guarded(async () => {
          submit();
          return Promise.all(buffers.map((buffer) => device.read(buffer, 0, buffer.size)));
        });
      } finally {
        owned.splice(0).forEach((storage) => storage.release());
      }
    },
    dispose() {
      parameters.dispose();
      scratch.dispose();
      device.gpu.destroy();
    },
  };
}
