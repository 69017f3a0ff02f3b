#pragma once

#include <vector>

#include "denoiser/trainer.hpp"
#include "support/random_data.hpp"

namespace cross_attention::test {

/// A denoiser with all its parts, in the smallest sizes that differ from each other.
inline denoiser::Configuration tinyConfiguration() {
  return {.imageSize = 8,
          .pixelFeatures = 5,
          .pixelBlocks = 1,
          .patch = 4,
          .features = 16,
          .blocks = 2,
          .numHeads = 2,
          .textFeatures = 12,
          .textBlocks = 2,
          .textHeads = 3,
          .maxWords = 6,
          .expansion = 2};
}

inline denoiser::Vocabulary tinyVocabulary() {
  return denoiser::Vocabulary({"red", "blue", "circle", "square"});
}

/// A tiny denoiser whose parameters are all random, including those that start as zero. The numbers are drawn
/// in float so that a denoiser of doubles has the same values.
template <class T>
struct TinyDenoiser : denoiser::Denoiser<T> {
  explicit TinyDenoiser(std::uint64_t seed = 3)
      : denoiser::Denoiser<T>(tinyConfiguration(), tinyVocabulary(), seed) {
    Random random(seed + 100);
    for (auto& parameter : this->parameters()) {
      for (T& value : parameter.values) {
        value = static_cast<T>(static_cast<float>(value) + 0.2f * static_cast<float>(random.normal()));
      }
    }
    this->parameters().touch();
  }
};

/// Returns three pictures of random pixels with prompts of 3, 2 and 5 tokens. No prompt contains "square".
template <class T>
denoiser::Batch<T> tinyBatch(std::uint64_t seed = 5) {
  Random random(seed);
  denoiser::Batch<T> batch{Tensor<T>(Shape{3, 3, 8, 8}), {{1, 2, 4}, {1, 4}, {1, 3, 3, 2, 4}}};
  for (T& value : batch.pictures) value = static_cast<T>(2 * random.uniform() - 1);
  return batch;
}

/// Returns the values of all parameters, concatenated.
template <class T>
std::vector<T> allValues(const operators::ParameterSet<T>& parameters) {
  std::vector<T> all;
  for (const auto& parameter : parameters) {
    all.insert(all.end(), parameter.values.begin(), parameter.values.end());
  }
  return all;
}
template <class T>
std::vector<T> allGradients(const operators::ParameterSet<T>& parameters) {
  std::vector<T> all;
  for (const auto& parameter : parameters) {
    all.insert(all.end(), parameter.gradient.begin(), parameter.gradient.end());
  }
  return all;
}

}  // namespace cross_attention::test
