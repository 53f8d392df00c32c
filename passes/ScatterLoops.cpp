//===- ScatterLoops.cpp - Loops that write to calculated places -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/ScatterLoops.h"
#include "passes/BufferPlace.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace mlir::grad;

bool mlir::grad::areDistinct(Value a, Value b) {
  if (!mayShareBytes(findPlace(a), findPlace(b)))
    return true;
  auto isAlone = [](Value buffer) {
    auto argument = dyn_cast<BlockArgument>(buffer);
    auto kernel =
        argument ? dyn_cast<gpu::GPUFuncOp>(argument.getOwner()->getParentOp())
                 : gpu::GPUFuncOp();
    return kernel && argument.getArgNumber() < kernel.getNumArguments() &&
           kernel.getArgAttr(argument.getArgNumber(),
                             LLVM::LLVMDialect::getNoAliasAttrName());
  };
  Value first = findPointer(a), second = findPointer(b);
  return first != second && isa<BlockArgument>(first) &&
         isa<BlockArgument>(second) && (isAlone(first) || isAlone(second));
}

/// Adds `loop` and those in it.
LogicalResult StoringLoops::analyze(scf::ForOp loop) {
  auto is = [](Value value, int64_t number) {
    return getConstantIntValue(value) == number;
  };
  std::optional<int64_t> lower = getConstantIntValue(loop.getLowerBound());
  std::optional<int64_t> upper = getConstantIntValue(loop.getUpperBound());
  if (!lower || !upper || !is(loop.getStep(), 1) || loop.getNumResults() != 0 ||
      loop.getUnsignedCmp())
    return failure();
  loops.push_back(loop);
  sizes.push_back(std::max<int64_t>(0, *upper - *lower));
  scf::ForOp inner;
  for (Operation &op : loop.getBody()->without_terminator()) {
    if (store || inner)
      return failure(); // The last one of the body.
    if (auto next = dyn_cast<scf::ForOp>(op))
      inner = next;
    else if (auto last = dyn_cast<memref::StoreOp>(op))
      store = last;
    else if (op.getNumRegions() != 0 ||
             (!isa<memref::LoadOp>(op) && !isMemoryEffectFree(&op)))
      return failure();
  }
  return inner ? analyze(inner) : success(store != nullptr);
}

std::optional<StoringLoops> StoringLoops::match(Operation *op) {
  auto loop = dyn_cast<scf::ForOp>(op);
  StoringLoops result;
  if (!loop || failed(result.analyze(loop)) ||
      !result.store.getMemRefType().hasStaticShape())
    return std::nullopt;
  return result;
}

std::optional<ScatterLoops> ScatterLoops::match(Operation *op) {
  auto nest = StoringLoops::match(op);
  if (!nest)
    return std::nullopt;
  ScatterLoops result;
  result.loops = nest->loops;
  result.sizes = nest->sizes;
  result.store = nest->store;
  memref::StoreOp store = nest->store;
  SmallVector<memref::LoadOp> others; // Of elements of the same buffer.
  auto visit = [&](memref::LoadOp load) {
    if (load.getMemRef() != store.getMemRef())
      return areDistinct(load.getMemRef(), store.getMemRef())
                 ? WalkResult::advance()
                 : WalkResult::interrupt();
    if (!result.old && load.getIndices() == store.getIndices() &&
        load->getBlock() == store->getBlock())
      result.old = load;
    else
      others.push_back(load);
    return WalkResult::advance();
  };
  if (op->walk(visit).wasInterrupted())
    return std::nullopt;

  result.dimOf.assign(result.loops.size(), -1);
  llvm::BitVector isCounted(store.getMemRefType().getRank());
  for (auto [dim, index] : llvm::enumerate(store.getIndices()))
    for (auto [i, nest] : llvm::enumerate(result.loops)) {
      Value counter = nest.getInductionVar();
      if (index == counter && result.dimOf[i] < 0 &&
          llvm::all_of(
              others,
              [&, dim = dim](memref::LoadOp load) {
                return load.getIndices()[dim] == counter;
              })) {
        result.dimOf[i] = static_cast<int>(dim);
        isCounted.set(dim);
      }
    }
  // To have a place costs a look at all iterations.
  constexpr int64_t kFewThreads = 4096, kMostThreads = int64_t(1) << 23;
  int64_t threads = result.getNumThreads();
  int64_t elements = store.getMemRefType().getNumElements();
  if (threads < kFewThreads && elements <= kMostThreads && others.empty())
    for (unsigned dim = 0; dim < isCounted.size(); ++dim)
      if (!isCounted.test(dim) && store.getMemRefType().getDimSize(dim) > 1)
        result.ownDims.push_back(dim);
  return result;
}

int64_t ScatterLoops::getNumIterations() const {
  int64_t count = 1;
  for (int64_t size : sizes)
    count *= size;
  return count;
}

int64_t ScatterLoops::getNumThreads() const {
  int64_t count = 1;
  for (auto [size, dim] : llvm::zip_equal(sizes, dimOf))
    if (dim >= 0)
      count *= size;
  for (unsigned dim : ownDims)
    count *= memref::StoreOp(store).getMemRefType().getDimSize(dim);
  return count;
}

/// What is done to the element, which is this thread's.
void ScatterLoops::cloneUpdate(RewriterBase &rewriter) {
  llvm::SmallPtrSet<Operation *, 8> late;
  SmallVector<Operation *> update;
  for (Operation &op : store->getBlock()->without_terminator()) {
    bool isLate = &op == store || (old && &op == old) ||
                  llvm::any_of(op.getOperands(), [&](Value operand) {
                    return late.contains(operand.getDefiningOp());
                  });
    if (!isLate) {
      rewriter.clone(op, map);
      continue;
    }
    late.insert(&op);
    update.push_back(&op);
  }
  OpBuilder::InsertionGuard guard(rewriter);
  if (isOwned()) {
    Location loc = store.getLoc();
    Value isMine;
    for (auto [dim, place] : llvm::zip_equal(ownDims, ownPlaces)) {
      Value isEqual = arith::CmpIOp::create(
          rewriter, loc, arith::CmpIPredicate::eq,
          map.lookupOrDefault(store.getIndices()[dim]), place);
      isMine = isMine ? arith::AndIOp::create(rewriter, loc, isMine, isEqual)
                            .getResult()
                      : isEqual;
    }
    auto mine = scf::IfOp::create(rewriter, loc, isMine);
    rewriter.setInsertionPointToStart(mine.thenBlock());
  }
  for (Operation *op : update)
    rewriter.clone(*op, map);
}

void ScatterLoops::clone(RewriterBase &rewriter, unsigned depth) {
  scf::ForOp loop = loops[depth];
  OpBuilder::InsertionGuard guard(rewriter);
  if (dimOf[depth] >= 0) {
    map.map(loop.getInductionVar(), counters[depth]);
  } else {
    auto copy =
        scf::ForOp::create(rewriter, loop.getLoc(), loop.getLowerBound(),
                           loop.getUpperBound(), loop.getStep());
    map.map(loop.getInductionVar(), copy.getInductionVar());
    rewriter.setInsertionPointToStart(copy.getBody());
  }
  if (depth + 1 == loops.size())
    return cloneUpdate(rewriter);
  for (Operation &op : loop.getBody()->without_terminator())
    if (&op != loops[depth + 1])
      rewriter.clone(op, map);
  clone(rewriter, depth + 1);
}

void ScatterLoops::write(RewriterBase &rewriter, const ThreadTeam &team) {
  scf::ForOp loop = loops.front();
  Location loc = loop.getLoc();
  auto index = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(rewriter, loc, value);
  };
  Value first =
      arith::MulIOp::create(rewriter, loc, team.block, index(team.numThreads));
  Value rest = arith::AddIOp::create(rewriter, loc, first, team.thread);
  Value isInside = arith::CmpIOp::create(
      rewriter, loc, arith::CmpIPredicate::ult, rest, index(getNumThreads()));
  auto inside = scf::IfOp::create(rewriter, loc, isInside);
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPointToStart(inside.thenBlock());
  auto take = [&](int64_t size) -> Value {
    Value part = arith::RemUIOp::create(rewriter, loc, rest, index(size));
    rest = arith::DivUIOp::create(rewriter, loc, rest, index(size));
    return part;
  };
  // Neighbours have neighbouring elements: inner loops count fastest.
  counters.assign(loops.size(), Value());
  for (size_t i = loops.size(); i-- > 0;)
    if (dimOf[i] >= 0)
      counters[i] = arith::AddIOp::create(
          rewriter, loc, loops[i].getLowerBound(), take(sizes[i]));
  ownPlaces.assign(ownDims.size(), Value());
  for (size_t i = ownDims.size(); i-- > 0;)
    ownPlaces[i] = take(store.getMemRefType().getDimSize(ownDims[i]));
  clone(rewriter, 0);
}
