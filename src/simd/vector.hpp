#pragma once

#include <type_traits>
#include <xsimd/xsimd.hpp>

#include "core/index.hpp"

/// The only folder that uses xsimd and WebAssembly's SIMD intrinsics.
namespace cross_attention::simd {

/// A SIMD register of the target: 4 float or 2 double in WebAssembly.
template <class T>
using Vector = xsimd::batch<T>;
template <class T>
using VectorMask = xsimd::batch_bool<T>;

template <class T>
inline constexpr Index kLanes = static_cast<Index>(Vector<std::remove_const_t<T>>::size);

/// True if multiplyAdd is one instruction with a single rounding.
#if defined(__wasm_relaxed_simd__) || defined(__FMA__) || defined(__ARM_FEATURE_FMA)
inline constexpr bool kFusedMultiplyAdd = true;
#else
inline constexpr bool kFusedMultiplyAdd = false;
#endif

/// The name of the instruction set, for output.
#if defined(__wasm_relaxed_simd__)
inline constexpr const char* kInstructionSet = "relaxed";
#elif defined(__wasm_simd128__)
inline constexpr const char* kInstructionSet = "baseline";
#else
inline constexpr const char* kInstructionSet = "native";
#endif

template <class T>
inline Vector<T> load(const T* memory) {
  return Vector<T>::load_unaligned(memory);
}
template <class T>
inline void store(T* memory, Vector<T> vector) {
  vector.store_unaligned(memory);
}
template <class T>
inline Vector<T> splat(T value) {
  return Vector<T>(value);
}
template <class T>
inline Vector<T> loadSplat(const T* memory) {
  return Vector<T>::broadcast(*memory);
}

/// Returns a · b + c.
template <class T>
inline Vector<T> multiplyAdd(Vector<T> a, Vector<T> b, Vector<T> c) {
#if defined(__wasm_relaxed_simd__)
  // xsimd::fma compiles to a multiplication and an addition on this target.
  if constexpr (sizeof(T) == 4) {
    return Vector<T>(__builtin_wasm_relaxed_madd_f32x4(v128_t(a), v128_t(b), v128_t(c)));
  } else {
    return Vector<T>(__builtin_wasm_relaxed_madd_f64x2(v128_t(a), v128_t(b), v128_t(c)));
  }
#else
  return xsimd::fma(a, b, c);
#endif
}

template <class T>
inline Vector<T> maximum(Vector<T> a, Vector<T> b) {
  return xsimd::max(a, b);
}
template <class T>
inline Vector<T> select(VectorMask<T> condition, Vector<T> ifTrue, Vector<T> ifFalse) {
  return xsimd::select(condition, ifTrue, ifFalse);
}
template <class T>
inline bool any(VectorMask<T> condition) {
  return xsimd::any(condition);
}

}  // namespace cross_attention::simd
