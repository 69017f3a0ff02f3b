#include "layer/resize_bicubic.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/buffer.hpp"

namespace cross_attention::layer {

namespace {

using linalg::MatrixView;

/// The four pixels that a pixel of the result is a weighted sum of.
struct Taps {
  std::array<Index, 4> pixels;
  std::array<double, 4> weights;
};

Taps tapsOf(Index position, Index from, Index to) {
  constexpr double kA = -0.75;
  const double source =
      (static_cast<double>(position) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5;
  const double before = std::floor(source);
  const double t = source - before;
  const auto near = [](double x) { return ((kA + 2) * x - (kA + 3)) * x * x + 1; };
  const auto far = [](double x) { return ((kA * x - 5 * kA) * x + 8 * kA) * x - 4 * kA; };
  Taps taps{.pixels = {}, .weights = {far(t + 1), near(t), near(1 - t), far(2 - t)}};
  for (Index tap = 0; tap < 4; ++tap) {
    taps.pixels[static_cast<std::size_t>(tap)] =
        std::clamp<Index>(static_cast<Index>(before) - 1 + tap, 0, from - 1);
  }
  return taps;
}

/// Resizes each column to the rows of `result`.
void resizeColumns(MatrixView<const double> image, MatrixView<double> result) {
  for (Index row = 0; row < result.rows; ++row) {
    const Taps taps = tapsOf(row, image.rows, result.rows);
    for (Index column = 0; column < result.columns; ++column) {
      double sum = 0;
      for (std::size_t tap = 0; tap < 4; ++tap) {
        sum += taps.weights[tap] * *image.at(taps.pixels[tap], column);
      }
      *result.at(row, column) = sum;
    }
  }
}

}  // namespace

void resizeBicubic(MatrixView<const double> image, MatrixView<double> result) {
  if (image.rows == 0 || image.columns == 0) {
    for (Index row = 0; row < result.rows; ++row) {
      for (Index column = 0; column < result.columns; ++column) *result.at(row, column) = 0;
    }
    return;
  }
  Buffer<double> memory(ByteCount{image.rows} * result.columns);
  const MatrixView<double> wide = linalg::rowMajor(memory.data(), image.rows, result.columns);
  resizeColumns(image.transposed(), wide.transposed());
  resizeColumns(wide, result);
}

}  // namespace cross_attention::layer
