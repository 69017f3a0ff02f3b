#include <optional>

#include "compiler/passes.hpp"
#include "layer/computation_graph.hpp"

namespace cross_attention::compiler {

namespace {

using graph::Operator;
using layer::ParameterId;

constexpr graph::Attributes kMatrixTransposed{1, 0};
constexpr graph::Attributes kHeadsFirst{0, 2, 1, 3};
constexpr graph::Attributes kHeadsFirstTransposed{0, 2, 3, 1};

/// The parameters of a projection and, for queries and keys, of its norm.
struct ProjectionIds {
  ParameterId weight, bias;
  std::optional<ParameterId> normWeight, normBias;
};
constexpr ProjectionIds kQueryIds{ParameterId::kQuery, ParameterId::kQueryBias, ParameterId::kQueryNorm,
                                  ParameterId::kQueryNormBias};
constexpr ProjectionIds kKeyIds{ParameterId::kKey, ParameterId::kKeyBias, ParameterId::kKeyNorm,
                                ParameterId::kKeyNormBias};
constexpr ProjectionIds kValueIds{ParameterId::kValue, ParameterId::kValueBias, {}, {}};

/// Matches the layer's operations backwards from the last one. Each step returns null or -1 if the graph
/// differs.
class Match {
 public:
  Match(const Program& program, const Operation& last) : program_(program), last_(last) {}

  /// True if `last` is the last operation of a layer. attention() may be called then.
  bool find() {
    if (last_.shape.rank() != 3) return false;
    const Operation* joined = linearInput(last_, ParameterId::kOutput, ParameterId::kOutputBias);
    if (joined == nullptr || joined->op != Operator::kReshape) return false;
    const Operation* attended = program_.inputOf(*joined, 0, Operator::kTranspose, kHeadsFirst);
    if (attended == nullptr) return false;
    const Operation* sum = program_.inputOf(*attended, 0, Operator::kMatMul);
    if (sum == nullptr) return false;
    const Operation* probabilities = program_.inputOf(*sum, 0, Operator::kSoftmax);
    const Operation* value = projectedHeads(*sum, 1, kHeadsFirst, kValueIds);
    return probabilities != nullptr && value != nullptr && findScores(*probabilities) && value == key_ &&
           fits();
  }

  Operation attention() const {
    Operation attention{.op = Operator::kAttention,
                        .name = layer_->name(),
                        .inputs = {indexOf(query_), indexOf(key_)},
                        .shape = last_.shape,
                        .owner = layer_};
    if (mask_ >= 0) attention.inputs.push_back(mask_);
    return attention;
  }

 private:
  int indexOf(const Operation* operation) const {
    return static_cast<int>(operation - program_.operations.data());
  }

  /// True if the operation at `index` is constant `part` of the layer. The first match determines the layer.
  bool isPart(int index, int part) {
    const Operation& constant = program_.at(index);
    if (!constant.isConstant() || constant.owner == nullptr || constant.part != part) return false;
    if (layer_ == nullptr && constant.owner->isLayer()) layer_ = constant.owner;
    return constant.owner == layer_;
  }

  /// Returns x if `sum` is x·Wᵀ + b, or x·Wᵀ for a layer without this bias.
  const Operation* linearInput(const Operation& sum, ParameterId weight, ParameterId bias) {
    const bool isSum = sum.op == Operator::kAdd;
    if (isSum && !isPart(sum.inputs[1], static_cast<int>(bias))) return nullptr;
    const Operation* product = isSum ? program_.inputOf(sum, 0, Operator::kMatMul) : &sum;
    if (product == nullptr || product->op != Operator::kMatMul) return nullptr;
    const Operation* x = productInput(*product, weight);
    // Not the product of a layer with a bias, which a later operation adds.
    const bool hasBias = x != nullptr && has(bias);
    return isSum == hasBias ? x : nullptr;
  }

  /// Returns x if `product` is x·Wᵀ.
  const Operation* productInput(const Operation& product, ParameterId weight) {
    const Operation* transposed = program_.inputOf(product, 1, Operator::kTranspose, kMatrixTransposed);
    if (transposed == nullptr || !isPart(transposed->inputs[0], static_cast<int>(weight))) {
      return nullptr;
    }
    return &program_.at(product.inputs[0]);
  }

  /// Returns x if `result` is norm(x) with the weights of this norm, or `result` for a layer without it.
  const Operation* normInput(const Operation* result, const ProjectionIds& ids) {
    if (!has(*ids.normWeight)) return result;
    const bool isCentered = has(*ids.normBias);
    if (isCentered) {
      const bool isBiased =
          result->op == Operator::kAdd && isPart(result->inputs[1], static_cast<int>(*ids.normBias));
      result = isBiased ? &program_.at(result->inputs[0]) : nullptr;
    }
    if (result == nullptr || result->op != Operator::kMul ||
        !isPart(result->inputs[1], static_cast<int>(*ids.normWeight))) {
      return nullptr;
    }
    const Operation* normalized = program_.inputOf(*result, 0, Operator::kDiv);
    if (normalized == nullptr || !isDeviation(*normalized)) return nullptr;
    const Operation* centered = &program_.at(normalized->inputs[0]);
    if (!isCentered) return centered;
    if (centered->op != Operator::kSub) return nullptr;
    const Operation* mean = program_.inputOf(*centered, 1, Operator::kReduceMean);
    const bool isMean = mean != nullptr && &program_.at(mean->inputs[0]) == &program_.at(centered->inputs[0]);
    return isMean ? &program_.at(centered->inputs[0]) : nullptr;
  }

  /// True if `quotient` is x / √(mean of x² + ε).
  bool isDeviation(const Operation& quotient) {
    const Operation* root = program_.inputOf(quotient, 1, Operator::kSqrt);
    const Operation* sum = root == nullptr ? nullptr : program_.inputOf(*root, 0, Operator::kAdd);
    if (sum == nullptr || !isPart(sum->inputs[1], layer::LayerConstants::kEpsilonPart)) return false;
    const Operation* mean = program_.inputOf(*sum, 0, Operator::kReduceMean);
    const Operation* squares = mean == nullptr ? nullptr : program_.inputOf(*mean, 0, Operator::kMul);
    return squares != nullptr && squares->inputs[0] == quotient.inputs[0] &&
           squares->inputs[1] == quotient.inputs[0];
  }

  bool has(ParameterId id) const { return static_cast<const layer::LayerConstants*>(layer_)->has(id); }

  /// Returns x if input `number` of `operation` is heads(norm(x·Wᵀ + b)).
  const Operation* projectedHeads(const Operation& operation, std::size_t number,
                                  const graph::Attributes& axes, const ProjectionIds& ids) {
    const Operation* heads = program_.inputOf(operation, number, Operator::kTranspose, axes);
    if (heads == nullptr) return nullptr;
    const Operation* split = &program_.at(heads->inputs[0]);
    if (ids.normWeight) split = normInput(split, ids);
    if (split == nullptr || split->op != Operator::kReshape || split->shape.rank() != 4) return nullptr;
    if (heads_ == 0) heads_ = split->shape[2];
    if (heads_ != split->shape[2]) return nullptr;
    return linearInput(program_.at(split->inputs[0]), ids.weight, ids.bias);
  }

  bool findScores(const Operation& probabilities) {
    const Operation* scores = &program_.at(probabilities.inputs[0]);
    if (scores->op == Operator::kAdd) {
      mask_ = scores->inputs[1];
      scores = &program_.at(scores->inputs[0]);
    }
    if (scores->op != Operator::kMul || !isPart(scores->inputs[1], layer::LayerConstants::kScalePart)) {
      return false;
    }
    const Operation* products = program_.inputOf(*scores, 0, Operator::kMatMul);
    if (products == nullptr) return false;
    query_ = projectedHeads(*products, 0, kHeadsFirst, kQueryIds);
    key_ = projectedHeads(*products, 1, kHeadsFirstTransposed, kKeyIds);
    return query_ != nullptr && key_ != nullptr;
  }

  /// True if the layer accepts these shapes: a graph may broadcast in cases that the layer does not support.
  bool fits() const {
    const Shape& query = query_->shape;
    const Shape& key = key_->shape;
    if (query.rank() != 3 || key.rank() != 3 || (key[0] != 1 && key[0] != query[0])) return false;
    if (mask_ < 0) return true;
    const Shape& mask = program_.at(mask_).shape;
    return mask.rank() == 4 && mask[3] == key[1] && (mask[0] == 1 || mask[0] == query[0]);
  }

  const Program& program_;
  const Operation& last_;
  const graph::ConstantOwner* layer_ = nullptr;
  const Operation* query_ = nullptr;
  const Operation* key_ = nullptr;
  int mask_ = -1;
  Index heads_ = 0;
};

}  // namespace

void fuseAttention(Program& program) {
  for (Operation& operation : program.operations) {
    Match match(program, operation);
    if (match.find()) operation = match.attention();
  }
}

}  // namespace cross_attention::compiler
