#include "layer/resize_bicubic.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "support/comparison.hpp"
#include "support/random_data.hpp"

namespace cross_attention::test::layer_resize_bicubic_test {

namespace {

struct Size {
  Index height;
  Index width;
};

std::vector<double> resized(const std::vector<double>& image, Size from, Size to) {
  std::vector<double> result(static_cast<std::size_t>(to.height * to.width), -5);
  layer::resizeBicubic(linalg::rowMajor(image.data(), from.height, from.width),
                       linalg::rowMajor(result.data(), to.height, to.width));
  return result;
}

/// Keys' kernel with a = -0.75.
double kernel(double distance) {
  const double x = std::abs(distance);
  if (x < 1) return 1.25 * x * x * x - 2.25 * x * x + 1;
  return x < 2 ? -0.75 * (x * x * x - 5 * x * x + 8 * x - 4) : 0;
}

/// The sum over 4 × 4 pixels. tests/node/attention_recorder.test.mjs compares with PyTorch.
std::vector<double> expected(const std::vector<double>& image, Size from, Size to) {
  std::vector<double> result;
  for (Index row = 0; row < to.height; ++row) {
    for (Index column = 0; column < to.width; ++column) {
      const auto source = [](Index index, Index size, Index toSize) {
        return (static_cast<double>(index) + 0.5) * static_cast<double>(size) / static_cast<double>(toSize) -
               0.5;
      };
      const double y = source(row, from.height, to.height);
      const double x = source(column, from.width, to.width);
      double sum = 0;
      for (double down = std::floor(y) - 1; down <= std::floor(y) + 2; ++down) {
        for (double right = std::floor(x) - 1; right <= std::floor(x) + 2; ++right) {
          const Index pixelRow = std::clamp<Index>(static_cast<Index>(down), 0, from.height - 1);
          const Index pixelColumn = std::clamp<Index>(static_cast<Index>(right), 0, from.width - 1);
          sum += kernel(y - down) * kernel(x - right) *
                 image[static_cast<std::size_t>(pixelRow * from.width + pixelColumn)];
        }
      }
      result.push_back(sum);
    }
  }
  return result;
}

}  // namespace

TEST(ResizeBicubicTest, SumOfSixteenPixels) {
  Random random(4);
  for (const Size from : {Size{1, 1}, Size{1, 6}, Size{3, 5}, Size{8, 8}, Size{16, 9}}) {
    const auto image = normalValues<double>(random, from.height * from.width);
    for (const Size to : {Size{1, 1}, Size{2, 9}, Size{7, 7}, Size{8, 8}, Size{32, 20}}) {
      EXPECT_TRUE(isNear(resized(image, from, to), expected(image, from, to), 1e-13));
    }
  }
}

TEST(ResizeBicubicTest, KeepsTheSameSizeAndConstants) {
  Random random(5);
  const auto image = normalValues<double>(random, 35);
  EXPECT_TRUE(isNear(resized(image, {5, 7}, {5, 7}), image, 1e-14));
  const std::vector<double> constant(35, 2.5);
  EXPECT_TRUE(isNear(resized(constant, {5, 7}, {9, 4}), std::vector<double>(36, 2.5), 1e-14));
}

TEST(ResizeBicubicTest, ImageWithoutPixelsIsZero) {
  EXPECT_EQ(resized({}, {0, 4}, {2, 2}), std::vector<double>(4, 0));
}

}  // namespace cross_attention::test::layer_resize_bicubic_test
