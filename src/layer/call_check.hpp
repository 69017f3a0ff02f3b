#pragma once

#include "layer/configuration.hpp"
#include "layer/token_layout.hpp"

namespace cross_attention::layer {

// The shape checks of a call and their messages. bindings/embind/call_check.cpp exports them to TypeScript,
// so that calls on the GPU throw the same errors:
//   checkCall(queryDim, contextDim, numHeads, input, context, mask): void
//   checkOutputGradient(outputGradient, output): void
// Shapes are arrays of numbers; context and mask may be null.

/// The token layouts of a checked call.
struct CallLayout {
  TokenLayout input;
  /// The same as `input` for self-attention.
  TokenLayout context;
  /// As `input`, with outputDim channels.
  TokenLayout output;
};

/// Checks the shapes of a forward pass or of attention maps against the layer and against each other.
///   input: [B, queryDim, H, W], [B, N, queryDim] or [N, queryDim]
///   context: [B, L, contextDim] or [L, contextDim], where B may be 1; null for self-attention
///   mask: a key mask [B, L] or a mask [B, N, L] or [B, numHeads, N, L], where all sizes except L may be 1;
///   null for none
/// Throws kShape, naming the argument, its shape and the expected shapes, if one does not fit. Of the
/// configuration only queryDim, contextDim, numHeads and outputChannels are read.
CallLayout checkCall(const Configuration& configuration, const Shape& input, const Shape* context,
                     const Shape* mask);

/// Checks the argument of a backward pass. `output` is the shape of the output of the last training forward
/// pass. Throws kShape if the shapes differ.
void checkOutputGradient(const Shape& outputGradient, const Shape& output);

/// Throws kShape unless `mask` has 2 dimensions (a key mask), 3 or 4.
void checkMaskRank(const Shape& mask);

}  // namespace cross_attention::layer
