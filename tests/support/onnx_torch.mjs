// Builds ONNX models of diffusers' attention layers in the forms that PyTorch's two exporters write.
// Operators, their order and their names are those of torch.onnx (symbolic_opset14.py), onnxscript's
// torch_lib and diffusers' attention processors.
import { ModelBuilder, truncateTo } from './onnx_builder.mjs';
import { normalArray } from '../../support/random.mjs';

/** Reads sizes from tensors. 'dynamic': like a trace with dynamic axes. 'dynamo': like the newer exporter. */
class Shapes {
  constructor(builder, style) {
    this.builder = builder;
    this.isDynamo = style === 'dynamo';
  }
  scalar(value) {
    return this.builder.constant([value], { dims: [] });
  }
  /** Returns one size of a tensor as a scalar. */
  of(value, axis) {
    const { builder } = this;
    if (this.isDynamo) {
      const size = builder.node('Shape', [value], { attributes: { start: axis, end: axis + 1 } });
      return builder.node('Squeeze', [size]);
    }
    return builder.node('Gather', [builder.node('Shape', [value]), this.scalar(axis)], {
      attributes: { axis: 0 },
    });
  }
  times(value, factor) {
    return this.builder.node('Mul', [value, this.scalar(factor)]);
  }
  /** Python's //. A trace adds two casts after it. */
  over(value, divisor) {
    const { builder } = this;
    const quotient = builder.node('Div', [value, this.scalar(divisor)]);
    const cast = builder.node('Cast', [quotient], { attributes: { to: 7 } });
    return builder.node('Cast', [cast], { attributes: { to: 7 } });
  }
  /** Concatenates numbers and scalars to a list. */
  list(...sizes) {
    const { builder } = this;
    const asList = (size) =>
      this.isDynamo
        ? builder.node('Reshape', [size, builder.constant([-1])], { attributes: { allowzero: 0 } })
        : builder.node('Unsqueeze', [size, builder.constant([0])]);
    const parts = sizes.map((size) => (typeof size === 'number' ? builder.constant([size]) : asList(size)));
    return builder.node('Concat', parts, { attributes: { axis: 0 } });
  }
}

/**
 * Writes a layer. `projection`: 'matmul' (the file has the transposed weight, named by a number), 'transpose'
 * (a Transpose at run time) or 'gemm' (over flattened tokens). `shapes`: 'dynamic', 'dynamo' or 'static'.
 */
class AttentionWriter {
  constructor(builder, { path, heads, type, storage, projection, shapes, noise, biasFirst, sizes }) {
    Object.assign(this, { builder, path, heads, type, storage, projection, noise, biasFirst, sizes });
    this.shapes = new Shapes(builder, shapes);
    this.isDynamic = shapes !== 'static';
    // Numbers are list indices and are joined to the preceding name.
    this.modulePath = `/${path.replaceAll('.', '/')}`.replace(/\/(\d+)/g, '.$1');
  }

  node(opType, input, attributes = {}) {
    const name = `${this.modulePath}/${opType}_${++this.builder.count}`;
    return this.builder.node(opType, input, { name, attributes });
  }
  /** Adds operators without effect, as exporters may leave them in the graph. */
  maybeNoise(value) {
    if (!this.noise) return value;
    const identity = this.node('Identity', [value]);
    return this.node('Cast', [this.node('Dropout', [identity])], { to: this.type === 'double' ? 11 : 1 });
  }
  weight(name, dims, values) {
    return this.builder.initializer(name, dims, values, { type: this.type, storage: this.storage });
  }
  /** Converts 16-bit weights before use. */
  asComputed(value) {
    const isHalf = this.type === 'float16' || this.type === 'bfloat16';
    return isHalf ? this.node('Cast', [value], { to: 1 }) : value;
  }

  linear(input, module, [outFeatures, inFeatures], values, bias = null) {
    const name = `${this.modulePath}/${module}`;
    const parameter = `${this.path}.${module}`;
    if (this.projection === 'gemm')
      return this.gemm(input, name, parameter, [outFeatures, inFeatures], values, bias);
    let weight;
    if (this.projection === 'matmul') {
      const transposed = values.map(
        (_, index) => values[(index % outFeatures) * inFeatures + Math.floor(index / outFeatures)],
      );
      weight = this.weight(`onnx::MatMul_${++this.builder.count}`, [inFeatures, outFeatures], transposed);
    } else {
      const stored = this.weight(`${parameter}.weight`, [outFeatures, inFeatures], values);
      weight = this.builder.node('Transpose', [stored], { attributes: { perm: [1, 0] } });
    }
    const product = this.builder.node('MatMul', [input, this.asComputed(weight)], { name: `${name}/MatMul` });
    if (bias === null) return product;
    const added = this.asComputed(this.weight(`${parameter}.bias`, [outFeatures], bias));
    const operands = this.biasFirst ? [added, product] : [product, added];
    return this.builder.node('Add', operands, { name: `${name}/Add` });
  }
  gemm(input, name, parameter, [outFeatures, inFeatures], values, bias) {
    const { builder, shapes } = this;
    const flat = this.node('Reshape', [input, builder.constant([-1, inFeatures])]);
    const operands = [
      flat,
      this.asComputed(this.weight(`${parameter}.weight`, [outFeatures, inFeatures], values)),
    ];
    if (bias !== null) operands.push(this.asComputed(this.weight(`${parameter}.bias`, [outFeatures], bias)));
    const product = builder.node('Gemm', operands, { name: `${name}/Gemm`, attributes: { transB: 1 } });
    return this.node('Reshape', [
      product,
      shapes.list(shapes.of(input, 0), shapes.of(input, 1), outFeatures),
    ]);
  }

  /** Converts [B, rows, C] to [B, heads, rows, headDim]. */
  splitHeads(value, channels, rows) {
    const { shapes, heads, builder } = this;
    const shape = this.isDynamic
      ? shapes.list(shapes.of(value, 0), -1, heads, shapes.over(shapes.of(value, 2), heads))
      : builder.constant([this.sizes.batch, rows, heads, channels / heads]);
    return this.node('Transpose', [this.node('Reshape', [value, shape])], { perm: [0, 2, 1, 3] });
  }
  /** Converts [B, heads, N, headDim] to [B, N, C]. */
  joinHeads(value, channels) {
    const { shapes, builder } = this;
    const rows = this.node('Transpose', [value], { perm: [0, 2, 1, 3] });
    const shape = this.isDynamic
      ? shapes.list(shapes.of(value, 0), -1, shapes.times(shapes.of(value, 3), this.heads))
      : builder.constant([this.sizes.batch, this.sizes.tokens, channels]);
    return this.node('Reshape', [rows, shape]);
  }
  scalar(value) {
    return this.builder.constant([value], { type: this.type === 'double' ? 'double' : 'float', dims: [] });
  }
  /** With `noise`, also adds the operators of newer exporters for rows that a mask ignores completely. */
  softmax(scores) {
    const probabilities = this.node('Softmax', [this.maybeNoise(scores)], { axis: -1 });
    if (!this.noise) return probabilities;
    const isNaN = this.node('IsNaN', [probabilities]);
    return this.maybeNoise(this.node('Where', [isNaN, this.scalar(0), probabilities]));
  }
  masked(scores, mask) {
    return mask === null ? scores : this.node('Add', [scores, mask]);
  }
}

/** diffusers' AttnProcessor: heads are part of the batch; uses baddbmm and bmm. */
function attendByBmm(writer, { query, key, value, channels, scale, mask }) {
  const { shapes, heads, builder } = writer;
  const toBatch = (tensor, rows) => {
    const split = writer.splitHeads(tensor, channels, rows);
    const shape = writer.isDynamic
      ? shapes.list(
          shapes.times(shapes.of(tensor, 0), heads),
          shapes.of(tensor, 1),
          shapes.over(shapes.of(tensor, 2), heads),
        )
      : builder.constant([writer.sizes.batch * heads, rows, channels / heads]);
    return writer.node('Reshape', [split, shape]);
  };
  const { tokens, length } = writer.sizes;
  const [q, k, v] = [toBatch(query, tokens), toBatch(key, length), toBatch(value, length)];
  const products = writer.node('MatMul', [q, writer.node('Transpose', [k], { perm: [0, 2, 1] })]);
  // baddbmm adds an uninitialised tensor times zero.
  const empty = writer.node('ConstantOfShape', [
    shapes.list(shapes.of(q, 0), shapes.of(q, 1), shapes.of(k, 1)),
  ]);
  const to = 1;
  const alpha = writer.node('Cast', [builder.constant([scale], { type: 'double', dims: [] })], { to });
  const beta = writer.node('Cast', [shapes.scalar(0)], { to });
  const none = writer.node('Mul', [empty, beta]);
  const scores = writer.node('Add', [writer.node('Mul', [products, alpha]), none]);
  const probabilities = writer.softmax(writer.masked(scores, mask));
  const attended = writer.node('MatMul', [probabilities, v]);
  const separate = writer.isDynamic
    ? shapes.list(
        shapes.over(shapes.of(attended, 0), heads),
        heads,
        shapes.of(attended, 1),
        shapes.of(attended, 2),
      )
    : builder.constant([writer.sizes.batch, heads, tokens, channels / heads]);
  return writer.joinHeads(writer.node('Reshape', [attended, separate]), channels);
}

/**
 * scaled_dot_product_attention as torch.onnx decomposes it: both operands times √scale, computed from a
 * shape.
 */
function attendBySdpa(writer, { query, key, value, channels, mask }) {
  const { builder, type } = writer;
  const { tokens, length } = writer.sizes;
  const [q, k, v] = [query, key, value].map((tensor, index) =>
    writer.splitHeads(tensor, channels, index === 0 ? tokens : length),
  );
  const to = type === 'double' ? 11 : 1;
  const last = builder.node('Slice', [
    writer.node('Shape', [q]),
    builder.constant([-1]),
    builder.constant(['9223372036854775807']),
  ]);
  const size = writer.node('Cast', [last], { to });
  const one = builder.constant([1], { type: type === 'double' ? 'double' : 'float' });
  const scale = writer.node('Cast', [writer.node('Div', [one, writer.node('Sqrt', [size])])], { to });
  const columns = writer.node('Transpose', [k], { perm: [0, 1, 3, 2] });
  const scores = writer.node('MatMul', [
    writer.node('Mul', [q, writer.node('Sqrt', [scale])]),
    writer.node('Mul', [columns, writer.node('Sqrt', [scale])]),
  ]);
  const probabilities = writer.softmax(writer.masked(scores, mask));
  return writer.joinHeads(writer.node('MatMul', [probabilities, v]), channels);
}

/** Like attendBySdpa, in the form of early onnxscript: keys are transposed as a tensor of rank 3. */
function attendByOldSdpa(writer, { query, key, value, channels, scale, mask }) {
  const { builder } = writer;
  const { tokens, length } = writer.sizes;
  const [q, k, v] = [query, key, value].map((tensor, index) =>
    writer.splitHeads(tensor, channels, index === 0 ? tokens : length),
  );
  const shape = writer.node('Shape', [k]);
  const part = (start, end) =>
    writer.node('Slice', [shape, builder.constant([start]), builder.constant([end])]);
  const [first, rows, columns] = [part(0, 2), part(-2, -1), part(-1, '9223372036854775807')];
  const squeezed = writer.node('Concat', [builder.constant([-1]), rows, columns], { axis: 0 });
  const flat = writer.node('Transpose', [writer.node('Reshape', [k, squeezed])], { perm: [0, 2, 1] });
  const unsqueezed = writer.node('Concat', [first, columns, rows], { axis: 0 });
  const root = writer.node('Sqrt', [writer.scalar(scale)]);
  const scores = writer.node('MatMul', [
    writer.node('Mul', [q, root]),
    writer.node('Mul', [writer.node('Reshape', [flat, unsqueezed]), root]),
  ]);
  const probabilities = writer.softmax(writer.masked(scores, mask));
  return writer.joinHeads(writer.node('MatMul', [probabilities, v]), channels);
}

/** Scores divided by √headDim, as in much hand-written code. */
function attendByHand(writer, { query, key, value, channels, scale, mask }) {
  const { tokens, length } = writer.sizes;
  const q = writer.splitHeads(query, channels, tokens);
  const columns = writer.node('Transpose', [writer.splitHeads(key, channels, length)], {
    perm: [0, 1, 3, 2],
  });
  const scores = writer.node('Div', [writer.node('MatMul', [q, columns]), writer.scalar(1 / scale)]);
  const probabilities = writer.softmax(writer.masked(scores, mask));
  const v = writer.splitHeads(value, channels, length);
  return writer.joinHeads(writer.node('MatMul', [probabilities, v]), channels);
}

/** Einsum over heads, as in the original code of latent diffusion. */
function attendByEinsum(writer, { query, key, value, channels, scale, mask }) {
  const { tokens, length } = writer.sizes;
  const einsum = (equation, ...operands) => writer.node('Einsum', operands, { equation });
  const q = writer.splitHeads(query, channels, tokens);
  const k = writer.splitHeads(key, channels, length);
  const scores = writer.node('Mul', [einsum('b h i d, b h j d -> b h i j', q, k), writer.scalar(scale)]);
  const probabilities = writer.softmax(writer.masked(scores, mask));
  const v = writer.splitHeads(value, channels, length);
  return writer.joinHeads(einsum('bhij,bhjd->bhid', probabilities, v), channels);
}

/** ONNX's Attention over [B, rows, C]. */
function attendByOperator(writer, { query, key, value, scale, mask }) {
  const { heads } = writer;
  return writer.node('Attention', [query, key, value, ...(mask === null ? [] : [mask])], {
    q_num_heads: heads,
    kv_num_heads: heads,
    scale: { float: scale },
  });
}

/** ONNX's Attention over [B, heads, rows, headDim], with its default scale. */
function attendBySplitOperator(writer, { query, key, value, channels, mask }) {
  const { tokens, length } = writer.sizes;
  const split = [query, key, value].map((tensor, index) =>
    writer.splitHeads(tensor, channels, index === 0 ? tokens : length),
  );
  return writer.joinHeads(writer.node('Attention', [...split, ...(mask === null ? [] : [mask])]), channels);
}

/** com.microsoft's operator, as ONNX Runtime's optimiser inserts it. */
function attendByMicrosoft(writer, { query, key, value, scale, mask }) {
  return writer.builder.node(
    'MultiHeadAttention',
    [query, key, value, ...(mask === null ? [] : ['', '', mask])],
    {
      domain: 'com.microsoft',
      attributes: { num_heads: writer.heads, scale: { float: scale } },
    },
  );
}

export const attentionStyles = {
  bmm: attendByBmm,
  sdpa: attendBySdpa,
  'old sdpa': attendByOldSdpa,
  hand: attendByHand,
  einsum: attendByEinsum,
  operator: attendByOperator,
  'split operator': attendBySplitOperator,
  microsoft: attendByMicrosoft,
};

/**
 * Adds a layer to a model and returns the name of its result. `parameters`: {query, key, value, output,
 * bias}; weights are [outFeatures, inFeatures]. `projectionBias`: biases of the three projections, which
 * DiffusionCrossAttention does not have.
 */
export function addAttention(builder, options) {
  const { input, context, queryDim, contextDim, heads, parameters, attention, mask = null } = options;
  const { scale = 1 / Math.sqrt(queryDim / heads), projectionBias = null } = options;
  const writer = new AttentionWriter(builder, options);
  const project = (name, from, inFeatures) =>
    writer.maybeNoise(
      writer.linear(
        from,
        `to_${name[0]}`,
        [queryDim, inFeatures],
        parameters[name],
        projectionBias && new Float64Array(queryDim).fill(projectionBias[name] ?? 0),
      ),
    );
  const query = project('query', input, queryDim);
  const key = project('key', context, contextDim);
  const value = project('value', context, contextDim);
  const attend = attentionStyles[attention];
  const joined = attend(writer, { query, key, value, channels: queryDim, scale, mask });
  const { output, bias } = parameters;
  const result = writer.linear(writer.maybeNoise(joined), 'to_out.0', [queryDim, queryDim], output, bias);
  return writer.maybeNoise(result);
}

/** Returns the minimum operator set and file version that support a style's operators. */
const versionOf = (attention) =>
  /operator/.test(attention) ? { opset: 23, irVersion: 11 } : { opset: 17, irVersion: 8 };

/**
 * Returns a model of one layer. Inputs: `input` [B, N, C], `context` [B, L, D] unless `isSelf`, and `mask`
 * [1, 1, 1, L] (for bmm [1, 1, L]) if `hasMask`. Output: `output`.
 */
export function torchModel({ sizes, isSelf = false, hasMask = false, constants = 'nodes', ...options }) {
  const { queryDim, contextDim, shapes, attention, type } = options;
  const builder = new ModelBuilder({ ...versionOf(attention), constants });
  const computed = type === 'double' ? 'double' : 'float';
  const dynamic = shapes !== 'static';
  const { batch, tokens, length } = dynamic ? { batch: 'batch', tokens: 'tokens', length: 'length' } : sizes;
  const input = builder.input('input', [batch, tokens, queryDim], computed);
  const context = isSelf ? input : builder.input('context', [batch, length, contextDim], computed);
  const maskShape =
    attention === 'bmm' ? [1, 1, length] : [1, 1, /operator|microsoft/.test(attention) ? tokens : 1, length];
  const mask = hasMask ? builder.input('mask', maskShape, computed) : null;
  const result = addAttention(builder, { ...options, sizes, input, context, mask });
  builder.node('Identity', [result], { output: 'output' });
  builder.output('output', [batch, tokens, queryDim], computed);
  return builder.encode();
}

export const path = 'down_blocks.0.attentions.0.transformer_blocks.0.attn2';

/** Draws weights for which scores are of order one. */
export function drawParameters({ queryDim, contextDim }, seed, type = 'float') {
  const draw = (rows, columns, index) =>
    truncateTo(type, normalArray(rows * columns, seed + index, { deviation: 1 / Math.sqrt(columns) }));
  return {
    query: draw(queryDim, queryDim, 1),
    key: draw(queryDim, contextDim, 2),
    value: draw(queryDim, contextDim, 3),
    output: draw(queryDim, queryDim, 4),
    bias: truncateTo(type, normalArray(queryDim, seed + 5)),
  };
}

/** The default options of makeModel. */
export const standard = {
  path,
  queryDim: 24,
  contextDim: 10,
  heads: 3,
  sizes: { batch: 2, tokens: 5, length: 7 },
  type: 'float',
  storage: 'raw',
  projection: 'matmul',
  shapes: 'dynamic',
  attention: 'sdpa',
  noise: false,
  biasFirst: true,
  seed: 1,
};

/** Returns a model of one layer: its options, parameters and file. */
export function makeModel(options) {
  const all = { ...standard, ...options };
  const contextDim = all.isSelf ? all.queryDim : all.contextDim;
  const parameters = drawParameters({ ...all, contextDim }, all.seed, all.type);
  return {
    ...all,
    contextDim,
    parameters,
    file: Uint8Array.from(torchModel({ ...all, contextDim, parameters })),
  };
}
