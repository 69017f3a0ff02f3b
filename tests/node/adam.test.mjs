// AdamOptimizer: steps against a reference in float64, options, states in files, memory and errors. And the
// option `only` of updateParameters.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { normalTensor, scoped, sizeOf, withCase } from '../support/cases.mjs';
import { collectGarbage } from '../support/collect_garbage.mjs';
import { assertClose, assertSameBits } from '../support/compare.mjs';
import { assertThrows } from '../support/errors.mjs';
import {
  AdamOptimizer,
  ArgumentError,
  CrossAttentionError,
  DiffusionCrossAttention,
  DisposedError,
  memoryInUse,
  Tensor,
  WeightsError,
} from '../support/package.mjs';
import { assembleFile, parseSafetensors } from '../support/safetensors.mjs';
import { names } from '../support/small_layer.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaves memory in use'));

const size = { batch: 2, height: 3, width: 5, queryDim: 12, contextDim: 7, numHeads: 3, length: 5 };
/** Adds gradients of another direction for every `seed`. */
function addGradients({ layer, input, context }, seed) {
  layer.training = true;
  scoped((own) => {
    own(layer.forwardWithContext(input, context));
    own(layer.backward(own(normalTensor(input.shape, seed, { dtype: layer.dtype }))));
  });
}

/** torch.optim.AdamW as its documentation prints it. Returns a function that takes a step. */
function reference(initial, { learningRate, betas: [beta1, beta2], epsilon, weightDecay }) {
  const values = Float64Array.from(initial);
  const [mean, square] = [new Float64Array(values.length), new Float64Array(values.length)];
  let step = 0;
  return (gradients, rate = learningRate) => {
    ++step;
    for (let i = 0; i < values.length; ++i) {
      const g = gradients[i];
      values[i] -= rate * weightDecay * values[i];
      mean[i] = beta1 * mean[i] + (1 - beta1) * g;
      square[i] = beta2 * square[i] + (1 - beta2) * g * g;
      const v = square[i] / (1 - beta2 ** step);
      values[i] -= (rate * (mean[i] / (1 - beta1 ** step))) / (Math.sqrt(v) + epsilon);
    }
    return values;
  };
}

/** The indices of a parameter in the flat array. */
function rangeOf(layer, name) {
  let begin = 0;
  for (const other of layer.getParameterNames()) {
    const end = begin + sizeOf(layer.getParameterShape(other));
    if (other === name) return [begin, end];
    begin = end;
  }
  return assert.fail(name);
}

const defaults = { learningRate: 1e-3, betas: [0.9, 0.999], epsilon: 1e-8, weightDecay: 0 };

describe('steps', () => {
  const variations = {
    'default options': {},
    'weight decay': { learningRate: 0.01, weightDecay: 0.1 },
    'other decays and epsilon': { learningRate: 0.02, betas: [0.5, 0.75], epsilon: 1e-3 },
    'decays of 0': { learningRate: 0.02, betas: [0, 0], epsilon: 0.1 },
    'slow decays': { betas: [0.99, 0.99999], weightDecay: 1 },
  };
  for (const [name, options] of Object.entries(variations)) {
    for (const dtype of ['float32', 'float64']) {
      test(`50 steps match torch's formulas: ${name}, ${dtype}`, () =>
        withCase({ ...size, dtype }, (made, own) => {
          const { layer } = made;
          const optimizer = own(new AdamOptimizer(layer, options));
          const expect = reference(layer.getParameters(), { ...defaults, ...options });
          for (let step = 1; step <= 50; ++step) {
            addGradients(made, step);
            const expected = expect(layer.getParameterGradients());
            optimizer.step();
            // In float32, a step of at most 0.06 has an error of 1e-6 of itself, and each value of up to 1
            // is rounded once in a step.
            assertClose(layer.getParameters(), expected, dtype === 'float32' ? 3e-6 : 1e-13, `step ${step}`);
            assert.ok(layer.getParameterGradients().every((value) => value === 0));
            assert.equal(optimizer.steps, step);
          }
        }));
    }
  }

  test('learningRate of one step does not change that of the others', () =>
    withCase({ ...size, dtype: 'float64' }, (made, own) => {
      const { layer } = made;
      const optimizer = own(new AdamOptimizer(layer, { learningRate: 0.01 }));
      const expect = reference(layer.getParameters(), { ...defaults, learningRate: 0.01 });
      for (const learningRate of [undefined, 0.5, 0, undefined]) {
        addGradients(made, 3);
        const expected = expect(layer.getParameterGradients(), learningRate);
        optimizer.step(learningRate === undefined ? undefined : { learningRate });
        assertClose(layer.getParameters(), expected, 1e-13, `a rate of ${learningRate}`);
      }
    }));

  for (const only of [
    ['to_k.weight', 'to_v.weight'],
    ['to_out.0.bias', 'to_q.weight', 'to_q.weight'],
    names,
  ]) {
    test(`only ${only.join(', ')}`, () =>
      withCase({ ...size, dtype: 'float64' }, (made, own) => {
        const { layer } = made;
        const initial = layer.getParameters();
        const optimizer = own(new AdamOptimizer(layer, { only, weightDecay: 0.1 }));
        const expect = reference(initial, { ...defaults, weightDecay: 0.1 });
        for (let step = 1; step <= 3; ++step) {
          addGradients(made, step);
          const expected = expect(layer.getParameterGradients());
          optimizer.step();
          const actual = layer.getParameters();
          for (const name of names) {
            const range = rangeOf(layer, name);
            const values = actual.subarray(...range);
            if (only.includes(name)) assertClose(values, expected.subarray(...range), 1e-13, name);
            else assertSameBits(values, initial.subarray(...range), name);
          }
          assert.ok(layer.getParameterGradients().every((value) => value === 0));
        }
      }));
  }

  test('of two optimizers of one layer, the second finds the gradients cleared', () =>
    withCase(size, (made, own) => {
      const { layer } = made;
      const [first, second] = ['to_q.weight', 'to_k.weight'].map((name) =>
        own(new AdamOptimizer(layer, { only: [name] })),
      );
      addGradients(made, 1);
      first.step();
      const before = layer.getParameters();
      second.step();
      assertSameBits(layer.getParameters(), before, 'parameters');
      assert.deepEqual([first.steps, second.steps], [1, 1]);
    }));

  test('a parameter whose gradients are zero stays, also with epsilon 0', () =>
    withCase(size, ({ layer }, own) => {
      const initial = layer.getParameters();
      const optimizer = own(new AdamOptimizer(layer, { epsilon: 0 }));
      for (let step = 0; step < 3; ++step) optimizer.step();
      assertSameBits(layer.getParameters(), initial, 'parameters');
      assert.equal(optimizer.steps, 3);
    }));

  test('the loss of a small regression falls by a factor of 100', () =>
    withCase({ ...size, dtype: 'float32' }, ({ layer, input, context }, own) => {
      const teacher = own(new DiffusionCrossAttention(12, 7, 3, 3, { seed: 9 }));
      const target = own(teacher.forwardWithContext(input, context)).data();
      const optimizer = own(new AdamOptimizer(layer, { learningRate: 0.02 }));
      layer.training = true;
      const losses = [];
      for (let step = 0; step < 200; ++step) {
        scoped((ownStep) => {
          const output = ownStep(layer.forwardWithContext(input, context)).data();
          const difference = output.map((value, index) => value - target[index]);
          losses.push(difference.reduce((sum, d) => sum + d * d, 0) / output.length);
          ownStep(layer.backward(ownStep(Tensor.from(difference, input.shape))));
          optimizer.step();
        });
      }
      assert.ok(losses.at(-1) < 0.01 * losses[0], `${losses[0]} … ${losses.at(-1)}`);
    }));

  test('a call in progress has the parameters of before', () =>
    withCase(size, async (made, own) => {
      const { layer, input, context } = made;
      const optimizer = own(new AdamOptimizer(layer, { learningRate: 0.5 }));
      const expected = own(layer.forwardWithContext(input, context)).data();
      addGradients(made, 1);
      layer.training = false;
      const pending = layer.forwardAsync(input, context);
      optimizer.step();
      assertSameBits(own(await pending).data(), expected, 'output');
      assert.notDeepEqual(own(layer.forwardWithContext(input, context)).data(), expected);
      assertThrows(() => layer.backward(input), ArgumentError, 'parameters changed');
    }));
});

describe('states', () => {
  /** Returns a trained layer and its optimizer. */
  function trained(made, own, options) {
    const optimizer = own(new AdamOptimizer(made.layer, options));
    for (let step = 1; step <= 5; ++step) {
      addGradients(made, step);
      optimizer.step();
    }
    return optimizer;
  }
  const options = { learningRate: 0.0123, betas: [0.8, 0.95], epsilon: 1e-7, weightDecay: 0.05 };

  for (const dtype of ['float32', 'float64']) {
    for (const only of [names, ['to_v.weight', 'to_out.0.bias']]) {
      test(`a loaded state continues with the same bits: ${dtype}, ${only.length} parameters`, () =>
        withCase({ ...size, dtype }, (made, own) => {
          const first = trained(made, own, { ...options, only });
          const state = first.saveState();
          const twin = own(new DiffusionCrossAttention(12, 7, 3, 3, { dtype }));
          twin.setParameters(made.layer.getParameters());
          // The options are those of the state.
          const second = own(new AdamOptimizer(twin, { learningRate: 1, only }));
          second.loadState(state);
          assert.equal(second.steps, 5);
          for (let step = 6; step <= 9; ++step) {
            for (const [layer, optimizer] of [
              [made.layer, first],
              [twin, second],
            ]) {
              addGradients({ ...made, layer }, step);
              optimizer.step();
            }
            assertSameBits(twin.getParameters(), made.layer.getParameters(), `step ${step}`);
          }
          assert.deepEqual(second.saveState(), first.saveState());
        }));
    }
  }

  test('the file has the moments by parameter, and steps and options in its metadata', () =>
    withCase({ ...size, dtype: 'float64' }, (made, own) => {
      const { layer } = made;
      const initial = layer.getParameters();
      const optimizer = own(new AdamOptimizer(layer, { ...options, only: ['to_k.weight'] }));
      addGradients(made, 1);
      const gradients = layer.getParameterGradients().subarray(...rangeOf(layer, 'to_k.weight'));
      optimizer.step();
      assert.notDeepEqual(layer.getParameters(), initial);
      const { metadata, tensors } = parseSafetensors(optimizer.saveState());
      assert.deepEqual(JSON.parse(metadata.adam), { step: 1, ...options });
      assert.equal(metadata.format, 'pt');
      assert.deepEqual([...tensors.keys()].sort(), ['to_k.weight.exp_avg', 'to_k.weight.exp_avg_sq']);
      const mean = tensors.get('to_k.weight.exp_avg');
      assert.deepEqual([mean.dtype, mean.shape], ['F64', [12, 7]]);
      assertClose(
        mean.values,
        gradients.map((g) => (1 - 0.8) * g),
        1e-15,
        'the mean',
      );
      assertClose(
        tensors.get('to_k.weight.exp_avg_sq').values,
        gradients.map((g) => (1 - 0.95) * g * g),
        1e-14,
        'the mean square',
      );
    }));

  test('all kinds of bytes are accepted, unaligned and shared ones too', () =>
    withCase(size, (made, own) => {
      const optimizer = trained(made, own);
      const state = optimizer.saveState();
      const unaligned = new Uint8Array(state.length + 3);
      unaligned.set(state, 3);
      const shared = new Uint8Array(new SharedArrayBuffer(state.length));
      shared.set(state);
      const inWasm = own(Tensor.from(Float32Array.from(state), [state.length]));
      for (const bytes of [
        state.slice().buffer,
        unaligned.subarray(3),
        new DataView(unaligned.buffer, 3),
        Buffer.from(state),
        shared,
      ]) {
        const other = own(new AdamOptimizer(made.layer));
        other.loadState(bytes);
        assert.deepEqual(other.saveState(), state);
      }
      assertThrows(() => optimizer.loadState(inWasm.view()), WeightsError);
    }));

  /** The state with other tensors and metadata. */
  function edited(state, edit) {
    const { metadata, tensors } = parseSafetensors(state);
    edit(tensors, metadata);
    const header = { __metadata__: metadata };
    const parts = [];
    let begin = 0;
    for (const [name, { dtype, shape, values }] of tensors) {
      const bytes = new Uint8Array((dtype === 'F64' ? Float64Array : Float32Array).from(values).buffer);
      header[name] = { dtype, shape, data_offsets: [begin, begin + bytes.length] };
      begin += bytes.length;
      parts.push(bytes);
    }
    return assembleFile(header, Buffer.concat(parts));
  }

  const setElement = (name, value) => (tensors) => (tensors.get(name).values[3] = value);
  const setMetadata = (change) => (_, metadata) =>
    (metadata.adam = JSON.stringify({ ...JSON.parse(metadata.adam), ...change }));
  const damages = {
    'a negative mean square': [setElement('to_v.weight.exp_avg_sq', -1e-9), 'exp_avg_sq', 'at least 0'],
    'NaN as mean square': [setElement('to_q.weight.exp_avg_sq', NaN), 'exp_avg_sq', 'NaN'],
    'NaN as mean': [setElement('to_q.weight.exp_avg', NaN), 'to_q.weight.exp_avg', 'NaN'],
    'an infinite mean': [setElement('to_out.0.bias.exp_avg', -Infinity), 'to_out.0.bias', 'finite'],
    'a missing tensor': [(tensors) => tensors.delete('to_k.weight.exp_avg'), 'missing to_k.weight.exp_avg'],
    'an unexpected tensor': [
      (tensors) => tensors.set('to_x.exp_avg', tensors.get('to_k.weight.exp_avg')),
      'unexpected to_x.exp_avg',
    ],
    'another shape of the same size': [
      (tensors) => (tensors.get('to_k.weight.exp_avg').shape = [7, 12]),
      '[7, 12]',
      '[12, 7]',
    ],
    'another dtype': [(tensors) => (tensors.get('to_k.weight.exp_avg_sq').dtype = 'F64'), 'F64', 'F32'],
    'no metadata': [(_, metadata) => delete metadata.adam, 'not a state of AdamOptimizer'],
    'metadata that are not JSON': [(_, metadata) => (metadata.adam = '{"step":'), 'not a state'],
    'metadata that are null': [(_, metadata) => (metadata.adam = 'null'), 'not a state'],
    'a negative step': [setMetadata({ step: -1 }), 'step', '-1'],
    'a step that is not an integer': [setMetadata({ step: 1.5 }), 'step', '1.5'],
    'a huge step': [setMetadata({ step: 2 ** 60 }), 'step'],
    'no step': [setMetadata({ step: undefined }), 'step'],
    'no learning rate': [setMetadata({ learningRate: undefined }), 'learningRate'],
    'a negative learning rate': [setMetadata({ learningRate: -1 }), 'learningRate', '-1'],
    'a decay of 1': [setMetadata({ betas: [0.9, 1] }), 'betas', '1'],
    'text as epsilon': [setMetadata({ epsilon: '1' }), 'epsilon'],
    'a negative weight decay': [setMetadata({ weightDecay: -0.1 }), 'weightDecay'],
  };
  for (const [name, [edit, ...parts]] of Object.entries(damages)) {
    test(`${name} is a WeightsError and changes nothing`, () =>
      withCase(size, (made, own) => {
        const optimizer = trained(made, own, options);
        const other = own(new AdamOptimizer(made.layer));
        const before = other.saveState();
        const memory = memoryInUse();
        // The unchanged tensors and metadata are valid.
        other.loadState(edited(before, () => {}));
        const wrong = edited(optimizer.saveState(), edit);
        assertThrows(() => other.loadState(wrong), WeightsError, ...parts);
        assert.deepEqual(other.saveState(), before);
        assert.equal(other.steps, 0);
        assert.equal(memoryInUse(), memory);
      }));
  }

  test('states of other layers, parameters and dtypes are WeightsErrors', () =>
    withCase(size, (made, own) => {
      const optimizer = trained(made, own);
      const before = optimizer.saveState();
      const make = (layer, given) => own(new AdamOptimizer(own(layer), given)).saveState();
      const wider = make(new DiffusionCrossAttention(24, 7, 3));
      const double = make(new DiffusionCrossAttention(12, 7, 3, 3, { dtype: 'float64' }));
      const part = make(new DiffusionCrossAttention(12, 7, 3), { only: ['to_q.weight'] });
      assertThrows(() => optimizer.loadState(wider), WeightsError, '[24, 24]', '[12, 12]');
      assertThrows(() => optimizer.loadState(double), WeightsError, 'F64', 'F32');
      assertThrows(() => optimizer.loadState(part), WeightsError, 'missing', 'to_k.weight.exp_avg');
      assertThrows(() => optimizer.loadState(made.layer.saveWeights()), WeightsError);
      assert.deepEqual(optimizer.saveState(), before);
    }));

  test('truncated files are WeightsErrors; other values are ArgumentErrors', () =>
    withCase(size, (made, own) => {
      const optimizer = trained(made, own);
      const state = optimizer.saveState();
      for (let length = 0; length < state.length; length += 97) {
        assertThrows(() => optimizer.loadState(state.subarray(0, length)), WeightsError);
      }
      for (const wrong of [undefined, null, 'state', 1, {}, [state], new Map()]) {
        assertThrows(() => optimizer.loadState(wrong), ArgumentError, 'bytes');
      }
      assert.deepEqual(optimizer.saveState(), state);
    }));
});

describe('arguments', () => {
  const wrongOptions = {
    learningRate: [-1, NaN, Infinity, '0.1', null, 1n],
    betas: [null, 0.9, [], [0.9], [0.9, 0.99, 0.999], [1, 0.9], [0.9, 1], [-0.1, 0.9], [NaN, 0], ['0', 0]],
    epsilon: [-1e-8, NaN, Infinity, '1', null],
    weightDecay: [-0.1, NaN, Infinity, '1', null],
    only: [null, 'to_q.weight', [], [1], [undefined], { length: 1, 0: 'to_q.weight' }],
  };
  for (const [name, values] of Object.entries(wrongOptions)) {
    test(`an invalid ${name} is an ArgumentError`, () =>
      withCase(size, ({ layer }) => {
        const memory = memoryInUse();
        for (const value of values) {
          assertThrows(() => new AdamOptimizer(layer, { [name]: value }), ArgumentError, name);
        }
        assert.equal(memoryInUse(), memory);
      }));
  }

  test('unknown names are named, in the constructor and in updateParameters', () =>
    withCase(size, (made) => {
      const { layer } = made;
      addGradients(made, 1);
      const before = [layer.getParameters(), layer.getParameterGradients()];
      const only = ['to_q.weight', 'to_q.bias', '__proto__'];
      const parts = ['only', 'to_q.bias', '__proto__', 'to_out.0.bias'];
      assertThrows(() => new AdamOptimizer(layer, { only }), ArgumentError, ...parts);
      assertThrows(() => layer.updateParameters(0.1, { only }), ArgumentError, ...parts);
      assertSameBits(layer.getParameters(), before[0], 'parameters');
      assertSameBits(layer.getParameterGradients(), before[1], 'gradients');
    }));

  test('a layer that is none is an ArgumentError', () =>
    withCase(size, ({ layer, input }) => {
      for (const wrong of [undefined, null, {}, input, new Proxy(layer, {}), DiffusionCrossAttention]) {
        assertThrows(() => new AdamOptimizer(wrong), ArgumentError, 'layer', 'DiffusionCrossAttention');
      }
      assertThrows(() => new AdamOptimizer(layer, 'options'), ArgumentError, 'options');
      assert.throws(() => AdamOptimizer(layer), TypeError);
    }));

  test('an invalid learning rate of a step changes nothing', () =>
    withCase(size, (made, own) => {
      const { layer } = made;
      const optimizer = own(new AdamOptimizer(layer));
      addGradients(made, 1);
      const before = [layer.getParameters(), layer.getParameterGradients(), optimizer.saveState()];
      for (const learningRate of [-1, NaN, Infinity, '0.1', null, {}]) {
        assertThrows(() => optimizer.step({ learningRate }), ArgumentError, 'learningRate');
      }
      assertThrows(() => optimizer.step(0.1), ArgumentError, 'options');
      assertSameBits(layer.getParameters(), before[0], 'parameters');
      assertSameBits(layer.getParameterGradients(), before[1], 'gradients');
      assert.deepEqual(optimizer.saveState(), before[2]);
    }));

  test('getters that dispose the layer or the optimizer cause DisposedErrors', () => {
    for (const target of ['layer', 'optimizer']) {
      withCase(size, ({ layer }, own) => {
        const objects = { layer, optimizer: own(new AdamOptimizer(layer)) };
        const options = {
          get learningRate() {
            objects[target].dispose();
            return 0.1;
          },
        };
        assertThrows(() => objects.optimizer.step(options), DisposedError);
        if (target === 'layer') assertThrows(() => new AdamOptimizer(layer, options), DisposedError);
      });
    }
  });

  test('methods of other objects are ArgumentErrors', () =>
    withCase(size, ({ layer }, own) => {
      const optimizer = own(new AdamOptimizer(layer));
      for (const method of ['step', 'saveState', 'loadState', 'dispose']) {
        assertThrows(() => AdamOptimizer.prototype[method].call(layer), ArgumentError, 'this');
        assertThrows(() => new Proxy(optimizer, {})[method](), ArgumentError, 'this', 'proxy');
      }
      assert.equal(Object.prototype.toString.call(optimizer), '[object AdamOptimizer]');
    }));
});

describe('memory', () => {
  for (const [dtype, bytes] of [
    ['float32', 4],
    ['float64', 8],
  ]) {
    test(`the state has two numbers for each parameter that is updated: ${dtype}`, () =>
      withCase({ ...size, dtype }, (made) => {
        const { layer } = made;
        addGradients(made, 1);
        layer.resetState();
        const before = memoryInUse();
        const all = new AdamOptimizer(layer);
        const rest = memoryInUse() - before - 2 * bytes * layer.parameterCount;
        // Buffers are aligned to 64 bytes.
        assert.ok(rest >= 0 && rest < 10 * 64, `${rest} further bytes`);
        const state = memoryInUse() - before;
        all.step();
        all.saveState();
        // The step freed the layer's packed weights.
        const after = memoryInUse();
        all.dispose();
        all[Symbol.dispose]();
        assert.equal(after - memoryInUse(), state);
        const some = new AdamOptimizer(layer, { only: ['to_out.0.bias'] });
        assert.ok(memoryInUse() - (after - state) < 2 * bytes * 12 + 128);
        some.dispose();
        assert.equal(memoryInUse(), after - state);
      }));
  }

  test('a state is collected with its optimizer', async () => {
    const layer = new DiffusionCrossAttention(12, 7, 3);
    const before = memoryInUse();
    (() => void new AdamOptimizer(layer))();
    for (let round = 0; round < 100 && memoryInUse() > before; ++round) {
      collectGarbage();
      await setTimeout(5);
    }
    assert.equal(memoryInUse(), before);
    layer.dispose();
  });

  test('after dispose of the optimizer or of its layer, all members throw DisposedError', () => {
    for (const target of ['optimizer', 'layer']) {
      withCase(size, ({ layer }, own) => {
        const objects = { layer, optimizer: own(new AdamOptimizer(layer)) };
        const { optimizer } = objects;
        const state = optimizer.saveState();
        objects[target].dispose();
        const what = target === 'layer' ? 'the layer of this AdamOptimizer' : 'this AdamOptimizer';
        for (const use of [
          () => optimizer.step(),
          () => optimizer.saveState(),
          () => optimizer.loadState(state),
          () => optimizer.steps,
        ]) {
          assertThrows(use, DisposedError, what);
        }
        assert.equal(optimizer.disposed, target === 'optimizer');
        if (target === 'layer') assertThrows(() => new AdamOptimizer(layer), DisposedError);
      });
    }
  });
});

describe('updateParameters with only', () => {
  for (const dtype of ['float32', 'float64']) {
    for (const only of [[], ['to_k.weight'], ['to_out.0.bias', 'to_q.weight', 'to_q.weight'], names]) {
      test(`${JSON.stringify(only)}, ${dtype}`, () =>
        withCase({ ...size, dtype }, (made) => {
          const { layer } = made;
          // Also for a negative rate, whose product with a gradient of zero is -0.
          for (const rate of [0.25, -0.5]) {
            addGradients(made, 1);
            const [before, gradients] = [layer.getParameters(), layer.getParameterGradients()];
            const expected = before.slice();
            for (const name of new Set(only)) {
              const [begin, end] = rangeOf(layer, name);
              for (let i = begin; i < end; ++i) expected[i] = before[i] - rate * gradients[i];
            }
            layer.updateParameters(rate, { only });
            assertSameBits(layer.getParameters(), expected, 'parameters');
            assert.ok(layer.getParameterGradients().every((value) => value === 0));
            // Activations stay valid if nothing has changed.
            if (only.length > 0) {
              assertThrows(() => layer.backward(made.input), ArgumentError, 'parameters changed');
            }
          }
        }));
    }
  }

  test('invalid options are ArgumentErrors and change nothing', () =>
    withCase(size, (made) => {
      const { layer } = made;
      addGradients(made, 1);
      const before = [layer.getParameters(), layer.getParameterGradients()];
      const throwing = {
        get only() {
          throw new Error('hostile');
        },
      };
      for (const only of [null, 'to_q.weight', [1], new Set(names), ['to_q.weight '], { length: 0 }]) {
        assertThrows(() => layer.updateParameters(0.1, { only }), ArgumentError, 'only');
      }
      assertThrows(() => layer.updateParameters(0.1, throwing), ArgumentError, 'only', 'hostile');
      assertThrows(() => layer.updateParameters(0.1, 1), ArgumentError, 'options');
      assertThrows(() => layer.updateParameters(NaN, { only: names }), ArgumentError, 'learningRate');
      assertSameBits(layer.getParameters(), before[0], 'parameters');
      assertSameBits(layer.getParameterGradients(), before[1], 'gradients');
      for (const none of [undefined, null, {}, { only: undefined }]) layer.updateParameters(0.1, none);
      assert.ok(layer.getParameterGradients().every((value) => value === 0));
    }));

  test('a wrong call is a CrossAttentionError after dispose', () => {
    const layer = new DiffusionCrossAttention(12, 7, 3);
    layer.dispose();
    assertThrows(() => layer.updateParameters(0.1, { only: names }), DisposedError);
    assert.throws(() => layer.updateParameters(0.1, { only: [1] }), CrossAttentionError);
  });
});
