#include "core/error.hpp"

namespace cross_attention {

void failShape(std::string message) { throw Error(ErrorCode::kShape, std::move(message)); }
void failArgument(std::string message) { throw Error(ErrorCode::kArgument, std::move(message)); }
void failWeights(std::string message) { throw Error(ErrorCode::kWeights, std::move(message)); }
void failOutOfMemory(std::string message) {
  throw Error(ErrorCode::kOutOfMemory, std::move(message));
}

}  // namespace cross_attention
