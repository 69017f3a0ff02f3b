#include "scenes/scene.hpp"

#include "core/error.hpp"

namespace cross_attention::scenes {

namespace {

constexpr std::array<std::string_view, kShapeKinds> kShapeNames{"circle", "square", "triangle",
                                                                "star",   "ring",   "cross"};
constexpr std::array<std::string_view, kRoles> kRoleNames{"left of", "right of", "above",
                                                          "below",   "inside",   "around"};
constexpr std::array<std::string_view, 3> kSizeNames{"", "small", "large"};
constexpr std::array<Role, kRoles> kConverses{Role::kRightOf, Role::kLeftOf, Role::kBelow,
                                              Role::kAbove,   Role::kAround, Role::kInside};

struct Paint {
  std::string_view name;
  Rgb rgb;
};

// Any two of the twelve are more than 0.4 apart. All channels leave room for the jitter within [0, 1].
constexpr std::array<Paint, kColours> kPaints{{{"red", {0.88F, 0.08F, 0.10F}},
                                               {"orange", {0.96F, 0.50F, 0.05F}},
                                               {"yellow", {0.95F, 0.92F, 0.12F}},
                                               {"green", {0.10F, 0.65F, 0.15F}},
                                               {"cyan", {0.10F, 0.85F, 0.90F}},
                                               {"blue", {0.10F, 0.20F, 0.90F}},
                                               {"purple", {0.55F, 0.08F, 0.65F}},
                                               {"pink", {0.96F, 0.50F, 0.75F}}}};
constexpr std::array<Paint, kBackgrounds> kBackgroundPaints{{{"white", {1.0F, 1.0F, 1.0F}},
                                                             {"black", {0.0F, 0.0F, 0.0F}},
                                                             {"gray", {0.5F, 0.5F, 0.5F}},
                                                             {"brown", {0.36F, 0.22F, 0.10F}}}};

template <class Table, class Enum>
const auto& at(const Table& table, Enum which) {
  return table[static_cast<std::size_t>(which)];
}

}  // namespace

void validate(const Scene& scene) {
  const auto objects = static_cast<int>(scene.objects.size());
  if (objects < 1 || objects > 3) {
    failArgument({"scene.objects has ", objects, " objects; expected 1, 2 or 3"});
  }
  if (scene.links.size() + 1 != scene.objects.size()) {
    failArgument({"scene.links has ", scene.links.size(), " links; expected ", objects - 1, " for ", objects,
                  " objects"});
  }
  for (const Link& link : scene.links) {
    for (const int index : {link.subject, link.object}) {
      if (index < 0 || index >= objects) {
        failArgument({"scene.links has a link to object ", index, "; expected 0 to ", objects - 1});
      }
    }
    if (link.subject == link.object) {
      failArgument({"scene.links has a link of object ", link.subject, " to itself; expected two objects"});
    }
  }
  if (objects == 3 &&
      (scene.links[0].subject != scene.links[1].subject || scene.links[0].object == scene.links[1].object)) {
    failArgument(
        {"scene.links has two links without a common subject; expected one subject and two objects"});
  }
}

std::string_view nameOf(ShapeKind shape) { return at(kShapeNames, shape); }
std::string_view nameOf(Colour colour) { return at(kPaints, colour).name; }
std::string_view nameOf(Background background) { return at(kBackgroundPaints, background).name; }
std::string_view nameOf(Relation relation) { return nameOf(roleOfSubject(relation)); }
std::string_view nameOf(Role role) { return at(kRoleNames, role); }
std::string_view nameOf(SizeWord size) { return at(kSizeNames, size); }

Role roleOfSubject(Relation relation) { return static_cast<Role>(relation); }
Role roleOfObject(Relation relation) { return converse(roleOfSubject(relation)); }
Role converse(Role role) { return at(kConverses, role); }

Rgb rgbOf(Colour colour) { return at(kPaints, colour).rgb; }
Rgb rgbOf(Background background) { return at(kBackgroundPaints, background).rgb; }

}  // namespace cross_attention::scenes
