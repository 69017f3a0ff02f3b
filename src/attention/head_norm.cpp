#include "attention/head_norm.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace cross_attention::attention {

namespace {

/// One value per column of a block.
template <class T>
using Columns = std::array<T, static_cast<std::size_t>(linalg::kTileColumns<T>)>;

/// Calls work(row, column of the block) for a block of kTileColumns columns.
template <class T, class Work>
void forBlock(Index rows, Work work) {
  for (Index row = 0; row < rows; ++row) {
    for (Index column = 0; column < linalg::kTileColumns<T>; ++column) work(row, column);
  }
}

/// The statistics of the columns of a block.
template <class T>
struct Statistics {
  Columns<T> mean{};
  /// 1 / √(variance + ε), or of the mean of the squares.
  Columns<T> inverse{};

  Statistics(const HeadNorm<T>& norm, const T* block, Index rows, Index stride) {
    const T share = T(1) / static_cast<T>(rows);
    if (norm.isCentered) {
      forBlock<T>(rows, [&](Index row, Index column) { at(mean, column) += block[row * stride + column]; });
      for (T& value : mean) value *= share;
    }
    forBlock<T>(rows, [&](Index row, Index column) {
      const T difference = block[row * stride + column] - at(mean, column);
      at(inverse, column) += difference * difference;
    });
    for (T& value : inverse) value = T(1) / std::sqrt(value * share + norm.epsilon);
  }

  T normalized(T value, Index column) const { return (value - at(mean, column)) * at(inverse, column); }

  static T& at(Columns<T>& columns, Index column) { return columns[static_cast<std::size_t>(column)]; }
  static T at(const Columns<T>& columns, Index column) { return columns[static_cast<std::size_t>(column)]; }
};

}  // namespace

template <class T>
void normalizeHead(const HeadNorm<T>& norm, linalg::MatrixView<T> head) {
  for (Index begin = 0; begin < head.columns; begin += linalg::kTileColumns<T>) {
    T* block = head.at(0, begin);
    const Statistics<T> statistics(norm, block, head.rows, head.rowStride);
    forBlock<T>(head.rows, [&](Index row, Index column) {
      T& value = block[row * head.rowStride + column];
      const T bias = norm.bias == nullptr ? T(0) : norm.bias[row];
      value = statistics.normalized(value, column) * norm.weight[row] + bias;
    });
  }
}

template <class T>
void normalizeHeadBackward(const HeadNorm<T>& norm, linalg::MatrixView<const T> head,
                           linalg::MatrixView<T> gradient, T* weightGradient, T* biasGradient) {
  const T share = T(1) / static_cast<T>(head.rows);
  for (Index begin = 0; begin < head.columns; begin += linalg::kTileColumns<T>) {
    const T* block = head.at(0, begin);
    T* upper = gradient.at(0, begin);
    const Statistics<T> statistics(norm, block, head.rows, head.rowStride);
    const auto normalized = [&](Index row, Index column) {
      return statistics.normalized(block[row * head.rowStride + column], column);
    };
    // Columns beyond the last valid one must not count.
    const Index valid = std::min(linalg::kTileColumns<T>, head.columns - begin);
    for (Index row = 0; row < head.rows; ++row) {
      for (Index column = 0; column < valid; ++column) {
        const T value = upper[row * gradient.rowStride + column];
        weightGradient[row] += value * normalized(row, column);
        if (norm.isCentered) biasGradient[row] += value;
      }
    }
    // dx = (g - mean of g - x̂ · mean of g∘x̂) / √(variance + ε) with g = dy∘weight; RMSNorm subtracts no
    // mean.
    Columns<T> mean{}, product{};
    forBlock<T>(head.rows, [&](Index row, Index column) {
      const T scaled = upper[row * gradient.rowStride + column] * norm.weight[row];
      const auto index = static_cast<std::size_t>(column);
      if (norm.isCentered) mean[index] += scaled * share;
      product[index] += scaled * normalized(row, column) * share;
    });
    forBlock<T>(head.rows, [&](Index row, Index column) {
      T& value = upper[row * gradient.rowStride + column];
      const auto index = static_cast<std::size_t>(column);
      value = (value * norm.weight[row] - mean[index] - normalized(row, column) * product[index]) *
              statistics.inverse[index];
    });
  }
}

#define CROSS_ATTENTION_INSTANTIATE(T)                                                 \
  template void normalizeHead(const HeadNorm<T>&, linalg::MatrixView<T>);              \
  template void normalizeHeadBackward(const HeadNorm<T>&, linalg::MatrixView<const T>, \
                                      linalg::MatrixView<T>, T*, T*);
CROSS_ATTENTION_INSTANTIATE(float)
CROSS_ATTENTION_INSTANTIATE(double)
#undef CROSS_ATTENTION_INSTANTIATE

}  // namespace cross_attention::attention
