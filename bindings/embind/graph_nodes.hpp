#pragma once

#include <vector>

#include "graph/node.hpp"

namespace cross_attention::embind {

/// The nodes of a graph, each after its inputs: JavaScript names a node by its place.
struct GraphNodes {
  std::vector<graph::NodePointer> nodes;

  const graph::NodePointer& at(int place) const {
    return nodes[static_cast<std::size_t>(place)];
  }
};

}  // namespace cross_attention::embind
