#include "denoiser/denoiser.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"
#include "core/text.hpp"
#include "denoiser/patches.hpp"
#include "denoiser/timestep_embedding.hpp"
#include "operators/add.hpp"

namespace cross_attention::denoiser {

using operators::add;
using operators::addTo;
using operators::Initial;

namespace {

/// Pixels a side that become one of the next level.
constexpr Index kHalving = 2;
/// Modulations of all blocks, then shift and scale of the output.
template <class T>
constexpr Index kModulationParts = ImageBlock<T>::kModulations + 2;

const Configuration& checked(const Configuration& configuration) {
  validate(configuration);
  return configuration;
}

void requirePrompts(const Prompts& prompts, Index entries, Index maxWords) {
  if (prompts.batch < 1 || prompts.length < 1 || prompts.length > maxWords) {
    failArgument({"prompts are ", prompts.batch, " of ", prompts.length,
                  " tokens; they take at least one, of 1 to ", maxWords, " tokens"});
  }
  for (const std::int32_t id : prompts.ids) {
    if (id < 0 || id >= entries) {
      failArgument({"prompts have the id ", id, "; they take 0 to ", entries - 1});
    }
  }
}

/// Pictures of the model's size, with as many times and prompts.
void requirePictures(const Shape& noisy, std::size_t times, const Shape& context,
                     const Configuration& configuration) {
  const Index size = configuration.imageSize;
  const auto batch = static_cast<Index>(times);
  if (noisy != Shape{batch, Configuration::kChannels, size, size} || batch < 1) {
    failShape({"noisy has shape ", noisy, " beside ", batch, " times; it takes ",
               Shape{batch, Configuration::kChannels, size, size}});
  }
  if (context.rank() != 3 || context[0] != batch) {
    failShape({"prompts are encoded as ", context, "; they take ", batch, ", one a picture"});
  }
}

/// Sines and cosines of both coordinates (Vaswani et al., 2017, section 3.5, in two dimensions): training begins with
/// places that know their neighbours.
template <class T>
void fillPositions(Parameter<T>& positions, Index across) {
  const Index features = positions.shape[1];
  const Index waves = features / 4;
  for (Index token = 0; token < positions.shape[0]; ++token) {
    T* values = positions.values.data() + token * features;
    const Index row = token / across;
    for (Index wave = 0; wave < waves; ++wave) {
      const double frequency = std::pow(100.0, -static_cast<double>(wave) / static_cast<double>(waves));
      const double x = static_cast<double>(token % across) * frequency;
      const double y = static_cast<double>(row) * frequency;
      values[4 * wave] = static_cast<T>(std::sin(x));
      values[4 * wave + 1] = static_cast<T>(std::cos(x));
      values[4 * wave + 2] = static_cast<T>(std::sin(y));
      values[4 * wave + 3] = static_cast<T>(std::cos(y));
    }
  }
}

}  // namespace

template <class T>
Denoiser<T>::Denoiser(const Configuration& configuration, Vocabulary vocabulary, std::uint64_t seed)
    : configuration_(checked(configuration)),
      vocabulary_(std::move(vocabulary)),
      parameters_(seed),
      textEncoder_(parameters_, configuration, vocabulary_.entries()),
      pixelsIn_(parameters_, "pixels.in", configuration.imageSize, Configuration::kChannels,
                configuration.pixelFeatures),
      patchIn_(parameters_, "patch_embedding", configuration.patchValues(), configuration.features),
      positions_(
          parameters_.add("positions", {configuration.tokens(), configuration.features}, Initial::zero())),
      timeIn_(parameters_, "time_embedding.in", kTimeFeatures, configuration.features),
      timeOut_(parameters_, "time_embedding.out", configuration.features, configuration.features),
      // Zero: every block begins as the identity but for its words (Peebles and Xie, 2023, "adaLN-Zero").
      modulation_(parameters_, "modulation", configuration.features,
                  kModulationParts<T> * configuration.features, Initial::zero()),
      patchOut_(parameters_, "patch_out", configuration.features, configuration.patchValues()),
      pixelsOut_(parameters_, "pixels.out", configuration.imageSize, configuration.pixelFeatures,
                 Configuration::kChannels, Initial::zero()) {
  Index side = configuration.imageSize;
  Index features = configuration.pixelFeatures;
  for (Index level = 0; side > configuration.tokensAcross(); ++level) {
    const auto addBlocks = [&](std::deque<ConvolutionBlock<T>>& blocks, const char* place, Index count) {
      for (Index block = 0; block < count; ++block) {
        blocks.emplace_back(parameters_, text({"pixels.", level, ".", place, ".", block}), side, features,
                            configuration.features);
      }
    };
    Level& added = levels_.emplace_back();
    addBlocks(added.before, "before", configuration.pixelBlocks);
    addBlocks(added.after, "after", configuration.pixelBlocksAfter());
    side /= kHalving;
    features *= kHalving * kHalving;
  }
  fillPositions(positions_, configuration.tokensAcross());
  for (Index block = 0; block < configuration.blocks; ++block) {
    blocks_.emplace_back(parameters_, block, configuration);
  }
}

template <class T>
EncodedPrompts<T> Denoiser<T>::encode(const Prompts& prompts, bool keep) {
  requirePrompts(prompts, vocabulary_.entries(), configuration_.maxWords);
  return {textEncoder_.forward(prompts, keep), prompts.mask<T>()};
}

template <class T>
Tensor<T> Denoiser<T>::forward(const Tensor<T>& noisy, std::span<const T> times,
                               const EncodedPrompts<T>& prompts, bool keep, AttentionControl<T>* control) {
  requirePictures(noisy.shape(), times.size(), prompts.context.shape(), configuration_);
  const Index batch = noisy.shape()[0];
  Tensor<T> time = timeSilu_.forward(timeIn_.forward(timestepEmbedding(times), keep), keep);
  time = modulationSilu_.forward(timeOut_.forward(time, keep), keep);
  const Tensor<T> modulation =
      modulation_.forward(time, keep).reshaped({batch, kModulationParts<T>, configuration_.features});

  const bool keepBefore = keep && learnsBeforeTokens();
  if (keep) keptBefore_ = keepBefore;
  Tensor<T> pixels = pixelsIn_.forward(toPixels(noisy), keepBefore);
  for (Level& level : levels_) {
    for (ConvolutionBlock<T>& block : level.before) {
      pixels = block.forward(pixels, time, keepBefore);
    }
    pixels = toPatches(pixels, kHalving);
  }
  Tensor<T> tokens = patchIn_.forward(pixels, keepBefore);
  const Index size = positions_.shape.size();
  for (Index i = 0; i < tokens.size(); ++i) tokens.data()[i] += positions_.values[i % size];
  for (Index number = 0; number < configuration_.blocks; ++number) {
    tokens = block(number).forward(tokens, prompts, modulation, keep, control);
    if (number == middleBlock()) middleTokens_ = keep ? tokens : Tensor<T>();
  }
  tokens = outModulate_.forward(outNorm_.forward(tokens, keep), modulation, keep);
  contextShape_ = prompts.context.shape();
  pixels = add(pixels, patchOut_.forward(tokens, keep));
  for (auto level = levels_.rbegin(); level != levels_.rend(); ++level) {
    pixels = fromPatches(pixels, kHalving);
    for (ConvolutionBlock<T>& block : level->after) pixels = block.forward(pixels, time, keep);
  }
  return fromPixels(pixelsOut_.forward(pixelSilu_.forward(pixelNorm_.forward(pixels, keep), keep), keep));
}

template <class T>
void Denoiser<T>::backward(const Tensor<T>& outputGradient, const Tensor<T>& middleGradient) {
  const Index batch = outputGradient.shape()[0];
  Tensor<T> modulationGradient = Tensor<T>::zeros(Shape{batch, kModulationParts<T>, configuration_.features});
  Tensor<T> contextGradient = Tensor<T>::zeros(contextShape_);

  Tensor<T> timeGradient = Tensor<T>::zeros(Shape{batch, 1, configuration_.features});

  Tensor<T> pixelGradient =
      pixelNorm_.backward(pixelSilu_.backward(pixelsOut_.backward(toPixels(outputGradient))));
  for (Level& level : levels_) {
    for (auto block = level.after.rbegin(); block != level.after.rend(); ++block) {
      pixelGradient = block->backward(pixelGradient, timeGradient);
    }
    pixelGradient = toPatches(pixelGradient, kHalving);
  }
  Tensor<T> gradient = patchOut_.backward(pixelGradient);
  gradient = outNorm_.backward(outModulate_.backward(gradient, modulationGradient));
  for (Index number = configuration_.blocks - 1; number >= 0; --number) {
    if (number == middleBlock() && middleGradient.size() != 0) addTo(gradient, middleGradient);
    gradient = block(number).backward(gradient, contextGradient, modulationGradient);
  }
  const Index size = positions_.shape.size();
  for (Index i = 0; positions_.trainable && i < gradient.size(); ++i) {
    positions_.gradient[i % size] += gradient.data()[i];
  }
  if (keptBefore_) backwardBeforeTokens(gradient, pixelGradient, timeGradient);

  addTo(timeGradient, modulation_.backward(modulationGradient.reshaped({batch, 1, -1})));
  timeGradient = timeOut_.backward(modulationSilu_.backward(timeGradient));
  timeIn_.backward(timeSilu_.backward(timeGradient));
  textEncoder_.backward(contextGradient);
}

/// Whether a gradient is wanted there: of the pixels, or of the time, which convolutions before the tokens are told, too.
/// None is while a word is taught.
template <class T>
bool Denoiser<T>::learnsBeforeTokens() const {
  return std::any_of(parameters_.begin(), parameters_.end(), [](const Parameter<T>& each) {
    return each.trainable && (each.name.starts_with("pixels.") || each.name.starts_with("patch_embedding.") ||
                              each.name.starts_with("time_embedding."));
  });
}

/// pixelGradient: of the path around the transformer.
template <class T>
void Denoiser<T>::backwardBeforeTokens(const Tensor<T>& tokenGradient, Tensor<T>& pixelGradient,
                                       Tensor<T>& timeGradient) {
  addTo(pixelGradient, patchIn_.backward(tokenGradient));
  for (auto level = levels_.rbegin(); level != levels_.rend(); ++level) {
    pixelGradient = fromPatches(pixelGradient, kHalving);
    for (auto block = level->before.rbegin(); block != level->before.rend(); ++block) {
      pixelGradient = block->backward(pixelGradient, timeGradient);
    }
  }
  pixelsIn_.backward(pixelGradient);
}

template <class T>
std::int32_t Denoiser<T>::addWord(const std::string& word, const std::string& like) {
  const std::int32_t model = vocabulary_.find(like);
  if (model == Vocabulary::kFill) failArgument({"like is '", like, "'; it takes a known word"});
  // In a copy: the model's own must not have a word without an entry.
  Vocabulary vocabulary = vocabulary_;
  const std::int32_t id = vocabulary.add(word);
  textEncoder_.embedding().addEntry(model);
  vocabulary_ = std::move(vocabulary);
  parameters_.touch();
  return id;
}

template <class T>
std::vector<Attention<T>*> Denoiser<T>::attentions() {
  std::vector<Attention<T>*> attentions;
  for (ImageBlock<T>& block : blocks_) attentions.push_back(&block.crossAttention());
  for (ImageBlock<T>& block : blocks_) attentions.push_back(&block.selfAttention());
  return attentions;
}

template class Denoiser<float>;
template class Denoiser<double>;

}  // namespace cross_attention::denoiser
