#pragma once

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
#include "layer/diagnostics.hpp"
#include "layer/mask.hpp"
#include "layer/parameters.hpp"
#include "layer/statistics.hpp"

namespace cross_attention::layer {

template <class T>
class ForwardPass;
template <class T>
struct Activations;
template <class T>
class PackedWeights;
template <class T>
class ProjectedContext;

/// How attentionMaps treats the heads.
enum class MapHeads { kMean, kAll };

/// Multi-head cross-attention as diffusion models use it (Rombach et al., 2022, section 3.3):
///   q = x·Wqᵀ, k = c·Wkᵀ, v = c·Wvᵀ, out = softmax(scale·q·kᵀ + mask)·v per head, joined, ·Woᵀ + bo.
/// input: [B, C, H, W], [B, N, C] or [N, C] with C = queryDim; context: [B | 1, L, contextDim], [L, contextDim], or none
/// for self-attention over the input's own tokens. Every method checks its arguments before it changes anything and
/// throws Error: kShape, kArgument or kOutOfMemory. Not to be used by two threads at once.
template <class T>
class DiffusionCrossAttention {
 public:
  explicit DiffusionCrossAttention(const Configuration& configuration);
  ~DiffusionCrossAttention();
  DiffusionCrossAttention(const DiffusionCrossAttention&) = delete;
  DiffusionCrossAttention& operator=(const DiffusionCrossAttention&) = delete;

  const Configuration& configuration() const { return configuration_; }
  const Parameters<T>& parameters() const { return parameters_; }

  /// While training, a forward keeps what backward needs: its input and context (references, not copies), the packed
  /// keys and values, and one log-sum-exp a token and head.
  bool training() const { return training_; }
  void setTraining(bool training) { training_ = training; }

  /// The output has the input's shape. `context` null: self-attention.
  Tensor<T> forward(const Tensor<T>& input, const Tensor<T>* context, const Mask<T>& mask = {});

  /// The same forward as work that is yet to be done: on a thread behind the caller's where there are threads, else
  /// by calls of PendingForward::advance. The layer finishes it first wherever it would be in the way.
  class PendingForward;
  std::shared_ptr<PendingForward> startForward(const Tensor<T>& input, const Tensor<T>* context,
                                               const Mask<T>& mask = {});

  /// dL/d(input); adds to the parameters' gradients. Takes the last training forward, and may be called again for it.
  /// Throws kArgument where there was none since the last change of the parameters or resetState.
  Tensor<T> backward(const Tensor<T>& outputGradient);
  /// dL/d(context) of the last backward, of the context's shape; null for self-attention and before any backward.
  const std::optional<Tensor<T>>& contextGradient() const { return contextGradient_; }

  /// [B, L, H, W] or [B, L, N] for the mean over the heads, [B, heads, L, …] for all of them.
  Tensor<T> attentionMaps(const Tensor<T>& input, const Tensor<T>* context, const Mask<T>& mask,
                          MapHeads heads);

  /// `values`: as many as parameters().size().
  template <class U>
  void setParameters(std::span<const U> values);
  /// `values`: as many as the parameter has. The shape is the caller's to check.
  void setParameter(ParameterId id, std::span<const T> values);
  /// Returns false, having done nothing, where no parameter has that name. Throws kShape for another shape than its own.
  bool setParameter(std::string_view name, const Tensor<T>& value);
  void clearGradients();
  /// p ← p - learningRate·dp, then the gradients are cleared.
  void updateParameters(double learningRate);
  /// Forgets activations, the context's gradient and cached contexts.
  void resetState();

  /// What the layer is and did, for people.
  Diagnostics diagnostics() const;

  /// This layer, or null once it is no more: for those that refer to it and may live longer.
  std::shared_ptr<DiffusionCrossAttention* const> self() const { return self_; }
  /// Something that reads the parameters is under way: it is finished before they change or go.
  void finishBeforeChange(const std::shared_ptr<Finishable>& pending);
  /// The weights of the present parameters, packed as passes have required them.
  std::shared_ptr<PackedWeights<T>> packedWeights();

 private:
  void commit(ForwardPass<T>& pass, double milliseconds);
  void finishPending();
  void parametersChanged();

  Configuration configuration_;
  std::shared_ptr<Workspace> workspace_;
  Parameters<T> parameters_;
  bool training_ = false;

  std::shared_ptr<PackedWeights<T>> packedWeights_;
  std::shared_ptr<const ProjectedContext<T>> projectedContext_;
  std::shared_ptr<const Activations<T>> activations_;
  std::optional<Tensor<T>> contextGradient_;
  std::vector<std::weak_ptr<Finishable>> pending_;
  Statistics statistics_;
  std::shared_ptr<DiffusionCrossAttention*> self_ =
      std::make_shared<DiffusionCrossAttention*>(this);
};

/// A forward under way: see PendingWork.
template <class T>
class DiffusionCrossAttention<T>::PendingForward final : public Finishable {
 public:
  PendingForward(DiffusionCrossAttention& layer, std::unique_ptr<ForwardPass<T>> pass);

  bool runBehind(std::function<void()> done);
  bool advance(double milliseconds);
  /// Does or awaits what is left and hands what is kept over to the layer. Once.
  void finish() override;
  /// The output; finishes first. Throws what the work threw.
  Tensor<T> result();

 private:
  struct Work;
  DiffusionCrossAttention& layer_;
  ForwardPass<T>* pass_;               ///< the work's
  std::unique_ptr<PendingWork> work_;  ///< until it is finished
  std::exception_ptr failure_;
  std::optional<Tensor<T>> output_;
};

}  // namespace cross_attention::layer
