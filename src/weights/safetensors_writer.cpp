#include <cstdint>
#include <cstring>
#include <string_view>

#include "core/error.hpp"
#include "core/text.hpp"
#include "weights/half.hpp"
#include "weights/safetensors.hpp"
#include "weights/stored_types.hpp"

namespace cross_attention::weights {

namespace {

/// A tensor's entry in the header, independent of its type.
struct Entry {
  const std::string* name;
  const Shape* shape;
};

/// Quotes a string for JSON.
std::string quoted(std::string_view name) {
  std::string result = "\"";
  for (const char character : name) {
    constexpr std::string_view kHexadecimal = "0123456789abcdef";
    const auto code = static_cast<unsigned char>(character);
    if (code < 0x20) {
      result += "\\u00";
      result += kHexadecimal[code >> 4];
      result += kHexadecimal[code & 15];
      continue;
    }
    if (character == '"' || character == '\\') result += '\\';
    result += character;
  }
  return result + '"';
}

/// Handwritten because RapidJSON's writer would add 2 KB to the download.
std::string header(const std::vector<Entry>& entries, const StoredType& type, const Metadata& metadata) {
  std::string result = R"({"__metadata__":{"format":"pt")";
  for (const auto& [name, value] : metadata) {
    result += text({",", quoted(name), ":", quoted(value)});
  }
  result += '}';
  std::int64_t offset = 0;
  for (const auto& [name, shape] : entries) {
    const std::int64_t end = offset + std::int64_t{shape->size()} * (type.bits / 8);
    result += text({",", quoted(*name), R"(:{"dtype":")", type.name, R"(","shape":)", *shape,
                    R"(,"data_offsets":[)", offset, ",", end, "]}"});
    offset = end;
  }
  result += '}';
  // Padded with spaces, so that the data begin at a multiple of 8 bytes.
  result.resize((result.size() + 7) / 8 * 8, ' ');
  return result;
}

/// Returns a file with length and header written and space for the data, which begin at `position`.
std::vector<std::byte> beginFile(const std::vector<Entry>& entries, const StoredType& type,
                                 const Metadata& metadata, std::size_t& position) {
  const std::string json = header(entries, type, metadata);
  position = kLengthBytes + json.size();
  std::size_t size = position;
  for (const Entry& entry : entries) {
    size += static_cast<std::size_t>(entry.shape->size() * (type.bits / 8));
  }
  std::vector<std::byte> file(size);
  for (std::size_t byte = 0; byte < kLengthBytes; ++byte) {
    file[byte] = static_cast<std::byte>(static_cast<std::uint64_t>(json.size()) >> (8 * byte));
  }
  std::memcpy(file.data() + kLengthBytes, json.data(), json.size());
  return file;
}

const StoredType& writableType(const std::string& dtype) {
  if (dtype != "F32" && dtype != "F64" && dtype != "F16" && dtype != "BF16") {
    failArgument({"dtype is '", dtype, "'; expected 'F32', 'F16', 'BF16' or 'F64'"});
  }
  return *findStoredType(dtype);
}

/// Writes the values, and returns the end of what it wrote.
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
std::vector<std::byte> writeSafetensors(std::span<const NamedValues<T>> tensors, const std::string& dtype,
                                        const Metadata& metadata) {
  const StoredType& type = writableType(dtype);
  std::vector<Entry> entries;
  for (const NamedValues<T>& tensor : tensors) entries.push_back({&tensor.name, &tensor.shape});
  std::size_t position = 0;
  std::vector<std::byte> file = beginFile(entries, type, metadata, position);
  std::byte* destination = file.data() + position;
  for (const NamedValues<T>& tensor : tensors) {
    destination = writeAs(destination, tensor.values, type);
  }
  return file;
}

template std::vector<std::byte> writeSafetensors(std::span<const NamedValues<float>>, const std::string&,
                                                 const Metadata&);
template std::vector<std::byte> writeSafetensors(std::span<const NamedValues<double>>, const std::string&,
                                                 const Metadata&);

}  // namespace cross_attention::weights
