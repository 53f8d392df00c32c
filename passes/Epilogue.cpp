//===- Epilogue.cpp - What is calculated of a product at once -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Epilogue.h"
#include "passes/BufferPlace.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace mlir::grad;
using linalg::LinalgOp;

/// Whether each element that `op` writes depends on one iteration, and on
/// nothing that was there before.
static bool isElementwise(LinalgOp op) {
  return op.hasPureBufferSemantics() && !op.hasDynamicShape() &&
         op.getNumParallelLoops() == op.getNumLoops() &&
         op.getBlock()->getOps<linalg::IndexOp>().empty() &&
         llvm::all_of(op.getDpsInitsMutable(), [&](OpOperand &init) {
           return !op.payloadUsesValueFromOperand(&init) &&
                  op.getMatchingIndexingMap(&init).isPermutation();
         });
}

/// Whether `epilogue` reads `buffer`, and nothing else in its bytes, at one
/// place in each iteration.
static bool readsOnce(LinalgOp epilogue, Value buffer) {
  BufferPlace place = findPlace(buffer);
  AffineMap map;
  for (OpOperand *input : epilogue.getDpsInputOperands()) {
    if (!isa<BaseMemRefType>(input->get().getType()))
      continue;
    if (input->get() != buffer) {
      if (mayShareBytes(findPlace(input->get()), place))
        return false;
      continue;
    }
    AffineMap next = epilogue.getMatchingIndexingMap(input);
    if (!next.isPermutation() || (map && map != next))
      return false;
    map = next;
  }
  return static_cast<bool>(map);
}

/// Whether nobody needs what `product` leaves in its result, when `epilogue`
/// has read it.
static bool isDeadBehind(LinalgOp product, LinalgOp epilogue) {
  Value result = product.getDpsInits()[0];
  if (llvm::is_contained(epilogue.getDpsInits(), result))
    return true;
  // What is no temporary, or a part of one, is for others, and so may be what
  // loops carry.
  Block *block = product->getBlock();
  if (!isa_and_nonnull<memref::AllocOp, memref::ViewOp>(result.getDefiningOp()))
    return false;
  bool isOnce = isa<func::FuncOp>(block->getParentOp());
  return llvm::all_of(result.getUsers(), [&](Operation *user) {
    if (user == product || user == epilogue)
      return true;
    // Who uses a view is not known here.
    bool isFill = isa<linalg::FillOp>(user);
    return user->getBlock() == block && user->getNumResults() == 0 &&
           (isOnce || isFill) && user->isBeforeInBlock(product);
  });
}

LinalgOp mlir::grad::findEpilogue(LinalgOp product) {
  Operation *next = product->getNextNode();
  while (next && isMemoryEffectFree(next))
    next = next->getNextNode();
  auto epilogue = dyn_cast_or_null<LinalgOp>(next);
  if (!epilogue || isa<linalg::FillOp>(next) || !isElementwise(epilogue) ||
      !readsOnce(epilogue, product.getDpsInits()[0]) ||
      !isDeadBehind(product, epilogue))
    return nullptr;
  // Others may still read the factors.
  for (Value written : epilogue.getDpsInits())
    for (Value factor : product.getDpsInputs())
      if (mayShareBytes(findPlace(written), findPlace(factor)))
        return nullptr;
  return epilogue;
}
