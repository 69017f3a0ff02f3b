#pragma once

#include <string>

namespace cross_attention::layer {

class AttentionRecorder;

/// How a call is recorded.
struct RecordOptions {
  /// Null: the call is not recorded.
  AttentionRecorder* recorder = nullptr;
  std::string name;
  /// Records the second half of the batch only: the conditional rows of guidance.
  bool conditional = false;
};

}  // namespace cross_attention::layer
