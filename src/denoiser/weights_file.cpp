#include "denoiser/weights_file.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <map>

#include "core/error.hpp"
#include "weights/safetensors.hpp"

namespace cross_attention::denoiser {

using weights::Metadata;
using weights::NamedValues;
using weights::StoredTensor;

namespace {

constexpr const char* kWords = "vocabulary";
constexpr const char* kStep = "step";

struct Member {
  const char* name;
  Index Configuration::*place;
};
constexpr std::array kMembers = {
    Member{"imageSize", &Configuration::imageSize},
    Member{"pixelFeatures", &Configuration::pixelFeatures},
    Member{"pixelBlocks", &Configuration::pixelBlocks},
    Member{"patch", &Configuration::patch},
    Member{"features", &Configuration::features},
    Member{"blocks", &Configuration::blocks},
    Member{"numHeads", &Configuration::numHeads},
    Member{"textFeatures", &Configuration::textFeatures},
    Member{"textBlocks", &Configuration::textBlocks},
    Member{"textHeads", &Configuration::textHeads},
    Member{"mostWords", &Configuration::maxWords},
    Member{"expansion", &Configuration::expansion},
};

const std::string& require(const Metadata& metadata, std::string_view name) {
  // If a name occurs twice, the last value counts.
  for (auto entry = metadata.rbegin(); entry != metadata.rend(); ++entry) {
    if (entry->first == name) return entry->second;
  }
  failWeights({"the file is no denoiser: its metadata lack '", name, "'"});
}

Index requireNumber(const Metadata& metadata, std::string_view name) {
  const std::string& value = require(metadata, name);
  Index number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size()) {
    failWeights({"the file is no denoiser: '", name, "' is '", shortened(value), "'; expected an integer"});
  }
  return number;
}

Metadata describe(const Denoiser<float>& denoiser) {
  Metadata metadata;
  for (const Member& member : kMembers) {
    metadata.push_back({member.name, text({denoiser.configuration().*member.place})});
  }
  std::string words;
  for (const std::string& word : denoiser.vocabulary().words()) {
    words += (words.empty() ? "" : " ") + word;
  }
  metadata.push_back({kWords, words});
  return metadata;
}

Configuration readConfiguration(const Metadata& metadata) {
  Configuration configuration;
  for (const Member& member : kMembers) {
    configuration.*member.place = requireNumber(metadata, member.name);
  }
  try {
    validate(configuration);
  } catch (const Error& error) {
    failWeights({"the file is no denoiser: ", error.message()});
  }
  return configuration;
}

std::span<const float> valuesOf(const Buffer<float>& buffer) {
  return {buffer.data(), static_cast<std::size_t>(buffer.size())};
}
std::span<float> valuesOf(Buffer<float>& buffer) {
  return {buffer.data(), static_cast<std::size_t>(buffer.size())};
}

/// The tensors of a file by their names, asked for one by one.
class Tensors {
 public:
  explicit Tensors(const std::vector<StoredTensor>& tensors) {
    for (const StoredTensor& tensor : tensors) tensors_[tensor.name] = &tensor;
  }

  const StoredTensor& require(const std::string& name, const Shape& shape) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) failWeights({"the file lacks the tensor '", name, "'"});
    if (!weights::isSameShape(found->second->shape, shape)) {
      failWeights({"tensor '", name, "' of the file has shape ", weights::toString(found->second->shape),
                   "; the model takes ", shape});
    }
    return *found->second;
  }

  /// Throws kWeights unless the file has `count` tensors: those that were required. A damaged configuration
  /// would otherwise load as a smaller, wrong model.
  void requireCount(std::size_t count) const {
    if (tensors_.size() == count) return;
    failWeights({"the file has ", tensors_.size(), " tensors; the model of its configuration has ", count});
  }

 private:
  std::map<std::string, const StoredTensor*> tensors_;
};

/// Those before the transformer are fewer and as large.
void requirePixelBlocks(const Tensors& tensors, const Configuration& configuration) {
  Index features = configuration.pixelFeatures;
  for (Index level = 0; Index(1) << level < configuration.patch; ++level) {
    for (Index block = 0; block < configuration.pixelBlocksAfter(); ++block) {
      tensors.require(text({"pixels.", level, ".after.", block, ".in.weight"}), {3, 3, features, features});
    }
    features *= 4;
  }
}

/// A small file must not claim a model for which there is no memory: what every size is told by has to be in it.
void requireSizes(const Tensors& tensors, const Configuration& configuration, const Vocabulary& vocabulary) {
  const auto requireBlocks = [&](const char* prefix, Index blocks, Index features) {
    for (Index block = 0; block < blocks; ++block) {
      tensors.require(text({prefix, block, ".ff.in.weight"}), {configuration.expansion * features, features});
    }
  };
  tensors.require("text.embedding.weight", {vocabulary.entries(), configuration.textFeatures});
  tensors.require("text.embedding.positions", {configuration.maxWords, configuration.textFeatures});
  tensors.require("patch_embedding.weight", {configuration.features, configuration.patchValues()});
  tensors.require("positions", {configuration.tokens(), configuration.features});
  requirePixelBlocks(tensors, configuration);
  requireBlocks("text.blocks.", configuration.textBlocks, configuration.textFeatures);
  requireBlocks("transformer_blocks.", configuration.blocks, configuration.features);
}

/// Throws kWeights for values that training never reaches: NaN and infinity, and negative means of squares, of
/// which the next step would take the root.
void requireValid(const std::string& name, bool areSquares, std::span<const float> values) {
  for (const float value : values) {
    if (!std::isfinite(value) || (areSquares && value < 0)) {
      failWeights({"tensor '", name, "' of the checkpoint has the value ", value, "; expected finite ",
                   areSquares ? "values of at least 0" : "values"});
    }
  }
}

/// The parts of a checkpoint of one parameter: a prefix, and where its values are.
template <class Use>
void forCheckpointParts(Parameter<float>& parameter, operators::Adam<float>::State& state, Use use) {
  use("", parameter.values);
  use("adam.mean.", state.mean);
  use("adam.square.", state.square);
  use("average.", state.ema);
}

}  // namespace

std::vector<std::byte> saveDenoiser(Denoiser<float>& denoiser, const std::string& dtype) {
  std::vector<NamedValues<float>> tensors;
  for (const Parameter<float>& parameter : denoiser.parameters()) {
    tensors.push_back({parameter.name, parameter.shape, valuesOf(parameter.values)});
  }
  return weights::writeSafetensors<float>(tensors, dtype, describe(denoiser));
}

std::unique_ptr<Denoiser<float>> loadDenoiser(std::span<const std::byte> file) {
  Metadata metadata;
  const std::vector<StoredTensor> stored = weights::readSafetensors(file, &metadata);
  const Tensors tensors(stored);
  const Configuration configuration = readConfiguration(metadata);
  Vocabulary vocabulary(splitWords(require(metadata, kWords)));
  requireSizes(tensors, configuration, vocabulary);
  auto denoiser = std::make_unique<Denoiser<float>>(configuration, std::move(vocabulary), 0);
  std::size_t parameterCount = 0;
  for (Parameter<float>& parameter : denoiser->parameters()) {
    ++parameterCount;
    weights::decode<float>(tensors.require(parameter.name, parameter.shape), valuesOf(parameter.values));
  }
  tensors.requireCount(parameterCount);
  denoiser->parameters().touch();
  return denoiser;
}

std::vector<std::byte> saveCheckpoint(Denoiser<float>& denoiser, Trainer<float>& trainer) {
  std::vector<NamedValues<float>> tensors;
  auto state = trainer.adam().states().begin();
  for (Parameter<float>& parameter : denoiser.parameters()) {
    if (state->mean.empty()) {
      failArgument({"'", parameter.name, "' is not trained; a checkpoint takes a trainer of all"});
    }
    forCheckpointParts(parameter, *state++, [&](const char* prefix, const Buffer<float>& values) {
      tensors.push_back({prefix + parameter.name, parameter.shape, valuesOf(values)});
    });
  }
  Metadata metadata = describe(denoiser);
  metadata.push_back({kStep, text({trainer.adam().step()})});
  return weights::writeSafetensors<float>(tensors, "F32", metadata);
}

void loadCheckpoint(std::span<const std::byte> file, Denoiser<float>& denoiser, Trainer<float>& trainer) {
  Metadata metadata;
  const std::vector<StoredTensor> stored = weights::readSafetensors(file, &metadata);
  const Tensors tensors(stored);
  if (readConfiguration(metadata) != denoiser.configuration() ||
      splitWords(require(metadata, kWords)) != denoiser.vocabulary().words()) {
    failWeights({"the checkpoint is of a model with another configuration or vocabulary"});
  }
  const Index step = requireNumber(metadata, kStep);
  // Far more than training takes, and far from where counting on would overflow.
  constexpr Index kMaxStep = 1'000'000'000;
  if (step < 0 || step > kMaxStep) {
    failWeights({"the checkpoint's step is ", step, "; expected 0 to ", kMaxStep});
  }
  // All of them are read before any is changed.
  for (const bool change : {false, true}) {
    std::size_t count = 0;
    auto state = trainer.adam().states().begin();
    for (Parameter<float>& parameter : denoiser.parameters()) {
      auto* adam = &*state++;
      forCheckpointParts(parameter, *adam, [&](const char* prefix, Buffer<float>& values) {
        const StoredTensor& tensor = tensors.require(prefix + parameter.name, parameter.shape);
        Buffer<float> checked(change ? 0 : values.size());
        weights::decode<float>(tensor, valuesOf(change ? values : checked));
        requireValid(tensor.name, &values == &adam->square, valuesOf(checked));
        ++count;
      });
    }
    tensors.requireCount(count);
  }
  trainer.adam().setStep(step);
  denoiser.parameters().touch();
}

}  // namespace cross_attention::denoiser
