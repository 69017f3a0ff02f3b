#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "support/build.hpp"
#include "support/comparison.hpp"
#include "support/layer_case.hpp"
#include "support/weight_files.hpp"

/// The reader's input is untrusted. Each file here has memory of exactly its size, so that AddressSanitizer
/// detects every read beyond it.
namespace cross_attention::test::weights_corrupt_files_test {

namespace {

testing::AssertionResult isRefused(const File& file) {
  return failsWith(ErrorCode::kWeights, [&] { weights::readSafetensors(file); });
}

/// Returns a file of one tensor {"a": `inner`} with `dataBytes` bytes of data.
File fileWithEntry(const std::string& inner, std::size_t dataBytes = 4) {
  return makeFile("{\"a\":" + inner + "}", dataBytes);
}

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return "{\"dtype\":" + dtype + ",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
}

std::string repeated(const std::string& text, int count) {
  std::string result;
  for (int time = 0; time < count; ++time) result += text;
  return result;
}

}  // namespace

TEST(CorruptFilesTest, ReadsAValidFile) {
  EXPECT_EQ(weights::readSafetensors(fileWithEntry(entry("\"F32\"", "[1]", "[0,4]"))).size(), 1u);
}

TEST(CorruptFilesTest, RefusesTruncatedFiles) {
  const layer::DiffusionCrossAttention<float> layer(configurationOf(4, 3, 2));
  const File whole = saveLayer(layer, "F32");
  EXPECT_EQ(weights::readSafetensors(whole).size(), 5u);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    ASSERT_TRUE(isRefused(File(whole.begin(), whole.begin() + static_cast<Index>(size)))) << size;
  }
  File longer = whole;
  longer.push_back(std::byte{0});
  EXPECT_TRUE(isRefused(longer));
}

TEST(CorruptFilesTest, RefusesWrongHeaderLengths) {
  const std::string header = "{\"a\":" + entry("\"F32\"", "[1]", "[0,4]") + "}";
  for (const std::uint64_t length :
       {std::uint64_t(0), std::uint64_t(1), std::uint64_t(header.size() - 1),
        std::uint64_t(header.size() + 1), std::uint64_t(header.size() + 4), std::uint64_t(header.size() + 5),
        std::uint64_t(100'000'001), ~std::uint64_t(0), ~std::uint64_t(0) - 7, std::uint64_t(1) << 63,
        std::uint64_t(1) << 32, (std::uint64_t(1) << 32) + header.size()}) {
    EXPECT_TRUE(isRefused(fileWithHeaderLength(length, header, 4))) << length;
  }
}

TEST(CorruptFilesTest, RefusesInvalidHeaders) {
  for (const std::string header : {"[]",
                                   "null",
                                   "1",
                                   "\"a\"",
                                   "{",
                                   "}",
                                   "{}{}",
                                   "{} x",
                                   "{\"a\"}",
                                   "{\"a\":}",
                                   "{,}",
                                   "{\"a\":1}",
                                   "{\"a\":null}",
                                   "{\"a\":[]}",
                                   "{\"a\":\"F32\"}",
                                   "{'a':{}}",
                                   "{\"a\":{}}",
                                   "{\"a\":{},}",
                                   "{\"a\":{\"a\":{}}}",
                                   "{a:{}}",
                                   "\xEF\xBB\xBF{}",
                                   "{\"a\":true}",
                                   "{\"a\":NaN}",
                                   "{\"__metadata__\":1}",
                                   "{\"__metadata__\":[]}",
                                   "{\"__metadata__\":\"pt\"}",
                                   "{\"__metadata__\":{\"a\":1}}",
                                   "{\"__metadata__\":{\"a\":{}}}",
                                   "{\"__metadata__\":{\"a\":[]}}",
                                   "{\"__metadata__\":{\"a\":null}}",
                                   "{/* */}",
                                   "{\"a\":{\"dtype\":\"F32\"}}"}) {
    EXPECT_TRUE(isRefused(makeFile(header, 0))) << header;
  }
  // Null bytes.
  EXPECT_TRUE(isRefused(makeFile(std::string_view("{\0}", 3), 0)));
  EXPECT_TRUE(isRefused(makeFile(std::string_view("{}\0", 3), 0)));
}

TEST(CorruptFilesTest, RefusesInvalidEntries) {
  const std::string f32 = "\"F32\"";
  for (const std::string& inner :
       {entry("\"F31\"", "[1]", "[0,4]"), entry("\"\"", "[1]", "[0,4]"), entry("\"f32\"", "[1]", "[0,4]"),
        entry("4", "[1]", "[0,4]"), entry("null", "[1]", "[0,4]"), entry("[\"F32\"]", "[1]", "[0,4]"),
        entry("\"F32\\u0000\"", "[1]", "[0,4]"),
        // Shapes.
        entry(f32, "1", "[0,4]"), entry(f32, "\"1\"", "[0,4]"), entry(f32, "null", "[0,4]"),
        entry(f32, "[-1]", "[0,4]"), entry(f32, "[1.0]", "[0,4]"), entry(f32, "[1e0]", "[0,4]"),
        entry(f32, "[NaN]", "[0,4]"), entry(f32, "[Infinity]", "[0,4]"), entry(f32, "[null]", "[0,4]"),
        entry(f32, "[\"1\"]", "[0,4]"), entry(f32, "[[1]]", "[0,4]"), entry(f32, "[{}]", "[0,4]"),
        entry(f32, "[true]", "[0,4]"), entry(f32, "[2]", "[0,4]"), entry(f32, "[0]", "[0,4]"),
        entry(f32, "[1,]", "[0,4]"), entry(f32, "[01]", "[0,4]"), entry(f32, "[+1]", "[0,4]"),
        entry(f32, "[0x1]", "[0,4]"),
        // Offsets.
        entry(f32, "[1]", "[]"), entry(f32, "[1]", "[4]"), entry(f32, "[1]", "[0,4,4]"),
        entry(f32, "[1]", "[4,0]"), entry(f32, "[1]", "[0,5]"), entry(f32, "[1]", "[0,8]"),
        entry(f32, "[1]", "[-4,0]"), entry(f32, "[1]", "[0.0,4]"), entry(f32, "[1]", "[1,5]"),
        entry(f32, "[1]", "[\"0\",\"4\"]"), entry(f32, "[1]", "{\"0\":4}"), entry(f32, "[1]", "4"),
        entry(f32, "[0]", "[2,2]"), entry(f32, "[1]", "[4,8]"),
        // Duplicate and missing keys.
        std::string("{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}"),
        std::string("{\"dtype\":\"F32\",\"shape\":[2],\"shape\":[1],\"data_offsets\":[0,4]}"),
        std::string("{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"data_offsets\":[0,4]}"),
        std::string("{\"dtype\":\"F32\",\"shape\":[1]}"), std::string("{\"data_offsets\":[0,4]}")}) {
    EXPECT_TRUE(isRefused(fileWithEntry(inner))) << inner;
  }
}

TEST(CorruptFilesTest, RefusesOverflowingSizes) {
  // For example, 2^62 · 4 bytes is 0 modulo 2^64.
  for (const std::string shape :
       {"[4611686018427387904]", "[4611686018427387905]", "[9223372036854775807]", "[18446744073709551615]",
        "[18446744073709551616]", "[99999999999999999999999]", "[4294967296,4294967296]",
        "[2147483648,2147483648,2]", "[4294967296,1073741824]", "[65536,65536,65536,65536]", "[1e400]",
        "[18446744073709551615,2,0]", "[9223372036854775807,9223372036854775807,0]"}) {
    EXPECT_TRUE(isRefused(fileWithEntry(entry("\"F32\"", shape, "[0,0]"), 0))) << shape;
    EXPECT_TRUE(isRefused(fileWithEntry(entry("\"F32\"", shape, "[0,4]"), 4))) << shape;
  }
  for (const std::string offsets :
       {"[0,18446744073709551615]", "[18446744073709551612,18446744073709551615]", "[18446744073709551615,0]",
        "[18446744073709551616,18446744073709551620]", "[4294967296,4294967300]"}) {
    EXPECT_TRUE(isRefused(fileWithEntry(entry("\"F32\"", "[1]", offsets)))) << offsets;
  }
}

TEST(CorruptFilesTest, RefusesOverlapsGapsAndDuplicates) {
  const auto file = [](const std::string& first, const std::string& second, std::size_t bytes,
                       const std::string& name = "b") {
    return makeFile("{\"a\":" + first + ",\"" + name + "\":" + second + "}", bytes);
  };
  const auto floats = [](const std::string& shape, const std::string& offsets) {
    return entry("\"F32\"", shape, offsets);
  };
  EXPECT_NO_THROW(weights::readSafetensors(file(floats("[1]", "[0,4]"), floats("[1]", "[4,8]"), 8)));
  EXPECT_NO_THROW(weights::readSafetensors(file(floats("[1]", "[4,8]"), floats("[1]", "[0,4]"), 8)));
  // The same bytes twice, an overlap, and one tensor within another.
  EXPECT_TRUE(isRefused(file(floats("[1]", "[0,4]"), floats("[1]", "[0,4]"), 4)));
  EXPECT_TRUE(isRefused(file(floats("[2]", "[0,8]"), floats("[2]", "[4,12]"), 12)));
  EXPECT_TRUE(isRefused(file(floats("[3]", "[0,12]"), floats("[1]", "[4,8]"), 12)));
  // A gap before, between and after the tensors.
  EXPECT_TRUE(isRefused(file(floats("[1]", "[1,5]"), floats("[1]", "[5,9]"), 9)));
  EXPECT_TRUE(isRefused(file(floats("[1]", "[0,4]"), floats("[1]", "[5,9]"), 9)));
  EXPECT_TRUE(isRefused(file(floats("[1]", "[0,4]"), floats("[1]", "[4,8]"), 9)));
  // An empty tensor within another.
  EXPECT_TRUE(isRefused(file(floats("[2]", "[0,8]"), floats("[0]", "[4,4]"), 8)));
  // Two tensors of one name, also if one name is escaped.
  EXPECT_TRUE(isRefused(file(floats("[1]", "[0,4]"), floats("[1]", "[4,8]"), 8, "a")));
  EXPECT_TRUE(isRefused(file(floats("[1]", "[0,4]"), floats("[1]", "[4,8]"), 8, "\\u0061")));
}

TEST(CorruptFilesTest, RefusesDeepNestingWithoutStackOverflow) {
  constexpr int kDepth = 500000;
  EXPECT_TRUE(isRefused(makeFile("{\"a\":" + repeated("[", kDepth), 0)));
  EXPECT_TRUE(isRefused(makeFile(repeated("{\"a\":", kDepth), 0)));
  EXPECT_TRUE(isRefused(makeFile("{\"a\":{\"shape\":" + repeated("[", kDepth), 0)));
  EXPECT_TRUE(isRefused(makeFile("{\"__metadata__\":{\"a\":" + repeated("[", kDepth), 0)));
  EXPECT_TRUE(isRefused(makeFile("{\"a\":" + repeated("[", kDepth) + repeated("]", kDepth) + "}", 0)));
}

TEST(CorruptFilesTest, RefusesNamesThatAreNotUtf8) {
  for (const std::string name :
       {"\xFF", "\xC0\xAF", "\xE2\x28\xA1", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xC3", "\\uD800", "\\uDC00",
        "\\uD800\\u0041", "\\x41", "\\u12", "\n", "\x01"}) {
    EXPECT_TRUE(isRefused(makeFile("{\"" + name + "\":" + entry("\"F32\"", "[1]", "[0,4]") + "}", 4)))
        << name;
  }
  const File valid = makeFile("{\"\\uD83D\\uDE00 é\":" + entry("\"F32\"", "[1]", "[0,4]") + "}", 4);
  EXPECT_EQ(weights::readSafetensors(valid)[0].name, "\xF0\x9F\x98\x80 \xC3\xA9");
}

TEST(CorruptFilesTest, ReadsManyTensors) {
  // A few thousand tensors are read quickly. In the second file the last one overlaps.
  std::string header = "{";
  for (int number = 0; number < 5000; ++number) {
    const std::string begin = std::to_string(number * 4);
    const std::string end = std::to_string(number * 4 + 4);
    header +=
        "\"t" + std::to_string(number) + "\":" + entry("\"F32\"", "[1]", "[" + begin + "," + end + "]") + ",";
  }
  const std::string valid = header + "\"last\":" + entry("\"F32\"", "[1]", "[20000,20004]") + "}";
  const std::string overlapping = header + "\"last\":" + entry("\"F32\"", "[1]", "[19996,20000]") + "}";
  EXPECT_EQ(weights::readSafetensors(makeFile(valid, 20004)).size(), 5001u);
  EXPECT_TRUE(isRefused(makeFile(overlapping, 20000)));
}

namespace {

/// Applies one random change to a file.
void mutate(File& file, Random& random) {
  const auto randomIndex = [&] { return random.next() % file.size(); };
  constexpr std::string_view kTokens[] = {"[",   "]",    "{",         "}",    ",",
                                          ":",   "\"",   "0",         "9",    "-1",
                                          "1e9", "null", "\\u0000",   "\xFF", "18446744073709551615",
                                          "F16", "BF16", "4294967296"};
  if (file.empty()) return;
  switch (random.next() % 7) {
    case 0:
      file[randomIndex()] ^= static_cast<std::byte>(1u << (random.next() % 8));
      break;
    case 1:
      file[randomIndex()] = static_cast<std::byte>(random.next());
      break;
    case 2:
      file.resize(randomIndex());
      break;
    case 3:
      file.insert(file.begin() + static_cast<Index>(randomIndex()), 1 + random.next() % 16,
                  static_cast<std::byte>(random.next()));
      break;
    case 4: {
      const auto begin = static_cast<Index>(randomIndex());
      const auto count =
          std::min<Index>(static_cast<Index>(random.next() % 40), static_cast<Index>(file.size()) - begin);
      const File piece(file.begin() + begin, file.begin() + begin + count);
      file.insert(file.begin() + static_cast<Index>(randomIndex()), piece.begin(), piece.end());
      break;
    }
    case 5: {
      const std::string_view token = oneOf(random, kTokens);
      const std::size_t begin = randomIndex();
      for (std::size_t index = 0; index < token.size() && begin + index < file.size(); ++index) {
        file[begin + index] = static_cast<std::byte>(token[index]);
      }
      break;
    }
    default:
      // The header length is updated with the size, so that the change passes the first check.
      const std::string_view token = oneOf(random, kTokens);
      const std::size_t begin = std::min<std::size_t>(file.size(), 8 + randomIndex() % 400);
      for (std::size_t index = 0; index < token.size(); ++index) {
        file.insert(file.begin() + static_cast<Index>(begin + index), static_cast<std::byte>(token[index]));
      }
      if (file.size() > 8) {
        const auto length = static_cast<unsigned>(file[0]) + 256 * static_cast<unsigned>(file[1]) +
                            static_cast<unsigned>(token.size());
        file[0] = static_cast<std::byte>(length);
        file[1] = static_cast<std::byte>(length >> 8);
      }
  }
}

}  // namespace

TEST(CorruptFilesTest, ReadsOrRefusesMutatedFiles) {
  const layer::DiffusionCrossAttention<float> layer(configurationOf(4, 3, 2));
  const std::vector<File> originals = {saveLayer(layer, "F32"), saveLayer(layer, "F16", "a.\"b\"."),
                                       makeFile("{}", 0), fileWithEntry(entry("\"BF16\"", "[2]", "[0,4]"))};
  Random random(2026);
  const int count = reduced(40000, 8000);
  int read = 0;
  for (int number = 0; number < count; ++number) {
    File file = oneOf(random, originals);
    const auto times = 1 + random.next() % 4;
    for (std::uint64_t time = 0; time < times; ++time) mutate(file, random);
    const File exact(file.begin(), file.end());
    try {
      const std::vector<weights::StoredTensor> tensors = weights::readSafetensors(exact);
      ++read;
      // An accepted file is usable: all its bytes exist.
      std::size_t bytes = 0;
      for (const weights::StoredTensor& tensor : tensors) {
        bytes += tensor.bytes.size();
        std::uint64_t size = 1;
        for (const std::uint64_t dimension : tensor.shape) size *= dimension;
        std::vector<float> values(static_cast<std::size_t>(size));
        try {
          weights::decode(tensor, std::span<float>(values));
        } catch (const Error& error) {
          ASSERT_EQ(error.code(), ErrorCode::kWeights) << error.message();
        }
      }
      ASSERT_LE(bytes, exact.size());
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), ErrorCode::kWeights) << number << ": " << error.message();
    } catch (const std::exception& other) {
      FAIL() << number << ": " << other.what();
    }
  }
  std::printf("%d mutated files: %d were read, the others refused\n", count, read);
  EXPECT_GT(read, 0);
  EXPECT_LT(read, count);
}

}  // namespace cross_attention::test::weights_corrupt_files_test
