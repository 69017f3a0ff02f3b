#include "support/reference_layer.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace cross_attention::test {

namespace {

using Matrix = std::vector<double>;

/// Returns rows · weightᵀ, [rows, in] · [out, in]ᵀ.
Matrix project(const Matrix& rows, const Matrix& weight, Index in, Index out) {
  const Index count = in == 0 ? 0 : static_cast<Index>(rows.size()) / in;
  Matrix result(static_cast<std::size_t>(count * out), 0.0);
  for (Index row = 0; row < count; ++row) {
    for (Index column = 0; column < out; ++column) {
      double sum = 0;
      for (Index term = 0; term < in; ++term) {
        sum += rows[static_cast<std::size_t>(row * in + term)] *
               weight[static_cast<std::size_t>(column * in + term)];
      }
      result[static_cast<std::size_t>(row * out + column)] = sum;
    }
  }
  return result;
}

/// Adds a bias, unless it is empty, to each row.
Matrix withBias(Matrix rows, const Matrix& bias) {
  if (bias.empty()) return rows;
  for (std::size_t element = 0; element < rows.size(); ++element)
    rows[element] += bias[element % bias.size()];
  return rows;
}

/// Returns the gradient of a bias of withBias; empty if there is none.
Matrix biasGradient(const Matrix& gradient, const Matrix& bias) {
  Matrix sums(bias.size(), 0.0);
  if (bias.empty()) return sums;
  for (std::size_t element = 0; element < gradient.size(); ++element) {
    sums[element % bias.size()] += gradient[element];
  }
  return sums;
}

/// The backward pass of project: adds gradient · weight to the gradient of the rows and gradientᵀ · rows to
/// that of the weight.
void projectBackward(const Matrix& gradient, const Matrix& rows, const Matrix& weight, Index in, Index out,
                     Matrix& rowsGradient, Matrix& weightGradient) {
  const Index count = static_cast<Index>(gradient.size()) / out;
  for (Index row = 0; row < count; ++row) {
    for (Index column = 0; column < out; ++column) {
      const double upper = gradient[static_cast<std::size_t>(row * out + column)];
      for (Index term = 0; term < in; ++term) {
        const auto element = static_cast<std::size_t>(row * in + term);
        const auto weightElement = static_cast<std::size_t>(column * in + term);
        rowsGradient[element] += upper * weight[weightElement];
        weightGradient[weightElement] += upper * rows[element];
      }
    }
  }
}

/// Returns columns begin … begin + width - 1 of the given rows of a matrix.
Matrix columnsOf(const Matrix& matrix, Index columns, const std::vector<Index>& rows, Index begin,
                 Index width) {
  Matrix result;
  for (const Index row : rows) {
    const auto first = matrix.begin() + row * columns + begin;
    result.insert(result.end(), first, first + width);
  }
  return result;
}

void addColumns(const Matrix& part, Index width, Index firstRow, Index begin, Index columns, Matrix& matrix) {
  for (std::size_t element = 0; element < part.size(); ++element) {
    const Index row = firstRow + static_cast<Index>(element) / width;
    const Index column = begin + static_cast<Index>(element) % width;
    matrix[static_cast<std::size_t>(row * columns + column)] += part[element];
  }
}

std::vector<Index> rangeOf(Index begin, Index count) {
  std::vector<Index> range(static_cast<std::size_t>(count));
  std::iota(range.begin(), range.end(), begin);
  return range;
}

double largest(const Matrix& matrix) {
  double result = 0;
  for (const double value : matrix) result = std::max(result, std::abs(value));
  return result;
}

}  // namespace

std::vector<Index> allTokens(Index count) { return rangeOf(0, count); }

std::vector<double> ReferenceNorm::apply(Matrix rows) const {
  const std::size_t width = weight.size();
  if (width == 0) return rows;
  for (std::size_t begin = 0; begin < rows.size(); begin += width) {
    double mean = 0;
    double squares = 0;
    for (std::size_t index = 0; index < width; ++index)
      mean += rows[begin + index] / static_cast<double>(width);
    if (!isCentered) mean = 0;
    for (std::size_t index = 0; index < width; ++index) {
      squares += (rows[begin + index] - mean) * (rows[begin + index] - mean) / static_cast<double>(width);
    }
    for (std::size_t index = 0; index < width; ++index) {
      rows[begin + index] = (rows[begin + index] - mean) / std::sqrt(squares + epsilon) * weight[index] +
                            (bias.empty() ? 0 : bias[index]);
    }
  }
  return rows;
}

ReferenceNorm::Gradients ReferenceNorm::gradients(const Matrix& rows, const Matrix& upper) const {
  const std::size_t width = weight.size();
  if (width == 0) return {upper, {}, {}};
  Gradients result{Matrix(rows.size(), 0.0), Matrix(width, 0.0), Matrix(bias.size(), 0.0)};
  const ReferenceNorm plain{isCentered, epsilon, Matrix(width, 1.0), {}};
  const Matrix normalized = plain.apply(rows);
  for (std::size_t begin = 0; begin < rows.size(); begin += width) {
    // The Jacobian of the normalized row, by its definition.
    for (std::size_t out = 0; out < width; ++out) {
      result.weight[out] += upper[begin + out] * normalized[begin + out];
      if (!bias.empty()) result.bias[out] += upper[begin + out];
    }
    double mean = 0;
    double squares = 0;
    for (std::size_t index = 0; index < width; ++index)
      mean += rows[begin + index] / static_cast<double>(width);
    if (!isCentered) mean = 0;
    for (std::size_t index = 0; index < width; ++index) {
      squares += (rows[begin + index] - mean) * (rows[begin + index] - mean) / static_cast<double>(width);
    }
    const double deviation = std::sqrt(squares + epsilon);
    for (std::size_t in = 0; in < width; ++in) {
      for (std::size_t out = 0; out < width; ++out) {
        const double difference =
            (in == out ? 1.0 : 0.0) - (isCentered ? 1.0 / static_cast<double>(width) : 0);
        const double jacobian =
            (difference - normalized[begin + in] * normalized[begin + out] / static_cast<double>(width)) /
            deviation;
        result.rows[begin + in] += upper[begin + out] * weight[out] * jacobian;
      }
    }
  }
  return result;
}

std::vector<double> ReferenceLayer::projectedQueries() const {
  return queryNorm.apply(withBias(project(input, queryWeight, queryDim, innerDim()), queryBias));
}
std::vector<double> ReferenceLayer::projectedKeys() const {
  return keyNorm.apply(withBias(project(context, keyWeight, contextDim, innerDim()), keyBias));
}
std::vector<double> ReferenceLayer::projectedValues() const {
  return withBias(project(context, valueWeight, contextDim, innerDim()), valueBias);
}

ReferenceHead ReferenceLayer::head(Index batchRow, Index headIndex, const std::vector<Index>& chosen,
                                   const Matrix& keys, const Matrix& allValues) const {
  const Index contextRow = contextBatch == 1 ? 0 : batchRow;
  const std::vector<Index> contextRows = rangeOf(contextRow * length, length);
  std::vector<Index> inputRows;
  for (const Index token : chosen) inputRows.push_back(batchRow * tokens + token);
  // The rows of Wq and the elements of bq that belong to this head.
  const Matrix weight(queryWeight.begin() + headIndex * headDim * queryDim,
                      queryWeight.begin() + (headIndex + 1) * headDim * queryDim);
  const Matrix bias =
      queryBias.empty() ? Matrix() : columnsOf(queryBias, innerDim(), {0}, headIndex * headDim, headDim);
  ReferenceHead result{
      static_cast<Index>(chosen.size()),
      length,
      headDim,
      queryNorm.apply(withBias(
          project(columnsOf(input, queryDim, inputRows, 0, queryDim), weight, queryDim, headDim), bias)),
      columnsOf(keys, innerDim(), contextRows, headIndex * headDim, headDim),
      columnsOf(allValues, innerDim(), contextRows, headIndex * headDim, headDim),
      scale,
      {}};
  if (mask) {
    result.mask = [this, batchRow, headIndex, chosen](Index token, Index key) {
      return mask(batchRow, headIndex, chosen[static_cast<std::size_t>(token)], key);
    };
  }
  return result;
}

std::vector<double> ReferenceLayer::output(const std::vector<Index>& chosen) const {
  const Matrix keys = projectedKeys();
  const Matrix allValues = projectedValues();
  const auto count = static_cast<Index>(chosen.size());
  Matrix attended(static_cast<std::size_t>(batch * count * innerDim()), 0.0);
  for (Index row = 0; row < batch; ++row) {
    for (Index headIndex = 0; headIndex < numHeads; ++headIndex) {
      addColumns(head(row, headIndex, chosen, keys, allValues).output(), headDim, row * count,
                 headIndex * headDim, innerDim(), attended);
    }
  }
  return withBias(project(attended, outputWeight, innerDim(), outputDim), outputBias);
}

std::vector<double> ReferenceLayer::output() const { return output(allTokens(tokens)); }

std::vector<double> ReferenceLayer::probabilities() const {
  const Matrix keys = projectedKeys();
  const Matrix allValues = projectedValues();
  Matrix result;
  for (Index row = 0; row < batch; ++row) {
    for (Index headIndex = 0; headIndex < numHeads; ++headIndex) {
      const Matrix weights = head(row, headIndex, allTokens(tokens), keys, allValues).probabilities();
      for (Index key = 0; key < length; ++key) {
        for (Index token = 0; token < tokens; ++token) {
          result.push_back(weights[static_cast<std::size_t>(token * length + key)]);
        }
      }
    }
  }
  return result;
}

ReferenceLayer::Gradients ReferenceLayer::gradients(const Matrix& outputGradient) const {
  const Matrix keys = projectedKeys();
  const Matrix allValues = projectedValues();
  const Index inner = innerDim();
  const auto zerosLike = [](const Matrix& matrix) { return Matrix(matrix.size(), 0.0); };
  Gradients result{zerosLike(input), zerosLike(context), {}};
  Matrix queryWeightGradient = zerosLike(queryWeight);
  Matrix keyWeightGradient = zerosLike(keyWeight);
  Matrix valueWeightGradient = zerosLike(valueWeight);
  Matrix outputWeightGradient = zerosLike(outputWeight);
  Matrix attended(static_cast<std::size_t>(batch * tokens * inner), 0.0);
  Matrix attendedGradient = zerosLike(attended);
  Matrix queryGradient = zerosLike(attended);
  Matrix keyGradient = zerosLike(keys);
  Matrix valueGradient = zerosLike(allValues);
  const auto everyHead = [&](auto use) {
    for (Index row = 0; row < batch; ++row) {
      for (Index headIndex = 0; headIndex < numHeads; ++headIndex) {
        use(row, headIndex, head(row, headIndex, allTokens(tokens), keys, allValues));
      }
    }
  };
  everyHead([&](Index row, Index headIndex, const ReferenceHead& reference) {
    addColumns(reference.output(), headDim, row * tokens, headIndex * headDim, inner, attended);
  });
  projectBackward(outputGradient, attended, outputWeight, inner, outputDim, attendedGradient,
                  outputWeightGradient);
  everyHead([&](Index row, Index headIndex, const ReferenceHead& reference) {
    const Index column = headIndex * headDim;
    const ReferenceHead::Gradients part = reference.gradients(
        columnsOf(attendedGradient, inner, rangeOf(row * tokens, tokens), column, headDim));
    const Index contextRow = (contextBatch == 1 ? 0 : row) * length;
    addColumns(part.query, headDim, row * tokens, column, inner, queryGradient);
    addColumns(part.key, headDim, contextRow, column, inner, keyGradient);
    addColumns(part.value, headDim, contextRow, column, inner, valueGradient);
  });
  const ReferenceNorm::Gradients query =
      queryNorm.gradients(withBias(project(input, queryWeight, queryDim, inner), queryBias), queryGradient);
  const ReferenceNorm::Gradients key =
      keyNorm.gradients(withBias(project(context, keyWeight, contextDim, inner), keyBias), keyGradient);
  projectBackward(query.rows, input, queryWeight, queryDim, inner, result.input, queryWeightGradient);
  projectBackward(key.rows, context, keyWeight, contextDim, inner, result.context, keyWeightGradient);
  projectBackward(valueGradient, context, valueWeight, contextDim, inner, result.context,
                  valueWeightGradient);
  if (isSelfAttention) {
    std::transform(result.input.begin(), result.input.end(), result.context.begin(), result.input.begin(),
                   std::plus<>());
  }
  result.parameters = {queryWeightGradient,
                       biasGradient(query.rows, queryBias),
                       keyWeightGradient,  // Softmax ignores what all keys share.
                       keyNorm.weight.empty() ? zerosLike(keyBias) : biasGradient(key.rows, keyBias),
                       valueWeightGradient,
                       biasGradient(valueGradient, valueBias),
                       query.weight,
                       query.bias,
                       key.weight,
                       zerosLike(key.bias),
                       outputWeightGradient,
                       biasGradient(outputGradient, outputBias)};
  return result;
}

double ReferenceLayer::largestScore() const {
  // By Cauchy–Schwarz, |q·k| ≤ ‖q‖·‖k‖.
  const auto longestRow = [this](const Matrix& rows) {
    double longest = 0;
    for (std::size_t begin = 0; begin < rows.size(); begin += static_cast<std::size_t>(headDim)) {
      double squares = 0;
      for (Index column = 0; column < headDim; ++column) {
        const double value = rows[begin + static_cast<std::size_t>(column)];
        squares += value * value;
      }
      longest = std::max(longest, std::sqrt(squares));
    }
    return longest;
  };
  return std::abs(scale) * longestRow(projectedKeys()) * longestRow(projectedQueries());
}

double ReferenceLayer::tolerance(double epsilon) const {
  double outputRow = 0;
  for (Index row = 0; row < outputDim; ++row) {
    double squares = 0;
    for (Index column = 0; column < innerDim(); ++column) {
      const double weight = outputWeight[static_cast<std::size_t>(row * innerDim() + column)];
      squares += weight * weight;
    }
    outputRow = std::max(outputRow, std::sqrt(squares));
  }
  const double magnitude = largest(projectedValues()) * outputRow + largest(outputBias);
  const double terms = static_cast<double>(queryDim + contextDim + headDim + length);
  return 8 * epsilon * std::sqrt(terms) * (1 + largestScore()) * magnitude;
}

double ReferenceLayer::outputBound() const {
  const double value = largest(projectedValues());
  double bound = 0;
  for (Index row = 0; row < outputDim; ++row) {
    double sum = outputBias.empty() ? 0 : std::abs(outputBias[static_cast<std::size_t>(row)]);
    for (Index column = 0; column < innerDim(); ++column) {
      sum += value * std::abs(outputWeight[static_cast<std::size_t>(row * innerDim() + column)]);
    }
    bound = std::max(bound, sum);
  }
  return bound;
}

}  // namespace cross_attention::test
