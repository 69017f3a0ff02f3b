// Textbook implementation of the layer's gradients in float64. Problems are those of reference.mjs.
import { allTokens, forRows, forScores, project, softmax } from './reference.mjs';

/** c[i, j] = Σ_k a[i, k]·b[k, j]. */
function times(a, b, rows, columns, depth) {
  const c = new Float64Array(rows * columns);
  for (let k = 0; k < depth; ++k) {
    for (let row = 0; row < rows; ++row) {
      const factor = a[row * depth + k];
      const [cBegin, bBegin] = [row * columns, k * columns];
      for (let column = 0; column < columns; ++column) c[cBegin + column] += factor * b[bBegin + column];
    }
  }
  return c;
}

/** c[i, j] = Σ_r a[r, i]·b[r, j]: the gradient of a weight, summed over all rows. */
function transposedTimes(a, b, rows, columnsA, columnsB) {
  const c = new Float64Array(columnsA * columnsB);
  for (let i = 0; i < columnsA; ++i) {
    for (let row = 0; row < rows; ++row) {
      const factor = a[row * columnsA + i];
      const [cBegin, bBegin] = [i * columnsB, row * columnsB];
      for (let j = 0; j < columnsB; ++j) c[cBegin + j] += factor * b[bBegin + j];
    }
  }
  return c;
}

const added = (a, b) => a.map((value, index) => value + b[index]);

/** Returns the probabilities of all rows of scores, in the order of forScores. */
function probabilitiesOf(problem) {
  const rows = [];
  forScores(problem, project(problem), allTokens(problem), ({ scores }) => rows.push(softmax(scores)));
  return rows;
}

function magnitudesOf(problem) {
  const absolute = (values) => values.map(Math.abs);
  const parameters = Object.fromEntries(
    Object.entries(problem.parameters).map(([name, values]) => [name, absolute(values)]),
  );
  return { ...problem, input: absolute(problem.input), context: absolute(problem.context), parameters };
}

/**
 * Returns the gradients if `sign` is -1. If it is +1 and all operands are magnitudes, returns the sums of the
 * magnitudes of their terms.
 */
function differentiate(problem, probabilities, outputGradient, sign) {
  const { batch, tokens, length, queryDim, contextDim, numHeads, scale, contextBatch, parameters } = problem;
  const headDim = queryDim / numHeads;
  const factor = sign < 0 ? scale : Math.abs(scale);
  const rows = batch * tokens;
  const keys = contextBatch * length;
  const { query, key, value } = project(problem);

  // out = attended·Woᵀ + bo
  const attendedGradient = times(outputGradient, parameters.output, rows, queryDim, queryDim);
  const attended = new Float64Array(rows * queryDim);
  const queryGradient = new Float64Array(rows * queryDim);
  const keyGradient = new Float64Array(keys * queryDim);
  const valueGradient = new Float64Array(keys * queryDim);
  let visited = 0;
  forRows(problem, allTokens(problem), ({ head, queryRow, keyRow }) => {
    const p = probabilities[visited++];
    const channels = (row) => row * queryDim + head * headDim;
    const token = channels(queryRow);
    const probabilityGradient = new Float64Array(length);
    for (let l = 0; l < length; ++l) {
      const source = channels(keyRow + l);
      const probability = p[l];
      let sum = 0;
      for (let c = 0; c < headDim; ++c) {
        attended[token + c] += probability * value[source + c];
        valueGradient[source + c] += probability * attendedGradient[token + c];
        sum += attendedGradient[token + c] * value[source + c];
      }
      probabilityGradient[l] = sum;
    }
    // dS = P ∘ (dP - Σ P∘dP)
    const shift = probabilityGradient.reduce((sum, gradient, l) => sum + p[l] * gradient, 0);
    for (let l = 0; l < length; ++l) {
      const scoreGradient = factor * (p[l] * (probabilityGradient[l] + sign * shift));
      const source = channels(keyRow + l);
      for (let c = 0; c < headDim; ++c) {
        queryGradient[token + c] += scoreGradient * key[source + c];
        keyGradient[source + c] += scoreGradient * query[token + c];
      }
    }
  });

  const fromQuery = times(queryGradient, parameters.query, rows, queryDim, queryDim);
  const fromKeys = added(
    times(keyGradient, parameters.key, keys, contextDim, queryDim),
    times(valueGradient, parameters.value, keys, contextDim, queryDim),
  );
  return {
    input: problem.isSelfAttention ? added(fromQuery, fromKeys) : fromQuery,
    context: problem.isSelfAttention ? null : fromKeys,
    query: transposedTimes(queryGradient, problem.input, rows, queryDim, queryDim),
    key: transposedTimes(keyGradient, problem.context, keys, queryDim, contextDim),
    value: transposedTimes(valueGradient, problem.context, keys, queryDim, contextDim),
    output: transposedTimes(outputGradient, attended, rows, queryDim, queryDim),
    bias: transposedTimes(new Float64Array(rows).fill(1), outputGradient, rows, 1, queryDim),
  };
}

/** Returns {input, context (null for self-attention), query, key, value, output, bias}. */
export function backward(problem, outputGradient) {
  return differentiate(problem, probabilitiesOf(problem), outputGradient, -1);
}

/**
 * Returns the sum of the magnitudes of the terms of each gradient. Rounding errors are relative to these
 * sums.
 */
export function gradientMagnitudes(problem, outputGradient) {
  return differentiate(magnitudesOf(problem), probabilitiesOf(problem), outputGradient.map(Math.abs), +1);
}
