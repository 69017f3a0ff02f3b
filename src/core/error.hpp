#pragma once

#include <exception>
#include <initializer_list>
#include <string>
#include <utility>

#include "core/text.hpp"

namespace cross_attention {

/// What went wrong, in the terms of the public API: each code is one error class there.
enum class ErrorCode {
  kShape,        ///< a wrong rank, size or length, a negative dimension
  kArgument,     ///< a value that cannot be, a wrong dtype, a call out of order
  kWeights,      ///< a weight file that is corrupt or does not match the layer
  kOutOfMemory,  ///< memory could not be had; nothing was changed
};

/// The only exception that the core throws. The message names the argument, what it got and what it takes.
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

/// Throw one of these; its message is made of the parts, one after another (see text).
[[noreturn]] void failShape(std::initializer_list<TextPart> parts);
[[noreturn]] void failArgument(std::initializer_list<TextPart> parts);
[[noreturn]] void failWeights(std::initializer_list<TextPart> parts);
[[noreturn]] void failOutOfMemory(std::initializer_list<TextPart> parts);

}  // namespace cross_attention
