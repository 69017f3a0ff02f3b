#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <cstdint>
#include <cstring>

#include "core/error.hpp"
#include "core/text.hpp"
#include "weights/half.hpp"
#include "weights/safetensors.hpp"
#include "weights/stored_types.hpp"

namespace cross_attention::weights {

namespace {

/// What the header tells of a tensor, whatever its type.
struct Entry {
  const std::string* name;
  const Shape* shape;
};

std::string header(const std::vector<Entry>& entries, const StoredType& type) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  writer.StartObject();
  writer.Key("__metadata__");
  writer.StartObject();
  writer.Key("format");
  writer.String("pt");
  writer.EndObject();
  std::uint64_t offset = 0;
  for (const auto& [name, shape] : entries) {
    writer.Key(name->data(), static_cast<rapidjson::SizeType>(name->size()));
    writer.StartObject();
    writer.Key("dtype");
    writer.String(type.name.data(), static_cast<rapidjson::SizeType>(type.name.size()));
    writer.Key("shape");
    writer.StartArray();
    for (const Index dimension : *shape) writer.Uint64(static_cast<std::uint64_t>(dimension));
    writer.EndArray();
    writer.Key("data_offsets");
    writer.StartArray();
    writer.Uint64(offset);
    offset += static_cast<std::uint64_t>(shape->size() * type.bytes);
    writer.Uint64(offset);
    writer.EndArray();
    writer.EndObject();
  }
  writer.EndObject();
  std::string text(buffer.GetString(), buffer.GetSize());
  // Padded with spaces, so that the data begin at a multiple of 8 bytes.
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

template <class T, class Convert>
void append(std::vector<std::byte>& bytes, std::span<const T> values, Convert convert) {
  using Stored = decltype(convert(T()));
  std::size_t position = bytes.size();
  bytes.resize(position + values.size() * sizeof(Stored));
  for (const T value : values) {
    const Stored stored = convert(value);
    std::memcpy(bytes.data() + position, &stored, sizeof stored);
    position += sizeof stored;
  }
}

template <class T>
void appendAs(std::vector<std::byte>& bytes, std::span<const T> values, const StoredType& type) {
  if (type.name == "F32") {
    append(bytes, values, [](T value) { return static_cast<float>(value); });
  } else if (type.name == "F64") {
    append(bytes, values, [](T value) { return static_cast<double>(value); });
  } else if (type.name == "F16") {
    append(bytes, values, [](T value) { return toHalf(toFloatForHalf(value)); });
  } else {
    append(bytes, values, [](T value) { return toBfloat(toFloatForHalf(value)); });
  }
}

}  // namespace

template <class T>
std::vector<std::byte> writeSafetensors(std::span<const NamedValues<T>> tensors,
                                        const std::string& dtype) {
  if (dtype != "F32" && dtype != "F64" && dtype != "F16" && dtype != "BF16") {
    failArgument(text({"dtype is '", dtype, "'; it takes 'F32', 'F16', 'BF16' or 'F64'"}));
  }
  const StoredType& type = *findStoredType(dtype);
  std::vector<Entry> entries;
  for (const NamedValues<T>& tensor : tensors) entries.push_back({&tensor.name, &tensor.shape});
  const std::string text = header(entries, type);
  std::vector<std::byte> bytes;
  for (int byte = 0; byte < 8; ++byte) {
    bytes.push_back(static_cast<std::byte>(static_cast<std::uint64_t>(text.size()) >> (8 * byte)));
  }
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  bytes.insert(bytes.end(), begin, begin + text.size());
  for (const NamedValues<T>& tensor : tensors) appendAs(bytes, tensor.values, type);
  return bytes;
}

template std::vector<std::byte> writeSafetensors(std::span<const NamedValues<float>>,
                                                 const std::string&);
template std::vector<std::byte> writeSafetensors(std::span<const NamedValues<double>>,
                                                 const std::string&);

}  // namespace cross_attention::weights
