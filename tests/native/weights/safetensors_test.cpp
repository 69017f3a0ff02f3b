#include "weights/safetensors.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "support/comparison.hpp"
#include "support/random_data.hpp"
#include "support/weight_files.hpp"
#include "weights/half.hpp"

namespace cross_attention::test::weights_safetensors_test {

namespace {

using weights::NamedValues;
using weights::StoredTensor;

template <class T>
File write(const std::vector<NamedValues<T>>& tensors, const std::string& dtype) {
  return weights::writeSafetensors<T>(std::span<const NamedValues<T>>(tensors), dtype);
}

/// Returns a value after it was stored as `dtype`.
double stored(double value, const std::string& dtype) {
  const float half = weights::toFloatForHalf(value);
  if (dtype == "F16") return static_cast<double>(weights::fromHalf(weights::toHalf(half)));
  if (dtype == "BF16") return static_cast<double>(weights::fromBfloat(weights::toBfloat(half)));
  return dtype == "F32" ? static_cast<double>(static_cast<float>(value)) : value;
}

std::string headerOf(const File& file) {
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof length);
  return {reinterpret_cast<const char*>(file.data()) + 8, static_cast<std::size_t>(length)};
}

}  // namespace

template <class T>
class SafetensorsTest : public testing::Test {};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(SafetensorsTest, Formats);

TYPED_TEST(SafetensorsTest, RoundTripsInAllDtypes) {
  using T = TypeParam;
  Random random(1);
  std::vector<T> values = normalValues<T>(random, 60);
  values[3] = std::numeric_limits<T>::infinity();
  values[4] = T(-0.0);
  values[5] = T(1e-7);
  values[6] = T(1e5);
  const std::vector<T> scalar = {T(2.5)};
  const std::vector<NamedValues<T>> tensors = {{"weight", Shape{3, 4, 5}, values},
                                               {"empty", Shape{0, 7}, {}},
                                               {"\"quoted\"\\ \n ключ", Shape{}, scalar},
                                               {"", Shape{1, 1}, scalar}};
  for (const std::string dtype : {"F64", "F32", "F16", "BF16"}) {
    SCOPED_TRACE(dtype);
    const File file = write(tensors, dtype);
    const std::vector<StoredTensor> read = weights::readSafetensors(file);
    ASSERT_EQ(read.size(), tensors.size());
    for (std::size_t index = 0; index < read.size(); ++index) {
      EXPECT_EQ(read[index].name, tensors[index].name);
      EXPECT_EQ(read[index].dtype, dtype);
      EXPECT_TRUE(weights::isSameShape(read[index].shape, tensors[index].shape));
      std::vector<double> expected;
      for (const T value : tensors[index].values) expected.push_back(stored(value, dtype));
      std::vector<T> same(expected.size());
      std::vector<double> wide(expected.size());
      std::vector<float> narrow(expected.size());
      weights::decode(read[index], std::span<T>(same));
      weights::decode(read[index], std::span<double>(wide));
      weights::decode(read[index], std::span<float>(narrow));
      for (std::size_t element = 0; element < expected.size(); ++element) {
        EXPECT_EQ(wide[element], expected[element]);
        EXPECT_EQ(narrow[element], static_cast<float>(expected[element]));
        EXPECT_EQ(same[element], static_cast<T>(expected[element]));
      }
    }
  }
}

TYPED_TEST(SafetensorsTest, WritesTheDocumentedFormat) {
  using T = TypeParam;
  const std::vector<T> values = {T(1), T(-2)};
  const File file = write<T>({{"a", Shape{2}, values}, {"b", Shape{1, 2}, values}}, "F32");
  const std::string header = headerOf(file);
  EXPECT_EQ(header.size() % 8, 0u);
  const std::string expected =
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
      R"("b":{"dtype":"F32","shape":[1, 2],"data_offsets":[8,16]}})";
  EXPECT_EQ(header.substr(0, expected.size()), expected);
  EXPECT_EQ(header.find_first_not_of(' ', expected.size()), std::string::npos);
  ASSERT_EQ(file.size(), 8 + header.size() + 16);
  // Little-endian: 1.0f is 00 00 80 3f.
  const std::size_t data = 8 + header.size();
  EXPECT_EQ(file[data + 2], std::byte{0x80});
  EXPECT_EQ(file[data + 3], std::byte{0x3f});
}

TYPED_TEST(SafetensorsTest, RefusesUnsupportedDtypes) {
  using T = TypeParam;
  for (const std::string dtype : {"", "f32", "F8_E4M3", "I64", "float32"}) {
    EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { write<T>({}, dtype); })) << dtype;
  }
}

TYPED_TEST(SafetensorsTest, ReadsOtherTypesButDoesNotDecodeThem) {
  using T = TypeParam;
  for (const auto& [dtype, bytes] : std::map<std::string, std::size_t>{{"I64", 16},
                                                                       {"I32", 8},
                                                                       {"I16", 4},
                                                                       {"I8", 2},
                                                                       {"U8", 2},
                                                                       {"BOOL", 2},
                                                                       {"F8_E8M0", 2},
                                                                       {"F4", 1},
                                                                       {"C64", 16},
                                                                       {"U64", 16}}) {
    const File file = makeFile(
        R"({"a":{"dtype":")" + dtype + R"(","shape":[2],"data_offsets":[0,)" + std::to_string(bytes) + "]}}",
        bytes);
    const std::vector<StoredTensor> read = weights::readSafetensors(file);
    ASSERT_EQ(read.size(), 1u);
    EXPECT_EQ(read[0].bytes.size(), bytes);
    std::vector<T> values(2);
    EXPECT_TRUE(failsWith(ErrorCode::kWeights, [&] { weights::decode(read[0], std::span<T>(values)); }));
  }
}

TEST(SafetensorsFormatTest, ReadsAnyOrderOfKeysOffsetsAndSpaces) {
  const File file = makeFile(
      "{ \"b\" : {\"data_offsets\":[4, 6],\"shape\":[1] , \"dtype\":\"F16\"},\n"
      "\"__metadata__\":{\"format\":\"pt\",\"dtype\":\"x\"}, "
      "\"z\":{\"dtype\":\"F32\",\"shape\":[0,3],"
      "\"data_offsets\":[4,4]},\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}   "
      "\t ",
      6);
  const std::vector<StoredTensor> read = weights::readSafetensors(file);
  ASSERT_EQ(read.size(), 3u);
  EXPECT_EQ(read[0].name, "b");
  EXPECT_TRUE(read[2].shape.empty());
  EXPECT_EQ(read[0].bytes.data(), file.data() + file.size() - 2);
}

/// The value of an 8-bit floating-point number by its definition.
double valueOf(int code, int mantissaBits, int bias, bool hasInfinity) {
  const double sign = code >= 128 ? -1 : 1;
  const int exponent = (code & 127) >> mantissaBits;
  const int mantissa = code & ((1 << mantissaBits) - 1);
  const int maxExponent = (1 << (7 - mantissaBits)) - 1;
  if (hasInfinity && exponent == maxExponent) {
    return mantissa == 0 ? sign * std::numeric_limits<double>::infinity() : std::nan("");
  }
  if (!hasInfinity && (code & 127) == 127) return std::nan("");
  const double fraction = mantissa / static_cast<double>(1 << mantissaBits);
  return exponent == 0 ? sign * std::ldexp(fraction, 1 - bias)
                       : sign * std::ldexp(1 + fraction, exponent - bias);
}

TEST(SafetensorsFormatTest, ReadsAllCodesOf8Bits) {
  for (const bool isE4M3 : {true, false}) {
    File file = makeFile(std::string(R"({"a":{"dtype":")") + (isE4M3 ? "F8_E4M3" : "F8_E5M2") +
                             R"(","shape":[256],"data_offsets":[0,256]}})",
                         256);
    std::vector<float> values(256);
    weights::decode(weights::readSafetensors(file)[0], std::span<float>(values));
    for (int code = 0; code < 256; ++code) {
      const double expected = isE4M3 ? valueOf(code, 3, 7, false) : valueOf(code, 2, 15, true);
      const auto value = static_cast<double>(values[static_cast<std::size_t>(code)]);
      if (std::isnan(expected)) {
        EXPECT_TRUE(std::isnan(value)) << code;
      } else {
        EXPECT_EQ(value, expected) << code;
        EXPECT_EQ(std::signbit(value), std::signbit(expected)) << code;
      }
    }
  }
}

TEST(SafetensorsFormatTest, ConvertsIntegersThatAreExact) {
  const auto decoded = [](const std::string& dtype, auto stored) {
    File file = makeFile(R"({"a":{"dtype":")" + dtype + R"(","shape":[1],"data_offsets":[0,)" +
                             std::to_string(sizeof stored) + "]}}",
                         sizeof stored);
    std::memcpy(file.data() + file.size() - sizeof stored, &stored, sizeof stored);
    float value = 0;
    weights::decodeNumbers(weights::readSafetensors(file)[0], std::span<float>(&value, 1));
    return value;
  };
  EXPECT_EQ(decoded("I8", std::int8_t{-128}), -128.0f);
  EXPECT_EQ(decoded("U8", std::uint8_t{255}), 255.0f);
  EXPECT_EQ(decoded("BOOL", std::uint8_t{1}), 1.0f);
  EXPECT_EQ(decoded("I16", std::int16_t{-32768}), -32768.0f);
  EXPECT_EQ(decoded("U16", std::uint16_t{65535}), 65535.0f);
  EXPECT_EQ(decoded("I32", std::numeric_limits<std::int32_t>::min()), -0x1p31f);
  EXPECT_EQ(decoded("I64", std::numeric_limits<std::int64_t>::min()), -0x1p63f);
  EXPECT_EQ(decoded("U64", std::uint64_t{1} << 63), 0x1p63f);
  EXPECT_EQ(decoded("I64", std::int64_t{1} << 24), 0x1p24f);
  const auto fails = [&](const std::string& dtype, auto stored) {
    return failsWith(ErrorCode::kArgument, [&] { decoded(dtype, stored); });
  };
  EXPECT_TRUE(fails("I64", (std::int64_t{1} << 24) + 1));
  EXPECT_TRUE(fails("I32", (1 << 24) + 1));
  EXPECT_TRUE(fails("U32", std::numeric_limits<std::uint32_t>::max()));
  EXPECT_TRUE(fails("I64", std::numeric_limits<std::int64_t>::max()));
  EXPECT_TRUE(fails("U64", std::numeric_limits<std::uint64_t>::max()));
}

TEST(SafetensorsFormatTest, ReadsUnalignedValues) {
  // A header of odd length, as other writers may write it.
  const std::string header = R"({"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]} })";
  ASSERT_NE(header.size() % 8, 0u);
  File file = makeFile(header, 8);
  const double value = -1.25;
  std::memcpy(file.data() + file.size() - 8, &value, 8);
  double read = 0;
  weights::decode(weights::readSafetensors(file)[0], std::span<double>(&read, 1));
  EXPECT_EQ(read, value);
}

TEST(SafetensorsFormatTest, ReadsFilesWithoutTensors) {
  EXPECT_TRUE(weights::readSafetensors(makeFile("{}", 0)).empty());
  EXPECT_TRUE(weights::readSafetensors(makeFile(R"({"__metadata__":{}})", 0)).empty());
}

}  // namespace cross_attention::test::weights_safetensors_test
