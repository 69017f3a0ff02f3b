#include <emscripten/bind.h>

#include "denoiser/lora_file.hpp"
#include "denoiser/scene_batch.hpp"
#include "denoiser/weights_file.hpp"
#include "embind/arrays.hpp"
#include "embind/bytes.hpp"
#include "embind/denoiser_model.hpp"
#include "embind/push.hpp"

namespace cross_attention::embind {

namespace {

using denoiser::Configuration;
using emscripten::allow_raw_pointers;
using emscripten::val;

// The caller owns returned pointers: JavaScript deletes them.

DenoiserModel* load(const Bytes& file) { return new DenoiserModel{denoiser::loadDenoiser(file), {}}; }

/// `options`: all configurable fields of Configuration, and a seed. The vocabulary is that of the scenes'
/// captions.
DenoiserModel* create(const val& options) {
  const auto number = [&](const char* name) { return static_cast<Index>(options[name].as<double>()); };
  const Configuration configuration{.imageSize = number("imageSize"),
                                    .pixelFeatures = number("pixelFeatures"),
                                    .pixelBlocks = number("pixelBlocks"),
                                    .patch = number("patch"),
                                    .features = number("features"),
                                    .blocks = number("blocks"),
                                    .numHeads = number("heads"),
                                    .textFeatures = number("textFeatures"),
                                    .textBlocks = number("textBlocks"),
                                    .textHeads = number("textHeads")};
  const auto seed = static_cast<std::uint64_t>(options["seed"].as<double>());
  return new DenoiserModel{
      std::make_unique<denoiser::Denoiser<float>>(configuration, denoiser::sceneVocabulary(), seed), {}};
}

Bytes* save(DenoiserModel& model, const std::string& dtype) {
  return new Bytes(denoiser::saveDenoiser(*model.denoiser, dtype));
}

/// Returns numbers of the configuration and the parameter count.
val describe(DenoiserModel& model) {
  const Configuration& configuration = model.denoiser->configuration();
  val result = val::object();
  const auto set = [&](const char* name, Index value) { result.set(name, static_cast<double>(value)); };
  set("imageSize", configuration.imageSize);
  set("mapSize", configuration.tokensAcross());
  set("blocks", configuration.blocks);
  set("heads", configuration.numHeads);
  set("maxWords", configuration.maxWords - 1);
  set("parameterCount", model.denoiser->parameters().size());
  return result;
}

val toArray(const std::vector<std::string>& texts) {
  const val array = val::array();
  for (const std::string& text : texts) push(array, text);
  return array;
}

val words(const DenoiserModel& model) { return toArray(model.denoiser->vocabulary().words()); }

val splitWords(const std::string& prompt) { return toArray(denoiser::splitWords(prompt)); }

/// Returns the words that the LoRA adds, or undefined if there is no LoRA.
val loraWords(const DenoiserModel& model) {
  return model.lora == nullptr ? val::undefined() : toArray(model.lora->words);
}

/// Loads a LoRA. If the file is invalid, the previous LoRA stays.
void loadLora(DenoiserModel& model, const Bytes& file) {
  std::shared_ptr<denoiser::Lora> previous = std::move(model.lora);
  std::vector<std::byte> saved;
  double scale = 1;
  if (previous != nullptr) {
    saved = denoiser::saveLora(*previous);
    scale = previous->scale();
  }
  previous.reset();
  try {
    model.lora = denoiser::loadLora(file, *model.denoiser);
  } catch (...) {
    if (!saved.empty()) {
      model.lora = denoiser::loadLora(saved, *model.denoiser);
      model.lora->setScale(scale);
    }
    throw;
  }
}

void unloadLora(DenoiserModel& model) { model.lora.reset(); }

Bytes* saveLora(DenoiserModel& model) { return new Bytes(denoiser::saveLora(*model.lora)); }

void setLoraScale(DenoiserModel& model, double scale) { model.lora->setScale(scale); }

}  // namespace

EMSCRIPTEN_BINDINGS(denoiser) {
  emscripten::class_<DenoiserModel>("DenoiserModel")
      .class_function("create", &create, allow_raw_pointers())
      .class_function("load", &load, allow_raw_pointers())
      .function("save", &save, allow_raw_pointers())
      .function("describe", &describe)
      .function("words", &words)
      .function("loraWords", &loraWords)
      .function("loadLora", &loadLora)
      .function("unloadLora", &unloadLora)
      .function("saveLora", &saveLora, allow_raw_pointers())
      .function("setLoraScale", &setLoraScale);
  emscripten::function("splitWords", &splitWords);
}

}  // namespace cross_attention::embind
