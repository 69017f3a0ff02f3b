#include <emscripten/bind.h>

#include "embind/errors.hpp"
#include "weights/loading.hpp"
#include "weights/safetensors.hpp"

namespace cross_attention::embind {

namespace {

using emscripten::val;
using layer::DiffusionCrossAttention;
using weights::Candidate;

/// A file's bytes in WebAssembly's memory.
class Bytes {
 public:
  explicit Bytes(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
  static Bytes allocate(double size) {
    return guarded([&] { return Bytes(std::vector<std::byte>(static_cast<std::size_t>(size))); });
  }
  std::span<const std::byte> span() const { return bytes_; }
  val view() {
    return val(emscripten::typed_memory_view(bytes_.size(),
                                             reinterpret_cast<unsigned char*>(bytes_.data())));
  }

 private:
  std::vector<std::byte> bytes_;
};

/// A safetensors file that was read; owns its bytes.
class WeightFile {
 public:
  static WeightFile* read(Bytes& bytes) {
    return guarded([&] { return new WeightFile(std::move(bytes)); });
  }
  val names() const {
    val names = val::array();
    for (const weights::StoredTensor& tensor : tensors_) names.call<void>("push", tensor.name);
    return names;
  }
  const weights::StoredTensor& at(int index) const {
    return tensors_[static_cast<std::size_t>(index)];
  }

 private:
  explicit WeightFile(Bytes bytes)
      : bytes_(std::move(bytes)), tensors_(weights::readSafetensors(bytes_.span())) {}

  Bytes bytes_;
  std::vector<weights::StoredTensor> tensors_;
};

/// The named tensors of one loadWeights. What is added must outlive it.
template <class T>
class Candidates {
 public:
  template <class U>
  void add(const std::string& name, const val& parameter, const Tensor<U>& tensor) {
    guarded([&] {
      all_.push_back(
          {{name, toParameter(parameter), tensor.shape()}, [tensor](std::span<T> values) {
             std::transform(tensor.begin(), tensor.end(), values.begin(),
                            [](U value) { return static_cast<T>(value); });
           }});
    });
  }
  void addStored(const std::string& name, const val& parameter, const WeightFile& file, int index) {
    guarded([&] {
      const weights::StoredTensor& stored = file.at(index);
      all_.push_back({{name, toParameter(parameter), stored.shape},
                      [&stored](std::span<T> values) { weights::decode(stored, values); }});
    });
  }
  /// {loaded: parameter names, skipped: names that no parameter has}
  val load(DiffusionCrossAttention<T>& layer, bool strict) const {
    return guarded([&] {
      const weights::LoadReport report =
          weights::loadWeights<T>(layer, std::span<const Candidate<T>>(all_), strict);
      val result = val::object();
      result.set("loaded", val::array(report.loaded));
      result.set("skipped", val::array(report.skipped));
      return result;
    });
  }

 private:
  static std::optional<std::string> toParameter(const val& parameter) {
    if (parameter.isNull()) return std::nullopt;
    return parameter.as<std::string>();
  }

  std::vector<Candidate<T>> all_;
};

template <class T>
Bytes save(const DiffusionCrossAttention<T>& layer, const std::string& prefix,
           const std::string& dtype) {
  return guarded([&] {
    std::vector<weights::NamedValues<T>> all;
    for (Index index = 0; index < layer::kParameterCount; ++index) {
      const auto id = static_cast<layer::ParameterId>(index);
      all.push_back({prefix + std::string(layer::nameOf(id)), layer.parameters().shape(id),
                     layer.parameters().values(id)});
    }
    return Bytes(
        weights::writeSafetensors<T>(std::span<const weights::NamedValues<T>>(all), dtype));
  });
}

template <class T>
void bindCandidates(const char* name) {
  emscripten::class_<Candidates<T>>(name)
      .template constructor<>()
      .function("addFloat32", &Candidates<T>::template add<float>)
      .function("addFloat64", &Candidates<T>::template add<double>)
      .function("addStored", &Candidates<T>::addStored)
      .function("load", &Candidates<T>::load);
}

}  // namespace

EMSCRIPTEN_BINDINGS(weights) {
  emscripten::class_<Bytes>("Bytes")
      .class_function("allocate", &Bytes::allocate)
      .function("view", &Bytes::view);
  emscripten::class_<WeightFile>("WeightFile")
      .class_function("read", &WeightFile::read, emscripten::allow_raw_pointers())
      .function("names", &WeightFile::names);
  bindCandidates<float>("CandidatesFloat32");
  bindCandidates<double>("CandidatesFloat64");
  emscripten::function("saveFloat32", &save<float>);
  emscripten::function("saveFloat64", &save<double>);
}

}  // namespace cross_attention::embind
