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
// An op that stands for several structured ones becomes these, and
// tensor.generate one of them.
//
//===----------------------------------------------------------------------===//

#include "dialect/Rules.h"
#include "dialect/Structured.h"

#include "dialect/GradDialect.h"
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace mlir::grad;

using IsActive = function_ref<bool(Value)>;
using utils::IteratorType;

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
  for (OpOperand *input : op.getDpsInputOperands())
    if (BlockArgument argument = findArgument(op, *input))
      mapping.map(argument, draft.addInput(input->get(),
                                           op.getMatchingIndexingMap(input)));
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
  for (OpOperand *input : op.getDpsInputOperands())
    if (BlockArgument argument = findArgument(op, *input))
      mapping.map(argument, draft.addInput(input->get(),
                                           op.getMatchingIndexingMap(input)));
  for (Value value : captured)
    mapping.map(value, draft.addInput(value, nowhere));
  for (OpOperand &init : op.getDpsInitsMutable()) {
    Value element = draft.addInit(init.get(), op.getMatchingIndexingMap(&init));
    if (BlockArgument argument = findArgument(op, init))
      mapping.map(argument, element);
  }
  OpBuilder inside(builder.getContext());
  inside.setInsertionPointToEnd(draft.body.get());
  for (Operation &nested : *op.getBlock())
    inside.clone(nested, mapping);
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

static bool isStatic(linalg::LinalgOp op) {
  return op.hasPureTensorSemantics() &&
         llvm::none_of(op.getStaticLoopRanges(), ShapedType::isDynamic);
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
  auto structured = dyn_cast<linalg::LinalgOp>(op);
  if (!structured || !isStatic(structured))
    return false;

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
