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
/// Tapes (dialect/Stacks.h) come before all else, at multiples of kTapeBytes.
/// They must not be copied or filled, as that would take all of these bytes.
///
/// Buffers of open sizes (runtime/OpenSizes.h) come behind all others. They are
/// placed by how many bytes they take for each part of the room: what is
/// disjoint for one is so for any number of them.
///
/// Invariant: two buffers whose lifetimes overlap occupy disjoint bytes, unless
/// they occupy the same bytes and one is written in place of the other.
///
//===----------------------------------------------------------------------===//

#include "passes/PlanMemory.h"
#include "passes/BufferSize.h"
#include "passes/Passes.h"
#include "passes/SymbolUses.h"
#include "runtime/OpenSizes.h"
#include "runtime/Tapes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

#include <map>

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
  /// Buffers that are live at the same time in one operation only, which writes
  /// one in place of the other: they may have the same offset.
  SmallVector<unsigned, 2> sharers = {};
};

struct Plan {
  SmallVector<Buffer> buffers, tapes;
  /// Sizes and offsets of these are bytes for each part of the room, until all
  /// are placed.
  SmallVector<Buffer> open;
  int64_t arenaBytes = 0;
  /// What is written to tapes in an iteration of their loops.
  int64_t tapeBytes = 0;
};

/// Whether a buffer is a tape.
bool isTape(Type type) {
  auto buffer = dyn_cast<MemRefType>(type);
  return buffer && buffer.getRank() > 0 &&
         llvm::none_of(buffer.getShape(), gradopt::findOpenSize) &&
         getByteSize(buffer).value_or(0) > gradopt::kTapeBytes / 2;
}

/// The bytes that a buffer takes for each part of the room; none if its size is
/// known, or no such number.
std::optional<int64_t> getBytesPerPart(MemRefType type) {
  std::optional<int64_t> bytes = getElementBytes(type.getElementType());
  std::optional<gradopt::OpenSize> open;
  for (int64_t size : type.getShape()) {
    if (!gradopt::isOpen(size)) {
      if (llvm::MulOverflow(*bytes, size, *bytes))
        return std::nullopt;
      continue;
    }
    if (open)
      return std::nullopt;
    open = gradopt::findOpenSize(size);
    if (!open)
      return std::nullopt;
  }
  if (!open)
    return std::nullopt;
  // There are the parts of one step at least.
  int64_t more = std::max<int64_t>(open->more, 0),
          parts = gradopt::kRoomStep / gradopt::kRoomParts;
  return (open->parts + int64_t(llvm::divideCeil(more, parts))) * *bytes;
}

/// Bytes of the arena that are taken for a while.
struct Slot {
  int64_t begin, end;
  Lifetime live;
  unsigned buffer;
};

} // namespace

//===----------------------------------------------------------------------===//
// Placing
//===----------------------------------------------------------------------===//

namespace {

/// Some slots that follow each other by their first bytes, and what is known
/// about all of them.
struct SlotBlock {
  SmallVector<Slot> slots;
  /// When the first one begins and the last one ends to be live; when all are.
  Lifetime any, all;
  /// Behind the last byte, aligned; the most bytes between two slots.
  int64_t top, largestGap;

  void update(int64_t alignment) {
    any = all = slots.front().live;
    top = llvm::alignTo(slots.front().end, alignment);
    largestGap = 0;
    for (const Slot &slot : ArrayRef(slots).drop_front()) {
      any = {std::min(any.begin, slot.live.begin),
             std::max(any.end, slot.live.end)};
      all = {std::max(all.begin, slot.live.begin),
             std::min(all.end, slot.live.end)};
      largestGap = std::max(largestGap, slot.begin - top);
      top = std::max(top, int64_t(llvm::alignTo(slot.end, alignment)));
    }
  }
};

/// The slots of one arena by their first bytes. Values that wait for a gradient
/// are all live at once, and so are looked at by blocks.
class SlotList {
public:
  explicit SlotList(int64_t alignment) : alignment(alignment) {}

  void insert(const Slot &slot);
  bool isFree(const Buffer &buffer, int64_t offset) const;
  int64_t findGap(const Buffer &buffer) const;

private:
  int64_t alignment;
  std::vector<SlotBlock> blocks;
};

} // namespace

void SlotList::insert(const Slot &slot) {
  constexpr size_t kMaxSlots = 128;
  auto isBefore = [](int64_t begin, const auto &other) {
    return begin < other.begin;
  };
  auto next = llvm::upper_bound(blocks, slot.begin,
                                [](int64_t begin, const SlotBlock &block) {
                                  return begin < block.slots.front().begin;
                                });
  if (next != blocks.begin())
    --next;
  else if (blocks.empty())
    next = blocks.insert(next, SlotBlock());
  auto &slots = next->slots;
  slots.insert(llvm::upper_bound(slots, slot.begin, isBefore), slot);
  if (slots.size() > kMaxSlots) {
    SlotBlock half;
    half.slots.append(slots.begin() + kMaxSlots / 2, slots.end());
    half.update(alignment);
    slots.truncate(kMaxSlots / 2);
    next->update(alignment);
    blocks.insert(std::next(next), std::move(half));
  } else {
    next->update(alignment);
  }
}

/// Whether `buffer` can lie at `offset`, where one that shares its place lies.
bool SlotList::isFree(const Buffer &buffer, int64_t offset) const {
  return llvm::all_of(blocks, [&](const SlotBlock &block) {
    if (!block.any.overlaps(buffer.live) || block.top <= offset ||
        block.slots.front().begin >= offset + buffer.size)
      return true;
    return llvm::all_of(block.slots, [&](const Slot &slot) {
      return !slot.live.overlaps(buffer.live) || offset >= slot.end ||
             slot.begin >= offset + buffer.size ||
             (slot.begin == offset &&
              llvm::is_contained(buffer.sharers, slot.buffer));
    });
  });
}

/// The offset of the smallest gap that can hold `buffer`.
int64_t SlotList::findGap(const Buffer &buffer) const {
  int64_t gapStart = 0, bestGap = 0;
  std::optional<int64_t> best;
  auto endGap = [&](int64_t begin) {
    int64_t gap = begin - gapStart;
    if (gap >= buffer.size && (!best || gap < bestGap)) {
      best = gapStart;
      bestGap = gap;
    }
  };
  for (const SlotBlock &block : blocks) {
    if (!block.any.overlaps(buffer.live))
      continue;
    if (block.largestGap < buffer.size && block.all.begin <= buffer.live.end &&
        buffer.live.begin <= block.all.end) {
      endGap(block.slots.front().begin);
      gapStart = std::max(gapStart, block.top);
      continue;
    }
    for (const Slot &slot : block.slots) {
      if (!slot.live.overlaps(buffer.live))
        continue;
      endGap(slot.begin);
      gapStart =
          std::max(gapStart, int64_t(llvm::alignTo(slot.end, alignment)));
    }
  }
  return best.value_or(gapStart);
}

/// Gives every buffer an offset, in the given order. Returns the arena's size.
static int64_t placeInOrder(MutableArrayRef<Buffer> buffers,
                            ArrayRef<unsigned> order, int64_t alignment) {
  int64_t arenaBytes = 0;
  SlotList slots(alignment);
  llvm::BitVector isPlaced(buffers.size());
  for (unsigned i : order) {
    Buffer &buffer = buffers[i];
    // In place of another buffer if possible, else the smallest gap that fits.
    std::optional<int64_t> offset;
    for (unsigned sharer : buffer.sharers) {
      int64_t candidate = buffers[sharer].offset;
      if (isPlaced[sharer] && (!offset || candidate > *offset) &&
          slots.isFree(buffer, candidate))
        offset = candidate;
    }
    buffer.offset = offset ? *offset : slots.findGap(buffer);
    isPlaced.set(i);
    Slot slot{buffer.offset, buffer.offset + buffer.size, buffer.live, i};
    slots.insert(slot);
    arenaBytes = std::max(arenaBytes, slot.end);
  }
  return arenaBytes;
}

/// Tries several orders and keeps the offsets of the smallest arena. Returns
/// its size.
static int64_t place(MutableArrayRef<Buffer> buffers, int64_t alignment) {
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
    int64_t arenaBytes = placeInOrder(buffers, order, alignment);
    if (best && arenaBytes >= *best)
      continue;
    best = arenaBytes;
    for (auto [i, buffer] : llvm::enumerate(buffers))
      bestOffsets[i] = buffer.offset;
  }
  for (auto [i, buffer] : llvm::enumerate(buffers))
    buffer.offset = bestOffsets[i];
  return best.value_or(0);
}

/// Places all buffers of the plan; fails if that is no arena that is computed
/// of the room.
static LogicalResult place(Plan &plan, int64_t alignment) {
  int64_t begin = place(plan.tapes, alignment);
  std::map<int64_t, int64_t> bytes;
  for (const Buffer &tape : plan.tapes) {
    auto type = cast<MemRefType>(tape.alloc->getResult(0).getType());
    int64_t &most = bytes[tape.offset];
    size_t places =
        gradopt::findTapePlaces(type.getShape().data(), type.getRank(),
                                *getElementBytes(type.getElementType()));
    most = std::max(most, *getByteSize(type) / type.getDimSize(places));
  }
  for (auto [offset, most] : bytes)
    plan.tapeBytes += most;
  plan.arenaBytes = begin + place(plan.buffers, alignment);
  for (Buffer &buffer : plan.buffers)
    buffer.offset += begin;
  if (plan.open.empty())
    return success();
  begin = llvm::alignTo(plan.arenaBytes, alignment);
  if (begin >= gradopt::OpenArena::kUnit)
    return failure();
  // The number of parts is even, so that offsets are aligned.
  int64_t half = std::max<int64_t>(alignment / 2, 1);
  plan.arenaBytes = begin + place(plan.open, half) * gradopt::OpenArena::kUnit;
  for (Buffer &buffer : plan.open)
    buffer.offset = begin + buffer.offset * gradopt::OpenArena::kUnit;
  return success();
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
  LogicalResult checkOpen(func::FuncOp func, const Plan &plan);
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

/// Finds which buffers are written in place of another one, in the operation
/// where the latter dies.
static void
findSharers(MutableArrayRef<Buffer> buffers,
            const llvm::DenseMap<unsigned, Operation *> &operationAt) {
  llvm::DenseMap<unsigned, SmallVector<unsigned>> begins;
  for (auto [i, buffer] : llvm::enumerate(buffers))
    begins[buffer.live.begin].push_back(i);
  for (auto [i, last] : llvm::enumerate(buffers)) {
    Operation *op = operationAt.lookup(last.live.end);
    if (!op)
      continue;
    for (unsigned j : begins.lookup(last.live.end)) {
      Buffer &next = buffers[j];
      if (i == j || next.size != last.size ||
          !isElementwiseUpdate(op, last.alloc->getResult(0),
                               next.alloc->getResult(0)))
        continue;
      last.sharers.push_back(j);
      next.sharers.push_back(i);
    }
  }
}

/// What has open sizes and cannot be computed of the room.
LogicalResult GradPlanMemory::checkOpen(func::FuncOp func, const Plan &plan) {
  if (!plan.tapes.empty())
    return func.emitOpError("expected no tapes beside open sizes");
  for (const Buffer &buffer : plan.buffers) {
    auto type = cast<MemRefType>(buffer.alloc->getResult(0).getType());
    if (llvm::any_of(type.getShape(), gradopt::isOpen))
      return buffer.alloc->emitOpError("expected one open size, of as many "
                                       "rows as there is room for, but got ")
             << type;
  }
  return success();
}

FailureOr<Plan> GradPlanMemory::analyze(func::FuncOp func) {
  Plan plan;
  BufferLiveness liveness(func);
  bool hasOpen = func->hasAttr(gradopt::kOpenSizesAttr);
  WalkResult result = func.walk([&](Operation *op) {
    if (!isAllocation(op))
      return WalkResult::advance();
    FailureOr<Lifetime> live = liveness.lifetime(op);
    if (failed(live))
      return WalkResult::interrupt();
    auto type = cast<MemRefType>(op->getResult(0).getType());
    if (isTape(type))
      plan.tapes.push_back(
          {op, int64_t(llvm::alignTo(*getByteSize(type), gradopt::kTapeBytes)),
           *live});
    else if (auto bytes = getBytesPerPart(type); hasOpen && bytes)
      plan.open.push_back({op, *bytes, *live});
    else
      plan.buffers.push_back({op, *getByteSize(type), *live});
    return WalkResult::advance();
  });
  if (result.wasInterrupted() || (hasOpen && failed(checkOpen(func, plan))))
    return failure();

  if (!inPlace)
    return plan;
  llvm::DenseMap<unsigned, Operation *> operationAt;
  func.walk(
      [&](linalg::LinalgOp op) { operationAt[liveness.range(op).begin] = op; });
  findSharers(plan.buffers, operationAt);
  findSharers(plan.open, operationAt);
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
  if (!plan.tapes.empty())
    func->setAttr("grad.tape_bytes", builder.getI64IntegerAttr(plan.tapeBytes));

  func.walk([](memref::DeallocOp dealloc) { dealloc.erase(); });
  llvm::DenseMap<int64_t, Value> offsets;
  for (const Buffer &buffer :
       llvm::concat<const Buffer>(plan.tapes, plan.buffers, plan.open)) {
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

/// Refuses an op that goes over all of a tape.
static LogicalResult checkTapes(Operation *op) {
  if (isa<linalg::LinalgOp, memref::CopyOp>(op) &&
      llvm::any_of(op->getOperandTypes(), isTape))
    return op->emitOpError(
        "would go over all places of what a loop with checkpoint=\"all\" and "
        "an "
        "unknown number of iterations keeps: leave the policy out, or use "
        "another one");
  return success();
}

LogicalResult GradPlanMemory::planFunction(func::FuncOp func) {
  WalkResult result = func.walk([&](Operation *op) {
    bool isBad = failed(checkTapes(op)) ||
                 (isAllocation(op) && failed(checkAllocation(op)));
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
  if (failed(place(*plan, alignment)))
    return func.emitOpError("expected temporaries of known size to be less "
                            "than ")
           << gradopt::OpenArena::kUnit << " bytes beside open sizes";
  for (const Buffer &buffer : plan->buffers)
    temporaryBytes += buffer.size;
  arenaBytes += plan->arenaBytes;
  rewrite(func, *plan);
  return success();
}
