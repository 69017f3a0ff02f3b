#pragma once

#include <cstddef>
#include <memory>

namespace cross_attention::layer {

struct ContextForms;
template <class T>
struct Arguments;
template <class T>
class Parameters;
template <class T>
class ProjectedContext;

/// The projected context of a layer's last forward pass. Calls with the same context, mask and parameters
/// reuse it.
template <class T>
class ContextCache {
 public:
  /// Returns the cached context if it equals the projection of these arguments and has at least these forms,
  /// otherwise null. Contexts are compared by content: another tensor may have the same elements, and a view
  /// may have changed those of the same tensor.
  std::shared_ptr<const ProjectedContext<T>> find(const Parameters<T>& parameters,
                                                  const Arguments<T>& arguments,
                                                  const ContextForms& forms) const;
  /// Replaces the cached context. Caches nothing if `projected` has no copy of its context.
  void store(const std::shared_ptr<const ProjectedContext<T>>& projected);
  void clear() { projected_.reset(); }
  std::size_t bytes() const;

 private:
  std::shared_ptr<const ProjectedContext<T>> projected_;
};

}  // namespace cross_attention::layer
