#include <emscripten/bind.h>

#include "embind/bytes.hpp"
#include "embind/push.hpp"
#include "layer/diffusion_cross_attention.hpp"
#include "weights/safetensors.hpp"

namespace cross_attention::embind {

namespace {

using emscripten::allow_raw_pointers;
using emscripten::val;
using layer::DiffusionCrossAttention;
using weights::StoredTensor;

/// Returns [names, dtypes, numbers, metadata]. `numbers` has begin, end, rank and shape of each tensor, and
/// metadata each name and its value. `bytes`: the header without its length. `dataBytes`: -1 if unknown.
val readHeader(const Bytes& bytes, double dataBytes) {
  weights::Metadata metadata;
  const auto tensors = weights::readHeader(
      {reinterpret_cast<const char*>(bytes.data()), bytes.size()},
      dataBytes < 0 ? weights::kUnknownBytes : static_cast<std::uint64_t>(dataBytes), &metadata);
  std::vector<std::string> names;
  std::vector<std::string> types;
  std::vector<double> numbers;
  for (const weights::TensorInfo& tensor : tensors) {
    names.push_back(tensor.name);
    types.push_back(tensor.dtype);
    for (const std::uint64_t number : {tensor.begin, tensor.end, std::uint64_t{tensor.shape.size()}}) {
      numbers.push_back(static_cast<double>(number));
    }
    for (const std::uint64_t dimension : tensor.shape) numbers.push_back(static_cast<double>(dimension));
  }
  std::vector<std::string> pairs;
  for (const auto& [name, value] : metadata) {
    pairs.push_back(name);
    pairs.push_back(value);
  }
  const val result = val::array();
  push(result, val::array(names));
  push(result, val::array(types));
  push(result, val::array(numbers));
  push(result, val::array(pairs));
  return result;
}

/// Returns `size` bytes of a stored tensor.
StoredTensor partOf(const std::string& name, const std::string& dtype, const Bytes& bytes, double size) {
  return {{name, dtype, {}}, {bytes.data(), static_cast<std::size_t>(size)}};
}

/// Returns the elements that bytes of a stored tensor decode to, from an offset on.
template <class T>
std::span<T> targetOf(std::span<T> all, double offset, double count) {
  return all.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(count));
}

/// Decodes the first `size` bytes to `count` elements of a tensor. Converts integers to float32.
template <class T>
void decode(Tensor<T>& tensor, double offset, double count, const std::string& name, const std::string& dtype,
            const Bytes& bytes, double size) {
  const StoredTensor part = partOf(name, dtype, bytes, size);
  const std::span<T> values = targetOf(std::span<T>(tensor.begin(), tensor.end()), offset, count);
  if constexpr (sizeof(T) == 4) {
    weights::decodeNumbers(part, values);
  } else {
    weights::decode(part, values);
  }
}

/// As decode, into the parameter of this number in the order of the layer's names. Allocates nothing, so that
/// a load is complete or not begun: names of parameters are too long for a string without memory.
template <class T>
void load(DiffusionCrossAttention<T>& layer, int parameter, double offset, double count,
          const std::string& dtype, const Bytes& bytes, double size) {
  const layer::ParameterId id = layer.parameters().layout().ids()[static_cast<std::size_t>(parameter)];
  weights::decode(partOf("", dtype, bytes, size), targetOf(layer.overwriteParameter(id), offset, count));
}

// The caller owns returned pointers: JavaScript deletes them.

template <class T>
Bytes* save(const DiffusionCrossAttention<T>& layer, const std::string& prefix, const std::string& dtype) {
  std::vector<weights::NamedValues<T>> all;
  for (const layer::ParameterId id : layer.parameters().layout().ids()) {
    all.push_back({prefix + std::string(layer::nameOf(id)), layer.parameters().shape(id),
                   layer.parameters().values(id)});
  }
  return new Bytes(weights::writeSafetensors<T>(all, dtype));
}

}  // namespace

EMSCRIPTEN_BINDINGS(weights) {
  emscripten::function("readHeader", &readHeader);
  emscripten::function("decodeFloat32", &decode<float>);
  emscripten::function("decodeFloat64", &decode<double>);
  emscripten::function("loadFloat32", &load<float>);
  emscripten::function("loadFloat64", &load<double>);
  emscripten::function("saveFloat32", &save<float>, allow_raw_pointers());
  emscripten::function("saveFloat64", &save<double>, allow_raw_pointers());
}

}  // namespace cross_attention::embind
