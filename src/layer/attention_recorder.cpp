#include "layer/attention_recorder.hpp"

#include <algorithm>
#include <utility>

#include "core/error.hpp"
#include "layer/resize_bicubic.hpp"

namespace cross_attention::layer {

AttentionRecorder::AttentionRecorder(Index size, Groups groups)
    : size_(size), groups_(std::make_shared<const Groups>(std::move(groups))) {}

void AttentionRecorder::checkKeys(Index length) const {
  for (const auto& group : *groups_) {
    for (const Index key : group) {
      if (key >= length) {
        failArgument({"a group of the recorder has key ", key, "; expected keys below ", length,
                      ", the length of the context"});
      }
    }
  }
}

std::shared_ptr<AttentionRecorder::Sums> AttentionRecorder::sumsOf(std::string_view name, Index height,
                                                                   Index width) {
  const auto found = std::find_if(sums_.begin(), sums_.end(), [&](const auto& sums) {
    return sums->name == name && sums->height == height && sums->width == width;
  });
  std::shared_ptr<Sums> sums =
      found == sums_.end()
          ? std::make_shared<Sums>(Sums{.name = std::string(name), .height = height, .width = width})
          : *found;
  if (sums->values.empty()) {
    sums->values = Buffer<double>(ByteCount{static_cast<Index>(groups_->size())} * height * width);
    sums->values.clear();
  }
  if (found == sums_.end()) sums_.push_back(sums);
  return sums;
}

Index AttentionRecorder::calls() const {
  Index calls = 0;
  for (const auto& sums : sums_) calls += sums->calls;
  return calls;
}

void AttentionRecorder::checkNames(const std::vector<std::string>& names) const {
  if (calls() == 0) failArgument({"the recorder has recorded no call; expected calls with `record` before"});
  for (const std::string& name : names) {
    const bool isKnown = std::any_of(sums_.begin(), sums_.end(),
                                     [&](const auto& sums) { return sums->calls > 0 && sums->name == name; });
    if (!isKnown)
      failArgument({"names contains \"", shortened(name), "\"; expected names of recorded calls"});
  }
}

Tensor<float> AttentionRecorder::heatMap(Index group, const std::vector<std::string>& names, bool normalize,
                                         Index height, Index width) const {
  checkNames(names);
  const auto newMap = [](Index rows, Index columns) {
    Buffer<double> map(ByteCount{rows} * columns);
    map.clear();
    return map;
  };
  Buffer<double> mean = newMap(size_, size_);
  Buffer<double> map = newMap(size_, size_);
  Index maps = 0;
  for (const auto& sums : sums_) {
    if (sums->calls == 0) continue;
    if (!names.empty() && std::find(names.begin(), names.end(), sums->name) == names.end()) continue;
    ++maps;
    const double* values = sums->values.data() + group * sums->height * sums->width;
    resizeBicubic(linalg::rowMajor(values, sums->height, sums->width),
                  linalg::rowMajor(map.data(), size_, size_));
    // Without rows, all sums are 0. Not std::max, which would replace NaN by 0.
    const double weight = std::max(sums->weight, 1.0);
    std::transform(mean.begin(), mean.end(), map.begin(), mean.begin(),
                   [&](double sum, double value) { return sum + (value < 0 ? 0 : value / weight); });
  }
  const double maximum = *std::max_element(mean.begin(), mean.end());
  double divisor = static_cast<double>(maps);
  if (normalize && maximum > 0) divisor = maximum;
  std::for_each(mean.begin(), mean.end(), [&](double& value) { value /= divisor; });
  if (height != size_ || width != size_) {
    map = newMap(height, width);
    resizeBicubic(linalg::rowMajor(std::as_const(mean).data(), size_, size_),
                  linalg::rowMajor(map.data(), height, width));
    std::swap(map, mean);
  }
  Tensor<float> result(Shape{height, width});
  std::transform(mean.begin(), mean.end(), result.begin(),
                 [](double value) { return static_cast<float>(value); });
  return result;
}

}  // namespace cross_attention::layer
