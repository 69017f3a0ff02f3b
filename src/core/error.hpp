#pragma once

#include <exception>
#include <initializer_list>
#include <string>
#include <utility>

#include "core/text.hpp"

namespace cross_attention {

/// The kind of an error. Each code corresponds to one error class of the public API.
enum class ErrorCode {
  /// A wrong rank, size or length, or a negative dimension.
  kShape,
  /// An invalid value, a wrong dtype, or a call out of order.
  kArgument,
  /// A weight file that is corrupt or does not match the layer.
  kWeights,
  /// A failed allocation. Nothing was changed.
  kOutOfMemory,
};

/// The only exception that the core throws. The message names the argument, its value and what was expected.
class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

  ErrorCode code() const noexcept { return code_; }
  const char* what() const noexcept override { return message_.c_str(); }
  const std::string& message() const noexcept { return message_; }

 private:
  ErrorCode code_;
  std::string message_;
};

/// Throw an Error whose message is the concatenation of the parts (see text).
[[noreturn]] void failShape(std::initializer_list<TextPart> parts);
[[noreturn]] void failArgument(std::initializer_list<TextPart> parts);
[[noreturn]] void failWeights(std::initializer_list<TextPart> parts);
[[noreturn]] void failOutOfMemory(std::initializer_list<TextPart> parts);

}  // namespace cross_attention
