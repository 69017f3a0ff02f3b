#include "denoiser/sampler_attention.hpp"

#include <array>
#include <cmath>
#include <limits>

#include "denoiser/batch_rows.hpp"
#include "layer/computation_graph.hpp"

namespace cross_attention::denoiser {

namespace {

/// The logarithms of the weights; filling is never attended to, and an empty prompt's words have no weights.
Tensor<float> additiveMask(const Prompts& prompts, const std::vector<std::vector<double>>& weights) {
  Tensor<float> mask(Shape{prompts.batch, 1, 1, prompts.length});
  for (Index row = 0; row < prompts.batch; ++row) {
    for (Index place = 0; place < prompts.length; ++place) {
      const auto index = static_cast<std::size_t>(row * prompts.length + place);
      double weight = prompts.ids[index] == Vocabulary::kFill ? 0 : 1;
      if (weight > 0 && row < static_cast<Index>(weights.size())) {
        weight = weights[static_cast<std::size_t>(row)][static_cast<std::size_t>(place)];
      }
      mask.data()[index] =
          weight > 0 ? static_cast<float>(std::log(weight)) : -std::numeric_limits<float>::infinity();
    }
  }
  return mask;
}

std::unique_ptr<compiler::CompiledGraph> compileAttention(Attention<float>& attention, const Shape& tokens,
                                                          const Tensor<float>& context,
                                                          const Tensor<float>& mask) {
  graph::NodeInputs inputs;
  compiler::Source source;
  source.outputs = {
      layer::exportComputationGraph(layer::AnyLayer(attention.layer()), {.mask = true}, inputs)};
  source.inputs.assign(inputs.begin(), inputs.end());
  source.tensors = {compiler::placeholder(tokens), context, mask};
  source.constants = {1, 2};
  // Not measured: the same prompt must give the same bits.
  return std::make_unique<compiler::CompiledGraph>(std::move(source),
                                                   compiler::CompileOptions{.attention = {.measure = false}});
}

}  // namespace

SamplerAttention::SamplerAttention(Denoiser<float>& denoiser, EncodedPrompts<float> encoded,
                                   const Prompts& prompts,
                                   const std::vector<std::vector<double>>& wordWeights, AttentionEdit edit,
                                   bool collects)
    : configuration_(denoiser.configuration()),
      encoded_(std::move(encoded)),
      prompts_(static_cast<Index>(wordWeights.size())),
      length_(prompts.length),
      weights_(wordWeights),
      edit_(std::move(edit)),
      collects_(collects || isEdited()),
      context_(batchRows(encoded_.context, 0, prompts_)) {
  const Tensor<float> mask = additiveMask(prompts, wordWeights);
  mask_ = Mask<float>::from(batchRows(mask, 0, prompts_));
  const Shape tokens{prompts.batch, configuration_.tokens(), configuration_.features};
  for (Index block = 0; block < configuration_.blocks; ++block) {
    graphs_.push_back(
        compileAttention(denoiser.block(block).crossAttention(), tokens, encoded_.context, mask));
  }
  if (collects_) {
    sums_.resize(static_cast<std::size_t>(prompts_ * configuration_.blocks * configuration_.numHeads *
                                          length_ * configuration_.tokens()));
  }
}

void SamplerAttention::beginStep(double done) {
  done_ = done;
  ++steps_;
}

Tensor<float> SamplerAttention::batchRow(const Tensor<float>& tensor, Index row) {
  return batchRows(tensor, row, 1);
}

Tensor<float> SamplerAttention::attendToPicture(Index, Attention<float>& attention,
                                                const Tensor<float>& tokens) {
  Tensor<float> output = attention.forward(tokens, nullptr, {}, false);
  if (isEdited() && done_ < edit_.selfSteps) {
    const Tensor<float> probabilities = attention.probabilities(batchRow(tokens, 0), nullptr, {});
    setBatchRows(output, 1, attention.forwardWith(probabilities, batchRow(tokens, 1), nullptr));
  }
  return output;
}

Tensor<float> SamplerAttention::attendToText(Index block, Attention<float>& attention,
                                             const Tensor<float>& tokens, const Tensor<float>& context,
                                             const Mask<float>&) {
  const std::array<const AnyTensor*, 1> inputs{&tokens};
  Tensor<float> output(graphs_[static_cast<std::size_t>(block)]->run(0, inputs));
  if (!collects_) return output;
  const Tensor<float> probabilities =
      attention.probabilities(batchRows(tokens, 0, prompts_), &context_, mask_);
  if (isEdited() && done_ < edit_.crossSteps) {
    const Tensor<float> edited = editedProbabilities(probabilities);
    const Tensor<float> words = batchRow(context, 1);
    // The graph's own output is given again at its next run, once nobody has it.
    output = output.clone();
    setBatchRows(output, 1, attention.forwardWith(edited, batchRow(tokens, 1), &words));
  }
  collect(block, probabilities);
  return output;
}

/// The first prompt's probabilities where words have a place there, times the weights that were asked for; the second
/// one's own ones elsewhere. They need not sum up to 1: a softmax is made of their logarithms.
Tensor<float> SamplerAttention::editedProbabilities(const Tensor<float>& probabilities) const {
  Tensor<float> edited = batchRow(probabilities, 1);
  const Index rows = edited.size() / length_;
  for (Index row = 0; row < rows; ++row) {
    const float* from = probabilities.data() + row * length_;
    float* to = edited.data() + row * length_;
    for (std::size_t place = 0; place < edit_.places.size(); ++place) {
      const Index source = edit_.places[place];
      if (source < 0) continue;
      to[place] = from[source] * static_cast<float>(weights_[1][place]);
    }
  }
  return edited;
}

/// probabilities: [prompts, heads, tokens, length]
void SamplerAttention::collect(Index block, const Tensor<float>& probabilities) {
  const Index tokens = configuration_.tokens();
  const Index heads = configuration_.numHeads;
  const float* value = probabilities.data();
  for (Index prompt = 0; prompt < prompts_; ++prompt) {
    for (Index head = 0; head < heads; ++head) {
      float* sums =
          sums_.data() + ((prompt * configuration_.blocks + block) * heads + head) * length_ * tokens;
      for (Index token = 0; token < tokens; ++token) {
        for (Index place = 0; place < length_; ++place) sums[place * tokens + token] += *value++;
      }
    }
  }
}

std::vector<float> SamplerAttention::maps(Index prompt, Index block, Index head) const {
  const Index size = length_ * configuration_.tokens();
  std::vector<float> mean(static_cast<std::size_t>(size));
  if (!collects_ || steps_ == 0) return mean;
  Index count = 0;
  for (Index b = 0; b < configuration_.blocks; ++b) {
    for (Index h = 0; h < configuration_.numHeads; ++h) {
      if ((block != kAll && b != block) || (head != kAll && h != head)) continue;
      const float* sums =
          sums_.data() + ((prompt * configuration_.blocks + b) * configuration_.numHeads + h) * size;
      for (Index i = 0; i < size; ++i) mean[static_cast<std::size_t>(i)] += sums[i];
      ++count;
    }
  }
  for (float& value : mean) value /= static_cast<float>(count * steps_);
  return mean;
}

}  // namespace cross_attention::denoiser
