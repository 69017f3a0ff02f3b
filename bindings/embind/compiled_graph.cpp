#include "compiler/compiled_graph.hpp"

#include <emscripten/bind.h>

#include <array>

#include "embind/arrays.hpp"
#include "embind/errors.hpp"
#include "embind/graph_nodes.hpp"
#include "embind/pending.hpp"

namespace cross_attention::embind {

namespace {

using compiler::Association;
using compiler::CompiledGraph;
using compiler::Source;
using emscripten::allow_raw_pointers;
using emscripten::val;

void addOutput(Source& source, const GraphNodes& nodes, double place) {
  source.outputs.push_back(nodes.at(place));
}

void addInput(Source& source, const GraphNodes& nodes, double place, const val& shape) {
  guarded([&] {
    source.shapes.push_back(Shape::checked(toDimensions(shape), "inputShapes"));
    source.inputs.push_back(nodes.at(place));
    source.constants.emplace_back();
  });
}

/// The last input stays the same.
template <class T>
void setConstant(Source& source, const Tensor<T>& tensor) {
  source.constants.back() = std::make_shared<Tensor<T>>(tensor);
}

template <class T>
CompiledGraph<T>* compile(const Source& source, const val& options) {
  return guarded([&] {
    const auto wants = [&](const char* name) { return options[name].as<bool>(); };
    const auto association = static_cast<Association>(options["association"].as<int>());
    return new CompiledGraph<T>(source,
                                {.shareSubexpressions = wants("shareSubexpressions"),
                                 .fuseAttention = wants("fuseAttention"),
                                 .keepLayout = wants("keepLayout"),
                                 .foldConstants = wants("foldConstants"),
                                 .attention = {.association = association,
                                               .measures = wants("measure"),
                                               .dropMaskedKeys = wants("dropMaskedKeys")}});
  });
}

/// No graph of layers needs more for one output: an input, a context and a mask.
template <class T>
using Inputs = std::array<const Tensor<T>*, 3>;

template <class T>
Tensor<T> run(CompiledGraph<T>& compiled, int output, const Tensor<T>* first,
              const Tensor<T>* second, const Tensor<T>* third) {
  return guarded([&] {
    return compiled.run(static_cast<std::size_t>(output), Inputs<T>{first, second, third});
  });
}

template <class T>
std::shared_ptr<compiler::PendingRun<T>> start(CompiledGraph<T>& compiled, int output,
                                               const Tensor<T>* first, const Tensor<T>* second,
                                               const Tensor<T>* third) {
  return guarded([&] {
    return compiled.start(static_cast<std::size_t>(output), Inputs<T>{first, second, third});
  });
}

template <class T>
void refresh(CompiledGraph<T>& compiled) {
  guarded([&] { compiled.refresh(); });
}

/// {inputs, flopsBefore, bytesBefore, heldBytes, steps: [{step, kernel, association, flops, bytes}]} of an output
template <class T>
val describe(const CompiledGraph<T>& compiled, int output) {
  const compiler::Plan<T>& plan = compiled.plan(static_cast<std::size_t>(output));
  val inputs = val::array();
  for (const int input : plan.inputs()) inputs.call<void>("push", input);
  val steps = val::array();
  for (const compiler::StepDescription& description : plan.describe()) {
    val step = val::object();
    step.set("step", description.step);
    step.set("kernel", description.kernel);
    step.set("association", description.association);
    step.set("flops", description.flops);
    step.set("bytes", description.bytes);
    steps.call<void>("push", step);
  }
  val result = val::object();
  result.set("inputs", inputs);
  result.set("flopsBefore", plan.flopsBefore());
  result.set("bytesBefore", plan.bytesBefore());
  result.set("heldBytes", static_cast<double>(plan.heldBytes()));
  result.set("steps", steps);
  return result;
}

template <class T>
double scratchBytes(const CompiledGraph<T>& compiled) {
  return static_cast<double>(compiled.scratchBytes());
}

template <class T>
void bindCompiledGraph(const char* name) {
  emscripten::class_<CompiledGraph<T>>(name)
      .class_function("compile", &compile<T>, allow_raw_pointers())
      .function("run", &run<T>, allow_raw_pointers())
      .function("start", &start<T>, allow_raw_pointers())
      .function("refresh", &refresh<T>)
      .function("describe", &describe<T>)
      .function("scratchBytes", &scratchBytes<T>);
}

}  // namespace

EMSCRIPTEN_BINDINGS(compiled_graph) {
  emscripten::class_<Source>("GraphSource")
      .constructor<>()
      .function("addOutput", &addOutput)
      .function("addInput", &addInput)
      .function("setConstantFloat32", &setConstant<float>)
      .function("setConstantFloat64", &setConstant<double>);
  bindCompiledGraph<float>("CompiledGraphFloat32");
  bindCompiledGraph<double>("CompiledGraphFloat64");
  bindPending<compiler::PendingRun<float>>("PendingRunFloat32", "PendingRun32");
  bindPending<compiler::PendingRun<double>>("PendingRunFloat64", "PendingRun64");
}

}  // namespace cross_attention::embind
