#include "embind/pending.hpp"
#include "layer/diffusion_cross_attention.hpp"

namespace cross_attention::embind {

EMSCRIPTEN_BINDINGS(pending_forward) {
  bindPending<layer::DiffusionCrossAttention<float>::PendingForward>("PendingForwardFloat32",
                                                                     "PendingForward32");
  bindPending<layer::DiffusionCrossAttention<double>::PendingForward>("PendingForwardFloat64",
                                                                      "PendingForward64");
}

}  // namespace cross_attention::embind
