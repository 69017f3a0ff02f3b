// Bounds of the rounding error of the layer in a given precision. Based on: Higham, Accuracy and Stability of
// Numerical Algorithms, section 3.1. The analysis follows the steps of the layer with the numbers of the
// problem. The error of a sum of n products, in any order, is at most γ_n·Σ|a|·|b|.
import { allTokens, forScores, project, softmax, timesTransposed } from './reference.mjs';

export const unitRoundoff = (dtype) => (dtype === 'float32' ? 2 ** -24 : 2 ** -53);
/** The smallest normal result of exp. Smaller probabilities may be rounded to zero. */
const smallest = (dtype) => (dtype === 'float32' ? 2 ** -126 : 2 ** -1022);
/** The error of an exponential in units of roundoff. */
const exponentialUnits = 4;

export const gamma = (terms, unit) => (terms * unit) / (1 - terms * unit);

const magnitudes = (values) => values.map(Math.abs);

/**
 * Visits each row of probabilities like forScores. Also passes `probabilities` and `probabilityBound`, the
 * maximum error of each probability.
 */
export function forProbabilityBounds(problem, dtype, tokens, visit) {
  const { length, queryDim, contextDim, numHeads, scale } = problem;
  const unit = unitRoundoff(dtype);
  const headDim = queryDim / numHeads;
  const exact = project(problem, tokens);
  const parameters = Object.fromEntries(
    Object.entries(problem.parameters).map(([name, values]) => [name, magnitudes(values)]),
  );
  const absolute = project(
    { ...problem, input: magnitudes(problem.input), context: magnitudes(problem.context), parameters },
    tokens,
  );
  const [queryGamma, keyGamma] = [gamma(queryDim, unit), gamma(contextDim + 2, unit)];
  forScores(problem, exact, tokens, (row) => {
    const { head, queryRow, keyRow, scores } = row;
    const queryBegin = queryRow * queryDim + head * headDim;
    let largest = 0;
    let maximum = -Infinity;
    for (let l = 0; l < length; ++l) {
      const score = scores[l];
      if (score === -Infinity) continue;
      const keyBegin = (keyRow + l) * queryDim + head * headDim;
      let propagated = 0;
      let rounded = 0;
      for (let c = 0; c < headDim; ++c) {
        const query = Math.abs(exact.query[queryBegin + c]);
        const key = Math.abs(exact.key[keyBegin + c]);
        propagated +=
          queryGamma * absolute.query[queryBegin + c] * key + keyGamma * absolute.key[keyBegin + c] * query;
        rounded += query * key;
      }
      // The last term is the rounding of the addition of the mask.
      const error =
        Math.abs(scale) * (propagated + gamma(headDim + 2, unit) * rounded) + unit * Math.abs(score);
      largest = Math.max(largest, error);
      maximum = Math.max(maximum, score);
    }
    const probabilities = softmax(scores);
    // exp(score - maximum) or exp(score - logSumExp): the difference and the subtrahend are rounded. The sum
    // has `length` terms, each rescaled at most once per tile.
    const relative = scores.map((score) =>
      score === -Infinity
        ? 0
        : Math.expm1(2 * largest + 2 * unit * (maximum - score + Math.abs(maximum))) +
          gamma(2 * length + 2 * exponentialUnits + 4, unit),
    );
    const probabilityBound = probabilities.map((probability, l) =>
      scores[l] === -Infinity ? 0 : Math.min(1, probability * relative[l] + smallest(dtype)),
    );
    visit({ ...row, exact, absolute, probabilities, probabilityBound });
  });
}

/** Returns the maximum error in `dtype` of each element of the result of forward. */
export function forwardBound(problem, dtype, tokens = allTokens(problem)) {
  const { batch, length, queryDim, contextDim, numHeads, parameters } = problem;
  const unit = unitRoundoff(dtype);
  const headDim = queryDim / numHeads;
  const rows = batch * tokens.length;
  const attended = new Float64Array(rows * queryDim);
  const attendedBound = new Float64Array(rows * queryDim);
  forProbabilityBounds(problem, dtype, tokens, (row) => {
    const { head, queryRow, keyRow, exact, absolute, probabilities, probabilityBound } = row;
    const begin = queryRow * queryDim + head * headDim;
    for (let l = 0; l < length; ++l) {
      const valueBegin = (keyRow + l) * queryDim + head * headDim;
      const ofValue = probabilityBound[l] + gamma(2 * length + 2, unit) * probabilities[l];
      const ofAbsolute = (probabilities[l] + probabilityBound[l]) * gamma(contextDim, unit);
      for (let c = 0; c < headDim; ++c) {
        const value = Math.abs(exact.value[valueBegin + c]);
        attended[begin + c] += probabilities[l] * value;
        attendedBound[begin + c] += ofValue * value + ofAbsolute * absolute.value[valueBegin + c];
      }
    }
  });
  const weight = magnitudes(parameters.output);
  const propagated = timesTransposed(attendedBound, weight, rows, queryDim, queryDim);
  const summed = timesTransposed(attended, weight, rows, queryDim, queryDim);
  return propagated.map((error, index) => {
    const terms = summed[index] + error + Math.abs(parameters.bias[index % queryDim]);
    return error + gamma(queryDim + 1, unit) * terms;
  });
}

/** Returns the maximum error in `dtype` of each element of the result of attentionMaps. */
export function mapsBound(problem, dtype) {
  const { batch, tokens, length, numHeads } = problem;
  const bound = new Float64Array(batch * numHeads * length * tokens);
  forProbabilityBounds(problem, dtype, allTokens(problem), ({ batchRow, head, token, probabilityBound }) =>
    probabilityBound.forEach((error, l) => {
      bound[((batchRow * numHeads + head) * length + l) * tokens + token] = error;
    }),
  );
  return bound;
}

/**
 * Returns the maximum error of a gradient relative to the sum of the magnitudes of its terms, to first order.
 * A term is a product of P (twice in dS) and of sums over channels, tokens and keys, each of which adds its
 * γ.
 */
export function gradientRelativeBound(problem, dtype) {
  const { batch, tokens, length, queryDim, contextDim } = problem;
  let relative = 0;
  forProbabilityBounds(problem, dtype, allTokens(problem), ({ probabilities, probabilityBound }) =>
    probabilityBound.forEach((error, l) => {
      if (probabilities[l] > smallest(dtype)) relative = Math.max(relative, error / probabilities[l]);
    }),
  );
  const terms = 5 * queryDim + 2 * contextDim + 4 * length + 2 * batch * tokens + 16;
  return 3 * relative + gamma(terms, unitRoundoff(dtype));
}
