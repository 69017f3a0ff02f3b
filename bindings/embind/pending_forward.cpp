#include "embind/pending.hpp"
#include "layer/diffusion_cross_attention.hpp"

namespace cross_attention::embind {

namespace {

template <class T>
using PendingForward = typename layer::DiffusionCrossAttention<T>::PendingForward;

/// The caller owns the result.
template <class T>
Tensor<T>* resultOf(PendingForward<T>& pending) {
  return new Tensor<T>(pending.result());
}

template <class T>
void bindPendingForward(const char* name, const char* pointerName) {
  bindPending<PendingForward<T>>(name, pointerName)
      .function("result", &resultOf<T>, emscripten::allow_raw_pointers());
}

}  // namespace

EMSCRIPTEN_BINDINGS(pending_forward) {
  bindPendingForward<float>("PendingForwardFloat32", "PendingForwardFloat32Pointer");
  bindPendingForward<double>("PendingForwardFloat64", "PendingForwardFloat64Pointer");
}

}  // namespace cross_attention::embind
