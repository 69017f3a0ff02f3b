#pragma once

#include <vector>

#include "compiler/compiled_graph.hpp"
#include "layer/computation_graph.hpp"
#include "support/layer_case.hpp"

namespace cross_attention::test {

/// A call of a layer as a graph for the compiler.
template <class T>
class GraphCase {
 public:
  explicit GraphCase(const CaseShape& shape) : layerCase(shape) {
    layer::GraphOptions options;
    options.mask = shape.mask.has_value();
    graph::NodeInputs inputs;
    source.outputs = {exportComputationGraph(layerCase.layer, options, inputs)};
    tensors = {layerCase.input, layerCase.context ? *layerCase.context : layerCase.input};
    if (layerCase.maskTensor) tensors.push_back(*layerCase.maskTensor);
    for (std::size_t index = 0; index < tensors.size(); ++index) {
      source.inputs.push_back(inputs[index]);
      source.tensors.push_back(compiler::placeholder(tensors[index].shape()));
    }
  }

  /// Declares the input at `index` constant.
  void makeConstant(std::size_t index) {
    source.tensors[index] = tensors[index];
    source.constants.push_back(static_cast<int>(index));
  }

  /// Compiles the graph and runs it once.
  Tensor<T> run(const compiler::CompileOptions& options) {
    compiler::CompiledGraph compiled(source, options);
    return run(compiled);
  }
  Tensor<T> run(compiler::CompiledGraph& compiled) { return Tensor<T>(compiled.run(0, runInputs(compiled))); }
  /// Returns the inputs that a run expects.
  std::vector<const AnyTensor*> runInputs(const compiler::CompiledGraph& compiled) const {
    std::vector<const AnyTensor*> inputs;
    for (const int input : compiled.plan(0).inputs()) {
      inputs.push_back(&tensors[static_cast<std::size_t>(input)]);
    }
    return inputs;
  }
  compiler::Program lower() const { return compiler::lower(source, source.outputs[0]); }

  LayerCase<T> layerCase;
  compiler::Source source;
  std::vector<Tensor<T>> tensors;
};

}  // namespace cross_attention::test
