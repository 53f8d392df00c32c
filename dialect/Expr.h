//===- Expr.h - Derivative rules that read like mathematics -----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The vocabulary of the `partials` strings of GradElementwise.td. An Expr is a
// tensor or scalar in the IR, or a number that has not met one yet; arithmetic
// on Exprs builds `grad` ops on tensors and their scalar forms on scalars, with
// at least one operand that is in the IR, and leaves out factors of one.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_EXPR_H
#define GRADOPT_DIALECT_EXPR_H

#include "dialect/RuleContexts.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include <functional>

namespace mlir::grad {

struct ExprBuilder;

class Expr {
public:
  Expr(double number) : number(number) {}
  Expr(ExprBuilder &context, Value value) : context(&context), value(value) {}

  bool isNumber() const { return !value; }
  bool isNumber(double n) const { return !value && number == n; }
  double getNumber() const { return number; }
  Value getValue() const { return value; }
  ExprBuilder *getContext() const { return context; }
  /// This expression as a value, of the type the rule's op has.
  Value materialize(ExprBuilder &context) const;

private:
  ExprBuilder *context = nullptr;
  Value value;
  double number = 0;
};

struct ExprBuilder {
  OpBuilder &builder;
  Location loc;
  /// The type of numbers: all operands and the result of an op have it.
  Type type = {};

  Expr use(Value value) {
    type = value.getType();
    return Expr(*this, value);
  }
  /// The result of an op, rounded to the type in which it is kept (kStoredAs).
  Expr useResult(Operation *op);
};

/// Sets the tangent of the result of `op` to the sum of `tangent_i *
/// partials[i]()` over the operands whose tangents are not symbolic zeros.
void setTangentFromPartials(Operation *op, LinearizeContext &context,
                            ArrayRef<std::function<Expr()>> partials);

Expr operator+(const Expr &lhs, const Expr &rhs);
Expr operator-(const Expr &lhs, const Expr &rhs);
Expr operator*(const Expr &lhs, const Expr &rhs);
Expr operator/(const Expr &lhs, const Expr &rhs);
Expr operator-(const Expr &x);
Expr equal(const Expr &lhs, const Expr &rhs);
Expr less(const Expr &lhs, const Expr &rhs);
Expr greater(const Expr &lhs, const Expr &rhs);
Expr select(const Expr &condition, const Expr &onTrue, const Expr &onFalse);
Expr power(const Expr &lhs, const Expr &rhs);
Expr square(const Expr &x);
Expr sqrt(const Expr &x);
Expr exp(const Expr &x);
Expr log(const Expr &x);
Expr log1p(const Expr &x);
Expr sin(const Expr &x);
Expr cos(const Expr &x);
Expr sinh(const Expr &x);
Expr cosh(const Expr &x);
Expr absolute(const Expr &x);
Expr sign(const Expr &x);
Expr round(const Expr &x);
Expr isinf(const Expr &x);
Expr logistic(const Expr &x);

//===----------------------------------------------------------------------===//
// Parts of partials that would over- or underflow, or multiply zero by
// infinity, where the partial does not. What they scale by is a power of two or
// 1, and they keep to it in derivatives of any order: what a select does not
// choose has finite derivatives, as reverse mode multiplies them by zero.
//===----------------------------------------------------------------------===//

/// 1 where an operand was chosen, 0 where it was not, 1/2 at a tie, else NaN.
Expr share(const Expr &isChosen, const Expr &isNot, const Expr &isTie);
/// x / r, for r the length of a vector with a component x; 0 if that is zero.
Expr fraction(const Expr &x, const Expr &r);
/// x / z, and where both are 0, 0.
Expr quotient(const Expr &x, const Expr &z);
/// x / (u^2 + v^2), for x one of u and v; 0 if both are.
Expr overSquares(const Expr &x, const Expr &u, const Expr &v);
/// 1 / (1 + x^2).
Expr overOnePlusSquare(const Expr &x);
/// exp(-x^2).
Expr gaussian(const Expr &x);
/// The derivative of y = base^exponent in the base.
Expr slopeOfPower(const Expr &base, const Expr &exponent, const Expr &y);
/// The derivative of y = base^exponent in the exponent.
Expr growthOfPower(const Expr &base, const Expr &exponent, const Expr &y);
/// sqrt(x^2 + 1).
Expr sqrtOfSquarePlusOne(const Expr &x);
/// sqrt(x^2 - 1) for x >= 1, else NaN.
Expr sqrtOfSquareMinusOne(const Expr &x);

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_EXPR_H
