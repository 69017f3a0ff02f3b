#pragma once

#include <algorithm>
#include <array>
#include <utility>

#include "core/schedule.hpp"
#include "core/tensor.hpp"

namespace cross_attention::operators {

/// Views a tensor [..., features] as rows × features, and returns the number of rows.
template <class T>
Index rowsOf(const Tensor<T>& tensor) {
  const Index features = tensor.shape()[tensor.rank() - 1];
  return features == 0 ? 0 : tensor.size() / features;
}
template <class T>
Index featuresOf(const Tensor<T>& tensor) {
  return tensor.shape()[tensor.rank() - 1];
}

/// Returns the shape with another last dimension.
inline Shape withFeatures(const Shape& shape, Index features) {
  std::vector<std::int64_t> dimensions(shape.begin(), shape.end());
  dimensions.back() = features;
  return Shape::checked(dimensions, "features");
}

/// Elements per task of an elementwise operator.
constexpr Index kElementsPerTask = 16384;

/// Calls work(begin, end) for all rows in blocks, on all threads. The result of a block must not depend on
/// other blocks.
template <class Work>
void forRowBlocks(Index rows, Index rowsPerBlock, Work work) {
  if (rows == 0) return;
  Schedule schedule(Workspace::shared());
  schedule.add(ceilDivide(rows, rowsPerBlock), 0, [=](Index block, Scratch&) {
    const Index begin = block * rowsPerBlock;
    work(begin, std::min(begin + rowsPerBlock, rows));
  });
  schedule.run();
}

/// Computes Σ term(i) for i below `count` with sixteen parallel sums, which compilers vectorize.
template <class T, class Term>
T sumOver(Index count, Term term) {
  constexpr Index kSums = 16;
  std::array<T, kSums> sums{};
  Index i = 0;
  for (; i + kSums <= count; i += kSums) {
    for (Index lane = 0; lane < kSums; ++lane) sums[static_cast<std::size_t>(lane)] += term(i + lane);
  }
  for (; i < count; ++i) sums[0] += term(i);
  T total = 0;
  for (const T sum : sums) total += sum;
  return total;
}

/// Returns the rows per task for rows of `features` elements.
inline Index rowsPerBlock(Index features) {
  constexpr Index kElements = 16384;
  return std::max<Index>(1, kElements / std::max<Index>(1, features));
}

}  // namespace cross_attention::operators
