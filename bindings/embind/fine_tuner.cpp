#include <emscripten/bind.h>

#include "denoiser/learner.hpp"
#include "embind/denoiser_model.hpp"

namespace cross_attention::embind {

namespace {

using denoiser::Learner;
using denoiser::LearnerOptions;
using emscripten::allow_raw_pointers;
using emscripten::val;

/// A fine-tuner and the objects that it references.
struct FineTunerHandle {
  std::shared_ptr<const void> model;
  std::shared_ptr<denoiser::Lora> lora;
  Learner learner;

  static FineTunerHandle* create(DenoiserModel& model, const val& options);
  /// Returns the loss before the step.
  double step(double done) { return learner.step(done); }
};

Tensor<float> toPictures(const val& pictures, Index size) {
  const auto count = static_cast<Index>(pictures["length"].as<double>());
  Tensor<float> tensor(Shape{count, denoiser::Configuration::kChannels, size, size});
  float* destination = tensor.data();
  for (Index picture = 0; picture < count; ++picture) {
    const auto values = emscripten::convertJSArrayToNumberVector<float>(pictures[static_cast<int>(picture)]);
    destination = std::copy(values.begin(), values.end(), destination);
  }
  return tensor;
}

std::vector<std::string> toTexts(const val& texts) {
  std::vector<std::string> result;
  const auto count = static_cast<int>(texts["length"].as<double>());
  for (int index = 0; index < count; ++index) result.push_back(texts[index].as<std::string>());
  return result;
}

Learner::Captions toCaptions(const val& captions) {
  Learner::Captions result;
  const auto pictures = static_cast<int>(captions["length"].as<double>());
  for (int picture = 0; picture < pictures; ++picture) {
    result.push_back(toTexts(captions[picture]));
  }
  return result;
}

/// Creates a fine-tuner of the model's LoRA, or of a new one of `rank`, which stays with the model. `options`
/// must be complete and each picture must have the model's size, which the package has checked. The caller
/// owns the result.
FineTunerHandle* FineTunerHandle::create(DenoiserModel& model, const val& options) {
  const LearnerOptions learnerOptions{.word = options["word"].as<std::string>(),
                                      .like = options["like"].as<std::string>(),
                                      .learningRate = options["learningRate"].as<double>(),
                                      .batch = static_cast<Index>(options["batch"].as<double>()),
                                      .rehearsal = options["rehearsal"].as<double>(),
                                      .shift = static_cast<Index>(options["shift"].as<double>()),
                                      .seed = static_cast<std::uint64_t>(options["seed"].as<double>())};
  const bool isNew = model.lora == nullptr;
  if (isNew) {
    model.lora = std::make_shared<denoiser::Lora>(
        *model.denoiser, static_cast<Index>(options["rank"].as<double>()), learnerOptions.seed);
  }
  try {
    return new FineTunerHandle{
        model.denoiser, model.lora,
        Learner(*model.lora, learnerOptions,
                toPictures(options["pictures"], model.denoiser->configuration().imageSize),
                toCaptions(options["captions"]))};
  } catch (...) {
    if (isNew) model.lora.reset();
    throw;
  }
}

}  // namespace

EMSCRIPTEN_BINDINGS(fine_tuner) {
  emscripten::class_<FineTunerHandle>("FineTuner")
      .class_function("create", &FineTunerHandle::create, allow_raw_pointers())
      .function("step", &FineTunerHandle::step);
}

}  // namespace cross_attention::embind
