//===- Rereads.cpp - What arrays hold before and behind loops -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The search goes from a version of an array to the one before it, or behind
// it, through the updates of a block and out of one loop after the other. It
// ends where a part is written that may be the one in question.
//
//===----------------------------------------------------------------------===//

#include "dialect/Rereads.h"

#include "dialect/ControlFlow.h"
#include "dialect/Positions.h"
#include "dialect/Rules.h"
#include "dialect/Stacks.h"
#include "dialect/Updates.h"

#include "mlir/IR/TypeUtilities.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::grad;
using Iteration = Positions::Iteration;
using Order = Positions::Order;
using Sum = Positions::Sum;

// Blocks with more updates of an array are not looked through.
static constexpr size_t kMostUpdates = 64;

namespace {

/// Looks for an array that holds the part.
class Search {
public:
  explicit Search(const Part &part) : part(part) {}

  /// Given the version of which it is read: before the loops around it.
  Value before(Value version) { return ifWorthIt(goBack(version)); }
  /// Behind them.
  Value behind(Value version) { return ifWorthIt(goOn(version)); }

private:
  Value goBack(Value version);
  Value goOn(Value version);
  /// Whether no update that leads to the version writes to the part.
  bool isSpared(Value version, const Positions &positions) const;
  bool isSpared(Value version) const {
    return isSpared(version, Positions(version.getDefiningOp()));
  }
  bool isSparedBy(Operation *update, Positions positions) const;
  /// Whether all iterations but this one do not, either.
  bool isSparedByLoop(scf::ForOp loop, Value before, Value after, Order order);
  /// The array, if there is one that is not far larger than the parts.
  Value ifWorthIt(Value array) const;

  const Part &part;
  uint64_t trips = 1; ///< In all loops that have been left.
  bool hasLeft = false;
};

} // namespace

/// Where the part begins in dimension `i`.
static Sum getOffset(Positions &positions, const Part &part, unsigned i,
                     Iteration iteration) {
  int64_t last = typeOf(part.array).getDimSize(i) - part.sizes[i];
  OpFoldResult offset = part.offsets[i];
  if (auto attribute = dyn_cast<Attribute>(offset))
    return Sum{cast<IntegerAttr>(attribute).getInt(), {}};
  Sum sum = positions.get(cast<Value>(offset), iteration);
  if (!part.isClamped || (positions.isAtLeast(sum, Sum()) &&
                          positions.isAtLeast(Sum{last, {}}, sum)))
    return sum;
  return positions.createUnknown(std::max<int64_t>(last, 0));
}

bool Search::isSparedBy(Operation *update, Positions positions) const {
  std::optional<Part> written = getPartWritten(update);
  if (!written)
    return false;
  for (unsigned i = 0; i < part.sizes.size(); ++i) {
    Sum read = getOffset(positions, part, i, Iteration::This);
    Sum write = getOffset(positions, *written, i, Iteration::Other);
    positions.addAtLeast(read + part.sizes[i], write + 1);
    positions.addAtLeast(write + written->sizes[i], read + 1);
  }
  return positions.isImpossible();
}

bool Search::isSpared(Value version, const Positions &positions) const {
  return forEachUpdate(version, [&](Operation *update) {
    return isSparedBy(update, positions);
  });
}

bool Search::isSparedByLoop(scf::ForOp loop, Value before, Value after,
                            Order order) {
  SmallVector<Value> versions = findVersions(before, after);
  if (versions.empty() || versions.size() > kMostUpdates)
    return false;
  Positions positions(loop, order);
  if (!llvm::all_of(ArrayRef(versions).drop_front(), [&](Value version) {
        return isSpared(version, positions);
      }))
    return false;
  hasLeft = true;
  trips = llvm::SaturatingMultiply<uint64_t>(trips,
                                             getMaxTripCount(loop).value_or(1));
  return true;
}

Value Search::ifWorthIt(Value array) const {
  if (!array || !hasLeft)
    return nullptr;
  // Constants and arguments are there in any case.
  auto argument = dyn_cast<BlockArgument>(array);
  if (getSplat(array) || (argument && isa_and_nonnull<FunctionOpInterface>(
                                          argument.getOwner()->getParentOp())))
    return array;
  uint64_t bytes = 2 * getBytes(getElementTypeOrSelf(array));
  for (int64_t factor : part.sizes)
    bytes = llvm::SaturatingMultiply<uint64_t>(bytes, factor);
  return llvm::SaturatingMultiply(bytes, trips) >=
                 static_cast<uint64_t>(getBytes(array.getType()))
             ? array
             : Value();
}

Value Search::goBack(Value version) {
  for (size_t updates = 0; updates <= kMostUpdates; ++updates) {
    if (auto argument = dyn_cast<BlockArgument>(version)) {
      Operation *parent = argument.getOwner()->getParentOp();
      auto loop = dyn_cast_or_null<scf::ForOp>(parent);
      if (!loop)
        return isa_and_nonnull<LoopLikeOpInterface>(parent) ? Value() : version;
      if (!isSparedByLoop(loop, argument,
                          loop.getTiedLoopYieldedValue(argument)->get(),
                          Order::Earlier))
        return nullptr;
      version = loop.getTiedLoopInit(argument)->get();
      continue;
    }
    Value previous = findPrevious(version);
    if (!previous)
      return version;
    if (!isSpared(version))
      return version.getDefiningOp()->getParentOfType<LoopLikeOpInterface>()
                 ? Value()
                 : version;
    version = previous;
  }
  return nullptr;
}

/// What `version` becomes until the end of its block, from itself on, and the
/// number of the operand of the terminator that it is in the end; nothing if
/// that does not hold a version of the array, which has been another one at the
/// start of the block.
static std::pair<SmallVector<Value>, unsigned> findLater(Value version) {
  Block *block = version.getParentBlock();
  Operation *parent = block->getParentOp();
  if (!isa_and_nonnull<scf::ForOp, scf::IfOp, scf::IndexSwitchOp>(parent))
    return {};
  for (OpOperand &operand : block->getTerminator()->getOpOperands()) {
    if (operand.get().getType() != version.getType())
      continue;
    SmallVector<Value> versions = {operand.get()};
    while (versions.back() != version && versions.size() <= kMostUpdates &&
           versions.back().getParentBlock() == block)
      if (Value previous = findPrevious(versions.back()))
        versions.push_back(previous);
      else
        break;
    if (versions.back() == version) {
      std::reverse(versions.begin(), versions.end());
      return {versions, operand.getOperandNumber()};
    }
  }
  return {};
}

Value Search::goOn(Value version) {
  Value found;
  for (;;) {
    auto [versions, i] = findLater(version);
    if (versions.empty())
      return found;
    if (!llvm::all_of(ArrayRef(versions).drop_front(),
                      [&](Value later) { return isSpared(later); }))
      return nullptr;
    Operation *parent = version.getParentBlock()->getParentOp();
    version = parent->getResult(i);
    if (auto loop = dyn_cast<scf::ForOp>(parent)) {
      if (!isSparedByLoop(loop, loop.getRegionIterArg(i),
                          loop.getYieldedValues()[i], Order::Later))
        return nullptr;
      found = version;
    } else if (!findPrevious(version)) {
      return found;
    }
  }
}

Value grad::findReread(Operation *read) {
  std::optional<Part> part = getPartRead(read);
  if (!part || !isStorable(part->array.getType()))
    return nullptr;
  if (Value array = Search(*part).before(part->array))
    return array;
  return Search(*part).behind(part->array);
}

Value grad::findOverwritten(Operation *update) {
  std::optional<Part> part = getPartWritten(update);
  return part ? Search(*part).before(findPrevious(part->array)) : Value();
}

Value grad::findWritten(Operation *update) {
  std::optional<Part> part = getPartWritten(update);
  return part ? Search(*part).behind(part->array) : Value();
}
