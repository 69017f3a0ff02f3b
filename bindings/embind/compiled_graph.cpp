#include "compiler/compiled_graph.hpp"

#include <emscripten/bind.h>

#include <array>

#include "embind/arrays.hpp"
#include "embind/graph_nodes.hpp"
#include "embind/pending.hpp"
#include "embind/push.hpp"

namespace cross_attention::embind {

namespace {

using compiler::CompiledGraph;
using compiler::PendingRun;
using compiler::Source;
using emscripten::allow_raw_pointers;
using emscripten::val;

// The caller owns returned pointers: JavaScript deletes them.

Source* createSource() { return new Source; }

void addOutput(Source& source, const GraphNodes& nodes, int index) {
  source.outputs.push_back(nodes.at(index));
}

/// Adds an input. At most one of the two tensors is not null: the value of a constant input.
void addInput(Source& source, const GraphNodes& nodes, int index, const val& shape,
              const Tensor<float>* constant32, const Tensor<double>* constant64) {
  const AnyTensor* constant = constant32;
  if (constant64 != nullptr) constant = constant64;
  const auto number = static_cast<int>(source.inputs.size());
  if (constant != nullptr) source.constants.push_back(number);
  const AnyTensor placeholder = compiler::placeholder(Shape::checked(toDimensions(shape), "inputShapes"));
  source.tensors.push_back(constant != nullptr ? *constant : placeholder);
  source.inputs.push_back(nodes.at(index));
}

/// The switches of CompileOptions as bit flags. JavaScript uses the same values.
enum Switch : int {
  kShareSubexpressions = 1,
  kFuseAttention = 2,
  kKeepLayout = 4,
  kFoldConstants = 8,
  kDropMaskedKeys = 16,
  kMeasure = 32,
};

/// Compiles the source, which is empty afterwards.
CompiledGraph* compile(Source& source, int switches, int association) {
  const auto isSet = [switches](Switch flag) { return (switches & flag) != 0; };
  return new CompiledGraph(std::move(source),
                           {.shareSubexpressions = isSet(kShareSubexpressions),
                            .fuseAttention = isSet(kFuseAttention),
                            .keepLayout = isSet(kKeepLayout),
                            .foldConstants = isSet(kFoldConstants),
                            .attention = {.association = static_cast<compiler::Association>(association),
                                          .measure = isSet(kMeasure),
                                          .dropMaskedKeys = isSet(kDropMaskedKeys)}});
}

/// The inputs of a run: at most an input, a context and a mask.
using Inputs = std::array<const AnyTensor*, 3>;

template <class T>
Tensor<T>* run(CompiledGraph& compiled, int output, const Tensor<T>* first, const Tensor<T>* second,
               const Tensor<T>* third) {
  return new Tensor<T>(compiled.run(static_cast<std::size_t>(output), Inputs{first, second, third}));
}

template <class T>
std::shared_ptr<PendingRun> start(CompiledGraph& compiled, int output, const Tensor<T>* first,
                                  const Tensor<T>* second, const Tensor<T>* third) {
  return compiled.start(static_cast<std::size_t>(output), Inputs{first, second, third});
}

template <class T>
Tensor<T>* resultOfRun(PendingRun& pending) {
  return new Tensor<T>(pending.result());
}

void refresh(CompiledGraph& compiled) { compiled.refresh(); }

const compiler::Plan& planOf(const CompiledGraph& compiled, int output) {
  return compiled.plan(static_cast<std::size_t>(output));
}

/// Returns the indices of the inputs that a run of this output requires.
val inputsOf(const CompiledGraph& compiled, int output) {
  val indices = val::array();
  for (const int index : planOf(compiled, output).inputs()) push(indices, index);
  return indices;
}

/// Returns three strings per step: name, kernel and association.
val textsOf(const CompiledGraph& compiled, int output) {
  val texts = val::array();
  for (const auto& step : planOf(compiled, output).steps()) {
    const compiler::StepDescription description = step->describe();
    push(texts, std::string(description.step));
    push(texts, description.kernel);
    push(texts, description.association);
  }
  return texts;
}

/// Returns flopsBefore, bytesBefore, cachedBytes, and FLOPs and bytes of each step.
val numbersOf(const CompiledGraph& compiled, int output) {
  const compiler::Plan& plan = planOf(compiled, output);
  val numbers = val::array();
  push(numbers, plan.flopsBefore());
  push(numbers, plan.bytesBefore());
  push(numbers, static_cast<double>(plan.cachedBytes()));
  for (const auto& step : plan.steps()) {
    const compiler::StepDescription description = step->describe();
    push(numbers, description.flops);
    push(numbers, description.bytes);
  }
  return numbers;
}

double scratchBytes(const CompiledGraph& compiled) { return static_cast<double>(compiled.scratchBytes()); }

}  // namespace

EMSCRIPTEN_BINDINGS(compiled_graph) {
  emscripten::class_<Source>("GraphSource")
      .class_function("create", &createSource, allow_raw_pointers())
      .function("addOutput", &addOutput)
      .function("addInput", &addInput, allow_raw_pointers());
  emscripten::class_<CompiledGraph>("CompiledGraph")
      .class_function("compile", &compile, allow_raw_pointers())
      .function("runFloat32", &run<float>, allow_raw_pointers())
      .function("runFloat64", &run<double>, allow_raw_pointers())
      .function("startFloat32", &start<float>, allow_raw_pointers())
      .function("startFloat64", &start<double>, allow_raw_pointers())
      .function("refresh", &refresh)
      .function("inputs", &inputsOf)
      .function("texts", &textsOf)
      .function("numbers", &numbersOf)
      .function("scratchBytes", &scratchBytes);
  bindPending<PendingRun>("PendingRun", "PendingRunPointer")
      .function("resultFloat32", &resultOfRun<float>, allow_raw_pointers())
      .function("resultFloat64", &resultOfRun<double>, allow_raw_pointers());
}

}  // namespace cross_attention::embind
