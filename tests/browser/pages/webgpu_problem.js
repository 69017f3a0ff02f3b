// A layer and its tensors; every way of calling it on WebGPU, against the result of WebAssembly.
import { Tensor } from '../../../dist/index.js';
import { compileFor, makeLayer, shapes } from './exercise.js';

/** Of the largest element that is expected; Infinity where anything is not finite. */
export function relativeDifference(got, expected) {
  let [largest, difference] = [0, 0];
  for (let index = 0; index < expected.length; ++index) {
    largest = Math.max(largest, Math.abs(expected[index]));
    const here = Math.abs(got[index] - expected[index]);
    difference = Number.isFinite(here) ? Math.max(difference, here) : Infinity;
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
   * Forward, training and a compiled graph with the tensors at a place: { differences, devices }, by what was computed;
   * `beforeEach` is told which one comes.
   */
  async callAll(location, beforeEach = () => {}) {
    const { layer, expected } = this;
    const here = {};
    for (const [name, tensor] of Object.entries(this.tensors)) here[name] = await tensor.to(location);
    const [differences, devices, places] = [{}, {}, {}];
    const note = async (what, tensor, from = layer) => {
      differences[what] = relativeDifference(await tensor.dataAsync(), expected[what] ?? expected.forward);
      places[what] = tensor.location;
      if (from) devices[what] = from.explain();
      tensor.dispose();
    };
    await beforeEach('forward');
    await note('forward', await layer.forwardAsync(here.input, here.context));
    await beforeEach('masked');
    await note('masked', await layer.forwardAsync(here.input, here.context, { mask: here.mask }));

    layer.training = true;
    await beforeEach('training');
    await note('training', await layer.forwardAsync(here.input, here.context));
    await beforeEach('inputGradient');
    await note('inputGradient', await layer.backwardAsync(here.gradient));
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
    for (const what of ['run', 'run again']) {
      await beforeEach(what);
      await note(what, await compiled.runAsync(here.input), compiled);
    }
    for (const owner of [compiled, ...Object.values(here)]) owner.dispose();
    return { differences, devices, places };
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
