#include "layer/cost.hpp"

#include <gtest/gtest.h>

#include "linalg/tile.hpp"
#include "support/layer_case.hpp"

namespace cross_attention::test::layer_cost_test {

namespace {

using layer::Association;
using layer::AttentionSizes;

/// Sizes of a constant context of a prompt: 77 keys.
AttentionSizes promptSizes(Index batch, Index tokens) {
  return {.batch = batch,
          .tokens = tokens,
          .kvBatches = batch,
          .keys = 77,
          .contextIsConstant = true,
          .elementBytes = 4};
}

Association chosen(const layer::Configuration& configuration, const AttentionSizes& sizes) {
  return layer::chooseAssociation(configuration, sizes).association;
}

}  // namespace

/// 4·N·heads·L·C folded; 4·N·C² + 4·N·L·C unfolded.
TEST(ChooseAssociationTest, CountsFlopsOfARun) {
  const layer::Configuration configuration = configurationOf(1280, 768, 8);
  const AttentionSizes sizes = promptSizes(2, 256);
  EXPECT_EQ(layer::costOf(configuration, sizes, Association::kFolded).flops, 4.0 * 512 * 8 * 77 * 1280);
  EXPECT_EQ(layer::costOf(configuration, sizes, Association::kPlain).flops,
            4.0 * 512 * 1280 * 1280 + 4.0 * 512 * 77 * 1280);
}

TEST(ChooseAssociationTest, CountsProjectionOfANonConstantContext) {
  const layer::Configuration configuration = configurationOf(320, 768, 8);
  AttentionSizes sizes = promptSizes(2, 4096);
  const double constantContext = layer::costOf(configuration, sizes, Association::kPlain).flops;
  sizes.contextIsConstant = false;
  EXPECT_EQ(layer::costOf(configuration, sizes, Association::kPlain).flops - constantContext,
            2 * 4.0 * 77 * 768 * 320);
  EXPECT_EQ(layer::costOf(configuration, sizes, Association::kFolded).flops - 4.0 * 8192 * 8 * 77 * 320,
            2 * (4.0 * 77 * 768 * 320 + 4.0 * 77 * 320 * 320));
}

TEST(ChooseAssociationTest, FoldsIfHeadsTimesKeysAreFewerThanChannels) {
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

TEST(ChooseAssociationTest, DoesNotFoldANonConstantContextForFewTokens) {
  AttentionSizes sizes = promptSizes(2, 64);
  sizes.contextIsConstant = false;
  EXPECT_EQ(chosen(configurationOf(1280, 768, 8), sizes), Association::kPlain);
}

TEST(ChooseAssociationTest, ReportsCloseDecisions) {
  // (640 · 640 + 77 · 640) unfolded / (8 · 77 · 640) folded is 1.16; with 9 heads it is 1.03.
  EXPECT_TRUE(layer::chooseAssociation(configurationOf(639, 768, 9), promptSizes(2, 1024)).isClose);
  EXPECT_FALSE(layer::chooseAssociation(configurationOf(1280, 768, 8), promptSizes(2, 256)).isClose);
}

template <class T>
class FoldsContextTest : public testing::Test {};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(FoldsContextTest, Formats);

TYPED_TEST(FoldsContextTest, FoldsIfThatIsLessWork) {
  using T = TypeParam;
  const auto folds = [](Index queryDim, Index heads, Index tokens, Index keys) {
    return layer::foldsContext<T>(configurationOf(queryDim, 768, heads), tokens, keys);
  };
  // Cross-attention of Stable Diffusion with 77 keys: layers with many channels and few heads fold.
  EXPECT_FALSE(folds(320, 8, 4096, 77));
  EXPECT_TRUE(folds(640, 8, 1024, 77));
  EXPECT_TRUE(folds(1280, 8, 256, 77));
  EXPECT_FALSE(folds(1280, 20, 1024, 77));
  // Folding the context costs too much for few tokens. With one head it is less work if keys < tokens.
  const Index wholeTiles = 12 * linalg::kTileRows<T>;
  EXPECT_FALSE(folds(64, 1, wholeTiles, wholeTiles));
  EXPECT_TRUE(folds(64, 1, wholeTiles + 1, wholeTiles));
  EXPECT_FALSE(folds(64, 1, wholeTiles + 1, wholeTiles + 1));
  // At most one tile of keys.
  EXPECT_TRUE(folds(64, 1, 4096, 256));
  EXPECT_FALSE(folds(64, 1, 4096, 257));
  EXPECT_FALSE(folds(64, 1, 0, 77));
  EXPECT_FALSE(folds(64, 1, 0, 0));
}

TYPED_TEST(FoldsContextTest, DoesNotFoldWithAKeyBlockOfTheCaller) {
  layer::Configuration configuration = configurationOf(64, 64, 4);
  EXPECT_TRUE(layer::foldsContext<TypeParam>(configuration, 4096, 1));
  configuration.keyBlock = 16;
  EXPECT_FALSE(layer::foldsContext<TypeParam>(configuration, 4096, 1));
}

TEST(CostTest, FoldsAConstantContextIfHeadsTimesKeysAreFewer) {
  // heads · L < C + L.
  EXPECT_FALSE(layer::foldsConstantContext(configurationOf(320, 768, 8), 77));
  EXPECT_TRUE(layer::foldsConstantContext(configurationOf(640, 768, 8), 77));
  EXPECT_FALSE(layer::foldsConstantContext(configurationOf(70, 70, 8), 10));
  EXPECT_TRUE(layer::foldsConstantContext(configurationOf(72, 72, 8), 10));
}

}  // namespace cross_attention::test::layer_cost_test
