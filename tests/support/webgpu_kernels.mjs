// Runs single kernels: uploads numbers, records commands, reads the results.
import { Device, ParameterBuffers, Recorder, Scratch } from '../../build/for_tests/webgpu.js';
import { requestTestDevice } from './webgpu.mjs';

/** Returns a device for kernels and the objects that a recording needs. Must be disposed. */
export async function kernelBench(options) {
  const device = new Device(await requestTestDevice(options));
  const parameters = new ParameterBuffers(device);
  const scratch = new Scratch(device);
  const owned = [];
  return {
    device,
    scratch,
    /** Uploads values to a buffer that is valid until the end of the next `take`. */
    put(values) {
      const storage = device.memory.createStorage('test', values.byteLength);
      owned.push(storage);
      device.upload(storage.buffer, 0, values);
      return storage.buffer;
    },
    /**
     * Submits the commands that `work` records, returns the contents of `buffers` and frees the uploaded
     * values.
     */
    async take(buffers, work) {
      try {
        const recorder = new Recorder(device, parameters);
        await device.guarded(async () => work(recorder));
        const submit = await recorder.prepare();
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
