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
    source.outputs = {exportComputationGraph(one.layer, options, source.inputs)};
    add(one.input);
    add(one.context ? *one.context : one.input);
    if (one.maskTensor) add(*one.maskTensor);
  }

  /// The input of that number stays the same.
  void keep(std::size_t number) { source.constants[number] = tensors[number]; }

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
  compiler::Binding binding() const {
    return {source.outputs[0], source.inputs, source.shapes, source.constants};
  }

  LayerCase<T> one;
  compiler::Source source;
  std::vector<Tensor<T>> tensors;

 private:
  void add(const Tensor<T>& tensor) {
    tensors.push_back(tensor);
    source.shapes.push_back(tensor.shape());
    source.constants.emplace_back();
  }
};

}  // namespace cross_attention::test
