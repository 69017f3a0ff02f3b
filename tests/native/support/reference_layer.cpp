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

std::vector<double> ReferenceLayer::projectedKeys() const {
  return project(context, keyWeight, contextDim, queryDim);
}
std::vector<double> ReferenceLayer::projectedValues() const {
  return project(context, valueWeight, contextDim, queryDim);
}

ReferenceHead ReferenceLayer::head(Index batchRow, Index headIndex, const std::vector<Index>& chosen,
                                   const Matrix& keys, const Matrix& allValues) const {
  const Index width = headDim();
  const Index contextRow = contextBatch == 1 ? 0 : batchRow;
  const std::vector<Index> contextRows = rangeOf(contextRow * length, length);
  std::vector<Index> inputRows;
  for (const Index token : chosen) inputRows.push_back(batchRow * tokens + token);
  // The rows of Wq that belong to this head.
  const Matrix weight(queryWeight.begin() + headIndex * width * queryDim,
                      queryWeight.begin() + (headIndex + 1) * width * queryDim);
  ReferenceHead result{static_cast<Index>(chosen.size()),
                       length,
                       width,
                       project(columnsOf(input, queryDim, inputRows, 0, queryDim), weight, queryDim, width),
                       columnsOf(keys, queryDim, contextRows, headIndex * width, width),
                       columnsOf(allValues, queryDim, contextRows, headIndex * width, width),
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
  Matrix attended(static_cast<std::size_t>(batch * count * queryDim), 0.0);
  for (Index row = 0; row < batch; ++row) {
    for (Index headIndex = 0; headIndex < numHeads; ++headIndex) {
      addColumns(head(row, headIndex, chosen, keys, allValues).output(), headDim(), row * count,
                 headIndex * headDim(), queryDim, attended);
    }
  }
  Matrix result = project(attended, outputWeight, queryDim, queryDim);
  for (std::size_t element = 0; element < result.size(); ++element) {
    result[element] += outputBias[element % static_cast<std::size_t>(queryDim)];
  }
  return result;
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
  const auto zerosLike = [](const Matrix& matrix) { return Matrix(matrix.size(), 0.0); };
  Gradients result{zerosLike(input),     zerosLike(context),     zerosLike(queryWeight),
                   zerosLike(keyWeight), zerosLike(valueWeight), zerosLike(outputWeight),
                   zerosLike(outputBias)};
  const Matrix query = project(input, queryWeight, queryDim, queryDim);
  Matrix attended = zerosLike(query);
  Matrix attendedGradient = zerosLike(query);
  Matrix queryGradient = zerosLike(query);
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
    addColumns(reference.output(), headDim(), row * tokens, headIndex * headDim(), queryDim, attended);
  });
  projectBackward(outputGradient, attended, outputWeight, queryDim, queryDim, attendedGradient,
                  result.outputWeight);
  for (std::size_t element = 0; element < outputGradient.size(); ++element) {
    result.outputBias[element % static_cast<std::size_t>(queryDim)] += outputGradient[element];
  }
  everyHead([&](Index row, Index headIndex, const ReferenceHead& reference) {
    const Index column = headIndex * headDim();
    const ReferenceHead::Gradients part = reference.gradients(
        columnsOf(attendedGradient, queryDim, rangeOf(row * tokens, tokens), column, headDim()));
    const Index contextRow = (contextBatch == 1 ? 0 : row) * length;
    addColumns(part.query, headDim(), row * tokens, column, queryDim, queryGradient);
    addColumns(part.key, headDim(), contextRow, column, queryDim, keyGradient);
    addColumns(part.value, headDim(), contextRow, column, queryDim, valueGradient);
  });
  projectBackward(queryGradient, input, queryWeight, queryDim, queryDim, result.input, result.queryWeight);
  projectBackward(keyGradient, context, keyWeight, contextDim, queryDim, result.context, result.keyWeight);
  projectBackward(valueGradient, context, valueWeight, contextDim, queryDim, result.context,
                  result.valueWeight);
  if (isSelfAttention) {
    std::transform(result.input.begin(), result.input.end(), result.context.begin(), result.input.begin(),
                   std::plus<>());
  }
  return result;
}

std::vector<double> ReferenceLayer::Gradients::parameters() const {
  Matrix all;
  for (const Matrix* part : {&queryWeight, &keyWeight, &valueWeight, &outputWeight, &outputBias}) {
    all.insert(all.end(), part->begin(), part->end());
  }
  return all;
}

double ReferenceLayer::largestScore() const {
  // By Cauchy–Schwarz, |q·k| ≤ ‖q‖·‖k‖.
  const auto longestRow = [this](const Matrix& rows) {
    double longest = 0;
    for (std::size_t begin = 0; begin < rows.size(); begin += static_cast<std::size_t>(headDim())) {
      double squares = 0;
      for (Index column = 0; column < headDim(); ++column) {
        const double value = rows[begin + static_cast<std::size_t>(column)];
        squares += value * value;
      }
      longest = std::max(longest, std::sqrt(squares));
    }
    return longest;
  };
  return std::abs(scale) * longestRow(projectedKeys()) *
         longestRow(project(input, queryWeight, queryDim, queryDim));
}

double ReferenceLayer::tolerance(double epsilon) const {
  double outputRow = 0;
  for (Index row = 0; row < queryDim; ++row) {
    double squares = 0;
    for (Index column = 0; column < queryDim; ++column) {
      const double weight = outputWeight[static_cast<std::size_t>(row * queryDim + column)];
      squares += weight * weight;
    }
    outputRow = std::max(outputRow, std::sqrt(squares));
  }
  const double magnitude = largest(projectedValues()) * outputRow + largest(outputBias);
  const double terms = static_cast<double>(queryDim + contextDim + headDim() + length);
  return 8 * epsilon * std::sqrt(terms) * (1 + largestScore()) * magnitude;
}

double ReferenceLayer::outputBound() const {
  const double value = largest(projectedValues());
  double bound = 0;
  for (Index row = 0; row < queryDim; ++row) {
    double sum = std::abs(outputBias[static_cast<std::size_t>(row)]);
    for (Index column = 0; column < queryDim; ++column) {
      sum += value * std::abs(outputWeight[static_cast<std::size_t>(row * queryDim + column)]);
    }
    bound = std::max(bound, sum);
  }
  return bound;
}

}  // namespace cross_attention::test
