//===- UpstreamDecompose.cpp - Other terms for ops without rules ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The rules of structured ops know sums, and operands that the indexing maps
// describe. Before a function is differentiated, other structured ops become
//
//   * the reduction of this dialect, if they reduce by a product, maximum or
//     minimum;
//   * themselves with more operands, if they use numbers from outside;
//   * loops that read and write elements, if all else fails.
//
// An op that stands for several structured ones becomes these, tensor.generate
// one of them, and a tensor.pad whose padding depends on the position a
// tensor.generate. A structured op that leaves a part of its init as it is
// computes the rest, which is inserted there.
//
//===----------------------------------------------------------------------===//

#include "dialect/Rules.h"
#include "dialect/Structured.h"

#include "dialect/GradDialect.h"
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace mlir::grad;

using IsActive = function_ref<bool(Value)>;
using utils::IteratorType;

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

/// Adds the inputs of `op`; `mapping` leads to what the body sees of them.
static void addInputs(Draft &draft, linalg::LinalgOp op, IRMapping &mapping) {
  for (OpOperand *input : op.getDpsInputOperands())
    if (BlockArgument argument = findArgument(op, *input))
      mapping.map(argument, draft.addInput(input->get(),
                                           op.getMatchingIndexingMap(input)));
}

/// Adds `value`, which `map` accesses, in the place of `init`.
static void addInit(Draft &draft, linalg::LinalgOp op, OpOperand &init,
                    Value value, AffineMap map, IRMapping &mapping) {
  Value element = draft.addInit(value, map);
  if (BlockArgument argument = findArgument(op, init))
    mapping.map(argument, element);
}

static void cloneBody(Draft &draft, linalg::LinalgOp op, IRMapping &mapping) {
  OpBuilder inside(op.getContext());
  inside.setInsertionPointToEnd(draft.body.get());
  for (Operation &nested : *op.getBlock())
    inside.clone(nested, mapping);
}

//===----------------------------------------------------------------------===//
// Products, maxima and minima
//===----------------------------------------------------------------------===//

/// The number that all elements of `value` are, if that is known.
static std::optional<double> getNumber(Value value) {
  if (auto fill = value.getDefiningOp<linalg::FillOp>())
    value = fill.value();
  return getSplat(value);
}

/// The op that computes `sum` and something else, if that is all it does to it.
static Operation *findCombiner(linalg::LinalgOp op, BlockArgument sum) {
  if (!sum || !sum.hasOneUse())
    return nullptr;
  Operation *user = *sum.user_begin();
  Operation *yield = op.getBlock()->getTerminator();
  if (user->getNumResults() != 1 || user->getNumOperands() != 2 ||
      !user->getResult(0).hasOneUse() ||
      *user->getResult(0).user_begin() != yield)
    return nullptr;
  return user;
}

/// All that `op`, which has one result, combines: a tensor of one element for
/// each iteration.
static Value createTerms(OpBuilder &builder, linalg::LinalgOp op,
                         Operation *combiner, BlockArgument sum,
                         ArrayRef<int64_t> sizes) {
  Location loc = op.getLoc();
  Value term = combiner->getOperand(combiner->getOperand(0) == sum ? 1 : 0);
  for (OpOperand *input : op.getDpsInputOperands())
    if (term == findArgument(op, *input) &&
        op.getMatchingIndexingMap(input).isIdentity())
      return input->get();
  Draft draft(op);
  llvm::fill(draft.iterators, IteratorType::parallel);
  IRMapping mapping;
  addInputs(draft, op, mapping);
  Value empty = tensor::EmptyOp::create(builder, loc, sizes, term.getType());
  draft.addInit(empty, builder.getMultiDimIdentityMap(sizes.size()));
  OpBuilder inside(builder.getContext());
  inside.setInsertionPointToEnd(draft.body.get());
  for (Operation &nested : op.getBlock()->without_terminator())
    if (&nested != combiner)
      inside.clone(nested, mapping);
  linalg::YieldOp::create(inside, loc, mapping.lookupOrDefault(term));
  return draft.create(builder, loc).getResult(0);
}

/// Replaces `op` by a reduction of this dialect; null if there is none.
static Value reduceByName(OpBuilder &builder, linalg::LinalgOp op) {
  if (op->getNumResults() != 1)
    return {};
  OpOperand *init = op.getDpsInitOperand(0);
  BlockArgument sum = findArgument(op, *init);
  Operation *combiner = findCombiner(op, sum);
  AffineMap map = op.getMatchingIndexingMap(init);
  SmallVector<int64_t> sizes = op.getStaticLoopRanges();
  // The result has the other dimensions, in an order of its own.
  SmallVector<int64_t> reduced, kept, permutation;
  for (auto [i, iterator] : llvm::enumerate(op.getIteratorTypesArray()))
    (iterator == IteratorType::reduction ? reduced : kept).push_back(i);
  if (!combiner || !map.isProjectedPermutation() ||
      map.getNumResults() != kept.size() ||
      llvm::any_of(reduced, [&](int64_t d) {
        return sizes[d] == 0 || map.isFunctionOfDim(d);
      }))
    return {};
  for (AffineExpr expr : map.getResults())
    permutation.push_back(
        llvm::find(kept, cast<AffineDimExpr>(expr).getPosition()) -
        kept.begin());
  Location loc = op.getLoc();
  bool isProduct = isa<arith::MulFOp>(combiner);
  bool isMaximum = isa<arith::MaximumFOp, arith::MaxNumFOp>(combiner);
  bool isMinimum = isa<arith::MinimumFOp, arith::MinNumFOp>(combiner);
  bool skipsNaN = isa<arith::MaxNumFOp, arith::MinNumFOp>(combiner);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  double neutral = isProduct ? 1 : isMaximum ? -kInfinity : kInfinity;
  bool isNeutral = getNumber(init->get()) == neutral;
  if (!(isProduct || isMaximum || isMinimum) || (skipsNaN && !isNeutral))
    return {};
  Value terms = createTerms(builder, op, combiner, sum, sizes);
  if (skipsNaN)
    terms = SelectOp::create(builder, loc,
                             EqualOp::create(builder, loc, terms, terms), terms,
                             createSplat(builder, loc, typeOf(terms), neutral));
  Value result;
  if (isProduct)
    result = ReduceProdOp::create(builder, loc, terms, reduced);
  else if (isMaximum)
    result = ReduceMaxOp::create(builder, loc, terms, reduced);
  else
    result = ReduceMinOp::create(builder, loc, terms, reduced);
  result = TransposeOp::create(builder, loc, result, permutation);
  if (isNeutral)
    return result;
  if (isProduct)
    return MultiplyOp::create(builder, loc, init->get(), result);
  if (isMaximum)
    return MaximumOp::create(builder, loc, init->get(), result);
  return MinimumOp::create(builder, loc, init->get(), result);
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

/// Computes the body of `op` for one iteration. Returns the inits after it.
static SmallVector<Value> runOnce(OpBuilder &builder, linalg::LinalgOp op,
                                  ValueRange position, ValueRange inits) {
  Location loc = op.getLoc();
  auto indicesOf = [&](OpOperand &operand) {
    return *affine::expandAffineMap(
        builder, loc, op.getMatchingIndexingMap(&operand), position);
  };
  IRMapping mapping;
  SmallVector<SmallVector<Value, 8>> places;
  for (OpOperand &operand : op->getOpOperands()) {
    Value value = operand.get();
    bool isInit = op.isDpsInit(&operand);
    if (isInit) {
      value = inits[places.size()];
      places.push_back(indicesOf(operand));
    }
    BlockArgument argument = findArgument(op, operand);
    if (!argument || argument.use_empty())
      continue;
    if (isa<RankedTensorType>(value.getType()))
      value = tensor::ExtractOp::create(
          builder, loc, value, isInit ? places.back() : indicesOf(operand));
    mapping.map(argument, value);
  }
  for (Operation &nested : op.getBlock()->without_terminator()) {
    if (auto index = dyn_cast<linalg::IndexOp>(nested))
      mapping.map(index.getResult(), position[index.getDim()]);
    else
      builder.clone(nested, mapping);
  }
  SmallVector<Value> after;
  for (auto [i, value] :
       llvm::enumerate(op.getBlock()->getTerminator()->getOperands()))
    after.push_back(tensor::InsertOp::create(
        builder, loc, mapping.lookupOrDefault(value), inits[i], places[i]));
  return after;
}

/// The results of `op`, computed by loops.
static SmallVector<Value> runInLoops(OpBuilder &builder, linalg::LinalgOp op) {
  Location loc = op.getLoc();
  auto index = [&](int64_t number) -> Value {
    return arith::ConstantIndexOp::create(builder, loc, number);
  };
  Value zero = index(0), one = index(1);
  SmallVector<Value> ends =
      llvm::map_to_vector(op.getStaticLoopRanges(), index);
  SmallVector<Value> position, inits(op.getDpsInits());
  auto nest = [&](auto &nest, OpBuilder &builder,
                  ValueRange before) -> SmallVector<Value> {
    if (position.size() == ends.size())
      return runOnce(builder, op, position, before);
    auto loop = scf::ForOp::create(
        builder, loc, zero, ends[position.size()], one, before,
        [&](OpBuilder &inside, Location, Value number, ValueRange carried) {
          position.push_back(number);
          scf::YieldOp::create(inside, loc, nest(nest, inside, carried));
        });
    return loop.getResults();
  };
  return nest(nest, builder, inits);
}

//===----------------------------------------------------------------------===//
// Parts of inits
//===----------------------------------------------------------------------===//

static bool isStatic(linalg::LinalgOp op) {
  return op.hasPureTensorSemantics() &&
         llvm::none_of(op.getStaticLoopRanges(), ShapedType::isDynamic);
}

/// Whether elements of `init` stay as they are, though the body does not use
/// what they are.
static bool leavesElements(linalg::LinalgOp op, OpOperand &init) {
  return !op.payloadUsesValueFromOperand(&init) &&
         (!op.getMatchingIndexingMap(&init).isProjectedPermutation() ||
          llvm::is_contained(op.getStaticLoopRanges(), 0));
}

namespace {

/// Where an indexing map leads: to what a slice has for the positions of the
/// dimensions in `order`.
struct Stripes {
  SmallVector<OpFoldResult> offsets, sizes, strides;
  SmallVector<int64_t> order, shape;
};

} // namespace

/// The number that `expr` multiplies a dimension with, and the one it adds.
static std::optional<std::array<int64_t, 3>> matchStripe(AffineExpr expr) {
  int64_t offset = 0, stride = 1;
  auto matchNumber = [&](AffineExprKind kind, int64_t &number) {
    auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
    if (!binary || binary.getKind() != kind)
      return;
    if (auto constant = dyn_cast<AffineConstantExpr>(binary.getRHS())) {
      number = constant.getValue();
      expr = binary.getLHS();
    }
  };
  matchNumber(AffineExprKind::Add, offset);
  matchNumber(AffineExprKind::Mul, stride);
  auto dim = dyn_cast<AffineDimExpr>(expr);
  if (!dim || stride < 1)
    return std::nullopt;
  return {{dim.getPosition(), offset, stride}};
}

/// The elements that `map` leads to, if they are a slice.
static std::optional<Stripes> matchStripes(OpBuilder &builder, AffineMap map,
                                           ArrayRef<int64_t> ranges) {
  Stripes stripes;
  for (AffineExpr expr : map.getResults()) {
    int64_t offset = 0, size = 1, stride = 1;
    if (auto constant = dyn_cast<AffineConstantExpr>(expr)) {
      offset = constant.getValue();
    } else {
      auto stripe = matchStripe(expr);
      if (!stripe || llvm::is_contained(stripes.order, (*stripe)[0]))
        return std::nullopt;
      stripes.order.push_back((*stripe)[0]);
      offset = (*stripe)[1];
      stride = (*stripe)[2];
      size = ranges[stripes.order.back()];
      stripes.shape.push_back(size);
    }
    stripes.offsets.push_back(builder.getIndexAttr(offset));
    stripes.sizes.push_back(builder.getIndexAttr(size));
    stripes.strides.push_back(builder.getIndexAttr(stride));
  }
  return stripes;
}

std::optional<SmallVector<Value>> grad::keepUnreached(OpBuilder &builder,
                                                      linalg::LinalgOp op) {
  if (!isStatic(op))
    return std::nullopt;
  SmallVector<bool> leaves =
      llvm::map_to_vector(op.getDpsInitsMutable(), [&](OpOperand &init) {
        return leavesElements(op, init);
      });
  if (!llvm::is_contained(leaves, true))
    return std::nullopt;
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  if (llvm::is_contained(ranges, 0))
    return SmallVector<Value>(op.getDpsInits());
  Location loc = op.getLoc();
  Draft draft(op);
  IRMapping mapping;
  addInputs(draft, op, mapping);
  SmallVector<std::optional<Stripes>, 1> parts(leaves.size());
  for (auto [i, init] : llvm::enumerate(op.getDpsInitsMutable())) {
    AffineMap map = op.getMatchingIndexingMap(&init);
    Value whole = init.get();
    if (leaves[i]) {
      parts[i] = matchStripes(builder, map, ranges);
      if (!parts[i])
        return runInLoops(builder, op);
      SmallVector<AffineExpr> dims =
          llvm::map_to_vector(parts[i]->order, [&](int64_t d) {
            return builder.getAffineDimExpr(d);
          });
      map = AffineMap::get(map.getNumDims(), 0, dims, op.getContext());
      whole = tensor::EmptyOp::create(builder, loc, parts[i]->shape,
                                      getElementTypeOrSelf(whole));
    }
    addInit(draft, op, init, whole, map, mapping);
  }
  cloneBody(draft, op, mapping);
  SmallVector<Value> results(draft.create(builder, loc).getResults());
  for (auto [result, part, init] :
       llvm::zip_equal(results, parts, op.getDpsInits()))
    if (part)
      result = tensor::InsertSliceOp::create(builder, loc, result, init,
                                             part->offsets, part->sizes,
                                             part->strides);
  return results;
}

//===----------------------------------------------------------------------===//
// Which of them
//===----------------------------------------------------------------------===//

/// A tensor whose elements are computed from their indices, as a structured op.
static Value generate(OpBuilder &builder, tensor::GenerateOp op) {
  Location loc = op.getLoc();
  RankedTensorType type = op.getType();
  Value empty = tensor::EmptyOp::create(builder, loc, type.getShape(),
                                        type.getElementType());
  SmallVector<IteratorType> iterators(type.getRank(), IteratorType::parallel);
  return linalg::GenericOp::create(
             builder, loc, TypeRange(type), ValueRange(), empty,
             builder.getMultiDimIdentityMap(type.getRank()), iterators,
             [&](OpBuilder &inside, Location loc, ValueRange) {
               IRMapping mapping;
               Block &body = op.getBody().front();
               for (auto [d, index] : llvm::enumerate(body.getArguments()))
                 mapping.map(index, linalg::IndexOp::create(inside, loc, d));
               for (Operation &nested : body.without_terminator())
                 inside.clone(nested, mapping);
               linalg::YieldOp::create(
                   inside, loc,
                   mapping.lookupOrDefault(
                       body.getTerminator()->getOperand(0)));
             })
      .getResult(0);
}

/// `op` with the numbers `captured` as operands.
static linalg::GenericOp captureByOperands(OpBuilder &builder,
                                           linalg::LinalgOp op,
                                           ArrayRef<Value> captured) {
  Draft draft(op);
  IRMapping mapping;
  AffineMap nowhere = AffineMap::get(op.getNumLoops(), 0, op.getContext());
  addInputs(draft, op, mapping);
  for (Value value : captured)
    mapping.map(value, draft.addInput(value, nowhere));
  for (OpOperand &init : op.getDpsInitsMutable())
    addInit(draft, op, init, init.get(), op.getMatchingIndexingMap(&init),
            mapping);
  cloneBody(draft, op, mapping);
  return draft.create(builder, op.getLoc());
}

/// Whether the rules of structured ops do not cover `op`.
static bool isIrregular(linalg::LinalgOp op, IsActive isActive) {
  if (llvm::any_of(*op.getBlock(),
                   [](Operation &nested) { return nested.getNumRegions(); }))
    return true;
  bool sums = isReduction(op);
  for (auto [i, result] : llvm::enumerate(op->getResults())) {
    AffineMap map = op.getMatchingIndexingMap(op.getDpsInitOperand(i));
    if (sums ? !isSum(op, i, /*isStrict=*/isActive(result))
             : !map.isPermutation())
      return true;
  }
  return false;
}

Value grad::padByElement(OpBuilder &builder, tensor::PadOp op) {
  Location loc = op.getLoc();
  SmallVector<OpFoldResult> low = op.getMixedLowPad();
  ArrayRef<int64_t> shape = op.getSourceType().getShape();
  auto body = [&](OpBuilder &inside, Location loc, ValueRange position) {
    auto constant = [&](int64_t number) -> Value {
      return arith::ConstantIndexOp::create(inside, loc, number);
    };
    Value zero = constant(0);
    Value isInside = arith::ConstantIntOp::create(inside, loc, 1, 1);
    SmallVector<Value> place;
    for (auto [d, index] : llvm::enumerate(position)) {
      Value before = getValueOrCreateConstantIndexOp(inside, loc, low[d]);
      place.push_back(arith::SubIOp::create(inside, loc, index, before));
      Value isBehind = arith::CmpIOp::create(
          inside, loc, arith::CmpIPredicate::sge, place.back(), zero);
      Value isBefore =
          arith::CmpIOp::create(inside, loc, arith::CmpIPredicate::slt,
                                place.back(), constant(shape[d]));
      isInside = arith::AndIOp::create(inside, loc, isInside, isBehind);
      isInside = arith::AndIOp::create(inside, loc, isInside, isBefore);
    }
    auto take = [&](OpBuilder &branch, Location loc) {
      Value element =
          tensor::ExtractOp::create(branch, loc, op.getSource(), place);
      scf::YieldOp::create(branch, loc, element);
    };
    auto pad = [&](OpBuilder &branch, Location loc) {
      IRMapping mapping;
      Block &region = op.getRegion().front();
      mapping.map(region.getArguments(), position);
      for (Operation &nested : region.without_terminator())
        branch.clone(nested, mapping);
      Value padding = region.getTerminator()->getOperand(0);
      scf::YieldOp::create(branch, loc, mapping.lookupOrDefault(padding));
    };
    auto choice = scf::IfOp::create(inside, loc, isInside, take, pad);
    tensor::YieldOp::create(inside, loc, choice.getResult(0));
  };
  return tensor::GenerateOp::create(builder, loc, op.getType(), ValueRange(),
                                    body);
}

static void replace(Operation *op, ValueRange results) {
  op->replaceAllUsesWith(results);
  op->erase();
}

bool grad::decompose(Operation *op, IsActive isActive) {
  IRRewriter builder(op);
  if (auto aggregate = dyn_cast<linalg::AggregatedOpInterface>(op)) {
    FailureOr<SmallVector<Value>> parts = aggregate.decomposeOperation(builder);
    if (failed(parts))
      return false;
    replace(op, *parts);
    return true;
  }
  auto generated = dyn_cast<tensor::GenerateOp>(op);
  if (generated && generated.getType().hasStaticShape()) {
    replace(op, generate(builder, generated));
    return true;
  }
  auto padded = dyn_cast<tensor::PadOp>(op);
  if (padded && !padded.getConstantPaddingValue() &&
      padded.getType().hasStaticShape() &&
      padded.getSourceType().hasStaticShape()) {
    replace(op, padByElement(builder, padded));
    return true;
  }
  auto structured = dyn_cast<linalg::LinalgOp>(op);
  if (!structured || !isStatic(structured))
    return false;
  if (std::optional<SmallVector<Value>> results =
          keepUnreached(builder, structured)) {
    replace(op, *results);
    return true;
  }

  SetVector<Value> captured;
  getUsedValuesDefinedAbove(op->getRegions(), captured);
  captured.remove_if([&](Value value) { return !isActive(value); });
  if (llvm::any_of(
          captured,
          [](Value value) { return isa<ShapedType>(value.getType()); }) ||
      isIrregular(structured, isActive)) {
    Value reduced =
        captured.empty() ? reduceByName(builder, structured) : Value();
    if (reduced)
      replace(op, reduced);
    else
      replace(op, runInLoops(builder, structured));
    return true;
  }
  if (captured.empty())
    return false;
  replace(op, captureByOperands(builder, structured, captured.getArrayRef())
                  .getResults());
  return true;
}
