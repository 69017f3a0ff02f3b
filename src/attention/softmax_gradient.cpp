#include "attention/softmax_gradient.hpp"

#include "attention/scores.hpp"

namespace cross_attention::attention {

namespace {

/// Calls work(offset) for each vector of a panel's tokens.
template <class T, class Work>
void forVectors(Work work) {
  for (Index offset = 0; offset < linalg::kTileColumns<T>; offset += simd::kLanes<T>) work(offset);
}

}  // namespace

template <class T>
void sumOfProducts(const T* left, const T* right, Index rows, T* result) {
  forVectors<T>([&](Index at) {
    simd::Vector<T> sum = simd::splat(T(0));
    for (Index row = 0; row < rows; ++row) {
      const Index offset = row * linalg::kTileColumns<T> + at;
      sum = simd::multiplyAdd(simd::load(left + offset), simd::load(right + offset), sum);
    }
    simd::store(result + at, sum);
  });
}

template <class T>
void addRows(const T* panel, Index rows, T* sums) {
  forVectors<T>([&](Index at) {
    simd::Vector<T> sum = simd::load(sums + at);
    for (Index row = 0; row < rows; ++row) {
      sum = sum + simd::load(panel + row * linalg::kTileColumns<T> + at);
    }
    simd::store(sums + at, sum);
  });
}

template <class T>
void toScoreGradients(const T* probabilities, Index count, const T* delta, T* gradients) {
  const simd::Vector<T> ln2 = simd::splat(static_cast<T>(kLn2));
  forVectors<T>([&](Index at) {
    const simd::Vector<T> shift = simd::load(delta + at);
    for (Index key = 0; key < count; ++key) {
      const Index offset = key * linalg::kTileColumns<T> + at;
      simd::store(gradients + offset,
                  ln2 * simd::load(probabilities + offset) * (simd::load(gradients + offset) - shift));
    }
  });
}

#define CROSS_ATTENTION_INSTANTIATE(T)                        \
  template void sumOfProducts(const T*, const T*, Index, T*); \
  template void addRows(const T*, Index, T*);                 \
  template void toScoreGradients(const T*, Index, const T*, T*);
CROSS_ATTENTION_INSTANTIATE(float)
CROSS_ATTENTION_INSTANTIATE(double)
#undef CROSS_ATTENTION_INSTANTIATE

}  // namespace cross_attention::attention
