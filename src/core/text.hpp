#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace cross_attention {

class Shape;

/// One part of a message: text, a number or a shape. A view that must not outlive its source.
class TextPart {
 public:
  /// Defers strlen to the function that builds the text, instead of repeating it in every caller.
  TextPart(const char* words) : value_(words) {}
  TextPart(std::string_view words) : value_(words) {}
  TextPart(const std::string& words) : TextPart(std::string_view(words)) {}
  template <std::signed_integral T>
  TextPart(T number) : value_(std::int64_t{number}) {}
  template <std::unsigned_integral T>
  TextPart(T number) : value_(std::uint64_t{number}) {}
  TextPart(double number) : value_(number) {}
  TextPart(const Shape& shape) : value_(&shape) {}

 private:
  friend std::string text(std::initializer_list<TextPart> parts);
  void appendTo(std::string& result) const;

  std::variant<const char*, std::string_view, std::int64_t, std::uint64_t, double, const Shape*> value_;
};

/// Concatenates the parts. Real numbers have up to six decimals; shapes look like "[2, 320, 64, 64]". All
/// messages are built by this function: chains of `+` would make up a tenth of the WebAssembly download.
std::string text(std::initializer_list<TextPart> parts);

/// Returns text of a user or a file for a message: at most 100 bytes, cut between UTF-8 characters.
std::string shortened(std::string_view text);

}  // namespace cross_attention
