//===- Cse.cpp - Compute equal values once --------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-cse`. An op without effects whose equal was computed before, in its
/// block or one around it, is replaced by that. Ops are found by a hash.
///
/// Upstream's pass of this name hashes operands and attributes. Gathers and
/// loops differ in what their bodies read from outside of them, often in
/// nothing else: n of them would all have one hash, and each would be compared
/// with all before it. Here bodies are hashed, too.
///
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"

#include "mlir/IR/OperationSupport.h"
#include "mlir/IR/RegionKindInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/ScopedHashTable.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADCSE
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;

using Equivalence = OperationEquivalence;

/// The hash of `op` with its bodies. What they define themselves counts as one.
static llvm::hash_code hashWithBodies(Operation *op) {
  llvm::hash_code hash = Equivalence::computeHash(
      op, Equivalence::directHashValue, Equivalence::ignoreHashValue,
      Equivalence::IgnoreLocations);
  if (op->getNumRegions() == 0)
    return hash;
  auto hashOuter = [&](Value value) -> llvm::hash_code {
    return op->isAncestor(value.getParentBlock()->getParentOp())
               ? llvm::hash_code(0)
               : Equivalence::directHashValue(value);
  };
  for (Region &region : op->getRegions())
    region.walk([&](Operation *inner) {
      hash = llvm::hash_combine(
          hash, Equivalence::computeHash(inner, hashOuter,
                                         Equivalence::ignoreHashValue,
                                         Equivalence::IgnoreLocations));
    });
  return hash;
}

namespace {

/// An op and its hash, which is computed once.
struct HashedOp {
  Operation *op;
  unsigned hash;
};

} // namespace

template <> struct llvm::DenseMapInfo<HashedOp> {
  using OpInfo = DenseMapInfo<Operation *>;
  static HashedOp getEmptyKey() { return {OpInfo::getEmptyKey(), 0}; }
  static HashedOp getTombstoneKey() { return {OpInfo::getTombstoneKey(), 0}; }
  static unsigned getHashValue(const HashedOp &key) { return key.hash; }
  static bool isEqual(const HashedOp &a, const HashedOp &b) {
    if (a.op == b.op)
      return true;
    auto isOp = [](Operation *op) {
      return op != OpInfo::getEmptyKey() && op != OpInfo::getTombstoneKey();
    };
    return a.hash == b.hash && isOp(a.op) && isOp(b.op) &&
           Equivalence::isEquivalentTo(a.op, b.op,
                                       Equivalence::IgnoreLocations);
  }
};

namespace {

using KnownOps = llvm::ScopedHashTable<HashedOp, Operation *>;

struct CsePass : grad::impl::GradCseBase<CsePass> {
  void runOnOperation() override {
    KnownOps known;
    for (Region &region : getOperation()->getRegions())
      visit(region, known);
    // What is erased may be a key until all scopes have ended.
    for (Operation *op : erased)
      op->erase();
    erased.clear();
  }

private:
  /// Goes through the blocks of `region`; `known` has what they can see.
  void visit(Region &region, KnownOps &known) {
    bool isOrdered = !mayBeGraphRegion(region);
    for (Block &block : region) {
      KnownOps::ScopeTy scope(known);
      for (Operation &op : block) {
        for (Region &inner : op.getRegions())
          if (op.mightHaveTrait<OpTrait::IsIsolatedFromAbove>()) {
            KnownOps nothing;
            visit(inner, nothing);
          } else {
            visit(inner, known);
          }
        if (isOrdered)
          simplify(&op, known);
      }
    }
  }

  void simplify(Operation *op, KnownOps &known) {
    if (isOpTriviallyDead(op)) {
      erased.push_back(op);
      ++numErased;
      return;
    }
    auto hasOneBlock = [](Region &region) {
      return region.empty() || region.hasOneBlock();
    };
    if (op->hasTrait<OpTrait::IsTerminator>() || !isMemoryEffectFree(op) ||
        !llvm::all_of(op->getRegions(), hasOneBlock))
      return;
    HashedOp key{op, static_cast<unsigned>(hashWithBodies(op))};
    if (Operation *first = known.lookup(key)) {
      op->replaceAllUsesWith(first);
      erased.push_back(op);
      ++numMerged;
      return;
    }
    known.insert(key, op);
  }

  SmallVector<Operation *> erased;
};

} // namespace
