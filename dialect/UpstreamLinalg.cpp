//===- UpstreamLinalg.cpp - Rules of structured ops -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// All ops of linalg that have a body of scalar code, generic or named, have one
// pair of rules. The tangent of such an op is a `linalg.generic` over the same
// iterations, with the linearized body: operands are tangents and, for the
// coefficients, operands and results of the op itself. The transpose is one
// generic for all operands that are accessed in the same way, whose body is the
// transposed one; a dimension that does not occur in the access is a reduction
// now.
//
// A reduction must be a sum: what is reduced to is used once, in additions.
// Others, and ops that use values from outside in ways that no operand
// describes, were put in other terms before (UpstreamDecompose.cpp).
//
//===----------------------------------------------------------------------===//

#include "dialect/Models.h"
#include "dialect/Rules.h"
#include "dialect/Structured.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace mlir::grad;

using utils::IteratorType;

//===----------------------------------------------------------------------===//
// What a body does
//===----------------------------------------------------------------------===//

BlockArgument grad::findArgument(linalg::LinalgOp op, OpOperand &operand) {
  for (auto [argument, matching] : llvm::zip_equal(
           op.getBlock()->getArguments(), op.getOpOperandsMatchingBBargs()))
    if (matching == &operand)
      return argument;
  return {};
}

bool grad::isReduction(linalg::LinalgOp op) {
  return op.getNumReductionLoops() != 0;
}

bool grad::isSum(linalg::LinalgOp op, unsigned result, bool isStrict) {
  BlockArgument sum = findArgument(op, *op.getDpsInitOperand(result));
  Value value = sum;
  while (value && value.hasOneUse()) {
    OpOperand &use = *value.use_begin();
    Operation *user = use.getOwner();
    if (user == op.getBlock()->getTerminator())
      return use.getOperandNumber() == result;
    bool isTerm = isa<arith::AddFOp>(user) ||
                  (isa<arith::SubFOp>(user) && use.getOperandNumber() == 0);
    if (user->getNumResults() != 1 || (isStrict && !isTerm))
      return false;
    value = user->getResult(0);
  }
  return false;
}

//===----------------------------------------------------------------------===//
// Drafts
//===----------------------------------------------------------------------===//

Draft::Draft(linalg::LinalgOp like)
    : iterators(like.getIteratorTypesArray()), body(std::make_unique<Block>()) {
}

static Type elementOf(Value value) { return getElementTypeOrSelf(value); }

BlockArgument Draft::addInput(Value value, AffineMap map) {
  inputs.push_back(value);
  maps.insert(maps.begin() + inputs.size() - 1, map);
  return body->insertArgument(inputs.size() - 1, elementOf(value),
                              value.getLoc());
}

BlockArgument Draft::addInit(Value value, AffineMap map) {
  inits.push_back(value);
  maps.push_back(map);
  return body->addArgument(elementOf(value), value.getLoc());
}

bool Draft::determinesShape(ArrayRef<AffineMap> maps, MLIRContext *context) {
  return bool(inversePermutation(concatAffineMaps(maps, context)));
}

linalg::GenericOp Draft::create(OpBuilder &builder, Location loc) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(*body)))
    if (isOpTriviallyDead(&op))
      op.erase();
  for (unsigned i = inputs.size(); i-- > 0;) {
    SmallVector<AffineMap> rest(maps);
    rest.erase(rest.begin() + i);
    if (!body->getArgument(i).use_empty() ||
        !determinesShape(rest, builder.getContext()))
      continue;
    maps = std::move(rest);
    inputs.erase(inputs.begin() + i);
    body->eraseArgument(i);
  }
  auto generic =
      linalg::GenericOp::create(builder, loc, ValueRange(inits).getTypes(),
                                inputs, inits, maps, iterators);
  generic.getRegion().push_back(body.release());
  return generic;
}

//===----------------------------------------------------------------------===//
// Tangents
//===----------------------------------------------------------------------===//

/// Whether `value` is computed from one of `seeds`, in a block of its own.
static bool dependsOn(Value value, const DenseSet<Value> &seeds) {
  DenseSet<Operation *> seen;
  SmallVector<Value> pending = {value};
  while (!pending.empty()) {
    Value next = pending.pop_back_val();
    if (seeds.contains(next))
      return true;
    if (Operation *op = next.getDefiningOp(); op && seen.insert(op).second)
      op->walk([&](Operation *nested) {
        llvm::append_range(pending, nested->getOperands());
      });
  }
  return false;
}

/// Sets the tangents of the results that `positions` name, as far as they
/// depend on the operands `active`. `sums` are the initial values of sums.
static LogicalResult linearizeIn(linalg::LinalgOp op, LinearizeContext &context,
                                 ArrayRef<OpOperand *> active,
                                 ArrayRef<unsigned> positions,
                                 MutableArrayRef<Value> tangents) {
  Location loc = op.getLoc();
  bool sums = isReduction(op);
  Draft draft(op);
  OpBuilder builder(op.getContext());
  IRMapping mapping;
  SmallVector<std::pair<Value, Value>> seeds;
  for (OpOperand &operand : op->getOpOperands()) {
    BlockArgument argument = findArgument(op, operand);
    if (!argument || (sums && op.isDpsInit(&operand)))
      continue;
    AffineMap map = op.getMatchingIndexingMap(&operand);
    Value element = draft.addInput(operand.get(), map);
    mapping.map(argument, element);
    if (llvm::is_contained(active, &operand))
      seeds.push_back(
          {element, draft.addInput(context.getTangent(operand.get()), map)});
  }
  // Results are known where tangents are computed.
  SmallVector<Value> known(op->getNumResults());
  if (!sums)
    for (auto [i, result] : llvm::enumerate(op->getResults()))
      known[i] = draft.addInput(
          result, op.getMatchingIndexingMap(op.getDpsInitOperand(i)));
  for (auto [i, init] : llvm::enumerate(op.getDpsInitsMutable())) {
    auto found = llvm::find(positions, i);
    BlockArgument argument = findArgument(op, init);
    if (found == positions.end()) {
      // Not used, but for a sum that is of no interest here.
      if (sums && argument)
        mapping.map(argument, argument);
      continue;
    }
    Value before = tangents[found - positions.begin()];
    auto type = cast<RankedTensorType>(init.get().getType());
    if (!before && sums)
      before = createZero(context.primal, loc, type);
    if (!before)
      before = tensor::EmptyOp::create(context.linear, loc, type.getShape(),
                                       type.getElementType());
    Value sum = draft.addInit(before, op.getMatchingIndexingMap(&init));
    if (!sums)
      continue;
    // The tangent of a sum is a sum; the primal one is not computed again.
    mapping.map(argument, sum);
    seeds.push_back({sum, sum});
  }

  builder.setInsertionPointToEnd(draft.body.get());
  for (Operation &nested : *op.getBlock())
    builder.clone(nested, mapping);
  Operation *yield = draft.body->getTerminator();
  std::unique_ptr<LinearizeContext> inside = context.inForwardMode(builder);
  DenseSet<Value> own; // Tangents, but for those of sums so far.
  for (auto [value, tangent] : seeds) {
    inside->setTangent(value, tangent);
    if (value != tangent)
      own.insert(tangent);
  }
  if (failed(inside->linearizeBlock(*draft.body)))
    return failure();
  SmallVector<Value> yielded = llvm::map_to_vector(positions, [&](unsigned i) {
    Value value = yield->getOperand(i);
    builder.setInsertionPoint(yield);
    Value tangent = inside->getTangent(value);
    return tangent ? tangent : createZero(builder, loc, value.getType());
  });
  for (auto [value, result] : llvm::zip_equal(yield->getOperands(), known))
    if (result && value.getDefiningOp())
      value.replaceUsesWithIf(
          result, [&](OpOperand &use) { return use.getOwner() != yield; });
  builder.setInsertionPoint(yield);
  linalg::YieldOp::create(builder, loc, yielded);
  yield->erase();
  // A tangent that is zero must not look like one.
  SmallVector<bool> depends = llvm::map_to_vector(
      yielded, [&](Value tangent) { return dependsOn(tangent, own); });
  if (!llvm::is_contained(depends, true))
    return success();
  linalg::GenericOp linear = draft.create(context.linear, loc);
  for (auto [i, result] : llvm::enumerate(linear.getResults()))
    if (depends[i])
      tangents[i] = result;
  return success();
}

static LogicalResult linearizeStructured(linalg::LinalgOp op,
                                         LinearizeContext &context) {
  if (!op.hasPureTensorSemantics())
    return op.emitOpError("expected operands that are tensors, not memory, "
                          "where it is differentiated");
  SmallVector<OpOperand *> active;
  for (OpOperand &operand : op->getOpOperands()) {
    BlockArgument argument = findArgument(op, operand);
    if (argument && !argument.use_empty() && context.getTangent(operand.get()))
      active.push_back(&operand);
  }
  SmallVector<unsigned> positions;
  for (auto [i, result] : llvm::enumerate(op->getResults()))
    if (context.isActive(result))
      positions.push_back(i);
  if (active.empty() || positions.empty())
    return success();
  for (unsigned i : positions)
    if (isReduction(op) && !isSum(op, i, /*isStrict=*/true))
      return op.emitOpError("expected a sum for result #")
             << i << ", where it is differentiated";

  SmallVector<Value> tangents(positions.size());
  if (!isReduction(op)) {
    if (failed(linearizeIn(op, context, active, positions, tangents)))
      return failure();
  } else {
    // One sum after the other, so that a product stays a product.
    for (auto [tangent, i] : llvm::zip_equal(tangents, positions))
      tangent = context.getTangent(op.getDpsInitOperand(i)->get());
    for (OpOperand *operand : active)
      if (!op.isDpsInit(operand) &&
          failed(linearizeIn(op, context, operand, positions, tangents)))
        return failure();
  }
  for (auto [tangent, i] : llvm::zip_equal(tangents, positions))
    context.setTangent(op->getResult(i), tangent);
  return success();
}

//===----------------------------------------------------------------------===//
// Transposes
//===----------------------------------------------------------------------===//

/// Whether the value may be zero because of a choice, made in a few of the ops
/// before it.
static bool isChosen(Value value, unsigned depth = 8) {
  Operation *op = value.getDefiningOp();
  if (!op || depth == 0)
    return false;
  auto isChoice = [](Operation *op) {
    return isa<SelectOp, arith::SelectOp>(op) &&
           (isZero(op->getOperand(1)) || isZero(op->getOperand(2)));
  };
  if (isChoice(op))
    return true;
  if (auto structured = dyn_cast<linalg::LinalgOp>(op))
    if (llvm::any_of(*structured.getBlock(),
                     [&](Operation &nested) { return isChoice(&nested); }))
      return true;
  if (!isa<linalg::LinalgOp, tensor::ExpandShapeOp, tensor::CollapseShapeOp,
           AddOp, NegativeOp, BroadcastOp, ReshapeOp, TransposeOp>(op))
    return false;
  return llvm::any_of(op->getOperands(), [&](Value operand) {
    return isDifferentiable(operand.getType()) && isChosen(operand, depth - 1);
  });
}

/// Dimensions that each element of what `map` accesses is computed over.
static SmallVector<IteratorType> iteratorsOf(AffineMap map) {
  SmallVector<IteratorType> iterators(map.getNumDims(),
                                      IteratorType::reduction);
  for (AffineExpr expr : map.getResults())
    if (auto dim = dyn_cast<AffineDimExpr>(expr))
      iterators[dim.getPosition()] = IteratorType::parallel;
  return iterators;
}

/// Adds the cotangents of the operands `linear`, which `map` accesses.
static LogicalResult transposeIn(linalg::LinalgOp op, TransposeContext &context,
                                 AffineMap map, ArrayRef<OpOperand *> linear) {
  Location loc = op.getLoc();
  OpBuilder::InsertionGuard guard(context.builder);
  OpBuilder &builder = context.builder;
  Draft draft(op);
  draft.iterators = iteratorsOf(map);
  // What is not read has a cotangent of zero.
  bool sums = !map.isPermutation() ||
              llvm::is_contained(draft.iterators, IteratorType::reduction);

  // The linear code is used up. The copy goes when all linear code goes: its
  // values are marked.
  OpBuilder copies(op->getContext());
  copies.setInsertionPointAfter(op);
  auto copy = cast<linalg::LinalgOp>(copies.clone(*op));
  for (auto [operand, original] :
       llvm::zip_equal(copy->getOpOperands(), op->getOpOperands())) {
    BlockArgument argument = findArgument(copy, operand);
    if (!argument)
      continue;
    AffineMap access = op.getMatchingIndexingMap(&original);
    bool isSumOf = isReduction(op) && op.isDpsInit(&original);
    if (isSumOf || context.isLinear(original.get()))
      context.setLinear(argument);
    else
      argument.replaceAllUsesWith(draft.addInput(original.get(), access));
    if (isSumOf || !context.isLinear(original.get()) ||
        llvm::is_contained(linear, &original))
      continue;
    // Another linear operand says how far to go.
    auto type = dyn_cast<RankedTensorType>(original.get().getType());
    if (type)
      draft.addInput(tensor::EmptyOp::create(builder, loc, type.getShape(),
                                             type.getElementType()),
                     access);
  }
  SmallVector<std::pair<unsigned, Value>> cotangents;
  for (auto [i, result] : llvm::enumerate(op->getResults()))
    if (Value ct = context.getCotangent(result))
      cotangents.push_back(
          {i, draft.addInput(
                  ct, op.getMatchingIndexingMap(op.getDpsInitOperand(i)))});
  SmallVector<Value> sumsBefore;
  for (OpOperand *operand : linear) {
    Type type = operand->get().getType();
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor)
      tensor = RankedTensorType::get({}, type);
    Value init = sums ? createZero(builder, loc, tensor)
                      : tensor::EmptyOp::create(builder, loc, tensor.getShape(),
                                                tensor.getElementType());
    sumsBefore.push_back(draft.addInit(init, map));
  }

  // What was moved to the draft ends with it.
  auto fail = [&] {
    for (Operation &nested : *draft.body)
      nested.dropAllReferences();
    copy.erase();
    return failure();
  };
  Block &from = *copy.getBlock();
  context.markLinear(from);
  for (Operation &nested :
       llvm::make_early_inc_range(from.without_terminator()))
    if (!context.usesLinear(nested))
      nested.moveBefore(draft.body.get(), draft.body->end());
  SmallVector<Value> results;
  {
    OpBuilder::InsertionGuard inside(builder);
    builder.setInsertionPointToEnd(draft.body.get());
    for (auto [i, element] : cotangents) {
      Value value = from.getTerminator()->getOperand(i);
      if (!context.isLinear(value)) {
        if (isZero(value))
          continue;
        context.emitOpError(op)
            << "expected results that are linear in the operands that are "
               "transposed in, but result #"
            << i << " does not depend on them";
        return fail();
      }
      if (isChosen(context.getCotangent(op->getResult(i)))) {
        Value zero = createZero(builder, loc, element.getType());
        Value isSet = arith::CmpFOp::create(
            builder, loc, arith::CmpFPredicate::UNE, element, zero);
        element = arith::SelectOp::create(builder, loc, isSet, element, zero);
      }
      context.addCotangent(value, element);
    }
    if (failed(context.transposeBlock(from)))
      return fail();
    for (auto [operand, before] : llvm::zip_equal(linear, sumsBefore)) {
      Value argument =
          findArgument(copy, copy->getOpOperand(operand->getOperandNumber()));
      Value ct = context.getCotangent(argument);
      if (sums)
        ct = ct ? createSum(builder, loc, before, ct) : before;
      results.push_back(ct ? ct : createZero(builder, loc, before.getType()));
    }
    linalg::YieldOp::create(builder, loc, results);
  }
  linalg::GenericOp transposed = draft.create(builder, loc);
  for (auto [operand, ct] : llvm::zip_equal(linear, transposed->getResults())) {
    Value cotangent = ct;
    if (!isa<RankedTensorType>(operand->get().getType()))
      cotangent = tensor::ExtractOp::create(builder, loc, ct, ValueRange());
    context.addCotangent(operand->get(), cotangent);
  }
  return success();
}

static LogicalResult transposeStructured(linalg::LinalgOp op,
                                         TransposeContext &context) {
  SetVector<Value> captured;
  getUsedValuesDefinedAbove(op->getRegions(), captured);
  if (!op.hasPureTensorSemantics() ||
      llvm::any_of(captured, [&](Value v) { return context.isLinear(v); }))
    return context.emitOpError(op)
           << "expected what is transposed in to be tensors or numbers among "
              "the operands";
  bool sums = isReduction(op);
  llvm::MapVector<AffineMap, SmallVector<OpOperand *>> groups;
  for (OpOperand &operand : op->getOpOperands()) {
    BlockArgument argument = findArgument(op, operand);
    if (!argument || argument.use_empty())
      continue;
    bool isSumOf = sums && op.isDpsInit(&operand);
    if (!isSumOf && context.isLinear(operand.get()))
      groups[op.getMatchingIndexingMap(&operand)].push_back(&operand);
  }
  if (sums)
    for (auto [i, result] : llvm::enumerate(op->getResults())) {
      Value init = op.getDpsInitOperand(i)->get();
      if (!context.getCotangent(result))
        continue;
      if (!isSum(op, i, /*isStrict=*/true) || !context.areTerms(init))
        return context.emitOpError(op)
               << "expected a sum that begins with zeros or with what is "
                  "transposed in, for result #"
               << i;
      context.addCotangent(init, context.getCotangent(result));
    }
  for (auto &[map, operands] : groups)
    if (failed(transposeIn(op, context, map, operands)))
      return failure();
  return success();
}

//===----------------------------------------------------------------------===//
// Registration
//===----------------------------------------------------------------------===//

namespace {
template <typename... Ops> struct Structured {
  static void attach(MLIRContext *context) {
    (Ops::template attachInterface<Linearize<Ops, linearizeStructured>,
                                   Transpose<Ops, transposeStructured>,
                                   Batch<Ops, batchStructured>>(*context),
     ...);
  }
};
} // namespace

static void attachLinalg(MLIRContext *context, linalg::LinalgDialect *) {
  Structured<
#define GET_OP_LIST
#include "mlir/Dialect/Linalg/IR/LinalgStructuredOps.cpp.inc"
      >::attach(context);
}

void grad::registerLinalgModels(DialectRegistry &registry) {
  registry.addExtension(attachLinalg);
}
