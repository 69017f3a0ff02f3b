#pragma once

#include <memory>
#include <optional>

#include "compiler/association.hpp"
#include "compiler/program.hpp"
#include "compiler/step.hpp"
#include "layer/diffusion_cross_attention.hpp"
#include "layer/forward_pass.hpp"

namespace cross_attention::compiler {

/// How attentions are to be compiled.
struct AttentionOptions {
  Association association = Association::kAuto;
  bool measures = true;  ///< where the costs are close, both associations are run and the faster one taken
  bool dropMaskedKeys = true;  ///< keys that a constant mask hides from all tokens of a batch row cost nothing
};

/// A whole layer as one pass over its tokens, with a context that is given in each run or made ready once.
template <class T>
class AttentionStep final : public Step<T> {
 public:
  /// Takes the layer's parameters as they are now.
  AttentionStep(const Program& program, int place, const AttentionOptions& options,
                std::shared_ptr<Workspace> workspace);

  void bind(std::span<const Tensor<T>> values) override;
  void release() override;
  Schedule& schedule() override { return pass_->schedule(); }
  StepDescription describe() const override;
  std::size_t heldBytes() const override;

 private:
  using Pass = layer::ForwardPass<T>;

  const Operation& input(int number) const { return program_.at(operation_.inputs[static_cast<std::size_t>(number)]); }
  bool hasMask() const { return operation_.inputs.size() > 2; }
  layer::Mask<T> mask(const AttentionOptions& options) const;
  AttentionSizes sizes() const;
  std::unique_ptr<Pass> makePass(bool folds, const std::shared_ptr<Workspace>& workspace) const;
  std::shared_ptr<const layer::ProjectedContext<T>> projectContext(
      bool folds, const std::shared_ptr<Workspace>& workspace) const;
  /// Milliseconds of a run: the best of some.
  double measure(Pass& pass) const;

  const Program& program_;
  const Operation& operation_;
  int place_;
  layer::DiffusionCrossAttention<T>& layer_;
  layer::Configuration configuration_;
  bool contextIsConstant_;
  std::optional<layer::Arguments<T>> arguments_;
  Association association_;
  bool wasMeasured_ = false;
  std::unique_ptr<Pass> pass_;
};

}  // namespace cross_attention::compiler
