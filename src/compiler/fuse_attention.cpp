#include "compiler/passes.hpp"
#include "layer/configuration.hpp"
#include "layer/parameters.hpp"

namespace cross_attention::compiler {

namespace {

using graph::Operator;
using layer::ParameterId;

constexpr graph::Attributes kMatrixTransposed{1, 0};
constexpr graph::Attributes kHeadsFirst{0, 2, 1, 3};
constexpr graph::Attributes kHeadsFirstTransposed{0, 2, 3, 1};

/// Matches the layer's operations backwards from the last one. Each step returns null or -1 if the graph
/// differs.
class Match {
 public:
  Match(const Program& program, const Operation& last) : program_(program), last_(last) {}

  /// True if `last` is the last operation of a layer. attention() may be called then.
  bool find() {
    if (last_.op != Operator::kAdd || last_.shape.rank() != 3) return false;
    const Operation* projected = program_.inputOf(last_, 0, Operator::kMatMul);
    const int bias = last_.inputs[1];
    if (projected == nullptr || !isPart(bias, static_cast<int>(ParameterId::kOutputBias))) {
      return false;
    }
    const Operation* joined = linearInput(*projected, ParameterId::kOutput);
    if (joined == nullptr || joined->op != Operator::kReshape) return false;
    const Operation* attended = program_.inputOf(*joined, 0, Operator::kTranspose, kHeadsFirst);
    if (attended == nullptr) return false;
    const Operation* sum = program_.inputOf(*attended, 0, Operator::kMatMul);
    if (sum == nullptr) return false;
    const Operation* probabilities = program_.inputOf(*sum, 0, Operator::kSoftmax);
    const Operation* value = projectedHeads(*sum, 1, kHeadsFirst, ParameterId::kValue);
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

  /// Returns x if `product` is x·Wᵀ.
  const Operation* linearInput(const Operation& product, ParameterId weight) {
    const Operation* transposed = program_.inputOf(product, 1, Operator::kTranspose, kMatrixTransposed);
    if (transposed == nullptr || !isPart(transposed->inputs[0], static_cast<int>(weight))) {
      return nullptr;
    }
    return &program_.at(product.inputs[0]);
  }

  /// Returns x if input `number` of `operation` is heads(x·Wᵀ).
  const Operation* projectedHeads(const Operation& operation, std::size_t number,
                                  const graph::Attributes& axes, ParameterId weight) {
    const Operation* heads = program_.inputOf(operation, number, Operator::kTranspose, axes);
    if (heads == nullptr) return nullptr;
    const Operation* split = program_.inputOf(*heads, 0, Operator::kReshape);
    if (split == nullptr || split->shape.rank() != 4) return nullptr;
    if (heads_ == 0) heads_ = split->shape[2];
    if (heads_ != split->shape[2]) return nullptr;
    const Operation* product = program_.inputOf(*split, 0, Operator::kMatMul);
    return product == nullptr ? nullptr : linearInput(*product, weight);
  }

  bool findScores(const Operation& probabilities) {
    const Operation* scores = &program_.at(probabilities.inputs[0]);
    if (scores->op == Operator::kAdd) {
      mask_ = scores->inputs[1];
      scores = &program_.at(scores->inputs[0]);
    }
    if (scores->op != Operator::kMul || !isPart(scores->inputs[1], layer::kParameterCount)) {
      return false;
    }
    const Operation* products = program_.inputOf(*scores, 0, Operator::kMatMul);
    if (products == nullptr) return false;
    query_ = projectedHeads(*products, 0, kHeadsFirst, ParameterId::kQuery);
    key_ = projectedHeads(*products, 1, kHeadsFirstTransposed, ParameterId::kKey);
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
