#include "denoiser/sampler.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "denoiser/batch_rows.hpp"
#include "denoiser/checks.hpp"
#include "denoiser/sampling_step.hpp"
#include "denoiser/word_alignment.hpp"

namespace cross_attention::denoiser {

namespace {

constexpr Index kMostSteps = 1000;
constexpr double kMostGuidance = 100;
constexpr double kMostWeight = 1000;

/// Share of the steps after which what no changed word looks at is kept: before, the maps are still forming.
constexpr double kKeepFrom = 0.2;
/// Of the largest attention to a changed word: what attends to it less, as do its neighbours, is kept. Hertz et al.'s local
/// blend takes 0.3, too, and neighbours in the same way: an object's rim has little attention of its own.
constexpr float kLeastAttention = 0.3f;

/// One weight a token: the start token's is 1.
std::vector<double> tokenWeights(const char* name, const std::vector<double>& wordWeights,
                                 std::size_t tokens) {
  std::vector<double> weights(tokens, 1.0);
  if (wordWeights.empty()) return weights;
  if (wordWeights.size() != tokens - 1) {
    failArgument(
        {name, " has ", wordWeights.size(), " weights; it takes ", tokens - 1, ", one a word of the prompt"});
  }
  for (const double weight : wordWeights) requireRange(name, weight, 0, kMostWeight);
  std::copy(wordWeights.begin(), wordWeights.end(), weights.begin() + 1);
  return weights;
}

/// Of a square grid: the largest value of each place and of the eight around it.
std::vector<float> widened(const std::vector<float>& values, Index across) {
  std::vector<float> wide(values.size());
  for (Index y = 0; y < across; ++y) {
    for (Index x = 0; x < across; ++x) {
      float most = 0;
      for (Index row = std::max<Index>(y - 1, 0); row <= std::min(y + 1, across - 1); ++row) {
        const float* first = values.data() + row * across;
        most = std::max(
            most, *std::max_element(first + std::max<Index>(x - 1, 0), first + std::min(x + 2, across)));
      }
      wide[static_cast<std::size_t>(y * across + x)] = most;
    }
  }
  return wide;
}

}  // namespace

Sampler::Sampler(Denoiser<float>& denoiser, const SamplerOptions& options)
    : denoiser_(denoiser),
      options_(options),
      version_(denoiser.parameters().version()),
      random_(options.seed) {
  const Configuration& configuration = denoiser.configuration();
  requireRange("steps", static_cast<double>(options.steps), 1, static_cast<double>(kMostSteps));
  requireRange("guidance", options.guidance, 0, kMostGuidance);
  requireRange("eta", options.eta, 0, 1);
  const auto encode = [&](const std::string& prompt, const char* argument) {
    return denoiser.vocabulary().encode(prompt, configuration.maxWords, argument);
  };
  if (options.edit) {
    requireRange("edit.crossSteps", options.edit->crossSteps, 0, 1);
    requireRange("edit.selfSteps", options.edit->selfSteps, 0, 1);
    ids_.push_back(encode(options.edit->from, "edit.from"));
    weights_.push_back(tokenWeights("edit.wordWeights", options.edit->wordWeights, ids_.back().size()));
  }
  ids_.push_back(encode(options.prompt, "prompt"));
  weights_.push_back(tokenWeights("wordWeights", options.wordWeights, ids_.back().size()));
  prompts_ = static_cast<Index>(ids_.size());
  AttentionEdit edit;
  if (options.edit) {
    places_ = alignWords(ids_[0], ids_[1]);
    edit = {places_, options.edit->crossSteps, options.edit->selfSteps};
  }

  std::vector<std::vector<std::int32_t>> rows = ids_;
  if (options.guidance != 1) rows.resize(2 * rows.size(), {Vocabulary::kStart});
  const Prompts prompts(rows);
  std::vector<std::vector<double>> weights = weights_;
  for (std::vector<double>& list : weights) {
    list.resize(static_cast<std::size_t>(prompts.length), 1.0);
  }
  attention_ = std::make_unique<SamplerAttention>(denoiser, denoiser.encode(prompts, false), prompts, weights,
                                                  std::move(edit), options.maps);
  const Index size = configuration.imageSize;
  noisy_ = pictureNoise({prompts_, Configuration::kChannels, size, size}, random_);
  estimate_ = Tensor<float>::zeros(noisy_.shape());
}

/// The clean pictures, as the denoiser sees them with the prompts rather than without; within the range of pictures.
Tensor<float> Sampler::guidedEstimate(float time) {
  const bool guided = options_.guidance != 1;
  const Index batch = guided ? 2 * prompts_ : prompts_;
  Tensor<float> rows(Shape{batch, noisy_.shape()[1], noisy_.shape()[2], noisy_.shape()[3]});
  for (Index row = 0; row < batch; row += prompts_) setBatchRows(rows, row, noisy_);
  const std::vector<float> times(static_cast<std::size_t>(batch), time);
  const Tensor<float> all = denoiser_.forward(rows, times, attention_->encoded(), false, attention_.get());
  Tensor<float> estimate = batchRows(all, 0, prompts_);
  const auto guidance = static_cast<float>(options_.guidance);
  const float* empty = all.data() + estimate.size();
  for (Index i = 0; i < estimate.size(); ++i) {
    float& value = estimate.data()[i];
    if (guided) value = empty[i] + guidance * (value - empty[i]);
    value = std::clamp(value, -1.0f, 1.0f);
  }
  return estimate;
}

bool Sampler::advance() {
  if (step_ == options_.steps) return false;
  if (denoiser_.parameters().version() != version_) {
    failArgument({"the denoiser has changed since this sampler was made; it takes a new one"});
  }
  const auto steps = static_cast<float>(options_.steps);
  const float done = static_cast<float>(step_) / steps;
  const float time = timeAfter(done);
  attention_->beginStep(static_cast<double>(done));
  estimate_ = guidedEstimate(time);
  if (options_.edit && options_.edit->keepElsewhere && done >= kKeepFrom) keepElsewhere();
  const bool last = step_ + 1 == options_.steps;
  const float next = last ? 1 : timeAfter(static_cast<float>(step_ + 1) / steps);
  stepTo(noisy_, estimate_, time, next, options_.eta, random_);
  ++step_;
  return true;
}

/// Where no changed word is looked at, the second picture stays the first one.
void Sampler::keepElsewhere() {
  const Configuration& configuration = denoiser_.configuration();
  const std::vector<float> changed = widened(changedPlaces(), configuration.tokensAcross());
  const Index size = configuration.imageSize;
  const Index patch = configuration.patch;
  for (Tensor<float>* pictures : {&noisy_, &estimate_}) {
    const float* kept = pictures->data();
    float* edited = pictures->data() + rowSize(*pictures);
    for (Index i = 0; i < rowSize(*pictures); ++i) {
      const Index y = i / size % size;
      const Index x = i % size;
      const Index token = y / patch * configuration.tokensAcross() + x / patch;
      if (changed[static_cast<std::size_t>(token)] < kLeastAttention) edited[i] = kept[i];
    }
  }
}

/// [tokens]: the attention to the words that differ, or whose weights do, in either prompt, over the largest of it.
std::vector<float> Sampler::changedPlaces() const {
  const Index tokens = denoiser_.configuration().tokens();
  std::vector<float> most(static_cast<std::size_t>(tokens), 0.0f);
  const auto add = [&](const std::vector<float>& maps, std::size_t place) {
    const float* map = maps.data() + static_cast<Index>(place) * tokens;
    const float largest = *std::max_element(map, map + tokens);
    if (largest <= 0) return;
    for (Index token = 0; token < tokens; ++token) {
      float& value = most[static_cast<std::size_t>(token)];
      value = std::max(value, map[token] / largest);
    }
  };
  const std::vector<float> before = attention_->maps(0, SamplerAttention::kAll, SamplerAttention::kAll);
  const std::vector<float> after = attention_->maps(1, SamplerAttention::kAll, SamplerAttention::kAll);
  std::vector<bool> isKept(ids_[0].size(), false);
  for (std::size_t place = 0; place < places_.size(); ++place) {
    const auto source = static_cast<std::size_t>(places_[place]);
    const bool isSame = places_[place] != kNone && ids_[0][source] == ids_[1][place] &&
                        weights_[0][source] == weights_[1][place];
    if (isSame) {
      isKept[source] = true;
    } else {
      add(after, place);
    }
  }
  for (std::size_t place = 0; place < isKept.size(); ++place) {
    if (!isKept[place]) add(before, place);
  }
  return most;
}

std::vector<float> Sampler::picture() const {
  const float* last = estimate_.data() + lastPrompt() * rowSize(estimate_);
  return {last, last + rowSize(estimate_)};
}

std::vector<float> Sampler::maps(Index block, Index head) const {
  const Configuration& configuration = denoiser_.configuration();
  const auto require = [](const char* name, Index value, Index count) {
    requireRange(name, static_cast<double>(value), SamplerAttention::kAll, static_cast<double>(count - 1));
  };
  require("block", block, configuration.blocks);
  require("head", head, configuration.numHeads);
  if (!options_.maps) failArgument({"maps is false; heat maps take a sampler that collects them"});
  const std::vector<float> all = attention_->maps(lastPrompt(), block, head);
  // Without the start token and without filling.
  const auto words = static_cast<Index>(ids_.back().size()) - 1;
  const float* first = all.data() + configuration.tokens();
  return {first, first + words * configuration.tokens()};
}

}  // namespace cross_attention::denoiser
