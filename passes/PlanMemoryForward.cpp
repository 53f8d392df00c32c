//===- PlanMemoryForward.cpp - Buffers that need no place of their own ----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The first step of `grad-plan-memory`: an allocation moves into the buffer
/// that its data end up in. Nobody else may access that buffer until then, and
/// where both live on after a copy, neither may be written.
///
//===----------------------------------------------------------------------===//

#include "passes/BufferSize.h"
#include "passes/PlanMemory.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace mlir::grad;

int64_t mlir::grad::getAlignment(Operation *op) {
  std::optional<uint64_t> alignment =
      isa<memref::AllocOp>(op) ? cast<memref::AllocOp>(op).getAlignment()
                               : cast<memref::AllocaOp>(op).getAlignment();
  return std::max<int64_t>(alignment.value_or(1), 1);
}

bool mlir::grad::isElementwiseUpdate(Operation *op, Value from, Value to) {
  auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
  if (!linalgOp || !linalgOp.hasPureBufferSemantics())
    return false;
  auto isPlacedAs = [](Value a, Value b) {
    auto aType = cast<MemRefType>(a.getType());
    auto bType = cast<MemRefType>(b.getType());
    return aType.getShape() == bType.getShape() &&
           aType.getLayout() == bType.getLayout() &&
           getElementBytes(aType.getElementType()) ==
               getElementBytes(bType.getElementType());
  };
  // Before the search for all uses of buffers that may have many.
  auto replaces = [&](OpOperand &init) {
    return getFullyViewedBuffer(init.get()) == to &&
           !linalgOp.payloadUsesValueFromOperand(&init) &&
           linalgOp.getMatchingIndexingMap(&init).isPermutation();
  };
  if (llvm::none_of(linalgOp.getDpsInitsMutable(), replaces))
    return false;
  SetVector<Value> fromAliases = collectAliases(from);
  SetVector<Value> toAliases = collectAliases(to);
  // The body may load from either buffer, beside the operands.
  for (auto *aliases : {&fromAliases, &toAliases})
    for (Operation *access : collectAccesses(*aliases))
      if (op->isProperAncestor(access))
        return false;
  OpOperand *written = nullptr;
  for (OpOperand &operand : op->getOpOperands()) {
    if (!toAliases.contains(operand.get()))
      continue;
    if (written || !linalgOp.isDpsInit(&operand) || !replaces(operand))
      return false;
    written = &operand;
  }
  if (!written)
    return false;
  return llvm::all_of(op->getOpOperands(), [&](OpOperand &operand) {
    return !fromAliases.contains(operand.get()) ||
           (linalgOp.isDpsInput(&operand) &&
            getFullyViewedBuffer(operand.get()) == from &&
            isPlacedAs(operand.get(), written->get()) &&
            linalgOp.getMatchingIndexingMap(&operand) ==
                linalgOp.getMatchingIndexingMap(written));
  });
}

/// What callers align an argument to: numbers, but not pairs of them.
static int64_t getArgumentAlignment(MemRefType type) {
  Type element = type.getElementType();
  return element.isIntOrIndexOrFloat() ? getElementBytes(element).value_or(1)
                                       : 1;
}

/// Whether the buffer `to` can hold what `from` holds until `at`, the operation
/// in which `from` is copied to `to` or consumed by writing `to`.
static bool canMoveInto(Value from, Value to, Operation *at,
                        const BufferLiveness &liveness, bool isCopy) {
  auto fromType = dyn_cast<MemRefType>(from.getType());
  auto toType = dyn_cast<MemRefType>(to.getType());
  Operation *alloc = from.getDefiningOp();
  if (!alloc || !isAllocation(alloc) || from == to || !fromType || !toType ||
      !fromType.hasStaticShape() || !toType.hasStaticShape() ||
      !fromType.getLayout().isIdentity() || !toType.getLayout().isIdentity() ||
      fromType.getMemorySpace() != toType.getMemorySpace() ||
      fromType.getNumElements() != toType.getNumElements() ||
      fromType.getElementType() != toType.getElementType() ||
      alloc->getBlock() != at->getBlock())
    return false;
  // The memory of `to` has to exist where `from` begins, in the same iteration.
  if (Operation *def = to.getDefiningOp()) {
    if (!isAllocation(def) || def->getBlock() != at->getBlock())
      return false;
  } else if (cast<BlockArgument>(to).getOwner() != at->getBlock() ||
             !isa<func::FuncOp>(at->getParentOp()) ||
             getArgumentAlignment(toType) % getAlignment(alloc) != 0) {
    return false;
  }

  // Before `at` nobody accesses `to`. After it, a copy and its source hold the
  // same data for as long as neither is written.
  SetVector<Value> fromAliases = collectAliases(from);
  SetVector<Value> toAliases = collectAliases(to);
  Lifetime here = liveness.range(at);
  bool fromIsRead = false, writes = false;
  for (auto *aliases : {&fromAliases, &toAliases}) {
    for (Operation *access : collectAccesses(*aliases)) {
      if (access == at)
        continue;
      if (takesAddress(access) || isa<func::ReturnOp>(access))
        return false;
      bool isBefore = liveness.range(access).begin < here.begin;
      if (aliases == &toAliases && isBefore)
        return false;
      if (!isBefore) {
        fromIsRead |= aliases == &fromAliases;
        writes |= mayWrite(access, *aliases);
      }
    }
  }
  return !fromIsRead || (isCopy && !writes);
}

namespace {

/// Moves buffers, one at a time. Nothing that it inserts accesses memory, so
/// that operations are numbered once.
class Forwarder {
public:
  Forwarder(func::FuncOp func, bool inPlace)
      : func(func), inPlace(inPlace), liveness(func) {}

  /// Returns the number of buffers moved.
  unsigned run();

private:
  bool visit(Operation *op);
  void moveInto(Value from, Value to);

  /// Where the allocation `op` stands.
  unsigned placeOf(Operation *op) const {
    auto it = movedTo.find(op);
    return it == movedTo.end() ? liveness.range(op).begin : it->second;
  }

  func::FuncOp func;
  bool inPlace;
  BufferLiveness liveness;
  llvm::DenseMap<Operation *, unsigned> movedTo;
};

} // namespace

/// Makes `to` take over the role of `from`.
void Forwarder::moveInto(Value from, Value to) {
  Operation *alloc = from.getDefiningOp();
  if (Operation *def = to.getDefiningOp();
      def && placeOf(def) > placeOf(alloc)) {
    def->moveBefore(alloc);
    movedTo[def] = placeOf(alloc);
  }
  auto type = cast<MemRefType>(from.getType());
  if (to.getType() != type) {
    OpBuilder builder(alloc);
    auto [strides, offset] = type.getStridesAndOffset();
    to = memref::ReinterpretCastOp::create(builder, alloc->getLoc(), type, to,
                                           offset, type.getShape(), strides);
  }
  for (Operation *user : llvm::make_early_inc_range(from.getUsers()))
    if (isa<memref::DeallocOp>(user))
      user->erase();
  from.replaceAllUsesWith(to);
  movedTo.erase(alloc);
  alloc->erase();
}

bool Forwarder::visit(Operation *op) {
  if (auto copy = dyn_cast<memref::CopyOp>(op)) {
    Value from = getFullyViewedBuffer(copy.getSource());
    Value to = getFullyViewedBuffer(copy.getTarget());
    if (!canMoveInto(from, to, op, liveness, /*isCopy=*/true))
      return false;
    copy.erase();
    moveInto(from, to);
    return true;
  }
  auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
  if (!inPlace || !linalgOp || !linalgOp.hasPureBufferSemantics())
    return false;
  for (OpOperand &init : linalgOp.getDpsInitsMutable()) {
    Value to = getFullyViewedBuffer(init.get());
    if (!isa<BlockArgument>(to))
      continue;
    for (OpOperand *input : linalgOp.getDpsInputOperands()) {
      if (!isa<MemRefType>(input->get().getType()))
        continue;
      Value from = getFullyViewedBuffer(input->get());
      if (isElementwiseUpdate(op, from, to) &&
          canMoveInto(from, to, op, liveness, /*isCopy=*/false)) {
        moveInto(from, to);
        return true;
      }
    }
  }
  return false;
}

unsigned Forwarder::run() {
  unsigned numMoved = 0;
  SmallVector<Operation *> candidates;
  func.walk([&](Operation *op) {
    if (isa<memref::CopyOp, linalg::LinalgOp>(op))
      candidates.push_back(op);
  });
  // Last operation first: a chain of elementwise operations ends in a result.
  for (Operation *op : llvm::reverse(candidates))
    numMoved += visit(op);
  return numMoved;
}

unsigned mlir::grad::forwardBuffers(func::FuncOp func, bool inPlace) {
  return Forwarder(func, inPlace).run();
}
