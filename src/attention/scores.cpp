#include "attention/scores.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "linalg/multiply.hpp"
#include "simd/exponential.hpp"

namespace cross_attention::attention {

namespace {

using linalg::kTileColumns;
using simd::load;
using simd::splat;
using simd::store;
using simd::Vector;

template <class T>
constexpr T kInfinity = std::numeric_limits<T>::infinity();

/// Calls work(offset) for each vector of a panel's tokens. The work with exp lies out of line, once for all of them:
/// its constants alone take a few hundred bytes.
template <class T, class Work>
void forVectors(Work work) {
  for (Index offset = 0; offset < kTileColumns<T>; offset += simd::kLanes<T>) work(offset);
}

template <class T>
void addMask(HeadMask<T> mask, Index firstKey, Index tokens, Index count, T* scores) {
  for (Index key = 0; key < count; ++key) {
    T* row = scores + key * kTileColumns<T>;
    const T* values = mask.data + firstKey + key;
    for (Index token = 0; token < tokens; ++token) row[token] += values[token * mask.tokenStride];
  }
}

}  // namespace

template <class T>
void computeScores(linalg::RowPanels<T> keys, const T* query, HeadMask<T> mask, Index firstKey,
                   Index tokens, T* scores) {
  linalg::multiply<T>(keys, linalg::columnPanels(query, keys.depth, kTileColumns<T>),
                      linalg::columnPanels(scores, keys.rows, kTileColumns<T>));
  if (mask.data != nullptr) addMask(mask, firstKey, tokens, keys.rows, scores);
}

namespace {

/// One vector of tokens of toProbabilities.
template <class T>
[[gnu::noinline]] void vectorToProbabilities(T* scores, Index count, const T* givenShift) {
  const Vector<T> given = load(givenShift);
  const Vector<T> shift =
      simd::select<T>(given == splat(-kInfinity<T>), splat(kInfinity<T>), given);
  for (Index key = 0; key < count; ++key) {
    T* memory = scores + key * kTileColumns<T>;
    store(memory, simd::exponential<T>(load(memory) - shift));
  }
}

/// One vector of tokens of RunningSoftmax::add.
template <class T>
[[gnu::noinline]] bool addVector(T* maximum, T* sum, T* scores, Index count, T* correction) {
  const Vector<T> before = load(maximum);
  Vector<T> highest = before;
  for (Index key = 0; key < count; ++key) {
    highest = simd::maximum(highest, load(scores + key * kTileColumns<T>));
  }
  // Where everything is masked so far the maximum is -infinity: any finite shift gives exp(-infinity) = 0.
  const Vector<T> shift = simd::select<T>(highest == splat(-kInfinity<T>), splat(T(0)), highest);
  Vector<T> total = splat(T(0));
  for (Index key = 0; key < count; ++key) {
    T* memory = scores + key * kTileColumns<T>;
    const Vector<T> weight = simd::exponential<T>(load(memory) - shift);
    total = total + weight;
    store(memory, weight);
  }
  const Vector<T> factor = simd::exponential<T>(before - shift);
  store(sum, simd::multiplyAdd(load(sum), factor, total));
  store(maximum, highest);
  store(correction, factor);
  return simd::any<T>(factor != splat(T(1)));
}

}  // namespace

template <class T>
void toProbabilities(T* scores, Index count, const T* shift) {
  forVectors<T>([&](Index at) { vectorToProbabilities(scores + at, count, shift + at); });
}

template <class T>
void scaleTokens(T* panel, Index rows, const T* factors) {
  forVectors<T>([&](Index at) {
    const Vector<T> factor = load(factors + at);
    for (Index row = 0; row < rows; ++row) {
      T* values = panel + row * kTileColumns<T> + at;
      store(values, load(values) * factor);
    }
  });
}

template <class T>
void invertSums(const T* sums, T* result) {
  forVectors<T>([&](Index at) {
    const Vector<T> sum = load(sums + at);
    // Compared with 0, not with > 0: a NaN must stay a NaN.
    store(result + at, simd::select<T>(sum == splat(T(0)), splat(T(0)), splat(T(1)) / sum));
  });
}

template <class T>
void RunningSoftmax<T>::begin() const {
  std::fill_n(maximum, kTileColumns<T>, -kInfinity<T>);
  std::fill_n(sum, kTileColumns<T>, T(0));
}

template <class T>
bool RunningSoftmax<T>::add(T* scores, Index count, T* correction) const {
  bool corrected = false;
  forVectors<T>([&](Index at) {
    corrected |= addVector(maximum + at, sum + at, scores + at, count, correction + at);
  });
  return corrected;
}

template <class T>
void RunningSoftmax<T>::logSumExp(T* result) const {
  for (Index token = 0; token < kTileColumns<T>; ++token) {
    result[token] = sum[token] == T(0) ? -kInfinity<T> : maximum[token] + std::log(sum[token]);
  }
}

#define CROSS_ATTENTION_INSTANTIATE(T)                                                        \
  template void computeScores(linalg::RowPanels<T>, const T*, HeadMask<T>, Index, Index, T*); \
  template void toProbabilities(T*, Index, const T*);                                         \
  template void scaleTokens(T*, Index, const T*);                                             \
  template void invertSums(const T*, T*);                                                     \
  template struct RunningSoftmax<T>;
CROSS_ATTENTION_INSTANTIATE(float)
CROSS_ATTENTION_INSTANTIATE(double)
#undef CROSS_ATTENTION_INSTANTIATE

}  // namespace cross_attention::attention
