#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

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

 private:
  void commit(ForwardPass<T>& pass, double milliseconds);
  void finishPending();
  void parametersChanged();
  std::shared_ptr<PackedWeights<T>> packedWeights();

  Configuration configuration_;
  std::shared_ptr<Workspace> workspace_;
  Parameters<T> parameters_;
  bool training_ = false;

  std::shared_ptr<PackedWeights<T>> packedWeights_;
  std::shared_ptr<const ProjectedContext<T>> projectedContext_;
  std::shared_ptr<const Activations<T>> activations_;
  std::optional<Tensor<T>> contextGradient_;
  std::vector<std::weak_ptr<PendingForward>> pending_;
  Statistics statistics_;
};

/// A forward under way.
template <class T>
class DiffusionCrossAttention<T>::PendingForward {
 public:
  PendingForward(DiffusionCrossAttention& layer, std::unique_ptr<ForwardPass<T>> pass);
  ~PendingForward();

  /// Where there are threads: begins on the thread behind and calls `done` there at the end. The caller keeps this
  /// object alive until then. Returns false, having done nothing, where there are none: then advance.
  bool runBehind(std::function<void()> done);
  /// Works for about so long on the calling thread. `true`: all is done.
  bool advance(double milliseconds);
  /// Does or awaits what is left and hands what is kept over to the layer. Once.
  void finish();
  /// The output; finishes first. Throws what the work threw.
  Tensor<T> result();

 private:
  struct State;
  /// Shared with the job on the thread behind, which may look at it a moment longer than we live: what takes memory is
  /// taken out of it before.
  std::shared_ptr<State> state_;
  std::optional<Tensor<T>> output_;
};

}  // namespace cross_attention::layer
