// Textbook implementation of the layer in float64: loops over batch row, head, token and key, without blocks.
//
// A problem is
//   {batch, tokens, length, queryDim, contextDim, numHeads, scale,
//    input: [batch, tokens, queryDim], context: [contextBatch, length, contextDim], contextBatch,
//    isSelfAttention, parameters: {query, key, value, output, bias},
//    mask: (batchRow, head, token, key) => the number added to the score; -Infinity excludes the key}
// with flat row-major arrays.

/**
 * sums[sumsBegin + j] = Σ_k a[aBegin + k]·b[bBegin + j·stride + k], j < count, k < depth. Computes four sums
 * at a time to hide the latency of additions. Each sum is accumulated in the order of k.
 */
function dotProducts(a, aBegin, b, bBegin, stride, count, depth, sums, sumsBegin) {
  let j = 0;
  for (; j + 4 <= count; j += 4) {
    const begin0 = bBegin + j * stride;
    const [begin1, begin2, begin3] = [begin0 + stride, begin0 + 2 * stride, begin0 + 3 * stride];
    let sum0 = 0;
    let sum1 = 0;
    let sum2 = 0;
    let sum3 = 0;
    for (let k = 0; k < depth; ++k) {
      const factor = a[aBegin + k];
      sum0 += factor * b[begin0 + k];
      sum1 += factor * b[begin1 + k];
      sum2 += factor * b[begin2 + k];
      sum3 += factor * b[begin3 + k];
    }
    sums[sumsBegin + j] = sum0;
    sums[sumsBegin + j + 1] = sum1;
    sums[sumsBegin + j + 2] = sum2;
    sums[sumsBegin + j + 3] = sum3;
  }
  for (; j < count; ++j) {
    const begin = bBegin + j * stride;
    let sum = 0;
    for (let k = 0; k < depth; ++k) sum += a[aBegin + k] * b[begin + k];
    sums[sumsBegin + j] = sum;
  }
}

/** c[i, j] = Σ_k a[i, k]·b[j, k]: rows times the transpose of a weight [outFeatures, inFeatures]. */
export function timesTransposed(a, b, rows, columns, depth) {
  const c = new Float64Array(rows * columns);
  for (let row = 0; row < rows; ++row) {
    dotProducts(a, row * depth, b, 0, depth, columns, depth, c, row * columns);
  }
  return c;
}

/** Returns softmax(scores), or zeros if all scores are -Infinity. */
export function softmax(scores) {
  let maximum = -Infinity;
  for (const score of scores) maximum = Math.max(maximum, score);
  const probabilities = new Float64Array(scores.length);
  if (maximum === -Infinity) return probabilities;
  let sum = 0;
  for (let l = 0; l < scores.length; ++l) {
    probabilities[l] = Math.exp(scores[l] - maximum);
    sum += probabilities[l];
  }
  for (let l = 0; l < scores.length; ++l) probabilities[l] /= sum;
  return probabilities;
}

/** Returns the rows of the chosen tokens of [batch, allTokens, channels]. */
function chooseRows(rows, batch, allTokens, channels, tokens) {
  const chosen = new Float64Array(batch * tokens.length * channels);
  for (let batchRow = 0; batchRow < batch; ++batchRow) {
    tokens.forEach((token, index) => {
      const begin = (batchRow * allTokens + token) * channels;
      chosen.set(rows.subarray(begin, begin + channels), (batchRow * tokens.length + index) * channels);
    });
  }
  return chosen;
}

export const allTokens = (problem) => Array.from({ length: problem.tokens }, (_, token) => token);

/** Returns q of the chosen tokens, k and v, each [rows, queryDim]. */
export function project(problem, tokens = allTokens(problem)) {
  const { batch, length, queryDim, contextDim, contextBatch, parameters } = problem;
  const input = chooseRows(problem.input, batch, problem.tokens, queryDim, tokens);
  const keys = contextBatch * length;
  return {
    input,
    query: timesTransposed(input, parameters.query, batch * tokens.length, queryDim, queryDim),
    key: timesTransposed(problem.context, parameters.key, keys, queryDim, contextDim),
    value: timesTransposed(problem.context, parameters.value, keys, queryDim, contextDim),
  };
}

/** Calls visit({batchRow, head, token, index, queryRow, keyRow}) for each row of scores. */
export function forRows({ batch, length, numHeads, contextBatch }, tokens, visit) {
  for (let batchRow = 0; batchRow < batch; ++batchRow) {
    const keyRow = (contextBatch === 1 ? 0 : batchRow) * length;
    for (let head = 0; head < numHeads; ++head) {
      tokens.forEach((token, index) => {
        visit({ batchRow, head, token, index, queryRow: batchRow * tokens.length + index, keyRow });
      });
    }
  }
}

/** Like forRows. Also passes `scores`. */
export function forScores(problem, { query, key }, tokens, visit) {
  const { length, queryDim, numHeads, scale, mask } = problem;
  const headDim = queryDim / numHeads;
  forRows(problem, tokens, (row) => {
    const { batchRow, head, token, queryRow, keyRow } = row;
    const scores = new Float64Array(length);
    const column = head * headDim;
    const [queryBegin, keyBegin] = [queryRow * queryDim + column, keyRow * queryDim + column];
    dotProducts(query, queryBegin, key, keyBegin, queryDim, length, headDim, scores, 0);
    for (let l = 0; l < length; ++l) {
      scores[l] = scale * scores[l] + (mask === null ? 0 : mask(batchRow, head, token, l));
    }
    visit({ ...row, scores });
  });
}

/** Returns the layer's output for the chosen tokens, [batch, tokens.length, queryDim]. */
export function forward(problem, tokens = allTokens(problem)) {
  const { batch, length, queryDim, numHeads, parameters } = problem;
  const headDim = queryDim / numHeads;
  const projected = project(problem, tokens);
  const attended = new Float64Array(batch * tokens.length * queryDim);
  forScores(problem, projected, tokens, ({ head, queryRow, keyRow, scores }) => {
    const probabilities = softmax(scores);
    const { value } = projected;
    const begin = queryRow * queryDim + head * headDim;
    for (let l = 0; l < length; ++l) {
      const probability = probabilities[l];
      const valueBegin = (keyRow + l) * queryDim + head * headDim;
      for (let c = 0; c < headDim; ++c) attended[begin + c] += probability * value[valueBegin + c];
    }
  });
  const output = timesTransposed(attended, parameters.output, batch * tokens.length, queryDim, queryDim);
  return output.map((value, index) => value + parameters.bias[index % queryDim]);
}

/** Returns all probabilities, [batch, heads, length, tokens]. */
export function attentionMaps(problem) {
  const { batch, tokens, length, numHeads } = problem;
  const maps = new Float64Array(batch * numHeads * length * tokens);
  const chosen = allTokens(problem);
  forScores(problem, project(problem), chosen, ({ batchRow, head, token, scores }) => {
    softmax(scores).forEach((probability, l) => {
      maps[((batchRow * numHeads + head) * length + l) * tokens + token] = probability;
    });
  });
  return maps;
}

/** Returns the mean of [batch, heads, size] over the heads, [batch, size]. */
export function meanOverHeads(values, batch, numHeads) {
  const size = values.length / (batch * numHeads);
  const mean = new Float64Array(batch * size);
  for (let batchRow = 0; batchRow < batch; ++batchRow) {
    for (let index = 0; index < size; ++index) {
      let sum = 0;
      for (let head = 0; head < numHeads; ++head) sum += values[(batchRow * numHeads + head) * size + index];
      mean[batchRow * size + index] = sum / numHeads;
    }
  }
  return mean;
}
