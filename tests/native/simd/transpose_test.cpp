#include "simd/transpose.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace cross_attention::test::simd_transpose_test {

template <class T>
class TransposeTest : public testing::Test {};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(TransposeTest, Formats);

TYPED_TEST(TransposeTest, TransposesABlockAndWritesNothingElse) {
  using T = TypeParam;
  constexpr Index kSize = simd::kLanes<T>;
  // Different strides, and a start that is not aligned to vectors.
  for (const Index sourceStride : {kSize, kSize + 3}) {
    for (const Index destinationStride : {kSize, kSize + 5}) {
      std::vector<T> source(static_cast<std::size_t>(kSize * sourceStride + 1));
      std::iota(source.begin(), source.end(), T(1));
      std::vector<T> destination(static_cast<std::size_t>(kSize * destinationStride + 1), T(-1));
      simd::transposeBlock(source.data() + 1, sourceStride, destination.data() + 1, destinationStride);
      std::vector<T> expected(destination.size(), T(-1));
      for (Index row = 0; row < kSize; ++row) {
        for (Index column = 0; column < kSize; ++column) {
          expected[static_cast<std::size_t>(1 + column * destinationStride + row)] =
              source[static_cast<std::size_t>(1 + row * sourceStride + column)];
        }
      }
      EXPECT_EQ(destination, expected) << sourceStride << " to " << destinationStride;
    }
  }
}

}  // namespace cross_attention::test::simd_transpose_test
