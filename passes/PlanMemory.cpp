//===- PlanMemory.cpp - One static arena for all temporaries --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-plan-memory` replaces the allocations of a function by views of one
/// arena, which becomes the last argument. Three steps per function:
///
///  1. Forward (PlanMemoryForward.cpp): an allocation that is copied to, or
///     consumed element by element while writing, an argument that nobody
///     accesses earlier moves into the memory of that argument; copies between
///     buffers that may be one vanish.
///  2. Place: buffers get offsets, largest first, each at the smallest gap
///     between those that are live at the same time (best fit). A buffer that
///     dies in the elementwise operation that writes another one of the same
///     size may share its place. Several orders are tried, the smallest arena
///     wins.
///  3. Rewrite: allocations become `memref.view` at constant offsets.
///
/// Invariant: two buffers whose lifetimes overlap occupy disjoint bytes, unless
/// they occupy the same bytes and one is written in place of the other.
///
//===----------------------------------------------------------------------===//

#include "passes/PlanMemory.h"
#include "passes/BufferSize.h"
#include "passes/Passes.h"
#include "passes/SymbolUses.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADPLANMEMORY
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

namespace {

/// A buffer to be placed.
struct Buffer {
  Operation *alloc;
  int64_t size;
  Lifetime live;
  int64_t offset = 0;
};

/// Buffers and the relations between them that decide on their places.
struct Plan {
  SmallVector<Buffer> buffers;
  /// disjoint[i][j]: the bytes of i and j must not overlap.
  SmallVector<llvm::BitVector> disjoint;
  /// identical[i][j]: i and j must be disjoint or have the same offset.
  SmallVector<llvm::BitVector> identical;
  int64_t arenaBytes = 0;
};

} // namespace

//===----------------------------------------------------------------------===//
// Placing
//===----------------------------------------------------------------------===//

/// Gives every buffer an offset, in the given order. Returns the arena's size.
static int64_t placeInOrder(Plan &plan, ArrayRef<unsigned> order,
                            int64_t alignment) {
  int64_t arenaBytes = 0;
  SmallVector<unsigned> placed;
  for (unsigned i : order) {
    Buffer &buffer = plan.buffers[i];
    SmallVector<unsigned> others;
    for (unsigned j : placed)
      if (plan.disjoint[i][j] || plan.identical[i][j])
        others.push_back(j);
    auto isFree = [&](int64_t offset) {
      return llvm::all_of(others, [&](unsigned j) {
        const Buffer &other = plan.buffers[j];
        return offset + buffer.size <= other.offset ||
               other.offset + other.size <= offset ||
               (plan.identical[i][j] && other.offset == offset);
      });
    };
    llvm::sort(others, [&](unsigned a, unsigned b) {
      return plan.buffers[a].offset < plan.buffers[b].offset;
    });

    // In place of another buffer if possible, else the smallest gap that fits.
    std::optional<int64_t> best;
    for (unsigned j : others)
      if (plan.identical[i][j] && isFree(plan.buffers[j].offset))
        best = plan.buffers[j].offset;
    if (!best) {
      int64_t gapStart = 0, bestGap = 0;
      for (unsigned j : others) {
        int64_t gap = plan.buffers[j].offset - gapStart;
        if (gap >= buffer.size && (!best || gap < bestGap)) {
          best = gapStart;
          bestGap = gap;
        }
        gapStart = std::max(
            gapStart,
            int64_t(llvm::alignTo(plan.buffers[j].offset + plan.buffers[j].size,
                                  alignment)));
      }
      if (!best)
        best = gapStart;
    }
    buffer.offset = *best;
    arenaBytes = std::max(arenaBytes, buffer.offset + buffer.size);
    placed.push_back(i);
  }
  return arenaBytes;
}

/// Tries several orders and keeps the offsets of the smallest arena.
static void place(Plan &plan, int64_t alignment) {
  auto &buffers = plan.buffers;
  using Key = std::pair<int64_t, int64_t>;
  std::function<Key(const Buffer &)> keys[] = {
      [](const Buffer &b) { return Key(-b.size, b.live.begin); },
      [](const Buffer &b) {
        return Key(-b.size * int64_t(b.live.end - b.live.begin + 1),
                   b.live.begin);
      },
      [](const Buffer &b) { return Key(b.live.begin, -b.size); }};
  std::optional<int64_t> best;
  SmallVector<int64_t> bestOffsets(buffers.size());
  for (auto &key : keys) {
    SmallVector<unsigned> order =
        llvm::to_vector(llvm::seq<unsigned>(0, buffers.size()));
    llvm::sort(order, [&](unsigned a, unsigned b) {
      return std::pair(key(buffers[a]), a) < std::pair(key(buffers[b]), b);
    });
    int64_t arenaBytes = placeInOrder(plan, order, alignment);
    if (best && arenaBytes >= *best)
      continue;
    best = arenaBytes;
    for (auto [i, buffer] : llvm::enumerate(buffers))
      bestOffsets[i] = buffer.offset;
  }
  for (auto [i, buffer] : llvm::enumerate(buffers))
    buffer.offset = bestOffsets[i];
  plan.arenaBytes = best.value_or(0);
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {

struct GradPlanMemory : grad::impl::GradPlanMemoryBase<GradPlanMemory> {
  using GradPlanMemoryBase::GradPlanMemoryBase;

  void runOnOperation() override {
    if (alignment < 1 || !llvm::isPowerOf2_64(alignment)) {
      getOperation().emitError("expected option 'alignment' to be a power of "
                               "two, but got ")
          << alignment;
      return signalPassFailure();
    }
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (!func.isExternal() && failed(planFunction(func)))
        return signalPassFailure();
  }

private:
  LogicalResult planFunction(func::FuncOp func);
  LogicalResult checkAllocation(Operation *alloc);
  FailureOr<Plan> analyze(func::FuncOp func);
  void rewrite(func::FuncOp func, const Plan &plan);
};

} // namespace

LogicalResult GradPlanMemory::checkAllocation(Operation *alloc) {
  auto type = cast<MemRefType>(alloc->getResult(0).getType());
  if (!type.hasStaticShape() || !type.getLayout().isIdentity() ||
      type.getMemorySpace())
    return alloc->emitOpError("expected a buffer of static shape without "
                              "layout and memory space, but got ")
           << type;
  if (!getByteSize(type))
    return alloc->emitOpError("expected a buffer of known size that memory can "
                              "hold, but got ")
           << type;
  if (getAlignment(alloc) > alignment)
    return alloc->emitOpError("expected an alignment of at most that of the "
                              "arena, ")
           << int64_t(alignment) << " bytes, but got " << getAlignment(alloc);
  auto func = alloc->getParentOfType<func::FuncOp>();
  if (func.isPrivate())
    return alloc->emitOpError("expected allocations in public functions only, "
                              "but the function '")
           << func.getName() << "' is private: inline it first";
  if (!func.getBody().hasOneBlock())
    return alloc->emitOpError("expected a function of one block, but '")
           << func.getName() << "' has unstructured control flow";
  for (Operation *op = alloc; op != func; op = op->getParentOp())
    if (isa<scf::ParallelOp, scf::ForallOp>(op))
      return alloc->emitOpError("expected no allocation in a parallel loop");
  return success();
}

FailureOr<Plan> GradPlanMemory::analyze(func::FuncOp func) {
  Plan plan;
  BufferLiveness liveness(func);
  WalkResult result = func.walk([&](Operation *op) {
    if (!isAllocation(op))
      return WalkResult::advance();
    FailureOr<Lifetime> live = liveness.lifetime(op);
    if (failed(live))
      return WalkResult::interrupt();
    auto type = cast<MemRefType>(op->getResult(0).getType());
    plan.buffers.push_back({op, *getByteSize(type), *live});
    return WalkResult::advance();
  });
  if (result.wasInterrupted())
    return failure();

  unsigned count = plan.buffers.size();
  plan.disjoint.assign(count, llvm::BitVector(count));
  plan.identical.assign(count, llvm::BitVector(count));
  llvm::DenseMap<unsigned, Operation *> operationAt;
  func.walk(
      [&](linalg::LinalgOp op) { operationAt[liveness.range(op).begin] = op; });
  // Whether `next` is written in place of `last`, in the operation where the
  // latter dies.
  auto succeeds = [&](const Buffer &next, const Buffer &last) {
    if (next.live.begin != last.live.end || next.size != last.size)
      return false;
    Operation *op = operationAt.lookup(last.live.end);
    return op && isElementwiseUpdate(op, last.alloc->getResult(0),
                                     next.alloc->getResult(0));
  };
  for (unsigned i = 0; i < count; ++i) {
    for (unsigned j = 0; j < i; ++j) {
      const Buffer &a = plan.buffers[i], &b = plan.buffers[j];
      if (!a.live.overlaps(b.live))
        continue;
      bool isShared = inPlace && (succeeds(a, b) || succeeds(b, a));
      auto &relation = isShared ? plan.identical : plan.disjoint;
      relation[i].set(j);
      relation[j].set(i);
    }
  }
  return plan;
}

void GradPlanMemory::rewrite(func::FuncOp func, const Plan &plan) {
  MLIRContext *context = &getContext();
  OpBuilder builder(context);
  auto arenaType =
      MemRefType::get({plan.arenaBytes}, IntegerType::get(context, 8));
  unsigned position = func.getNumArguments();
  (void)func.insertArgument(position, arenaType, /*argAttrs=*/{},
                            func.getLoc());
  BlockArgument arena = func.getArgument(position);
  func->setAttr("grad.arena_bytes", builder.getI64IntegerAttr(plan.arenaBytes));

  func.walk([](memref::DeallocOp dealloc) { dealloc.erase(); });
  llvm::DenseMap<int64_t, Value> offsets;
  for (const Buffer &buffer : plan.buffers) {
    Location loc = buffer.alloc->getLoc();
    if (remarks)
      emitRemark(loc) << "arena offset " << buffer.offset << ", size "
                      << buffer.size << " bytes, live [" << buffer.live.begin
                      << ", " << buffer.live.end << "]";
    Value &offset = offsets[buffer.offset];
    if (!offset) {
      builder.setInsertionPointToStart(&func.getBody().front());
      offset = arith::ConstantIndexOp::create(builder, loc, buffer.offset);
    }
    builder.setInsertionPoint(buffer.alloc);
    Value view = memref::ViewOp::create(
        builder, loc, buffer.alloc->getResult(0).getType(), arena, offset,
        /*sizes=*/ValueRange());
    buffer.alloc->replaceAllUsesWith(ValueRange(view));
    buffer.alloc->erase();
  }
}

LogicalResult GradPlanMemory::planFunction(func::FuncOp func) {
  WalkResult result = func.walk([&](Operation *op) {
    bool isBad = isAllocation(op) && failed(checkAllocation(op));
    return isBad ? WalkResult::interrupt() : WalkResult::advance();
  });
  if (result.wasInterrupted())
    return failure();
  if (func.isPrivate())
    return success();
  if (hasSymbolUses(func, getOperation()))
    return func.emitOpError("expected no uses of a public function, whose "
                            "arena its caller would have to provide");

  numForwarded += forwardBuffers(func, inPlace);
  FailureOr<Plan> plan = analyze(func);
  if (failed(plan))
    return failure();
  place(*plan, alignment);
  for (const Buffer &buffer : plan->buffers)
    temporaryBytes += buffer.size;
  arenaBytes += plan->arenaBytes;
  rewrite(func, *plan);
  return success();
}
