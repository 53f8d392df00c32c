//===- Coloring.cpp - Products that a sparse matrix is found from ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Coloring.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"

#include <numeric>

using namespace mlir::grad;

static constexpr int32_t kNone = -1;

SparsityPattern SparsityPattern::transposed() const {
  SparsityPattern result;
  result.rows = columns;
  result.columns = rows;
  result.offsets.assign(columns + 1, 0);
  for (int32_t j : indices)
    ++result.offsets[j + 1];
  std::partial_sum(result.offsets.begin(), result.offsets.end(),
                   result.offsets.begin());
  result.indices.resize(indices.size());
  std::vector<int64_t> next(result.offsets.begin(), result.offsets.end() - 1);
  for (int64_t i = 0; i < rows; ++i)
    for (int32_t j : row(i))
      result.indices[next[j]++] = i;
  return result;
}

SparsityPattern SparsityPattern::symmetrized() const {
  SparsityPattern other = transposed(), result;
  result.rows = rows;
  result.columns = columns;
  result.offsets.reserve(rows + 1);
  result.indices.reserve(indices.size());
  for (int64_t i = 0; i < rows; ++i) {
    llvm::ArrayRef<int32_t> a = row(i), b = other.row(i);
    std::set_union(a.begin(), a.end(), b.begin(), b.end(),
                   std::back_inserter(result.indices));
    result.offsets.push_back(result.indices.size());
  }
  return result;
}

/// The longest row.
static int64_t largestRow(const SparsityPattern &pattern) {
  int64_t largest = 0;
  for (int64_t i = 0; i < pattern.rows; ++i)
    largest = std::max<int64_t>(largest, pattern.row(i).size());
  return largest;
}

/// The rows, long ones first.
static std::vector<int32_t> byDegree(const SparsityPattern &pattern) {
  std::vector<int32_t> order(pattern.rows);
  std::iota(order.begin(), order.end(), 0);
  llvm::stable_sort(order, [&](int32_t a, int32_t b) {
    return pattern.row(a).size() > pattern.row(b).size();
  });
  return order;
}

namespace {

/// The colors that a vertex cannot have, and the first one that it can.
class ForbiddenColors {
public:
  void forbid(int32_t color, int64_t vertex) {
    if (size_t(color) >= marks.size())
      marks.resize(color + 1, kNone);
    marks[color] = vertex;
  }
  int32_t firstAllowed(int64_t vertex) const {
    auto isAllowed = [&](int64_t mark) { return mark != vertex; };
    return llvm::find_if(marks, isAllowed) - marks.begin();
  }

private:
  std::vector<int64_t> marks;
};

struct Coloring {
  std::vector<int32_t> colors;
  int32_t count = 0;

  explicit Coloring(int64_t vertices) : colors(vertices, kNone) {}
  void set(int32_t vertex, int32_t color) {
    colors[vertex] = color;
    count = std::max(count, color + 1);
  }
};

/// Which of the neighbors of each vertex have which color.
class NeighborColors {
public:
  struct Entry {
    int32_t first = kNone;
    int32_t count = 0;
  };

  explicit NeighborColors(int64_t vertices) : around(vertices) {}

  /// A neighbor of `vertex` got a color. Returns what there is of it now.
  Entry add(int32_t vertex, int32_t color, int32_t neighbor) {
    Entry &entry = entries[key(vertex, color)];
    if (entry.count++ == 0) {
      entry.first = neighbor;
      around[vertex].push_back(color);
    }
    return entry;
  }
  int32_t count(int32_t vertex, int32_t color) const {
    return entries.lookup(key(vertex, color)).count;
  }
  /// The colors of its neighbors, each once.
  llvm::ArrayRef<int32_t> colors(int32_t vertex) const {
    return around[vertex];
  }

private:
  static uint64_t key(int32_t vertex, int32_t color) {
    return uint64_t(vertex) << 32 | uint32_t(color);
  }

  llvm::DenseMap<uint64_t, Entry> entries;
  std::vector<llvm::SmallVector<int32_t, 3>> around;
};

} // namespace

/// Columns of one color have no row in common. `columns` is the transpose of
/// `rows`. Gives up at `limit` colors.
static Coloring colorColumns(const SparsityPattern &rows,
                             const SparsityPattern &columns, int32_t limit) {
  Coloring coloring(rows.columns);
  ForbiddenColors forbidden;
  // Of the columns in each row that have one.
  std::vector<llvm::SmallVector<int32_t, 3>> taken(rows.rows);
  for (int32_t column : byDegree(columns)) {
    for (int32_t row : columns.row(column))
      for (int32_t color : taken[row])
        forbidden.forbid(color, column);
    coloring.set(column, forbidden.firstAllowed(column));
    if (coloring.count >= limit)
      break;
    for (int32_t row : columns.row(column))
      taken[row].push_back(coloring.colors[column]);
  }
  return coloring;
}

Compression mlir::grad::compress(const SparsityPattern &pattern) {
  SparsityPattern columns = pattern.transposed();
  // A row takes as many colors as it has elements.
  int64_t leastForward = largestRow(pattern),
          leastReverse = largestRow(columns);
  constexpr int32_t kNoLimit = std::numeric_limits<int32_t>::max();
  Compression result;
  auto take = [&](Coloring found, Compression::Direction direction) {
    result.direction = direction;
    result.colorCount = found.count;
    result.colors = std::move(found.colors);
  };
  if (leastForward <= leastReverse) {
    take(colorColumns(pattern, columns, kNoLimit), Compression::Columns);
    if (leastReverse < result.colorCount)
      if (Coloring other = colorColumns(columns, pattern, result.colorCount);
          other.count < result.colorCount)
        take(std::move(other), Compression::Rows);
  } else {
    take(colorColumns(columns, pattern, kNoLimit), Compression::Rows);
    if (leastForward <= result.colorCount)
      if (Coloring other =
              colorColumns(pattern, columns, result.colorCount + 1);
          other.count <= result.colorCount)
        take(std::move(other), Compression::Columns);
  }
  bool byColumns = result.direction == Compression::Columns;
  result.sources.reserve(pattern.indices.size());
  for (int64_t i = 0; i < pattern.rows; ++i)
    for (int64_t j : pattern.row(i))
      result.sources.push_back(byColumns
                                   ? result.colors[j] * pattern.rows + i
                                   : result.colors[i] * pattern.columns + j);
  return result;
}

/// No path of four vertices has two colors only. So the vertices of any two
/// colors make stars; two edges with the same pair of colors are in one star if
/// they meet. `spokeOf[w]` are the hubs of the stars of two and more edges that
/// `w` is an end of.
static Coloring colorStars(const SparsityPattern &graph,
                           NeighborColors &known) {
  Coloring coloring(graph.rows);
  ForbiddenColors forbidden;
  std::vector<llvm::SmallVector<int32_t, 2>> spokeOf(graph.rows);
  llvm::SmallVector<int32_t> repeated;
  for (int32_t v : byDegree(graph)) {
    auto neighbors = llvm::make_filter_range(graph.row(v), [&](int32_t w) {
      return w != v && coloring.colors[w] != kNone;
    });
    for (int32_t w : neighbors) {
      forbidden.forbid(coloring.colors[w], v);
      // v - w - hub - y, where y has the color of w.
      for (int32_t hub : spokeOf[w])
        if (known.count(hub, coloring.colors[w]) > 1)
          forbidden.forbid(coloring.colors[hub], v);
      // w - v - q - y, where q has the color of w, and y that of v.
      if (known.count(v, coloring.colors[w]) > 1)
        for (int32_t color : known.colors(w))
          forbidden.forbid(color, v);
    }
    int32_t color = forbidden.firstAllowed(v);
    coloring.set(v, color);
    for (int32_t w : graph.row(v)) {
      if (w == v)
        continue;
      NeighborColors::Entry entry = known.add(w, color, v);
      if (coloring.colors[w] == kNone || entry.count < 2)
        continue;
      // The star of w grows by v.
      if (entry.count == 2)
        spokeOf[entry.first].push_back(w);
      spokeOf[v].push_back(w);
    }
    for (int32_t w : neighbors)
      if (known.count(v, coloring.colors[w]) > 1)
        spokeOf[w].push_back(v);
  }
  return coloring;
}

Compression mlir::grad::compressSymmetric(const SparsityPattern &pattern) {
  NeighborColors known(pattern.rows);
  Coloring coloring = colorStars(pattern, known);
  Compression result;
  result.direction = Compression::Symmetric;
  result.colorCount = coloring.count;
  result.sources.reserve(pattern.indices.size());
  for (int64_t i = 0; i < pattern.rows; ++i)
    for (int64_t j : pattern.row(i)) {
      // Row i of the product has one summand, or else row j of the other has.
      bool isAlone = i == j || known.count(i, coloring.colors[j]) == 1;
      int64_t color = coloring.colors[isAlone ? j : i], row = isAlone ? i : j;
      result.sources.push_back(color * pattern.rows + row);
    }
  result.colors = std::move(coloring.colors);
  return result;
}
