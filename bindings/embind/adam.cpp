#include <emscripten/bind.h>

#include "embind/arrays.hpp"
#include "embind/bytes.hpp"
#include "layer/adam_optimizer.hpp"
#include "layer/diffusion_cross_attention.hpp"
#include "weights/safetensors.hpp"

namespace cross_attention::embind {

namespace {

using emscripten::allow_raw_pointers;
using emscripten::val;
using layer::AdamOptimizer;
using layer::DiffusionCrossAttention;

// The caller owns returned pointers: JavaScript deletes them. It passes the layer of the optimizer to every
// call.

template <class T>
AdamOptimizer<T>* createAdam() {
  return new AdamOptimizer<T>;
}

template <class T>
void addParameter(AdamOptimizer<T>& optimizer, const DiffusionCrossAttention<T>& layer,
                  const std::string& parameter) {
  optimizer.add(layer.parameters(), *layer.parameters().layout().find(parameter));
}

template <class T>
void takeStep(AdamOptimizer<T>& optimizer, DiffusionCrossAttention<T>& layer, double learningRate,
              double beta1, double beta2, double epsilon, double weightDecay, double number) {
  layer.updateParameters(optimizer, {learningRate, beta1, beta2, epsilon, weightDecay, number});
}

template <class T>
val momentView(const AdamOptimizer<T>& optimizer, double index, bool isSquare) {
  const auto& moments = optimizer.moments()[static_cast<std::size_t>(index)];
  const Buffer<T>& values = isSquare ? moments.square : moments.mean;
  return toView(std::span<const T>(values.data(), static_cast<std::size_t>(values.size())));
}

/// Returns a safetensors file of the moments, with the names that PyTorch gives them.
template <class T>
Bytes* saveMoments(const AdamOptimizer<T>& optimizer, const DiffusionCrossAttention<T>& layer,
                   const std::string& metadata) {
  std::vector<weights::NamedValues<T>> all;
  for (const auto& [id, mean, square] : optimizer.moments()) {
    const auto push = [&](const char* suffix, const Buffer<T>& values) {
      all.push_back({std::string(layer::nameOf(id)) + suffix,
                     layer.parameters().shape(id),
                     {values.data(), static_cast<std::size_t>(values.size())}});
    };
    push(".exp_avg", mean);
    push(".exp_avg_sq", square);
  }
  return new Bytes(weights::writeSafetensors<T>(all, sizeof(T) == 4 ? "F32" : "F64", {{"adam", metadata}}));
}

template <class T>
void bindAdam(const char* name) {
  emscripten::class_<AdamOptimizer<T>>(name)
      .class_function("create", &createAdam<T>, allow_raw_pointers())
      .function("add", &addParameter<T>)
      .function("step", &takeStep<T>)
      .function("momentView", &momentView<T>)
      .function("save", &saveMoments<T>, allow_raw_pointers());
}

}  // namespace

EMSCRIPTEN_BINDINGS(adam) {
  bindAdam<float>("AdamFloat32");
  bindAdam<double>("AdamFloat64");
}

}  // namespace cross_attention::embind
