#pragma once

#include <vector>

#include "compiler/compiled_graph.hpp"
#include "layer/computation_graph.hpp"
#include "support/layer_case.hpp"

namespace cross_attention::test {

/// A layer's call as a graph to be compiled.
template <class T>
class GraphCase {
 public:
  explicit GraphCase(const CaseShape& shape) : one(shape) {
    layer::GraphOptions options;
    options.mask = shape.mask.has_value();
    graph::NodeInputs inputs;
    source.outputs = {exportComputationGraph(one.layer, options, inputs)};
    tensors = {one.input, one.context ? *one.context : one.input};
    if (one.maskTensor) tensors.push_back(*one.maskTensor);
    for (std::size_t number = 0; number < tensors.size(); ++number) {
      source.inputs.push_back(inputs[number]);
      source.tensors.push_back(compiler::placeholder(tensors[number].shape()));
    }
  }

  /// The input of that number stays the same.
  void keep(std::size_t number) {
    source.tensors[number] = tensors[number];
    source.constants.push_back(static_cast<int>(number));
  }

  /// One run of it, compiled.
  Tensor<T> run(const compiler::CompileOptions& options) {
    compiler::CompiledGraph compiled(source, options);
    return run(compiled);
  }
  Tensor<T> run(compiler::CompiledGraph& compiled) {
    return Tensor<T>(compiled.run(0, given(compiled)));
  }
  /// What a run takes.
  std::vector<const AnyTensor*> given(const compiler::CompiledGraph& compiled) const {
    std::vector<const AnyTensor*> inputs;
    for (const int place : compiled.plan(0).inputs()) {
      inputs.push_back(&tensors[static_cast<std::size_t>(place)]);
    }
    return inputs;
  }
  compiler::Program lower() const { return compiler::lower(source, source.outputs[0]); }

  LayerCase<T> one;
  compiler::Source source;
  std::vector<Tensor<T>> tensors;
};

}  // namespace cross_attention::test
