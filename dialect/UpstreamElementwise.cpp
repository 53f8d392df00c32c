//===- UpstreamElementwise.cpp - Rules of arith and math ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An op of arith or math takes its partial derivatives from the elementwise op
// of this dialect that computes the same function; only ops without such a
// counterpart state them here. On scalars, derivatives are arith and math ops,
// which are linear ops of the transpose, too; on tensors they are ops of this
// dialect.
//
//===----------------------------------------------------------------------===//

#include "dialect/Expr.h"
#include "dialect/Models.h"
#include "dialect/Rules.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::grad;

//===----------------------------------------------------------------------===//
// Tangents
//===----------------------------------------------------------------------===//

namespace {

/// For an op that computes what `Like` computes.
template <typename Op, typename Like>
struct LinearizeLike
    : LinearizeOpInterface::ExternalModel<LinearizeLike<Op, Like>, Op> {
  LogicalResult linearize(Operation *op, LinearizeContext &context) const {
    Like::setTangentLike(op, context);
    return success();
  }
};

/// An op that computes what `Like` computes.
template <typename Op, typename Like> struct Same {
  static void attach(MLIRContext *context) {
    Op::template attachInterface<LinearizeLike<Op, Like>>(*context);
  }
};

template <typename... Pairs> void attachAll(MLIRContext *context) {
  (Pairs::attach(context), ...);
}

/// Whether x is a number.
Expr isNumber(const Expr &x) { return equal(x, x); }

} // namespace

/// The operand that is chosen is the one that is a number, if only one is.
static LogicalResult
setTangentOfChoice(Operation *op, LinearizeContext &context,
                   function_ref<Expr(const Expr &, const Expr &)> isBetter) {
  ExprBuilder e{context.primal, op->getLoc()};
  Expr lhs = e.use(op->getOperand(0)), rhs = e.use(op->getOperand(1));
  auto partial = [&](const Expr &x, const Expr &other) {
    Expr ofNumbers =
        share(isBetter(x, other), isBetter(other, x), equal(x, other));
    return select(isNumber(x), select(isNumber(other), ofNumbers, 1.0), 0.0);
  };
  setTangentFromPartials(
      op, context,
      {[&] { return partial(lhs, rhs); }, [&] { return partial(rhs, lhs); }});
  return success();
}

static LogicalResult linearizeMaxNum(arith::MaxNumFOp op,
                                     LinearizeContext &context) {
  return setTangentOfChoice(op, context, greater);
}

static LogicalResult linearizeMinNum(arith::MinNumFOp op,
                                     LinearizeContext &context) {
  return setTangentOfChoice(op, context, less);
}

/// y = x - n z, where n is x / z truncated.
static LogicalResult linearizeRemainder(arith::RemFOp op,
                                        LinearizeContext &context) {
  ExprBuilder e{context.primal, op.getLoc()};
  Expr x = e.use(op.getLhs()), z = e.use(op.getRhs()), y = e.use(op);
  setTangentFromPartials(
      op, context, {[] { return 1.0; }, [&] { return -round((x - y) / z); }});
  return success();
}

static LogicalResult linearizeFma(math::FmaOp op, LinearizeContext &context) {
  ExprBuilder e{context.primal, op.getLoc()};
  setTangentFromPartials(op, context,
                         {[&] { return e.use(op.getB()); },
                          [&] { return e.use(op.getA()); },
                          [] { return 1.0; }});
  return success();
}

/// Between bounds, of which the lower one is not above the other.
static LogicalResult linearizeClamp(math::ClampFOp op,
                                    LinearizeContext &context) {
  ExprBuilder e{context.primal, op.getLoc()};
  Expr x = e.use(op.getValue()), low = e.use(op.getMin()),
       high = e.use(op.getMax());
  auto isAbove = [](const Expr &a, const Expr &b) {
    return share(greater(a, b), less(a, b), equal(a, b));
  };
  setTangentFromPartials(op, context,
                         {[&] { return isAbove(x, low) * isAbove(high, x); },
                          [&] { return isAbove(low, x); },
                          [&] { return isAbove(x, high); }});
  return success();
}

/// The magnitude of one operand with the sign of the other one.
static LogicalResult linearizeCopySign(math::CopySignOp op,
                                       LinearizeContext &context) {
  ExprBuilder e{context.primal, op.getLoc()};
  Expr x = e.use(op.getLhs()), y = e.use(op);
  setTangentFromPartials(
      op, context, {[&] { return sign(x) * sign(y); }, [] { return 0.0; }});
  return success();
}

/// A power whose exponent is an integer.
static LogicalResult linearizeIntegerPower(math::FPowIOp op,
                                           LinearizeContext &context) {
  ExprBuilder e{context.primal, op.getLoc()};
  Expr x = e.use(op.getLhs()), y = e.use(op);
  auto slope = [&] {
    Value exponent = arith::SIToFPOp::create(context.primal, op.getLoc(),
                                             op.getType(), op.getRhs());
    return slopeOfPower(x, e.use(exponent), y);
  };
  setTangentFromPartials(op, context, {slope, [] { return 0.0; }});
  return success();
}

static LogicalResult linearizeSinCos(math::SincosOp op,
                                     LinearizeContext &context) {
  Value tangent = context.getTangent(op.getOperand());
  ExprBuilder primal{context.primal, op.getLoc()};
  ExprBuilder linear{context.linear, op.getLoc()};
  Expr t = linear.use(tangent), sine = primal.use(op.getSin()),
       cosine = primal.use(op.getCos());
  context.setTangent(op.getSin(), (t * cosine).getValue());
  context.setTangent(op.getCos(), (t * -sine).getValue());
  return success();
}

/// Locally constant.
static LogicalResult linearizeSteps(Operation *, LinearizeContext &) {
  return success();
}

//===----------------------------------------------------------------------===//
// Transposes
//===----------------------------------------------------------------------===//

static LogicalResult transposeAdd(arith::AddFOp op, TransposeContext &context) {
  Value ct = context.getCotangent(op);
  context.addCotangent(op.getLhs(), ct);
  context.addCotangent(op.getRhs(), ct);
  return success(context.areTerms(op->getOperands()));
}

static Value negative(Operation *op, OpBuilder &builder, Value x) {
  return createElementwise<NegativeOp>(builder, op->getLoc(), x);
}

static LogicalResult transposeSubtract(arith::SubFOp op,
                                       TransposeContext &context) {
  Value ct = context.getCotangent(op);
  context.addCotangent(op.getLhs(), ct);
  if (context.isLinear(op.getRhs()))
    context.addCotangent(op.getRhs(), negative(op, context.builder, ct));
  return success(context.areTerms(op->getOperands()));
}

static LogicalResult transposeNegate(arith::NegFOp op,
                                     TransposeContext &context) {
  context.addCotangent(op.getOperand(),
                       negative(op, context.builder, context.getCotangent(op)));
  return success();
}

/// The cotangent of `linear`, which `op` multiplies with `coefficient` or
/// divides by it.
template <typename Op>
static LogicalResult scale(Operation *op, TransposeContext &context,
                           Value linear, Value coefficient) {
  if (context.isLinear(coefficient))
    return failure();
  auto scale = [&](Value ct) {
    return createElementwise<Op>(context.builder, op->getLoc(),
                                 {ct, coefficient});
  };
  context.addCotangent(
      linear, scaleCotangent(context.builder, op->getLoc(),
                             context.getCotangent(op->getResult(0)), scale));
  return success();
}

static LogicalResult transposeMultiply(arith::MulFOp op,
                                       TransposeContext &context) {
  if (context.isLinear(op.getLhs()))
    return scale<MultiplyOp>(op, context, op.getLhs(), op.getRhs());
  return scale<MultiplyOp>(op, context, op.getRhs(), op.getLhs());
}

static LogicalResult transposeDivide(arith::DivFOp op,
                                     TransposeContext &context) {
  return scale<DivideOp>(op, context, op.getLhs(), op.getRhs());
}

/// A conversion between floats.
static LogicalResult transposeConversion(Operation *op,
                                         TransposeContext &context) {
  Value from = op->getOperand(0), ct = context.getCotangent(op->getResult(0));
  unsigned width = getElementTypeOrSelf(from).getIntOrFloatBitWidth();
  OpBuilder &builder = context.builder;
  Type type = from.getType();
  if (width > getElementTypeOrSelf(ct).getIntOrFloatBitWidth())
    ct = arith::ExtFOp::create(builder, op->getLoc(), type, ct);
  else
    ct = arith::TruncFOp::create(builder, op->getLoc(), type, ct);
  context.addCotangent(from, ct);
  return success();
}

//===----------------------------------------------------------------------===//
// Registration
//===----------------------------------------------------------------------===//

static void attachArith(MLIRContext *context, arith::ArithDialect *) {
  using namespace arith;
  attachAll<Same<AddFOp, AddOp>, Same<SubFOp, SubtractOp>,
            Same<MulFOp, MultiplyOp>, Same<DivFOp, DivideOp>,
            Same<NegFOp, NegativeOp>, Same<MaximumFOp, MaximumOp>,
            Same<MinimumFOp, MinimumOp>>(context);
  MaxNumFOp::attachInterface<Linearize<MaxNumFOp, linearizeMaxNum>>(*context);
  MinNumFOp::attachInterface<Linearize<MinNumFOp, linearizeMinNum>>(*context);
  RemFOp::attachInterface<Linearize<RemFOp, linearizeRemainder>>(*context);
  AddFOp::attachInterface<Transpose<AddFOp, transposeAdd>>(*context);
  SubFOp::attachInterface<Transpose<SubFOp, transposeSubtract>>(*context);
  MulFOp::attachInterface<Transpose<MulFOp, transposeMultiply>>(*context);
  DivFOp::attachInterface<Transpose<DivFOp, transposeDivide>>(*context);
  NegFOp::attachInterface<Transpose<NegFOp, transposeNegate>>(*context);
  ExtFOp::attachInterface<Linearize<ExtFOp, linearizeByItself>,
                          Transpose<ExtFOp, transposeConversion>>(*context);
  TruncFOp::attachInterface<Linearize<TruncFOp, linearizeByItself>,
                            Transpose<TruncFOp, transposeConversion>>(*context);
}

static void attachMath(MLIRContext *context, math::MathDialect *) {
  attachAll<Same<math::AbsFOp, AbsoluteOp>, Same<math::SqrtOp, SqrtOp>,
            Same<math::RsqrtOp, RsqrtOp>, Same<math::CbrtOp, CbrtOp>,
            Same<math::PowFOp, PowerOp>, Same<math::ExpOp, ExpOp>,
            Same<math::Exp2Op, Exp2Op>, Same<math::ExpM1Op, Expm1Op>,
            Same<math::LogOp, LogOp>, Same<math::Log2Op, Log2Op>,
            Same<math::Log10Op, Log10Op>, Same<math::Log1pOp, Log1pOp>,
            Same<math::SinOp, SinOp>, Same<math::CosOp, CosOp>,
            Same<math::TanOp, TanOp>, Same<math::AsinOp, ArcsinOp>,
            Same<math::AcosOp, ArccosOp>, Same<math::AtanOp, ArctanOp>,
            Same<math::Atan2Op, Arctan2Op>, Same<math::SinhOp, SinhOp>,
            Same<math::CoshOp, CoshOp>, Same<math::TanhOp, TanhOp>,
            Same<math::AsinhOp, ArcsinhOp>, Same<math::AcoshOp, ArccoshOp>,
            Same<math::AtanhOp, ArctanhOp>, Same<math::ErfOp, ErfOp>,
            Same<math::ErfcOp, ErfcOp>>(context);
  math::FmaOp::attachInterface<Linearize<math::FmaOp, linearizeFma>>(*context);
  math::ClampFOp::attachInterface<Linearize<math::ClampFOp, linearizeClamp>>(
      *context);
  math::CopySignOp::attachInterface<
      Linearize<math::CopySignOp, linearizeCopySign>>(*context);
  math::FPowIOp::attachInterface<
      Linearize<math::FPowIOp, linearizeIntegerPower>>(*context);
  math::SincosOp::attachInterface<Linearize<math::SincosOp, linearizeSinCos>>(
      *context);
  math::FloorOp::attachInterface<Linearize<math::FloorOp, linearizeSteps>>(
      *context);
  math::CeilOp::attachInterface<Linearize<math::CeilOp, linearizeSteps>>(
      *context);
  math::RoundOp::attachInterface<Linearize<math::RoundOp, linearizeSteps>>(
      *context);
  math::RoundEvenOp::attachInterface<
      Linearize<math::RoundEvenOp, linearizeSteps>>(*context);
  math::TruncOp::attachInterface<Linearize<math::TruncOp, linearizeSteps>>(
      *context);
}

void grad::registerElementwiseModels(DialectRegistry &registry) {
  registry.addExtension(attachArith);
  registry.addExtension(attachMath);
}
