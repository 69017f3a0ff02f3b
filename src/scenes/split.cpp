#include "scenes/split.hpp"

#include <algorithm>

#include "scenes/geometry.hpp"

namespace cross_attention::scenes {

bool isHeldOut(Colour colour, ShapeKind shape, Role role) {
  if (role == Role::kAround && !canContain(shape)) return false;
  return static_cast<int>(colour) ==
         (3 * static_cast<int>(shape) + 5 * static_cast<int>(role) + 1) % kColours;
}

bool isHeldOut(const Scene& scene) {
  validate(scene);
  return std::any_of(scene.links.begin(), scene.links.end(), [&](const Link& link) {
    const Object& subject = scene.objects[static_cast<std::size_t>(link.subject)];
    const Object& object = scene.objects[static_cast<std::size_t>(link.object)];
    return isHeldOut(subject.colour, subject.shape, roleOfSubject(link.relation)) ||
           isHeldOut(object.colour, object.shape, roleOfObject(link.relation));
  });
}

}  // namespace cross_attention::scenes
