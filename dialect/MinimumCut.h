//===- MinimumCut.h - Cheapest nodes between two sides ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_MINIMUMCUT_H
#define GRADOPT_DIALECT_MINIMUMCUT_H

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/SmallVector.h"

#include <cstdint>
#include <limits>
#include <optional>

namespace mlir::grad {

/// A directed graph whose nodes have costs, some of which are sources or sinks:
/// which nodes of least cost does every path from a source to a sink meet?
class MinimumCut {
public:
  MinimumCut();

  /// Returns its number, counted from 0.
  unsigned addNode(int64_t cost);
  void addEdge(unsigned from, unsigned to);
  void addSource(unsigned node);
  void addSink(unsigned node);

  /// The nodes of a cut, those next to the sinks where several cost the same.
  /// Takes time in proportion to the size of the graph, times a constant:
  /// where more would be needed, there is no answer.
  std::optional<SmallVector<unsigned>> solve();

private:
  /// What more can flow along an edge. The edge beside it, of which the number
  /// differs in the last bit, leads back.
  struct Edge {
    unsigned to;
    int64_t room;
  };

  static constexpr unsigned kSource = 0, kSink = 1;
  static constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max() / 4;

  void connect(unsigned from, unsigned to, int64_t room);
  /// Numbers the vertices by their distance to the sink, along edges that have
  /// room; false if the source does not reach it.
  bool measure();
  /// Saturates all shortest paths, taking from the budget for each edge that is
  /// looked at.
  void saturate(int64_t &budget);

  SmallVector<Edge> edges;
  SmallVector<SmallVector<unsigned, 4>> leaving; // By vertex.
  SmallVector<unsigned> distances, next;
};

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_MINIMUMCUT_H
