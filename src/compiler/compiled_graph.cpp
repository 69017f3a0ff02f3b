#include "compiler/compiled_graph.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/text.hpp"

namespace cross_attention::compiler {

namespace {

class Work final : public PendingWork::Work {
 public:
  explicit Work(Plan& plan) : plan_(plan) {}
  void run(int slot) override { plan_.run(slot); }
  bool advance(double milliseconds) override { return plan_.advance(milliseconds); }

 private:
  Plan& plan_;
};

}  // namespace

PendingRun::PendingRun(Plan& plan, std::span<const AnyTensor* const> inputs, const AnyTensor& output,
                       std::weak_ptr<PendingRun> previous)
    : plan_(plan), output_(output), previous_(std::move(previous)), work_(std::make_unique<Work>(plan)) {
  inputs_.reserve(inputs.size());
  inputPointers_.reserve(inputs.size());
  for (const AnyTensor* input : inputs) {
    inputs_.push_back(*input);
    inputPointers_.push_back(&inputs_.back());
  }
}

void PendingRun::begin() {
  if (hasBegun_) return;
  hasBegun_ = true;
  if (const auto previous = previous_.lock()) previous->finish();
  previous_.reset();
  plan_.bind(inputPointers_, output_);
  inputs_.clear();
}

bool PendingRun::runInBackground(std::function<void()> done) {
  if (work_.isFinished()) return false;
  begin();
  return work_.runInBackground(std::move(done));
}

bool PendingRun::advance(double milliseconds) {
  if (work_.isFinished()) return true;
  begin();
  return work_.advance(milliseconds);
}

void PendingRun::finish() {
  if (work_.isFinished()) return;
  begin();
  work_.finish();
  plan_.release();
}

AnyTensor PendingRun::result() {
  finish();
  if (work_.failure()) std::rethrow_exception(work_.failure());
  return output_;
}

CompiledGraph::CompiledGraph(Source source, const CompileOptions& options)
    : source_(std::move(source)), options_(options) {
  for (const graph::Node* node : graph::topologicalOrder(source_.outputs)) {
    const graph::ConstantOwner* owner = node->elements().owner.get();
    if (owner == nullptr || std::ranges::find(owners_, owner) != owners_.end()) continue;
    owners_.push_back(owner);
  }
  versions_ = std::vector<std::uint64_t>(owners_.size());
  refresh();
}

CompiledGraph::~CompiledGraph() { finishPending(); }

void CompiledGraph::refresh() {
  finishPending();
  for (const auto* owner : owners_) requireAlive(*owner, "a graph");
  const std::shared_ptr<Workspace> workspace = Workspace::shared();
  std::vector<std::unique_ptr<Plan>> plans(source_.outputs.size());
  ByteCount arenaBytes = 0;
  for (std::size_t output = 0; output < plans.size(); ++output) {
    plans[output] = std::make_unique<Plan>(source_, source_.outputs[output], options_, workspace);
    arenaBytes = std::max(arenaBytes, plans[output]->arenaBytes());
  }
  auto arena = std::make_shared<memory::Allocation>(arenaBytes, 1);
  for (const auto& plan : plans) {
    plan->setArena(arena);
    // Also allocates the outputs of the first runs, so that they do not allocate.
    freeOutput(plan->outputShape());
  }
  plans_ = std::move(plans);
  arena_ = std::move(arena);
  for (std::size_t number = 0; number < owners_.size(); ++number) {
    versions_[number] = owners_[number]->version();
  }
}

void CompiledGraph::finishPending() {
  std::vector<std::weak_ptr<PendingRun>> all;
  std::swap(all, pending_);
  for (const std::weak_ptr<PendingRun>& weak : all) {
    if (const auto pending = weak.lock()) pending->finish();
  }
}

void CompiledGraph::requireAlive(const graph::ConstantOwner& owner, const char* graph) {
  if (owner.isAlive()) return;
  failArgument({"layer '", owner.name(), "' was disposed; ", graph, " requires all its layers"});
}

void CompiledGraph::requireFresh() const {
  for (std::size_t number = 0; number < owners_.size(); ++number) {
    const graph::ConstantOwner& owner = *owners_[number];
    requireAlive(owner, "a compiled graph");
    if (owner.version() == versions_[number]) continue;
    failArgument({"the parameters of layer '", owner.name(),
                  "' have changed since the graph was compiled; call refresh() before running it"});
  }
}

AnyTensor CompiledGraph::freeOutput(const Shape& shape) {
  const auto known = std::find_if(outputs_.begin(), outputs_.end(),
                                  [&shape](const AnyTensor& output) { return output.shape() == shape; });
  const std::size_t elementBytes = bytesOf(source_.outputs[0]->type());
  if (known == outputs_.end()) {
    AnyTensor output(shape, elementBytes);
    outputs_.push_back(output);
    return output;
  }
  if (known->isShared()) *known = AnyTensor(shape, elementBytes);
  return *known;
}

void CompiledGraph::check(const Plan& plan, std::span<const AnyTensor* const> inputs) const {
  requireFresh();
  for (std::size_t number = 0; number < plan.inputs().size(); ++number) {
    const auto input = static_cast<std::size_t>(plan.inputs()[number]);
    const std::string& name = source_.inputs[input]->name();
    if (number >= inputs.size() || inputs[number] == nullptr) {
      failArgument({"input '", name, "' is missing; expected a tensor in every run"});
    }
    const Shape& shape = inputs[number]->shape();
    const Shape& compiled = source_.tensors[input].shape();
    if (shape != compiled) {
      failShape({"input '", name, "' has shape ", shape, "; expected ", compiled, ", as compiled"});
    }
  }
}

AnyTensor CompiledGraph::run(std::size_t output, std::span<const AnyTensor* const> inputs) {
  finishPending();
  Plan& plan = *plans_[output];
  check(plan, inputs);
  AnyTensor result = freeOutput(plan.outputShape());
  plan.bind(inputs, result);
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
  Plan& plan = *plans_[output];
  check(plan, inputs);
  std::erase_if(pending_, [](const std::weak_ptr<PendingRun>& weak) {
    const auto other = weak.lock();
    return !other || other->isFinished();
  });
  auto pending =
      std::make_shared<PendingRun>(plan, inputs.first(plan.inputs().size()), freeOutput(plan.outputShape()),
                                   pending_.empty() ? std::weak_ptr<PendingRun>() : pending_.back());
  for (const graph::ConstantOwner* owner : owners_) owner->finishBeforeChange(pending);
  pending_.push_back(pending);
  return pending;
}

double CompiledGraph::flops() const {
  double flops = 0;
  for (const auto& plan : plans_) flops += plan->flops();
  return flops;
}

ByteCount CompiledGraph::scratchBytes() const {
  const auto bytes = static_cast<ByteCount>(arena_->bytes());
  ByteCount maximum = 0;
  for (const auto& plan : plans_) maximum = std::max(maximum, plan->scratchBytes());
  return bytes + maximum;
}

}  // namespace cross_attention::compiler
