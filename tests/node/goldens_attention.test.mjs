// Compares the layer with diffusers' Attention: the output and all gradients of the golden files.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { goldenInput, readGolden } from '../support/goldens.mjs';
import { DiffusionCrossAttention, Tensor } from '../support/package.mjs';

const names = [
  'plain',
  'image',
  'self',
  'mask',
  'bias',
  'no-out-bias',
  'inner-dim',
  'unscaled',
  'qk-layer-norm',
  'qk-rms-norm',
];
/** Allowed errors relative to the largest element; golden files store float32. */
const tolerances = { float32: 2e-5, float64: 1e-6 };

/** Returns the layer that a configuration of diffusers describes, with the golden parameters. */
function layerOf({ config, parameters }, dtype) {
  const layer = new DiffusionCrossAttention(
    config.query_dim,
    config.cross_attention_dim ?? config.query_dim,
    config.heads,
    8,
    {
      dtype,
      headDim: config.dim_head,
      bias: config.bias ?? false,
      outputBias: config.out_bias ?? true,
      queryKeyNorm: config.qk_norm ?? 'none',
      ...(config.scale_qk === false && { scale: 1 }),
    },
  );
  assert.deepEqual(new Set(layer.getParameterNames()), new Set(Object.keys(parameters)));
  for (const [name, { shape, values }] of Object.entries(parameters)) {
    const value = Tensor.from(values, shape, dtype);
    assert.ok(layer.setParameter(name, value), name);
    value.dispose();
  }
  return layer;
}

function maskOf({ attentionMask }, dtype) {
  if (attentionMask === undefined) return null;
  const values = goldenInput('attentionMask', attentionMask);
  const additive = values.map((value) => (value > -0.3 ? 0 : -10000));
  return Tensor.from(additive, attentionMask.shape, dtype);
}

/** Returns the largest error of `actual`, relative to the largest element that is expected. */
function relativeError(actual, { shape, values }, name) {
  assert.deepEqual([...actual.shape], shape, name);
  const data = actual.data();
  const largest = values.reduce((max, value) => Math.max(max, Math.abs(value)), 1e-3);
  return values.reduce((max, value, index) => Math.max(max, Math.abs(data[index] - value)), 0) / largest;
}

for (const name of names) {
  for (const [dtype, tolerance] of Object.entries(tolerances)) {
    test(`attention-${name} in ${dtype}`, (t) => {
      const golden = readGolden(`attention-${name}`);
      const { inputs, outputs } = golden;
      const tensorOf = (input) => input && Tensor.from(input.values, input.shape, dtype);
      const layer = layerOf(golden, dtype);
      layer.training = true;
      const input = tensorOf(inputs.hiddenStates);
      const context = tensorOf(inputs.encoderHiddenStates) ?? null;
      const mask = maskOf(inputs, dtype);
      const errors = {};
      const check = (key, tensor) => (errors[key] = relativeError(tensor, outputs[key], key));
      check('output', layer.forwardWithContext(input, context, { mask }));
      check('inputGradient', layer.backward(tensorOf(inputs.outputGradient)));
      if (context !== null) check('contextGradient', layer.contextGradient);
      const gradients = layer.getParameterGradients();
      let begin = 0;
      for (const parameter of layer.getParameterNames()) {
        const shape = layer.getParameterShape(parameter);
        const end = begin + shape.reduce((product, size) => product * size, 1);
        check(`gradient.${parameter}`, Tensor.from(gradients.slice(begin, end), shape));
        begin = end;
      }
      assert.equal(begin, gradients.length);
      assert.deepEqual(new Set(Object.keys(errors)), new Set(Object.keys(outputs)));
      t.diagnostic(`largest relative error ${Math.max(...Object.values(errors)).toExponential(1)}`);
      for (const [key, error] of Object.entries(errors)) assert.ok(error <= tolerance, `${key}: ${error}`);
      layer.dispose();
    });
  }
}
