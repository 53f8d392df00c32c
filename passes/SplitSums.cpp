//===- SplitSums.cpp - Loops that add forwards and backwards --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A part of `grad-place-slices`. An iteration of an innermost loop adds to an
/// array in two places, of which one moves forwards and the other one
/// backwards. As these may meet, iterations have to be one after the other.
/// What is added in the direction that is not that of the first addition
/// becomes a loop in front, which computes the summands once more, if that is
/// cheap.
///
/// The new loop reads arrays as they are before the old one. So the summands
/// may depend on elements of arrays that the old one carries only if these are
/// overwritten in the iteration that reads them, and not in others.
///
//===----------------------------------------------------------------------===//

#include "passes/SplitSums.h"
#include "dialect/GradDialect.h"
#include "dialect/Positions.h"
#include "dialect/Residuals.h"
#include "dialect/Updates.h"
#include "passes/LoopAccesses.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace mlir::grad;

/// No more ops are done twice for a summand.
static constexpr size_t kMostOps = 24;

/// The additions that make `next` of `first`, an array that nothing else reads,
/// from the first one on; none if something else happens to it.
static SmallVector<DynamicAddSliceOp> findAdditions(Value next, Value first) {
  SmallVector<DynamicAddSliceOp> additions;
  while (next != first) {
    auto op = next.getDefiningOp<DynamicAddSliceOp>();
    if (!op || !next.hasOneUse())
      return {};
    additions.push_back(op);
    next = op.getX();
  }
  if (!first.hasOneUse())
    return {};
  std::reverse(additions.begin(), additions.end());
  return additions;
}

/// Whether a slice of one element is where its indices say: those that are not
/// within the array are moved.
static bool isInPlace(DynamicSliceOp read) {
  return read->hasAttr(kInBounds) ||
         llvm::all_of(llvm::zip_equal(read.getIndices(),
                                      read.getX().getType().getShape()),
                      [](auto pair) {
                        auto [index, extent] = pair;
                        return isWithin(index, 1, extent);
                      });
}

/// Whether an iteration of the loop reads, by `read`, an element of an array
/// that it carries, and that other iterations leave as it is.
static bool isOwnElement(DynamicSliceOp read, scf::ForOp loop) {
  auto array = dyn_cast<BlockArgument>(read.getX());
  if (!array || array.getOwner() != loop.getBody() || !findDirection(read) ||
      !isInPlace(read))
    return false;
  Value version = loop.getTiedLoopYieldedValue(array)->get();
  while (version != array) {
    Operation *op = version.getDefiningOp();
    if (!isa_and_nonnull<DynamicUpdateSliceOp, DynamicAddSliceOp>(op) ||
        getPart(op).getType() != read.getType() ||
        op->getOperands().drop_front(2) != read.getIndices())
      return false;
    version = op->getOperand(0);
  }
  return true;
}

static bool isCheap(Operation *op) {
  return isArithmetic(op) || matchPattern(op, m_Constant()) ||
         isa<DynamicSliceOp, ReshapeOp, arith::IndexCastOp, arith::AddIOp,
             arith::SubIOp, tensor::FromElementsOp, tensor::ExtractOp>(op);
}

namespace {

/// Additions of a loop that become another loop.
class Split {
public:
  Split(scf::ForOp loop, BlockArgument array) : loop(loop), array(array) {}

  /// Finds the additions; whether there are some.
  bool find() {
    Value next = loop.getTiedLoopYieldedValue(array)->get();
    std::optional<bool> isForward;
    for (DynamicAddSliceOp op : findAdditions(next, array)) {
      std::optional<Direction> direction = findDirection(op);
      if (!direction)
        return false;
      if (!isForward)
        isForward = direction->isForward;
      if (direction->isForward != *isForward)
        moved.push_back(op);
    }
    return !moved.empty() && collectOps();
  }

  void apply() {
    Location loc = loop.getLoc();
    OpBuilder builder(loop);
    OpOperand *init = loop.getTiedLoopInit(array);
    auto other = scf::ForOp::create(
        builder, loc, loop.getLowerBound(), loop.getUpperBound(),
        loop.getStep(), init->get(), nullptr, loop.getUnsignedCmp());
    other->setDiscardableAttrs(loop->getDiscardableAttrDictionary());
    IRMapping map;
    map.map(loop.getInductionVar(), other.getInductionVar());
    for (auto [argument, value] :
         llvm::zip_equal(loop.getRegionIterArgs(), loop.getInitArgs()))
      map.map(argument, value);
    auto inside = OpBuilder::atBlockEnd(other.getBody());
    for (Operation &op : loop.getBody()->without_terminator())
      if (ops.contains(&op))
        inside.clone(op, map);
    Value sum = other.getRegionIterArg(0);
    for (DynamicAddSliceOp op : moved) {
      auto addition = cast<DynamicAddSliceOp>(inside.clone(*op, map));
      addition.getXMutable().assign(sum);
      sum = addition;
    }
    scf::YieldOp::create(inside, loc, sum);
    init->set(other.getResult(0));
    for (DynamicAddSliceOp op : moved) {
      op.replaceAllUsesWith(op.getX());
      op.erase();
    }
  }

private:
  /// Collects the ops that the additions depend on; whether another loop can
  /// do them.
  bool collectOps() {
    SmallVector<Value> pending;
    for (DynamicAddSliceOp op : moved)
      llvm::append_range(pending, op->getOperands().drop_front());
    while (!pending.empty()) {
      Value value = pending.pop_back_val();
      if (value == loop.getInductionVar() || loop.isDefinedOutsideOfLoop(value))
        continue;
      Operation *op = value.getDefiningOp();
      if (!op || !isCheap(op) || (ops.insert(op) && ops.size() > kMostOps))
        return false;
      auto read = dyn_cast<DynamicSliceOp>(op);
      bool isCarried = read && !loop.isDefinedOutsideOfLoop(read.getX());
      if (isCarried && !isOwnElement(read, loop))
        return false;
      llvm::append_range(pending,
                         isCarried ? read.getIndices() : op->getOperands());
    }
    return true;
  }

  scf::ForOp loop;
  BlockArgument array;
  SmallVector<DynamicAddSliceOp> moved;
  llvm::SmallSetVector<Operation *, 16> ops;
};

} // namespace

void grad::splitSums(func::FuncOp function) {
  SmallVector<scf::ForOp> loops;
  function.walk([&](scf::ForOp loop) {
    if (llvm::all_of(*loop.getBody(),
                     [](Operation &op) { return op.getNumRegions() == 0; }))
      loops.push_back(loop);
  });
  for (scf::ForOp loop : loops)
    for (BlockArgument array : loop.getRegionIterArgs())
      if (Split split(loop, array); split.find())
        split.apply();
}
