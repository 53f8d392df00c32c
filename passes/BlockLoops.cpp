//===- BlockLoops.cpp - Loop nests over large buffers, block by block -----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-block-loops`, on linalg ops on buffers, before memory is planned. Ops
/// whose outermost loops have the same size N form a group if block i of that
/// loop depends on blocks up to i only:
///
///  * Every operand is indexed by the loop in one dimension, or not at all.
///  * A buffer that one op of the group writes and another one accesses is
///    indexed by the loop in the same dimension in both.
///
/// The group becomes a loop over blocks of N that fit the cache, in which each
/// op works on one block. An op between members moves in front of the loop if
/// it does not conflict with the members before it, or else behind the loop if
/// not with those after it. A temporary that only the group uses shrinks to one
/// block.
///
/// Nothing is done where all data fit the cache or no op finds there what
/// another one left.
///
/// For a GPU, a block of the loop is for a block of threads, and all of them
/// run at once: they are small, each op is parallel in the loop, and what it
/// writes is indexed by it. Temporaries shrink to shared memory of the block of
/// threads, as far as there is room; others stay, as there is no order in which
/// blocks could use the same one.
///
//===----------------------------------------------------------------------===//

#include "passes/BufferPlace.h"
#include "passes/BufferSize.h"
#include "passes/Kernels.h"
#include "passes/Passes.h"
#include "passes/TensorProduct.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADBLOCKLOOPS
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;
using linalg::LinalgOp;

//===----------------------------------------------------------------------===//
// Accesses
//===----------------------------------------------------------------------===//

/// The identity of the memory that `operand` lies in; null if it may lie
/// anywhere, or is no buffer.
static const void *memoryOf(Value operand) {
  return isa<BaseMemRefType>(operand.getType()) ? findPlace(operand).object
                                                : nullptr;
}

/// Whether it is known which memory `op` accesses.
static bool accessesKnownMemory(Operation *op) {
  return llvm::all_of(op->getOperands(), [](Value operand) {
    return !isa<BaseMemRefType>(operand.getType()) || memoryOf(operand);
  });
}

/// Of a buffer of known size; else 0.
static int64_t bytesOf(Value buffer) {
  return getByteSize(cast<MemRefType>(buffer.getType())).value_or(0);
}

/// A dimension of a buffer: -1 for none, kOther for no single one.
static constexpr int kOther = -2;

/// The dimension of `operand` that the outermost loop indexes.
static int blockedDim(LinalgOp op, OpOperand &operand) {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  int found = -1;
  for (auto [dim, expr] : llvm::enumerate(map.getResults())) {
    if (!expr.isFunctionOfDim(0))
      continue;
    if (found != -1 || !isa<AffineDimExpr>(expr))
      return kOther;
    found = static_cast<int>(dim);
  }
  return found;
}

/// Whether a BLAS, or tiles do `op` better than any loop.
static bool isMatrixProduct(LinalgOp op) {
  if (matchTensorProduct(op))
    return true;
  if (!linalg::isaContractionOpInterface(op))
    return false;
  FailureOr<linalg::ContractionDimensions> dims =
      linalg::inferContractionDims(op);
  SmallVector<int64_t> sizes = op.getStaticLoopRanges();
  auto isLong = [&](ArrayRef<unsigned> loops) {
    return llvm::any_of(loops, [&](unsigned loop) { return sizes[loop] > 1; });
  };
  return succeeded(dims) && isLong(dims->m) && isLong(dims->n) &&
         isLong(dims->k);
}

/// Whether the body of `op` accesses memory by itself.
static bool hasHiddenAccesses(LinalgOp op) {
  return !llvm::all_of(*op.getBlock(), [](Operation &nested) {
    return isMemoryEffectFree(&nested);
  });
}

/// The size of the outermost loop of `op`, or 0 where it cannot be blocked.
static int64_t blockableSize(LinalgOp op) {
  if (!op.hasPureBufferSemantics() || op.hasDynamicShape() ||
      op.getNumLoops() == 0 || isMatrixProduct(op) || hasHiddenAccesses(op) ||
      !accessesKnownMemory(op))
    return 0;
  bool usesIndex = false;
  op.getBlock()->walk(
      [&](linalg::IndexOp index) { usesIndex |= index.getDim() == 0; });
  if (usesIndex)
    return 0;
  for (OpOperand &operand : op->getOpOperands())
    if (auto type = dyn_cast<MemRefType>(operand.get().getType());
        type && (!getByteSize(type) || blockedDim(op, operand) == kOther ||
                 (blockedDim(op, operand) >= 0 &&
                  operand.get().getDefiningOp<ViewLikeOpInterface>())))
      return 0;
  return op.getStaticLoopRanges().front();
}

//===----------------------------------------------------------------------===//
// Groups
//===----------------------------------------------------------------------===//

namespace {

/// How a group accesses one buffer.
struct Access {
  Value buffer; ///< One of the values that stand for it.
  bool isWritten = false;
  int dim = -1; ///< The blocked dimension, kOther if accesses differ.
  unsigned numOps = 0;
};

class Group {
public:
  static constexpr int64_t kCacheBytes = 256 * 1024;
  static constexpr int64_t kBlockBytes = 128 * 1024;

  Group(int64_t size, bool forDevice) : size(size), forDevice(forDevice) {}

  /// Adds `op` if it may run in blocks behind the members so far.
  bool add(LinalgOp op) {
    if (hasConflict(op, behindWrites) || (forDevice && !isParallel(op)))
      return false;
    llvm::SmallMapVector<const void *, Access, 4> mine;
    for (OpOperand &operand : op->getOpOperands()) {
      if (!isa<MemRefType>(operand.get().getType()))
        continue;
      int dim = blockedDim(op, operand);
      auto [at, isNew] =
          mine.insert({memoryOf(operand.get()), Access{operand.get()}});
      at->second.dim = isNew || at->second.dim == dim ? dim : kOther;
      at->second.isWritten |= op.isDpsInit(&operand);
    }
    for (auto &[memory, access] : mine) {
      auto at = accesses.find(memory);
      if (at == accesses.end())
        continue;
      bool isShared = at->second.isWritten || access.isWritten;
      if (isShared && (access.dim < 0 || access.dim != at->second.dim))
        return false;
    }
    if (forDevice && !sharesMemory(mine))
      return false;
    for (auto &[memory, access] : mine) {
      auto [at, isNew] = accesses.insert({memory, access});
      if (!isNew && at->second.dim != access.dim)
        at->second.dim = kOther;
      at->second.isWritten |= access.isWritten;
      ++at->second.numOps;
    }
    members.push_back(op);
    inFront.append(between);
    between.clear();
    numBehind = behind.size();
    return true;
  }

  /// Takes note of an op that is no member: it will run before the group, or
  /// behind it. Fails if it can do neither.
  bool pass(Operation *op) {
    if (isMemoryEffectFree(op) || isa<memref::AllocOp>(op)) {
      between.push_back(op);
      return true;
    }
    if (auto linalgOp = dyn_cast<LinalgOp>(op);
        (linalgOp ? hasHiddenAccesses(linalgOp) : !isa<memref::CopyOp>(op)) ||
        !accessesKnownMemory(op))
      return false;
    bool conflicts = hasConflict(op, behindWrites) ||
                     llvm::any_of(op->getOpOperands(), [&](OpOperand &operand) {
                       auto at = accesses.find(memoryOf(operand.get()));
                       return at != accesses.end() &&
                              (at->second.isWritten || !isOnlyRead(operand));
                     });
    if (!conflicts) {
      between.push_back(op);
      return true;
    }
    behind.push_back(op);
    for (OpOperand &operand : op->getOpOperands())
      if (isa<MemRefType>(operand.get().getType()))
        behindWrites[memoryOf(operand.get())] |= !isOnlyRead(operand);
    return true;
  }

  /// Whether the data exceed the cache, and an op reuses what another one
  /// left there.
  bool isWorthwhile() const {
    if (forDevice)
      return isWorthABlockOfThreads();
    int64_t total = 0, reused = 0;
    for (auto &[memory, access] : accesses) {
      if (access.dim < 0)
        continue;
      total += bytesOf(access.buffer);
      if (access.numOps > 1)
        reused += bytesOf(access.buffer);
    }
    return members.size() > 1 && total > kCacheBytes &&
           reused > kCacheBytes / 2 && rowsPerBlock() < size;
  }

  void rewrite() {
    for (Operation *op : inFront)
      op->moveBefore(members.front());
    Operation *last = members.back();
    for (Operation *op : ArrayRef(behind).take_front(numBehind)) {
      op->moveAfter(last);
      last = op;
    }
    OpBuilder builder(members.back());
    Location loc = members.front().getLoc();
    int64_t rows = rowsPerBlock();
    int64_t whole = size - size % rows;
    collectTemporaries();

    auto index = [&](int64_t value) -> Value {
      return arith::ConstantIndexOp::create(builder, loc, value);
    };
    auto loop =
        scf::ForOp::create(builder, loc, index(0), index(whole), index(rows));
    if (forDevice)
      loop->setAttr(kParallelAttr, builder.getUnitAttr());
    OpBuilder inside(loop.getBody()->getTerminator());
    writeBlock(inside, loop.getInductionVar(), rows);
    if (whole != size)
      writeBlock(builder, builder.getIndexAttr(whole), size - whole);
    for (LinalgOp op : llvm::reverse(members))
      op.erase();
    for (Value temporary : temporaries)
      temporary.getDefiningOp()->erase();
  }

  SmallVector<LinalgOp> members;

private:
  /// Whether the iterations of the loop may run at once.
  static bool isParallel(LinalgOp op) {
    return op.getIteratorTypesArray().front() ==
               utils::IteratorType::parallel &&
           llvm::all_of(op.getDpsInitsMutable(), [&](OpOperand &output) {
             return blockedDim(op, output) >= 0;
           });
  }

  /// Whether few temporaries more are live at once with an op of these
  /// accesses, as all of a group are.
  bool sharesMemory(
      const llvm::SmallMapVector<const void *, Access, 4> &mine) const {
    constexpr int64_t kMostBuffers = 4;
    int64_t total = 0, largest = 0;
    auto count = [&](const Access &access) {
      if (!access.isWritten || !access.buffer.getDefiningOp<memref::AllocOp>())
        return;
      largest = std::max(largest, bytesOf(access.buffer));
      total += bytesOf(access.buffer);
    };
    for (auto &[memory, access] : accesses)
      count(access);
    for (auto &[memory, access] : mine)
      if (!accesses.contains(memory) ||
          !accesses.find(memory)->second.isWritten)
        count(access);
    return total <= kMostBuffers * largest;
  }

  /// Iterations of the largest member for one of the loop.
  int64_t rowIterations() const {
    int64_t most = 1;
    for (LinalgOp op : members) {
      int64_t iterations = 1;
      for (int64_t extent : ArrayRef(op.getStaticLoopRanges()).drop_front())
        iterations *= extent;
      most = std::max(most, iterations);
    }
    return most;
  }

  /// Whether blocks of threads have enough to do, there are enough of them, and
  /// an op reads what another one has written.
  bool isWorthABlockOfThreads() const {
    constexpr int64_t kFewIterations = 128, kFewBlocks = 32;
    int64_t rows = rowsPerBlock();
    bool isReused = llvm::any_of(accesses, [](auto &entry) {
      return entry.second.isWritten && entry.second.numOps > 1;
    });
    auto isFill = [](LinalgOp op) { return isa<linalg::FillOp>(op); };
    return isReused &&
           llvm::count_if(members, isFill) + 1 <
               static_cast<int64_t>(members.size()) &&
           rows * rowIterations() >= kFewIterations &&
           size / rows >= kFewBlocks;
  }

  static bool isOnlyRead(OpOperand &operand) {
    if (!isa<MemRefType>(operand.get().getType()))
      return true;
    if (auto op = dyn_cast<LinalgOp>(operand.getOwner()))
      return !op.isDpsInit(&operand);
    return cast<memref::CopyOp>(operand.getOwner()).getSource() ==
           operand.get();
  }

  /// Whether `op` cannot change places with ops that access the keys of
  /// `accesses`, and write them where it says so.
  static bool hasConflict(Operation *op,
                          const llvm::DenseMap<const void *, bool> &accesses) {
    return llvm::any_of(op->getOpOperands(), [&](OpOperand &operand) {
      auto at = accesses.find(memoryOf(operand.get()));
      return at != accesses.end() && (at->second || !isOnlyRead(operand));
    });
  }

  /// As many as fit a part of the cache; if possible, they divide the size.
  int64_t rowsPerBlock() const {
    constexpr int64_t kDeviceIterations = 1024;
    int64_t rowBytes = 0;
    for (auto &[memory, access] : accesses)
      if (access.dim >= 0)
        rowBytes += bytesOf(access.buffer) / size;
    int64_t fitting = forDevice ? kDeviceIterations / rowIterations()
                                : kBlockBytes / std::max<int64_t>(rowBytes, 1);
    int64_t rows = std::clamp<int64_t>(fitting, 1, size);
    for (int64_t divisor = rows; divisor > rows / 2; --divisor)
      if (size % divisor == 0 &&
          (forDevice || divisor < 64 || divisor % 8 == 0))
        return divisor;
    return rows < 64 || forDevice ? rows : rows - rows % 64;
  }

  /// Allocations that nothing outside of the group uses, indexed by the loop.
  /// For a device, those that there is shared memory for.
  void collectTemporaries() {
    constexpr int64_t kMostBytes = 32 * 1024;
    int64_t rows = rowsPerBlock(), bytes = 0;
    auto isFitting = [&](Value buffer) {
      int64_t more = llvm::alignTo<16>(bytesOf(buffer) / size * rows);
      if (bytes + more > kMostBytes)
        return false;
      bytes += more;
      return true;
    };
    llvm::SmallPtrSet<Operation *, 8> isMember;
    for (LinalgOp op : members)
      isMember.insert(op);
    for (auto &[memory, access] : accesses)
      if (access.dim >= 0 && access.buffer.getDefiningOp<memref::AllocOp>() &&
          llvm::all_of(
              access.buffer.getUsers(),
              [&](Operation *user) { return isMember.contains(user); }) &&
          (!forDevice || (size % rows == 0 && isFitting(access.buffer))))
        temporaries.insert(access.buffer);
  }

  /// Where temporaries are; null: in memory.
  Attribute memorySpace() {
    if (!forDevice)
      return {};
    return gpu::AddressSpaceAttr::get(
        members.front().getContext(),
        gpu::GPUDialect::getWorkgroupAddressSpace());
  }

  /// Writes all members for `rows` iterations from `begin` on.
  void writeBlock(OpBuilder &builder, OpFoldResult begin, int64_t rows) {
    llvm::DenseMap<std::pair<Value, int>, Value> blocks;
    auto blockOf = [&](Value buffer, int dim) -> Value {
      if (dim < 0)
        return buffer;
      Value &block = blocks[{buffer, dim}];
      if (block)
        return block;
      auto type = cast<MemRefType>(buffer.getType());
      SmallVector<int64_t> shape(type.getShape());
      shape[dim] = rows;
      if (temporaries.contains(buffer))
        return block = memref::AllocOp::create(
                   builder, buffer.getLoc(),
                   MemRefType::get(shape, type.getElementType(),
                                   MemRefLayoutAttrInterface(), memorySpace()),
                   buffer.getDefiningOp<memref::AllocOp>().getAlignmentAttr());
      SmallVector<OpFoldResult> offsets(shape.size(), builder.getIndexAttr(0));
      SmallVector<OpFoldResult> strides(shape.size(), builder.getIndexAttr(1));
      offsets[dim] = begin;
      return block = memref::SubViewOp::create(
                 builder, buffer.getLoc(), buffer, offsets,
                 getAsIndexOpFoldResult(builder.getContext(), shape), strides);
    };
    for (LinalgOp op : members) {
      SmallVector<Value> operands;
      for (OpOperand &operand : op->getOpOperands())
        operands.push_back(isa<MemRefType>(operand.get().getType())
                               ? blockOf(operand.get(), blockedDim(op, operand))
                               : operand.get());
      clone(builder, op, TypeRange(), operands);
    }
  }

  int64_t size;
  bool forDevice;
  llvm::MapVector<const void *, Access> accesses;
  /// Ops that will run before the group, and those that will once it has one
  /// more member.
  SmallVector<Operation *> inFront, between;
  /// Ops that will run behind the group, the first `numBehind` of them being
  /// before its last member now; and the buffers they access or write.
  SmallVector<Operation *> behind;
  size_t numBehind = 0;
  llvm::DenseMap<const void *, bool> behindWrites;
  llvm::SetVector<Value> temporaries;
};

struct GradBlockLoops : grad::impl::GradBlockLoopsBase<GradBlockLoops> {
  using GradBlockLoopsBase::GradBlockLoopsBase;

  void runOnOperation() override {
    if (getOperation().isExternal() || !getOperation().getBody().hasOneBlock())
      return;
    if (!forDevice && !exceedsCache(getOperation()))
      return;
    sizes.clear();
    tried.clear();
    for (auto op : getOperation().getBody().front().getOps<LinalgOp>())
      sizes[op] = blockableSize(op);
    Operation *op = &getOperation().getBody().front().front();
    while (op) {
      Operation *next = op->getNextNode();
      if (sizes.lookup(op) > 1 && !tried.contains(op) && isLarge(op)) {
        Group group = collectGroup(cast<LinalgOp>(op));
        if (group.isWorthwhile()) {
          next = group.members.back()->getNextNode();
          group.rewrite();
          ++numGroups;
        } else {
          tried.insert_range(group.members);
        }
      }
      op = next;
    }
  }

private:
  static bool exceedsCache(func::FuncOp func) {
    int64_t total = 0;
    for (BlockArgument argument : func.getArguments())
      if (isa<MemRefType>(argument.getType()))
        total += bytesOf(argument);
    for (auto buffer : func.getBody().getOps<memref::AllocOp>())
      total += bytesOf(buffer);
    return total > Group::kCacheBytes;
  }

  /// Whether a group may begin with `op`: there is no point in blocks of little
  /// data, and long programs have many such ops.
  static bool isLarge(Operation *op) {
    constexpr int64_t kMinBytes = 2 * 1024;
    return llvm::any_of(op->getOperands(), [](Value operand) {
      return isa<MemRefType>(operand.getType()) &&
             bytesOf(operand) >= kMinBytes;
    });
  }

  /// The longest group that begins with `first`, of those worth the search.
  Group collectGroup(LinalgOp first) {
    constexpr unsigned kMaxDistance = 100, kMaxMembers = 64;
    int64_t size = sizes.lookup(first);
    Group group(size, forDevice);
    unsigned distance = 0;
    for (Operation *op = first; op && group.members.size() < kMaxMembers;
         op = op->getNextNode()) {
      if (sizes.lookup(op) == size && group.add(cast<LinalgOp>(op)))
        distance = 0;
      else if (++distance > kMaxDistance || !group.pass(op))
        break;
    }
    return group;
  }

  /// Outermost loops, 0 where they cannot be blocked.
  llvm::DenseMap<Operation *, int64_t> sizes;
  /// Members of groups that are not worthwhile.
  llvm::DenseSet<Operation *> tried;
};

} // namespace
