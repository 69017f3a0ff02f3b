#include "layer/prepared_context.hpp"

#include <utility>

namespace cross_attention::layer {

template <class T>
PreparedContext<T> prepareContext(const PassInputs<T>& inputs, const Arguments<T>& arguments,
                                  const ContextForms& forms, PackedWeightSet passWeights,
                                  const ContextCache<T>* cache) {
  if (cache != nullptr) {
    if (auto cached = cache->find(inputs.parameters, arguments, forms)) {
      inputs.weights->require(passWeights, inputs.workspace);
      return {.projected = std::move(cached), .folded = forms.folded};
    }
  }
  // All at once: the weights are packed in parallel.
  inputs.weights->require(passWeights | ProjectedContext<T>::requiredWeights(forms.folded), inputs.workspace);
  PreparedContext<T> prepared{.folded = forms.folded};
  prepared.unfinished =
      std::make_shared<ProjectedContext<T>>(inputs.configuration, inputs.parameters, arguments, forms);
  prepared.projected = prepared.unfinished;
  return prepared;
}

template PreparedContext<float> prepareContext(const PassInputs<float>&, const Arguments<float>&,
                                               const ContextForms&, PackedWeightSet,
                                               const ContextCache<float>*);
template PreparedContext<double> prepareContext(const PassInputs<double>&, const Arguments<double>&,
                                                const ContextForms&, PackedWeightSet,
                                                const ContextCache<double>*);

}  // namespace cross_attention::layer
