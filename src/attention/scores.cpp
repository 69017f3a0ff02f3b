#include "attention/scores.hpp"

#include <algorithm>
#include <array>
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

/// A row of a panel: kTileColumns values as two vectors.
template <class T>
struct Row {
  Vector<T> left, right;
};

template <class T>
Row<T> loadRow(const T* memory) {
  return {load(memory), load(memory + simd::kLanes<T>)};
}
template <class T>
void storeRow(T* memory, Row<T> row) {
  store(memory, row.left);
  store(memory + simd::kLanes<T>, row.right);
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

template <class T>
void toProbabilities(T* scores, Index count, const T* logSumExp) {
  const auto finite = [](Vector<T> value) {
    return simd::select<T>(value == splat(-kInfinity<T>), splat(kInfinity<T>), value);
  };
  Row<T> shift = loadRow(logSumExp);
  shift = {finite(shift.left), finite(shift.right)};
  for (Index key = 0; key < count; ++key) {
    T* memory = scores + key * kTileColumns<T>;
    const Row<T> row = loadRow(memory);
    storeRow(memory, Row<T>{simd::exponential<T>(row.left - shift.left),
                            simd::exponential<T>(row.right - shift.right)});
  }
}

template <class T>
void RunningSoftmax<T>::begin() const {
  std::fill_n(maximum, kTileColumns<T>, -kInfinity<T>);
  std::fill_n(sum, kTileColumns<T>, T(0));
}

template <class T>
bool RunningSoftmax<T>::add(T* scores, Index count, T* correction) const {
  const Row<T> before = loadRow(maximum);
  Row<T> highest = before;
  for (Index key = 0; key < count; ++key) {
    const Row<T> row = loadRow(scores + key * kTileColumns<T>);
    highest = {simd::maximum(highest.left, row.left), simd::maximum(highest.right, row.right)};
  }
  // Where everything is masked so far the maximum is -infinity: any finite shift gives exp(-infinity) = 0.
  const auto shiftOf = [](Vector<T> value) {
    return simd::select<T>(value == splat(-kInfinity<T>), splat(T(0)), value);
  };
  const Row<T> shift{shiftOf(highest.left), shiftOf(highest.right)};
  Row<T> total{splat(T(0)), splat(T(0))};
  for (Index key = 0; key < count; ++key) {
    T* memory = scores + key * kTileColumns<T>;
    const Row<T> row = loadRow(memory);
    const Row<T> weight{simd::exponential<T>(row.left - shift.left),
                        simd::exponential<T>(row.right - shift.right)};
    total = {total.left + weight.left, total.right + weight.right};
    storeRow(memory, weight);
  }
  const Row<T> factor{simd::exponential<T>(before.left - shift.left),
                      simd::exponential<T>(before.right - shift.right)};
  const Row<T> old = loadRow(sum);
  storeRow(sum, Row<T>{simd::multiplyAdd(old.left, factor.left, total.left),
                       simd::multiplyAdd(old.right, factor.right, total.right)});
  storeRow(maximum, highest);
  storeRow(correction, factor);
  return simd::any<T>(factor.left != splat(T(1))) || simd::any<T>(factor.right != splat(T(1)));
}

template <class T>
void RunningSoftmax<T>::logSumExp(T* result) const {
  const Row<T> totals = loadRow(sum);
  const Row<T> highest = loadRow(maximum);
  const auto logarithm = [](Vector<T> highest, Vector<T> total) {
    return simd::select<T>(total == splat(T(0)), splat(-kInfinity<T>), highest + simd::log(total));
  };
  storeRow(result,
           Row<T>{logarithm(highest.left, totals.left), logarithm(highest.right, totals.right)});
}

template <class T>
void RunningSoftmax<T>::inverseSum(T* result) const {
  const Row<T> totals = loadRow(sum);
  // Compared with 0, not with > 0: a NaN must stay a NaN.
  const auto inverse = [](Vector<T> total) {
    return simd::select<T>(total == splat(T(0)), splat(T(0)), splat(T(1)) / total);
  };
  storeRow(result, Row<T>{inverse(totals.left), inverse(totals.right)});
}

#define CROSS_ATTENTION_INSTANTIATE(T)                                                        \
  template void computeScores(linalg::RowPanels<T>, const T*, HeadMask<T>, Index, Index, T*); \
  template void toProbabilities(T*, Index, const T*);                                         \
  template struct RunningSoftmax<T>;
CROSS_ATTENTION_INSTANTIATE(float)
CROSS_ATTENTION_INSTANTIATE(double)
#undef CROSS_ATTENTION_INSTANTIATE

}  // namespace cross_attention::attention
