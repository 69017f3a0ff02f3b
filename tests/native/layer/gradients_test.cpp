#include "support/gradients.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "support/build.hpp"
#include "support/comparison.hpp"
#include "support/layer_case.hpp"

namespace cross_attention::test::layer_gradients_test {

namespace {

/// Adds calls of layers with biases, other dimensions and norms.
void addProjections(auto add) {
  using layer::QueryKeyNorm;
  add([](CaseShape& shape) { shape.bias = true; });
  add([](CaseShape& shape) { shape.outputBias = false; });
  for (const QueryKeyNorm norm : {QueryKeyNorm::kNone, QueryKeyNorm::kLayerNorm, QueryKeyNorm::kRmsNorm}) {
    for (const bool bias : {false, true}) {
      // innerDim is larger and smaller than queryDim and outputDim.
      for (const Index headChannels : {Index(0), Index(5), Index(2)}) {
        for (const Index outputChannels : {Index(0), Index(9), Index(3)}) {
          add([&](CaseShape& shape) {
            shape.norm = norm;
            shape.bias = bias;
            shape.outputBias = !bias;
            shape.headChannels = headChannels;
            // A norm over two channels gives ±1: its gradients are rounding errors.
            if (headChannels == 2 && norm != QueryKeyNorm::kNone) {
              shape.headChannels = 4;
              shape.numHeads = 1;
            }
            shape.outputChannels = outputChannels;
            shape.context = Shape{2, 5, 4};
            if (outputChannels == 9) shape.layout = Layout::kBatches;
          });
        }
      }
    }
    add([&](CaseShape& shape) {
      shape.norm = norm;
      shape.bias = true;
      shape.context.reset();
      shape.headChannels = 4;
      shape.mask = Shape{2, 6};
      shape.ignoresWholeRow = true;
    });
    add([&](CaseShape& shape) {
      shape.norm = norm;
      shape.bias = true;
      shape.outputChannels = 7;
      shape.context = Shape{2, 23, 4};
      shape.keyBlock = 6;
      shape.mask = Shape{2, 1, 6, 23};
    });
  }
}

/// Returns calls with all kinds of contexts, masks, layouts and projections.
std::vector<CaseShape> calls() {
  std::vector<CaseShape> all;
  const auto add = [&all](auto change) {
    CaseShape shape;
    shape.queryDim = 6;
    shape.context = Shape{5, 4};
    shape.batch = 2;
    shape.height = 2;
    shape.width = 3;
    change(shape);
    shape.seed = all.size() + 1;
    all.push_back(shape);
  };
  add([](CaseShape&) {});
  add([](CaseShape& shape) { shape.context = Shape{1, 5, 4}; });
  add([](CaseShape& shape) { shape.context = Shape{2, 5, 4}; });
  add([](CaseShape& shape) { shape.context.reset(); });
  add([](CaseShape& shape) { shape.layout = Layout::kBatches; });
  add([](CaseShape& shape) { shape.layout = Layout::kSingle; });
  add([](CaseShape& shape) {
    shape.layout = Layout::kBatches;
    shape.context.reset();
  });
  for (const Shape& mask : {Shape{2, 5}, Shape{1, 5}, Shape{2, 2, 6, 5}, Shape{1, 1, 1, 5}, Shape{2, 1, 6, 5},
                            Shape{1, 2, 1, 5}}) {
    for (const bool ignoring : {false, true}) {
      add([&](CaseShape& shape) {
        shape.mask = mask;
        shape.ignoresWholeRow = ignoring;
      });
      add([&](CaseShape& shape) {
        shape.context = Shape{2, 5, 4};
        shape.mask = mask;
        shape.ignoresWholeRow = ignoring;
      });
    }
  }
  for (const Shape& mask : {Shape{2, 6}, Shape{2, 2, 6, 6}}) {
    add([&](CaseShape& shape) {
      shape.context.reset();
      shape.mask = mask;
      shape.ignoresWholeRow = true;
    });
  }
  // Keys that do not fit into one tile, so that the scores are computed twice.
  add([](CaseShape& shape) {
    shape.context = Shape{2, 23, 4};
    shape.keyBlock = 6;
    shape.mask = Shape{2, 1, 6, 23};
  });
  add([](CaseShape& shape) {
    shape.queryDim = 5;
    shape.numHeads = 1;
    shape.context = Shape{1, 1, 1};
  });
  add([](CaseShape& shape) {
    shape.queryDim = 8;
    shape.numHeads = 8;
    shape.height = 1;
    shape.width = 1;
  });
  addProjections(add);
  return all;
}

/// Returns Σ outputGradient ∘ output, whose gradients backward computes.
double loss(LayerCase<double>& layerCase) {
  const Tensor<double> output = layerCase.forward();
  double sum = 0;
  for (Index index = 0; index < output.size(); ++index) {
    sum += layerCase.outputGradient.data()[index] * output.data()[index];
  }
  return sum;
}

/// Returns (f(x + h) - f(x - h)) / 2h for each element. With h = 1e-5, the error of the third derivative is
/// h² ≈ 1e-10 and that of rounding is ε·|f|/h ≈ 1e-10: four digits better than the required 1e-6.
std::vector<double> centralDifferences(std::span<double> elements, auto evaluate) {
  constexpr double kStep = 1e-5;
  std::vector<double> result;
  for (double& element : elements) {
    const double original = element;
    element = original + kStep;
    const double above = evaluate();
    element = original - kStep;
    const double below = evaluate();
    element = original;
    result.push_back((above - below) / (2 * kStep));
  }
  return result;
}

std::span<double> elementsOf(Tensor<double>& tensor) {
  return {tensor.data(), static_cast<std::size_t>(tensor.size())};
}

}  // namespace

TEST(GradientsTest, Float64MatchesCentralDifferences) {
  constexpr double kRelative = 1e-6;
  double worst = 0;
  for (const CaseShape& shape : calls()) {
    SCOPED_TRACE(shape.describe());
    LayerCase<double> layerCase(shape);
    const Tensor<double> inputGradient = layerCase.forwardAndBackward();
    const std::vector<double> parameterGradients = layerCase.parameterGradients();
    const std::optional<Tensor<double>> contextGradient = layerCase.layer.contextGradient();
    layerCase.layer.setTraining(false);
    const auto check = [&](const char* name, std::span<const double> actual,
                           const std::vector<double>& expected) {
      const double tolerance = allowedGradientError(kRelative, expected);
      EXPECT_TRUE(isNear(actual, expected, tolerance)) << name;
      worst = std::max(worst, kRelative * largestDifference(actual, expected) / tolerance);
    };
    check("input", values(inputGradient),
          centralDifferences(elementsOf(layerCase.input), [&] { return loss(layerCase); }));
    if (shape.context) {
      ASSERT_TRUE(contextGradient);
      check("context", values(*contextGradient),
            centralDifferences(elementsOf(*layerCase.context), [&] { return loss(layerCase); }));
    } else {
      EXPECT_FALSE(contextGradient);
    }
    std::vector<double> parameters(layerCase.layer.parameters().values().begin(),
                                   layerCase.layer.parameters().values().end());
    const std::vector<double> differences = centralDifferences(parameters, [&] {
      layerCase.layer.setParameters(std::span<const double>(parameters));
      return loss(layerCase);
    });
    // Each of the five separately: a large gradient of one parameter must not hide an error of another.
    std::size_t begin = 0;
    for (std::size_t id = 0; id < layer::kParameterNames.size(); ++id) {
      const auto size = static_cast<std::size_t>(
          layerCase.layer.parameters().shape(static_cast<layer::ParameterId>(id)).size());
      const std::span<const double> actual = std::span(parameterGradients).subspan(begin, size);
      const std::span<const double> expected = std::span(differences).subspan(begin, size);
      check(std::string(layer::kParameterNames[id]).c_str(), actual, {expected.begin(), expected.end()});
      begin += size;
    }
  }
  std::printf("float64 gradients compared with central differences: largest relative error %.2g\n", worst);
}

TEST(GradientsTest, Float64MatchesTheReference) {
  // Only rounding errors of sums of several hundred terms.
  for (const CaseShape& shape : calls()) expectGradientsMatchReference<double>(shape, 1e-12);
}

TEST(GradientsTest, Float32MatchesTheReference) {
  for (const CaseShape& shape : calls()) expectGradientsMatchReference<float>(shape, 1e-4);
}

TEST(GradientsTest, LargerShapesMatchTheReference) {
  std::vector<CaseShape> shapes;
  // The measured shape "tiny", some of whose chunks and blocks are partial.
  CaseShape tiny;
  tiny.queryDim = 64;
  tiny.numHeads = 4;
  tiny.height = 16;
  tiny.width = 16;
  tiny.context = Shape{16, 64};
  shapes.push_back(tiny);
  CaseShape odd;
  odd.batch = 2;
  odd.queryDim = 72;
  odd.numHeads = 3;
  odd.height = 19;
  odd.width = 23;
  odd.context = Shape{2, 301, 50};
  odd.mask = Shape{2, 301};
  shapes.push_back(odd);
  odd.mask = Shape{1, 3, 437, 301};
  odd.keyBlock = 100;
  odd.tokenBlock = 48;
  shapes.push_back(odd);
  CaseShape self = tiny;
  self.context.reset();
  self.layout = Layout::kBatches;
  shapes.push_back(self);
  if (kSanitized) {
    reportSkipped("gradients at sd15-16's channels");
  } else {
    CaseShape wide;
    wide.queryDim = 1280;
    wide.numHeads = 8;
    wide.height = 16;
    wide.width = 16;
    wide.context = Shape{77, 768};
    shapes.push_back(wide);
  }
  for (const CaseShape& shape : shapes) {
    expectGradientsMatchReference<float>(shape, 1e-4);
    if (shape.queryDim < 1000) expectGradientsMatchReference<double>(shape, 1e-12);
  }
}

}  // namespace cross_attention::test::layer_gradients_test
