//===- SwapBuffers.cpp - Loops that swap buffers instead of copying -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-swap-buffers`, on loops on buffers, before memory is planned. A loop
/// that cannot compute its next value in place computes it in a temporary and
/// copies it at the end of the iteration. If the copy is all that writes the
/// buffer in the loop, the loop carries both buffers and swaps them:
///
///  * The temporary is as large as the buffer. Where only a part is copied, it
///    begins as a copy of the buffer: the rest never changes.
///  * Behind the loop, what is in the one or in the other is copied back, so
///    that nobody else needs to know. After an even number of iterations that
///    is a copy of a buffer to itself.
///
/// Small buffers are copied: LLVM knows more about those that stay in place.
///
//===----------------------------------------------------------------------===//

#include "passes/BufferSize.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADSWAPBUFFERS
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

namespace {

/// A copy at the end of an iteration.
struct Swap {
  memref::CopyOp copy;
  memref::AllocOp temporary; ///< What is copied.
  memref::SubViewOp part;    ///< Where it is copied to; null for all of it.
  Value buffer;
};

} // namespace

/// Whether `use` accesses a buffer, of any layout, and passes it on to nobody.
static bool isAccess(OpOperand &use) {
  return isa<linalg::LinalgOp, memref::LoadOp, memref::StoreOp, memref::CopyOp>(
      use.getOwner());
}

/// Whether `use`, an access, writes.
static bool isWrite(OpOperand &use) {
  Operation *op = use.getOwner();
  if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op))
    return linalgOp.isDpsInit(&use);
  if (auto copy = dyn_cast<memref::CopyOp>(op))
    return use.get() == copy.getTarget();
  return isa<memref::StoreOp>(op);
}

/// Whether `op` is done when the copy begins, or is not in its block.
static bool isBefore(Operation *op, memref::CopyOp copy) {
  Operation *at = copy->getBlock()->findAncestorOpInBlock(*op);
  return !at || at->isBeforeInBlock(copy);
}

/// Whether all that `loop` does to `buffer`, or a view of it, is to read it
/// before `swap.copy` writes it, and nobody else has a view of it.
static bool isOnlyRead(Value buffer, const Swap &swap, Operation *loop) {
  return llvm::all_of(buffer.getUses(), [&](OpOperand &use) {
    Operation *user = use.getOwner();
    bool isInside = loop->isProperAncestor(user);
    if (auto view = dyn_cast<ViewLikeOpInterface>(user))
      return isInside && user->getNumResults() == 1 &&
             isOnlyRead(view.getViewDest(), swap, loop);
    if (!isInside || user == swap.copy)
      return isAccess(use) || isa<memref::DeallocOp>(user);
    return isAccess(use) && !isWrite(use) && isBefore(user, swap.copy);
  });
}

/// Describes `copy`, at the end of an iteration of `loop`, as a swap.
static std::optional<Swap> matchSwap(memref::CopyOp copy, Operation *loop) {
  constexpr int64_t kMinBytes = 16 * 1024;
  Swap swap;
  swap.copy = copy;
  swap.temporary = copy.getSource().getDefiningOp<memref::AllocOp>();
  swap.part = copy.getTarget().getDefiningOp<memref::SubViewOp>();
  swap.buffer = swap.part ? swap.part.getSource() : copy.getTarget();
  auto type = dyn_cast<MemRefType>(swap.buffer.getType());
  if (!swap.temporary || swap.temporary->getBlock() != copy->getBlock() ||
      !type || !type.getLayout().isIdentity() ||
      getByteSize(type).value_or(0) < kMinBytes)
    return std::nullopt;
  if (swap.part &&
      (llvm::any_of(swap.part.getStaticOffsets(), ShapedType::isDynamic) ||
       llvm::any_of(swap.part.getStaticSizes(), ShapedType::isDynamic) ||
       llvm::any_of(swap.part.getStaticStrides(), ShapedType::isDynamic)))
    return std::nullopt;
  auto argument = dyn_cast<BlockArgument>(swap.buffer);
  Operation *owner = argument ? argument.getOwner()->getParentOp()
                              : swap.buffer.getDefiningOp();
  if (!isa<memref::AllocOp, func::FuncOp>(owner) ||
      loop->isProperAncestor(owner) || !isOnlyRead(swap.buffer, swap, loop))
    return std::nullopt;
  bool isPrivate = llvm::all_of(swap.temporary->getUses(), [&](OpOperand &use) {
    return isAccess(use) &&
           (use.getOwner() == copy || isBefore(use.getOwner(), copy));
  });
  return isPrivate ? std::optional(swap) : std::nullopt;
}

/// Lets `loop` carry `buffers` as well. Returns the new loop, and what stands
/// for them in the condition of a while loop, if it is one, in the body and
/// behind it.
static scf::ForOp carry(scf::ForOp loop, ValueRange buffers) {
  OpBuilder builder(loop);
  SmallVector<Value> inits(loop.getInitArgs());
  llvm::append_range(inits, buffers);
  auto created =
      scf::ForOp::create(builder, loop.getLoc(), loop.getLowerBound(),
                         loop.getUpperBound(), loop.getStep(), inits,
                         /*bodyBuilder=*/nullptr, loop.getUnsignedCmp());
  created->setDiscardableAttrs(loop->getDiscardableAttrDictionary());
  Block *from = loop.getBody(), *to = created.getBody();
  to->clear();
  to->getOperations().splice(to->end(), from->getOperations());
  for (auto [old, replacement] :
       llvm::zip(from->getArguments(), to->getArguments()))
    old.replaceAllUsesWith(replacement);
  loop->replaceAllUsesWith(created.getResults().take_front(
      static_cast<size_t>(loop->getNumResults())));
  loop.erase();
  return created;
}

static scf::WhileOp carry(scf::WhileOp loop, ValueRange buffers) {
  OpBuilder builder(loop);
  Location loc = loop.getLoc();
  SmallVector<Value> inits(loop.getInits());
  llvm::append_range(inits, buffers);
  SmallVector<Type> types(loop.getResultTypes());
  llvm::append_range(types, buffers.getTypes());
  auto created = scf::WhileOp::create(builder, loc, types, inits);
  created->setDiscardableAttrs(loop->getDiscardableAttrDictionary());
  auto move = [&](Block *from, Region &region, TypeRange blockTypes) {
    Block *to = builder.createBlock(
        &region, {}, blockTypes, SmallVector<Location>(blockTypes.size(), loc));
    to->getOperations().splice(to->end(), from->getOperations());
    for (auto [old, replacement] :
         llvm::zip(from->getArguments(), to->getArguments()))
      old.replaceAllUsesWith(replacement);
  };
  move(loop.getBeforeBody(), created.getBefore(), ValueRange(inits).getTypes());
  move(loop.getAfterBody(), created.getAfter(), types);
  created.getConditionOp().getArgsMutable().append(
      created.getBeforeArguments().take_back(buffers.size()));
  loop->replaceAllUsesWith(created.getResults().take_front(
      static_cast<size_t>(loop->getNumResults())));
  loop.erase();
  return created;
}

/// Replaces uses of `buffer` in `block` by `current`.
static void replaceIn(Value buffer, Block *block, Value current) {
  buffer.replaceUsesWithIf(current, [&](OpOperand &use) {
    return block->findAncestorOpInBlock(*use.getOwner()) != nullptr;
  });
}

/// Rewrites `loop` with `swap`. Returns the new loop.
static Operation *rewrite(Operation *loop, Swap swap) {
  Location loc = swap.copy.getLoc();
  OpBuilder builder(loop);
  auto type = cast<MemRefType>(swap.buffer.getType());
  Value other = memref::AllocOp::create(builder, loc, type,
                                        swap.temporary.getAlignmentAttr());
  if (swap.part)
    memref::CopyOp::create(builder, loc, swap.buffer, other);
  Value buffers[] = {swap.buffer, other};

  Operation *yield, *created;
  Block *body;
  if (auto forLoop = dyn_cast<scf::ForOp>(loop)) {
    scf::ForOp carried = carry(forLoop, buffers);
    created = carried;
    body = carried.getBody();
  } else {
    scf::WhileOp carried = carry(cast<scf::WhileOp>(loop), buffers);
    created = carried;
    body = carried.getAfterBody();
    replaceIn(swap.buffer, carried.getBeforeBody(),
              carried.getBeforeArguments().end()[-2]);
  }
  yield = body->getTerminator();
  Value current = body->getArguments().end()[-2];
  Value next = body->getArguments().end()[-1];

  // The temporary is a part of the other buffer.
  Value written = next;
  if (swap.part) {
    builder.setInsertionPointToStart(body);
    written = memref::SubViewOp::create(
        builder, loc, swap.part.getType(), next, swap.part.getMixedOffsets(),
        swap.part.getMixedSizes(), swap.part.getMixedStrides());
  }
  memref::SubViewOp part = swap.part;
  swap.copy->erase();
  if (part && part->use_empty())
    part->erase();
  memref::AllocOp temporary = swap.temporary;
  temporary.replaceAllUsesWith(written);
  temporary->erase();
  replaceIn(swap.buffer, body, current);
  yield->insertOperands(yield->getNumOperands(), {next, current});

  builder.setInsertionPointAfter(created);
  memref::CopyOp::create(builder, loc, created->getResults().end()[-2],
                         swap.buffer);
  return created;
}

namespace {

struct GradSwapBuffers : grad::impl::GradSwapBuffersBase<GradSwapBuffers> {
  void runOnOperation() override {
    SmallVector<Operation *> loops;
    getOperation().walk([&](Operation *op) {
      if (isa<scf::ForOp, scf::WhileOp>(op))
        loops.push_back(op);
    });
    for (Operation *loop : loops)
      while (std::optional<Swap> swap = findSwap(loop)) {
        loop = rewrite(loop, *swap);
        ++numSwaps;
      }
  }

private:
  static std::optional<Swap> findSwap(Operation *loop) {
    Block *body = isa<scf::ForOp>(loop)
                      ? cast<scf::ForOp>(loop).getBody()
                      : cast<scf::WhileOp>(loop).getAfterBody();
    for (auto copy : body->getOps<memref::CopyOp>())
      if (std::optional<Swap> swap = matchSwap(copy, loop))
        return swap;
    return std::nullopt;
  }
};

} // namespace
