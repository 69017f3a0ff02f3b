#pragma once

#include <vector>

#include "graph/node.hpp"

namespace cross_attention::embind {

/// The nodes of a graph, each after its inputs. JavaScript identifies a node by its index.
struct GraphNodes {
  explicit GraphNodes(graph::NodePointer output)
      : owner(std::move(output)), nodes(graph::topologicalOrder(owner)) {}

  const graph::Node& operator[](int index) const { return *nodes[static_cast<std::size_t>(index)]; }
  /// Returns a node that outlives this object.
  graph::NodePointer at(int index) const { return {owner, &(*this)[index]}; }

  /// The last node, which owns all others.
  graph::NodePointer owner;
  std::vector<const graph::Node*> nodes;
};

}  // namespace cross_attention::embind
