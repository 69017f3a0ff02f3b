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

constexpr std::size_t kLengthBytes = 8;

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

/// Length and header, and room for the data; `position` becomes where those begin.
std::vector<std::byte> beginFile(const std::vector<Entry>& entries, const StoredType& type,
                                 std::size_t& position) {
  const std::string text = header(entries, type);
  position = kLengthBytes + text.size();
  std::size_t size = position;
  for (const Entry& entry : entries) {
    size += static_cast<std::size_t>(entry.shape->size() * type.bytes);
  }
  std::vector<std::byte> file(size);
  for (std::size_t byte = 0; byte < kLengthBytes; ++byte) {
    file[byte] = static_cast<std::byte>(static_cast<std::uint64_t>(text.size()) >> (8 * byte));
  }
  std::memcpy(file.data() + kLengthBytes, text.data(), text.size());
  return file;
}

const StoredType& writableType(const std::string& dtype) {
  if (dtype != "F32" && dtype != "F64" && dtype != "F16" && dtype != "BF16") {
    failArgument({"dtype is '", dtype, "'; it takes 'F32', 'F16', 'BF16' or 'F64'"});
  }
  return *findStoredType(dtype);
}

/// Writes the values one after another; returns where the next ones go.
template <class T, class Convert>
std::byte* write(std::byte* destination, std::span<const T> values, Convert convert) {
  for (const T value : values) {
    const auto stored = convert(value);
    std::memcpy(destination, &stored, sizeof stored);
    destination += sizeof stored;
  }
  return destination;
}

template <class T>
std::byte* writeAs(std::byte* destination, std::span<const T> values, const StoredType& type) {
  if (type.name == "F32") {
    return write(destination, values, [](T value) { return static_cast<float>(value); });
  }
  if (type.name == "F64") {
    return write(destination, values, [](T value) { return static_cast<double>(value); });
  }
  const bool isHalf = type.name == "F16";
  return write(destination, values, [isHalf](T value) {
    const float rounded = toFloatForHalf(value);
    return isHalf ? toHalf(rounded) : toBfloat(rounded);
  });
}

}  // namespace

template <class T>
std::vector<std::byte> writeSafetensors(std::span<const NamedValues<T>> tensors,
                                        const std::string& dtype) {
  const StoredType& type = writableType(dtype);
  std::vector<Entry> entries;
  for (const NamedValues<T>& tensor : tensors) entries.push_back({&tensor.name, &tensor.shape});
  std::size_t position = 0;
  std::vector<std::byte> file = beginFile(entries, type, position);
  std::byte* destination = file.data() + position;
  for (const NamedValues<T>& tensor : tensors) {
    destination = writeAs(destination, tensor.values, type);
  }
  return file;
}

template std::vector<std::byte> writeSafetensors(std::span<const NamedValues<float>>,
                                                 const std::string&);
template std::vector<std::byte> writeSafetensors(std::span<const NamedValues<double>>,
                                                 const std::string&);

}  // namespace cross_attention::weights
