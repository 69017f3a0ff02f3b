#include "compiler/compiled_graph.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/text.hpp"

namespace cross_attention::compiler {

class PendingRun::Work final : public PendingWork::Work {
 public:
  explicit Work(std::shared_ptr<Plan> plan) : plan_(std::move(plan)) {}
  void run(int slot) override { plan_->run(slot); }
  bool advance(double milliseconds) override { return plan_->advance(milliseconds); }

 private:
  std::shared_ptr<Plan> plan_;
};

PendingRun::PendingRun(std::shared_ptr<Plan> plan, AnyTensor output)
    : plan_(plan),
      output_(std::move(output)),
      work_(std::make_unique<PendingWork>(std::make_unique<Work>(std::move(plan)))) {}

void PendingRun::finish() {
  if (work_->isFinished()) return;
  work_->finish();
  plan_->release();
}

AnyTensor PendingRun::result() {
  finish();
  if (work_->failure()) std::rethrow_exception(work_->failure());
  return output_;
}

CompiledGraph::CompiledGraph(Source source, const CompileOptions& options)
    : source_(std::move(source)), options_(options) {
  for (const graph::NodePointer& node : graph::inOrder(source_.outputs)) {
    if (node->op() != graph::Operator::kConstant) continue;
    const auto& owner = node->elements().owner;
    if (std::ranges::find(owners_, owner, &Owner::owner) != owners_.end()) continue;
    owners_.push_back({owner, owner->version()});
  }
  refresh();
}

CompiledGraph::~CompiledGraph() {
  finishPending();
}

void CompiledGraph::refresh() {
  finishPending();
  for (const Owner& owner : owners_) {
    if (!owner.owner->isAlive()) {
      failArgument({"layer '", owner.owner->name(),
                         "' was disposed of; a graph takes layers that were not"});
    }
  }
  const std::shared_ptr<Workspace> workspace = Workspace::shared();
  std::vector<std::shared_ptr<Plan>> plans;
  Amount arenaBytes = 0;
  for (const graph::NodePointer& output : source_.outputs) {
    plans.push_back(std::make_shared<Plan>(
        Binding{output, source_.inputs, source_.shapes, source_.constants}, options_, workspace));
    arenaBytes = std::max(arenaBytes, plans.back()->arenaBytes());
  }
  auto arena = std::make_shared<memory::Piece>(arenaBytes, 1);
  for (const auto& plan : plans) plan->place(arena);
  // The outputs of the first runs, too: from here on nothing is allocated.
  for (const auto& plan : plans) freeOutput(plan->outputShape());
  plans_ = std::move(plans);
  arena_ = std::move(arena);
  for (Owner& owner : owners_) owner.version = owner.owner->version();
}

void CompiledGraph::finishPending() {
  if (const auto pending = pending_.lock()) pending->finish();
  pending_.reset();
}

void CompiledGraph::requireFresh() const {
  for (const auto& [owner, version] : owners_) {
    if (!owner->isAlive()) {
      failArgument({"layer '", owner->name(),
                         "' was disposed of; a compiled graph takes layers that were not"});
    }
    if (owner->version() != version) {
      failArgument({"the parameters of layer '", owner->name(),
                         "' have changed since the graph was compiled; it takes a call of refresh() before it is run"});
    }
  }
}

AnyTensor CompiledGraph::freeOutput(const Shape& shape) {
  const auto known = std::ranges::find(outputs_, shape, &AnyTensor::shape);
  const std::size_t elementBytes = bytesOf(source_.outputs[0]->type());
  if (known == outputs_.end()) return outputs_.emplace_back(shape, elementBytes);
  if (known->isShared()) *known = AnyTensor(shape, elementBytes);
  return *known;
}

AnyTensor CompiledGraph::bind(Plan& plan, std::span<const AnyTensor* const> inputs) {
  finishPending();
  requireFresh();
  for (std::size_t number = 0; number < plan.inputs().size(); ++number) {
    const auto input = static_cast<std::size_t>(plan.inputs()[number]);
    const std::string& name = source_.inputs[input]->name();
    if (number >= inputs.size() || inputs[number] == nullptr) {
      failArgument({"input '", name, "' is missing; the graph takes it in every run"});
    }
    const Shape& shape = inputs[number]->shape();
    if (shape != source_.shapes[input]) {
      failShape({"input '", name, "' has shape ", shape, "; the graph was compiled for ",
                      source_.shapes[input]});
    }
  }
  AnyTensor output = freeOutput(plan.outputShape());
  plan.bind(inputs, output);
  return output;
}

AnyTensor CompiledGraph::run(std::size_t output, std::span<const AnyTensor* const> inputs) {
  Plan& plan = *plans_[output];
  AnyTensor result = bind(plan, inputs);
  try {
    plan.run(0);
  } catch (...) {
    plan.release();
    throw;
  }
  plan.release();
  return result;
}

std::shared_ptr<PendingRun> CompiledGraph::start(std::size_t output,
                                                       std::span<const AnyTensor* const> inputs) {
  AnyTensor result = bind(*plans_[output], inputs);
  auto pending = std::make_shared<PendingRun>(plans_[output], std::move(result));
  pending_ = pending;
  return pending;
}

double CompiledGraph::flops() const {
  double flops = 0;
  for (const auto& plan : plans_) flops += plan->flops();
  return flops;
}

Amount CompiledGraph::scratchBytes() const {
  const auto bytes = static_cast<Amount>(arena_->bytes());
  Amount most = 0;
  for (const auto& plan : plans_) most = std::max(most, plan->scratchBytes());
  return bytes + most;
}

}  // namespace cross_attention::compiler
