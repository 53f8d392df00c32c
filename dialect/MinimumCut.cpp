//===- MinimumCut.cpp - Cheapest nodes between two sides ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Dinic's algorithm. A node is two vertices and an edge between them that has
// room for its cost; other edges have unlimited room. Each phase lets flow pass
// along all shortest paths to the sink, so that they are longer in the next
// one: there are as many phases as there are lengths of paths. By the theorem
// of Ford and Fulkerson, the edges that lead into the part of the graph that
// still reaches the sink, when no path has room, are a minimum cut: the one
// that is nearest to the sink.
//
//===----------------------------------------------------------------------===//

#include "dialect/MinimumCut.h"

#include <algorithm>

using namespace mlir;
using namespace mlir::grad;

// How often all edges may be looked at.
static constexpr int64_t kEffort = 256;
static constexpr unsigned kFar = std::numeric_limits<unsigned>::max();

static unsigned entryOf(unsigned node) { return 2 * node + 2; }
static unsigned exitOf(unsigned node) { return 2 * node + 3; }

MinimumCut::MinimumCut() : leaving(2) {}

void MinimumCut::connect(unsigned from, unsigned to, int64_t room) {
  leaving[from].push_back(edges.size());
  edges.push_back({to, room});
  leaving[to].push_back(edges.size());
  edges.push_back({from, 0});
}

unsigned MinimumCut::addNode(int64_t cost) {
  unsigned node = (leaving.size() - 2) / 2;
  leaving.resize(leaving.size() + 2);
  connect(entryOf(node), exitOf(node), cost);
  return node;
}

void MinimumCut::addEdge(unsigned from, unsigned to) {
  connect(exitOf(from), entryOf(to), kUnlimited);
}

void MinimumCut::addSource(unsigned node) {
  connect(kSource, entryOf(node), kUnlimited);
}

void MinimumCut::addSink(unsigned node) {
  connect(exitOf(node), kSink, kUnlimited);
}

bool MinimumCut::measure() {
  distances.assign(leaving.size(), kFar);
  distances[kSink] = 0;
  SmallVector<unsigned> queue = {kSink};
  for (unsigned i = 0; i < queue.size(); ++i)
    for (unsigned edge : leaving[queue[i]]) {
      unsigned from = edges[edge].to;
      if (distances[from] == kFar && edges[edge ^ 1].room > 0) {
        distances[from] = distances[queue[i]] + 1;
        queue.push_back(from);
      }
    }
  return distances[kSource] != kFar;
}

void MinimumCut::saturate(int64_t &budget) {
  next.assign(leaving.size(), 0);
  SmallVector<unsigned> path; // Edges from the source on.
  while (budget > 0) {
    unsigned at = path.empty() ? kSource : edges[path.back()].to;
    if (at == kSink) {
      int64_t flow = kUnlimited;
      for (unsigned edge : path)
        flow = std::min(flow, edges[edge].room);
      size_t kept = path.size();
      for (auto [i, edge] : llvm::enumerate(path)) {
        edges[edge].room -= flow;
        edges[edge ^ 1].room += flow;
        if (edges[edge].room == 0)
          kept = std::min(kept, i);
      }
      budget -= path.size();
      path.truncate(kept);
      continue;
    }
    unsigned &number = next[at];
    for (; number < leaving[at].size(); ++number, --budget) {
      const Edge &edge = edges[leaving[at][number]];
      if (edge.room > 0 && distances[edge.to] != kFar &&
          distances[edge.to] + 1 == distances[at])
        break;
    }
    if (number < leaving[at].size()) {
      path.push_back(leaving[at][number]);
    } else if (path.empty()) {
      return;
    } else {
      path.pop_back();
      ++next[path.empty() ? kSource : edges[path.back()].to];
    }
  }
}

std::optional<SmallVector<unsigned>> MinimumCut::solve() {
  int64_t budget = kEffort * static_cast<int64_t>(edges.size());
  while (measure()) {
    budget -= edges.size();
    saturate(budget);
    if (budget <= 0)
      return std::nullopt;
  }
  SmallVector<unsigned> cut;
  unsigned nodes = (leaving.size() - 2) / 2;
  for (unsigned node = 0; node < nodes; ++node)
    if (distances[entryOf(node)] == kFar && distances[exitOf(node)] != kFar)
      cut.push_back(node);
  return cut;
}
