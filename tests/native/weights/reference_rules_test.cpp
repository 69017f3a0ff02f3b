#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/comparison.hpp"
#include "support/weight_files.hpp"

/// The reader accepts and refuses the same headers as the reference implementation, huggingface/safetensors
/// (safetensors/src/tensor.rs, and serde_json below it). corrupt_files_test has more files that both refuse.
namespace cross_attention::test::weights_reference_rules_test {

namespace {

struct Rule {
  const char* description;
  std::string header;
  std::size_t dataBytes;
};

std::string nested(int depth) {
  return std::string(static_cast<std::size_t>(depth), '[') +
         std::string(static_cast<std::size_t>(depth), ']');
}

const std::string kEntry = R"("dtype":"F32","shape":[1],"data_offsets":[0,4])";
const std::string kTensor = "\"a\":{" + kEntry + "}";

const std::vector<Rule> kAccepted = {
    {"no tensors", "{}", 0},
    {"null metadata", "{\"__metadata__\":null," + kTensor + "}", 4},
    {"metadata after the tensors", "{" + kTensor + ",\"__metadata__\":{\"b\":\"c\"}}", 4},
    {"the same name twice in the metadata", R"({"__metadata__":{"b":"1","b":"2"}})", 0},
    {"spaces before and after the object", "\t\n {" + kTensor + "}\r\n\t ", 4},
    {"unknown keys", "{\"a\":{" + kEntry + R"(,"x":1,"y":null,"z":{"shape":[[-1.5e3,"s",true]]},"w":[]}})",
     4},
    {"an unknown key first", "{\"a\":{\"x\":{\"dtype\":{}}," + kEntry + "}}", 4},
    {"an unknown value at the limit of depth", "{\"a\":{\"x\":" + nested(125) + "," + kEntry + "}}", 4},
    {"an entry as an array", R"({"a":["F32",[1],[0,4]]})", 4},
    {"any order of tensors", R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[4,5]},)" + kTensor + "}", 5},
    {"empty tensors between others",
     R"({"e":{"dtype":"F32","shape":[3,0],"data_offsets":[4,4]},)"
     R"("f":{"dtype":"I8","shape":[0],"data_offsets":[0,0]},)" +
         kTensor + "}",
     4},
    {"a scalar", R"({"a":{"dtype":"F64","shape":[],"data_offsets":[0,8]}})", 8},
    {"data that are not aligned",
     R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
     R"("a":{"dtype":"F64","shape":[1],"data_offsets":[1,9]}})",
     9},
    {"more dimensions than a Tensor has",
     R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}})", 4},
    {"any dimension after a 0",
     R"({"a":{"dtype":"F32","shape":[0,18446744073709551615,9],"data_offsets":[0,0]}})", 0},
    {"a name twice: the last counts",
     R"({"a":{"dtype":"F64","shape":[9],"data_offsets":[5,77]},)" + kTensor + "}", 4},
    {"a name with a zero character", R"({"\u0000":{)" + kEntry + "}}", 4},
    {"4 bits", R"({"a":{"dtype":"F4","shape":[2,3],"data_offsets":[0,3]}})", 3},
    {"6 bits", R"({"a":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[0,3]}})", 3},
    {"6 bits, the other form", R"({"a":{"dtype":"F6_E3M2","shape":[8],"data_offsets":[0,6]}})", 6},
    {"scales of 8 bits", R"({"a":{"dtype":"F8_E8M0","shape":[3],"data_offsets":[0,3]}})", 3},
    {"8 bits without negative zero", R"({"a":{"dtype":"F8_E4M3FNUZ","shape":[3],"data_offsets":[0,3]}})", 3},
    {"8 bits without negative zero, the other form",
     R"({"a":{"dtype":"F8_E5M2FNUZ","shape":[3],"data_offsets":[0,3]}})", 3},
    {"complex numbers", R"({"a":{"dtype":"C64","shape":[2],"data_offsets":[0,16]}})", 16},
};

const std::vector<Rule> kRefused = {
    {"an empty header", "", 0},
    {"metadata twice", R"({"__metadata__":{},"__metadata__":{}})", 0},
    {"a number in the metadata", R"({"__metadata__":{"a":1}})", 0},
    {"null in the metadata", R"({"__metadata__":{"a":null}})", 0},
    {"a repeated key", "{\"a\":{" + kEntry + R"(,"dtype":"F32"}})", 4},
    {"an unknown value that is too deep", "{\"a\":{\"x\":" + nested(126) + "," + kEntry + "}}", 4},
    {"an unknown value that is invalid", "{\"a\":{\"x\":nul," + kEntry + "}}", 4},
    {"a short array as an entry", R"({"a":["F32",[1]]})", 4},
    {"a long array as an entry", R"({"a":["F32",[1],[0,4],0]})", 4},
    {"a byte order mark", "\xEF\xBB\xBF{}", 0},
    {"zero bytes after the object", std::string("{}\0", 3), 0},
    {"an unknown dtype", R"({"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}})", 4},
    {"half a byte", R"({"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}})", 2},
    {"a size in bits that overflows",
     R"({"a":{"dtype":"F32","shape":[576460752303423488],"data_offsets":[0,0]}})", 0},
    {"an overflow before a 0",
     R"({"a":{"dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}})", 0},
    {"a name twice, if the last does not fit",
     "{" + kTensor + R"(,"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8},
    {"an empty tensor within another",
     R"({"e":{"dtype":"F32","shape":[0],"data_offsets":[2,2]},)" + kTensor + "}", 4},
    {"data after the tensors", "{" + kTensor + "}", 5},
    {"missing data", "{" + kTensor + "}", 3},
    {"a dimension of -0", R"({"a":{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}})", 0},
    {"a dimension with an exponent", R"({"a":{"dtype":"F32","shape":[1e0],"data_offsets":[0,4]}})", 4},
    {"a lone surrogate in the metadata", R"({"__metadata__":{"a":"\udc00"}})", 0},
};

}  // namespace

TEST(ReferenceRulesTest, AcceptsWhatTheReferenceAccepts) {
  for (const Rule& rule : kAccepted) {
    EXPECT_NO_THROW(weights::readSafetensors(makeFile(rule.header, rule.dataBytes))) << rule.description;
  }
}

TEST(ReferenceRulesTest, RefusesWhatTheReferenceRefuses) {
  for (const Rule& rule : kRefused) {
    const File file = makeFile(rule.header, rule.dataBytes);
    EXPECT_TRUE(failsWith(ErrorCode::kWeights, [&] { weights::readSafetensors(file); })) << rule.description;
  }
}

TEST(ReferenceRulesTest, ReadsAHeaderWithoutItsData) {
  const std::string header = R"({"a":{"dtype":"F32","shape":[2000000000,3],"data_offsets":[0,24000000000]}})";
  const auto tensors = weights::readHeader(header, 24'000'000'000);
  ASSERT_EQ(tensors.size(), 1u);
  EXPECT_EQ(tensors[0].end, 24'000'000'000u);
  EXPECT_EQ(weights::readHeader(header, weights::kUnknownBytes).size(), 1u);
  EXPECT_TRUE(failsWith(ErrorCode::kWeights, [&] { weights::readHeader(header, 23'999'999'999); }));
}

TEST(ReferenceRulesTest, ShortensNamesInMessages) {
  const std::string name(100'000, 'x');
  const std::string header =
      "{\"" + name + "\":{\"dtype\":\"" + name + "\"," + R"("shape":[1],"data_offsets":[0,4]}})";
  try {
    weights::readHeader(header, 4);
    FAIL();
  } catch (const Error& error) {
    EXPECT_LT(error.message().size(), 400u);
  }
}

}  // namespace cross_attention::test::weights_reference_rules_test
