//===- EmulateKernels.cpp - Kernels of a GPU as functions of a CPU --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-emulate-kernels`: what kernels do can be tested without a GPU. Each
/// becomes a function that runs once for each thread. Who it is, and what it
/// shares with others, it asks the emulator.
///
//===----------------------------------------------------------------------===//

#include "passes/BufferSize.h"
#include "passes/DeviceKernels.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADEMULATEKERNELS
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

namespace {

struct GradEmulateKernels
    : grad::impl::GradEmulateKernelsBase<GradEmulateKernels> {
  void runOnOperation() override;

private:
  /// Calls `name`, which is declared when it is called first.
  ValueRange call(OpBuilder &builder, Location loc, StringRef name,
                  TypeRange results, ValueRange operands = {});
  LogicalResult emulate(gpu::GPUFuncOp kernel);
  LogicalResult replace(Operation *op);
  LogicalResult replaceProduct(NVVM::MmaOp op);
  SmallVector<Value> multiplyNarrow(OpBuilder &builder, NVVM::MmaOp op);
};

} // namespace

ValueRange GradEmulateKernels::call(OpBuilder &builder, Location loc,
                                    StringRef name, TypeRange results,
                                    ValueRange operands) {
  ModuleOp module = getOperation();
  auto type = builder.getFunctionType(operands.getTypes(), results);
  if (!module.lookupSymbol(name)) {
    OpBuilder atStart = OpBuilder::atBlockBegin(module.getBody());
    func::FuncOp::create(atStart, module.getLoc(), name, type).setPrivate();
  }
  return func::CallOp::create(builder, loc, name, results, operands)
      .getResults();
}

LogicalResult GradEmulateKernels::replace(Operation *op) {
  OpBuilder builder(op);
  Location loc = op->getLoc();
  auto ask = [&](StringRef name) {
    Value number = call(builder, loc, name, builder.getI32Type()).front();
    op->getResult(0).replaceAllUsesWith(arith::IndexCastOp::create(
        builder, loc, builder.getIndexType(), number));
    op->erase();
    return success();
  };
  if (isa<gpu::ThreadIdOp>(op))
    return ask("gradopt_emulated_thread");
  if (isa<gpu::BlockIdOp>(op))
    return ask("gradopt_emulated_block");
  if (isa<gpu::BarrierOp>(op)) {
    call(builder, loc, "gradopt_emulated_barrier", {});
    op->erase();
    return success();
  }
  if (auto shuffle = dyn_cast<gpu::ShuffleOp>(op)) {
    Type word = builder.getI64Type();
    if (!shuffle.getValue().getType().isInteger(32))
      return op->emitOpError("expected an exchange of 32 bits, but got ")
             << shuffle.getValue().getType();
    if (!shuffle.getValid().use_empty())
      return op->emitOpError(
          "expected no use of whether there is another lane");
    Value value =
        arith::ExtUIOp::create(builder, loc, word, shuffle.getValue());
    int32_t kind = 0;
    switch (shuffle.getMode()) {
    case gpu::ShuffleMode::XOR:
      kind = 0;
      break;
    case gpu::ShuffleMode::DOWN:
      kind = 1;
      break;
    case gpu::ShuffleMode::UP:
      kind = 2;
      break;
    case gpu::ShuffleMode::IDX:
      kind = 3;
      break;
    }
    Value mode = arith::ConstantOp::create(builder, loc,
                                           builder.getI32IntegerAttr(kind));
    Value result = call(builder, loc, "gradopt_emulated_shuffle", word,
                        {value, shuffle.getOffset(), mode})
                       .front();
    shuffle.getShuffleResult().replaceAllUsesWith(
        arith::TruncIOp::create(builder, loc, builder.getI32Type(), result));
    op->erase();
    return success();
  }
  if (isa<gpu::ReturnOp>(op)) {
    func::ReturnOp::create(builder, loc);
    op->erase();
    return success();
  }
  if (auto product = dyn_cast<NVVM::MmaOp>(op))
    return replaceProduct(product);
  return op->emitOpError("expected an op that the emulator knows");
}

static MemRefType withoutSpace(MemRefType type) {
  return MemRefType::get(type.getShape(), type.getElementType(),
                         type.getLayout());
}

static void dropSpaceOfViews(Value buffer) {
  for (Operation *user : buffer.getUsers())
    if (isa<ViewLikeOpInterface>(user))
      for (Value view : user->getResults())
        if (auto type = dyn_cast<MemRefType>(view.getType())) {
          view.setType(withoutSpace(type));
          dropSpaceOfViews(view);
        }
}

LogicalResult GradEmulateKernels::emulate(gpu::GPUFuncOp kernel) {
  OpBuilder builder = OpBuilder::atBlockEnd(getOperation().getBody());
  // Shared memory becomes parts of one block of it.
  Block &body = kernel.getBody().front();
  OpBuilder inside = OpBuilder::atBlockBegin(&body);
  unsigned numArguments = kernel.getNumArguments();
  unsigned numShared = kernel.getNumWorkgroupAttributions();
  if (body.getNumArguments() != numArguments + numShared)
    return kernel.emitOpError("expected no private memory");
  constexpr int64_t kAlignment = 16;
  SmallVector<int64_t> offsets;
  int64_t bytes = 0;
  for (BlockArgument memory : kernel.getWorkgroupAttributions()) {
    std::optional<int64_t> size =
        getByteSize(cast<MemRefType>(memory.getType()));
    if (!size)
      return kernel.emitOpError("expected shared memory of known size");
    offsets.push_back(bytes);
    bytes += llvm::alignTo(*size, kAlignment);
  }
  Location loc = kernel.getLoc();
  Value all =
      body.addArgument(MemRefType::get(bytes, builder.getI8Type()), loc);
  for (unsigned i = 0; i < numShared; ++i) {
    BlockArgument memory = body.getArgument(numArguments + i);
    auto type = cast<MemRefType>(memory.getType());
    Value offset = arith::ConstantIndexOp::create(inside, loc, offsets[i]);
    dropSpaceOfViews(memory);
    memory.replaceAllUsesWith(memref::ViewOp::create(
        inside, loc, withoutSpace(type), all, offset, ValueRange()));
  }
  body.eraseArguments(numArguments, numShared);

  auto function = func::FuncOp::create(
      builder, loc, kernel.getName(),
      builder.getFunctionType(body.getArgumentTypes(), {}));
  function.setPrivate();
  function->setAttr(kSharedBytesAttr, builder.getI64IntegerAttr(bytes));
  if (ArrayAttr attrs = kernel.getArgAttrsAttr()) {
    SmallVector<Attribute> all(attrs.begin(), attrs.end());
    all.push_back(builder.getDictionaryAttr({}));
    function.setArgAttrsAttr(builder.getArrayAttr(all));
  }
  function.getBody().takeBody(kernel.getBody());
  SmallVector<Operation *> ops;
  function.walk([&](Operation *op) {
    if (isa<gpu::GPUDialect, NVVM::NVVMDialect>(op->getDialect()))
      ops.push_back(op);
  });
  for (Operation *op : ops)
    if (failed(replace(op)))
      return failure();
  return success();
}

/// Whether `op` multiplies matrices of narrow floats, and adds f32.
static bool isNarrowProduct(NVVM::MmaOp op) {
  auto type = op.getMultiplicandAPtxType();
  bool isNarrow = type == NVVM::MMATypes::f16 || type == NVVM::MMATypes::bf16;
  auto shape = op.getShape();
  return isNarrow && op.getMultiplicandBPtxType() == type &&
         shape.getM() == 16 && shape.getN() == 8 && shape.getK() == 16 &&
         llvm::all_of(op.getOperandC().getTypes(),
                      [](Type type) { return type.isF32(); });
}

/// The threads of a warp bring elements of two matrices, and get elements of
/// their product.
LogicalResult GradEmulateKernels::replaceProduct(NVVM::MmaOp op) {
  OpBuilder builder(op);
  Location loc = op.getLoc();
  SmallVector<Value> results;
  if (isNarrowProduct(op)) {
    results = multiplyNarrow(builder, op);
  } else {
    Type f64 = builder.getF64Type();
    if (llvm::any_of(op.getOperandTypes(),
                     [&](Type type) { return type != f64; }))
      return op.emitOpError(
          "expected matrices of f64, or of 16 x 8 x 16 f16 or bf16");
    llvm::append_range(results, call(builder, loc, "gradopt_emulated_multiply",
                                     {f64, f64}, op.getOperands()));
  }
  for (Operation *user : llvm::make_early_inc_range(op->getUsers())) {
    auto part = dyn_cast<LLVM::ExtractValueOp>(user);
    if (!part)
      return user->emitOpError("expected a part of a product");
    part.replaceAllUsesWith(results[part.getPosition().front()]);
    part.erase();
  }
  op.erase();
  return success();
}

/// Registers of 32 bits go to the emulator, and come from it, two in a word.
SmallVector<Value> GradEmulateKernels::multiplyNarrow(OpBuilder &builder,
                                                      NVVM::MmaOp op) {
  Location loc = op.getLoc();
  Type half = builder.getI32Type(), word = builder.getI64Type();
  Value shift =
      arith::ConstantOp::create(builder, loc, builder.getI64IntegerAttr(32));
  auto toWord = [&](Value value) -> Value {
    if (value.getType() != half)
      value = LLVM::BitcastOp::create(builder, loc, half, value);
    return arith::ExtUIOp::create(builder, loc, word, value);
  };
  SmallVector<Value> words;
  OperandRange operands = op.getOperands();
  for (size_t i = 0; i < operands.size(); i += 2) {
    Value high =
        arith::ShLIOp::create(builder, loc, toWord(operands[i + 1]), shift);
    words.push_back(
        arith::OrIOp::create(builder, loc, toWord(operands[i]), high));
  }
  bool isBrain = op.getMultiplicandAPtxType() == NVVM::MMATypes::bf16;
  words.push_back(arith::ConstantOp::create(
      builder, loc, builder.getI32IntegerAttr(isBrain)));
  SmallVector<Value> results;
  for (Value both : call(builder, loc, "gradopt_emulated_multiply_narrow",
                         {word, word}, words))
    for (bool isHigh : {false, true}) {
      Value part = both;
      if (isHigh)
        part = arith::ShRUIOp::create(builder, loc, both, shift);
      part = arith::TruncIOp::create(builder, loc, half, part);
      results.push_back(
          arith::BitcastOp::create(builder, loc, builder.getF32Type(), part));
    }
  return results;
}

void GradEmulateKernels::runOnOperation() {
  ModuleOp module = getOperation();
  for (auto kernels : llvm::to_vector(module.getOps<gpu::GPUModuleOp>())) {
    for (auto kernel : llvm::to_vector(kernels.getOps<gpu::GPUFuncOp>()))
      if (failed(emulate(kernel)))
        return signalPassFailure();
    kernels.erase();
  }
  module->removeAttr(gpu::GPUDialect::getContainerModuleAttrName());
}
