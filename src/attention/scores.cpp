#include "attention/scores.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "linalg/multiply.hpp"
#include "simd/exponential.hpp"

namespace cross_attention::attention {

namespace {

using linalg::kTileColumns;
using simd::splat;
using simd::Vector;

template <class T>
constexpr T kInfinity = std::numeric_limits<T>::infinity();

/// One value for each token of a panel.
template <class T>
struct Tokens {
  static constexpr Index kLanes = simd::kLanes<T>;
  static_assert(kTileColumns<T> == 2 * kLanes);

  static Tokens load(const T* memory) { return {simd::load(memory), simd::load(memory + kLanes)}; }
  static Tokens all(T value) { return {splat(value), splat(value)}; }
  void store(T* memory) const {
    simd::store(memory, left);
    simd::store(memory + kLanes, right);
  }
  /// Applies `work` to each of the two vectors.
  template <class Work, class... Others>
  static Tokens each(Work work, const Others&... others) {
    return {work(others.left...), work(others.right...)};
  }

  Vector<T> left, right;
};

template <class T>
Tokens<T> powerOfDifference(const simd::PowerOfTwo<T>& powerOfTwo, const Tokens<T>& scores,
                            const Tokens<T>& shift) {
  return {powerOfTwo(scores.left - shift.left), powerOfTwo(scores.right - shift.right)};
}

/// Uses the natural logarithm, which the random numbers need anyway: log2 and its table would add 1 KB of
/// WebAssembly.
template <class T>
T logBaseTwo(T value) {
  return static_cast<T>(kLog2E * std::log(static_cast<double>(value)));
}

/// Replaces values of -infinity by `replacement`.
template <class T>
Tokens<T> replaceMinusInfinity(const Tokens<T>& values, T replacement) {
  return Tokens<T>::each(
      [replacement](auto value) {
        return simd::select<T>(value == splat(-kInfinity<T>), splat(replacement), value);
      },
      values);
}

}  // namespace

template <class T>
[[gnu::noinline]] void addMask(HeadMask<T> mask, Index firstKey, Index tokens, Index count, T* scores) {
  for (Index key = 0; mask.data != nullptr && key < count; ++key) {
    T* row = scores + key * kTileColumns<T>;
    const T* values = mask.data + firstKey + key;
    for (Index token = 0; token < tokens; ++token) {
      row[token] += toBaseTwo(values[token * mask.tokenStride]);
    }
  }
  if (!mask.causal.isCausal()) return;
  for (Index token = 0; token < tokens; ++token) {
    for (Index key = std::max<Index>(0, mask.causal.keysOf(token) - firstKey); key < count; ++key) {
      scores[key * kTileColumns<T> + token] = -kInfinity<T>;
    }
  }
}

template <class T>
void computeScores(linalg::RowPanels<T> keys, const T* query, HeadMask<T> mask, Index firstKey, Index tokens,
                   T* scores) {
  linalg::multiply<T>(keys, linalg::columnPanels(query, keys.depth, kTileColumns<T>),
                      linalg::columnPanels(scores, keys.rows, kTileColumns<T>));
  addMask(mask, firstKey, tokens, keys.rows, scores);
}

template <class T>
void toProbabilities(T* scores, Index count, const T* shift) {
  const simd::PowerOfTwo<T> powerOfTwo;
  const Tokens<T> finite = replaceMinusInfinity(Tokens<T>::load(shift), kInfinity<T>);
  for (Index key = 0; key < count; ++key, scores += kTileColumns<T>) {
    powerOfDifference(powerOfTwo, Tokens<T>::load(scores), finite).store(scores);
  }
}

template <class T>
void scaleTokens(T* panel, Index rows, const T* factors) {
  const Tokens<T> factor = Tokens<T>::load(factors);
  for (Index row = 0; row < rows; ++row, panel += kTileColumns<T>) {
    Tokens<T>::each([](auto value, auto by) { return value * by; }, Tokens<T>::load(panel), factor)
        .store(panel);
  }
}

template <class T>
void addRow(const T* row, Index tokens, T* sum) {
  for (Index token = 0; token < tokens; ++token) sum[token] += row[token];
}

template <class T>
void invertSums(const T* sums, T* result) {
  // Compared by == 0 and not by > 0, so that NaN stays NaN.
  Tokens<T>::each(
      [](auto sum) { return simd::select<T>(sum == splat(T(0)), splat(T(0)), splat(T(1)) / sum); },
      Tokens<T>::load(sums))
      .store(result);
}

template <class T>
void RunningSoftmax<T>::begin() const {
  std::fill_n(maximum, kTileColumns<T>, -kInfinity<T>);
  std::fill_n(sum, kTileColumns<T>, T(0));
}

template <class T>
bool RunningSoftmax<T>::add(T* scores, Index count, T* correction) const {
  const auto higher = [](auto value, auto other) { return simd::maximum(value, other); };
  const auto plus = [](auto value, auto other) { return value + other; };
  const Tokens<T> before = Tokens<T>::load(maximum);
  Tokens<T> highest = before;
  const T* row = scores;
  for (Index key = 0; key < count; ++key, row += kTileColumns<T>) {
    highest = Tokens<T>::each(higher, highest, Tokens<T>::load(row));
  }
  // If all keys so far are masked, the maximum is -infinity. Any finite shift then gives 2^-infinity = 0.
  const Tokens<T> shift = replaceMinusInfinity(highest, T(0));
  const simd::PowerOfTwo<T> powerOfTwo;
  Tokens<T> total = Tokens<T>::all(T(0));
  for (Index key = 0; key < count; ++key, scores += kTileColumns<T>) {
    const Tokens<T> weight = powerOfDifference(powerOfTwo, Tokens<T>::load(scores), shift);
    total = Tokens<T>::each(plus, total, weight);
    weight.store(scores);
  }
  const Tokens<T> factor = powerOfDifference(powerOfTwo, before, shift);
  Tokens<T>::each([](auto old, auto by, auto more) { return simd::multiplyAdd(old, by, more); },
                  Tokens<T>::load(sum), factor, total)
      .store(sum);
  highest.store(maximum);
  factor.store(correction);
  return simd::any<T>(factor.left != splat(T(1))) || simd::any<T>(factor.right != splat(T(1)));
}

template <class T>
void RunningSoftmax<T>::logSumExp(T* result) const {
  for (Index token = 0; token < kTileColumns<T>; ++token) {
    result[token] = sum[token] == T(0) ? -kInfinity<T> : maximum[token] + logBaseTwo(sum[token]);
  }
}

#define CROSS_ATTENTION_INSTANTIATE(T)                                                        \
  template void computeScores(linalg::RowPanels<T>, const T*, HeadMask<T>, Index, Index, T*); \
  template void addMask(HeadMask<T>, Index, Index, Index, T*);                                \
  template void toProbabilities(T*, Index, const T*);                                         \
  template void scaleTokens(T*, Index, const T*);                                             \
  template void addRow(const T*, Index, T*);                                                  \
  template void invertSums(const T*, T*);                                                     \
  template struct RunningSoftmax<T>;
CROSS_ATTENTION_INSTANTIATE(float)
CROSS_ATTENTION_INSTANTIATE(double)
#undef CROSS_ATTENTION_INSTANTIATE

}  // namespace cross_attention::attention
