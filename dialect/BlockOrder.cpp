//===- BlockOrder.cpp - Which operation comes first -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/BlockOrder.h"

using namespace mlir;
using namespace mlir::grad;

/// From one operation to the next, and to one that is inserted behind it: a
/// million can be inserted at one place.
static constexpr uint64_t kStep = uint64_t(1) << 32;
static constexpr uint64_t kInsertedStep = uint64_t(1) << 12;

void BlockOrder::number(Block &block) {
  uint64_t place = 0;
  for (Operation &op : block)
    places[&op] = place += kStep;
}

bool BlockOrder::isBefore(Operation *a, Operation *b) {
  if (!places.contains(a) || !places.contains(b))
    number(*a->getBlock());
  return places.lookup(a) < places.lookup(b);
}

void BlockOrder::notifyOperationInserted(Operation *op,
                                         OpBuilder::InsertPoint) {
  places.erase(op);
  Operation *previous = op->getPrevNode(), *next = op->getNextNode();
  if ((previous && !places.contains(previous)) ||
      (next && !places.contains(next)))
    return; // Nobody asked about this block yet.
  uint64_t low = previous ? places.lookup(previous) : 0;
  uint64_t high = next ? places.lookup(next) : low + 2 * kStep;
  if (high - low >= 2)
    places[op] = low + std::min((high - low) / 2, kInsertedStep);
}

void BlockOrder::notifyOperationErased(Operation *op) { places.erase(op); }
