#include "compiler/association.hpp"

#include <gtest/gtest.h>

#include "support/layer_case.hpp"

namespace cross_attention::test::compiler_association_test {

namespace {

using compiler::Association;
using compiler::AttentionSizes;

/// Sizes of a constant context of a prompt: 77 keys.
AttentionSizes promptSizes(Index batch, Index tokens) {
  return {.batch = batch,
          .tokens = tokens,
          .keyValueBatches = batch,
          .keys = 77,
          .contextIsConstant = true,
          .elementBytes = 4};
}

Association chosen(const layer::Configuration& configuration, const AttentionSizes& sizes) {
  return compiler::chooseAssociation(configuration, sizes).association;
}

}  // namespace

/// 4·N·heads·L·C folded; 4·N·C² + 4·N·L·C unfolded.
TEST(AssociationTest, CountsFlopsOfARun) {
  const layer::Configuration configuration = configurationOf(1280, 768, 8);
  const AttentionSizes sizes = promptSizes(2, 256);
  EXPECT_EQ(compiler::costOf(configuration, sizes, Association::kFolded).flops,
            4.0 * 512 * 8 * 77 * 1280);
  EXPECT_EQ(compiler::costOf(configuration, sizes, Association::kPlain).flops,
            4.0 * 512 * 1280 * 1280 + 4.0 * 512 * 77 * 1280);
}

TEST(AssociationTest, CountsProjectionOfANonConstantContext) {
  const layer::Configuration configuration = configurationOf(320, 768, 8);
  AttentionSizes sizes = promptSizes(2, 4096);
  const double constantContext = compiler::costOf(configuration, sizes, Association::kPlain).flops;
  sizes.contextIsConstant = false;
  EXPECT_EQ(compiler::costOf(configuration, sizes, Association::kPlain).flops - constantContext,
            2 * 4.0 * 77 * 768 * 320);
  EXPECT_EQ(compiler::costOf(configuration, sizes, Association::kFolded).flops -
                4.0 * 8192 * 8 * 77 * 320,
            2 * (4.0 * 77 * 768 * 320 + 4.0 * 77 * 320 * 320));
}

TEST(AssociationTest, FoldsIfHeadsTimesKeysAreFewerThanChannels) {
  EXPECT_EQ(chosen(configurationOf(320, 768, 8), promptSizes(2, 4096)), Association::kPlain);
  EXPECT_EQ(chosen(configurationOf(640, 768, 8), promptSizes(2, 1024)), Association::kFolded);
  EXPECT_EQ(chosen(configurationOf(1280, 768, 8), promptSizes(2, 256)), Association::kFolded);
  EXPECT_EQ(chosen(configurationOf(1280, 768, 8), promptSizes(2, 64)), Association::kFolded);
  EXPECT_EQ(chosen(configurationOf(1280, 2048, 20), promptSizes(1, 1024)), Association::kPlain);
  // With few unmasked keys, folding is faster for all layers.
  AttentionSizes few = promptSizes(2, 4096);
  few.keys = 20;
  EXPECT_EQ(chosen(configurationOf(320, 768, 8), few), Association::kFolded);
}

TEST(AssociationTest, DoesNotFoldANonConstantContextForFewTokens) {
  AttentionSizes sizes = promptSizes(2, 64);
  sizes.contextIsConstant = false;
  EXPECT_EQ(chosen(configurationOf(1280, 768, 8), sizes), Association::kPlain);
}

TEST(AssociationTest, ReportsCloseDecisions) {
  // (640 · 640 + 77 · 640) unfolded / (8 · 77 · 640) folded is 1.16; with 9 heads it is 1.03.
  EXPECT_TRUE(
      compiler::chooseAssociation(configurationOf(639, 768, 9), promptSizes(2, 1024)).isClose);
  EXPECT_FALSE(
      compiler::chooseAssociation(configurationOf(1280, 768, 8), promptSizes(2, 256)).isClose);
}

}  // namespace cross_attention::test::compiler_association_test
