#include "weights/header_reader.hpp"

#include <charconv>
#include <string_view>

#include "core/error.hpp"
#include "core/text.hpp"
#include "weights/utf8.hpp"

namespace cross_attention::weights {
/// A failed assertion of RapidJSON is an error in the file and must not abort the module. A function, because
/// the macro below is expanded often.
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

/// Handles the parser's events. Returning false stops the parser; `problem` then holds the reason.
class Handler : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, Handler> {
 public:
  std::vector<HeaderEntry> entries;
  std::string problem;
  Metadata* metadata;

  explicit Handler(Metadata* destination) : metadata(destination) {}

  // Called for all events without their own method below.
  bool Default() { return skips() || stop("a value in an unexpected position"); }

  bool Null() { return state_ == State::kMetadataStart ? enter(State::kTop) : Default(); }

  bool StartObject() {
    if (!descend()) return false;
    if (skips()) return true;
    if (state_ == State::kOutside) return enter(State::kTop);
    if (state_ == State::kTensorStart) return enter(State::kTensor);
    if (state_ == State::kMetadataStart) return enter(State::kMetadata);
    return stop("an object in an unexpected position");
  }
  bool EndObject(rapidjson::SizeType) {
    --depth_;
    if (skips()) return true;
    if (state_ == State::kTop) return enter(State::kEnd);
    if (state_ == State::kTensor) return endTensor();
    return enter(State::kTop);
  }

  bool Key(const char* text, rapidjson::SizeType length, bool) {
    const std::string_view key(text, length);
    if (!isUtf8(key)) return stop("a name that is not UTF-8");
    if (state_ == State::kSkip) return true;
    if (state_ == State::kTop) {
      if (key == kMetadataKey) {
        if (hasMetadata_) return stop("the repeated key '", key, "'");
        hasMetadata_ = true;
        return enter(State::kMetadataStart);
      }
      entries.push_back({std::string(key), {}, {}, {}});
      hasType_ = hasShape_ = hasOffsets_ = isList_ = false;
      return enter(State::kTensorStart);
    }
    if (state_ == State::kMetadata) {
      if (metadata != nullptr) metadata->push_back({std::string(key), {}});
      return true;
    }
    if (key == "dtype") return hasType_ ? stop("the repeated key '", key, "'") : enter(State::kType);
    if (key == "shape") return hasShape_ ? stop("the repeated key '", key, "'") : enter(State::kShapeStart);
    if (key == "data_offsets") {
      return hasOffsets_ ? stop("the repeated key '", key, "'") : enter(State::kOffsetsStart);
    }
    skipDepth_ = depth_;
    return enter(State::kSkip);
  }

  bool String(const char* text, rapidjson::SizeType length, bool) {
    if (!isUtf8({text, length})) return stop("a string that is not UTF-8");
    if (state_ == State::kMetadata) {
      if (metadata != nullptr) metadata->back().second.assign(text, length);
      return true;
    }
    if (skips()) return true;
    if (state_ != State::kType) return stop("a string in an unexpected position");
    entries.back().dtype.assign(text, length);
    hasType_ = true;
    return enter(isList_ ? State::kShapeStart : State::kTensor);
  }

  bool StartArray() {
    if (!descend()) return false;
    if (skips()) return true;
    if (state_ == State::kTensorStart) {
      isList_ = true;
      return enter(State::kType);
    }
    if (state_ == State::kShapeStart) return enter(State::kShape);
    if (state_ == State::kOffsetsStart) return enter(State::kOffsets);
    return stop("an array in an unexpected position");
  }
  bool EndArray(rapidjson::SizeType) {
    --depth_;
    if (skips()) return true;
    if (state_ == State::kShape) {
      hasShape_ = true;
      return enter(isList_ ? State::kOffsetsStart : State::kTensor);
    }
    if (state_ == State::kOffsets) {
      hasOffsets_ = true;
      if (entries.back().offsets.size() != 2) return stop("data_offsets without exactly two numbers");
      return enter(State::kTensor);
    }
    // The end of an entry that is an array.
    return endTensor();
  }

  bool RawNumber(const char* text, rapidjson::SizeType length, bool) {
    if (skips()) return true;
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text, text + length, value);
    // Rejects signs, fractions, exponents and numbers of more than 64 bits.
    if (error != std::errc() || end != text + length) return Default();
    if (state_ == State::kShape) {
      entries.back().shape.push_back(value);
    } else if (state_ == State::kOffsets) {
      entries.back().offsets.push_back(value);
    } else {
      return stop("a number in an unexpected position");
    }
    return true;
  }

 private:
  enum class State {
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
    kSkip,
    kEnd,
  };

  bool enter(State state) {
    state_ = state;
    return true;
  }
  bool stop(const char* found, std::string_view key = {}, const char* end = "") {
    problem = entries.empty()
                  ? text({"its header has ", found, shortened(key), end})
                  : text({"tensor '", shortened(entries.back().name), "' has ", found, shortened(key), end});
    return false;
  }

  /// Limits the nesting as serde_json does, and with it the stack of the parser, which is recursive.
  bool descend() {
    constexpr int kMaxDepth = 127;
    return ++depth_ <= kMaxDepth || stop("nested lists or objects deeper than the format allows");
  }
  /// True within the value of an unknown key. Leaves it at its end.
  bool skips() {
    if (state_ != State::kSkip) return false;
    if (depth_ == skipDepth_) state_ = State::kTensor;
    return true;
  }
  bool endTensor() {
    if (hasType_ && hasShape_ && hasOffsets_) return enter(State::kTop);
    return stop("no dtype, shape or data_offsets");
  }

  int depth_ = 0;
  int skipDepth_ = 0;
  bool hasMetadata_ = false;
  bool isList_ = false;
  State state_ = State::kOutside;
  bool hasType_ = false;
  bool hasShape_ = false;
  bool hasOffsets_ = false;
};

}  // namespace

std::vector<HeaderEntry> parseHeader(std::span<const char> json, Metadata* metadata) {
  if (!isUtf8({json.data(), json.size()})) {
    failWeights({"the file is not a safetensors file: its header is not UTF-8"});
  }
  // Parses a copy in place and leaves numbers as text: 4 KB less WebAssembly.
  std::string copy(json.data(), json.size());
  rapidjson::InsituStringStream input(copy.data());
  rapidjson::Reader reader;
  Handler handler(metadata);
  constexpr unsigned kFlags = rapidjson::kParseInsituFlag | rapidjson::kParseNumbersAsStringsFlag;
  const rapidjson::ParseResult result = reader.Parse<kFlags>(input, handler);
  if (!handler.problem.empty()) failWeights({"the file is not a safetensors file: ", handler.problem});
  // The parser stops at a zero byte; anything after it is an error.
  if (result.IsError() || input.Tell() < json.size()) {
    failWeights({"the file is not a safetensors file: its header is not valid JSON at byte ", input.Tell()});
  }
  return std::move(handler.entries);
}

}  // namespace cross_attention::weights
