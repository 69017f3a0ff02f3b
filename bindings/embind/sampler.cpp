#include "denoiser/sampler.hpp"

#include <emscripten/bind.h>

#include "embind/arrays.hpp"
#include "embind/denoiser_model.hpp"

namespace cross_attention::embind {

namespace {

using denoiser::Sampler;
using denoiser::SamplerOptions;
using emscripten::allow_raw_pointers;
using emscripten::val;

/// A sampler and the memory of its results.
struct SamplerHandle {
  std::shared_ptr<const void> model;
  Sampler sampler;
  std::vector<float> result;

  static SamplerHandle* create(DenoiserModel& model, const val& options);
  bool advance() { return sampler.advance(); }
  double step() const { return static_cast<double>(sampler.step()); }

  /// Return views of `result`, valid until the next call of picture or maps.
  val picture() {
    result = sampler.picture();
    return toView(std::span<const float>(result));
  }
  val maps(double block, double head) {
    result = sampler.maps(static_cast<Index>(block), static_cast<Index>(head));
    return toView(std::span<const float>(result));
  }
};

std::vector<double> toNumbers(const val& array) {
  return emscripten::convertJSArrayToNumberVector<double>(array);
}

denoiser::EditOptions toEdit(const val& edit) {
  return {.from = edit["from"].as<std::string>(),
          .wordWeights = toNumbers(edit["wordWeights"]),
          .crossSteps = edit["crossSteps"].as<double>(),
          .selfSteps = edit["selfSteps"].as<double>(),
          .keepElsewhere = edit["keepElsewhere"].as<bool>()};
}

/// `options` must be complete and of the right types, which the package has checked. The caller owns the
/// result.
SamplerHandle* SamplerHandle::create(DenoiserModel& model, const val& options) {
  SamplerOptions samplerOptions{.prompt = options["prompt"].as<std::string>(),
                                .seed = static_cast<std::uint64_t>(options["seed"].as<double>()),
                                .steps = static_cast<Index>(options["steps"].as<double>()),
                                .guidance = options["guidance"].as<double>(),
                                .eta = options["eta"].as<double>(),
                                .wordWeights = toNumbers(options["wordWeights"]),
                                .edit = {},
                                .maps = options["maps"].as<bool>()};
  if (!options["edit"].isUndefined()) samplerOptions.edit = toEdit(options["edit"]);
  return new SamplerHandle{model.denoiser, Sampler(*model.denoiser, samplerOptions), {}};
}

}  // namespace

EMSCRIPTEN_BINDINGS(sampler) {
  emscripten::class_<SamplerHandle>("Sampler")
      .class_function("create", &SamplerHandle::create, allow_raw_pointers())
      .function("advance", &SamplerHandle::advance)
      .function("step", &SamplerHandle::step)
      .function("picture", &SamplerHandle::picture)
      .function("maps", &SamplerHandle::maps);
}

}  // namespace cross_attention::embind
