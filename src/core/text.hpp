#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace cross_attention {

class Shape;

/// One part of a text for people: words, a number or a shape. A view: it must not outlive what it is made of.
class TextPart {
 public:
  /// Its length is counted when the text is made: not by every caller.
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

  std::variant<const char*, std::string_view, std::int64_t, std::uint64_t, double, const Shape*>
      value_;
};

/// The parts one after another; a real number with up to six decimals, a shape as "[2, 320, 64, 64]". One function that
/// all messages are made by: chains of `+` would be a tenth of the WebAssembly download.
std::string text(std::initializer_list<TextPart> parts);

}  // namespace cross_attention
