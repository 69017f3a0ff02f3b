#pragma once

#include "denoiser/lora.hpp"
#include "denoiser/trainer.hpp"

namespace cross_attention::denoiser {

struct LearnerOptions {
  std::string word;
  std::string like = "circle";  ///< the word whose embedding it begins with
  double learningRate = 5e-3;
  Index batch = 4;
  /// Share of a batch that are scenes the model knows, so that it does not forget them (Ruiz et al., "DreamBooth", 2023,
  /// section 3.2).
  double rehearsal = 0.25;
  Index shift = 2;  ///< pixels that a picture is moved by at most, its border repeated
  std::uint64_t seed = 0;
};

/// Teaches a denoiser a word from a few pictures: only the word's embedding ("textual inversion", Gal et al., 2022) and
/// low-rank updates learn. While it lives nothing else of the denoiser is trainable.
class Learner {
 public:
  /// What may be said of each picture, one of which is drawn anew each time that the picture is.
  using Captions = std::vector<std::vector<std::string>>;

  /// pictures: [count, 3, size, size]; `captions`: some for each picture, with the word in them. The word is added to the
  /// vocabulary if it is new. Throws kArgument or kShape, and then nothing has changed.
  Learner(Lora& lora, const LearnerOptions& options, const Tensor<float>& pictures, const Captions& captions);
  ~Learner();
  Learner(const Learner&) = delete;
  Learner& operator=(const Learner&) = delete;

  /// One step; the loss before it. `done` is the share of the whole teaching, in time or in steps, that lies behind, 0 to 1:
  /// beyond kFallsFrom of it the learning rate falls to zero in a straight line, and what was learned settles. Throws
  /// kArgument, having changed nothing.
  double step(double done = 0);
  static constexpr double kFallsFrom = 0.4;
  Index steps() const { return updateAdam_->step(); }

 private:
  double learningRateAt(double done) const;
  Batch<float> drawBatch(Random& random) const;
  void copyMoved(const float* from, float* to, Index dx, Index dy) const;
  void keepOtherWords();

  Denoiser<float>& denoiser_;
  LearnerOptions options_;
  Tensor<float> pictures_;
  std::vector<std::vector<std::vector<std::int32_t>>> prompts_;  ///< of each picture
  std::int32_t id_ = 0;
  std::unique_ptr<Trainer<float>> trainer_;
  std::unique_ptr<operators::Adam<float>> updateAdam_;
};

}  // namespace cross_attention::denoiser
