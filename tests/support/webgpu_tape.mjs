// Runs single operators of the denoiser's tape: uploads inputs, reads the output and all gradients.
import {
  Device,
  ParameterBuffers,
  possibleTilings,
  Recorder,
  Tape,
} from '../../build/for_tests/denoiser_webgpu.js';
import { requestTestDevice } from './webgpu.mjs';

/** Returns a device for tapes. Must be disposed. */
export async function tapeBench() {
  const device = new Device(await requestTestDevice());
  const parameters = new ParameterBuffers(device);
  const strategy = { tilings: possibleTilings(device)[0], attention: 'parts' };

  /**
   * Submits the commands that `record` records on a new tape, then calls `read(result of record,
   * readBuffer)`.
   */
  async function submit(record, read) {
    const recorder = new Recorder(device, parameters);
    const tape = new Tape(device, recorder, strategy);
    try {
      const recorded = await device.guarded(async () => record(tape));
      const submitCommands = await recorder.prepare();
      return await device.guarded(async () => {
        submitCommands();
        return read(recorded, ({ buffer, offset = 0 }, count) => device.read(buffer, offset, 4 * count));
      });
    } finally {
      tape.dispose();
    }
  }

  /** Uploads a value. Integers are inputs without a gradient. */
  function put(tape, { shape, values }, isInteger = false) {
    const value = isInteger ? tape.input('test', shape) : tape.value('test', shape);
    device.upload(value.binding.buffer, 0, isInteger ? Uint32Array.from(values) : Float32Array.from(values));
    return value;
  }

  /**
   * Returns {output, gradients} of operator(tape, …values). The gradients are those of Σ outputGradient ·
   * output, one per input. `integerInputs`: indices of inputs that are integers and have no gradient.
   */
  function differentiate(operator, inputs, outputGradient, integerInputs = []) {
    return submit(
      (tape) => {
        const values = inputs.map((input, index) => put(tape, input, integerInputs.includes(index)));
        const output = operator(tape, ...values);
        device.upload(tape.target(output).binding.buffer, 0, Float32Array.from(outputGradient));
        tape.backward();
        return { output, values };
      },
      async ({ output, values }, read) => ({
        output: await read(output.binding, outputGradient.length),
        gradients: await Promise.all(
          values.map(({ gradient }, index) => gradient && read(gradient, inputs[index].values.length)),
        ),
      }),
    );
  }

  const dispose = () => {
    parameters.dispose();
    device.gpu.destroy();
  };
  return { device, submit, put, differentiate, dispose };
}
