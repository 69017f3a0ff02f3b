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

Plan::Plan(const Source& source, const graph::NodePointer& output, const CompileOptions& options,
           const std::shared_ptr<Workspace>& workspace)
    : program_(lower(source, output)) {
  removeUnused(program_);
  flopsBefore_ = flopsOf(program_);
  bytesBefore_ = elementsMoved(program_) * static_cast<double>(bytesOf(program_.type));
  optimize(program_, options);
  // The output is the caller's: what was given is copied.
  if (program_.at(program_.output).isGiven()) {
    program_.output = program_.add(Operator::kIdentity, "output", {program_.output});
  }
  memory_ = planMemory(program_);
  for (Operation& operation : program_.operations) {
    if (operation.op == Operator::kInput) inputs_.push_back(operation.input);
    const bool hasElements = operation.tensor >= 0 || operation.owner != nullptr;
    if (!hasElements || operation.op == Operator::kAttention) {
      program_.keep(operation, placeholder(operation.shape));
    }
  }
  std::size_t count = 0;
  for (const Operation& operation : program_.operations) count += operation.isGiven() ? 0 : 1;
  steps_ = std::vector<std::unique_ptr<Step>>(count);
  auto next = steps_.begin();
  for (const Operation& operation : program_.operations) {
    if (operation.isGiven()) continue;
    if (operation.op == Operator::kAttention) {
      *next++ = makeAttentionStep(program_, operation, options.attention, workspace);
    } else {
      *next++ = makeOperatorStep(program_, operation, workspace);
    }
  }
}

void Plan::place(const std::shared_ptr<memory::Piece>& arena) {
  for (std::size_t place = 0; place < memory_.offsets.size(); ++place) {
    const ByteCount offset = memory_.offsets[place];
    if (offset < 0) continue;
    const Operation& operation = program_.operations[place];
    program_.tensorOf(operation) = AnyTensor(operation.shape, arena, static_cast<Index>(offset));
  }
  for (const auto& step : steps_) step->schedule().reserve();
}

void Plan::bind(std::span<const AnyTensor* const> inputs, const AnyTensor& output) {
  std::size_t next = 0;
  for (const Operation& operation : program_.operations) {
    if (operation.op == Operator::kInput) program_.tensorOf(operation) = *inputs[next++];
  }
  program_.tensorOf(program_.at(program_.output)) = output;
  for (const auto& step : steps_) step->bind();
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
  const auto forget = [this](const Operation& operation) {
    program_.tensorOf(operation) = placeholder(operation.shape);
  };
  for (const Operation& operation : program_.operations) {
    if (operation.op == Operator::kInput) forget(operation);
  }
  forget(program_.at(program_.output));
}

double Plan::flops() const {
  double flops = 0;
  for (const auto& step : steps_) flops += step->describe().flops;
  return flops;
}

ByteCount Plan::scratchBytes() const {
  ByteCount most = 0;
  for (const auto& step : steps_) most = std::max(most, step->schedule().scratchBytes());
  return most * ThreadPool::shared().threads();
}

std::size_t Plan::heldBytes() const {
  std::size_t bytes = 0;
  for (const auto& step : steps_) bytes += step->heldBytes();
  return bytes;
}

}  // namespace cross_attention::compiler
