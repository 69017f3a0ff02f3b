// Training: gradient descent with updateParameters reduces the loss and follows the formula exactly.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { joinParameters, normalTensor, scoped, splitParameters, withCase } from '../support/cases.mjs';
import { assertClose, assertSameBits } from '../support/compare.mjs';
import { assertThrows } from '../support/errors.mjs';
import {
  AdamOptimizer,
  ArgumentError,
  DiffusionCrossAttention,
  memoryInUse,
  Tensor,
} from '../support/package.mjs';
import { forward } from '../support/reference.mjs';
import { backward } from '../support/reference_backward.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaves memory in use'));

/** Returns the mean squared error and its gradient. */
function meanSquaredError(output, target) {
  const differences = output.map((value, index) => value - target[index]);
  return {
    loss: differences.reduce((sum, d) => sum + d * d, 0) / output.length,
    gradient: differences.map((d) => (2 * d) / output.length),
  };
}

describe('gradient descent', () => {
  for (const [name, extra] of [
    ['cross-attention', {}],
    ['self-attention', { contextDim: 12, length: null }],
  ]) {
    test(`20 steps match the reference in float64, ${name}`, () => {
      const size = { batch: 2, height: 3, width: 4, queryDim: 12, contextDim: 7, numHeads: 3, length: 5 };
      const description = { ...size, ...extra, dtype: 'float64', layout: 'tokens' };
      withCase(description, ({ layer, input, context, problem }, own) => {
        const target = own(normalTensor(input.shape, 8, { dtype: 'float64' })).data();
        const rate = 0.5;
        layer.training = true;
        let parameters = { ...problem.parameters };
        for (let step = 0; step < 20; ++step) {
          const loss = scoped((ownStep) => {
            const output = ownStep(layer.forwardWithContext(input, context)).data();
            const error = meanSquaredError(output, target);
            ownStep(layer.backward(ownStep(Tensor.from(error.gradient, input.shape))));
            layer.updateParameters(rate);
            return error.loss;
          });
          const current = { ...problem, parameters };
          const error = meanSquaredError(forward(current), target);
          const gradients = backward(current, error.gradient);
          parameters = Object.fromEntries(
            Object.entries(parameters).map(([key, values]) => [
              key,
              values.map((value, index) => value - rate * gradients[key][index]),
            ]),
          );
          assert.ok(
            Math.abs(loss - error.loss) <= 1e-10,
            `step ${step}: loss ${loss}; expected ${error.loss}`,
          );
          assertClose(
            layer.getParameters(),
            joinParameters(parameters),
            1e-10,
            `parameters after step ${step}`,
          );
        }
      });
    });
  }

  for (const dtype of ['float32', 'float64']) {
    test(`the loss of a small regression decreases, ${dtype}`, () =>
      scoped((own) => {
        // The target is the output of another layer of the same shape, so it can be reached.
        const make = (seed) => own(new DiffusionCrossAttention(8, 6, 2, 4, { dtype, seed }));
        const [teacher, student] = [make(1), make(2)];
        const input = own(normalTensor([4, 8, 4, 4], 3, { dtype }));
        const context = own(normalTensor([4, 5, 6], 4, { dtype }));
        const target = own(teacher.forwardWithContext(input, context)).data();
        student.training = true;
        const losses = [];
        for (let step = 0; step < 400; ++step) {
          scoped((ownStep) => {
            const output = ownStep(student.forwardWithContext(input, context)).data();
            const { loss, gradient } = meanSquaredError(output, target);
            losses.push(loss);
            ownStep(student.backward(ownStep(Tensor.from(gradient, input.shape, dtype))));
            student.updateParameters(0.3);
          });
        }
        const means = Array.from({ length: 8 }, (_, part) => mean(losses.slice(part * 50, part * 50 + 50)));
        for (let part = 1; part < means.length; ++part) {
          assert.ok(means[part] < means[part - 1], `the mean losses do not decrease: ${means.join(', ')}`);
        }
        assert.ok(means[7] < 0.2 * losses[0], `the last loss is ${means[7]}; expected < ${0.2 * losses[0]}`);
      }));
  }

  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
});

describe('updateParameters', () => {
  const withGradients = (dtype, work) =>
    withCase(
      { dtype, height: 3, queryDim: 8, contextDim: 4, numHeads: 2, length: 5 },
      ({ layer, input, context }, own) => {
        layer.training = true;
        own(layer.forwardWithContext(input, context));
        own(layer.backward(own(normalTensor(input.shape, 9, { dtype }))));
        work(layer);
      },
    );

  test('subtracts learningRate times the gradients, then clears them: float64', () =>
    withGradients('float64', (layer) => {
      const [parameters, gradients] = [layer.getParameters(), layer.getParameterGradients()];
      layer.updateParameters(0.25);
      // 0.25·g is exact, so there is one rounding with and without fused multiply-add.
      assertSameBits(
        layer.getParameters(),
        parameters.map((value, index) => value - 0.25 * gradients[index]),
        'parameters',
      );
      assert.ok(layer.getParameterGradients().every((gradient) => gradient === 0));
    }));

  test('the same in float32', () =>
    withGradients('float32', (layer) => {
      const [parameters, gradients] = [layer.getParameters(), layer.getParameterGradients()];
      layer.updateParameters(0.5);
      const expected = parameters.map((value, index) => value - 0.5 * gradients[index]);
      assertSameBits(layer.getParameters(), expected, 'parameters');
    }));

  test('rates of 0 and negative rates are valid', () =>
    withGradients('float64', (layer) => {
      const [parameters, gradients] = [layer.getParameters(), layer.getParameterGradients()];
      layer.updateParameters(-1);
      const expected = parameters.map((value, index) => value + gradients[index]);
      assertSameBits(layer.getParameters(), expected, 'parameters');
      layer.updateParameters(0);
      assertSameBits(layer.getParameters(), expected, 'parameters');
    }));

  test('a rate that is not a finite number is an ArgumentError and changes nothing', () =>
    withGradients('float64', (layer) => {
      const [parameters, gradients] = [layer.getParameters(), layer.getParameterGradients()];
      for (const rate of [NaN, Infinity, -Infinity, '0.1', null, undefined, {}, 1n]) {
        assertThrows(() => layer.updateParameters(rate), ArgumentError, 'learningRate', 'a finite number');
      }
      assertSameBits(layer.getParameters(), parameters, 'parameters');
      assertSameBits(layer.getParameterGradients(), gradients, 'gradients');
    }));
});

test('training accepts true and false, and returns its value', () =>
  scoped((own) => {
    const layer = own(new DiffusionCrossAttention(4, 4, 1, 1));
    assert.equal(layer.training, false);
    layer.training = true;
    assert.equal(layer.training, true);
    for (const wrong of [1, 'true', null, undefined, {}]) {
      assertThrows(() => (layer.training = wrong), ArgumentError, 'training', 'true or false');
    }
    assert.equal(layer.training, true);
    layer.training = false;
    assert.equal(layer.training, false);
  }));

test('the reference and the layer agree on the names and order of the parameters', () =>
  scoped((own) => {
    const layer = own(new DiffusionCrossAttention(4, 6, 2, 1, { seed: 1, dtype: 'float64' }));
    const parts = splitParameters(layer, layer.getParameters());
    assertSameBits(joinParameters(parts), layer.getParameters(), 'parameters');
    assert.deepEqual(
      Object.values(parts).map((values) => values.length),
      [16, 24, 24, 16, 4],
    );
  }));

describe('trainable parameters', () => {
  const size = { batch: 2, height: 4, queryDim: 8, contextDim: 6, numHeads: 2, length: 5 };
  const names = ['to_q.weight', 'to_k.weight', 'to_v.weight', 'to_out.0.weight', 'to_out.0.bias'];

  const gradientsOf = async ({ layer, input, context }, isAsync) => {
    layer.training = true;
    return scoped(async (own) => {
      const outputGradient = own(normalTensor(input.shape, 9, { dtype: layer.dtype }));
      own(layer.forwardWithContext(input, context));
      const backwardPass = isAsync ? layer.backwardAsync(outputGradient) : layer.backward(outputGradient);
      const inputGradient = own(await backwardPass).data();
      return [inputGradient, layer.contextGradient.data(), layer.getParameterGradients()];
    });
  };

  for (const isAsync of [false, true]) {
    for (const trainable of [[], ['to_k.weight', 'to_v.weight'], ['to_out.0.bias'], names]) {
      test(`${isAsync ? 'backwardAsync' : 'backward'}: only ${JSON.stringify(trainable)}`, () =>
        withCase(size, async (made) => {
          const { layer } = made;
          assert.deepEqual(layer.trainableParameters, names);
          const [input, context, all] = await gradientsOf(made, isAsync);
          layer.clearGradients();
          layer.setTrainableParameters([...trainable].reverse());
          assert.deepEqual(layer.trainableParameters, trainable);
          layer.trainableParameters.push('to_x');
          const actual = await gradientsOf(made, isAsync);
          const parts = splitParameters(layer, all);
          Object.keys(parts).forEach((key, index) => {
            if (!trainable.includes(names[index])) parts[key].fill(0);
          });
          assertSameBits(actual[0], input, 'input gradient');
          assertSameBits(actual[1], context, 'context gradient');
          assertSameBits(Float64Array.from(actual[2]), joinParameters(parts), 'gradients');
          layer.setTrainableParameters(names);
          layer.clearGradients();
          assertSameBits((await gradientsOf(made, isAsync))[2], all, 'gradients');
        }));
    }
  }

  test('frozen gradients stay as they are, and an AdamOptimizer leaves frozen parameters', () =>
    withCase(size, async (made, own) => {
      const { layer } = made;
      const [, , gradients] = await gradientsOf(made, false);
      layer.setTrainableParameters([]);
      await gradientsOf(made, false);
      assertSameBits(layer.getParameterGradients(), gradients, 'gradients');
      layer.setTrainableParameters(['to_out.0.bias']);
      const before = layer.getParameters();
      const optimizer = own(new AdamOptimizer(layer, { weightDecay: 0.5 }));
      layer.setTrainableParameters(names);
      optimizer.step();
      const after = layer.getParameters();
      assertSameBits(after.subarray(0, -8), before.subarray(0, -8), 'frozen parameters');
      assert.ok(after.subarray(-8).every((value, index) => value !== before.at(index - 8)));
    }));

  test('wrong names are ArgumentErrors and change nothing', () =>
    withCase(size, ({ layer }) => {
      layer.setTrainableParameters(['to_q.weight']);
      for (const wrong of [undefined, null, 'to_q.weight', [1], ['to_k.weight', 'to_q'], new Set(names)]) {
        assertThrows(() => layer.setTrainableParameters(wrong), ArgumentError, 'names');
      }
      assert.deepEqual(layer.trainableParameters, ['to_q.weight']);
    }));
});
