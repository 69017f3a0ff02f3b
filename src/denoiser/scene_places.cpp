#include "denoiser/scene_places.hpp"

#include <algorithm>
#include <limits>

#include "scenes/geometry.hpp"

namespace cross_attention::denoiser {

namespace {

/// Pixels of a scene that count as one in what places say: values of the order of 1.
constexpr float kUnit = 4;
constexpr float kMiddleRadius = 6;

bool meets(const scenes::Box& one, const scenes::Box& other) { return scenes::gapBetween(one, other) < 0; }

/// Null where no object's box meets that of the token.
const scenes::Object* objectAt(const scenes::Scene& scene, const scenes::Box& token) {
  const scenes::Object* smallest = nullptr;
  for (const scenes::Object& object : scene.objects) {
    const bool isSmaller = smallest == nullptr || object.radius < smallest->radius;
    if (isSmaller && meets(scenes::boxOf(object), token)) smallest = &object;
  }
  return smallest;
}

}  // namespace

template <class T>
void describePlaces(const scenes::Scene& scene, const Configuration& configuration, std::span<T> values) {
  const Index across = configuration.tokensAcross();
  const float side = scenes::kPictureSize / static_cast<float>(across);
  std::fill(values.begin(), values.end(), std::numeric_limits<T>::quiet_NaN());
  auto value = values.begin();
  for (Index token = 0; token < configuration.tokens(); ++token) {
    const Index row = token / across;
    const float left = static_cast<float>(token % across) * side;
    const float top = static_cast<float>(row) * side;
    const scenes::Object* object = objectAt(scene, {left, top, left + side, top + side});
    *value = object != nullptr ? T(1) : T(-1);
    if (object != nullptr) {
      const auto shape = value + 1;
      std::fill(shape, shape + scenes::kShapeKinds, T(0));
      shape[static_cast<std::ptrdiff_t>(object->shape)] = T(2);
      const auto geometry = shape + scenes::kShapeKinds;
      geometry[0] = static_cast<T>((object->x - left - side / 2) / kUnit);
      geometry[1] = static_cast<T>((object->y - top - side / 2) / kUnit);
      geometry[2] = static_cast<T>((object->radius - kMiddleRadius) / kUnit);
    }
    value += kPlaceValues;
  }
}

template void describePlaces(const scenes::Scene&, const Configuration&, std::span<float>);
template void describePlaces(const scenes::Scene&, const Configuration&, std::span<double>);

}  // namespace cross_attention::denoiser
