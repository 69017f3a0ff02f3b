#include "denoiser/lora_file.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "weights/safetensors.hpp"

namespace cross_attention::denoiser {

using weights::NamedValues;
using weights::StoredTensor;

namespace {

const std::string kWordPrefix = "text.embedding.words.";
const std::string kRankSuffix = ".lora_A.weight";

std::span<float> embeddingOf(Denoiser<float>& denoiser, const std::string& word) {
  Parameter<float>& table = denoiser.textEncoder().embedding().table();
  const Index features = table.shape[1];
  return {table.values.data() + denoiser.vocabulary().find(word) * features,
          static_cast<std::size_t>(features)};
}

const StoredTensor* find(const std::vector<StoredTensor>& tensors, const std::string& name) {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const StoredTensor& tensor) { return tensor.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

void requireShape(const StoredTensor& tensor, const Shape& shape) {
  if (weights::isSameShape(tensor.shape, shape)) return;
  failWeights({"tensor '", shortened(tensor.name), "' of the file has shape ",
               weights::toString(tensor.shape), "; the model takes ", shape});
}

std::uint64_t rankOf(const std::vector<StoredTensor>& tensors) {
  for (const StoredTensor& tensor : tensors) {
    if (tensor.name.ends_with(kRankSuffix) && tensor.shape.size() == 2) return tensor.shape[0];
  }
  failWeights({"the file has no low-rank updates: no tensor's name ends with '", kRankSuffix, "'"});
}

}  // namespace

std::vector<std::byte> saveLora(Lora& lora) {
  std::vector<NamedValues<float>> tensors;
  for (const Parameter<float>& parameter : lora.parameters()) {
    tensors.push_back({parameter.name,
                       parameter.shape,
                       {parameter.values.data(), static_cast<std::size_t>(parameter.values.size())}});
  }
  for (const std::string& word : lora.words) {
    const std::span<const float> embedding = embeddingOf(lora.denoiser(), word);
    tensors.push_back({kWordPrefix + word, Shape{static_cast<Index>(embedding.size())}, embedding});
  }
  return weights::writeSafetensors<float>(tensors, "F32");
}

std::unique_ptr<Lora> loadLora(std::span<const std::byte> file, Denoiser<float>& denoiser) {
  const std::vector<StoredTensor> tensors = weights::readSafetensors(file);
  const std::uint64_t rank = rankOf(tensors);
  if (rank > static_cast<std::uint64_t>(Lora::kMostRank)) {
    failWeights({"the file's updates have rank ", rank, "; the model takes at most ", Lora::kMostRank});
  }
  auto lora = std::make_unique<Lora>(denoiser, static_cast<Index>(rank), 0);
  std::size_t used = 0;
  for (Parameter<float>& parameter : lora->parameters()) {
    const StoredTensor* tensor = find(tensors, parameter.name);
    if (tensor == nullptr) failWeights({"the file lacks the tensor '", parameter.name, "'"});
    requireShape(*tensor, parameter.shape);
    weights::decode<float>(*tensor,
                           {parameter.values.data(), static_cast<std::size_t>(parameter.values.size())});
    ++used;
  }
  const Index features = denoiser.configuration().textFeatures;
  std::vector<std::vector<float>> embeddings;
  for (const StoredTensor& tensor : tensors) {
    if (!tensor.name.starts_with(kWordPrefix)) continue;
    requireShape(tensor, Shape{features});
    const std::string word = tensor.name.substr(kWordPrefix.size());
    if (splitWords(word) != std::vector<std::string>{word}) {
      failWeights({"tensor '", shortened(tensor.name), "' of the file is not named after a word"});
    }
    embeddings.emplace_back(static_cast<std::size_t>(features));
    weights::decode<float>(tensor, std::span<float>(embeddings.back()));
    lora->words.push_back(word);
    ++used;
  }
  if (used != tensors.size()) {
    failWeights({"the file has ", tensors.size() - used, " tensors that this model has no use for"});
  }
  // Nothing can fail from here on but for lack of memory.
  for (std::size_t index = 0; index < embeddings.size(); ++index) {
    const std::string& word = lora->words[index];
    if (denoiser.vocabulary().find(word) == Vocabulary::kFill) {
      denoiser.addWord(word, denoiser.vocabulary().words().front());
    }
    std::copy(embeddings[index].begin(), embeddings[index].end(), embeddingOf(denoiser, word).begin());
  }
  denoiser.parameters().touch();
  return lora;
}

}  // namespace cross_attention::denoiser
