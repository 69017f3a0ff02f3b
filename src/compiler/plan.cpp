#include "compiler/plan.hpp"

#include <algorithm>

#include "compiler/operator_step.hpp"
#include "compiler/passes.hpp"
#include "core/thread_pool.hpp"

namespace cross_attention::compiler {

namespace {

using graph::Operator;

/// Returns the elements that all operations read and write, including constants.
double elementsMoved(const Program& program) {
  double elements = 0;
  for (const Operation& operation : program.operations) {
    if (operation.isLeaf()) continue;
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
  // The caller owns the output, so an input or constant must be copied.
  if (program_.at(program_.output).isLeaf()) {
    program_.output = program_.add(Operator::kIdentity, "output", {program_.output});
  }
  memory_ = planMemory(program_);
  for (Operation& operation : program_.operations) {
    if (operation.op == Operator::kInput) inputs_.push_back(operation.input);
    const bool hasElements = operation.tensor >= 0 || operation.owner != nullptr;
    if (!hasElements || operation.op == Operator::kAttention) {
      program_.setTensor(operation, placeholder(operation.shape));
    }
  }
  std::size_t count = 0;
  for (const Operation& operation : program_.operations) count += operation.isLeaf() ? 0 : 1;
  steps_ = std::vector<std::unique_ptr<Step>>(count);
  auto next = steps_.begin();
  for (const Operation& operation : program_.operations) {
    if (operation.isLeaf()) continue;
    if (operation.op == Operator::kAttention) {
      *next++ = makeAttentionStep(program_, operation, options.attention, workspace);
    } else {
      *next++ = makeOperatorStep(program_, operation, workspace);
    }
  }
}

void Plan::setArena(const std::shared_ptr<memory::Allocation>& arena) {
  for (std::size_t index = 0; index < memory_.offsets.size(); ++index) {
    const ByteCount offset = memory_.offsets[index];
    if (offset < 0) continue;
    const Operation& operation = program_.operations[index];
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
  const auto releaseTensor = [this](const Operation& operation) {
    program_.tensorOf(operation) = placeholder(operation.shape);
  };
  for (const Operation& operation : program_.operations) {
    if (operation.op == Operator::kInput) releaseTensor(operation);
  }
  releaseTensor(program_.at(program_.output));
}

double Plan::flops() const {
  double flops = 0;
  for (const auto& step : steps_) flops += step->describe().flops;
  return flops;
}

ByteCount Plan::scratchBytes() const {
  ByteCount maximum = 0;
  for (const auto& step : steps_) maximum = std::max(maximum, step->schedule().scratchBytes());
  return maximum * ThreadPool::shared().threads();
}

std::size_t Plan::cachedBytes() const {
  std::size_t bytes = 0;
  for (const auto& step : steps_) bytes += step->cachedBytes();
  return bytes;
}

}  // namespace cross_attention::compiler
