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

void optimize(Program& program, const CompileOptions& options) {
  if (options.shareSubexpressions) shareSubexpressions(program);
  if (options.fuseAttention) fuseAttention(program);
  if (options.keepLayout) keepLayout(program);
  removeUnused(program);
  if (options.foldConstants) foldConstants(program);
  removeUnused(program);
}

}  // namespace

Plan::Plan(const Binding& binding, const CompileOptions& options,
           const std::shared_ptr<Workspace>& workspace)
    : program_(lower(binding)) {
  removeUnused(program_);
  flopsBefore_ = flopsOf(program_);
  bytesBefore_ = elementsMoved(program_) * static_cast<double>(bytesOf(program_.type));
  optimize(program_, options);
  // The output is the caller's: what was given is copied.
  if (program_.at(program_.output).isGiven()) {
    program_.output = program_.add(Operator::kIdentity, "output", {program_.output});
  }
  memory_ = planMemory(program_);
  for (int place = 0; place < program_.size(); ++place) {
    const Operation& operation = program_.at(place);
    values_.push_back(operation.tensor ? *operation.tensor : placeholder(operation.shape));
    if (operation.op == Operator::kInput) inputs_.push_back(operation.input);
    if (operation.isGiven()) continue;
    steps_.push_back(operation.op == Operator::kAttention
                         ? makeAttentionStep(program_, place, options.attention, workspace)
                         : std::make_unique<OperatorStep>(program_, place, workspace));
  }
}

void Plan::place(const std::shared_ptr<memory::Piece>& arena) {
  for (std::size_t place = 0; place < values_.size(); ++place) {
    const Amount offset = memory_.offsets[place];
    if (offset >= 0) values_[place] = AnyTensor(values_[place].shape(), arena, static_cast<Index>(offset));
  }
  for (const auto& step : steps_) step->schedule().reserve();
}

void Plan::bind(std::span<const AnyTensor* const> inputs, const AnyTensor& output) {
  std::size_t next = 0;
  for (int place = 0; place < program_.size(); ++place) {
    if (program_.at(place).op != Operator::kInput) continue;
    values_[static_cast<std::size_t>(place)] = *inputs[next++];
  }
  values_[static_cast<std::size_t>(program_.output)] = output;
  for (const auto& step : steps_) step->bind(values_);
  nextStep_ = 0;
}

void Plan::run(int slot) {
  for (; nextStep_ < steps_.size(); ++nextStep_) steps_[nextStep_]->schedule().run(slot);
}

bool Plan::advance(double milliseconds) {
  if (nextStep_ < steps_.size() && steps_[nextStep_]->schedule().advance(milliseconds)) ++nextStep_;
  return nextStep_ == steps_.size();
}

void Plan::release() {
  for (const auto& step : steps_) step->release();
  for (int place = 0; place < program_.size(); ++place) {
    if (place != program_.output && program_.at(place).op != Operator::kInput) continue;
    values_[static_cast<std::size_t>(place)] = placeholder(program_.at(place).shape);
  }
}

double Plan::flops() const {
  double flops = 0;
  for (const auto& step : steps_) flops += step->describe().flops;
  return flops;
}

Amount Plan::scratchBytes() const {
  Amount most = 0;
  for (const auto& step : steps_) most = std::max(most, step->schedule().scratchBytes());
  return most * ThreadPool::shared().threads();
}

std::size_t Plan::heldBytes() const {
  std::size_t bytes = 0;
  for (const auto& step : steps_) bytes += step->heldBytes();
  return bytes;
}

std::vector<StepDescription> Plan::describe() const {
  std::vector<StepDescription> descriptions;
  for (const auto& step : steps_) descriptions.push_back(step->describe());
  return descriptions;
}

}  // namespace cross_attention::compiler
