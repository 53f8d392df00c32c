//===- SplitPrograms.cpp - Long programs as many short functions ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-split-programs`: after `grad-outline-kernels`, a long program is a
/// list of calls. Instruction selection and register allocation take more than
/// linear time in the length of a block, so the list is cut into functions of a
/// fixed number of operations.
///
/// A part gets the buffers and numbers that it uses from outside, and returns
/// the numbers that others use. Views and constants are made where they are
/// used. Operations with regions stay in the program, which knows which buffers
/// are distinct.
///
//===----------------------------------------------------------------------===//

#include "passes/DeadOps.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADSPLITPROGRAMS
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

/// Whether `op` is made anew wherever its result is used.
static bool isMadeAnew(Operation *op) {
  return op->hasTrait<OpTrait::ConstantLike>() ||
         isa<ViewLikeOpInterface, memref::GetGlobalOp>(op);
}

static bool canMove(Operation *op) {
  auto isPlain = [](Type type) {
    return type.isIntOrIndexOrFloat() || isa<MemRefType>(type);
  };
  return op->getNumRegions() == 0 && !op->hasTrait<OpTrait::IsTerminator>() &&
         llvm::all_of(op->getOperandTypes(), isPlain) &&
         llvm::all_of(op->getResultTypes(),
                      [](Type type) { return type.isIntOrIndexOrFloat(); });
}

/// Whether a function can get `value`, as a bare pointer if it is a buffer.
static bool canPass(Value value) {
  auto type = dyn_cast<MemRefType>(value.getType());
  return !type || (type.hasStaticShape() && type.getLayout().isIdentity());
}

namespace {

struct GradSplitPrograms
    : grad::impl::GradSplitProgramsBase<GradSplitPrograms> {
  using GradSplitProgramsBase::GradSplitProgramsBase;

  void runOnOperation() override {
    if (partSize < 1) {
      getOperation().emitError("expected option 'part-size' to be positive, "
                               "but got ")
          << partSize.getValue();
      return signalPassFailure();
    }
    SymbolTable symbols(getOperation());
    for (auto func : llvm::to_vector(getOperation().getOps<func::FuncOp>()))
      if (func.isPublic() && func->hasAttr("grad.arena_bytes") &&
          func.getBody().hasOneBlock())
        split(func, symbols);
  }

private:
  void split(func::FuncOp program, SymbolTable &symbols);
  void makePart(ArrayRef<Operation *> ops, SymbolTable &symbols);
};

} // namespace

void GradSplitPrograms::split(func::FuncOp program, SymbolTable &symbols) {
  SmallVector<SmallVector<Operation *>> parts(1);
  int64_t numOps = 0;
  for (Operation &op : program.getBody().front()) {
    if (isMadeAnew(&op))
      continue;
    if (!canMove(&op) || static_cast<int64_t>(parts.back().size()) == partSize)
      parts.emplace_back();
    if (!canMove(&op))
      continue;
    parts.back().push_back(&op);
    ++numOps;
  }
  if (numOps <= partSize)
    return;
  // Much shorter ones, between operations with regions, are not worth a call.
  int64_t minSize = llvm::divideCeil(partSize.getValue(), 16);
  for (ArrayRef<Operation *> part : parts)
    if (static_cast<int64_t>(part.size()) >= minSize)
      makePart(part, symbols);
  eraseDeadOps(program);
}

/// Makes a function of `ops`, and calls it in their place.
void GradSplitPrograms::makePart(ArrayRef<Operation *> ops,
                                 SymbolTable &symbols) {
  llvm::SmallPtrSet<Operation *, 32> inside(llvm::from_range, ops);

  llvm::SetVector<Operation *> made;
  llvm::SetVector<Value> inputs;
  SmallVector<Value> outputs;
  SmallVector<Operation *> worklist(ops);
  while (!worklist.empty())
    for (Value operand : worklist.pop_back_val()->getOperands()) {
      Operation *def = operand.getDefiningOp();
      if (def && isMadeAnew(def)) {
        if (made.insert(def))
          worklist.push_back(def);
      } else if (!inside.contains(def)) {
        inputs.insert(operand);
      }
    }
  if (!llvm::all_of(inputs, [](Value input) { return canPass(input); }))
    return;
  SmallVector<Operation *> makers = made.takeVector();
  llvm::sort(makers,
             [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  for (Operation *op : ops)
    for (Value result : op->getResults())
      if (llvm::any_of(result.getUsers(),
                       [&](Operation *user) { return !inside.contains(user); }))
        outputs.push_back(result);

  Location loc = ops.front()->getLoc();
  OpBuilder builder(&getContext());
  auto part = func::FuncOp::create(
      builder, loc, "part",
      builder.getFunctionType(TypeRange(inputs.getArrayRef()),
                              TypeRange(outputs)));
  part.setPrivate();
  part->setAttr("passthrough", builder.getStrArrayAttr({"noinline"}));
  symbols.insert(part);
  Block *body = part.addEntryBlock();
  IRMapping mapping;
  mapping.map(inputs.getArrayRef(), body->getArguments());
  builder.setInsertionPointToStart(body);
  // In program order: a view may begin where a number says.
  auto *nextMaker = makers.begin();
  for (Operation *op : ops) {
    for (; nextMaker != makers.end() && (*nextMaker)->isBeforeInBlock(op);
         ++nextMaker)
      builder.clone(**nextMaker, mapping);
    builder.clone(*op, mapping);
  }
  SmallVector<Value> returned = llvm::map_to_vector(
      outputs, [&](Value value) { return mapping.lookup(value); });
  func::ReturnOp::create(builder, loc, returned);

  // Nothing but views and constants lies between the operations.
  builder.setInsertionPoint(ops.front());
  auto call = func::CallOp::create(builder, loc, part, inputs.getArrayRef());
  for (auto [value, result] : llvm::zip_equal(outputs, call.getResults()))
    value.replaceAllUsesWith(result);
  for (Operation *op : llvm::reverse(ops))
    op->erase();
  ++numParts;
}
