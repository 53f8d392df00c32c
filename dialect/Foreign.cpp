//===- Foreign.cpp - Calls of foreign code --------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Foreign.h"
#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Bufferization/IR/DstBufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StructuredOpsUtils.h"
#include "runtime/Lapack.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace mlir::grad;

static constexpr StringLiteral kSequential = "sequential";
static constexpr StringLiteral kExpandDims = "expand_dims";
static constexpr StringLiteral kBroadcastAll = "broadcast_all";

LogicalResult CustomCallOp::verify() {
  if (int64_t target = getTargetAttr().getInt(); target < 0)
    return emitOpError("expected a target that is not negative, but got ")
           << target;
  if (!llvm::is_contained({kSequential, kExpandDims, kBroadcastAll},
                          getBatching()))
    return emitOpError("expected batching to be \"sequential\", "
                       "\"expand_dims\" or \"broadcast_all\", but got ")
           << getBatchingAttr();
  return success();
}

LogicalResult CustomCallOp::linearize(LinearizeContext &) {
  return emitOpError("of ") << getNameAttr()
                            << " has no derivative: call it in a function with "
                               "derivative rules (custom_vjp, custom_jvp)";
}

LogicalResult CustomCallOp::batch(BatchContext &context) {
  if (getBatching() == kSequential)
    return batchOneByOne(*this, context);
  auto whole = [&](Value input) -> Value {
    if (context.isBatched(input) || getBatching() == kBroadcastAll)
      return context.getBatched(input);
    SmallVector<int64_t> shape{1};
    llvm::append_range(shape, typeOf(input).getShape());
    return ReshapeOp::create(context.builder, getLoc(), context.get(input),
                             shape);
  };
  auto types = llvm::map_to_vector(
      getOutputs(), [&](Value v) { return context.getBatchedType(v); });
  auto call = CustomCallOp::create(context.builder, getLoc(), types, getName(),
                                   getTarget(), getBatching(),
                                   llvm::map_to_vector(getInputs(), whole));
  for (auto [output, result] : llvm::zip_equal(getOutputs(), call.getOutputs()))
    context.setBatched(output, result);
  return success();
}

LogicalResult LapackIntoOp::verify() {
  const auto *name = llvm::find(gradopt::runtime::lapack::kNames, getRoutine());
  if (name == std::end(gradopt::runtime::lapack::kNames))
    return emitOpError("expected a routine that the runtime has, but got ")
           << getRoutineAttr();
  auto [inputs, outs] = gradopt::runtime::lapack::kCounts
      [name - std::begin(gradopt::runtime::lapack::kNames)];
  if (int64_t(getInputs().size()) != inputs ||
      int64_t(getOuts().size()) != outs)
    return emitOpError("expected ")
           << inputs << " inputs and " << outs << " outs, but got "
           << getInputs().size() << " and " << getOuts().size();
  return success();
}

LogicalResult SortIntoOp::verify() {
  if (getInputs().size() != 1)
    return emitOpError("expected one input, but got ") << getInputs().size();
  size_t expected = getHasValues() + getHasIndices() + 1;
  if (getOuts().size() != expected)
    return emitOpError("expected ")
           << expected << " outs, but got " << getOuts().size();
  return success();
}

using Effects =
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>;

template <typename CallOp>
static void getEffectsOf(CallOp op, Effects &effects) {
  for (OpOperand &input : op.getInputsMutable())
    if (isa<MemRefType>(input.get().getType()))
      effects.emplace_back(MemoryEffects::Read::get(), &input);
  for (OpOperand &out : op.getOutsMutable())
    if (isa<MemRefType>(out.get().getType()))
      effects.emplace_back(MemoryEffects::Write::get(), &out);
}

void CustomCallIntoOp::getEffects(Effects &effects) {
  getEffectsOf(*this, effects);
}

void LapackIntoOp::getEffects(Effects &effects) {
  getEffectsOf(*this, effects);
}

void SortIntoOp::getEffects(Effects &effects) { getEffectsOf(*this, effects); }
void FourierIntoOp::getEffects(Effects &effects) {
  getEffectsOf(*this, effects);
}

namespace {

/// Foreign code knows row-major arrays only.
template <typename CallOp>
struct CallBufferization
    : bufferization::DstBufferizableOpInterfaceExternalModel<
          CallBufferization<CallOp>, CallOp> {
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand,
                              const bufferization::AnalysisState &) const {
    return !cast<CallOp>(op).isDpsInit(&operand);
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const bufferization::BufferizationOptions &options,
                          bufferization::BufferizationState &state) const {
    auto call = cast<CallOp>(op);
    if (call->getNumResults() == 0)
      return success();
    Location loc = call.getLoc();
    SmallVector<Value> inputs, outs, destinations;
    for (OpOperand &operand : call->getOpOperands()) {
      FailureOr<Value> buffer =
          bufferization::getBuffer(rewriter, operand.get(), options, state);
      if (failed(buffer))
        return failure();
      Value dense = *buffer;
      if (!isDense(cast<MemRefType>(dense.getType())))
        dense = createDense(rewriter, loc, dense);
      if (call.isDpsInit(&operand)) {
        outs.push_back(dense);
        destinations.push_back(*buffer);
        continue;
      }
      if (dense != *buffer)
        memref::CopyOp::create(rewriter, loc, *buffer, dense);
      inputs.push_back(dense);
    }
    llvm::append_range(inputs, outs);
    clone(rewriter, op, TypeRange(), inputs);
    for (auto [out, destination] : llvm::zip_equal(outs, destinations))
      if (out != destination)
        memref::CopyOp::create(rewriter, loc, out, destination);
    bufferization::replaceOpWithBufferizedValues(rewriter, op, destinations);
    return success();
  }

private:
  static bool isDense(MemRefType type) {
    SmallVector<int64_t> strides;
    int64_t offset;
    return succeeded(type.getStridesAndOffset(strides, offset)) &&
           strides == computeStrides(type.getShape());
  }

  static SmallVector<int64_t> computeStrides(ArrayRef<int64_t> shape) {
    SmallVector<int64_t> strides(shape.size(), 1);
    for (int64_t d = int64_t(shape.size()) - 2; d >= 0; --d)
      strides[d] = strides[d + 1] * shape[d + 1];
    return strides;
  }

  static Value createDense(OpBuilder &builder, Location loc, Value buffer) {
    auto type = cast<MemRefType>(buffer.getType());
    return memref::AllocOp::create(
        builder, loc, MemRefType::get(type.getShape(), type.getElementType()));
  }
};

} // namespace

bool grad::isHostCall(Operation *op) {
  return isa<CustomCallIntoOp, LapackIntoOp, SortIntoOp, FourierIntoOp>(op);
}

void grad::registerForeignCallBufferization(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, GradDialect *) {
    CustomCallIntoOp::attachInterface<CallBufferization<CustomCallIntoOp>>(
        *context);
    LapackIntoOp::attachInterface<CallBufferization<LapackIntoOp>>(*context);
    SortIntoOp::attachInterface<CallBufferization<SortIntoOp>>(*context);
    FourierIntoOp::attachInterface<CallBufferization<FourierIntoOp>>(*context);
  });
}
