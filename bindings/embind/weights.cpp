#include <emscripten/bind.h>

#include <list>

#include "embind/arrays.hpp"
#include "embind/bytes.hpp"
#include "weights/loading.hpp"
#include "weights/safetensors.hpp"

namespace cross_attention::embind {

namespace {

using emscripten::allow_raw_pointers;
using emscripten::val;
using layer::DiffusionCrossAttention;
using weights::Candidate;
using weights::StoredTensor;

/// A parsed safetensors file, which owns its bytes.
struct WeightFile {
  explicit WeightFile(Bytes content) : bytes(std::move(content)), tensors(weights::readSafetensors(bytes)) {}

  Bytes bytes;
  std::vector<StoredTensor> tensors;
};

/// The named tensors of one loadWeights call, and the parameters that they map to. Added tensors and files
/// must outlive it.
struct Candidates {
  struct Named {
    StoredTensor tensor;
    std::string parameter;
  };
  std::list<Named> all;
};

// The caller owns returned pointers: JavaScript deletes them.

WeightFile* readFile(Bytes& bytes) { return new WeightFile(std::move(bytes)); }

val namesOf(const WeightFile& file) {
  std::vector<std::string> names;
  for (const StoredTensor& tensor : file.tensors) names.push_back(tensor.name);
  return val::array(names);
}

Candidates* createCandidates() { return new Candidates; }

/// Treats a tensor in memory like one in a file.
template <class T>
void addTensor(Candidates& candidates, const std::string& name, const std::string& parameter,
               const Tensor<T>& tensor) {
  const std::span<const T> values(tensor.begin(), tensor.end());
  candidates.all.push_back(
      {{name, sizeof(T) == 4 ? "F32" : "F64", tensor.shape(), std::as_bytes(values)}, parameter});
}

void addStored(Candidates& candidates, const std::string& parameter, const WeightFile& file, int index) {
  candidates.all.push_back({file.tensors[static_cast<std::size_t>(index)], parameter});
}

/// Returns the names of the loaded parameters.
template <class T>
val load(const Candidates& candidates, DiffusionCrossAttention<T>& layer, bool strict) {
  std::vector<Candidate<T>> all;
  for (const auto& [tensor, parameter] : candidates.all) {
    all.push_back({{tensor.name, parameter, tensor.shape},
                   [&tensor](std::span<T> values) { weights::decode(tensor, values); }});
  }
  return val::array(weights::loadWeights<T>(layer, all, strict).loaded);
}

template <class T>
Bytes* save(const DiffusionCrossAttention<T>& layer, const std::string& prefix, const std::string& dtype) {
  std::array<weights::NamedValues<T>, layer::kParameterCount> all;
  for (Index index = 0; index < layer::kParameterCount; ++index) {
    const auto id = static_cast<layer::ParameterId>(index);
    all[static_cast<std::size_t>(index)] = {prefix + std::string(layer::nameOf(id)),
                                            layer.parameters().shape(id), layer.parameters().values(id)};
  }
  return new Bytes(weights::writeSafetensors<T>(all, dtype));
}

}  // namespace

EMSCRIPTEN_BINDINGS(weights) {
  emscripten::class_<WeightFile>("WeightFile")
      .class_function("read", &readFile, allow_raw_pointers())
      .function("names", &namesOf);
  emscripten::class_<Candidates>("Candidates")
      .class_function("create", &createCandidates, allow_raw_pointers())
      .function("addFloat32", &addTensor<float>)
      .function("addFloat64", &addTensor<double>)
      .function("addStored", &addStored)
      .function("loadFloat32", &load<float>)
      .function("loadFloat64", &load<double>);
  emscripten::function("saveFloat32", &save<float>, allow_raw_pointers());
  emscripten::function("saveFloat64", &save<double>, allow_raw_pointers());
}

}  // namespace cross_attention::embind
