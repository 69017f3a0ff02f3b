// The layer as a textbook writes it, in float64: loops over batch row, head, token and key; no blocks, no tricks.
//
// A problem is
//   {batch, tokens, length, queryDim, contextDim, numHeads, scale,
//    input: [batch, tokens, queryDim], context: [contextBatch, length, contextDim], contextBatch,
//    isSelfAttention, parameters: {query, key, value, output, bias},
//    mask: (batchRow, head, token, key) => number that is added to the score; -Infinity: ignore}
// with flat row-major arrays.

/** c[i, j] = Σ_k a[i, k]·b[j, k]: rows times the transposed of a weight [outFeatures, inFeatures]. */
export function timesTransposed(a, b, rows, columns, depth) {
  const c = new Float64Array(rows * columns);
  for (let row = 0; row < rows; ++row) {
    for (let column = 0; column < columns; ++column) {
      const [rowBegin, columnBegin] = [row * depth, column * depth];
      let sum = 0;
      for (let k = 0; k < depth; ++k) sum += a[rowBegin + k] * b[columnBegin + k];
      c[row * columns + column] = sum;
    }
  }
  return c;
}

/** softmax(scores), or zeros where all of them are -Infinity: there is nothing to attend to. */
export function softmax(scores) {
  const maximum = scores.reduce((most, score) => Math.max(most, score), -Infinity);
  if (maximum === -Infinity) return new Float64Array(scores.length);
  const exponentials = scores.map((score) => Math.exp(score - maximum));
  const sum = exponentials.reduce((total, value) => total + value, 0);
  return exponentials.map((value) => value / sum);
}

/** The rows of `tokens` out of [batch, allTokens, channels]. */
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

/** q of the chosen tokens, k and v: [rows, queryDim] each. */
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

/** Calls visit({batchRow, head, token, index, queryRow, keyRow, scores}) for each row of scores. */
export function forScores(problem, { query, key }, tokens, visit) {
  const { batch, length, queryDim, numHeads, scale, contextBatch, mask } = problem;
  const headDim = queryDim / numHeads;
  for (let batchRow = 0; batchRow < batch; ++batchRow) {
    const keyRow = (contextBatch === 1 ? 0 : batchRow) * length;
    for (let head = 0; head < numHeads; ++head) {
      tokens.forEach((token, index) => {
        const queryRow = batchRow * tokens.length + index;
        const scores = new Float64Array(length);
        for (let l = 0; l < length; ++l) {
          let sum = 0;
          for (let c = head * headDim; c < (head + 1) * headDim; ++c) {
            sum += query[queryRow * queryDim + c] * key[(keyRow + l) * queryDim + c];
          }
          scores[l] = scale * sum + (mask === null ? 0 : mask(batchRow, head, token, l));
        }
        visit({ batchRow, head, token, index, queryRow, keyRow, scores });
      });
    }
  }
}

/** The layer's output for the chosen tokens, [batch, tokens.length, queryDim]. */
export function forward(problem, tokens = allTokens(problem)) {
  const { batch, length, queryDim, numHeads, parameters } = problem;
  const headDim = queryDim / numHeads;
  const projected = project(problem, tokens);
  const attended = new Float64Array(batch * tokens.length * queryDim);
  forScores(problem, projected, tokens, ({ head, queryRow, keyRow, scores }) => {
    const probabilities = softmax(scores);
    for (let l = 0; l < length; ++l) {
      for (let c = head * headDim; c < (head + 1) * headDim; ++c) {
        attended[queryRow * queryDim + c] += probabilities[l] * projected.value[(keyRow + l) * queryDim + c];
      }
    }
  });
  const output = timesTransposed(attended, parameters.output, batch * tokens.length, queryDim, queryDim);
  return output.map((value, index) => value + parameters.bias[index % queryDim]);
}

/** All probabilities, [batch, heads, length, tokens]: a map is an image of where the tokens look. */
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

/** The mean over the heads of [batch, heads, size] → [batch, size]. */
export function meanOverHeads(values, batch, numHeads) {
  const size = values.length / (batch * numHeads);
  return Float64Array.from({ length: batch * size }, (_, index) => {
    const batchRow = Math.floor(index / size);
    let sum = 0;
    for (let head = 0; head < numHeads; ++head) {
      sum += values[(batchRow * numHeads + head) * size + (index % size)];
    }
    return sum / numHeads;
  });
}
