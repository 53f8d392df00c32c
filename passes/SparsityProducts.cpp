//===- SparsityProducts.cpp - Dependences through sums and products -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rules of what combines many elements: reductions, products, convolutions,
// and what works on vectors and matrices.
//
//===----------------------------------------------------------------------===//

#include "passes/SparsityViews.h"

using namespace mlir;
using namespace mlir::grad;
using namespace mlir::grad::sparsity;

Elements sparsity::uniteAlong(const Elements &x, ArrayRef<int64_t> shape,
                              ArrayRef<int64_t> dimensions,
                              SparsityAnalysis &analysis) {
  Elements result;
  if (!x.sets || x.sets->size() == 1) {
    result.sets = View::product(shape) ? x.sets : nullptr;
    return result;
  }
  auto [kept, along] = split(shape, dimensions);
  std::vector<int64_t> steps = along.places();
  analysis.count(x.sets->size());
  auto sets = std::make_shared<std::vector<Set>>();
  sets->reserve(kept.count());
  SmallVector<Set> group;
  kept.forEach([&](int64_t place) {
    group.clear();
    for (int64_t step : steps)
      group.push_back((*x.sets)[place + step]);
    sets->push_back(analysis.sets().unite(group));
  });
  result.sets = std::move(sets);
  return result;
}

Elements sparsity::visitCumsum(CumsumOp op, SparsityAnalysis &analysis) {
  Elements x = analysis.get(op.getX());
  x.numbers = nullptr;
  if (!x.sets || x.sets->size() == 1)
    return x;
  int64_t d = op.getDimension();
  auto [kept, along] = split(shapeOf(op.getX()), {d});
  std::vector<int64_t> steps = along.places();
  if (op.getReverse())
    std::reverse(steps.begin(), steps.end());
  auto sums = std::make_shared<std::vector<Set>>(x.sets->size());
  analysis.count(sums->size());
  kept.forEach([&](int64_t place) {
    Set sum = InputSets::kEmpty;
    for (int64_t step : steps) {
      sum = analysis.sets().unite(sum, (*x.sets)[place + step]);
      (*sums)[place + step] = sum;
    }
  });
  x.sets = std::move(sums);
  return x;
}

Elements sparsity::visitDotGeneral(DotGeneralOp op,
                                   SparsityAnalysis &analysis) {
  // Each operand without the dimensions that are summed over, in the order of
  // the result: batch, left, right.
  struct Side {
    Value value;
    ArrayRef<int64_t> batch, contract;
    Elements sums;
    int64_t batches = 1, kept = 1;
  };
  Side sides[] = {{op.getLhs(), op.getLhsBatch(), op.getLhsContract(), {}},
                  {op.getRhs(), op.getRhsBatch(), op.getRhsContract(), {}}};
  for (Side &side : sides) {
    ArrayRef<int64_t> shape = shapeOf(side.value);
    View source = whole(shape), view;
    Sizes order(side.batch), contracted(side.contract);
    for (int64_t d = 0; d < int64_t(shape.size()); ++d)
      if (!llvm::is_contained(side.batch, d) &&
          !llvm::is_contained(side.contract, d)) {
        order.push_back(d);
        side.kept *= shape[d];
      }
    for (int64_t d : side.batch)
      side.batches *= shape[d];
    llvm::append_range(order, contracted);
    for (int64_t d : order) {
      view.shape.push_back(shape[d]);
      view.strides.push_back(source.strides[d]);
    }
    int64_t inner = 1;
    for (int64_t d : contracted)
      inner *= shape[d];
    side.sums = uniteAlong(pick(analysis.get(side.value), view.places()),
                           {side.batches * side.kept, inner}, {1}, analysis);
  }
  auto &[left, right] = sides;
  Elements result;
  if (!left.sums.sets && !right.sums.sets)
    return result;
  auto sets = std::make_shared<std::vector<Set>>();
  sets->reserve(left.batches * left.kept * right.kept);
  analysis.count(left.batches * left.kept * right.kept);
  for (int64_t b = 0; b < left.batches; ++b)
    for (int64_t i = 0; i < left.kept; ++i)
      for (int64_t j = 0; j < right.kept; ++j)
        sets->push_back(
            analysis.sets().unite(left.sums.set(b * left.kept + i),
                                  right.sums.set(b * right.kept + j)));
  result.sets = std::move(sets);
  return result;
}

Elements sparsity::visitCorrelate(CorrelateOp op, SparsityAnalysis &analysis) {
  ArrayRef<int64_t> shape = shapeOf(op.getX());
  int64_t size = shape.back(), width = shapeOf(op.getKernel()).back(),
          vectors = View::product(shape.drop_back()),
          length = shapeOf(op.getResult()).back(), low = op.getLow();
  Elements x = analysis.get(op.getX()), kernel = analysis.get(op.getKernel());
  Elements result;
  if (!x.sets && !kernel.sets)
    return result;
  auto sets = std::make_shared<std::vector<Set>>();
  analysis.count(vectors * length * width);
  SmallVector<Set> group;
  for (int64_t v = 0; v < vectors; ++v)
    for (int64_t k = 0; k < length; ++k) {
      group.clear();
      for (int64_t j = 0; j < width; ++j) {
        int64_t place = k + j - low;
        if (place < 0 || place >= size)
          continue;
        group.push_back(x.set(v * size + place));
        group.push_back(kernel.set(v * width + j));
      }
      sets->push_back(analysis.sets().unite(group));
    }
  result.sets = std::move(sets);
  return result;
}

namespace {

/// The places of the elements of a sparse matrix.
struct SparsePlaces {
  SparsePlaces(Value indices, Value pointers, int64_t columns,
               SparsityAnalysis &analysis)
      : rows(sizeOf(pointers) - 1), count(sizeOf(indices)), columns(columns),
        indices(analysis.get(indices)), pointers(analysis.get(pointers)) {}

  bool areKnown() const {
    return (count == 0 || indices.numbers) && pointers.numbers;
  }

  /// Calls `visit` on element `k` of row `i` and column `j`, for all elements,
  /// of which a matrix without columns has none, whatever its numbers say.
  template <typename Visit> void forEach(Visit visit) const {
    if (columns == 0)
      return;
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t k = begin(i), end = begin(i + 1); k < end; ++k)
        visit(k, i, limited(indices.number(k), columns - 1));
  }

  int64_t rows, count, columns;

private:
  int64_t begin(int64_t i) const { return limited(pointers.number(i), count); }

  static int64_t limited(int64_t number, int64_t last) {
    return number < 0 ? last : std::min(number, last);
  }

  Elements indices, pointers;
};

} // namespace

/// Each element depends on all of these operands.
static Elements dependingOnAll(ArrayRef<Value> operands,
                               SparsityAnalysis &analysis) {
  SmallVector<Set> group;
  for (Value operand : operands)
    if (Elements known = analysis.get(operand); known.sets)
      llvm::append_range(group, *known.sets);
  Elements result;
  if (!group.empty())
    result.sets =
        std::make_shared<std::vector<Set>>(1, analysis.sets().unite(group));
  return result;
}

Elements sparsity::visitSparseDot(SparseDotOp op, SparsityAnalysis &analysis) {
  SparsePlaces places(op.getIndices(), op.getPointers(), op.getColumns(),
                      analysis);
  Elements data = analysis.get(op.getData()), x = analysis.get(op.getX());
  Elements result;
  if ((!data.sets && !x.sets) || sizeOf(op.getResult()) == 0)
    return result;
  if (!places.areKnown())
    return dependingOnAll({op.getData(), op.getX()}, analysis);
  int64_t width = View::product(shapeOf(op.getX()).drop_front());
  analysis.count(places.count * width);
  std::vector<SmallVector<Set, 4>> groups(sizeOf(op.getResult()));
  places.forEach([&](int64_t k, int64_t i, int64_t j) {
    if (op.getTransposed())
      std::swap(i, j);
    for (int64_t c = 0; c < width; ++c) {
      groups[i * width + c].push_back(data.set(k));
      groups[i * width + c].push_back(x.set(j * width + c));
    }
  });
  result.sets = std::make_shared<std::vector<Set>>();
  for (auto &group : groups)
    result.sets->push_back(analysis.sets().unite(group));
  return result;
}

Elements sparsity::visitSampledDot(SampledDotOp op,
                                   SparsityAnalysis &analysis) {
  ArrayRef<int64_t> shape = shapeOf(op.getRhs());
  SparsePlaces places(op.getIndices(), op.getPointers(), shape.front(),
                      analysis);
  Elements lhs = analysis.get(op.getLhs()), rhs = analysis.get(op.getRhs());
  Elements result;
  if ((!lhs.sets && !rhs.sets) || places.count == 0)
    return result;
  if (!places.areKnown())
    return dependingOnAll({op.getLhs(), op.getRhs()}, analysis);
  int64_t width = View::product(shape.drop_front());
  analysis.count(places.count * width);
  result.sets =
      std::make_shared<std::vector<Set>>(places.count, Set(InputSets::kEmpty));
  SmallVector<Set> group;
  places.forEach([&](int64_t k, int64_t i, int64_t j) {
    group.clear();
    for (int64_t c = 0; c < width; ++c) {
      group.push_back(lhs.set(i * width + c));
      group.push_back(rhs.set(j * width + c));
    }
    (*result.sets)[k] = analysis.sets().unite(group);
  });
  return result;
}

Elements sparsity::visitConvolution(ConvolutionOp op,
                                    SparsityAnalysis &analysis) {
  ArrayRef<int64_t> shape = shapeOf(op.getX()),
                    kernelShape = shapeOf(op.getKernel()),
                    resultShape = shapeOf(op.getResult());
  Elements x = analysis.get(op.getX()), kernel = analysis.get(op.getKernel());
  Elements result;
  if (!x.sets && !kernel.sets)
    return result;
  int64_t groups = shape[0], images = shape[1], features = shape[2],
          outputs = resultShape[2];
  View inside = whole(shape.drop_front(3)),
       taps = whole(kernelShape.drop_front(3)),
       windows = whole(resultShape.drop_front(3));
  // Of the positions of windows and taps, the place in an image of one feature,
  // or none.
  auto placeOf = [&](int64_t window, int64_t tap) -> std::optional<int64_t> {
    int64_t place = 0;
    for (size_t d = 0; d < inside.shape.size(); ++d) {
      int64_t p = window / windows.strides[d] % windows.shape[d],
              k = tap / taps.strides[d] % taps.shape[d];
      int64_t at = p * op.getStrides()[d] + k * op.getKernelDilation()[d] -
                   op.getLow()[d];
      int64_t apart = op.getXDilation()[d];
      if (at < 0 || at % apart != 0 || at / apart >= inside.shape[d])
        return std::nullopt;
      place += at / apart * inside.strides[d];
    }
    return place;
  };
  int64_t size = inside.count(), width = taps.count(), count = windows.count();
  analysis.count(groups * images * count * outputs * features * width);
  auto sets =
      std::make_shared<std::vector<Set>>(groups * images * outputs * count);
  SmallVector<Set> group;
  SmallVector<int64_t> used;
  for (int64_t image = 0; image < groups * images; ++image)
    for (int64_t p = 0; p < count; ++p) {
      group.clear();
      used.clear();
      for (int64_t k = 0; k < width; ++k)
        if (std::optional<int64_t> place = placeOf(p, k)) {
          used.push_back(k);
          for (int64_t c = 0; c < features; ++c)
            group.push_back(x.set((image * features + c) * size + *place));
        }
      Set window = analysis.sets().unite(group);
      for (int64_t o = 0; o < outputs; ++o) {
        group = {window};
        int64_t first = (image / images * outputs + o) * features;
        for (int64_t c = 0; kernel.sets && c < features; ++c)
          for (int64_t k : used)
            group.push_back(kernel.set((first + c) * width + k));
        (*sets)[(image * outputs + o) * count + p] =
            analysis.sets().unite(group);
      }
    }
  result.sets = std::move(sets);
  return result;
}

bool sparsity::visitStacked(Operation *op, int64_t dimensions,
                            SparsityAnalysis &analysis) {
  SmallVector<Elements> stacks;
  std::optional<int64_t> count;
  auto stackOf = [&](Value value) {
    ArrayRef<int64_t> shape = shapeOf(value);
    return View::product(
        shape.drop_back(std::min<int64_t>(dimensions, shape.size())));
  };
  for (Value operand : op->getOperands()) {
    Elements x = analysis.get(operand);
    if (!x.sets)
      continue;
    int64_t stack = stackOf(operand);
    if (stack == 0)
      continue;
    if (count && *count != stack)
      return false;
    count = stack;
    stacks.push_back(
        uniteAlong(x, {stack, sizeOf(operand) / stack}, {1}, analysis));
  }
  Elements all;
  if (count) {
    all.sets = std::make_shared<std::vector<Set>>(*count, InputSets::kEmpty);
    for (const Elements &stack : stacks)
      for (int64_t i = 0; i < *count; ++i)
        (*all.sets)[i] = analysis.sets().unite((*all.sets)[i], stack.set(i));
  }
  for (Value result : op->getResults()) {
    if (!count || !isDifferentiable(result.getType())) {
      analysis.set(result, {});
      continue;
    }
    View view{{*count, sizeOf(result) / *count}, {1, 0}};
    analysis.set(result, pick(all, view.places()));
  }
  return true;
}

Elements sparsity::visitFourier(Operation *op, ArrayRef<int64_t> dimensions,
                                SparsityAnalysis &analysis) {
  ArrayRef<int64_t> shape = shapeOf(op->getOperand(0));
  Elements x =
      uniteAlong(analysis.get(op->getOperand(0)), shape, dimensions, analysis);
  Sizes left(shape);
  for (int64_t d : dimensions)
    left[d] = 1;
  View view = whole(left);
  view.shape = Sizes(shapeOf(op->getResult(0)));
  for (int64_t d : dimensions)
    view.strides[d] = 0;
  return pick(x, view.places());
}
