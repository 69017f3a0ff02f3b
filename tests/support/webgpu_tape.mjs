// Operators of the denoiser's tape one by one: numbers in, the output and all gradients out.
import { forTests } from '../../dist/denoiser_webgpu.js';
import { requestTestDevice } from './webgpu.mjs';

const { Device, ParameterBuffers, possibleTilings, Recorder, Tape } = forTests;

/** A device for tapes. dispose() it. */
export async function tapeBench() {
  const device = new Device(await requestTestDevice());
  const numbers = new ParameterBuffers(device);
  const strategy = { tilings: possibleTilings(device)[0], attention: 'parts' };

  /** Submits what `record` records on a tape of its own; `read(buffer)` is to be used on what it returns. */
  async function submit(record, read) {
    const recorder = new Recorder(device, numbers);
    const tape = new Tape(device, recorder, strategy);
    try {
      const recorded = await device.guarded(async () => record(tape));
      const go = await recorder.ready();
      return await device.guarded(async () => {
        go();
        return read(recorded, ({ buffer, offset = 0 }, count) => device.read(buffer, offset, 4 * count));
      });
    } finally {
      tape.dispose();
    }
  }

  /** A value with these numbers. */
  function put(tape, { shape, values }, isWhole = false) {
    const value = isWhole ? tape.input('test', shape) : tape.value('test', shape);
    device.upload(value.binding.buffer, 0, isWhole ? Uint32Array.from(values) : Float32Array.from(values));
    return value;
  }

  /**
   * {output, gradients: one an input} of operator(tape, …values): d(Σ outputGradient · output). `whole`: numbers of inputs
   * that are whole numbers and have no gradient.
   */
  function differentiate(operator, inputs, outputGradient, whole = []) {
    return submit(
      (tape) => {
        const values = inputs.map((input, number) => put(tape, input, whole.includes(number)));
        const output = operator(tape, ...values);
        device.upload(tape.target(output).binding.buffer, 0, Float32Array.from(outputGradient));
        tape.backward();
        return { output, values };
      },
      async ({ output, values }, read) => ({
        output: await read(output.binding, outputGradient.length),
        gradients: await Promise.all(
          values.map(({ gradient }, number) => gradient && read(gradient, inputs[number].values.length)),
        ),
      }),
    );
  }

  const dispose = () => {
    numbers.dispose();
    device.gpu.destroy();
  };
  return { device, submit, put, differentiate, dispose };
}
