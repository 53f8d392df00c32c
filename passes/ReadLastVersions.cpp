//===- ReadLastVersions.cpp - Arrays are read where they were updated -----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-read-last-versions`. A loop that updates an array does so in place
/// unless what the array was before is read behind the loop. Where such a read
/// takes elements that no iteration writes to, it reads what the loop makes of
/// the array. Which positions differ is decided as for derivatives of loops
/// (dialect/Positions.h).
///
//===----------------------------------------------------------------------===//

#include "dialect/Positions.h"
#include "dialect/Updates.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Dominance.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADREADLASTVERSIONS
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

// Of long programs no more is looked at, so that it stays quick.
static constexpr unsigned kMostLoops = 8, kMostUses = 64;

/// What loops make of the array that is read, one after the other, as long as
/// the read, which is behind them, would find the same there.
static Value findLast(Part read, Operation *reader, DominanceInfo &dominance) {
  for (unsigned i = 0; i < kMostLoops; ++i) {
    if (read.array.hasNUsesOrMore(kMostUses))
      break;
    Value later;
    for (OpOperand &use : read.array.getUses()) {
      auto loop = dyn_cast<scf::ForOp>(use.getOwner());
      OpResult made = loop ? loop.getTiedLoopResult(&use) : OpResult();
      if (!made || !dominance.properlyDominates(Value(made), reader))
        continue;
      BlockArgument before = loop.getTiedLoopRegionIterArg(&use);
      Value after = loop.getYieldedValues()[made.getResultNumber()];
      if (!findVersions(before, after).empty() &&
          forEachUpdate(made, [&](Operation *update) {
            std::optional<Part> written = getPartWritten(update);
            return written && areApart(read, *written);
          }))
        later = made;
    }
    if (!later)
      break;
    read.array = later;
  }
  return read.array;
}

/// Whether the use makes another version of the array.
static bool isUpdated(OpOperand &use) {
  return isa<scf::ForOp>(use.getOwner()) ||
         (isUpdate(use.getOwner()) && use.getOperandNumber() == 0);
}

/// Lets all who read the array behind the loop read what it and later loops
/// make of it; returns how many. If some cannot, both are in memory anyway.
static unsigned moveReads(OpOperand &init, DominanceInfo &dominance) {
  auto loop = cast<scf::ForOp>(init.getOwner());
  Value array = init.get(), made = loop.getTiedLoopResult(&init);
  SmallVector<std::pair<Operation *, Value>> moved;
  if (array.hasNUsesOrMore(kMostUses))
    return 0;
  for (OpOperand &use : array.getUses()) {
    Operation *reader = use.getOwner();
    if (loop->isProperAncestor(reader))
      return 0;
    if (!dominance.properlyDominates(made, reader))
      continue;
    std::optional<Part> read = getPartRead(reader);
    if (!read || read->array != array)
      return 0;
    Value last = findLast(*read, reader, dominance);
    // What is updated later on is not to be kept for the read.
    if (last == array || llvm::any_of(last.getUses(), isUpdated))
      return 0;
    moved.push_back({reader, last});
  }
  for (auto [reader, last] : moved)
    reader->replaceUsesOfWith(array, last);
  return moved.size();
}

namespace {

struct GradReadLastVersions
    : grad::impl::GradReadLastVersionsBase<GradReadLastVersions> {
  using GradReadLastVersionsBase::GradReadLastVersionsBase;

  void runOnOperation() override {
    DominanceInfo &dominance = getAnalysis<DominanceInfo>();
    getOperation().walk([&](scf::ForOp loop) {
      for (OpOperand &init : loop.getInitArgsMutable())
        // What the caller has is never updated in place.
        if (isa<RankedTensorType>(init.get().getType()) &&
            (init.get().getDefiningOp() ||
             init.get().getParentRegion() != &getOperation().getBody()))
          numMoved += moveReads(init, dominance);
    });
  }
};

} // namespace
