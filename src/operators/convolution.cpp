#include "operators/convolution.hpp"

#include "linalg/multiply.hpp"
#include "operators/rows.hpp"
#include "operators/window.hpp"
#include "simd/vector.hpp"

namespace cross_attention::operators {

namespace {

using linalg::ColumnPanels;
using linalg::columnPanels;
using linalg::columnPanelsSize;
using linalg::MatrixView;
using linalg::rowMajor;
using linalg::RowPanels;
using simd::kLanes;
using simd::Vector;

constexpr Index kTileRows = 6;
constexpr Index kTileVectors = 2;
template <class T>
constexpr Index kTileColumns = kTileVectors* kLanes<T>;

/// Returns the features rounded up to full tiles.
template <class T>
Index paddedFeatures(Index features) {
  return ceilDivide(features, kTileColumns<T>) * kTileColumns<T>;
}

/// Returns the pixels along a side, including the border.
Index borderedSide(Index side) { return side + 2 * kReach; }

/// A register tile of sums, used for the gradient of the weights: rows of the left operand times columns of
/// the right.
template <class T>
class Tile {
 public:
  using Rows = std::array<const T*, kTileRows>;

  Tile() {
    for (auto& row : sums_) row.fill(simd::splat(T(0)));
  }

  /// Adds sums[row] += Σₖ left[row][k·leftStep]·right[k·rightStep + …] for k below `depth`.
  void add(const Rows& left, Index leftStep, const T* right, Index rightStep, Index depth) {
    for (Index k = 0; k < depth; ++k) {
      const Vector<T> first = simd::load(right + k * rightStep);
      const Vector<T> second = simd::load(right + k * rightStep + kLanes<T>);
      for (std::size_t row = 0; row < kTileRows; ++row) {
        const Vector<T> factor = simd::loadSplat(left[row] + k * leftStep);
        sums_[row][0] = simd::multiplyAdd(factor, first, sums_[row][0]);
        sums_[row][1] = simd::multiplyAdd(factor, second, sums_[row][1]);
      }
    }
  }

  /// Calls work(column, value) for the first `columns` sums of a row.
  template <class Work>
  void forRow(std::size_t row, Index columns, Work work) const {
    std::array<T, kTileColumns<T>> values;
    simd::store(values.data(), sums_[row][0]);
    simd::store(values.data() + kLanes<T>, sums_[row][1]);
    for (Index column = 0; column < std::min(columns, kTileColumns<T>); ++column) {
      work(column, values[static_cast<std::size_t>(column)]);
    }
  }

 private:
  std::array<std::array<Vector<T>, kTileVectors>, kTileRows> sums_;
};

/// Pads pixels to [batch, borderedSide², padded features]: zeros around each picture and after each pixel's
/// features.
template <class T>
Tensor<T> withBorder(const Tensor<T>& pixels, Index side) {
  const Index features = featuresOf(pixels);
  const Index stride = paddedFeatures<T>(features);
  const Index width = borderedSide(side);
  Tensor<T> bordered = Tensor<T>::zeros(Shape{pixels.shape()[0], width * width, stride});
  const T* from = pixels.data();
  T* to = bordered.data();
  forRowBlocks(pixels.shape()[0] * side, side, [=](Index begin, Index end) {
    for (Index row = begin; row < end; ++row) {
      const Index top = row / side * width + row % side + kReach;
      for (Index column = 0; column < side; ++column) {
        const T* pixel = from + (row * side + column) * features;
        std::copy(pixel, pixel + features, to + (top * width + column + kReach) * stride);
      }
    }
  });
  return bordered;
}

/// The weights of a convolution [taps, inFeatures, outFeatures], for the forward pass or for dL/dx, which is
/// a convolution of dL/dy with mirrored taps and swapped features.
template <class T>
struct Weights {
  const T* data;
  Index inFeatures;
  Index outFeatures;
  bool forward;

  Index depth() const { return forward ? inFeatures : outFeatures; }
  Index features() const { return forward ? outFeatures : inFeatures; }
  /// Returns [features × depth].
  MatrixView<const T> ofTap(Index tap) const {
    const Index number = forward ? tap : kTaps - 1 - tap;
    const MatrixView<const T> matrix =
        rowMajor(data + number * inFeatures * outFeatures, inFeatures, outFeatures);
    return forward ? matrix.transposed() : matrix;
  }
};

/// Packs the neighbours of the pixels of some rows as a right operand [taps · depth, pixels]. `firstRow`: the
/// row of a bordered picture above these rows. `line`: memory for kWidth · depth values per pixel, needed
/// because the pixels of one panel may lie in two rows.
template <class T>
void packNeighbours(const T* firstRow, Index side, Index stride, Index depth, T* line,
                    ColumnPanels<T> neighbours) {
  const Index width = borderedSide(side);
  const Index lineDepth = kWidth * depth;
  for (Index down = 0; down < kWidth; ++down) {
    T* to = line;
    for (Index pixel = 0; pixel < neighbours.columns; ++pixel) {
      const T* from = firstRow + ((pixel / side + down) * width + pixel % side) * stride;
      for (Index right = 0; right < kWidth; ++right, from += stride, to += depth) {
        std::copy(from, from + depth, to);
      }
    }
    linalg::packColumns<T>(rowMajor<const T>(line, neighbours.columns, lineDepth).transposed(),
                           neighbours.depthRange(down * lineDepth, lineDepth));
  }
}

/// Convolves the result of withBorder as one product of the weights and all pixels' neighbours ("im2col":
/// Chellapilla et al., 2006). Each task computes some rows of pixels.
template <class T>
Tensor<T> convolve(const Tensor<T>& bordered, const Weights<T>& weights, Index side) {
  constexpr Index kTaskPixels = 64;
  const Index batch = bordered.shape()[0];
  const Index stride = featuresOf(bordered);
  const Index width = borderedSide(side);
  const Index depth = weights.depth();
  const Index features = weights.features();
  const Index taskRows = std::clamp<Index>(kTaskPixels / side, 1, side);
  const Index blocks = ceilDivide(side, taskRows);
  const Index maxPixels = taskRows * side;
  Tensor<T> output(Shape{batch, side * side, features});
  const T* x = bordered.data();
  T* y = output.data();
  Buffer<T> memory(linalg::rowPanelsSize<T>(features, kTaps * depth));
  T* packed = memory.data();
  const RowPanels<T> left = linalg::rowPanels<T>(packed, features, kTaps * depth);
  Schedule schedule(Workspace::shared());
  schedule.add(kTaps, 0, [=](Index tap, Scratch&) {
    linalg::packRowsInto(weights.ofTap(tap), packed, left, 0, tap * depth);
  });
  const ByteCount lineSize = ByteCount{maxPixels} * kWidth * depth;
  const ByteCount neighboursSize = columnPanelsSize<T>(kTaps * depth, maxPixels);
  const ByteCount resultSize = columnPanelsSize<T>(features, maxPixels);
  const ByteCount scratchBytes = Scratch::bytesFor<T>(lineSize) + Scratch::bytesFor<T>(neighboursSize) +
                                 Scratch::bytesFor<T>(resultSize);
  schedule.add(batch * blocks, scratchBytes, [=](Index task, Scratch& scratch) {
    const Index picture = task / blocks;
    const Index top = task % blocks * taskRows;
    const Index pixels = std::min(taskRows, side - top) * side;
    T* line = scratch.take<T>(lineSize);
    const ColumnPanels<T> neighbours = columnPanels(scratch.take<T>(neighboursSize), kTaps * depth, pixels);
    const ColumnPanels<T> result = columnPanels(scratch.take<T>(resultSize), features, pixels);
    packNeighbours<T>(x + (picture * width + top) * width * stride, side, stride, depth, line, neighbours);
    linalg::multiply<T>(left, neighbours, result);
    T* to = y + (picture * side + top) * side * features;
    linalg::unpackColumns<T>(result, rowMajor(to, pixels, features).transposed());
  });
  schedule.run();
  return output;
}

}  // namespace

template <class T>
Convolution<T>::Convolution(ParameterSet<T>& parameters, const std::string& name, Index side,
                            Index inFeatures, Index outFeatures, std::optional<Initial> weight)
    : side_(side),
      inFeatures_(inFeatures),
      outFeatures_(outFeatures),
      weight_(parameters.add(name + ".weight", {kWidth, kWidth, inFeatures, outFeatures},
                             weight.value_or(Initial::xavier(kTaps * inFeatures, kTaps * outFeatures)))) {}

template <class T>
Tensor<T> Convolution<T>::forward(const Tensor<T>& input, bool saveForBackward) {
  const Tensor<T> bordered = withBorder(input, side_);
  input_ = saveForBackward ? bordered : Tensor<T>();
  return convolve(bordered, Weights<T>{weight_.values.data(), inFeatures_, outFeatures_, true}, side_);
}

template <class T>
Tensor<T> Convolution<T>::backward(const Tensor<T>& outputGradient) {
  const Tensor<T> bordered = withBorder(outputGradient, side_);
  if (weight_.trainable) addWeightGradient(bordered);
  return convolve(bordered, Weights<T>{weight_.values.data(), inFeatures_, outFeatures_, false}, side_);
}

/// Computes dw[tap, i, o] += Σ x[neighbour, i]·dy[pixel, o]. Each task computes one tap and one tile width of
/// features, so that the order of summation does not depend on threads.
template <class T>
void Convolution<T>::addWeightGradient(const Tensor<T>& borderedGradient) {
  const Index batch = borderedGradient.shape()[0];
  const Index side = side_;
  const Index width = borderedSide(side);
  const Index in = inFeatures_;
  const Index out = outFeatures_;
  const Index inStride = featuresOf(input_);
  const Index outStride = featuresOf(borderedGradient);
  const T* x = input_.data();
  const T* dy = borderedGradient.data();
  T* gradient = weight_.gradient.data();
  const Index blocks = outStride / kTileColumns<T>;
  forRowBlocks(kTaps * blocks, 1, [=](Index task, Index) {
    const Index tap = task / blocks;
    const Index feature = task % blocks * kTileColumns<T>;
    const Index down = tap / kWidth;
    const Index right = tap % kWidth;
    for (Index picture = 0; picture < batch; ++picture) {
      for (Index begin = 0; begin < in; begin += kTileRows) {
        Tile<T> tile;
        for (Index row = 0; row < side; ++row) {
          typename Tile<T>::Rows neighbours;
          const Index neighbour = ((picture * width + row + down) * width + right) * inStride;
          for (Index i = 0; i < kTileRows; ++i) {
            neighbours[static_cast<std::size_t>(i)] = x + neighbour + std::min(begin + i, in - 1);
          }
          const Index pixel = ((picture * width + row + kReach) * width + kReach) * outStride + feature;
          tile.add(neighbours, inStride, dy + pixel, outStride, side);
        }
        for (Index i = 0; i < std::min(kTileRows, in - begin); ++i) {
          T* sum = gradient + (tap * in + begin + i) * out + feature;
          tile.forRow(static_cast<std::size_t>(i), out - feature,
                      [sum](Index at, T value) { sum[at] += value; });
        }
      }
    }
  });
}

template class Convolution<float>;
template class Convolution<double>;

}  // namespace cross_attention::operators
