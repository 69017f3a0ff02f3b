#include "denoiser/trainer.hpp"

#include <cmath>

#include "core/error.hpp"
#include "denoiser/scene_places.hpp"

namespace cross_attention::denoiser {

namespace {

template <class T>
void requirePictures(const Batch<T>& batch, const Configuration& configuration) {
  const Shape& shape = batch.pictures.shape();
  const Index size = configuration.imageSize;
  const auto rows = static_cast<Index>(batch.prompts.size());
  if (rows == 0 || shape != Shape{rows, Configuration::kChannels, size, size}) {
    failShape({"pictures have shape ", shape, " beside ", rows, " prompts; they take ",
               Shape{rows, Configuration::kChannels, size, size}});
  }
}

template <class T>
void requirePlaces(const Batch<T>& batch, const Configuration& configuration) {
  const Shape wanted{batch.pictures.shape()[0], configuration.tokens(), kPlaceValues};
  if (batch.places.size() != 0 && batch.places.shape() != wanted) {
    failShape({"places have shape ", batch.places.shape(), "; they take ", wanted});
  }
}

}  // namespace

std::uint64_t randomSeed(std::uint64_t seed, Index step) {
  // The golden ratio's fraction of 2^64, as SplitMix64 walks (Steele et al., 2014).
  return seed + 0x9e3779b97f4a7c15u * static_cast<std::uint64_t>(step + 1);
}

template <class T>
Trainer<T>::Trainer(Denoiser<T>& denoiser, const TrainerOptions& options)
    : denoiser_(denoiser), options_(options), adam_(denoiser.parameters(), options.adam) {}

template <class T>
NoisyBatch<T> Trainer<T>::addNoise(const Batch<T>& batch, Random& random) const {
  requirePictures(batch, denoiser_.configuration());
  requirePlaces(batch, denoiser_.configuration());
  const Index values = batch.pictures.size() / batch.pictures.shape()[0];
  NoisyBatch<T> result{batch.prompts, {}, Tensor<T>(batch.pictures.shape()), {}};
  for (std::vector<std::int32_t>& prompt : result.prompts) {
    if (random.uniform() < options_.promptDropout) prompt = {Vocabulary::kStart};
    const double normal = options_.timeMean + options_.timeDeviation * random.normal();
    const T time = static_cast<T>(1 / (1 + std::exp(-normal)));
    const T noise = T(1) - time;
    result.times.push_back(time);
    result.weights.push_back(T(1) / std::max(noise * noise, static_cast<T>(kLeastNoise * kLeastNoise)));
  }
  for (Index i = 0; i < result.noisy.size(); ++i) {
    const T time = result.times[static_cast<std::size_t>(i / values)];
    result.noisy.data()[i] =
        time * batch.pictures.data()[i] + (T(1) - time) * static_cast<T>(random.normal());
  }
  return result;
}

template <class T>
double Trainer<T>::loss(const Batch<T>& batch, Random& random, bool learn) {
  const NoisyBatch<T> given = addNoise(batch, random);
  const EncodedPrompts<T> encoded = denoiser_.encode(Prompts(given.prompts), learn);
  const Tensor<T> estimate = denoiser_.forward(given.noisy, given.times, encoded, learn);

  const Index values = estimate.size() / estimate.shape()[0];
  Tensor<T> gradient(estimate.shape());
  double sum = 0;
  for (Index i = 0; i < estimate.size(); ++i) {
    const T weight = given.weights[static_cast<std::size_t>(i / values)];
    const T difference = estimate.data()[i] - batch.pictures.data()[i];
    sum += static_cast<double>(weight * difference * difference);
    gradient.data()[i] = T(2) * weight * difference / static_cast<T>(estimate.size());
  }
  const double loss = sum / static_cast<double>(estimate.size());
  if (!learn) return loss;
  placesLoss_ = 0;
  denoiser_.backward(gradient, batch.places.size() == 0 ? Tensor<T>() : learnPlaces(batch.places));
  return loss;
}

/// Sets the mean squared error of what the tokens' first features say of their places; returns its gradient.
template <class T>
Tensor<T> Trainer<T>::learnPlaces(const Tensor<T>& places) {
  const Tensor<T>& tokens = denoiser_.middleTokens();
  Tensor<T> gradient = Tensor<T>::zeros(tokens.shape());
  const Index features = tokens.shape()[2];
  const Index values = std::min(features, kPlaceValues);
  const double weight = options_.alignment / static_cast<double>(places.size());
  for (Index token = 0; token < tokens.size() / features; ++token) {
    for (Index i = 0; i < values; ++i) {
      const T wanted = places.data()[token * kPlaceValues + i];
      if (std::isnan(wanted)) continue;
      const T difference = tokens.data()[token * features + i] - wanted;
      gradient.data()[token * features + i] = static_cast<T>(2 * weight) * difference;
      placesLoss_ += weight * static_cast<double>(difference * difference);
    }
  }
  return gradient;
}

template <class T>
double Trainer<T>::step(const Batch<T>& batch, double learningRate) {
  Random random(randomSeed(options_.seed, adam_.step()));
  const double before = loss(batch, random, true);
  gradientNorm_ = adam_.update(learningRate);
  return before;
}

template class Trainer<float>;
template class Trainer<double>;

}  // namespace cross_attention::denoiser
