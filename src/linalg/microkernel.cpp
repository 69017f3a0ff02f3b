#include "linalg/microkernel.hpp"

#include <array>

namespace cross_attention::linalg {

namespace {

using simd::load;
using simd::loadSplat;
using simd::multiplyAdd;
using simd::splat;
using simd::store;
using simd::Vector;

/// The tile with its number of rows known, so that all sums stay in registers.
template <class T, Index Rows>
void multiplyRows(const T* __restrict rowPanel, const T* __restrict columnPanel, Index depth,
                  T* __restrict destination, Index rowStride, Start start, const T* bias) {
  constexpr Index kLanes = simd::kLanes<T>;
  struct Sums {
    Vector<T> left, right;
  };
  std::array<Sums, Rows> sums;
  for (Index row = 0; row < Rows; ++row) {
    Sums& sum = sums[static_cast<std::size_t>(row)];
    if (start == Start::kAccumulate) {
      sum = {load(destination + row * rowStride), load(destination + row * rowStride + kLanes)};
    } else {
      const Vector<T> value = splat(start == Start::kBias ? bias[row] : T(0));
      sum = {value, value};
    }
  }
  // Not unrolled: V8 keeps all sums in registers for one step of the depth, and spills them for more (57 against 31 to 47
  // GFLOP/s of 59 possible).
  for (Index step = 0; step < depth; ++step) {
    const Vector<T> left = load(columnPanel);
    const Vector<T> right = load(columnPanel + kLanes);
    for (Index row = 0; row < Rows; ++row) {
      const Vector<T> value = loadSplat(rowPanel + row);
      Sums& sum = sums[static_cast<std::size_t>(row)];
      sum.left = multiplyAdd(value, left, sum.left);
      sum.right = multiplyAdd(value, right, sum.right);
    }
    columnPanel += kTileColumns<T>;
    rowPanel += kTileRows<T>;
  }
  for (Index row = 0; row < Rows; ++row) {
    const Sums& sum = sums[static_cast<std::size_t>(row)];
    store(destination + row * rowStride, sum.left);
    store(destination + row * rowStride + kLanes, sum.right);
  }
}

}  // namespace

template <class T>
void multiplyTile(Index rows, const T* rowPanel, const T* columnPanel, Index depth, T* destination,
                  Index rowStride, Start start, const T* bias) {
  const auto run = [&]<Index Rows>() {
    multiplyRows<T, Rows>(rowPanel, columnPanel, depth, destination, rowStride, start, bias);
  };
  switch (rows) {
    case 1:
      return run.template operator()<1>();
    case 2:
      return run.template operator()<2>();
    case 3:
      return run.template operator()<3>();
    case 4:
      return run.template operator()<4>();
    case 5:
      return run.template operator()<5>();
    default:
      return run.template operator()<kTileRows<T>>();
  }
}

template void multiplyTile(Index, const float*, const float*, Index, float*, Index, Start,
                           const float*);
template void multiplyTile(Index, const double*, const double*, Index, double*, Index, Start,
                           const double*);

}  // namespace cross_attention::linalg
