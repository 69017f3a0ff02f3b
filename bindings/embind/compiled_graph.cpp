#include "compiler/compiled_graph.hpp"

#include <emscripten/bind.h>

#include <array>

#include "embind/arrays.hpp"
#include "embind/graph_nodes.hpp"
#include "embind/pending.hpp"

namespace cross_attention::embind {

namespace {

using compiler::CompiledGraph;
using compiler::PendingRun;
using compiler::Source;
using emscripten::allow_raw_pointers;
using emscripten::val;

// Pointers that are returned own what they point to: JavaScript deletes it.

Source* createSource() { return new Source; }

void addOutput(Source& source, const GraphNodes& nodes, int place) {
  source.outputs.push_back(nodes.at(place));
}

/// At most one of the two tensors is there: an input that stays the same.
void addInput(Source& source, const GraphNodes& nodes, int place, const val& shape,
              const Tensor<float>* constant32, const Tensor<double>* constant64) {
  source.shapes.push_back(Shape::checked(toDimensions(shape), "inputShapes"));
  source.inputs.push_back(nodes.at(place));
  std::optional<AnyTensor>& constant = source.constants.emplace_back();
  if (constant32 != nullptr) constant = *constant32;
  if (constant64 != nullptr) constant = *constant64;
}

/// The switches of CompileOptions, a bit each, as JavaScript numbers them.
enum Switch : int {
  kShareSubexpressions = 1,
  kFuseAttention = 2,
  kKeepLayout = 4,
  kFoldConstants = 8,
  kDropMaskedKeys = 16,
  kMeasure = 32,
};

CompiledGraph* compile(const Source& source, int switches, int association) {
  const auto wants = [switches](Switch one) { return (switches & one) != 0; };
  return new CompiledGraph(
      source, {.shareSubexpressions = wants(kShareSubexpressions),
               .fuseAttention = wants(kFuseAttention),
               .keepLayout = wants(kKeepLayout),
               .foldConstants = wants(kFoldConstants),
               .attention = {.association = static_cast<compiler::Association>(association),
                             .measures = wants(kMeasure),
                             .dropMaskedKeys = wants(kDropMaskedKeys)}});
}

/// No graph of layers needs more for one output: an input, a context and a mask.
using Inputs = std::array<const AnyTensor*, 3>;

template <class T>
Tensor<T>* run(CompiledGraph& compiled, int output, const Tensor<T>* first,
               const Tensor<T>* second, const Tensor<T>* third) {
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

/// The places of the inputs that a run of an output takes.
val inputsOf(const CompiledGraph& compiled, int output) {
  const std::vector<int>& inputs = compiled.plan(static_cast<std::size_t>(output)).inputs();
  return val::array(std::vector<Index>(inputs.begin(), inputs.end()));
}

/// Three texts a step: its name, its kernel, its association.
val textsOf(const CompiledGraph& compiled, int output) {
  std::vector<std::string> texts;
  for (const auto& [step, kernel, association, flops, bytes] :
       compiled.plan(static_cast<std::size_t>(output)).describe()) {
    texts.insert(texts.end(), {step, kernel, association});
  }
  return val::array(texts);
}

/// flopsBefore, bytesBefore, heldBytes, and FLOPs and bytes of each step.
val numbersOf(const CompiledGraph& compiled, int output) {
  const compiler::Plan& plan = compiled.plan(static_cast<std::size_t>(output));
  std::vector<double> numbers{plan.flopsBefore(), plan.bytesBefore(),
                              static_cast<double>(plan.heldBytes())};
  for (const compiler::StepDescription& step : plan.describe()) {
    numbers.push_back(step.flops);
    numbers.push_back(step.bytes);
  }
  return val::array(numbers);
}

double scratchBytes(const CompiledGraph& compiled) {
  return static_cast<double>(compiled.scratchBytes());
}

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
