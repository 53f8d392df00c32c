//===- ConvertMathToGradopt.cpp - Elementary functions become calls -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `convert-math-to-gradopt`: scalar operations of the math dialect, and
/// special functions of numbers, become calls of the functions in runtime/math,
/// whose bitcode code generation links in and inlines, for LLVM to vectorize
/// the loops around them, and in runtime/special.
///
/// Operations with an exact LLVM intrinsic (sqrt, fma, floor, ceil, trunc,
/// round, roundeven, absf, copysign, bit counts) are left to
/// `convert-math-to-llvm`, operations on vectors to whoever made them.
///
//===----------------------------------------------------------------------===//

#include "dialect/SpecialFunction.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/TypeSwitch.h"

namespace mlir::grad {
#define GEN_PASS_DEF_CONVERTMATHTOGRADOPT
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;

namespace {

/// Replaces operations of one module and declares the functions they need.
class MathToCalls {
public:
  explicit MathToCalls(Operation *module)
      : module(module), rewriter(module->getContext()) {}

  /// Replaces `op` if the library or simpler operations can do its work.
  void convert(Operation *op);

private:
  /// A call of gradopt_<name>_<type of the operands>, declared at first use.
  Value call(Location loc, StringRef name, ValueRange operands);

  /// The same for any scalar float type: narrow ones are computed in f32.
  Value callInSupportedType(Location loc, StringRef name, ValueRange operands);

  Value constant(Location loc, Type type, double value) {
    return arith::ConstantOp::create(rewriter, loc,
                                     FloatAttr::get(type, value));
  }
  Value infinity(Location loc, Type type) {
    auto semantics = APFloat::getInf(cast<FloatType>(type).getFloatSemantics());
    return arith::ConstantOp::create(rewriter, loc,
                                     FloatAttr::get(type, semantics));
  }

  SmallVector<Value> expand(Operation *op);

  Operation *module; ///< Has symbols.
  IRRewriter rewriter;
};

/// The name in the library of a function that an operation is exactly.
StringRef getFunctionName(Operation *op) {
  static const llvm::StringSet<> functions = {
      "acos",  "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt",
      "cos",   "cosh",  "erf",  "erfc",  "exp",  "exp2",  "expm1", "log",
      "log10", "log1p", "log2", "sin",   "sinh", "tan",   "tanh"};
  if (isa<math::PowFOp>(op))
    return "pow";
  if (grad::isSpecialFunction(op))
    return op->getName().stripDialect();
  StringRef mnemonic = op->getName().stripDialect();
  return functions.contains(mnemonic) ? mnemonic : StringRef();
}

Value MathToCalls::call(Location loc, StringRef name, ValueRange operands) {
  Type type = operands.front().getType();
  std::string symbol = ("gradopt_" + name + (type.isInteger() ? "_i" : "_f") +
                        Twine(type.getIntOrFloatBitWidth()))
                           .str();
  if (!SymbolTable::lookupSymbolIn(module, symbol)) {
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPointToStart(&module->getRegion(0).front());
    auto function = func::FuncOp::create(
        rewriter, module->getLoc(), symbol,
        rewriter.getFunctionType(operands.getTypes(), type));
    function.setPrivate();
    function->setAttr(LLVM::LLVMDialect::getReadnoneAttrName(),
                      rewriter.getUnitAttr());
  }
  return func::CallOp::create(rewriter, loc, symbol, type, operands)
      .getResult(0);
}

Value MathToCalls::callInSupportedType(Location loc, StringRef name,
                                       ValueRange operands) {
  Type type = operands.front().getType();
  if (type.getIntOrFloatBitWidth() >= 32)
    return call(loc, name, operands);
  SmallVector<Value> wide;
  for (Value operand : operands)
    wide.push_back(
        arith::ExtFOp::create(rewriter, loc, rewriter.getF32Type(), operand));
  return arith::TruncFOp::create(rewriter, loc, type, call(loc, name, wide));
}

/// What to replace the results of `op` by; nothing if it is to stay.
SmallVector<Value> MathToCalls::expand(Operation *op) {
  Location loc = op->getLoc();
  auto compare = [&](arith::CmpFPredicate predicate, Value lhs, Value rhs) {
    return arith::CmpFOp::create(rewriter, loc, predicate, lhs, rhs);
  };
  if (StringRef name = getFunctionName(op); !name.empty())
    return {callInSupportedType(loc, name, op->getOperands())};

  return llvm::TypeSwitch<Operation *, SmallVector<Value>>(op)
      .Case([&](math::SincosOp op) -> SmallVector<Value> {
        return {callInSupportedType(loc, "sin", op.getOperand()),
                callInSupportedType(loc, "cos", op.getOperand())};
      })
      .Case([&](math::ClampFOp op) -> SmallVector<Value> {
        Value below = arith::MinimumFOp::create(rewriter, loc, op.getValue(),
                                                op.getMax());
        return {arith::MaximumFOp::create(rewriter, loc, below, op.getMin())};
      })
      .Case([&](math::RsqrtOp op) -> SmallVector<Value> {
        Value root = math::SqrtOp::create(rewriter, loc, op.getOperand());
        Value one = constant(loc, op.getType(), 1);
        return {arith::DivFOp::create(rewriter, loc, one, root)};
      })
      // x to an integer is x to the same number, which f64 and, for any power
      // that is neither 0, 1 nor infinite, f32 can hold.
      .Case([&](math::FPowIOp op) -> SmallVector<Value> {
        Value exponent = arith::SIToFPOp::create(
            rewriter, loc, rewriter.getF64Type(), op.getRhs());
        Value base = op.getLhs();
        if (!base.getType().isF64())
          base =
              arith::ExtFOp::create(rewriter, loc, rewriter.getF64Type(), base);
        Value power = call(loc, "pow", {base, exponent});
        if (!op.getType().isF64())
          power = arith::TruncFOp::create(rewriter, loc, op.getType(), power);
        return {power};
      })
      // Modulo 2^64 is enough to know the result modulo any smaller power.
      .Case([&](math::IPowIOp op) -> SmallVector<Value> {
        Type wide = rewriter.getI64Type();
        unsigned width = op.getType().getIntOrFloatBitWidth();
        if (width > 64)
          return {};
        SmallVector<Value> operands(op->getOperands());
        if (width < 64)
          for (Value &operand : operands)
            operand = arith::ExtSIOp::create(rewriter, loc, wide, operand);
        Value power = call(loc, "ipow", operands);
        if (width < 64)
          power = arith::TruncIOp::create(rewriter, loc, op.getType(), power);
        return {power};
      })
      .Case([&](math::IsNaNOp op) -> SmallVector<Value> {
        return {compare(arith::CmpFPredicate::UNO, op.getOperand(),
                        op.getOperand())};
      })
      .Case<math::IsInfOp, math::IsFiniteOp>(
          [&](Operation *op) -> SmallVector<Value> {
            Value x = op->getOperand(0);
            Value magnitude = math::AbsFOp::create(rewriter, loc, x);
            auto predicate = isa<math::IsInfOp>(op) ? arith::CmpFPredicate::OEQ
                                                    : arith::CmpFPredicate::OLT;
            return {compare(predicate, magnitude, infinity(loc, x.getType()))};
          })
      .Default([](Operation *) { return SmallVector<Value>(); });
}

void MathToCalls::convert(Operation *op) {
  if (op->getNumOperands() == 0 ||
      (!isa_and_nonnull<math::MathDialect>(op->getDialect()) &&
       !grad::isSpecialFunction(op)))
    return;
  // Floats the library does not know, such as f128, are not ours either.
  for (Type type : op->getOperandTypes())
    if (!isa<Float16Type, BFloat16Type, Float32Type, Float64Type, IntegerType>(
            type))
      return;
  rewriter.setInsertionPoint(op);
  SmallVector<Value> replacements = expand(op);
  if (!replacements.empty())
    rewriter.replaceOp(op, replacements);
}

struct ConvertMathToGradopt
    : public grad::impl::ConvertMathToGradoptBase<ConvertMathToGradopt> {
  void runOnOperation() override {
    MathToCalls converter(getOperation());
    getOperation()->walk([&](Operation *op) { converter.convert(op); });
  }
};

} // namespace
