#pragma once

#include <memory>
#include <vector>

#include "compiler/compiled_graph.hpp"
#include "denoiser/denoiser.hpp"

namespace cross_attention::denoiser {

/// How one of a sampler's prompts attends: prompt-to-prompt (Hertz et al., 2022) and the weights of words.
struct AttentionEdit {
  std::vector<Index> places;  ///< alignWords of the two prompts; empty: no second prompt
  double crossSteps = 0;      ///< share of the steps in which words keep the first prompt's maps
  double selfSteps = 0;       ///< share of the steps in which the picture keeps its attention to itself
};

/// The attention of a sampler's steps. Rows of the batch: the prompts, one or two, then as many empty ones if it is
/// guided. The words stay the same in all steps: each block's cross-attention is a compiled graph with a constant context
/// and mask. Collects the probabilities of the prompts' rows, and gives those of the first prompt to the second one.
class SamplerAttention final : public AttentionControl<float> {
 public:
  /// `wordWeights`: one list a prompt, one a token; they multiply the words' probabilities before those are made to sum up
  /// to 1: an additive mask of their logarithms.
  SamplerAttention(Denoiser<float>& denoiser, EncodedPrompts<float> encoded, const Prompts& prompts,
                   const std::vector<std::vector<double>>& wordWeights, AttentionEdit edit, bool collects);

  void beginStep(double done);  ///< share of the steps that are done
  Tensor<float> attendToPicture(Index block, Attention<float>& attention,
                                const Tensor<float>& tokens) override;
  Tensor<float> attendToText(Index block, Attention<float>& attention, const Tensor<float>& tokens,
                             const Tensor<float>& context, const Mask<float>& mask) override;

  const EncodedPrompts<float>& encoded() const { return encoded_; }
  /// [length, tokens]: the mean over the steps so far, and over all blocks and heads or those chosen (kAll: all).
  static constexpr Index kAll = -1;
  std::vector<float> maps(Index prompt, Index block, Index head) const;

 private:
  bool isEdited() const { return !edit_.places.empty(); }
  Tensor<float> editedProbabilities(const Tensor<float>& probabilities) const;
  void collect(Index block, const Tensor<float>& probabilities);
  static Tensor<float> batchRow(const Tensor<float>& tensor, Index row);

  Configuration configuration_;
  EncodedPrompts<float> encoded_;
  Index prompts_;  ///< without the empty ones
  Index length_;   ///< tokens of a prompt, filling counted
  std::vector<std::vector<double>> weights_;
  AttentionEdit edit_;
  bool collects_;
  /// Of the prompts' rows, for their probabilities: the context, and the mask that is added to the scores.
  Tensor<float> context_;
  Mask<float> mask_;
  std::vector<std::unique_ptr<compiler::CompiledGraph>> graphs_;  ///< one a block
  std::vector<float> sums_;  ///< [prompts, blocks, heads, length, tokens]
  Index steps_ = 0;
  double done_ = 0;
};

}  // namespace cross_attention::denoiser
