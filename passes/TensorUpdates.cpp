//===- TensorUpdates.cpp - Tensors that may share a buffer ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/TensorUpdates.h"

#include "dialect/Rules.h"
#include "passes/InPlaceState.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"

using namespace mlir;
using namespace mlir::grad;

//===----------------------------------------------------------------------===//
// Where values come from
//===----------------------------------------------------------------------===//

bool mlir::grad::isBranch(Operation *op) {
  return isa<scf::IfOp, scf::IndexSwitchOp>(op);
}

SmallVector<Value> mlir::grad::getYielded(OpResult result) {
  return llvm::map_to_vector(
      result.getOwner()->getRegions(), [&](Region &region) {
        return region.front().getTerminator()->getOperand(
            result.getResultNumber());
      });
}

/// Whether `op` is its first operand in another shape.
static bool isReshape(Operation *op) {
  return isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp, tensor::ReshapeOp,
             tensor::CastOp>(op);
}

/// What a loop with a condition begins with, of a value that the condition
/// passes on as it is; null for other results.
static OpOperand *tiedInit(scf::WhileOp loop, unsigned result) {
  auto passed =
      dyn_cast<BlockArgument>(loop.getConditionOp().getArgs()[result]);
  if (!passed || passed.getOwner() != loop.getBeforeBody())
    return nullptr;
  return &loop.getInitsMutable()[passed.getArgNumber()];
}

OpOperand *mlir::grad::getTied(OpResult result) {
  Operation *op = result.getOwner();
  if (auto destination = dyn_cast<DestinationStyleOpInterface>(op))
    return destination.getTiedOpOperand(result);
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return loop.getTiedLoopInit(result);
  if (auto loop = dyn_cast<scf::WhileOp>(op))
    return tiedInit(loop, result.getResultNumber());
  return isReshape(op) ? &op->getOpOperand(0) : nullptr;
}

Value mlir::grad::getPrevious(Value value) {
  auto result = dyn_cast<OpResult>(value);
  if (!result)
    return {};
  Operation *op = result.getOwner();
  if (OpOperand *tied = getTied(result))
    return tied->get();
  if (!isBranch(op))
    return {};
  SmallVector<Value> origins =
      llvm::map_to_vector(getYielded(result), [&](Value yielded) {
        return updatedFromOutside(yielded, op);
      });
  return llvm::all_equal(origins) ? origins.front() : Value();
}

Value mlir::grad::updatedFromOutside(Value value, Operation *op) {
  while (value && op->isAncestor(value.getParentBlock()->getParentOp()))
    value = getPrevious(value);
  return value;
}

bool mlir::grad::isAvailable(Value value, Operation *user) {
  Operation *at = value.getParentBlock()->findAncestorOpInBlock(*user);
  Operation *def = value.getDefiningOp();
  return at && (!def || def->isBeforeInBlock(at));
}

bool mlir::grad::isRepeatedSince(Value value, Operation *op) {
  Operation *scope = value.getParentBlock()->getParentOp();
  for (op = op->getParentOp(); op && op != scope; op = op->getParentOp())
    if (isa<LoopLikeOpInterface>(op))
      return true;
  return false;
}

llvm::SetVector<Value> mlir::grad::collectOrigins(Value value) {
  llvm::SetVector<Value> origins;
  origins.insert(value);
  for (unsigned i = 0; i < origins.size(); ++i) {
    if (Value previous = getPrevious(origins[i])) {
      origins.insert(previous);
    } else if (auto slice =
                   origins[i].getDefiningOp<tensor::ExtractSliceOp>()) {
      origins.insert(slice.getSource());
    } else if (auto result = dyn_cast<OpResult>(origins[i]);
               result && isBranch(result.getOwner())) {
      origins.insert_range(getYielded(result));
    } else if (auto select = origins[i].getDefiningOp<arith::SelectOp>()) {
      origins.insert(select.getTrueValue());
      origins.insert(select.getFalseValue());
    }
  }
  return origins;
}

//===----------------------------------------------------------------------===//
// Who reads a buffer
//===----------------------------------------------------------------------===//

/// Whether `op` makes a view of its first operand.
static bool isView(Operation *op) {
  return isa<tensor::ExtractSliceOp>(op) || isReshape(op);
}

/// Whether the owner of `use` may return it, or an update of it.
static bool mayReturn(OpOperand &use) {
  Operation *op = use.getOwner();
  if (auto destination = dyn_cast<DestinationStyleOpInterface>(op))
    return destination.isDpsInit(&use);
  return isa<LoopLikeOpInterface, arith::SelectOp>(op) ||
         op->hasTrait<OpTrait::IsTerminator>();
}

bool mlir::grad::allUses(Value value,
                         llvm::function_ref<bool(OpOperand &)> isAllowed) {
  return llvm::all_of(value.getUses(), [&](OpOperand &use) {
    return isView(use.getOwner()) && use.getOperandNumber() == 0
               ? allUses(use.getOwner()->getResult(0), isAllowed)
               : isAllowed(use);
  });
}

bool mlir::grad::isDoneBefore(OpOperand &use, Operation *write) {
  Operation *read = use.getOwner();
  if (insideMutuallyExclusiveRegions(read, write))
    return true;
  for (; write && !write->isAncestor(read); write = write->getParentOp())
    if (Operation *at = write->getBlock()->findAncestorOpInBlock(*read))
      return at->isBeforeInBlock(write) && !mayReturn(use);
  return false;
}

bool mlir::grad::readsWrittenElements(OpOperand &use, OpOperand &write) {
  auto op = dyn_cast<linalg::LinalgOp>(use.getOwner());
  return op && write.getOwner() == op && op.isDpsInput(&use) &&
         op.isDpsInit(&write) && op.getNumLoops() == op.getNumParallelLoops() &&
         op.getMatchingIndexingMap(&write).isIdentity() &&
         op.getMatchingIndexingMap(&use).isIdentity();
}

bool mlir::grad::readsOtherPart(OpOperand &use, Operation *part,
                                OpOperand &write) {
  auto from = use.get().getDefiningOp<tensor::ExtractSliceOp>();
  if (!from || mayReturn(use))
    return false;
  auto slice = dyn_cast<tensor::ExtractSliceOp>(part);
  RankedTensorType whole = slice ? slice.getSourceType()
                                 : cast<tensor::InsertSliceOp>(part).getType();
  // Else one may be a slice of a slice, with offsets in that.
  if (from.getSourceType() != whole || !whole.hasStaticShape())
    return false;
  auto isSame = [](Value, Value) { return true; };
  auto read = cast<SubsetOpInterface>(*from),
       written = cast<SubsetOpInterface>(part);
  return areDisjoint(read, written, isSame) ||
         (readsWrittenElements(use, write) &&
          areAligned(read, written, isSame));
}

/// The operation that tells which part of a tensor `write` writes; null if it
/// may be all of it.
static Operation *getPartWritten(OpOperand &write) {
  if (auto insertion = dyn_cast<tensor::InsertSliceOp>(write.getOwner()))
    return &write == &insertion.getDestMutable() ? insertion.getOperation()
                                                 : nullptr;
  return write.get().getDefiningOp<tensor::ExtractSliceOp>();
}

static bool readsOtherPart(OpOperand &use, OpOperand &write) {
  Operation *part = getPartWritten(write);
  return part && mlir::grad::readsOtherPart(use, part, write);
}

/// The part of what `insertion` updates that its source is made from, if that
/// is the part that is written; null otherwise.
static Value sliceUpdatedBy(tensor::InsertSliceOp insertion) {
  Value value = insertion.getSource();
  while (value && !value.getDefiningOp<tensor::ExtractSliceOp>())
    value = getPrevious(value);
  if (!value)
    return {};
  auto slice = value.getDefiningOp<tensor::ExtractSliceOp>();
  bool isSame = slice.getSource() == insertion.getDest() &&
                slice.isSameAs(insertion, [](OpFoldResult a, OpFoldResult b) {
                  return a == b;
                });
  return isSame ? value : Value();
}

namespace {

/// Finds out whether a tensor is made from another one by updates that can all
/// be done in place, because nobody reads what was overwritten.
class UpdateChain {
public:
  static bool leadsTo(Value value, Value first) {
    UpdateChain chain;
    chain.wholes.push_back(first);
    std::optional<Operands> writes = chain.walk(value, first, {});
    return writes && chain.isFree(first, *writes);
  }

private:
  using Operands = SmallVector<OpOperand *, 2>;

  /// Walks back from `value`, which `writes` overwrite, to `first`. Returns
  /// what overwrites that; nothing where an update cannot be in place.
  std::optional<Operands> walk(Value value, Value first, Operands writes) {
    while (value != first) {
      auto result = dyn_cast<OpResult>(value);
      if (!result || !isFree(value, writes))
        return std::nullopt;
      Operation *op = result.getOwner();
      if (isView(op)) {
        if (isa<tensor::ExtractSliceOp>(op))
          return std::nullopt;
        value = op->getOperand(0);
        continue;
      }
      if (isBranch(op)) {
        Value origin = getPrevious(value);
        // Regions that only pass on what comes in lead to the same writes.
        llvm::SmallSetVector<OpOperand *, 4> all;
        for (Region &region : op->getRegions()) {
          OpOperand &yielded = region.front().getTerminator()->getOpOperand(
              result.getResultNumber());
          own.insert(&yielded);
          std::optional<Operands> some =
              origin ? walk(yielded.get(), origin, writes) : std::nullopt;
          if (!some)
            return std::nullopt;
          all.insert_range(*some);
        }
        value = origin;
        writes.assign(all.begin(), all.end());
        continue;
      }
      OpOperand *tied = getTied(result);
      if (!tied)
        return std::nullopt;
      own.insert(tied);
      value = tied->get();
      writes = walkSlice(op, writes).value_or(Operands{tied});
      for (OpOperand *write : writes)
        later.insert({write, wholes.back()});
    }
    return writes;
  }

  /// If `op` inserts a slice of a tensor that was updated in place, the tensor
  /// is overwritten by what updates the slice, and the insertion is nothing.
  std::optional<Operands> walkSlice(Operation *op, const Operands &writes) {
    auto insertion = dyn_cast<tensor::InsertSliceOp>(op);
    Value slice = insertion ? sliceUpdatedBy(insertion) : Value();
    if (!slice)
      return std::nullopt;
    auto before = own;
    wholes.push_back(slice);
    std::optional<Operands> inside = walk(insertion.getSource(), slice, writes);
    wholes.pop_back();
    if (!inside)
      own = std::move(before);
    return inside;
  }

  /// Whether nobody reads what is overwritten of `value` when or after `writes`
  /// happen.
  bool isFree(Value value, ArrayRef<OpOperand *> writes) {
    return allUses(value, [&](OpOperand &use) {
      return own.contains(&use) ||
             llvm::all_of(writes,
                          [&](OpOperand *write) {
                            return isDoneBefore(use, write->getOwner()) ||
                                   (use.get() == write->get() &&
                                    readsWrittenElements(use, *write));
                          }) ||
             isElsewhere(use, value);
    });
  }

  /// Whether `use` reads a part of `value` that no write has overwritten by
  /// then. What is written inside of a slice is a part of what its insertion
  /// writes; only slices of versions of one tensor are compared.
  bool isElsewhere(OpOperand &use, Value value) {
    constexpr size_t kMostWrites = 32;
    auto from = use.get().getDefiningOp<tensor::ExtractSliceOp>();
    return from && from.getSource() == value && later.size() <= kMostWrites &&
           llvm::all_of(later, [&](auto entry) {
             auto [write, whole] = entry;
             return !llvm::is_contained(wholes, whole) ||
                    isDoneBefore(use, write->getOwner()) ||
                    (whole == wholes.back() && readsOtherPart(use, *write));
           });
  }

  /// The uses by which the chain goes on.
  llvm::SmallPtrSet<OpOperand *, 8> own;
  /// The tensor whose versions are looked at, behind those that it is a slice
  /// of.
  SmallVector<Value, 4> wholes;
  /// All that is written later than the version that is looked at, and what of.
  llvm::SmallSetVector<std::pair<OpOperand *, Value>, 8> later;
};

} // namespace

bool mlir::grad::isUpdateInPlace(Value value, Value first) {
  return UpdateChain::leadsTo(value, first);
}

bool mlir::grad::mayLieIn(Value value,
                          const llvm::SmallPtrSetImpl<Value> &written,
                          Value own) {
  if (isUpdateInPlace(value, own))
    return false;
  auto result = dyn_cast<OpResult>(value);
  if (result && isBranch(result.getOwner()) && !getPrevious(value))
    return llvm::any_of(getYielded(result), [&](Value yielded) {
      return mayLieIn(yielded, written, own);
    });
  return llvm::any_of(collectOrigins(value),
                      [&](Value origin) { return written.contains(origin); });
}

Value mlir::grad::createCopy(OpBuilder &builder, Location loc, Value value) {
  return bufferization::AllocTensorOp::create(
      builder, loc, cast<RankedTensorType>(value.getType()),
      /*dynamicSizes=*/ValueRange(), /*copy=*/value);
}

Value mlir::grad::createWrite(OpBuilder &builder, Location loc, Value source,
                              Value destination) {
  if (hasNoElements(source))
    return destination;
  auto type = cast<RankedTensorType>(source.getType());
  SmallVector<OpFoldResult> zeros(type.getRank(), builder.getIndexAttr(0));
  SmallVector<OpFoldResult> ones(type.getRank(), builder.getIndexAttr(1));
  return tensor::InsertSliceOp::create(
      builder, loc, source, destination, zeros,
      tensor::getMixedSizes(builder, loc, destination), ones);
}

void mlir::grad::separateEmpties(Operation *root) {
  SmallVector<tensor::EmptyOp> empties;
  root->walk([&](tensor::EmptyOp op) { empties.push_back(op); });
  for (tensor::EmptyOp op : empties) {
    OpBuilder builder(op.getContext());
    bool isTaken = false;
    for (OpOperand &use : llvm::make_early_inc_range(op->getUses())) {
      Operation *user = use.getOwner();
      if (user->hasTrait<OpTrait::IsTerminator>())
        continue;
      if (!isTaken && user->getBlock() == op->getBlock()) {
        isTaken = true;
        continue;
      }
      builder.setInsertionPoint(user);
      use.set(builder.clone(*op)->getResult(0));
    }
  }
}

void mlir::grad::separateFills(Operation *root) {
  SmallVector<linalg::FillOp> fills;
  root->walk([&](linalg::FillOp op) {
    if (op->getNumResults() == 1 &&
        op.getOutputs().front().getDefiningOp<tensor::EmptyOp>())
      fills.push_back(op);
  });
  for (linalg::FillOp op : fills) {
    SmallVector<OpOperand *> begins;
    for (OpOperand &use : op->getUses())
      if (isa<LoopLikeOpInterface>(use.getOwner()))
        begins.push_back(&use);
    if (begins.size() < 2)
      continue;
    OpBuilder builder(op.getContext());
    for (OpOperand *use : begins) {
      builder.setInsertionPoint(use->getOwner());
      use->set(builder.clone(*op)->getResult(0));
    }
    if (op->use_empty())
      op.erase();
  }
}
