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
/// blocks could use the same one. There, the loop may stand for several of the
/// outermost loops, so that the rows of a batch are as good as those of a
/// matrix: it goes through their iterations in order, and a block has rows of
/// the last of them.
///
//===----------------------------------------------------------------------===//

#include "passes/BufferPlace.h"
#include "passes/BufferSize.h"
#include "passes/Kernels.h"
#include "passes/Passes.h"
#include "passes/RowLoops.h"
#include "passes/TensorProduct.h"
#include "runtime/OpenSizes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
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

/// The dimension of `operand` that `loop` indexes.
static int blockedDim(LinalgOp op, OpOperand &operand, unsigned loop) {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  int found = -1;
  for (auto [dim, expr] : llvm::enumerate(map.getResults())) {
    if (!expr.isFunctionOfDim(loop))
      continue;
    if (found != -1 || !isa<AffineDimExpr>(expr))
      return kOther;
    found = static_cast<int>(dim);
  }
  return found;
}

/// Dimensions of a buffer, one for each of the loops that are blocked.
using Dims = SmallVector<int, 3>;

static Dims blockedDims(LinalgOp op, OpOperand &operand, unsigned depth) {
  Dims dims;
  for (unsigned loop = 0; loop < depth; ++loop)
    dims.push_back(blockedDim(op, operand, loop));
  return dims;
}

static bool hasAll(const Dims &dims) {
  return llvm::all_of(dims, [](int dim) { return dim >= 0; });
}

static bool hasSome(const Dims &dims) {
  return llvm::any_of(dims, [](int dim) { return dim >= 0; });
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

/// How many of the outermost loops of `op` can be blocked, at most `most`.
static unsigned blockableDepth(LinalgOp op, unsigned most) {
  if (!op.hasPureBufferSemantics() || op.hasDynamicShape() ||
      isMatrixProduct(op) || hasHiddenAccesses(op) || !accessesKnownMemory(op))
    return 0;
  unsigned depth = std::min(most, op.getNumLoops());
  op.getBlock()->walk([&](linalg::IndexOp index) {
    depth = std::min<unsigned>(depth, index.getDim());
  });
  for (OpOperand &operand : op->getOpOperands()) {
    auto type = dyn_cast<MemRefType>(operand.get().getType());
    if (!type)
      continue;
    if (!getByteSize(type))
      return 0;
    bool isView = operand.get().getDefiningOp<ViewLikeOpInterface>();
    for (unsigned loop = 0; loop < depth; ++loop)
      if (int dim = blockedDim(op, operand, loop);
          dim == kOther || (dim >= 0 && isView))
        depth = loop;
  }
  // How many blocks of these there are is known in the call only.
  if (op->getParentOfType<func::FuncOp>()->hasAttr(gradopt::kOpenSizesAttr))
    for (auto [loop, size] : llvm::enumerate(op.getStaticLoopRanges()))
      if (gradopt::isOpen(size))
        depth = std::min<unsigned>(depth, loop);
  return depth;
}

//===----------------------------------------------------------------------===//
// Groups
//===----------------------------------------------------------------------===//

namespace {

/// How a group accesses one buffer.
struct Access {
  Value buffer; ///< One of the values that stand for it.
  bool isWritten = false;
  Dims dims = {}; ///< The blocked ones; kOther where accesses differ.
  unsigned numOps = 0;

  void merge(const Dims &others) {
    for (auto [dim, other] : llvm::zip_equal(dims, others))
      if (dim != other)
        dim = kOther;
  }
};

class Group {
public:
  static constexpr int64_t kCacheBytes = 256 * 1024;
  static constexpr int64_t kBlockBytes = 128 * 1024;
  /// What is worth a block of threads.
  static constexpr int64_t kFewIterations = 128;

  /// `sizes` of the loops that are blocked.
  Group(ArrayRef<int64_t> sizes, bool forDevice, bool hasEqualRows)
      : sizes(sizes), size(computeProduct(sizes)), forDevice(forDevice),
        hasEqualRows(hasEqualRows) {}

  /// Adds `op` if it may run in blocks behind the members so far.
  bool add(LinalgOp op) {
    if (hasConflict(op, behindWrites) || (forDevice && !isParallel(op)) ||
        (hasEqualRows && !hasColumns(op)))
      return false;
    llvm::SmallMapVector<const void *, Access, 4> mine;
    for (OpOperand &operand : op->getOpOperands()) {
      if (!isa<MemRefType>(operand.get().getType()))
        continue;
      Dims dims = blockedDims(op, operand, depth());
      auto [at, isNew] =
          mine.insert({memoryOf(operand.get()),
                       Access{.buffer = operand.get(), .dims = dims}});
      if (!isNew)
        at->second.merge(dims);
      at->second.isWritten |= op.isDpsInit(&operand);
    }
    for (auto &[memory, access] : mine) {
      auto at = accesses.find(memory);
      if (at == accesses.end())
        continue;
      bool isShared = at->second.isWritten || access.isWritten;
      if (isShared && (!hasAll(access.dims) || access.dims != at->second.dims))
        return false;
    }
    if (forDevice && !(isRelated(op, mine) && sharesMemory(mine)))
      return false;
    for (auto &[memory, access] : mine) {
      auto [at, isNew] = accesses.insert({memory, access});
      if (!isNew)
        at->second.merge(access.dims);
      at->second.isWritten |= access.isWritten;
      if (!forDevice || !isa<linalg::FillOp>(op))
        ++at->second.numOps;
    }
    members.push_back(op);
    if (columns.empty())
      columns = columnsOf(op);
    inFront.append(between);
    between.clear();
    numBehind = behind.size();
    return true;
  }

  /// Takes note of ops that are no members: they will run before the group, or
  /// behind it. Fails if they can do neither.
  bool pass(ArrayRef<Operation *> ops) {
    auto isAnywhere = [](Operation *op) {
      return isMemoryEffectFree(op) || isa<memref::AllocOp>(op);
    };
    for (Operation *op : ops)
      if (auto linalgOp = dyn_cast<LinalgOp>(op);
          !isAnywhere(op) && ((linalgOp ? hasHiddenAccesses(linalgOp)
                                        : !isa<memref::CopyOp>(op)) ||
                              !accessesKnownMemory(op)))
        return false;
    bool conflicts = llvm::any_of(ops, [&](Operation *op) {
      return !isAnywhere(op) &&
             (hasConflict(op, behindWrites) ||
              llvm::any_of(op->getOpOperands(), [&](OpOperand &operand) {
                auto at = accesses.find(memoryOf(operand.get()));
                return at != accesses.end() &&
                       (at->second.isWritten || !isOnlyRead(operand));
              }));
    });
    if (!conflicts) {
      between.append(ops.begin(), ops.end());
      return true;
    }
    behind.append(ops.begin(), ops.end());
    for (Operation *op : ops)
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
      if (!hasAll(access.dims))
        continue;
      total += bytesOf(access.buffer);
      if (access.numOps > 1)
        reused += bytesOf(access.buffer);
    }
    return members.size() > 1 && total > kCacheBytes &&
           reused > kCacheBytes / 2 && rowsPerBlock() < size;
  }

  /// Writes the loop, and returns it.
  Operation *rewrite() {
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
    int64_t whole = size - sizes.back() % rows;
    collectTemporaries();

    auto index = [&](int64_t value) -> Value {
      return arith::ConstantIndexOp::create(builder, loc, value);
    };
    auto loop =
        scf::ForOp::create(builder, loc, index(0), index(whole), index(rows));
    if (forDevice) {
      loop->setAttr(kParallelAttr, builder.getUnitAttr());
      loop->setAttr(kRowLoopsAttr, builder.getI64IntegerAttr(depth()));
    }
    OpBuilder inside(loop.getBody()->getTerminator());
    writeBlock(inside, delinearize(inside, loop.getInductionVar()), rows);
    if (whole != size)
      writeBlock(builder, {builder.getIndexAttr(whole)}, size - whole);
    for (LinalgOp op : llvm::reverse(members))
      op.erase();
    for (Value temporary : temporaries)
      temporary.getDefiningOp()->erase();
    return loop;
  }

  /// Iterations of the largest member for one of the loop.
  int64_t rowIterations() const {
    int64_t most = 1;
    for (LinalgOp op : members)
      most = std::max(
          most, computeProduct(
                    ArrayRef(op.getStaticLoopRanges()).drop_front(depth())));
    return most;
  }

  SmallVector<LinalgOp> members;

private:
  unsigned depth() const { return sizes.size(); }

  /// The sizes of the loops of `op` that are not blocked.
  SmallVector<int64_t> columnsOf(LinalgOp op) const {
    return llvm::to_vector(
        ArrayRef(op.getStaticLoopRanges()).drop_front(depth()));
  }

  /// Whether `op` has the columns that members have, or none.
  bool hasColumns(LinalgOp op) const {
    SmallVector<int64_t> mine = columnsOf(op);
    return mine.empty() || columns.empty() || mine == columns;
  }

  /// Whether the iterations of the loops may run at once.
  bool isParallel(LinalgOp op) const {
    return llvm::all_of(
               ArrayRef(op.getIteratorTypesArray()).take_front(depth()),
               [](utils::IteratorType kind) {
                 return kind == utils::IteratorType::parallel;
               }) &&
           llvm::all_of(op.getDpsInitsMutable(), [&](OpOperand &output) {
             return hasAll(blockedDims(op, output, depth()));
           });
  }

  /// The counters of the loops in iteration `linear` of all of them.
  SmallVector<OpFoldResult> delinearize(OpBuilder &builder,
                                        Value linear) const {
    SmallVector<OpFoldResult> counters(depth());
    Location loc = linear.getLoc();
    for (unsigned loop = depth(); loop-- > 1;) {
      Value extent = arith::ConstantIndexOp::create(builder, loc, sizes[loop]);
      counters[loop] =
          arith::RemUIOp::create(builder, loc, linear, extent).getResult();
      linear = arith::DivUIOp::create(builder, loc, linear, extent);
    }
    counters.front() = linear;
    return counters;
  }

  /// Whether members access what `op` does.
  bool
  isRelated(LinalgOp op,
            const llvm::SmallMapVector<const void *, Access, 4> &mine) const {
    auto isFill = [](LinalgOp other) { return isa<linalg::FillOp>(other); };
    return isFill(op) || llvm::all_of(members, isFill) ||
           llvm::any_of(mine, [&](auto &entry) {
             auto at = accesses.find(entry.first);
             return at != accesses.end() && at->second.numOps > 0;
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

  /// Whether blocks of threads have enough to do, there are enough of them, and
  /// an op reads what another one has written.
  bool isWorthABlockOfThreads() const {
    constexpr int64_t kFewBlocks = 32;
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
    if (forDevice)
      return rowsPerBlockOfThreads();
    int64_t rowBytes = 0;
    for (auto &[memory, access] : accesses)
      if (hasAll(access.dims))
        rowBytes += bytesOf(access.buffer) / size;
    int64_t rows = std::clamp<int64_t>(
        kBlockBytes / std::max<int64_t>(rowBytes, 1), 1, size);
    for (int64_t divisor = rows; divisor > rows / 2; --divisor)
      if (size % divisor == 0 && (divisor < 64 || divisor % 8 == 0))
        return divisor;
    return rows < 64 ? rows : rows - rows % 64;
  }

  /// Of several loops, each block has the same number of rows.
  int64_t rowsPerBlockOfThreads() const {
    constexpr int64_t kManyBytes = 16 * 1024, kManyBlocks = 264;
    int64_t elementBytes = 1;
    for (auto &[memory, access] : accesses)
      elementBytes = std::max(
          elementBytes,
          getElementBytes(getElementTypeOrSelf(access.buffer)).value_or(1));
    int64_t iterations = rowIterations(), last = sizes.back();
    int64_t fitting = std::max<int64_t>(
        llvm::divideCeil(kFewIterations, iterations),
        std::min(kManyBytes / (iterations * elementBytes), size / kManyBlocks));
    int64_t rows = std::min(fitting, last);
    for (int64_t divisor = rows; divisor > (depth() > 1 ? 0 : rows / 2);
         --divisor)
      if (last % divisor == 0)
        return divisor;
    return rows;
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
      if (hasAll(access.dims) &&
          access.buffer.getDefiningOp<memref::AllocOp>() &&
          llvm::all_of(
              access.buffer.getUsers(),
              [&](Operation *user) { return isMember.contains(user); }) &&
          (!forDevice ||
           (sizes.back() % rows == 0 && isFitting(access.buffer))))
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

  /// Writes all members for `rows` iterations of the last loop from `begin` on,
  /// and one of each other one.
  void writeBlock(OpBuilder &builder, ArrayRef<OpFoldResult> begin,
                  int64_t rows) {
    llvm::DenseMap<Value, SmallVector<std::pair<Dims, Value>, 1>> blocks;
    auto blockOf = [&](Value buffer, const Dims &dims) -> Value {
      if (!hasSome(dims))
        return buffer;
      auto &known = blocks[buffer];
      for (auto &[knownDims, block] : known)
        if (knownDims == dims)
          return block;
      Value &block = known.emplace_back(dims, Value()).second;
      auto type = cast<MemRefType>(buffer.getType());
      SmallVector<int64_t> shape(type.getShape());
      SmallVector<OpFoldResult> offsets(shape.size(), builder.getIndexAttr(0));
      for (auto [loop, dim] : llvm::enumerate(dims))
        if (dim >= 0) {
          shape[dim] = loop + 1 == dims.size() ? rows : 1;
          offsets[dim] = begin[loop];
        }
      if (temporaries.contains(buffer))
        return block = memref::AllocOp::create(
                   builder, buffer.getLoc(),
                   MemRefType::get(shape, type.getElementType(),
                                   MemRefLayoutAttrInterface(), memorySpace()),
                   buffer.getDefiningOp<memref::AllocOp>().getAlignmentAttr());
      SmallVector<OpFoldResult> strides(shape.size(), builder.getIndexAttr(1));
      return block = memref::SubViewOp::create(
                 builder, buffer.getLoc(), buffer, offsets,
                 getAsIndexOpFoldResult(builder.getContext(), shape), strides);
    };
    for (LinalgOp op : members) {
      SmallVector<Value> operands;
      for (OpOperand &operand : op->getOpOperands())
        operands.push_back(
            isa<MemRefType>(operand.get().getType())
                ? blockOf(operand.get(), blockedDims(op, operand, depth()))
                : operand.get());
      clone(builder, op, TypeRange(), operands);
    }
  }

  SmallVector<int64_t, 3> sizes;
  int64_t size; ///< Iterations of all blocked loops.
  bool forDevice;
  bool hasEqualRows;
  SmallVector<int64_t> columns; ///< Sizes of the other loops of a member.
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
    if (forDevice) {
      markRowLoops(getOperation());
      sinkFills(getOperation().getBody().front());
    }
    for (auto op : getOperation().getBody().front().getOps<LinalgOp>()) {
      auto ranges = op.getStaticLoopRanges();
      ranges.resize(blockableDepth(op, forDevice ? kMostLoops : 1));
      sizes[op] = ranges;
    }
    Operation *op = &getOperation().getBody().front().front();
    while (op) {
      Operation *next = op->getNextNode();
      if (computeProduct(sizes.lookup(op)) > 1 && !tried.contains(op) &&
          isLarge(op) && (!forDevice || !isForOther(op))) {
        if (std::optional<Group> group = chooseGroup(cast<LinalgOp>(op))) {
          next = group->rewrite()->getNextNode();
          ++numGroups;
        }
      }
      op = next;
    }
  }

private:
  static constexpr unsigned kMostLoops = 3;

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
    if (auto fill = dyn_cast<linalg::FillOp>(op))
      if (Operation *next = findNextUser(fill))
        op = next;
    return llvm::any_of(op->getOperands(), [](Value operand) {
      return isa<MemRefType>(operand.getType()) &&
             bytesOf(operand) >= kMinBytes;
    });
  }

  /// The next op that may access what `fill` writes; null if there is none.
  static Operation *findNextUser(linalg::FillOp fill) {
    Operation *next = nullptr;
    SmallVector<Value> buffers = {fill.output()};
    while (!buffers.empty())
      for (Operation *user : buffers.pop_back_val().getUsers()) {
        if (isa<ViewLikeOpInterface>(user)) {
          llvm::append_range(buffers, user->getResults());
          continue;
        }
        Operation *op = fill->getBlock()->findAncestorOpInBlock(*user);
        if (op && fill->isBeforeInBlock(op) &&
            (!next || op->isBeforeInBlock(next)))
          next = op;
      }
    return next;
  }

  /// Moves fills to the ops that they are for, so that a group has no others.
  static void sinkFills(Block &block) {
    for (auto fill : llvm::to_vector(block.getOps<linalg::FillOp>()))
      if (fill.output().getDefiningOp<memref::AllocOp>())
        if (Operation *next = findNextUser(fill))
          fill->moveBefore(next);
  }

  /// Whether `op` is a fill for an op that no group can have, as a product is.
  bool isForOther(Operation *op) const {
    auto fill = dyn_cast<linalg::FillOp>(op);
    if (!fill)
      return false;
    Operation *next = findNextUser(fill);
    return !next || sizes.lookup(next).empty();
  }

  /// The group that begins with `first`, if one is worth it. For a device, the
  /// one with most members whose rows are equal; of several, the one with the
  /// smallest rows that are worth a warp.
  std::optional<Group> chooseGroup(LinalgOp first) {
    std::optional<Group> best;
    for (unsigned depth = sizes.lookup(first).size(); forDevice && depth > 0;
         --depth) {
      Group group = collectGroup(first, depth, /*hasEqualRows=*/true);
      if (group.isWorthwhile() &&
          (!best || group.members.size() > best->members.size() ||
           (group.members.size() == best->members.size() &&
            best->rowIterations() < Group::kFewIterations)))
        best = std::move(group);
    }
    if (best)
      return best;
    Group group = collectGroup(first, 1, /*hasEqualRows=*/false);
    if (group.isWorthwhile())
      return group;
    if (!forDevice)
      tried.insert_range(group.members);
    return std::nullopt;
  }

  /// The longest group of `depth` loops that begins with `first`, of those
  /// worth the search.
  Group collectGroup(LinalgOp first, unsigned depth, bool hasEqualRows) {
    constexpr unsigned kMaxDistance = 100, kMaxMembers = 64;
    auto sizesOf = [&](Operation *op) {
      auto at = sizes.find(op);
      return at == sizes.end() ? ArrayRef<int64_t>()
                               : ArrayRef(at->second).take_front(depth);
    };
    ArrayRef<int64_t> size = sizesOf(first);
    Group group(size, forDevice, hasEqualRows);
    auto isMember = [&](Operation *op) {
      return sizesOf(op) == size && (!forDevice || !isForOther(op));
    };
    unsigned distance = 0;
    Operation *op = first;
    while (op && group.members.size() < kMaxMembers) {
      // Fills come with the op that they are for, or not at all.
      SmallVector<Operation *, 2> unit = {op};
      while (forDevice && isa<linalg::FillOp>(op) && op->getNextNode())
        unit.push_back(op = op->getNextNode());
      op = op->getNextNode();
      if (llvm::all_of(unit, isMember)) {
        std::optional<Group> before;
        if (unit.size() > 1)
          before = group;
        if (llvm::all_of(unit, [&](Operation *next) {
              return group.add(cast<LinalgOp>(next));
            })) {
          distance = 0;
          continue;
        }
        if (before)
          group = std::move(*before);
      }
      distance += unit.size();
      if (distance > kMaxDistance || !group.pass(unit))
        break;
    }
    return group;
  }

  /// Of the outermost loops that can be blocked.
  llvm::DenseMap<Operation *, SmallVector<int64_t>> sizes;
  /// Members of groups that are not worthwhile.
  llvm::DenseSet<Operation *> tried;
};

} // namespace
