#pragma once

#include <vector>

#include "graph/node.hpp"

namespace cross_attention::embind {

/// The nodes of a graph, each after its inputs: JavaScript names a node by its place.
struct GraphNodes {
  explicit GraphNodes(graph::NodePointer output)
      : owner(std::move(output)), nodes(graph::inOrder(owner)) {}

  const graph::Node& operator[](int place) const { return *nodes[static_cast<std::size_t>(place)]; }
  /// For whom it shall live longer than this.
  graph::NodePointer at(int place) const { return {owner, &(*this)[place]}; }

  graph::NodePointer owner;  ///< the last of the nodes: keeps them all
  std::vector<const graph::Node*> nodes;
};

}  // namespace cross_attention::embind
