#include <cstring>
#include <limits>
#include <set>

#include "core/error.hpp"
#include "core/text.hpp"
#include "weights/half.hpp"
#include "weights/header_reader.hpp"
#include "weights/safetensors.hpp"
#include "weights/stored_types.hpp"

namespace cross_attention::weights {

namespace {

/// Maximum header size, the same as in the reference implementation.
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;

[[noreturn]] void failTensor(const std::string& name, std::initializer_list<TextPart> problem) {
  failWeights({"tensor '", name, "' of the file ", text(problem)});
}

std::uint64_t readLength(std::span<const std::byte> file) {
  std::uint64_t length = 0;
  for (std::size_t byte = 0; byte < kLengthBytes; ++byte) {
    length |= static_cast<std::uint64_t>(file[byte]) << (8 * byte);
  }
  return length;
}

/// Checks one entry: its dtype, its shape, and that its offsets enclose the number of bytes that these imply.
StoredTensor toTensor(const HeaderEntry& entry, std::span<const std::byte> data) {
  const StoredType* type = findStoredType(entry.dtype);
  if (type == nullptr) failTensor(entry.name, {"has the unknown dtype '", entry.dtype, "'"});
  const std::uint64_t begin = entry.offsets[0];
  const std::uint64_t end = entry.offsets[1];
  if (begin > end || end > data.size()) {
    failTensor(entry.name,
               {"has data_offsets [", begin, ", ", end, "]; the file has ", data.size(), " bytes of data"});
  }
  std::vector<std::int64_t> dimensions;
  std::uint64_t bytes = static_cast<std::uint64_t>(type->bytes);
  for (const std::uint64_t dimension : entry.shape) {
    if (dimension > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) ||
        (dimension != 0 && bytes > std::numeric_limits<std::uint64_t>::max() / dimension)) {
      failTensor(entry.name, {"has a shape that is too large"});
    }
    bytes *= dimension;
    dimensions.push_back(static_cast<std::int64_t>(dimension));
  }
  if (bytes != end - begin) {
    failTensor(entry.name, {"has ", bytes, " bytes by its shape, but ", end - begin, " by its data_offsets"});
  }
  try {
    return {entry.name, entry.dtype, Shape::checked(dimensions, "shape"),
            data.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin))};
  } catch (const Error& error) {
    failTensor(entry.name, {"is invalid: ", error.message()});
  }
}

using Entries = std::vector<const HeaderEntry*>;

/// Function pointers, so that both orders share one set type.
bool liesBefore(const HeaderEntry* left, const HeaderEntry* right) { return left->offsets < right->offsets; }
bool isNamedBefore(const HeaderEntry* left, const HeaderEntry* right) { return left->name < right->name; }
auto sorted(const Entries& entries, bool (*before)(const HeaderEntry*, const HeaderEntry*)) {
  return std::multiset<const HeaderEntry*, decltype(before)>(entries.begin(), entries.end(), before);
}

/// Checks that the tensors' bytes cover the data without overlaps or holes.
void checkCoverage(const Entries& entries, std::size_t dataBytes) {
  std::uint64_t expected = 0;
  for (const HeaderEntry* entry : sorted(entries, liesBefore)) {
    const std::uint64_t begin = entry->offsets[0];
    if (begin != expected) {
      failTensor(entry->name,
                 {"begins at byte ", begin,
                  begin < expected ? " within another tensor" : " after bytes that belong to no tensor"});
    }
    expected = entry->offsets[1];
  }
  if (expected != dataBytes) {
    failWeights({"the file ends with ", dataBytes - expected, " bytes that belong to no tensor"});
  }
}

void checkNames(const Entries& entries) {
  const HeaderEntry* last = nullptr;
  for (const HeaderEntry* entry : sorted(entries, isNamedBefore)) {
    if (last != nullptr && last->name == entry->name) failTensor(entry->name, {"occurs twice"});
    last = entry;
  }
}

template <class Stored, class T, class Convert>
void decodeAs(std::span<const std::byte> bytes, std::span<T> values, Convert convert) {
  for (std::size_t index = 0; index < values.size(); ++index) {
    // Copied because a tensor may begin at any byte.
    Stored stored;
    std::memcpy(&stored, bytes.data() + index * sizeof stored, sizeof stored);
    values[index] = static_cast<T>(convert(stored));
  }
}

}  // namespace

std::vector<StoredTensor> readSafetensors(std::span<const std::byte> file, Metadata* metadata) {
  if (file.size() < kLengthBytes) {
    failWeights({"the file is not a safetensors file: it has ", file.size(),
                 " bytes; expected at least 8 for the header length"});
  }
  const std::uint64_t length = readLength(file);
  if (length > kMaxHeaderBytes || length > file.size() - kLengthBytes) {
    failWeights({"the file is not a safetensors file: its header length is ", length, "; the file has ",
                 file.size(), " bytes"});
  }
  const auto headerBytes = static_cast<std::size_t>(length);
  const char* header = reinterpret_cast<const char*>(file.data()) + kLengthBytes;
  if (headerBytes == 0 || header[0] != '{') {
    failWeights({"the file is not a safetensors file: its header does not begin with '{'"});
  }
  const std::vector<HeaderEntry> entries = readHeader({header, headerBytes}, metadata);
  const std::span<const std::byte> data = file.subspan(kLengthBytes + headerBytes);
  std::vector<StoredTensor> tensors;
  Entries pointers;
  for (const HeaderEntry& entry : entries) {
    tensors.push_back(toTensor(entry, data));
    pointers.push_back(&entry);
  }
  checkNames(pointers);
  checkCoverage(pointers, data.size());
  return tensors;
}

template <class T>
void decode(const StoredTensor& tensor, std::span<T> values) {
  const auto same = [](auto value) { return value; };
  if (tensor.dtype == "F32") {
    decodeAs<float>(tensor.bytes, values, same);
  } else if (tensor.dtype == "F64") {
    decodeAs<double>(tensor.bytes, values, same);
  } else if (tensor.dtype == "F16") {
    decodeAs<std::uint16_t>(tensor.bytes, values, fromHalf);
  } else if (tensor.dtype == "BF16") {
    decodeAs<std::uint16_t>(tensor.bytes, values, fromBfloat);
  } else {
    failTensor(tensor.name, {"has dtype ", tensor.dtype, "; expected F64, F32, F16 or BF16 for a parameter"});
  }
}

template void decode(const StoredTensor&, std::span<float>);
template void decode(const StoredTensor&, std::span<double>);

}  // namespace cross_attention::weights
