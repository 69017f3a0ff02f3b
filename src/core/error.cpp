#include "core/error.hpp"

namespace cross_attention {

void failShape(std::initializer_list<TextPart> parts) { throw Error(ErrorCode::kShape, text(parts)); }
void failArgument(std::initializer_list<TextPart> parts) { throw Error(ErrorCode::kArgument, text(parts)); }
void failWeights(std::initializer_list<TextPart> parts) { throw Error(ErrorCode::kWeights, text(parts)); }
void failOutOfMemory(std::initializer_list<TextPart> parts) {
  throw Error(ErrorCode::kOutOfMemory, text(parts));
}

}  // namespace cross_attention
