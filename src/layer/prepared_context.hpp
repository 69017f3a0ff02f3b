#pragma once

#include "layer/arguments.hpp"
#include "layer/context_cache.hpp"
#include "layer/projected_context.hpp"

namespace cross_attention::layer {

/// The projected context of one pass, and the work that is left to compute it.
template <class T>
struct PreparedContext {
  std::shared_ptr<const ProjectedContext<T>> projected = nullptr;
  /// The same object if it has yet to be computed; null if it is finished.
  std::shared_ptr<ProjectedContext<T>> unfinished = nullptr;
  /// True if the pass uses the folded form. A cached context may have it although the pass does not.
  bool folded = false;
  /// Bytes in use before the context was allocated. The packed weights are included, because they outlive the
  /// pass.
  std::size_t bytesBefore = memory::bytesInUse();

  bool isFinished() const { return unfinished == nullptr; }
  /// Adds what is left to a schedule. `weights` and `arguments` must not move until it is done.
  void addStages(Schedule& schedule, const PackedWeights<T>& weights, const Arguments<T>& arguments) const {
    if (unfinished) unfinished->addStages(schedule, weights, arguments);
  }
};

/// The parts of a layer that a pass reads.
template <class T>
struct PassInputs {
  const Configuration& configuration;
  const Parameters<T>& parameters;
  std::shared_ptr<PackedWeights<T>> weights;
  std::shared_ptr<Workspace> workspace;
};

/// Returns the context for a pass: from `cache` if it has the same one, otherwise allocated. Packs
/// `passWeights`, which the pass reads, and the weights that the projection reads. `cache` may be null.
template <class T>
PreparedContext<T> prepareContext(const PassInputs<T>& inputs, const Arguments<T>& arguments,
                                  const ContextForms& forms, PackedWeightSet passWeights,
                                  const ContextCache<T>* cache);

}  // namespace cross_attention::layer
