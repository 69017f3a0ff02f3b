#include "scenes/vocabulary.hpp"

#include <array>

namespace cross_attention::scenes {

namespace {

constexpr std::array<std::string_view, 40> kWords{
    // articles and sizes
    "a", "an", "the", "small", "large",
    // colours
    "red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink",
    // shapes
    "circle", "square", "triangle", "star", "ring", "cross",
    // roles
    "left", "right", "above", "below", "inside", "around", "to", "of",
    // sentences
    "and", "with", "it", "its", "there", "is", "picture",
    // backgrounds
    "on", "background", "white", "black", "gray", "brown"};

}  // namespace

std::span<const std::string_view> vocabulary() { return kWords; }

}  // namespace cross_attention::scenes
