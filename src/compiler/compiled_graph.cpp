#include "compiler/compiled_graph.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/text.hpp"

namespace cross_attention::compiler {

template <class T>
class PendingRun<T>::Work final : public PendingWork::Work {
 public:
  explicit Work(std::shared_ptr<Plan<T>> plan) : plan_(std::move(plan)) {}
  void run(int slot) override { plan_->run(slot); }
  bool advance(double milliseconds) override { return plan_->advance(milliseconds); }

 private:
  std::shared_ptr<Plan<T>> plan_;
};

template <class T>
PendingRun<T>::PendingRun(std::shared_ptr<Plan<T>> plan, Tensor<T> output)
    : plan_(plan),
      output_(std::move(output)),
      work_(std::make_unique<PendingWork>(std::make_unique<Work>(std::move(plan)))) {}

template <class T>
void PendingRun<T>::finish() {
  if (work_->isFinished()) return;
  work_->finish();
  plan_->release();
}

template <class T>
Tensor<T> PendingRun<T>::result() {
  finish();
  if (work_->failure()) std::rethrow_exception(work_->failure());
  return output_;
}

template <class T>
CompiledGraph<T>::CompiledGraph(Source source, const CompileOptions& options)
    : source_(std::move(source)), options_(options) {
  for (const graph::NodePointer& node : graph::inOrder(source_.outputs)) {
    if (node->op() != graph::Operator::kConstant) continue;
    const auto& owner = node->elements().owner;
    if (std::ranges::find(owners_, owner, &Owner::owner) != owners_.end()) continue;
    owners_.push_back({owner, owner->version()});
  }
  refresh();
}

template <class T>
CompiledGraph<T>::~CompiledGraph() {
  finishPending();
}

template <class T>
void CompiledGraph<T>::refresh() {
  finishPending();
  for (const Owner& owner : owners_) {
    if (!owner.owner->isAlive()) {
      failArgument(text({"layer '", owner.owner->name(),
                         "' was disposed of; a graph takes layers that were not"}));
    }
  }
  const std::shared_ptr<Workspace> workspace = Workspace::shared();
  std::vector<std::shared_ptr<Plan<T>>> plans;
  Amount arenaElements = 0;
  for (const graph::NodePointer& output : source_.outputs) {
    plans.push_back(std::make_shared<Plan<T>>(
        Binding{output, source_.inputs, source_.shapes, source_.constants}, options_, workspace));
    arenaElements = std::max(arenaElements, plans.back()->arenaElements());
  }
  auto arena = std::make_shared<Buffer<T>>(arenaElements);
  for (const auto& plan : plans) plan->place(arena);
  // The outputs of the first runs, too: from here on nothing is allocated.
  for (const auto& plan : plans) freeOutput(plan->outputShape());
  plans_ = std::move(plans);
  arena_ = std::move(arena);
  for (Owner& owner : owners_) owner.version = owner.owner->version();
}

template <class T>
void CompiledGraph<T>::finishPending() {
  if (const auto pending = pending_.lock()) pending->finish();
  pending_.reset();
}

template <class T>
void CompiledGraph<T>::requireFresh() const {
  for (const auto& [owner, version] : owners_) {
    if (!owner->isAlive()) {
      failArgument(text({"layer '", owner->name(),
                         "' was disposed of; a compiled graph takes layers that were not"}));
    }
    if (owner->version() != version) {
      failArgument(text({"the parameters of layer '", owner->name(),
                         "' have changed since the graph was compiled; it takes a call of refresh() before it is run"}));
    }
  }
}

template <class T>
Tensor<T> CompiledGraph<T>::freeOutput(const Shape& shape) {
  const auto known = std::ranges::find(outputs_, shape, &Tensor<T>::shape);
  if (known == outputs_.end()) return outputs_.emplace_back(shape);
  if (known->isShared()) *known = Tensor<T>(shape);
  return *known;
}

template <class T>
Tensor<T> CompiledGraph<T>::bind(Plan<T>& plan, std::span<const Tensor<T>* const> inputs) {
  finishPending();
  requireFresh();
  for (std::size_t number = 0; number < plan.inputs().size(); ++number) {
    const auto input = static_cast<std::size_t>(plan.inputs()[number]);
    const std::string& name = source_.inputs[input]->name();
    if (number >= inputs.size() || inputs[number] == nullptr) {
      failArgument(text({"input '", name, "' is missing; the graph takes it in every run"}));
    }
    const Shape& shape = inputs[number]->shape();
    if (shape != source_.shapes[input]) {
      failShape(text({"input '", name, "' has shape ", shape, "; the graph was compiled for ",
                      source_.shapes[input]}));
    }
  }
  Tensor<T> output = freeOutput(plan.outputShape());
  plan.bind(inputs, output);
  return output;
}

template <class T>
Tensor<T> CompiledGraph<T>::run(std::size_t output, std::span<const Tensor<T>* const> inputs) {
  Plan<T>& plan = *plans_[output];
  Tensor<T> result = bind(plan, inputs);
  try {
    plan.run(0);
  } catch (...) {
    plan.release();
    throw;
  }
  plan.release();
  return result;
}

template <class T>
std::shared_ptr<PendingRun<T>> CompiledGraph<T>::start(std::size_t output,
                                                       std::span<const Tensor<T>* const> inputs) {
  Tensor<T> result = bind(*plans_[output], inputs);
  auto pending = std::make_shared<PendingRun<T>>(plans_[output], std::move(result));
  pending_ = pending;
  return pending;
}

template <class T>
double CompiledGraph<T>::flops() const {
  double flops = 0;
  for (const auto& plan : plans_) flops += plan->flops();
  return flops;
}

template <class T>
Amount CompiledGraph<T>::scratchBytes() const {
  Amount bytes = arena_->size() * static_cast<Amount>(sizeof(T));
  Amount most = 0;
  for (const auto& plan : plans_) most = std::max(most, plan->scratchBytes());
  return bytes + most;
}

template class PendingRun<float>;
template class PendingRun<double>;
template class CompiledGraph<float>;
template class CompiledGraph<double>;

}  // namespace cross_attention::compiler
