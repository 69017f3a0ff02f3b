#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace cross_attention::scenes {

/// All shapes are upright: triangles and stars point upwards.
enum class ShapeKind : std::uint8_t { kCircle, kSquare, kTriangle, kStar, kRing, kCross };
enum class Colour : std::uint8_t {
  kRed,
  kOrange,
  kYellow,
  kGreen,
  kCyan,
  kBlue,
  kPurple,
  kPink,
};
enum class Background : std::uint8_t { kWhite, kBlack, kGray, kBrown };
enum class Relation : std::uint8_t { kLeftOf, kRightOf, kAbove, kBelow, kInside };
/// The role of an object relative to another one: a relation, or kAround for the outer object of kInside.
enum class Role : std::uint8_t { kLeftOf, kRightOf, kAbove, kBelow, kInside, kAround };
enum class SizeWord : std::uint8_t { kNone, kSmall, kLarge };

inline constexpr int kShapeKinds = 6;
inline constexpr int kColours = 8;
inline constexpr int kBackgrounds = 4;
inline constexpr int kRelations = 5;
inline constexpr int kRoles = 6;

/// Red, green and blue in [0, 1], gamma-encoded for display.
using Rgb = std::array<float, 3>;

/// One flat shape. Lengths are in pixels of a kPictureSize² picture (geometry.hpp); y points downwards.
struct Object {
  ShapeKind shape = ShapeKind::kCircle;
  Colour colour = Colour::kRed;
  /// The painted colour: `colour` with a slight jitter.
  Rgb rgb{};
  float x = 0;       ///< centre of the bounding box
  float y = 0;       ///< centre of the bounding box
  float radius = 0;  ///< half the width of the bounding box
  /// The size that captions mention; kNone: none.
  SizeWord size = SizeWord::kNone;
};

/// "objects[subject] is `relation` objects[object]".
struct Link {
  int subject;
  Relation relation;
  int object;
};

/// A scene: one object without links, two with one link, or three with two links that share their subject.
struct Scene {
  Background background = Background::kWhite;
  /// True if captions mention the background.
  bool backgroundSaid = false;
  std::vector<Object> objects;
  std::vector<Link> links;
};

/// Throws kArgument if a scene has other numbers of objects and links, or invalid links.
void validate(const Scene& scene);

/// Return the words used in captions: "circle", "red", "white"; "left of", "around"; "small", "" for kNone.
std::string_view nameOf(ShapeKind shape);
std::string_view nameOf(Colour colour);
std::string_view nameOf(Background background);
std::string_view nameOf(Relation relation);
std::string_view nameOf(Role role);
std::string_view nameOf(SizeWord size);

/// Return the role of a link's subject or object: in "A above B", A is kAbove and B is kBelow.
Role roleOfSubject(Relation relation);
Role roleOfObject(Relation relation);
Role converse(Role role);

/// Return the colour that the word denotes, without jitter.
Rgb rgbOf(Colour colour);
Rgb rgbOf(Background background);

}  // namespace cross_attention::scenes
