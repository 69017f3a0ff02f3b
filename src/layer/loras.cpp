#include "layer/loras.hpp"

#include <algorithm>

#include "core/schedule.hpp"
#include "linalg/scaled_sum.hpp"

namespace cross_attention::layer {

namespace {

/// Rows of a weight that one task computes.
constexpr Index kLoraRowsPerTask = 16;

}  // namespace

template <class T>
bool Loras<T>::isActive() const {
  return std::ranges::any_of(loras_, [](const Lora& lora) { return lora.isActive(); });
}

template <class T>
bool Loras<T>::setScales(std::span<const double> scales, Parameters<T>& parameters) {
  if (std::ranges::equal(scales, loras_, {}, {}, &Lora::scale)) return false;
  bool active = false;
  for (std::size_t index = 0; index < loras_.size(); ++index) {
    active = active || (scales[index] != 0 && !loras_[index].updates.empty());
  }
  if (active) {
    parameters.requireEffective();
  } else {
    parameters.dropEffective();
  }
  for (std::size_t index = 0; index < loras_.size(); ++index) loras_[index].scale = scales[index];
  return true;
}

template <class T>
bool Loras<T>::remove(std::size_t index, Parameters<T>& parameters) {
  const bool wasActive = loras_[index].isActive();
  loras_.erase(loras_.begin() + static_cast<std::ptrdiff_t>(index));
  if (!isActive()) parameters.dropEffective();
  return wasActive;
}

template <class T>
void Loras<T>::clear(Parameters<T>& parameters) {
  loras_.clear();
  parameters.dropEffective();
}

template <class T>
void Loras<T>::computeRow(const Parameters<T>& parameters, ParameterId weight, Index row, double* sums,
                          T* target) const {
  const Index columns = parameters.shape(weight)[1];
  std::copy_n(parameters.values(weight).data() + row * columns, columns, sums);
  for (const Lora& lora : loras_) {
    if (lora.scale == 0) continue;
    for (const LoraUpdate<T>& update : lora.updates) {
      if (update.weight != weight) continue;
      const Index rank = update.up.shape()[1];
      const T* up = update.up.data() + row * rank;
      for (Index index = 0; index < rank; ++index) {
        linalg::addScaled(lora.scale * update.factor * static_cast<double>(up[index]),
                          update.down.data() + index * columns, columns, sums);
      }
    }
  }
  std::transform(sums, sums + columns, target, [](double sum) { return static_cast<T>(sum); });
}

template <class T>
void Loras<T>::refresh(Parameters<T>& parameters, const std::shared_ptr<Workspace>& workspace) {
  if (!parameters.hasEffective() || version_ == parameters.version()) return;
  Schedule schedule(workspace);
  const std::span<T> effective = parameters.mutableEffective();
  std::ranges::copy(parameters.values(), effective.begin());
  for (Index id = 0; id < kParameterCount; ++id) {
    const auto weight = static_cast<ParameterId>(id);
    const auto updatesWeight = [&](const LoraUpdate<T>& update) { return update.weight == weight; };
    if (std::ranges::none_of(loras_, [&](const Lora& lora) {
          return lora.isActive() && std::ranges::any_of(lora.updates, updatesWeight);
        })) {
      continue;
    }
    const Index rows = parameters.shape(weight)[0];
    const Index columns = parameters.shape(weight)[1];
    T* target = parameters.mutableEffective(weight).data();
    schedule.add(ceilDivide(rows, kLoraRowsPerTask), Scratch::bytesFor<double>(columns),
                 [=, this, &parameters](Index task, Scratch& scratch) {
                   double* sums = scratch.take<double>(columns);
                   const Index first = task * kLoraRowsPerTask;
                   for (Index row = first; row < std::min(rows, first + kLoraRowsPerTask); ++row) {
                     computeRow(parameters, weight, row, sums, target + row * columns);
                   }
                 });
  }
  schedule.run();
  version_ = parameters.version();
}

template <class T>
std::size_t Loras<T>::bytes() const {
  Index elements = 0;
  for (const Lora& lora : loras_) {
    for (const LoraUpdate<T>& update : lora.updates) elements += update.down.size() + update.up.size();
  }
  return static_cast<std::size_t>(elements) * sizeof(T);
}

template class Loras<float>;
template class Loras<double>;

}  // namespace cross_attention::layer
