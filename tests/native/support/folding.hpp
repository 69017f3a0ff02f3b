#pragma once

#include "layer/forward_pass.hpp"
#include "support/layer_case.hpp"

namespace cross_attention::test {

/// Whether the layer folds the context with the weights in this call.
template <class T>
bool foldsContext(const LayerCase<T>& one) {
  return layer::Arguments<T>::check(one.layer.configuration(), one.input, one.contextPointer(),
                                    one.mask)
      .foldsContext(one.layer.configuration());
}

/// A call that folds: few keys of few heads for many tokens, no size a multiple of a tile.
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
