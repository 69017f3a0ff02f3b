#pragma once

#include "layer/forward_pass.hpp"
#include "support/layer_case.hpp"

namespace cross_attention::test {

/// Returns whether the layer folds the context into the weights in this call.
template <class T>
bool foldsContext(const LayerCase<T>& layerCase) {
  return layer::Arguments<T>::check(layerCase.layer.configuration(), layerCase.input,
                                    layerCase.contextPointer(), layerCase.mask)
      .foldsContext(layerCase.layer.configuration());
}

/// Returns a call that folds: few keys, few heads and many tokens. No size is a multiple of a tile.
inline CaseShape foldingShape() {
  CaseShape shape;
  shape.queryDim = 46;
  shape.numHeads = 2;
  shape.height = 7;
  shape.width = 9;
  shape.context = Shape{7, 20};
  return shape;
}

}  // namespace cross_attention::test
