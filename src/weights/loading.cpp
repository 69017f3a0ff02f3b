#include "weights/loading.hpp"

#include <array>

#include "core/error.hpp"
#include "core/text.hpp"

namespace cross_attention::weights {

namespace {

using layer::findParameter;
using layer::kParameterNames;
using layer::nameOf;
using layer::ParameterId;

/// The candidate for each parameter, or null.
using Assignment = std::array<const CandidateDescription*, kParameterNames.size()>;

Assignment assign(const layer::ParameterShapes& shapes,
                  const std::vector<const CandidateDescription*>& candidates, LoadReport& report) {
  Assignment assignment{};
  for (const CandidateDescription* candidate : candidates) {
    if (!candidate->parameter) continue;
    const std::optional<ParameterId> id = findParameter(*candidate->parameter);
    if (!id) {
      report.skipped.push_back(candidate->name);
      continue;
    }
    const CandidateDescription*& assigned = assignment[static_cast<std::size_t>(*id)];
    if (assigned != nullptr) {
      failWeights({"weights '", assigned->name, "' and '", candidate->name, "' both map to parameter ",
                   *candidate->parameter, "; expected one"});
    }
    const Shape& expected = shapes[static_cast<std::size_t>(*id)];
    if (candidate->shape != expected) {
      failWeights({"weight '", candidate->name, "' has shape ", candidate->shape, "; expected ", expected,
                   " for parameter ", *candidate->parameter});
    }
    assigned = candidate;
  }
  return assignment;
}

void checkStrictly(const Assignment& assignment, const LoadReport& report) {
  std::string missing;
  for (std::size_t id = 0; id < assignment.size(); ++id) {
    if (assignment[id] == nullptr) missing += text({" ", kParameterNames[id]});
  }
  std::string unexpected;
  for (const std::string& name : report.skipped) unexpected += text({" ", name});
  if (missing.empty() && unexpected.empty()) return;
  failWeights({"the weights do not match the layer:", missing.empty() ? "" : " missing", missing,
               missing.empty() ? "" : ";", unexpected.empty() ? "" : " unexpected", unexpected,
               unexpected.empty() ? "" : ";",
               " expected exactly the layer's parameters because strict is true"});
}

}  // namespace

template <class T>
LoadReport loadWeights(layer::DiffusionCrossAttention<T>& layer, std::span<const Candidate<T>> candidates,
                       bool strict) {
  const layer::Parameters<T>& parameters = layer.parameters();
  LoadReport report;
  std::vector<const CandidateDescription*> descriptions;
  for (const Candidate<T>& candidate : candidates) descriptions.push_back(&candidate);
  const Assignment assignment = assign(parameters.shapes(), descriptions, report);
  if (strict) checkStrictly(assignment, report);
  // Writes into a copy first: if a weight cannot be read, all parameters must stay unchanged.
  Buffer<T> values(parameters.size());
  const std::span<T> all{values.data(), static_cast<std::size_t>(values.size())};
  std::copy(parameters.values().begin(), parameters.values().end(), all.begin());
  for (std::size_t index = 0; index < assignment.size(); ++index) {
    if (assignment[index] == nullptr) continue;
    const auto id = static_cast<ParameterId>(index);
    const auto offset = parameters.values(id).data() - parameters.values().data();
    static_cast<const Candidate<T>*>(assignment[index])
        ->read(all.subspan(static_cast<std::size_t>(offset), parameters.values(id).size()));
    report.loaded.emplace_back(nameOf(id));
  }
  if (!report.loaded.empty()) layer.setParameters(std::span<const T>(all));
  return report;
}

template LoadReport loadWeights(layer::DiffusionCrossAttention<float>&, std::span<const Candidate<float>>,
                                bool);
template LoadReport loadWeights(layer::DiffusionCrossAttention<double>&, std::span<const Candidate<double>>,
                                bool);

}  // namespace cross_attention::weights
