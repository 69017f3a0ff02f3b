#include "weights/header_reader.hpp"

#include <charconv>
#include <string_view>

#include "core/error.hpp"
#include "core/text.hpp"
#include "weights/utf8.hpp"

namespace cross_attention::weights {
/// A parser's broken promise is an error of the file to us, never the end of the module. A function: there are many.
[[noreturn]] static void failParser() { failWeights({"the file's header is not valid JSON"}); }
}  // namespace cross_attention::weights

#define RAPIDJSON_ASSERT(condition)                             \
  do {                                                          \
    if (!(condition)) ::cross_attention::weights::failParser(); \
  } while (false)
#define RAPIDJSON_NOEXCEPT_ASSERT(condition) static_cast<void>(0)
#include <rapidjson/reader.h>

namespace cross_attention::weights {

namespace {

constexpr std::string_view kMetadataKey = "__metadata__";

/// Takes the parser's events; false stops it, with `problem` said.
class Handler : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, Handler> {
 public:
  std::vector<HeaderEntry> entries;
  std::string problem;
  Metadata* metadata;

  explicit Handler(Metadata* given) : metadata(given) {}

  // Whatever has no method of its own below has no place in a header.
  bool Default() { return stop("a value that has no place there"); }

  bool StartObject() {
    if (place_ == Place::kOutside) return enter(Place::kTop);
    if (place_ == Place::kTensorStart) return enter(Place::kTensor);
    if (place_ == Place::kMetadataStart) return enter(Place::kMetadata);
    return stop("an object that has no place there");
  }
  bool EndObject(rapidjson::SizeType) {
    if (place_ == Place::kTop) return enter(Place::kEnd);
    if (place_ == Place::kTensor && !(hasType_ && hasShape_ && hasOffsets_)) {
      return stop("without one of dtype, shape and data_offsets");
    }
    return enter(Place::kTop);
  }

  bool Key(const char* text, rapidjson::SizeType length, bool) {
    const std::string_view key(text, length);
    if (place_ == Place::kTop) {
      if (!isUtf8(key)) return stop("a name that is no UTF-8");
      if (key == kMetadataKey) return enter(Place::kMetadataStart);
      entries.push_back({std::string(key), {}, {}, {}});
      hasType_ = hasShape_ = hasOffsets_ = false;
      return enter(Place::kTensorStart);
    }
    if (place_ == Place::kMetadata) {
      if (metadata != nullptr) metadata->push_back({std::string(key), {}});
      return true;
    }
    if (key == "dtype" && !hasType_) return enter(Place::kType);
    if (key == "shape" && !hasShape_) return enter(Place::kShapeStart);
    if (key == "data_offsets" && !hasOffsets_) return enter(Place::kOffsetsStart);
    return stop("the key '", key, "', unknown or for the second time");
  }

  bool String(const char* text, rapidjson::SizeType length, bool) {
    if (place_ == Place::kMetadata) {
      if (metadata != nullptr) metadata->back().second.assign(text, length);
      return true;
    }
    if (place_ != Place::kType) return stop("a string that has no place there");
    entries.back().dtype.assign(text, length);
    hasType_ = true;
    return enter(Place::kTensor);
  }

  bool StartArray() {
    if (place_ == Place::kShapeStart) return enter(Place::kShape);
    if (place_ == Place::kOffsetsStart) return enter(Place::kOffsets);
    return stop("an array that has no place there");
  }
  bool EndArray(rapidjson::SizeType) {
    if (place_ == Place::kShape) hasShape_ = true;
    if (place_ == Place::kOffsets) {
      hasOffsets_ = true;
      if (entries.back().offsets.size() != 2) return stop("data_offsets that are not two");
    }
    return enter(Place::kTensor);
  }

  bool RawNumber(const char* text, rapidjson::SizeType length, bool) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text, text + length, value);
    // A sign, a fraction, an exponent or more than 64 bits.
    if (error != std::errc() || end != text + length) return Default();
    if (place_ == Place::kShape) {
      entries.back().shape.push_back(value);
    } else if (place_ == Place::kOffsets) {
      entries.back().offsets.push_back(value);
    } else {
      return stop("a number that has no place there");
    }
    return true;
  }

 private:
  enum class Place {
    kOutside,
    kTop,
    kMetadataStart,
    kMetadata,
    kTensorStart,
    kTensor,
    kType,
    kShapeStart,
    kShape,
    kOffsetsStart,
    kOffsets,
    kEnd,
  };

  bool enter(Place place) {
    place_ = place;
    return true;
  }
  bool stop(const char* what, std::string_view key = {}, const char* end = "") {
    problem = entries.empty() ? text({"its header has ", what, key, end})
                              : text({"tensor '", entries.back().name, "' has ", what, key, end});
    return false;
  }

  Place place_ = Place::kOutside;
  bool hasType_ = false;
  bool hasShape_ = false;
  bool hasOffsets_ = false;
};

}  // namespace

std::vector<HeaderEntry> readHeader(std::span<const char> json, Metadata* metadata) {
  if (!isUtf8({json.data(), json.size()})) {
    failWeights({"the file is no safetensors file: its header is no UTF-8"});
  }
  // A copy to be parsed in its place, numbers left as they are spelled: 4 KB of WebAssembly less.
  std::string copy(json.data(), json.size());
  rapidjson::InsituStringStream input(copy.data());
  rapidjson::Reader reader;
  Handler handler(metadata);
  // Recursive, which takes little stack: the handler stops what nests deeper than a tensor's lists.
  constexpr unsigned kFlags = rapidjson::kParseInsituFlag | rapidjson::kParseNumbersAsStringsFlag;
  const rapidjson::ParseResult result = reader.Parse<kFlags>(input, handler);
  if (!handler.problem.empty()) failWeights({"the file is no safetensors file: ", handler.problem});
  // The parser takes a zero for the end; what follows one is no part of a header.
  if (result.IsError() || input.Tell() < json.size()) {
    failWeights({"the file is no safetensors file: its header is no JSON at byte ", input.Tell()});
  }
  return std::move(handler.entries);
}

}  // namespace cross_attention::weights
