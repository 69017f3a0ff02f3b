// A layer with its tensors: makes all calls on WebGPU and compares their results with WebAssembly.
import { Tensor } from '../../../dist/index.js';
import { compileFor, makeLayer, shapes } from './exercise.js';

/**
 * Returns the largest difference relative to the largest expected element; Infinity if a value is not finite.
 */
export function relativeDifference(got, expected) {
  let [largest, difference] = [0, 0];
  for (let index = 0; index < expected.length; ++index) {
    largest = Math.max(largest, Math.abs(expected[index]));
    const current = Math.abs(got[index] - expected[index]);
    difference = Number.isFinite(current) ? Math.max(difference, current) : Infinity;
  }
  return got.length === expected.length ? difference / largest : Infinity;
}

export class Problem {
  constructor({ input, context, heads } = shapes) {
    const [batch, , height, width] = input;
    const keys = context[1];
    this.layer = makeLayer({ input, context, heads });
    this.tensors = {
      input: Tensor.randn(input, { seed: 1 }),
      context: Tensor.randn(context, { seed: 2 }),
      gradient: Tensor.randn(input, { seed: 3 }),
      mask: Tensor.randn([batch, heads, height * width, keys], { seed: 5 }),
    };
    const { layer, tensors } = this;
    const compute = () => layer.forwardWithContext(tensors.input, tensors.context);
    this.expected = {
      forward: valuesOf(compute()),
      masked: valuesOf(layer.forwardWithContext(tensors.input, tensors.context, { mask: tensors.mask })),
    };
    layer.training = true;
    compute().dispose();
    this.expected.inputGradient = valuesOf(layer.backward(tensors.gradient));
    this.expected.contextGradient = layer.contextGradient.data();
    this.expected.parameterGradients = layer.getParameterGradients();
    layer.training = false;
    layer.resetState();
    layer.clearGradients();
  }

  /**
   * Runs the forward pass, training and a compiled graph with tensors at `location`. Returns { differences,
   * devices, locations } by call. `beforeEach` is called with the name of each call before it.
   */
  async callAll(location, beforeEach = () => {}) {
    const { layer, expected } = this;
    const moved = {};
    for (const [name, tensor] of Object.entries(this.tensors)) moved[name] = await tensor.to(location);
    const [differences, devices, locations] = [{}, {}, {}];
    const record = async (call, tensor, source = layer) => {
      differences[call] = relativeDifference(await tensor.dataAsync(), expected[call] ?? expected.forward);
      locations[call] = tensor.location;
      devices[call] = source.explain();
      tensor.dispose();
    };
    await beforeEach('forward');
    await record('forward', await layer.forwardAsync(moved.input, moved.context));
    await beforeEach('masked');
    await record('masked', await layer.forwardAsync(moved.input, moved.context, { mask: moved.mask }));

    layer.training = true;
    await beforeEach('training');
    await record('training', await layer.forwardAsync(moved.input, moved.context));
    await beforeEach('inputGradient');
    await record('inputGradient', await layer.backwardAsync(moved.gradient));
    differences.contextGradient = relativeDifference(
      await layer.contextGradient.dataAsync(),
      expected.contextGradient,
    );
    differences.parameterGradients = relativeDifference(
      layer.getParameterGradients(),
      expected.parameterGradients,
    );
    layer.training = false;
    layer.clearGradients();
    layer.resetState();

    const compiled = await compileFor(layer, this.tensors.input, this.tensors.context);
    for (const call of ['run', 'run again']) {
      await beforeEach(call);
      await record(call, await compiled.runAsync(moved.input), compiled);
    }
    for (const owner of [compiled, ...Object.values(moved)]) owner.dispose();
    return { differences, devices, locations };
  }

  dispose() {
    for (const owner of [this.layer, ...Object.values(this.tensors)]) owner.dispose();
  }
}

function valuesOf(tensor) {
  const values = tensor.data();
  tensor.dispose();
  return values;
}
