#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace cross_attention::scenes {

/// All shapes stand upright: triangles and stars point upwards.
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
/// What an object is to another one: a relation, or kAround, the part of the outer object of kInside.
enum class Role : std::uint8_t { kLeftOf, kRightOf, kAbove, kBelow, kInside, kAround };
enum class SizeWord : std::uint8_t { kNone, kSmall, kLarge };

inline constexpr int kShapeKinds = 6;
inline constexpr int kColours = 8;
inline constexpr int kBackgrounds = 4;
inline constexpr int kRelations = 5;
inline constexpr int kRoles = 6;

/// Red, green and blue in [0, 1], gamma-encoded as on the screen.
using Rgb = std::array<float, 3>;

/// One flat shape. Lengths are in pixels of a picture of kPictureSize² (geometry.hpp); y grows downwards.
struct Object {
  ShapeKind shape = ShapeKind::kCircle;
  Colour colour = Colour::kRed;
  Rgb rgb{};                        ///< what it is painted with: `colour` with a slight jitter
  float x = 0;                      ///< centre of the bounding box
  float y = 0;                      ///< centre of the bounding box
  float radius = 0;                 ///< half the width of the bounding box
  SizeWord size = SizeWord::kNone;  ///< what captions say of its size; kNone: nothing
};

/// "objects[subject] is `relation` objects[object]".
struct Link {
  int subject;
  Relation relation;
  int object;
};

/// One object without a link, two with one link, or three with two links that share their subject.
struct Scene {
  Background background = Background::kWhite;
  bool backgroundSaid = false;  ///< whether captions tell the background
  std::vector<Object> objects;
  std::vector<Link> links;
};

/// Throws kArgument where a scene has other numbers of objects and links, or links to what is not there.
void validate(const Scene& scene);

/// The words of captions: "circle", "red", "white"; "left of", "around"; "small", "" for kNone.
std::string_view nameOf(ShapeKind shape);
std::string_view nameOf(Colour colour);
std::string_view nameOf(Background background);
std::string_view nameOf(Relation relation);
std::string_view nameOf(Role role);
std::string_view nameOf(SizeWord size);

/// The part of a link's subject, and that of its object: A above B makes A kAbove and B kBelow.
Role roleOfSubject(Relation relation);
Role roleOfObject(Relation relation);
Role converse(Role role);

/// What the word stands for, before any jitter.
Rgb rgbOf(Colour colour);
Rgb rgbOf(Background background);

}  // namespace cross_attention::scenes
