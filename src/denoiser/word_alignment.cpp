#include "denoiser/word_alignment.hpp"

#include <algorithm>
#include <numeric>

namespace cross_attention::denoiser {

std::vector<Index> alignWords(std::span<const std::int32_t> from, std::span<const std::int32_t> to) {
  std::vector<Index> places(to.size(), kNone);
  if (from.size() == to.size()) {
    std::iota(places.begin(), places.end(), Index{0});
    return places;
  }
  // length(i, j): of the longest common subsequence of what follows from[i] and to[j].
  const std::size_t width = to.size() + 1;
  std::vector<int> lengths((from.size() + 1) * width, 0);
  const auto length = [&](std::size_t i, std::size_t j) -> int& { return lengths[i * width + j]; };
  for (std::size_t i = from.size(); i-- > 0;) {
    for (std::size_t j = to.size(); j-- > 0;) {
      length(i, j) =
          from[i] == to[j] ? length(i + 1, j + 1) + 1 : std::max(length(i + 1, j), length(i, j + 1));
    }
  }
  for (std::size_t i = 0, j = 0; i < from.size() && j < to.size();) {
    if (from[i] == to[j]) {
      places[j++] = static_cast<Index>(i++);
    } else if (length(i + 1, j) >= length(i, j + 1)) {
      ++i;
    } else {
      ++j;
    }
  }
  return places;
}

}  // namespace cross_attention::denoiser
