#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/pending_work.hpp"
#include "core/scratch.hpp"
#include "core/tensor.hpp"
#include "layer/configuration.hpp"
#include "layer/context_cache.hpp"
#include "layer/diagnostics.hpp"
#include "layer/loras.hpp"
#include "layer/mask.hpp"
#include "layer/parameters.hpp"
#include "layer/record_options.hpp"
#include "layer/statistics.hpp"

namespace cross_attention::layer {

template <class T>
class AdamOptimizer;
struct AdamStep;
template <class T>
class ForwardPass;
template <class T>
struct Activations;
template <class T>
class PackedWeights;
template <class T>
struct PassInputs;

/// Which maps attentionMaps returns: the mean over the heads, or those of all heads.
enum class MapHeads { kMean, kAll };

/// Multi-head cross-attention of diffusion models.
/// Based on: Rombach et al., High-Resolution Image Synthesis with Latent Diffusion Models (2022),
/// section 3.3.
///   q = x·Wqᵀ, k = c·Wkᵀ, v = c·Wvᵀ, out = softmax(scale·q·kᵀ + mask)·v per head, joined, ·Woᵀ + bo.
/// The configuration may add biases to q, k, v and a norm to each head's q and k, and remove bo.
/// input: [B, C, H, W], [B, N, C] or [N, C] with C = queryDim. context: [B, L, contextDim], where B may be 1,
/// or [L, contextDim]; null for self-attention over the tokens of the input.
///
/// Each method checks its arguments before it changes anything, and throws Error: kShape, kArgument or
/// kOutOfMemory. Not thread-safe.
template <class T>
class DiffusionCrossAttention {
 public:
  explicit DiffusionCrossAttention(const Configuration& configuration);
  ~DiffusionCrossAttention();
  DiffusionCrossAttention(const DiffusionCrossAttention&) = delete;
  DiffusionCrossAttention& operator=(const DiffusionCrossAttention&) = delete;

  const Configuration& configuration() const { return configuration_; }
  const Parameters<T>& parameters() const { return parameters_; }

  /// While training is on, forward saves what backward requires: its input and context (references, not
  /// copies), the packed keys and values, and one log-sum-exp per token and head.
  bool training() const { return training_; }
  void setTraining(bool training) { training_ = training; }

  /// Returns the output, which has the shape of the input with outputDim channels. `context` is null for
  /// self-attention. Recording does not change the bits of the output.
  Tensor<T> forward(const Tensor<T>& input, const Tensor<T>* context, const Mask<T>& mask = {},
                    const RecordOptions& record = {});

  /// Starts the same forward pass without running it. PendingForward runs it on the background thread, or in
  /// slices of time if there are no threads. The layer finishes it before any change that would affect it.
  class PendingForward;
  std::shared_ptr<PendingForward> startForward(const Tensor<T>& input, const Tensor<T>* context,
                                               const Mask<T>& mask = {}, const RecordOptions& record = {});

  /// Returns dL/d(input) of the last training forward pass and adds to the gradients of the parameters. May
  /// be called more than once for the same forward pass. Throws kArgument if there was no training forward
  /// pass since the last change of the parameters or the last resetState.
  Tensor<T> backward(const Tensor<T>& outputGradient);
  /// Returns dL/d(context) of the last backward pass, which has the shape of the context. Null for
  /// self-attention and before the first backward pass.
  const std::optional<Tensor<T>>& contextGradient() const { return contextGradient_; }

  /// Returns the softmax probabilities: [B, L, H, W] or [B, L, N] for the mean over the heads, [B, heads, L,
  /// …] for all heads.
  Tensor<T> attentionMaps(const Tensor<T>& input, const Tensor<T>* context, const Mask<T>& mask,
                          MapHeads heads);

  /// Throws kShape unless `values` has parameters().size() elements.
  template <class U>
  void setParameters(std::span<const U> values);
  /// `values` has as many elements as the parameter; the caller checks this.
  void setParameter(ParameterId id, std::span<const T> values);
  /// Returns false and does nothing if no parameter has this name. Throws kShape if `value` has another
  /// shape.
  bool setParameter(std::string_view name, const Tensor<T>& value);
  /// If false, backward does not compute the gradient of this parameter, which stays as it is. Default true.
  void setTrainable(ParameterId id, bool trainable) { parameters_.setTrainable(id, trainable); }
  /// Allocates the gradients before gradients that were computed elsewhere are added.
  void requireGradients() { parameters_.requireGradients(); }
  /// Returns the values of a parameter to be overwritten before the next call. What was computed from them is
  /// dropped now.
  std::span<T> overwriteParameter(ParameterId id);
  void clearGradients();
  /// Updates p ← p - learningRate·dp and clears the gradients.
  void updateParameters(double learningRate);
  /// Updates one parameter and clears its gradient.
  void updateParameter(ParameterId id, double learningRate);
  /// Takes a step of an optimizer of this layer and clears all gradients. Throws kOutOfMemory.
  void updateParameters(AdamOptimizer<T>& optimizer, const AdamStep& step);
  /// LoRAs change what passes compute with, not parameters(), whose gradients are those of the effective
  /// values: dL/dW = dL/dW'. Adds a LoRA without updates, of scale 0.
  void addLora() { loras_.add(); }
  /// Adds an update to the last LoRA, whose scale is 0. The caller checks the shapes.
  void addLoraUpdate(LoraUpdate<T> update) { loras_.addUpdate(std::move(update)); }
  /// One scale per LoRA, in the order of addLora. If all are 0, passes compute with parameters() again.
  /// Throws kOutOfMemory; then no scale has changed.
  void setLoraScales(std::span<const double> scales);
  void removeLora(std::size_t index);
  /// Replaces the parameters by their effective values, and removes all LoRAs.
  void mergeLoras();
  /// Returns the parameters with current effective values.
  const Parameters<T>& effectiveParameters();

  /// Frees the activations, the gradient of the context and the cached context.
  void resetState();

  /// Returns the sizes of the layer and the statistics of its last passes, for people.
  Diagnostics diagnostics() const;

  /// Returns a pointer to this layer that is null after its destruction, for objects that may outlive the
  /// layer.
  std::shared_ptr<DiffusionCrossAttention* const> self() const { return self_; }
  /// Registers work that reads the parameters. The layer finishes it before the parameters change or are
  /// freed.
  void finishBeforeChange(const std::shared_ptr<Finishable>& pending);
  /// Returns the packed weights of the current parameters.
  std::shared_ptr<PackedWeights<T>> packedWeights();

 private:
  PassInputs<T> passInputs();
  std::unique_ptr<ForwardPass<T>> makeForward(const Tensor<T>& input, const Tensor<T>* context,
                                              const Mask<T>& mask, Index minTasks,
                                              const RecordOptions& record);
  /// Takes over what a finished forward pass leaves: what it recorded, activations, unless those of a later
  /// call are saved, context and statistics. `call` numbers the forward calls.
  void commit(ForwardPass<T>& pass, std::uint64_t call, double milliseconds);
  void finishPending();
  void parametersChanged();

  Configuration configuration_;
  std::shared_ptr<Workspace> workspace_;
  Parameters<T> parameters_;
  Loras<T> loras_;
  bool training_ = false;

  std::shared_ptr<PackedWeights<T>> packedWeights_;
  ContextCache<T> contextCache_;
  std::shared_ptr<const Activations<T>> activations_;
  std::uint64_t forwardCalls_ = 0;
  /// The call that saved the activations.
  std::uint64_t savedCall_ = 0;
  std::optional<Tensor<T>> contextGradient_;
  std::vector<std::weak_ptr<Finishable>> pending_;
  Statistics statistics_;
  std::shared_ptr<DiffusionCrossAttention*> self_ = std::make_shared<DiffusionCrossAttention*>(this);
};

/// A forward pass that was started: see PendingWork.
template <class T>
class DiffusionCrossAttention<T>::PendingForward final : public Finishable {
 public:
  PendingForward(DiffusionCrossAttention& layer, std::unique_ptr<ForwardPass<T>> pass, std::uint64_t call);

  bool runInBackground(std::function<void()> done);
  bool advance(double milliseconds);
  /// Runs the rest or waits for it, then passes activations and statistics to the layer. Does nothing the
  /// second time.
  void finish() override;
  /// Finishes the pass and returns its output. Throws what the work threw.
  Tensor<T> result();

 private:
  struct Work;
  DiffusionCrossAttention& layer_;
  /// Owned by work_.
  ForwardPass<T>* pass_;
  std::uint64_t call_;
  /// Null after finish.
  std::unique_ptr<PendingWork> work_;
  std::exception_ptr failure_;
  std::optional<Tensor<T>> output_;
};

}  // namespace cross_attention::layer
