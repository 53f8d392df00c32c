//===- ResultsToDestinations.cpp - Results into caller-provided buffers ---===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-results-to-destinations` gives public functions on tensors the calling
/// convention of compiled code: arguments, then results, with results as memory
/// that the function fills. It does so before bufferization, where the buffer
/// that a value is computed in is still to be chosen.
///
//===----------------------------------------------------------------------===//

#include "passes/ArgumentAttrs.h"
#include "passes/Passes.h"
#include "passes/SymbolUses.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADRESULTSTODESTINATIONS
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

/// Whether nothing reads the values that `result` is made from by updates in
/// place. Only then may its buffer be their buffer: that the buffer receives
/// the result in the end is invisible to the analysis of conflicts.
static bool ownsDestination(Value result) {
  for (Value value = result; Operation *op = value.getDefiningOp();) {
    auto opResult = cast<OpResult>(value);
    if (auto destinationOp = dyn_cast<DestinationStyleOpInterface>(op))
      value = destinationOp.getTiedOpOperand(opResult)->get();
    else if (auto loop = dyn_cast<scf::ForOp>(op))
      value = loop.getTiedLoopInit(opResult)->get();
    else if (isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp,
                 tensor::ReshapeOp, tensor::CastOp>(op))
      value = op->getOperand(0);
    else
      return isa<tensor::EmptyOp>(op) || op->hasTrait<OpTrait::ConstantLike>();
    if (!value.hasOneUse() && !value.getDefiningOp<tensor::EmptyOp>())
      return false;
  }
  return true;
}

static LogicalResult convertFunction(func::FuncOp func) {
  MLIRContext *context = func.getContext();
  Builder attrs(context);
  for (Type type : func.getResultTypes()) {
    auto tensorType = dyn_cast<RankedTensorType>(type);
    if (!tensorType || !tensorType.hasStaticShape())
      return func.emitOpError(
                 "expected results that are tensors of static shape, but got ")
             << type;
  }
  auto returnOp =
      dyn_cast<func::ReturnOp>(func.getBody().back().getTerminator());
  if (!func.getBody().hasOneBlock() || !returnOp)
    return func.emitOpError("expected a body of one block that returns");

  updateArgumentAttrs(func, [&](unsigned i, NamedAttrList &argument) {
    if (isa<TensorType>(func.getArgument(i).getType()))
      argument.set(bufferization::BufferizationDialect::kWritableAttrName,
                   attrs.getBoolAttr(false));
  });

  unsigned numArguments = func.getNumArguments();
  unsigned numResults = returnOp.getNumOperands();
  SmallVector<unsigned> positions(numResults, numArguments);
  SmallVector<Type> types;
  for (Type type : returnOp.getOperandTypes()) {
    auto tensorType = cast<RankedTensorType>(type);
    types.push_back(
        MemRefType::get(tensorType.getShape(), tensorType.getElementType()));
  }
  SmallVector<DictionaryAttr> resultAttrs(
      numResults, attrs.getDictionaryAttr(
                      attrs.getNamedAttr("grad.result", attrs.getUnitAttr())));
  SmallVector<Location> locations(numResults, returnOp.getLoc());
  if (failed(func.insertArguments(positions, types, resultAttrs, locations)))
    return failure();

  OpBuilder builder(returnOp);
  for (auto [i, result] : llvm::enumerate(returnOp.getOperands())) {
    auto write = bufferization::MaterializeInDestinationOp::create(
        builder, returnOp.getLoc(), result, func.getArgument(numArguments + i));
    write.setRestrict(ownsDestination(result));
    write.setWritable(true);
  }
  returnOp.getOperandsMutable().clear();
  llvm::BitVector all(func.getNumResults(), true);
  return func.eraseResults(all);
}

namespace {

struct GradResultsToDestinations
    : grad::impl::GradResultsToDestinationsBase<GradResultsToDestinations> {
  void runOnOperation() override {
    for (auto func : getOperation().getOps<func::FuncOp>()) {
      if (func.isExternal() || func.isPrivate())
        continue;
      if (hasSymbolUses(func, getOperation())) {
        func.emitOpError("expected no uses of a public function");
        return signalPassFailure();
      }
      if (failed(convertFunction(func)))
        return signalPassFailure();
    }
  }
};

} // namespace
