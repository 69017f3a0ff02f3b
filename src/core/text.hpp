#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace cross_attention {

class Shape;

/// One part of a text for people: words, a number or a shape. A view: it must not outlive what it is made of.
class TextPart {
 public:
  TextPart(const char* words) : TextPart(std::string_view(words)) {}
  TextPart(std::string_view words) : kind_(Kind::kWords), words_(words) {}
  TextPart(const std::string& words) : TextPart(std::string_view(words)) {}
  template <std::signed_integral T>
  TextPart(T number) : kind_(Kind::kInteger), integer_(number) {}
  template <std::unsigned_integral T>
  TextPart(T number) : kind_(Kind::kCount), count_(number) {}
  TextPart(double number) : kind_(Kind::kReal), real_(number) {}
  TextPart(const Shape& shape) : kind_(Kind::kShape), shape_(&shape) {}

 private:
  friend std::string text(std::initializer_list<TextPart> parts);
  void appendTo(std::string& result) const;

  enum class Kind { kWords, kInteger, kCount, kReal, kShape };
  Kind kind_;
  union {
    std::string_view words_;
    std::int64_t integer_;
    std::uint64_t count_;
    double real_;
    const Shape* shape_;
  };
};

/// The parts one after another; a real number with up to six decimals, a shape as "[2, 320, 64, 64]". One function that
/// all messages are made by: chains of `+` would be a tenth of the WebAssembly download.
std::string text(std::initializer_list<TextPart> parts);

}  // namespace cross_attention
