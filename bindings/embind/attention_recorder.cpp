#include "layer/attention_recorder.hpp"

#include <emscripten/bind.h>

#include "embind/arrays.hpp"
#include "layer/recording.hpp"

namespace cross_attention::embind {

namespace {

using emscripten::allow_raw_pointers;
using emscripten::val;
using layer::AttentionRecorder;

// The caller owns returned pointers: JavaScript deletes them.

/// `keys`: an array of indices for each group. Not vecFromJSArray, which needs types that are not registered.
AttentionRecorder* createRecorder(double size, const val& keys) {
  AttentionRecorder::Groups groups;
  const int count = keys["length"].as<int>();
  for (int group = 0; group < count; ++group) {
    groups.emplace_back();
    for (const std::int64_t key : toDimensions(keys[group])) groups.back().push_back(static_cast<Index>(key));
  }
  return new AttentionRecorder(static_cast<Index>(size), std::move(groups));
}

double recordedCalls(const AttentionRecorder& recorder) { return static_cast<double>(recorder.calls()); }

Tensor<float>* heatMap(const AttentionRecorder& recorder, double group, const val& names, bool normalize,
                       double width, double height) {
  std::vector<std::string> chosen;
  const int count = names["length"].as<int>();
  for (int name = 0; name < count; ++name) chosen.push_back(names[name].as<std::string>());
  return new Tensor<float>(recorder.heatMap(static_cast<Index>(group), chosen, normalize,
                                            static_cast<Index>(height), static_cast<Index>(width)));
}

layer::TokenLayout layoutOf(const val& input) {
  const Shape shape = Shape::checked(toDimensions(input), "input");
  return *layer::TokenLayout::ofInput(shape, shape[shape.rank() == 4 ? 1 : shape.rank() - 1]);
}

/// Throws as a recorded call does. `input`: the shape of an input that a layer supports.
void checkRecordedCall(AttentionRecorder& recorder, const val& input, double length, bool conditional) {
  layer::checkRecording({.recorder = &recorder, .name = "", .conditional = conditional}, layoutOf(input),
                        static_cast<Index>(length));
}

/// Adds a call that ran elsewhere. `sums`: [rows][groups][tokens], a Float32Array.
void addRecordedCall(AttentionRecorder& recorder, const std::string& name, const val& input, double heads,
                     double rows, const val& sums) {
  const Shape size = layer::mapSize(layoutOf(input));
  const std::vector<float> values = emscripten::convertJSArrayToNumberVector<float>(sums);
  recorder.sumsOf(name, size[0], size[1])
      ->add<float>(values, static_cast<Index>(heads), static_cast<Index>(rows));
}

void resetRecorder(AttentionRecorder& recorder) { recorder.reset(); }

}  // namespace

EMSCRIPTEN_BINDINGS(attention_recorder) {
  emscripten::class_<AttentionRecorder>("AttentionRecorder")
      .class_function("create", &createRecorder, allow_raw_pointers())
      .function("calls", &recordedCalls)
      .function("heatMap", &heatMap, allow_raw_pointers())
      .function("check", &checkRecordedCall)
      .function("add", &addRecordedCall)
      .function("reset", &resetRecorder);
}

}  // namespace cross_attention::embind
