// Calls the fuzz targets with the files of tests/fuzz/corpus: inputs that cover much code, and inputs that
// once failed.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "targets.hpp"

namespace cross_attention::fuzz::corpus_test {

namespace {

int replay(const char* target, void (*call)(Bytes)) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(CORPUS) + "/" + target)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    EXPECT_NO_THROW(call(std::as_bytes(std::span(bytes)))) << entry.path();
    ++files;
  }
  return files;
}

}  // namespace

TEST(CorpusTest, Safetensors) { EXPECT_GT(replay("safetensors", safetensors), 10); }
TEST(CorpusTest, Lora) { EXPECT_GT(replay("lora", lora), 5); }
TEST(CorpusTest, Model) { EXPECT_GT(replay("model", model), 5); }
TEST(CorpusTest, Call) { EXPECT_GT(replay("call", call), 10); }

}  // namespace cross_attention::fuzz::corpus_test
