#include <emscripten/bind.h>

#include "embind/arrays.hpp"
#include "embind/push.hpp"
#include "scenes/caption.hpp"
#include "scenes/draw.hpp"
#include "scenes/geometry.hpp"
#include "scenes/random_scene.hpp"

namespace cross_attention::embind {

namespace {

using emscripten::val;
using namespace scenes;

val text(std::string_view text) { return val(std::string(text)); }

void set(val& object, const char* name, float value) { object.set(name, double{value}); }

val toObject(const Box& box) {
  val result = val::object();
  set(result, "left", box.left);
  set(result, "top", box.top);
  set(result, "right", box.right);
  set(result, "bottom", box.bottom);
  return result;
}

val toObject(const Object& object) {
  val result = val::object();
  result.set("shape", text(nameOf(object.shape)));
  result.set("colour", text(nameOf(object.colour)));
  result.set("size", text(object.size == SizeWord::kNone ? "none" : nameOf(object.size)));
  set(result, "x", object.x);
  set(result, "y", object.y);
  set(result, "radius", object.radius);
  result.set("box", toObject(boxOf(object)));
  return result;
}

val toObject(const Link& link) {
  val result = val::object();
  result.set("subject", link.subject);
  result.set("relation", text(nameOf(link.relation)));
  result.set("object", link.object);
  return result;
}

template <class Item>
val toList(const std::vector<Item>& items) {
  const val list = val::array();
  for (const Item& item : items) push(list, toObject(item));
  return list;
}

/// Draws a random scene into `picture`, planar [3, size, size] in [-1, 1], and returns its description.
val drawRandomScene(double seed, bool heldOut, int objects, const val& picture) {
  Random random(static_cast<std::uint64_t>(seed));
  const Scene scene = randomScene(random, heldOut ? Split::kHeldOut : Split::kTraining, objects);
  constexpr auto kSize = static_cast<Index>(kPictureSize);
  std::vector<float> rgb(3 * kSize * kSize);
  draw(scene, kSize, rgb);
  picture.call<void>("set", toView(std::span<const float>(rgb)));
  val result = val::object();
  result.set("caption", caption(scene, random));
  result.set("plainCaption", plainCaption(scene));
  result.set("background", text(nameOf(scene.background)));
  result.set("backgroundSaid", scene.backgroundSaid);
  result.set("objects", toList(scene.objects));
  result.set("links", toList(scene.links));
  return result;
}

}  // namespace

EMSCRIPTEN_BINDINGS(scenes) { emscripten::function("randomScene", &drawRandomScene); }

}  // namespace cross_attention::embind
