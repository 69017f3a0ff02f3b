#pragma once

#include "core/random.hpp"
#include "denoiser/denoiser.hpp"
#include "operators/adam.hpp"

namespace cross_attention::denoiser {

/// What a training step learns from.
template <class T>
struct Batch {
  Tensor<T> pictures;  ///< [batch, 3, size, size], values in [-1, 1]
  std::vector<std::vector<std::int32_t>> prompts;
  /// [batch, tokens, kPlaceValues], or empty: what the tokens are to know (see describePlaces).
  Tensor<T> places = {};
};

struct TrainerOptions {
  std::uint64_t seed = 0;
  operators::AdamOptions adam = {};
  /// Prompts that are replaced by the empty one, so that the model can be guided (Ho and Salimans, "Classifier-free
  /// diffusion guidance", 2022).
  double promptDropout = 0.1;
  /// Times are 1 / (1 + e^-n) with n normal: Esser et al., "Scaling rectified flow transformers" (2024), section 3.1.
  /// A quarter of the times are below 0.2, where it is decided what is where, and a third above 0.55, where edges get sharp.
  /// Of those a model needs enough: with mean -1.6 and deviation 1, which has 4 % there, stars in circles became blots.
  double timeMean = -0.4;
  double timeDeviation = 1.5;
  /// Of what tokens know of their place, beside the loss of the picture, where the batch tells places: Yu et al.'s λ.
  double alignment = 0.5;
};

/// What a step learns from once chance has had its part: the batch's pictures with noise, at times of their own.
template <class T>
struct NoisyBatch {
  std::vector<std::vector<std::int32_t>> prompts;  ///< some of them replaced by the empty one
  std::vector<T> times;                            ///< one a picture
  Tensor<T> noisy;                                 ///< [batch, 3, size, size]
  /// One a picture: what the squared error of the estimated picture counts, so that it is that of the velocity.
  std::vector<T> weights;
};

/// A seed of its own for each step.
std::uint64_t randomSeed(std::uint64_t seed, Index step);

/// Trains a denoiser by flow matching (Lipman et al., 2023): z = t·x + (1 - t)·noise, the velocity x - noise is estimated by
/// (estimate - z) / (1 - t), and the loss is the mean squared error of that, with 1 - t at least kLeastNoise.
template <class T>
class Trainer {
 public:
  static constexpr double kLeastNoise = 0.2;

  Trainer(Denoiser<T>& denoiser, const TrainerOptions& options);

  /// One step of Adam; the loss before it. Times and noise come from the seed and the number of the step: training goes on
  /// after a break as if there had been none. Throws kShape for pictures of another size than the model's.
  double step(const Batch<T>& batch, double learningRate);
  /// The loss alone, with gradients added where `learn`: for tests and for step.
  double loss(const Batch<T>& batch, Random& random, bool learn);

  /// What `loss` learns from. Throws as that.
  NoisyBatch<T> addNoise(const Batch<T>& batch, Random& random) const;

  /// What was added to the last loss for places.
  double placesLoss() const { return placesLoss_; }
  operators::Adam<T>& adam() { return adam_; }
  const TrainerOptions& options() const { return options_; }
  double gradientNorm() const { return gradientNorm_; }

 private:
  Tensor<T> learnPlaces(const Tensor<T>& places);

  Denoiser<T>& denoiser_;
  TrainerOptions options_;
  operators::Adam<T> adam_;
  double gradientNorm_ = 0;
  double placesLoss_ = 0;
};

}  // namespace cross_attention::denoiser
