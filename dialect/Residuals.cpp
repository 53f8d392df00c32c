//===- Residuals.cpp - What linear code needs of primal code --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Residuals.h"

#include "dialect/GradDialect.h"
#include "dialect/Stacks.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::grad;

/// Whether the op moves data and calculates, if anything, with positions.
static bool isFree(Operation *op) {
  if (matchPattern(op, m_Constant()))
    return true;
  if (isa<IotaOp, BroadcastOp, ReshapeOp, TransposeOp, SliceOp, DynamicSliceOp,
          ReverseOp, GatherOp>(op))
    return true;
  if (isa<tensor::FromElementsOp, tensor::ExtractOp, arith::IndexCastOp>(op))
    return true;
  // On integers without dimensions.
  return op->getNumRegions() == 0 && isPure(op) &&
         llvm::all_of(op->getResultTypes(), [](Type type) {
           auto tensor = dyn_cast<RankedTensorType>(type);
           return tensor ? tensor.getRank() == 0 &&
                               tensor.getElementType().isInteger()
                         : type.isIntOrIndex();
         });
}

bool Residuals::isOutside(Value value) const {
  // The outermost block of linear code is in no region yet.
  for (Block *block = value.getParentBlock(); block;) {
    if (block == &primal)
      return false;
    Operation *parent = block->getParentOp();
    block = parent ? parent->getBlock() : nullptr;
  }
  return true;
}

int64_t Residuals::getCost(Value value) {
  if (isOutside(value) || known.contains(value))
    return 0;
  if (auto found = costs.find(value); found != costs.end())
    return found->second;
  int64_t bytes = getBytes(value.getType());
  Operation *op = value.getDefiningOp();
  if (op && isFree(op)) {
    int64_t sum = 0;
    for (Value operand :
         llvm::SmallSetVector<Value, 4>(op->operand_begin(), op->operand_end()))
      sum += getCost(operand);
    if (sum <= bytes) {
      recomputed.insert(value);
      bytes = sum;
    }
  }
  costs[value] = bytes;
  return bytes;
}

void Residuals::demand(Value value) {
  if (isOutside(value) || known.contains(value) ||
      !visited.insert(value).second)
    return;
  getCost(value);
  if (!recomputed.contains(value)) {
    stored.insert(value);
    return;
  }
  for (Value operand : value.getDefiningOp()->getOperands())
    demand(operand);
}

Residuals::Residuals(Block &primal, Block &linear, IRMapping known)
    : primal(primal), linear(linear), known(std::move(known)) {
  linear.walk([&](Operation *op) {
    for (Value operand : op->getOperands())
      if (!isOutside(operand))
        demanded.insert(operand);
  });
  for (Value value : demanded)
    demand(value);
}

Value Residuals::fetch(OpBuilder &builder, Value value) {
  if (isOutside(value))
    return value;
  if (Value there = known.lookupOrNull(value))
    return there;
  Operation *op = value.getDefiningOp();
  SmallVector<Value> operands;
  for (Value operand : op->getOperands())
    operands.push_back(fetch(builder, operand));
  Operation *copy = builder.clone(*op);
  copy->setOperands(operands);
  known.map(op->getResults(), copy->getResults());
  return known.lookup(value);
}

void Residuals::supply(OpBuilder &builder, ValueRange values) {
  known.map(stored.getArrayRef(), values);
  for (Value value : demanded) {
    Value there = fetch(builder, value);
    value.replaceUsesWithIf(there, [&](OpOperand &use) {
      return linear.findAncestorOpInBlock(*use.getOwner());
    });
  }
}
