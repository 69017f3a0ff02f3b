#include "operators/convolution.hpp"

#include "operators/rows.hpp"
#include "simd/vector.hpp"

namespace cross_attention::operators {

namespace {

using simd::kLanes;
using simd::Vector;

constexpr Index kReach = 1;
constexpr Index kWidth = 2 * kReach + 1;
constexpr Index kTaps = kWidth * kWidth;

constexpr Index kTileRows = 6;
constexpr Index kTileVectors = 2;
template <class T>
constexpr Index kTileColumns = kTileVectors* kLanes<T>;

/// Features of a row whose tiles are all full.
template <class T>
Index paddedFeatures(Index features) {
  return ceilDivide(features, kTileColumns<T>) * kTileColumns<T>;
}

/// Pixels along a side with their border.
Index borderedSide(Index side) { return side + 2 * kReach; }

/// Rows of the left times columns of the right, summed in registers: all three products of a convolution are made of it.
template <class T>
class Tile {
 public:
  using Rows = std::array<const T*, kTileRows>;

  Tile() {
    for (auto& row : sums_) row.fill(simd::splat(T(0)));
  }

  /// sums[row] += Σₖ left[row][k·leftStep]·right[k·rightStep + …] for k below `depth`.
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

/// [batch, borderedSide², padded features]: zeros around every picture and after every pixel's features.
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

/// How the weights stand for a direction, [taps, features in, padded features out]; backward, dx of dy, the same sums
/// from the other end.
template <class T>
Buffer<T> packWeights(const T* weights, Index inFeatures, Index outFeatures, bool forward) {
  const Index depth = forward ? inFeatures : outFeatures;
  const Index columns = forward ? outFeatures : inFeatures;
  const Index stride = paddedFeatures<T>(columns);
  Buffer<T> packed(kTaps * depth * stride);
  std::fill(packed.begin(), packed.end(), T(0));
  for (Index tap = 0; tap < kTaps; ++tap) {
    const T* from = weights + (forward ? tap : kTaps - 1 - tap) * inFeatures * outFeatures;
    for (Index k = 0; k < depth; ++k) {
      for (Index column = 0; column < columns; ++column) {
        packed[(tap * depth + k) * stride + column] =
            forward ? from[k * outFeatures + column] : from[column * outFeatures + k];
      }
    }
  }
  return packed;
}

/// bordered: what withBorder gives; weights: what packWeights gives, for `depth` features in and `features` out.
template <class T>
Tensor<T> convolve(const Tensor<T>& bordered, const Buffer<T>& packed, Index side, Index depth,
                   Index features) {
  constexpr Index kTaskRows = 8;
  const Index batch = bordered.shape()[0];
  const Index inStride = featuresOf(bordered);
  const Index stride = paddedFeatures<T>(features);
  const Index width = borderedSide(side);
  Tensor<T> output(Shape{batch, side * side, features});
  const T* x = bordered.data();
  const T* weights = packed.data();
  T* y = output.data();
  const Index blocks = ceilDivide(side, kTaskRows);
  forRowBlocks(batch * blocks, 1, [=](Index task, Index) {
    const Index picture = task / blocks;
    const Index top = task % blocks * kTaskRows;
    const Index pixels = std::min(kTaskRows, side - top) * side;
    for (Index feature = 0; feature < features; feature += kTileColumns<T>) {
      for (Index begin = 0; begin < pixels; begin += kTileRows) {
        typename Tile<T>::Rows corners;
        // The last tile computes the last pixel more than once.
        for (Index i = 0; i < kTileRows; ++i) {
          const Index pixel = top * side + std::min(begin + i, pixels - 1);
          const Index corner = (picture * width + pixel / side) * width + pixel % side;
          corners[static_cast<std::size_t>(i)] = x + corner * inStride;
        }
        Tile<T> tile;
        for (Index tap = 0; tap < kTaps; ++tap) {
          typename Tile<T>::Rows neighbours = corners;
          for (const T*& row : neighbours) row += (tap / kWidth * width + tap % kWidth) * inStride;
          tile.add(neighbours, 1, weights + tap * depth * stride + feature, stride, depth);
        }
        for (Index i = 0; i < std::min(kTileRows, pixels - begin); ++i) {
          T* to = y + ((picture * side + top) * side + begin + i) * features + feature;
          tile.forRow(static_cast<std::size_t>(i), features - feature,
                      [to](Index at, T value) { to[at] = value; });
        }
      }
    }
  });
  return output;
}

}  // namespace

template <class T>
Convolution<T>::Convolution(ParameterSet<T>& parameters, const std::string& name, Index side,
                            Index inFeatures, Index outFeatures, std::optional<Initial> weight)
    : side_(side),
      inFeatures_(inFeatures),
      outFeatures_(outFeatures),
      weight_(parameters.add(
          name + ".weight", {kWidth, kWidth, inFeatures, outFeatures},
          weight.value_or(Initial::xavier(kTaps * inFeatures, kTaps * outFeatures)))) {}

template <class T>
Tensor<T> Convolution<T>::forward(const Tensor<T>& input, bool keep) {
  const Tensor<T> bordered = withBorder(input, side_);
  input_ = keep ? bordered : Tensor<T>();
  const Buffer<T> weights = packWeights<T>(weight_.values.data(), inFeatures_, outFeatures_, true);
  return convolve(bordered, weights, side_, inFeatures_, outFeatures_);
}

template <class T>
Tensor<T> Convolution<T>::backward(const Tensor<T>& outputGradient) {
  const Tensor<T> bordered = withBorder(outputGradient, side_);
  if (weight_.trainable) addWeightGradient(bordered);
  const Buffer<T> weights = packWeights<T>(weight_.values.data(), inFeatures_, outFeatures_, false);
  return convolve(bordered, weights, side_, outFeatures_, inFeatures_);
}

/// dw[tap, i, o] += Σ x[neighbour, i]·dy[pixel, o], a tap and a tile's width of features a task: in an order that does not
/// depend on threads.
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
          const Index pixel =
              ((picture * width + row + kReach) * width + kReach) * outStride + feature;
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
