#include <algorithm>
#include <limits>
#include <map>

#include "core/error.hpp"
#include "core/text.hpp"
#include "weights/header_reader.hpp"
#include "weights/safetensors.hpp"
#include "weights/stored_types.hpp"

namespace cross_attention::weights {

namespace {

/// Maximum header size, the same as in the reference implementation.
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;

[[noreturn]] void failTensor(const std::string& name, std::initializer_list<TextPart> problem) {
  failWeights({"tensor '", shortened(name), "' of the file ", text(problem)});
}

std::uint64_t readLength(std::span<const std::byte> file) {
  std::uint64_t length = 0;
  for (std::size_t byte = 0; byte < kLengthBytes; ++byte) {
    length |= static_cast<std::uint64_t>(file[byte]) << (8 * byte);
  }
  return length;
}

/// Returns true and the product, or false if it does not fit in 64 bits.
bool multiply(std::uint64_t& product, std::uint64_t factor) {
  if (factor != 0 && product > std::numeric_limits<std::uint64_t>::max() / factor) return false;
  product *= factor;
  return true;
}

/// Checks one entry: its dtype, its shape, and that its offsets enclose the number of bytes that these imply.
TensorInfo toInfo(HeaderEntry&& entry) {
  const StoredType* type = findStoredType(entry.dtype);
  if (type == nullptr) failTensor(entry.name, {"has the unknown dtype '", shortened(entry.dtype), "'"});
  // In the order of the reference implementation, where a leading 0 makes any other dimension valid.
  std::uint64_t bits = 1;
  bool fits = true;
  for (const std::uint64_t dimension : entry.shape) fits = fits && multiply(bits, dimension);
  fits = fits && multiply(bits, static_cast<std::uint64_t>(type->bits));
  if (!fits) failTensor(entry.name, {"has a shape that is too large"});
  const std::uint64_t begin = entry.offsets[0];
  const std::uint64_t end = entry.offsets[1];
  if (bits % 8 != 0) failTensor(entry.name, {"has ", bits, " bits; expected whole bytes"});
  if (begin > end || bits / 8 != end - begin) {
    failTensor(entry.name,
               {"has ", bits / 8, " bytes by its shape, but data_offsets [", begin, ", ", end, "]"});
  }
  return {std::move(entry.name), std::move(entry.dtype), std::move(entry.shape), begin, end};
}

/// Returns the entries without those whose name occurs again later, as a JSON object with equal keys is read.
std::vector<HeaderEntry> withoutRepeated(std::vector<HeaderEntry> entries) {
  std::map<std::string_view, std::size_t> last;
  for (std::size_t index = 0; index < entries.size(); ++index) last[entries[index].name] = index;
  if (last.size() == entries.size()) return entries;
  std::vector<HeaderEntry> kept;
  for (std::size_t index = 0; index < entries.size(); ++index) {
    if (last[entries[index].name] == index) kept.push_back(entries[index]);
  }
  return kept;
}

/// Checks that the tensors' bytes cover the data without overlaps or holes.
void checkCoverage(const std::vector<TensorInfo>& tensors, std::uint64_t dataBytes) {
  std::multimap<std::pair<std::uint64_t, std::uint64_t>, const TensorInfo*> sorted;
  for (const TensorInfo& tensor : tensors) sorted.insert({{tensor.begin, tensor.end}, &tensor});
  std::uint64_t expected = 0;
  for (const auto& [offsets, tensor] : sorted) {
    if (offsets.first != expected) {
      failTensor(tensor->name, {"begins at byte ", offsets.first,
                                offsets.first < expected ? " within another tensor"
                                                         : " after bytes that belong to no tensor"});
    }
    expected = offsets.second;
  }
  if (expected != dataBytes && dataBytes != kUnknownBytes) {
    failWeights({"the file has ", dataBytes, " bytes of data; its tensors have ", expected});
  }
}

}  // namespace

bool isSameShape(const StoredShape& stored, const Shape& shape) {
  return std::equal(
      stored.begin(), stored.end(), shape.begin(), shape.end(),
      [](std::uint64_t left, Index right) { return left == static_cast<std::uint64_t>(right); });
}

std::string toString(const StoredShape& shape) {
  std::string result = "[";
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    constexpr std::size_t kMaxShown = 8;
    if (axis == kMaxShown) return result + ", …]";
    result += text({axis == 0 ? "" : ", ", shape[axis]});
  }
  return result + "]";
}

std::vector<TensorInfo> readHeader(std::span<const char> json, std::uint64_t dataBytes, Metadata* metadata) {
  std::vector<TensorInfo> tensors;
  for (HeaderEntry& entry : withoutRepeated(parseHeader(json, metadata))) {
    tensors.push_back(toInfo(std::move(entry)));
  }
  checkCoverage(tensors, dataBytes);
  return tensors;
}

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
  const std::span<const std::byte> data = file.subspan(kLengthBytes + headerBytes);
  std::vector<StoredTensor> tensors;
  for (TensorInfo& info : readHeader({header, headerBytes}, data.size(), metadata)) {
    const auto bytes =
        data.subspan(static_cast<std::size_t>(info.begin), static_cast<std::size_t>(info.end - info.begin));
    tensors.push_back({std::move(info), bytes});
  }
  return tensors;
}

}  // namespace cross_attention::weights
