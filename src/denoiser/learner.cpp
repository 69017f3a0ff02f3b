#include "denoiser/learner.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"
#include "denoiser/checks.hpp"
#include "denoiser/scene_batch.hpp"

namespace cross_attention::denoiser {

namespace {

constexpr Index kMostPictures = 64;
constexpr Index kMostBatch = 256;
/// Of Adam: some hundred steps are all there are, so what it knows of the slopes' size must not be that of long ago.
constexpr double kSquareDecay = 0.95;

void requireOptions(const LearnerOptions& options, const Configuration& configuration) {
  requireRange("learningRate", options.learningRate, 0, 1);
  requireRange("batch", static_cast<double>(options.batch), 1, kMostBatch);
  requireRange("rehearsal", options.rehearsal, 0, 0.95);
  requireRange("shift", static_cast<double>(options.shift), 0,
               static_cast<double>(configuration.imageSize - 1));
}

void requirePictures(const Tensor<float>& pictures, const Learner::Captions& captions, Index size) {
  const Shape& shape = pictures.shape();
  const bool fits = pictures.rank() == 4 && shape[0] >= 1 && shape[0] <= kMostPictures &&
                    shape == Shape{shape[0], Configuration::kChannels, size, size};
  if (!fits) {
    failShape({"pictures have shape ", shape, "; they take ", Shape{1, Configuration::kChannels, size, size},
               " with 1 to ", kMostPictures, " of them"});
  }
  if (captions.size() != static_cast<std::size_t>(shape[0])) {
    failArgument({"captions are of ", captions.size(), " pictures; they take ", shape[0]});
  }
  for (std::size_t picture = 0; picture < captions.size(); ++picture) {
    if (captions[picture].empty()) {
      failArgument({"captions[", picture, "] is empty; it takes one caption or more"});
    }
  }
}

}  // namespace

Learner::Learner(Lora& lora, const LearnerOptions& options, const Tensor<float>& pictures,
                 const Captions& captions)
    : denoiser_(lora.denoiser()), options_(options), pictures_(pictures.clone()) {
  const Configuration& configuration = denoiser_.configuration();
  requireOptions(options, configuration);
  requirePictures(pictures, captions, configuration.imageSize);
  // Checked against a vocabulary that has the word, before the model's own gets it.
  Vocabulary vocabulary = denoiser_.vocabulary();
  const bool isNew = vocabulary.find(options.word) == Vocabulary::kFill;
  if (isNew) vocabulary.add(options.word);
  id_ = vocabulary.find(options.word);
  for (const std::vector<std::string>& ofPicture : captions) {
    std::vector<std::vector<std::int32_t>>& prompts = prompts_.emplace_back();
    for (const std::string& caption : ofPicture) {
      prompts.push_back(vocabulary.encode(caption, configuration.maxWords, "a caption"));
      if (std::find(prompts.back().begin(), prompts.back().end(), id_) == prompts.back().end()) {
        failArgument({"the caption '", caption, "' does not have the word '", options.word, "'"});
      }
    }
  }
  if (isNew) denoiser_.addWord(options.word, options.like);
  if (std::find(lora.words.begin(), lora.words.end(), options.word) == lora.words.end()) {
    lora.words.push_back(options.word);
  }
  denoiser_.parameters().setTrainable(false);
  denoiser_.textEncoder().embedding().table().trainable = true;
  denoiser_.parameters().clearGradients();
  lora.parameters().clearGradients();
  TrainerOptions training;
  training.seed = options.seed;
  training.promptDropout = 0.05;
  // Fewer times near the picture than in training: how edges get sharp the model knows.
  training.timeMean = -0.7;
  training.timeDeviation = 1.1;
  training.adam.beta2 = kSquareDecay;
  trainer_ = std::make_unique<Trainer<float>>(denoiser_, training);
  updateAdam_ = std::make_unique<operators::Adam<float>>(lora.parameters(), training.adam);
}

Learner::~Learner() { denoiser_.parameters().setTrainable(true); }

double Learner::learningRateAt(double done) const {
  return options_.learningRate * std::min(1.0, (1 - done) / (1 - kFallsFrom));
}

double Learner::step(double done) {
  requireRange("done", done, 0, 1);
  Random random(randomSeed(options_.seed, updateAdam_->step()));
  const double loss = trainer_->loss(drawBatch(random), random, true);
  keepOtherWords();
  const double learningRate = learningRateAt(done);
  trainer_->adam().update(learningRate);
  updateAdam_->update(learningRate);
  // The attentions' weights are made of the updates anew.
  denoiser_.parameters().touch();
  return loss;
}

/// Pictures of the word, drawn at random and moved a little, and scenes to be remembered after them.
Batch<float> Learner::drawBatch(Random& random) const {
  const auto share = static_cast<double>(options_.batch) * options_.rehearsal;
  const Index remembered = std::min(options_.batch - 1, static_cast<Index>(std::lround(share)));
  const Index fresh = options_.batch - remembered;
  Batch<float> scenes = sceneBatch(denoiser_, remembered, random);
  const Index size = denoiser_.configuration().imageSize;
  const Index values = Configuration::kChannels * size * size;
  Batch<float> batch{Tensor<float>(Shape{options_.batch, Configuration::kChannels, size, size}), {}};
  const auto below = [&](Index count) {
    return static_cast<Index>(random.uniform() * static_cast<double>(count));
  };
  for (Index row = 0; row < fresh; ++row) {
    const Index picture = below(pictures_.shape()[0]);
    const Index dx = below(2 * options_.shift + 1) - options_.shift;
    const Index dy = below(2 * options_.shift + 1) - options_.shift;
    copyMoved(pictures_.data() + picture * values, batch.pictures.data() + row * values, dx, dy);
    const auto& prompts = prompts_[static_cast<std::size_t>(picture)];
    batch.prompts.push_back(prompts[static_cast<std::size_t>(below(static_cast<Index>(prompts.size())))]);
  }
  std::copy(scenes.pictures.begin(), scenes.pictures.end(), batch.pictures.data() + fresh * values);
  batch.prompts.insert(batch.prompts.end(), scenes.prompts.begin(), scenes.prompts.end());
  return batch;
}

void Learner::copyMoved(const float* from, float* to, Index dx, Index dy) const {
  const Index size = denoiser_.configuration().imageSize;
  for (Index channel = 0; channel < Configuration::kChannels; ++channel) {
    for (Index y = 0; y < size; ++y) {
      for (Index x = 0; x < size; ++x) {
        const Index fromY = std::clamp<Index>(y - dy, 0, size - 1);
        const Index fromX = std::clamp<Index>(x - dx, 0, size - 1);
        *to++ = from[(channel * size + fromY) * size + fromX];
      }
    }
  }
}

/// Only the new word's entry learns.
void Learner::keepOtherWords() {
  Parameter<float>& table = denoiser_.textEncoder().embedding().table();
  const Index features = table.shape[1];
  for (Index i = 0; i < table.shape.size(); ++i) {
    if (i / features != id_) table.gradient[i] = 0;
  }
}

}  // namespace cross_attention::denoiser
