#include "compiler/plan.hpp"

#include <algorithm>

#include "compiler/operator_step.hpp"
#include "compiler/passes.hpp"
#include "core/thread_pool.hpp"

namespace cross_attention::compiler {

namespace {

using graph::Operator;

/// All that operations read and write, their constants included.
double elementsMoved(const Program& program) {
  double elements = 0;
  for (const Operation& operation : program.operations) {
    if (operation.isGiven()) continue;
    elements += static_cast<double>(operation.shape.size());
    for (const int input : operation.inputs) {
      elements += static_cast<double>(program.at(input).shape.size());
    }
  }
  return elements;
}

template <class T>
void optimize(Program& program, const CompileOptions& options) {
  if (options.shareSubexpressions) shareSubexpressions(program);
  if (options.fuseAttention) fuseAttention(program);
  if (options.keepLayout) keepLayout(program);
  removeUnused(program);
  if (options.foldConstants) foldConstants<T>(program);
  removeUnused(program);
}

}  // namespace

template <class T>
Plan<T>::Plan(const Binding& binding, const CompileOptions& options,
              std::shared_ptr<Workspace> workspace)
    : program_(lower(binding)), workspace_(std::move(workspace)) {
  removeUnused(program_);
  flopsBefore_ = flopsOf(program_);
  bytesBefore_ = elementsMoved(program_) * sizeof(T);
  optimize<T>(program_, options);
  // The output is the caller's: what was given is copied.
  if (program_.at(program_.output).isGiven()) {
    program_.output = program_.add(Operator::kIdentity, "output", {program_.output});
  }

  const MemoryPlan memory = planMemory(program_, sizeof(T));
  offsets_ = memory.offsets;
  arenaElements_ = memory.bytes / static_cast<Amount>(sizeof(T));
  for (int number = 0; number < program_.size(); ++number) {
    const Operation& operation = program_.at(number);
    values_.push_back(operation.tensor ? *static_cast<const Tensor<T>*>(operation.tensor.get())
                                       : placeholder<T>(operation.shape));
    if (operation.op == Operator::kInput) inputs_.push_back(operation.input);
    if (operation.isGiven()) continue;
    if (operation.op == Operator::kAttention) {
      steps_.push_back(
          std::make_unique<AttentionStep<T>>(program_, number, options.attention, workspace_));
    } else {
      steps_.push_back(std::make_unique<OperatorStep<T>>(program_, number, workspace_));
    }
  }
}

template <class T>
void Plan<T>::place(const std::shared_ptr<Buffer<T>>& arena) {
  for (std::size_t number = 0; number < values_.size(); ++number) {
    if (offsets_[number] < 0) continue;
    const Amount element = offsets_[number] / static_cast<Amount>(sizeof(T));
    values_[number] = Tensor<T>(values_[number].shape(), arena, static_cast<Index>(element));
  }
  for (const auto& step : steps_) step->schedule().reserve();
}

template <class T>
void Plan<T>::bind(std::span<const Tensor<T>* const> inputs, const Tensor<T>& output) {
  std::size_t next = 0;
  for (int number = 0; number < program_.size(); ++number) {
    if (program_.at(number).op != Operator::kInput) continue;
    values_[static_cast<std::size_t>(number)] = *inputs[next++];
  }
  values_[static_cast<std::size_t>(program_.output)] = output;
  for (const auto& step : steps_) step->bind(values_);
  nextStep_ = 0;
}

template <class T>
void Plan<T>::run(int slot) {
  for (; nextStep_ < steps_.size(); ++nextStep_) steps_[nextStep_]->schedule().run(slot);
}

template <class T>
bool Plan<T>::advance(double milliseconds) {
  if (nextStep_ < steps_.size() && steps_[nextStep_]->schedule().advance(milliseconds)) ++nextStep_;
  return nextStep_ == steps_.size();
}

template <class T>
void Plan<T>::release() {
  for (const auto& step : steps_) step->release();
  for (int number = 0; number < program_.size(); ++number) {
    if (number != program_.output && program_.at(number).op != Operator::kInput) continue;
    values_[static_cast<std::size_t>(number)] = none_;
  }
}

template <class T>
double Plan<T>::flops() const {
  double flops = 0;
  for (const auto& step : steps_) flops += step->describe().flops;
  return flops;
}

template <class T>
Amount Plan<T>::scratchBytes() const {
  Amount most = 0;
  for (const auto& step : steps_) most = std::max(most, step->schedule().scratchBytes());
  return most * ThreadPool::shared().threads();
}

template <class T>
std::size_t Plan<T>::heldBytes() const {
  std::size_t bytes = 0;
  for (const auto& step : steps_) bytes += step->heldBytes();
  return bytes;
}

template <class T>
std::vector<StepDescription> Plan<T>::describe() const {
  std::vector<StepDescription> descriptions;
  for (const auto& step : steps_) descriptions.push_back(step->describe());
  return descriptions;
}

template class Plan<float>;
template class Plan<double>;

}  // namespace cross_attention::compiler
