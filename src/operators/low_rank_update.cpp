#include "operators/low_rank_update.hpp"

#include "operators/rows.hpp"

namespace cross_attention::operators {

template <class T>
void LowRankUpdate<T>::addTo(T* weight) const {
  const Index ranks = rank();
  const Index in = inFeatures();
  const T* a = down->values.data();
  const T* b = up->values.data();
  const T factor = scale;
  forRowBlocks(outFeatures(), rowsPerBlock(in), [=](Index begin, Index end) {
    for (Index row = begin; row < end; ++row) {
      for (Index r = 0; r < ranks; ++r) {
        const T share = factor * b[row * ranks + r];
        for (Index column = 0; column < in; ++column) {
          weight[row * in + column] += share * a[r * in + column];
        }
      }
    }
  });
}

template <class T>
void LowRankUpdate<T>::addGradients(const T* weightGradient) const {
  const Index ranks = rank();
  const Index in = inFeatures();
  const Index out = outFeatures();
  const T* a = down->values.data();
  const T* b = up->values.data();
  T* da = down->gradient.data();
  T* db = up->gradient.data();
  const T factor = scale;
  forRowBlocks(out, rowsPerBlock(in), [=](Index begin, Index end) {
    for (Index row = begin; row < end; ++row) {
      const T* gradientRow = weightGradient + row * in;
      for (Index r = 0; r < ranks; ++r) {
        const T* direction = a + r * in;
        db[row * ranks + r] +=
            factor * sumOver<T>(in, [=](Index i) { return gradientRow[i] * direction[i]; });
      }
    }
  });
  forRowBlocks(ranks, 1, [=](Index r, Index) {
    for (Index row = 0; row < out; ++row) {
      const T share = factor * b[row * ranks + r];
      for (Index column = 0; column < in; ++column) {
        da[r * in + column] += share * weightGradient[row * in + column];
      }
    }
  });
}

template struct LowRankUpdate<float>;
template struct LowRankUpdate<double>;

}  // namespace cross_attention::operators
