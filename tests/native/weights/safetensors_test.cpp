#include "weights/safetensors.hpp"

#include <gtest/gtest.h>

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
      EXPECT_EQ(read[index].shape, tensors[index].shape);
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
                                                                       {"F8_E4M3", 2},
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
  EXPECT_EQ(read[2].shape, Shape());
  EXPECT_EQ(read[0].bytes.data(), file.data() + file.size() - 2);
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
