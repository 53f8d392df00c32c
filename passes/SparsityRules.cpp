//===- SparsityRules.cpp - Where ops lead dependences ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One rule for each kind of op. What moves elements is a *view*: places in an
// operand, as a start and a stride for each dimension.
//
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "passes/Sparsity.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/TypeSwitch.h"

#include <numeric>

using namespace mlir;
using namespace mlir::grad;

using Set = Elements::Set;
using Sizes = SmallVector<int64_t>;

template <typename T> using Each = Elements::Each<T>;

namespace {

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

} // namespace

/// All of a tensor of this shape, in its own order.
static View whole(ArrayRef<int64_t> shape) {
  View view{Sizes(shape), Sizes(shape.size(), 1)};
  for (int64_t d = int64_t(shape.size()) - 2; d >= 0; --d)
    view.strides[d] = view.strides[d + 1] * shape[d + 1];
  return view;
}

/// The tensor apart from these dimensions, and along these dimensions alone.
static std::pair<View, View> split(ArrayRef<int64_t> shape,
                                   ArrayRef<int64_t> dimensions) {
  View kept = whole(shape), along = kept;
  for (int64_t d = shape.size(); d-- > 0;)
    (llvm::is_contained(dimensions, d) ? kept : along).drop(d);
  return {kept, along};
}

static ArrayRef<int64_t> shapeOf(Value value) {
  return typeOf(value).getShape();
}

static int64_t sizeOf(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type ? type.getNumElements() : 1;
}

/// The elements of one vector that are at these places.
template <typename T>
static Each<T> pick(const Each<T> &all, ArrayRef<int64_t> places) {
  if (!all || all->size() <= 1)
    return all && all->size() == 1 ? all : Each<T>();
  auto picked = std::make_shared<std::vector<T>>();
  picked->reserve(places.size());
  for (int64_t place : places)
    picked->push_back((*all)[place]);
  return picked;
}

static Elements pick(const Elements &all, ArrayRef<int64_t> places) {
  return {pick(all.sets, places), pick(all.numbers, places)};
}

/// Makes `all` a vector of `size` elements that nobody else holds.
template <typename T>
static std::vector<T> &own(Each<T> &all, int64_t size, T fill) {
  if (!all)
    all = std::make_shared<std::vector<T>>(size, fill);
  else if (all->size() != size_t(size))
    all = std::make_shared<std::vector<T>>(size, all->front());
  else if (all.use_count() > 1)
    all = std::make_shared<std::vector<T>>(*all);
  return *all;
}

/// The union of the sets along some dimensions, for each place in the others.
static Elements uniteAlong(const Elements &x, ArrayRef<int64_t> shape,
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

//===----------------------------------------------------------------------===//
// Sources
//===----------------------------------------------------------------------===//

static Elements visitConstant(ElementsAttr value) {
  Elements result;
  auto dense = dyn_cast<DenseIntElementsAttr>(value);
  if (!dense)
    return result;
  bool isUnsigned = dense.getElementType().isUnsignedInteger() ||
                    dense.getElementType().isInteger(1);
  auto read = [&](const APInt &number) {
    return isUnsigned ? int64_t(number.getZExtValue()) : number.getSExtValue();
  };
  auto numbers = std::make_shared<std::vector<int64_t>>();
  if (dense.isSplat())
    numbers->push_back(read(dense.getSplatValue<APInt>()));
  else
    for (APInt number : dense.getValues<APInt>())
      numbers->push_back(read(number));
  result.numbers = std::move(numbers);
  return result;
}

static Elements visitIota(IotaOp op) {
  Elements result;
  if (!typeOf(op.getResult()).getElementType().isInteger())
    return result;
  View view = whole(op.getShape());
  int64_t d = op.getDimension();
  for (int64_t &stride : view.strides)
    stride = 0;
  view.strides[d] = 1;
  result.numbers = std::make_shared<std::vector<int64_t>>(view.places());
  return result;
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

/// The integer that an op on integers of 64 bits or fewer, or bools, computes;
/// nothing if it is not known here.
static std::optional<int64_t> compute(Operation *op, ArrayRef<int64_t> x) {
  using Result = std::optional<int64_t>;
  auto wrap = [&](int64_t a) -> Result { return a; };
  auto plus = [](int64_t a, int64_t b) {
    return int64_t(uint64_t(a) + uint64_t(b));
  };
  return TypeSwitch<Operation *, Result>(op)
      .Case<AddOp, arith::AddIOp>([&](auto) { return wrap(plus(x[0], x[1])); })
      .Case<SubtractOp, arith::SubIOp>(
          [&](auto) { return int64_t(uint64_t(x[0]) - uint64_t(x[1])); })
      .Case<MultiplyOp, arith::MulIOp>(
          [&](auto) { return int64_t(uint64_t(x[0]) * uint64_t(x[1])); })
      .Case<NegativeOp>([&](auto) { return int64_t(0 - uint64_t(x[0])); })
      .Case<MaximumOp, arith::MaxSIOp>(
          [&](auto) { return std::max(x[0], x[1]); })
      .Case<MinimumOp, arith::MinSIOp>(
          [&](auto) { return std::min(x[0], x[1]); })
      .Case<FloorDivideOp, arith::FloorDivSIOp>([&](auto) -> Result {
        if (x[1] == 0 || x[1] == -1)
          return std::nullopt;
        return x[0] / x[1] - ((x[0] % x[1] != 0) && (x[0] < 0) != (x[1] < 0));
      })
      .Case<RemainderOp>([&](auto) -> Result {
        if (x[1] == 0 || x[1] == -1)
          return std::nullopt;
        int64_t rest = x[0] % x[1];
        return rest != 0 && (rest < 0) != (x[1] < 0) ? rest + x[1] : rest;
      })
      .Case<EqualOp>([&](auto) { return int64_t(x[0] == x[1]); })
      .Case<NotEqualOp>([&](auto) { return int64_t(x[0] != x[1]); })
      .Case<LessOp>([&](auto) { return int64_t(x[0] < x[1]); })
      .Case<LessEqualOp>([&](auto) { return int64_t(x[0] <= x[1]); })
      .Case<GreaterOp>([&](auto) { return int64_t(x[0] > x[1]); })
      .Case<GreaterEqualOp>([&](auto) { return int64_t(x[0] >= x[1]); })
      .Case<LogicalAndOp>([&](auto) { return x[0] & x[1]; })
      .Case<LogicalOrOp>([&](auto) { return x[0] | x[1]; })
      .Case<LogicalXorOp>([&](auto) { return x[0] ^ x[1]; })
      .Case<LogicalNotOp>([&](auto) { return int64_t(x[0] == 0); })
      .Case<SelectOp, arith::SelectOp>([&](auto) { return x[0] ? x[1] : x[2]; })
      .Case<arith::IndexCastOp, arith::ExtSIOp>([&](auto) { return x[0]; })
      .Case<arith::CmpIOp>([&](arith::CmpIOp compare) -> Result {
        return arith::applyCmpPredicate(compare.getPredicate(), APInt(64, x[0]),
                                        APInt(64, x[1]));
      })
      .Default([](Operation *) { return std::nullopt; });
}

/// Whether integers of the type are calculated exactly in 64 bits with a sign.
static bool isCounted(Type type) {
  Type element = getElementTypeOrSelf(type);
  return element.isIndex() || element.isSignlessInteger(64) ||
         element.isInteger(1);
}

static Each<int64_t> computeNumbers(Operation *op,
                                    ArrayRef<Elements> operands) {
  bool isExact = llvm::all_of(op->getOperandTypes(), isCounted) &&
                 isCounted(op->getResult(0).getType());
  size_t size = 1;
  for (const Elements &operand : operands) {
    if (!operand.numbers || operand.numbers->empty())
      return {};
    size = std::max(size, operand.numbers->size());
  }
  if (isa<ConvertOp>(op)) {
    // To wider integers alone.
    Type from = getElementTypeOrSelf(op->getOperandTypes().front()),
         to = getElementTypeOrSelf(op->getResult(0).getType());
    bool isWider = to.isSignlessInteger(64) && from.isInteger() &&
                   !from.isUnsignedInteger(64);
    return isWider ? operands.front().numbers : nullptr;
  }
  if (!isExact)
    return {};
  auto numbers = std::make_shared<std::vector<int64_t>>(size);
  Sizes scalars(operands.size());
  for (size_t i = 0; i < size; ++i) {
    for (auto [scalar, operand] : llvm::zip_equal(scalars, operands))
      scalar = operand.number(i);
    std::optional<int64_t> number = compute(op, scalars);
    if (!number)
      return {};
    (*numbers)[i] = *number;
  }
  return numbers;
}

/// Element i depends on what the elements i of the operands depend on; of a
/// choice that is known, on what was chosen.
static Elements visitElementwise(Operation *op, SparsityAnalysis &analysis) {
  SmallVector<Elements> operands;
  size_t size = 1;
  for (Value operand : op->getOperands()) {
    operands.push_back(analysis.get(operand));
    if (operands.back().sets)
      size = std::max(size, operands.back().sets->size());
  }
  Elements result;
  result.numbers = computeNumbers(op, operands);
  auto select = [&](int64_t i) -> const Elements * {
    bool isChoice = isa<SelectOp, arith::SelectOp>(op) && operands[0].numbers &&
                    !operands[0].numbers->empty();
    return isChoice ? &operands[operands[0].number(i) ? 1 : 2] : nullptr;
  };
  if (llvm::none_of(operands, [](const Elements &x) { return x.sets; }))
    return result;
  if (isa<SelectOp, arith::SelectOp>(op) && operands[0].numbers)
    size = std::max(size, operands[0].numbers->size());
  llvm::erase_if(operands, [&](const Elements &x) {
    return !x.sets && operands.size() != 3;
  });
  if (operands.size() == 1) {
    result.sets = operands.front().sets;
    return result;
  }
  analysis.count(size);
  auto sets = std::make_shared<std::vector<Set>>(size);
  for (size_t i = 0; i < size; ++i) {
    if (const Elements *chosen = select(i)) {
      (*sets)[i] = chosen->set(i);
      continue;
    }
    Set set = InputSets::kEmpty;
    for (const Elements &operand : operands)
      set = analysis.sets().unite(set, operand.set(i));
    (*sets)[i] = set;
  }
  result.sets = std::move(sets);
  return result;
}

//===----------------------------------------------------------------------===//
// Shape
//===----------------------------------------------------------------------===//

static View viewOf(BroadcastOp op) {
  View source = whole(shapeOf(op.getX()));
  View view{Sizes(op.getShape()), Sizes(op.getShape().size(), 0)};
  for (auto [d, stride] : llvm::zip_equal(op.getDimensions(), source.strides))
    view.strides[d] = stride;
  return view;
}

static View viewOf(TransposeOp op) {
  View source = whole(shapeOf(op.getX())), view;
  for (int64_t d : op.getPermutation()) {
    view.shape.push_back(source.shape[d]);
    view.strides.push_back(source.strides[d]);
  }
  return view;
}

static View viewOf(ReverseOp op) {
  View view = whole(shapeOf(op.getX()));
  for (int64_t d : op.getDimensions()) {
    view.start += view.strides[d] * (view.shape[d] - 1);
    view.strides[d] = -view.strides[d];
  }
  return view;
}

/// The part of a tensor of `shape` that begins at `offsets`.
static View part(ArrayRef<int64_t> shape, ArrayRef<int64_t> offsets,
                 ArrayRef<int64_t> sizes, ArrayRef<int64_t> steps) {
  View view = whole(shape);
  for (size_t d = 0; d < shape.size(); ++d) {
    view.start += view.strides[d] * offsets[d];
    view.strides[d] *= steps.empty() ? 1 : steps[d];
  }
  view.shape = Sizes(sizes);
  return view;
}

static View viewOf(SliceOp op) {
  return part(shapeOf(op.getX()), op.getOffsets(), op.getSizes(),
              op.getStrides());
}

template <typename Op>
static Elements visitView(Op op, SparsityAnalysis &analysis) {
  View view = viewOf(op);
  Elements x = analysis.get(op.getX());
  if ((!x.sets || x.sets->size() == 1) &&
      (!x.numbers || x.numbers->size() == 1))
    return x;
  analysis.count(view.count());
  return pick(x, view.places());
}

/// `x` with the elements at `view` replaced by those of `update`, or united
/// with them.
static Elements write(Elements x, int64_t size, const View &view,
                      const Elements &update, bool replaces,
                      SparsityAnalysis &analysis) {
  analysis.count(view.count());
  bool hasNumbers = x.numbers && update.numbers && replaces;
  if (x.sets || update.sets) {
    std::vector<Set> &sets = own(x.sets, size, Set(InputSets::kEmpty));
    int64_t i = 0;
    view.forEach([&](int64_t place) {
      Set added = update.set(i++);
      sets[place] =
          replaces ? added : analysis.sets().unite(sets[place], added);
    });
  }
  if (!hasNumbers) {
    x.numbers = nullptr;
    return x;
  }
  std::vector<int64_t> &numbers = own(x.numbers, size, int64_t(0));
  int64_t i = 0;
  view.forEach([&](int64_t place) { numbers[place] = update.number(i++); });
  return x;
}

static Elements visitPad(PadOp op, SparsityAnalysis &analysis) {
  View view = whole(shapeOf(op.getResult()));
  view.shape = Sizes(shapeOf(op.getX()));
  for (size_t d = 0; d < view.shape.size(); ++d) {
    view.start += view.strides[d] * op.getLow()[d];
    view.strides[d] *= op.getInterior()[d] + 1;
  }
  return write(analysis.get(op.getValue()), sizeOf(op.getResult()), view,
               analysis.get(op.getX()), true, analysis);
}

static Elements visitConcatenate(ConcatenateOp op, SparsityAnalysis &analysis) {
  ArrayRef<int64_t> shape = shapeOf(op.getResult());
  Sizes offsets(shape.size(), 0);
  Elements result;
  // To be replaced everywhere.
  if (llvm::all_of(op.getInputs(),
                   [&](Value v) { return analysis.get(v).numbers; }))
    result.numbers = std::make_shared<std::vector<int64_t>>(1, 0);
  for (Value input : op.getInputs()) {
    result = write(result, sizeOf(op.getResult()),
                   part(shape, offsets, shapeOf(input), {}),
                   analysis.get(input), true, analysis);
    offsets[op.getDimension()] += shapeOf(input)[op.getDimension()];
  }
  return result;
}

/// Where a slice at `indices` begins in a tensor of `shape`; the dimensions in
/// which that is unknown begin at 0 and are listed.
static Sizes offsetsOf(ValueRange indices, ArrayRef<int64_t> shape,
                       ArrayRef<int64_t> sizes, Sizes &unknown,
                       SparsityAnalysis &analysis) {
  Sizes offsets;
  for (auto [d, index] : llvm::enumerate(indices)) {
    std::optional<int64_t> known = analysis.get(index).number();
    int64_t last = shape[d] - sizes[d];
    offsets.push_back(
        std::clamp<int64_t>(known.value_or(0), 0, std::max<int64_t>(last, 0)));
    if (!known && last > 0)
      unknown.push_back(d);
  }
  return offsets;
}

static Elements visitDynamicSlice(DynamicSliceOp op,
                                  SparsityAnalysis &analysis) {
  ArrayRef<int64_t> shape = shapeOf(op.getX());
  Sizes unknown, offsets = offsetsOf(op.getIndices(), shape, op.getSizes(),
                                     unknown, analysis);
  Elements x = analysis.get(op.getX());
  View view = part(shape, offsets, op.getSizes(), {});
  if (!unknown.empty()) {
    x = uniteAlong(x, shape, unknown, analysis);
    // What is left of the operand has size 1 in these dimensions.
    Sizes left(shape);
    for (int64_t d : unknown)
      left[d] = 1;
    view = part(left, offsets, op.getSizes(), {});
    for (int64_t d : unknown)
      view.strides[d] = 0;
  }
  analysis.count(view.count());
  return pick(x, view.places());
}

template <typename Op>
static Elements visitDynamicUpdate(Op op, bool replaces,
                                   SparsityAnalysis &analysis) {
  ArrayRef<int64_t> shape = shapeOf(op.getX()), sizes = shapeOf(op.getUpdate());
  Sizes unknown,
      offsets = offsetsOf(op.getIndices(), shape, sizes, unknown, analysis);
  Elements update = analysis.get(op.getUpdate());
  View view = part(shape, offsets, sizes, {});
  if (!unknown.empty()) {
    update = uniteAlong(update, sizes, unknown, analysis);
    update.numbers = nullptr;
    Sizes left(sizes);
    for (int64_t d : unknown)
      left[d] = 1;
    // Each element of it may be anywhere along these dimensions.
    View source = whole(left);
    for (int64_t d : unknown) {
      source.shape[d] = view.shape[d] = shape[d];
      source.strides[d] = 0;
    }
    update = pick(update, source.places());
    replaces = false;
  }
  return write(analysis.take(op.getXMutable()), sizeOf(op.getX()), view, update,
               replaces, analysis);
}

template <typename Op>
static Elements visitUpdate(Op op, bool replaces, SparsityAnalysis &analysis) {
  View view = part(shapeOf(op.getX()), op.getOffsets(), shapeOf(op.getUpdate()),
                   op.getStrides());
  Elements update = analysis.get(op.getUpdate());
  return write(analysis.take(op.getXMutable()), sizeOf(op.getX()), view, update,
               replaces, analysis);
}

//===----------------------------------------------------------------------===//
// Indexing
//===----------------------------------------------------------------------===//

namespace {

/// How rows of indices point into a tensor: `batch` dimensions, then `indexed`
/// ones, then those of a slice.
struct Indexing {
  int64_t batches, indexed, slice, rows, depth;
  Sizes sizes;
  Elements indices;

  Indexing(Value x, Value places, int64_t batch, SparsityAnalysis &analysis) {
    ArrayRef<int64_t> shape = shapeOf(x), rowShape = shapeOf(places);
    depth = rowShape.back();
    batches = View::product(shape.take_front(batch));
    sizes = Sizes(shape.slice(batch, depth));
    indexed = View::product(sizes);
    slice = View::product(shape.drop_front(batch + depth));
    rows = View::product(rowShape.drop_front(batch).drop_back());
    indices = analysis.get(places);
  }

  bool isKnown() const {
    return depth == 0 || (indices.numbers && indexed > 0);
  }

  /// The place of row `i` of batch `b` among the slices of the tensor.
  int64_t target(int64_t b, int64_t i) const {
    int64_t place = 0;
    for (int64_t k = 0; k < depth; ++k) {
      int64_t index = indices.number((b * rows + i) * depth + k);
      place = place * sizes[k] + std::clamp<int64_t>(index, 0, sizes[k] - 1);
    }
    return b * indexed + place;
  }
};

} // namespace

static Elements visitGather(GatherOp op, SparsityAnalysis &analysis) {
  Indexing at(op.getX(), op.getIndices(), op.getBatch(), analysis);
  Elements x = analysis.get(op.getX());
  if (!at.isKnown()) {
    Sizes shape{at.batches, at.indexed, at.slice};
    x = uniteAlong(x, shape, {1}, analysis);
    View view{{at.batches, at.rows, at.slice}, {at.slice, 0, 1}};
    return pick(x, view.places());
  }
  std::vector<int64_t> places;
  places.reserve(at.batches * at.rows * at.slice);
  for (int64_t b = 0; b < at.batches; ++b)
    for (int64_t i = 0; i < at.rows; ++i)
      for (int64_t j = 0, first = at.target(b, i) * at.slice; j < at.slice; ++j)
        places.push_back(first + j);
  analysis.count(places.size());
  return pick(x, places);
}

/// Updates that go to one place are united at once, since a sum of many is
/// formed like that.
static Elements visitScatter(OpOperand &operand, Value indices, Value updates,
                             int64_t batch, bool replaces,
                             SparsityAnalysis &analysis) {
  Indexing at(operand.get(), indices, batch, analysis);
  int64_t size = sizeOf(operand.get());
  Elements added = analysis.get(updates), x = analysis.take(operand);
  x.numbers = nullptr;
  if (!added.sets && !(replaces && x.sets))
    return x;
  analysis.count(sizeOf(updates));
  if (!at.isKnown()) {
    Elements all =
        uniteAlong(added, {at.batches, at.rows, at.slice}, {1}, analysis);
    View from{{at.batches, at.indexed, at.slice}, {at.slice, 0, 1}};
    return write(std::move(x), size, whole(from.shape),
                 pick(all, from.places()), false, analysis);
  }
  std::vector<Set> &sets = own(x.sets, size, Set(InputSets::kEmpty));
  DenseMap<int64_t, SmallVector<Set, 4>> groups;
  for (int64_t b = 0; b < at.batches; ++b)
    for (int64_t i = 0; i < at.rows; ++i)
      for (int64_t j = 0; j < at.slice; ++j) {
        int64_t place = at.target(b, i) * at.slice + j;
        Set set = added.set((b * at.rows + i) * at.slice + j);
        if (replaces)
          sets[place] = set;
        else if (set != InputSets::kEmpty)
          groups[place].push_back(set);
      }
  for (auto &[place, group] : groups) {
    group.push_back(sets[place]);
    sets[place] = analysis.sets().unite(group);
  }
  return x;
}

//===----------------------------------------------------------------------===//
// Reductions and products
//===----------------------------------------------------------------------===//

static Elements visitCumsum(CumsumOp op, SparsityAnalysis &analysis) {
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

static Elements visitDotGeneral(DotGeneralOp op, SparsityAnalysis &analysis) {
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

static Elements visitCorrelate(CorrelateOp op, SparsityAnalysis &analysis) {
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

/// An element depends on its window of all features of an image, and on the
/// kernel of its feature.
static Elements visitConvolution(ConvolutionOp op, SparsityAnalysis &analysis) {
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

/// What works on vectors or matrices along the last dimensions, each by itself:
/// all of a result depends on all operands of that.
static bool visitStacked(Operation *op, int64_t dimensions,
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

/// A transform along some dimensions, of any size in the result.
template <typename Op>
static Elements visitFourier(Op op, SparsityAnalysis &analysis) {
  ArrayRef<int64_t> shape = shapeOf(op.getX());
  Elements x =
      uniteAlong(analysis.get(op.getX()), shape, op.getDimensions(), analysis);
  Sizes left(shape);
  for (int64_t d : op.getDimensions())
    left[d] = 1;
  View view = whole(left);
  view.shape = Sizes(shapeOf(op.getResult()));
  for (int64_t d : op.getDimensions())
    view.strides[d] = 0;
  return pick(x, view.places());
}

//===----------------------------------------------------------------------===//
// Rules by kind
//===----------------------------------------------------------------------===//

/// Whether an op has tensors whose sizes are unknown; there are none behind
/// grad-expand-sizes.
static bool hasUnknownSizes(Operation *op) {
  auto isUnknown = [](Type type) {
    auto tensor = dyn_cast<ShapedType>(type);
    return tensor && !tensor.hasStaticShape();
  };
  return llvm::any_of(op->getOperandTypes(), isUnknown) ||
         llvm::any_of(op->getResultTypes(), isUnknown);
}

static bool isElementwiseOnScalars(Operation *op) {
  return isa<arith::ArithDialect>(op->getDialect()) &&
         op->getNumResults() == 1 && op->getNumOperands() > 0 &&
         !isa<ShapedType>(op->getResult(0).getType());
}

bool mlir::grad::applySparsityRule(Operation *op, SparsityAnalysis &analysis) {
  if (hasUnknownSizes(op) || op->hasTrait<OpTrait::grad::LocallyConstant>())
    return false;
  auto set = [&](Elements elements) {
    analysis.set(op->getResult(0), std::move(elements));
    return true;
  };
  if (isa<ElementwiseOpInterface>(op) || isElementwiseOnScalars(op))
    return set(visitElementwise(op, analysis));
  return TypeSwitch<Operation *, bool>(op)
      .Case([&](ConstantOp op) { return set(visitConstant(op.getValue())); })
      .Case([&](arith::ConstantOp op) {
        Elements result;
        if (auto number = dyn_cast<IntegerAttr>(op.getValue()))
          result.numbers = std::make_shared<std::vector<int64_t>>(
              1, number.getType().isInteger(1)
                     ? int64_t(number.getValue().getZExtValue())
                     : number.getValue().getSExtValue());
        return set(std::move(result));
      })
      .Case([&](IotaOp op) { return set(visitIota(op)); })
      .Case<IdentityOp, RandomBitsOp, ArgmaxOp, ArgminOp, ReduceAnyOp,
            ReduceAllOp, tensor::EmptyOp>([&](auto) { return set({}); })
      .Case([&](ReshapeOp op) { return set(analysis.get(op.getX())); })
      .Case<BroadcastOp, TransposeOp, ReverseOp, SliceOp>(
          [&](auto op) { return set(visitView(op, analysis)); })
      .Case([&](PadOp op) { return set(visitPad(op, analysis)); })
      .Case(
          [&](ConcatenateOp op) { return set(visitConcatenate(op, analysis)); })
      .Case([&](UpdateSliceOp op) {
        return set(visitUpdate(op, true, analysis));
      })
      .Case(
          [&](AddSliceOp op) { return set(visitUpdate(op, false, analysis)); })
      .Case([&](DynamicSliceOp op) {
        return set(visitDynamicSlice(op, analysis));
      })
      .Case([&](DynamicUpdateSliceOp op) {
        return set(visitDynamicUpdate(op, true, analysis));
      })
      .Case([&](DynamicAddSliceOp op) {
        return set(visitDynamicUpdate(op, false, analysis));
      })
      .Case([&](GatherOp op) { return set(visitGather(op, analysis)); })
      .Case([&](ScatterOp op) {
        return set(visitScatter(op.getXMutable(), op.getIndices(),
                                op.getUpdates(), op.getBatch(), true,
                                analysis));
      })
      .Case([&](ScatterAddOp op) {
        return set(visitScatter(op.getXMutable(), op.getIndices(),
                                op.getUpdates(), op.getBatch(), false,
                                analysis));
      })
      .Case<ReduceSumOp, ReduceProdOp, ReduceMaxOp, ReduceMinOp>([&](auto op) {
        return set(uniteAlong(analysis.get(op.getX()), shapeOf(op.getX()),
                              op.getDimensions(), analysis));
      })
      .Case([&](CumsumOp op) { return set(visitCumsum(op, analysis)); })
      .Case([&](DotGeneralOp op) { return set(visitDotGeneral(op, analysis)); })
      .Case([&](CorrelateOp op) { return set(visitCorrelate(op, analysis)); })
      .Case(
          [&](ConvolutionOp op) { return set(visitConvolution(op, analysis)); })
      .Case<CholeskyOp, LuOp, LuSolveOp, TriangularSolveOp, QrOp, EighOp,
            SvdOp>([&](auto op) { return visitStacked(op, 2, analysis); })
      .Case([&](SortOp op) { return visitStacked(op, 1, analysis); })
      .Case<FftOp, RfftOp, IrfftOp>(
          [&](auto op) { return set(visitFourier(op, analysis)); })
      .Case([&](BarrierOp op) {
        for (auto [value, result] :
             llvm::zip_equal(op.getValues(), op.getOutputs()))
          analysis.set(result, analysis.get(value));
        return true;
      })
      .Case([&](tensor::FromElementsOp op) {
        Elements result;
        bool hasSets = false, hasNumbers = true;
        SmallVector<Elements> parts;
        for (Value element : op.getElements()) {
          parts.push_back(analysis.get(element));
          hasSets |= bool(parts.back().sets);
          hasNumbers &= parts.back().number().has_value();
        }
        if (hasSets)
          result.sets = std::make_shared<std::vector<Set>>();
        if (hasNumbers)
          result.numbers = std::make_shared<std::vector<int64_t>>();
        for (const Elements &element : parts) {
          if (hasSets)
            result.sets->push_back(element.set(0));
          if (hasNumbers)
            result.numbers->push_back(element.number(0));
        }
        return set(std::move(result));
      })
      .Case([&](tensor::ExtractOp op) {
        ArrayRef<int64_t> shape = shapeOf(op.getTensor());
        int64_t place = 0;
        for (auto [index, size] : llvm::zip_equal(op.getIndices(), shape)) {
          std::optional<int64_t> known = analysis.get(index).number();
          if (!known || *known < 0 || *known >= size)
            return false;
          place = place * size + *known;
        }
        return set(pick(analysis.get(op.getTensor()), {place}));
      })
      .Default([](Operation *) { return false; });
}
