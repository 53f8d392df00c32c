//===- SparsityViews.h - Places of elements, and what is known there ------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What moves elements is a *view*: places in an operand, as a start and a
/// stride for each dimension. Rules of sparsity patterns stand on it.
///
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_SPARSITYVIEWS_H
#define GRADOPT_PASSES_SPARSITYVIEWS_H

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "passes/Sparsity.h"

#include <numeric>

namespace mlir::grad::sparsity {

using Set = Elements::Set;
using Sizes = SmallVector<int64_t>;

template <typename T> using Each = Elements::Each<T>;

/// Places of elements in a tensor.
struct View {
  Sizes shape, strides;
  int64_t start = 0;

  int64_t count() const { return product(shape); }

  /// Calls `visit` on each place, in row-major order of the view.
  template <typename Visit> void forEach(Visit visit) const {
    if (count() == 0)
      return;
    Sizes index(shape.size(), 0);
    int64_t place = start;
    while (true) {
      visit(place);
      int64_t d = shape.size();
      while (true) {
        if (--d < 0)
          return;
        place += strides[d];
        if (++index[d] < shape[d])
          break;
        place -= strides[d] * shape[d];
        index[d] = 0;
      }
    }
  }

  std::vector<int64_t> places() const {
    std::vector<int64_t> all;
    all.reserve(count());
    forEach([&](int64_t place) { all.push_back(place); });
    return all;
  }

  /// Moves a dimension out of the view.
  void drop(int64_t dimension) {
    shape.erase(shape.begin() + dimension);
    strides.erase(strides.begin() + dimension);
  }

  static int64_t product(ArrayRef<int64_t> sizes) {
    return std::accumulate(sizes.begin(), sizes.end(), int64_t(1),
                           std::multiplies<>());
  }
};

/// All of a tensor of this shape, in its own order.
inline View whole(ArrayRef<int64_t> shape) {
  View view{Sizes(shape), Sizes(shape.size(), 1)};
  for (int64_t d = int64_t(shape.size()) - 2; d >= 0; --d)
    view.strides[d] = view.strides[d + 1] * shape[d + 1];
  return view;
}

/// The tensor apart from these dimensions, and along these dimensions alone.
inline std::pair<View, View> split(ArrayRef<int64_t> shape,
                                   ArrayRef<int64_t> dimensions) {
  View kept = whole(shape), along = kept;
  for (int64_t d = shape.size(); d-- > 0;)
    (llvm::is_contained(dimensions, d) ? kept : along).drop(d);
  return {kept, along};
}

inline ArrayRef<int64_t> shapeOf(Value value) {
  return typeOf(value).getShape();
}

inline int64_t sizeOf(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type ? type.getNumElements() : 1;
}

/// The elements of one vector that are at these places.
template <typename T>
Each<T> pick(const Each<T> &all, ArrayRef<int64_t> places) {
  if (!all || all->size() <= 1)
    return all && all->size() == 1 ? all : Each<T>();
  auto picked = std::make_shared<std::vector<T>>();
  picked->reserve(places.size());
  for (int64_t place : places)
    picked->push_back((*all)[place]);
  return picked;
}

inline Elements pick(const Elements &all, ArrayRef<int64_t> places) {
  return {pick(all.sets, places), pick(all.numbers, places)};
}

/// Makes `all` a vector of `size` elements that nobody else holds.
template <typename T> std::vector<T> &own(Each<T> &all, int64_t size, T fill) {
  if (!all)
    all = std::make_shared<std::vector<T>>(size, fill);
  else if (all->size() != size_t(size))
    all = std::make_shared<std::vector<T>>(size, all->front());
  else if (all.use_count() > 1)
    all = std::make_shared<std::vector<T>>(*all);
  return *all;
}

// Rules of reductions, products and what works on vectors and matrices
// (SparsityProducts.cpp).

/// The union of the sets along some dimensions, for each place in the others.
Elements uniteAlong(const Elements &x, ArrayRef<int64_t> shape,
                    ArrayRef<int64_t> dimensions, SparsityAnalysis &analysis);
Elements visitCumsum(CumsumOp op, SparsityAnalysis &analysis);
Elements visitDotGeneral(DotGeneralOp op, SparsityAnalysis &analysis);
Elements visitCorrelate(CorrelateOp op, SparsityAnalysis &analysis);
/// An element depends on its window of all features of an image, and on the
/// kernel of its feature.
Elements visitConvolution(ConvolutionOp op, SparsityAnalysis &analysis);
/// An element depends on its row of the sparse matrix and on what that meets.
Elements visitSparseDot(SparseDotOp op, SparsityAnalysis &analysis);
Elements visitSampledDot(SampledDotOp op, SparsityAnalysis &analysis);
/// A transform along some dimensions, of any size in the result.
Elements visitFourier(Operation *op, ArrayRef<int64_t> dimensions,
                      SparsityAnalysis &analysis);
/// What works on vectors or matrices along the last dimensions, each by itself:
/// all of a result depends on all operands of that.
bool visitStacked(Operation *op, int64_t dimensions,
                  SparsityAnalysis &analysis);

} // namespace mlir::grad::sparsity

#endif // GRADOPT_PASSES_SPARSITYVIEWS_H
