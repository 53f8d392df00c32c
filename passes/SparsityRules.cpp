//===- SparsityRules.cpp - Where ops lead dependences ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One rule for each kind of op; those of sums and products are in
// SparsityProducts.cpp.
//
//===----------------------------------------------------------------------===//

#include "dialect/GradSpectra.h"
#include "passes/SparsityViews.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::grad;
using namespace mlir::grad::sparsity;

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
      .Case([&](SparseDotOp op) { return set(visitSparseDot(op, analysis)); })
      .Case([&](SampledDotOp op) { return set(visitSampledDot(op, analysis)); })
      .Case<CholeskyOp, LuOp, LuSolveOp, TriangularSolveOp, QrOp, EighOp, SvdOp,
            EigOp, SchurOp, TriangularSylvesterOp, TriangularSqrtOp>(
          [&](auto op) { return visitStacked(op, 2, analysis); })
      .Case([&](SortOp op) { return visitStacked(op, 1, analysis); })
      .Case<FftOp, RfftOp, IrfftOp>([&](auto op) {
        return set(visitFourier(op, op.getDimensions(), analysis));
      })
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
