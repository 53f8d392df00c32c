//===- ForeignCallsToLLVM.cpp - Calls of foreign code ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A call is handed to the runtime, `gradopt_call_target`, `gradopt_lapack`,
/// `gradopt_sort` or `gradopt_fourier`, with two tables of `gradopt_buffer`,
/// which lie on the stack.
///
//===----------------------------------------------------------------------===//

#include "passes/ForeignCallsToLLVM.h"
#include "dialect/GradDialect.h"
#include "passes/ElementTypes.h"
#include "passes/HostCalls.h"

#include "mlir/Conversion/LLVMCommon/Pattern.h"
#include "mlir/Dialect/LLVMIR/FunctionCallUtils.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace mlir::grad;

namespace {

template <typename CallIntoOp>
struct LowerCallInto : ConvertOpToLLVMPattern<CallIntoOp> {
  using Base = ConvertOpToLLVMPattern<CallIntoOp>;
  using Base::Base;
  using Base::getContext;
  using Base::getTypeConverter;

  LogicalResult
  matchAndRewrite(CallIntoOp op, typename CallIntoOp::Adaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (!llvm::all_of(op->getOperandTypes(), isSupported))
      return rewriter.notifyMatchFailure(op, "not on contiguous buffers");
    Location loc = op.getLoc();
    HostCallee callee = getHostCallee(op);
    ModuleOp module = op->template getParentOfType<ModuleOp>();
    Type word = rewriter.getI64Type();
    auto pointer = LLVM::LLVMPointerType::get(getContext());
    FailureOr<LLVM::LLVMFuncOp> function = LLVM::lookupOrCreateFn(
        rewriter, module, callee.function, {word, pointer, word, pointer, word},
        LLVM::LLVMVoidType::get(getContext()));
    if (failed(function))
      return failure();
    auto number = [&](int64_t value) {
      return LLVM::ConstantOp::create(rewriter, loc, word, value).getResult();
    };
    ArrayRef<bool> areUnsigned = callee.areUnsigned;
    size_t numInputs = std::min(op.getInputs().size(), areUnsigned.size());
    Value inputs =
        createTable(rewriter, op, op.getInputs(), adaptor.getInputs(),
                    areUnsigned.take_front(numInputs));
    Value outs = createTable(rewriter, op, op.getOuts(), adaptor.getOuts(),
                             areUnsigned.drop_front(numInputs));
    LLVM::CallOp::create(rewriter, loc, *function,
                         ValueRange{number(callee.number), inputs,
                                    number(op.getInputs().size()), outs,
                                    number(op.getOuts().size())});
    rewriter.eraseOp(op);
    return success();
  }

private:
  static bool isSupported(Type type) {
    auto buffer = dyn_cast<MemRefType>(type);
    if (!buffer ||
        (!buffer.hasStaticShape() && !buffer.getLayout().isIdentity()))
      return false;
    // Types have no signs any more.
    Type element = buffer.getElementType();
    return !element.isIndex() && !element.isUnsignedInteger() &&
           findDtype(element);
  }

  /// The address of an array of `gradopt_buffer`; `areUnsigned` is empty if no
  /// buffer is.
  Value createTable(ConversionPatternRewriter &rewriter, CallIntoOp op,
                    ValueRange buffers, ValueRange descriptors,
                    ArrayRef<bool> areUnsigned) const {
    Location loc = op.getLoc();
    auto pointer = LLVM::LLVMPointerType::get(getContext());
    if (buffers.empty())
      return LLVM::ZeroOp::create(rewriter, loc, pointer);
    Type half = rewriter.getI32Type();
    auto entry = LLVM::LLVMStructType::getLiteral(
        getContext(), {pointer, pointer, half, half});
    Value table;
    {
      // Once for a run, not for an iteration.
      OpBuilder::InsertionGuard guard(rewriter);
      auto function = op->template getParentOfType<FunctionOpInterface>();
      rewriter.setInsertionPointToStart(&function.getFunctionBody().front());
      Value count = LLVM::ConstantOp::create(
          rewriter, loc, half, rewriter.getI32IntegerAttr(buffers.size()));
      table = LLVM::AllocaOp::create(rewriter, loc, pointer, entry, count);
    }
    for (auto [i, buffer, descriptor] : llvm::enumerate(buffers, descriptors)) {
      auto type = cast<MemRefType>(buffer.getType());
      auto store = [&, i = i](Value value, int32_t field) {
        Value place = LLVM::GEPOp::create(
            rewriter, loc, pointer, entry, table,
            ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(i), field});
        LLVM::StoreOp::create(rewriter, loc, value, place);
      };
      store(MemRefDescriptor(descriptor)
                .bufferPtr(rewriter, loc, *getTypeConverter(), type),
            0);
      store(type.hasStaticShape() ? getShape(rewriter, op, type)
                                  : getSizes(rewriter, op, type, descriptor),
            1);
      store(LLVM::ConstantOp::create(rewriter, loc, half, type.getRank()), 2);
      bool isUnsigned = i < areUnsigned.size() && areUnsigned[i];
      gradopt_dtype dtype = *findDtype(type.getElementType(), isUnsigned);
      store(LLVM::ConstantOp::create(rewriter, loc, half, int32_t(dtype)), 3);
    }
    return table;
  }

  /// The address of extents that are known in the run only.
  Value getSizes(ConversionPatternRewriter &rewriter, CallIntoOp op,
                 MemRefType type, Value descriptor) const {
    Location loc = op.getLoc();
    auto pointer = LLVM::LLVMPointerType::get(getContext());
    Type word = rewriter.getI64Type();
    Value sizes;
    {
      OpBuilder::InsertionGuard guard(rewriter);
      auto function = op->template getParentOfType<FunctionOpInterface>();
      rewriter.setInsertionPointToStart(&function.getFunctionBody().front());
      Value count =
          LLVM::ConstantOp::create(rewriter, loc, word, type.getRank());
      sizes = LLVM::AllocaOp::create(rewriter, loc, pointer, word, count);
    }
    for (int32_t d = 0, e = type.getRank(); d < e; ++d) {
      Value size = MemRefDescriptor(descriptor).size(rewriter, loc, d);
      Value place = LLVM::GEPOp::create(rewriter, loc, pointer, word, sizes,
                                        ArrayRef<LLVM::GEPArg>{d});
      LLVM::StoreOp::create(rewriter, loc, size, place);
    }
    return sizes;
  }

  /// The address of the extents, which the module has once.
  Value getShape(ConversionPatternRewriter &rewriter, CallIntoOp op,
                 MemRefType type) const {
    Location loc = op.getLoc();
    auto pointer = LLVM::LLVMPointerType::get(getContext());
    if (type.getRank() == 0)
      return LLVM::ZeroOp::create(rewriter, loc, pointer);
    ModuleOp module = op->template getParentOfType<ModuleOp>();
    std::string name =
        "gradopt_shape_" +
        llvm::join(llvm::map_range(
                       type.getShape(),
                       [](int64_t extent) { return std::to_string(extent); }),
                   "x");
    if (!module.lookupSymbol<LLVM::GlobalOp>(name)) {
      OpBuilder::InsertionGuard guard(rewriter);
      rewriter.setInsertionPointToStart(module.getBody());
      LLVM::GlobalOp::create(
          rewriter, module.getLoc(),
          LLVM::LLVMArrayType::get(rewriter.getI64Type(), type.getRank()),
          /*isConstant=*/true, LLVM::Linkage::Internal, name,
          rewriter.getI64TensorAttr(type.getShape()));
    }
    return LLVM::AddressOfOp::create(rewriter, loc, pointer, name);
  }
};

} // namespace

void mlir::grad::populateForeignCallsToLLVM(const LLVMTypeConverter &converter,
                                            RewritePatternSet &patterns) {
  patterns.add<LowerCallInto<CustomCallIntoOp>, LowerCallInto<LapackIntoOp>,
               LowerCallInto<SortIntoOp>, LowerCallInto<FourierIntoOp>>(
      converter);
}
