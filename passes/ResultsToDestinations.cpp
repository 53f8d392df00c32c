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
/// An argument with the attribute `grad.reused_for` is the memory of a result,
/// too, which is no parameter then. The result is written to the argument as a
/// tensor, at the end, so that bufferization may compute it there if nobody
/// reads the old value afterwards; then it is written to the memory of the
/// argument, which copies nothing if it is there. What may lie in the memory of
/// such arguments is copied before.
///
//===----------------------------------------------------------------------===//

#include "passes/ArgumentAttrs.h"
#include "passes/Passes.h"
#include "passes/SymbolUses.h"
#include "passes/TensorUpdates.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADRESULTSTODESTINATIONS
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

static constexpr StringLiteral kReusedAttrName = "grad.reused_for";

/// Whether nothing reads the values that `result` is made from by updates in
/// place. Only then may its buffer be their buffer: that the buffer receives
/// the result in the end is invisible to the analysis of conflicts.
static bool ownsDestination(Value result) {
  for (Value value = result; Operation *op = value.getDefiningOp();) {
    OpOperand *tied = getTied(cast<OpResult>(value));
    if (!tied)
      return isa<tensor::EmptyOp>(op) || op->hasTrait<OpTrait::ConstantLike>();
    value = tied->get();
    if (!value.hasOneUse() && !value.getDefiningOp<tensor::EmptyOp>())
      return false;
  }
  return true;
}

static MemRefType getBufferType(Type tensor) {
  auto type = cast<RankedTensorType>(tensor);
  return MemRefType::get(type.getShape(), type.getElementType());
}

/// The argument whose memory each result gets, if any.
static FailureOr<SmallVector<std::optional<unsigned>>>
findReused(func::FuncOp func) {
  SmallVector<std::optional<unsigned>> reused(func.getNumResults());
  for (unsigned i = 0; i < func.getNumArguments(); ++i) {
    auto attr = func.getArgAttr(i, kReusedAttrName);
    if (!attr)
      continue;
    auto number = dyn_cast<IntegerAttr>(attr);
    int64_t result = number ? number.getInt() : -1;
    if (result < 0 || result >= func.getNumResults() ||
        func.getResultTypes()[result] != func.getArgumentTypes()[i] ||
        reused[result])
      return func.emitOpError("expected argument #")
             << i << " to be reused for a result of its type, one for each, "
             << "but got " << attr;
    reused[result] = i;
  }
  return reused;
}

/// Whether an operation chooses one of several tensors: bufferization takes all
/// of them for one buffer.
static bool choosesTensors(func::FuncOp func) {
  return func
      .walk([](Operation *op) {
        return (isa<arith::SelectOp>(op) || isBranch(op)) &&
                       llvm::any_of(op->getResults(), isTensor)
                   ? WalkResult::interrupt()
                   : WalkResult::advance();
      })
      .wasInterrupted();
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

  FailureOr<SmallVector<std::optional<unsigned>>> reused = findReused(func);
  if (failed(reused))
    return failure();
  updateArgumentAttrs(func, [&](unsigned i, NamedAttrList &argument) {
    if (isa<TensorType>(func.getArgument(i).getType()))
      argument.set(bufferization::BufferizationDialect::kWritableAttrName,
                   attrs.getBoolAttr(bool(argument.erase(kReusedAttrName))));
  });

  unsigned numArguments = func.getNumArguments();
  SmallVector<Type> types;
  for (auto [type, argument] :
       llvm::zip_equal(returnOp.getOperandTypes(), *reused))
    if (!argument)
      types.push_back(getBufferType(type));
  unsigned numOwn = types.size();
  SmallVector<unsigned> positions(numOwn, numArguments);
  SmallVector<DictionaryAttr> resultAttrs(
      numOwn, attrs.getDictionaryAttr(
                  attrs.getNamedAttr("grad.result", attrs.getUnitAttr())));
  SmallVector<Location> locations(numOwn, returnOp.getLoc());
  if (failed(func.insertArguments(positions, types, resultAttrs, locations)))
    return failure();

  Location loc = returnOp.getLoc();
  OpBuilder builder(returnOp);
  auto write = [&](Value value, Value buffer, bool restrict) {
    auto op = bufferization::MaterializeInDestinationOp::create(builder, loc,
                                                                value, buffer);
    op.setRestrict(restrict);
    op.setWritable(true);
  };
  llvm::SmallPtrSet<Value, 8> written;
  for (std::optional<unsigned> argument : *reused)
    if (argument)
      written.insert(func.getArgument(*argument));
  SmallVector<Value> results(returnOp.getOperands());
  // What two of them begin with can be in one of their places only.
  llvm::SmallPtrSet<Value, 8> begun;
  for (auto [result, argument] : llvm::zip_equal(results, *reused)) {
    if (!argument)
      continue;
    Value own = func.getArgument(*argument);
    SmallVector<Value> origins =
        llvm::filter_to_vector(collectOrigins(result), [&](Value origin) {
          return origin != own && !origin.getDefiningOp<tensor::EmptyOp>() &&
                 !matchPattern(origin, m_Constant());
        });
    if (mayLieIn(result, written, own) ||
        llvm::any_of(origins,
                     [&](Value origin) { return begun.contains(origin); }))
      result = createCopy(builder, loc, result);
    begun.insert_range(origins);
  }
  unsigned next = numArguments;
  for (auto [result, argument] : llvm::zip_equal(results, *reused))
    if (!argument)
      write(result, func.getArgument(next++), ownsDestination(result));
  bool mayCopy = !written.empty() && choosesTensors(func);
  SmallVector<std::pair<Value, Value>> moved;
  auto atStart = OpBuilder::atBlockBegin(&func.getBody().front());
  for (auto [result, argument] : llvm::zip_equal(results, *reused)) {
    if (!argument)
      continue;
    Value destination = func.getArgument(*argument);
    // Nothing is known to change before the end.
    Value buffer = bufferization::ToBufferOp::create(
        atStart, loc, getBufferType(destination.getType()), destination,
        /*read_only=*/true);
    // The first may be in place, the second has to be.
    Value inPlace = mayCopy ? createWrite(builder, loc, result, destination)
                            : bufferization::MaterializeInDestinationOp::create(
                                  builder, loc, result, destination)
                                  .getResult();
    moved.emplace_back(inPlace, buffer);
  }
  for (auto [value, buffer] : moved)
    write(value, buffer, /*restrict=*/false);
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
