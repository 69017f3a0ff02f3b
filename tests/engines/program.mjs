// The checked program that every engine, bundler and page condition runs: init, forward, backward, weights,
// an ONNX round trip, the denoiser. It uses nothing but the package and standard JavaScript, so that it runs
// unchanged in a page, a worker, Node, Deno and Bun, bundled or not. It has no imports: each environment
// imports the package in its own way and passes the entries.

const queryDim = 8;
const contextDim = 6;
const numHeads = 2;
const tokens = 5;
const keys = 3;

function check(isTrue, what) {
  if (!isTrue) throw new Error(`the checked program failed: ${what}`);
}

/** Numbers in [-1, 1) that only depend on the seed: a linear congruential generator. */
function numbers(length, seed) {
  let state = seed;
  return Float64Array.from({ length }, () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state / 1073741824 - 1;
  });
}

/** Returns x·Wᵀ for x [rows, columns] and W [features, columns]. */
function project(x, columns, weight) {
  const features = weight.length / columns;
  const rows = x.length / columns;
  const result = new Float64Array(rows * features);
  for (let row = 0; row < rows; ++row) {
    for (let feature = 0; feature < features; ++feature) {
      for (let column = 0; column < columns; ++column) {
        result[row * features + feature] += x[row * columns + column] * weight[feature * columns + column];
      }
    }
  }
  return result;
}

/** Computes the layer with plain loops. */
function expectedOutput(layer, input, context) {
  const parameter = (name) => {
    const tensor = layer.getParameter(name);
    const data = tensor.data();
    tensor.dispose();
    return data;
  };
  const q = project(input, queryDim, parameter('to_q.weight'));
  const k = project(context, contextDim, parameter('to_k.weight'));
  const v = project(context, contextDim, parameter('to_v.weight'));
  const headDim = queryDim / numHeads;
  const joined = new Float64Array(tokens * queryDim);
  for (let token = 0; token < tokens; ++token) {
    for (let head = 0; head < numHeads; ++head) {
      const start = head * headDim;
      const scores = Array.from({ length: keys }, (_, key) => {
        let score = 0;
        for (let i = start; i < start + headDim; ++i)
          score += q[token * queryDim + i] * k[key * queryDim + i];
        return Math.exp(score / Math.sqrt(headDim));
      });
      const sum = scores.reduce((a, b) => a + b, 0);
      for (let i = start; i < start + headDim; ++i) {
        scores.forEach((score, key) => {
          joined[token * queryDim + i] += (score / sum) * v[key * queryDim + i];
        });
      }
    }
  }
  const bias = parameter('to_out.0.bias');
  return project(joined, queryDim, parameter('to_out.0.weight')).map((x, i) => x + bias[i % queryDim]);
}

function checkClose(actual, expected, bound, what) {
  check(actual.length === expected.length, `${what}: ${actual.length} values, expected ${expected.length}`);
  expected.forEach((value, index) => {
    const isClose = Math.abs(actual[index] - value) <= bound;
    check(isClose, `${what}[${index}] is ${actual[index]}, expected ${value}`);
  });
}

const dot = (left, right) => left.reduce((sum, value, index) => sum + value * right[index], 0);

/** Checks dL/d(input) along one direction with central differences. */
function checkBackward(layer, inputs, Tensor) {
  const { input, context } = inputs;
  const direction = numbers(input.size, 5);
  const gradient = Tensor.from(numbers(input.size, 6), input.shape, 'float64');
  const lossAt = (distance) => {
    const values = input.data().map((value, index) => value + distance * direction[index]);
    const moved = Tensor.from(values, input.shape, 'float64');
    const output = layer.forwardWithContext(moved, context);
    const loss = dot(output.data(), gradient.data());
    output.dispose();
    moved.dispose();
    return loss;
  };
  const step = 1e-5;
  const difference = (lossAt(step) - lossAt(-step)) / (2 * step);
  layer.training = true;
  const output = layer.forwardWithContext(input, context);
  const inputGradient = layer.backward(gradient);
  const derivative = dot(inputGradient.data(), direction);
  check(Math.abs(derivative - difference) < 1e-7, `the gradient is ${derivative}, expected ${difference}`);
  layer.training = false;
  layer.clearGradients();
  for (const tensor of [gradient, output, inputGradient]) tensor.dispose();
}

/** Returns the output of a layer, which it disposes. */
function outputOf(layer, { input, context }) {
  const output = layer.forwardWithContext(input, context);
  const values = output.data();
  output.dispose();
  layer.dispose();
  return values;
}

async function checkLayer({ main, onnx }) {
  const { Tensor, DiffusionCrossAttention } = main;
  const layer = new DiffusionCrossAttention(queryDim, contextDim, numHeads, 4, { dtype: 'float64', seed: 1 });
  const inputs = {
    input: Tensor.from(numbers(tokens * queryDim, 2), [tokens, queryDim], 'float64'),
    context: Tensor.from(numbers(keys * contextDim, 3), [keys, contextDim], 'float64'),
  };
  const output = layer.forwardWithContext(inputs.input, inputs.context);
  const values = output.data();
  output.dispose();
  checkClose(values, expectedOutput(layer, inputs.input.data(), inputs.context.data()), 1e-12, 'output');

  const later = await layer.forwardAsync(inputs.input, inputs.context);
  checkClose(later.data(), values, 1e-12, 'the output of forwardAsync');
  later.dispose();

  checkBackward(layer, inputs, Tensor);

  const options = { dtype: 'float64', seed: 9 };
  const loaded = new DiffusionCrossAttention(queryDim, contextDim, numHeads, 4, options);
  const result = loaded.loadWeights(layer.saveWeights({ prefix: 'attn2.', dtype: 'F64' }), {
    prefix: 'attn2.',
  });
  check(result.success && result.loadedCount === 5, `loadWeights returned ${JSON.stringify(result)}`);
  checkClose(outputOf(loaded, inputs), values, 0, 'the output with loaded weights');

  const nodes = [];
  const file = main.toOnnx(layer.exportComputationGraph(nodes), nodes);
  check(file.length > 1000, `the ONNX file has ${file.length} bytes`);
  if (onnx !== undefined) {
    const imported = onnx.fromOnnx(file);
    check(imported.length === 1 && imported[0].kind === 'cross', 'fromOnnx returned no cross-attention');
    checkClose(outputOf(imported[0].layer, inputs), values, 1e-12, 'the output of the imported layer');
  }

  let code = 'none';
  try {
    layer.forwardWithContext(inputs.context, null);
  } catch (error) {
    ({ code } = error);
    check(error instanceof main.ShapeError && error instanceof main.CrossAttentionError, String(error));
  }
  check(code === 'ERR_SHAPE', `the code of a wrong shape is ${code}`);
  // What a compiled `using` calls, also in engines without Symbol.dispose.
  const dispose = Symbol.dispose ?? Symbol.for('Symbol.dispose');
  for (const each of [layer, inputs.input, inputs.context]) {
    check(typeof each[dispose] === 'function', 'an object has no method for `using`');
    each[dispose]();
  }
  check(main.memoryInUse() === 0, `${main.memoryInUse()} bytes are in use after everything was disposed`);
}

function checkDenoiser({ Denoiser, memoryInUse }) {
  const sizes = {
    pixelFeatures: 8,
    pixelBlocks: 1,
    features: 32,
    blocks: 2,
    textFeatures: 32,
    textBlocks: 1,
  };
  const picture = (model) => {
    const sampler = model.sampler({ prompt: 'a red circle', steps: 2, seed: 3 });
    while (sampler.advance());
    const pixels = sampler.rgba();
    sampler.dispose();
    return pixels;
  };
  const created = Denoiser.create({ ...sizes, seed: 1 });
  const expected = picture(created);
  check(expected.length === 4 * 32 * 32, `the picture has ${expected.length} bytes`);
  const loaded = Denoiser.load(created.save({ dtype: 'float32' }));
  checkClose(picture(loaded), expected, 0, 'the picture of the loaded denoiser');
  created.dispose();
  loaded.dispose();
  check(memoryInUse() === 0, `the denoiser has ${memoryInUse()} bytes in use`);
}

/**
 * Runs the program. Throws an Error that says what is wrong.
 *
 * @param entries the modules of the package: `main` (diffusion-cross-attention), `onnx` (…/onnx) and
 * `denoiser` (…/denoiser); the latter two are left out with the single-file entry
 * @param options of init
 * @returns what init chose for the layer, and for the denoiser
 */
export async function runProgram(entries, options = {}) {
  const { main, denoiser } = entries;
  const { simd, threads, threadsReason, device } = await main.init({ device: 'wasm', ...options });
  await checkLayer({ main, onnx: entries.onnx });
  const report = { simd, threads, threadsReason, device };
  if (denoiser === undefined) return report;
  const info = await denoiser.init(options);
  checkDenoiser(denoiser);
  const { simd: itsSimd, threads: itsThreads, threadsReason: itsReason } = info;
  return { ...report, denoiser: { simd: itsSimd, threads: itsThreads, threadsReason: itsReason } };
}
