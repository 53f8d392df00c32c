//===- GradElementwise.td - Elementwise ops, one record each ---*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A record states the op's name (NumPy's), its operands, its scalar lowering
// and its partial derivatives. From the partials p_i follow both modes:
//
//   tangent   = sum_i tangent_i * p_i          cotangent_i = cotangent * p_i
//
// A partial is an expression over the operands by name and the result, `y`, in
// the vocabulary of Expr.h. It is built only for an active operand. "zero"
// marks an operand the op is locally constant in; a record of bool or integer
// result has no partials.
//
// A scalar lowering is an expression in the vocabulary of Scalar.h over `s`,
// the elements of the operands.
//
//===----------------------------------------------------------------------===//

#ifndef GRAD_ELEMENTWISE_TD
#define GRAD_ELEMENTWISE_TD

include "GradElementwiseBase.td"

class Grad_UnaryOp<string mnemonic, string scalar, string partial,
                   list<Trait> traits = []>
    : Grad_DifferentiableOp<mnemonic, ["x"], scalar, [partial], traits> {
  let arguments = (ins Grad_SizedNumberTensor:$x);
  let assemblyFormat = "$x attr-dict `:` type($result)";
}

/// A unary function of floats only.
class Grad_FloatUnaryOp<string mnemonic, string scalar, string partial,
                        list<Trait> traits = []>
    : Grad_UnaryOp<mnemonic, scalar, partial, traits> {
  let arguments = (ins Grad_SizedFloatTensor:$x);
}

/// A function of floats that is analytic, so that it is one of complex numbers,
/// with the same derivative.
class Grad_AnalyticOp<string mnemonic, string op, string partial,
                      list<Trait> traits = []>
    : Grad_UnaryOp<mnemonic, "s.analytic<" # op # ">()", partial, traits> {
  let arguments = (ins Grad_SizedInexactTensor:$x);
}

class Grad_BinaryOp<string mnemonic, string scalar, list<string> partials,
                    list<Trait> traits = []>
    : Grad_DifferentiableOp<mnemonic, ["lhs", "rhs"], scalar, partials, traits> {
  let arguments = (ins Grad_SizedNumberTensor:$lhs, Grad_SizedNumberTensor:$rhs);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($result)";
}

class Grad_RealBinaryOp<string mnemonic, string scalar, list<string> partials,
                        list<Trait> traits = []>
    : Grad_BinaryOp<mnemonic, scalar, partials, traits> {
  let arguments = (ins Grad_SizedRealTensor:$lhs, Grad_SizedRealTensor:$rhs);
}

class Grad_InexactBinaryOp<string mnemonic, string scalar, list<string> partials,
                           list<Trait> traits = []>
    : Grad_BinaryOp<mnemonic, scalar, partials, traits> {
  let arguments = (ins Grad_SizedInexactTensor:$lhs, Grad_SizedInexactTensor:$rhs);
}

class Grad_FloatBinaryOp<string mnemonic, string scalar, list<string> partials,
                         list<Trait> traits = []>
    : Grad_BinaryOp<mnemonic, scalar, partials, traits> {
  let arguments = (ins Grad_SizedFloatTensor:$lhs, Grad_SizedFloatTensor:$rhs);
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

def Grad_AddOp : Grad_BinaryOp<"add",
    "s.sum()", ["1.0", "1.0"],
    [Commutative, DeclareOpInterfaceMethods<TransposeOpInterface>]> {
  let summary = "sum of two tensors";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Grad_SubtractOp : Grad_BinaryOp<"subtract",
    "s.difference()", ["1.0", "-1.0"],
    [DeclareOpInterfaceMethods<TransposeOpInterface>]> {
  let summary = "difference of two tensors";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Grad_MultiplyOp : Grad_BinaryOp<"multiply",
    "s.product()", ["rhs", "lhs"],
    [Commutative, DeclareOpInterfaceMethods<TransposeOpInterface>]> {
  let summary = "product of two tensors, elementwise";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Grad_DivideOp : Grad_InexactBinaryOp<"divide", "s.quotient()", ["1.0 / rhs", "-(y / rhs)"],
    [DeclareOpInterfaceMethods<TransposeOpInterface>]> {
  let summary = "true quotient of two tensors of floats or complex numbers";
  let hasFolder = 1;
}

def Grad_PowerOp : Grad_InexactBinaryOp<"power",
    "s.analytic<math::PowFOp>()",
    ["slopeOfPower(lhs, rhs, y)", "growthOfPower(lhs, rhs, y)"]> {
  let summary = "`lhs` raised to `rhs`, both floats or complex numbers";
  let description = [{
    Values as C's `pow`. At `rhs = 0` the partial in `lhs` is 0, and at
    `lhs = 0` the partial in `rhs` is 0, the limits from the right. At infinite
    exponents derivatives are the limits, 0 where the value is 0.
    Of complex numbers it is exp(rhs * log(lhs)), and 1 where `rhs` is 0.
  }];
  let hasCanonicalizer = 1;
}

def Grad_MaximumOp : Grad_RealBinaryOp<"maximum",
    "s.op<arith::MaximumFOp, arith::MaxSIOp, arith::MaxUIOp>()",
    ["share(greater(lhs, rhs), less(lhs, rhs), equal(lhs, rhs))",
     "share(less(lhs, rhs), greater(lhs, rhs), equal(lhs, rhs))"],
    [Commutative]> {
  let summary = "larger of two elements; NaN if either is NaN";
  let description = "At a tie each operand gets half of the cotangent, at NaN both get NaN.";
}

def Grad_MinimumOp : Grad_RealBinaryOp<"minimum",
    "s.op<arith::MinimumFOp, arith::MinSIOp, arith::MinUIOp>()",
    ["share(less(lhs, rhs), greater(lhs, rhs), equal(lhs, rhs))",
     "share(greater(lhs, rhs), less(lhs, rhs), equal(lhs, rhs))"],
    [Commutative]> {
  let summary = "smaller of two elements; NaN if either is NaN";
  let description = "At a tie each operand gets half of the cotangent, at NaN both get NaN.";
}

def Grad_Arctan2Op : Grad_FloatBinaryOp<"arctan2",
    "s.arctan2()",
    ["overSquares(rhs, lhs, rhs)", "-overSquares(lhs, lhs, rhs)"]> {
  let summary = "angle of the point (rhs, lhs); its derivatives at 0 are 0";
}

def Grad_HypotOp : Grad_FloatBinaryOp<"hypot",
    "s.hypot()", ["fraction(lhs, y)", "fraction(rhs, y)"], [Commutative]> {
  let summary = "length of the vector (lhs, rhs); its derivatives at 0 are 0";
}

def Grad_NegativeOp : Grad_UnaryOp<"negative", "s.negative()", "-1.0",
    [DeclareOpInterfaceMethods<TransposeOpInterface>]> {
  let summary = "negative";
  let hasFolder = 1;
}

def Grad_AbsoluteOp : Grad_UnaryOp<"absolute",
    "s.absolute()", "sign(x)"> {
  let summary = "absolute value; the derivative at 0 is 0";
  let arguments = (ins Grad_SizedRealTensor:$x);
}

def Grad_SignOp : Grad_UnaryOp<"sign", "s.sign()", "zero"> {
  let summary = "-1, 0 or 1; NaN at NaN";
  let arguments = (ins Grad_SizedRealTensor:$x);
}

def Grad_SquareOp : Grad_UnaryOp<"square", "s.square()", "2.0 * x"> {
  let summary = "square";
}

def Grad_ReciprocalOp : Grad_UnaryOp<"reciprocal", "s.reciprocal()", "-square(y)"> {
  let summary = "1 / x";
  let arguments = (ins Grad_SizedInexactTensor:$x);
}

def Grad_SqrtOp : Grad_AnalyticOp<"sqrt", "math::SqrtOp", "0.5 / y"> {
  let summary = "square root";
}

def Grad_RsqrtOp : Grad_FloatUnaryOp<"rsqrt",
    "s.divide(s.constant(1.0), s.apply<math::SqrtOp>(s[0]))", "-0.5 * (y / x)"> {
  let summary = "1 / sqrt(x)";
}

def Grad_CbrtOp : Grad_FloatUnaryOp<"cbrt", "s.op<math::CbrtOp>()",
    "0.333333333333333333333 * square(1.0 / y)"> {
  let summary = "cube root, of negative numbers too";
}

//===----------------------------------------------------------------------===//
// Exponentials and logarithms
//===----------------------------------------------------------------------===//

def Grad_ExpOp : Grad_AnalyticOp<"exp", "math::ExpOp", "y"> {
  let summary = "e to the x";
}

def Grad_Exp2Op : Grad_AnalyticOp<"exp2", "math::Exp2Op",
    "y * 0.693147180559945309417"> {
  let summary = "2 to the x";
}

def Grad_Expm1Op : Grad_AnalyticOp<"expm1", "math::ExpM1Op", "exp(x)"> {
  let summary = "exp(x) - 1, accurate near 0";
}

def Grad_LogOp : Grad_AnalyticOp<"log", "math::LogOp", "1.0 / x"> {
  let summary = "natural logarithm";
}

def Grad_Log2Op : Grad_AnalyticOp<"log2", "math::Log2Op",
    "1.44269504088896340736 / x"> {
  let summary = "logarithm to base 2";
}

def Grad_Log10Op : Grad_AnalyticOp<"log10", "math::Log10Op",
    "0.434294481903251827651 / x"> {
  let summary = "logarithm to base 10";
}

def Grad_Log1pOp : Grad_AnalyticOp<"log1p", "math::Log1pOp",
    "1.0 / (1.0 + x)"> {
  let summary = "log(1 + x), accurate near 0";
}

def Grad_XlogyOp : Grad_FloatBinaryOp<"xlogy",
    "s.times(s.apply<math::LogOp>(s[1]))", ["log(rhs)", "quotient(lhs, rhs)"]> {
  let summary = "lhs * log(rhs); 0 where lhs is 0 and rhs not NaN";
}

def Grad_Xlog1pyOp : Grad_FloatBinaryOp<"xlog1py",
    "s.times(s.apply<math::Log1pOp>(s[1]))",
    ["log1p(rhs)", "quotient(lhs, 1.0 + rhs)"]> {
  let summary = "lhs * log1p(rhs); 0 where lhs is 0 and rhs not NaN";
}

def Grad_LogisticOp : Grad_FloatUnaryOp<"logistic", "s.logistic()",
    "y * logistic(-x)"> {
  let summary = "1 / (1 + exp(-x))";
}

//===----------------------------------------------------------------------===//
// Trigonometric and hyperbolic functions
//===----------------------------------------------------------------------===//

def Grad_SinOp : Grad_AnalyticOp<"sin", "math::SinOp", "cos(x)"> {
  let summary = "sine, of radians";
}

def Grad_CosOp : Grad_AnalyticOp<"cos", "math::CosOp", "-sin(x)"> {
  let summary = "cosine, of radians";
}

def Grad_TanOp : Grad_AnalyticOp<"tan", "math::TanOp", "1.0 + square(y)"> {
  let summary = "tangent, of radians";
}

def Grad_ArcsinOp : Grad_AnalyticOp<"arcsin", "math::AsinOp",
    "1.0 / sqrt((1.0 - x) * (1.0 + x))"> {
  let summary = "inverse sine";
}

def Grad_ArccosOp : Grad_AnalyticOp<"arccos", "math::AcosOp",
    "-1.0 / sqrt((1.0 - x) * (1.0 + x))"> {
  let summary = "inverse cosine";
}

def Grad_ArctanOp : Grad_AnalyticOp<"arctan", "math::AtanOp",
    "overOnePlusSquare(x)"> {
  let summary = "inverse tangent";
}

def Grad_SinhOp : Grad_AnalyticOp<"sinh", "math::SinhOp", "cosh(x)"> {
  let summary = "hyperbolic sine";
}

def Grad_CoshOp : Grad_AnalyticOp<"cosh", "math::CoshOp", "sinh(x)"> {
  let summary = "hyperbolic cosine";
}

def Grad_TanhOp : Grad_AnalyticOp<"tanh", "math::TanhOp", "1.0 - y * y"> {
  let summary = "hyperbolic tangent";
}

def Grad_ArcsinhOp : Grad_AnalyticOp<"arcsinh", "math::AsinhOp",
    "1.0 / sqrtOfSquarePlusOne(x)"> {
  let summary = "inverse hyperbolic sine";
}

def Grad_ArccoshOp : Grad_AnalyticOp<"arccosh", "math::AcoshOp",
    "1.0 / sqrtOfSquareMinusOne(x)"> {
  let summary = "inverse hyperbolic cosine";
}

def Grad_ArctanhOp : Grad_AnalyticOp<"arctanh", "math::AtanhOp",
    "1.0 / ((1.0 - x) * (1.0 + x))"> {
  let summary = "inverse hyperbolic tangent";
}

def Grad_ErfOp : Grad_FloatUnaryOp<"erf", "s.op<math::ErfOp>()",
    "1.12837916709551257390 * gaussian(x)"> {
  let summary = "error function";
}

def Grad_ErfcOp : Grad_FloatUnaryOp<"erfc", "s.op<math::ErfcOp>()",
    "-1.12837916709551257390 * gaussian(x)"> {
  let summary = "complementary error function, 1 - erf(x)";
}

def Grad_ErfinvOp : Grad_FloatUnaryOp<"erfinv", "s.inverseErf()",
    "0.886226925452758013649 * exp(square(y))"> {
  let summary = "inverse of the error function; NaN beyond -1 and 1";
}

//===----------------------------------------------------------------------===//
// Rounding
//===----------------------------------------------------------------------===//

def Grad_FloorOp : Grad_FloatUnaryOp<"floor", "s.op<math::FloorOp>()", "zero"> {
  let summary = "largest integer not above x";
}

def Grad_CeilOp : Grad_FloatUnaryOp<"ceil", "s.op<math::CeilOp>()", "zero"> {
  let summary = "smallest integer not below x";
}

def Grad_RoundOp : Grad_FloatUnaryOp<"round", "s.op<math::RoundEvenOp>()", "zero"> {
  let summary = "nearest integer, half to even";
}

//===----------------------------------------------------------------------===//
// Comparisons, predicates and logic: results without derivatives
//===----------------------------------------------------------------------===//

class Grad_PredicateOp<string mnemonic, list<string> names, string scalar,
                       list<Trait> traits = []>
    : Grad_ElementwiseBase<mnemonic, names, scalar,
        !listconcat([SameTypeOperands, SameOperandsAndResultShape,
                     InferTypeOpAdaptor], traits)> {
  let results = (outs Grad_SizedBoolTensor:$result);
  let extraClassDefinition = scalarDefinition # [{
    ::llvm::LogicalResult $cppClass::inferReturnTypes(
        ::mlir::MLIRContext *context, ::std::optional<::mlir::Location>,
        Adaptor adaptor, ::llvm::SmallVectorImpl<::mlir::Type> &types) {
      auto type = ::llvm::cast<::mlir::ShapedType>(adaptor.getOperands()[0].getType());
      types.push_back(type.clone(::mlir::IntegerType::get(context, 1)));
      return ::mlir::success();
    }
  }];
}

class Grad_CompareOp<string mnemonic, string floatPredicate, string signedPredicate,
                     string unsignedPredicate, list<Trait> traits = []>
    : Grad_PredicateOp<mnemonic, ["lhs", "rhs"],
        "s.compare(arith::CmpFPredicate::" # floatPredicate
        # ", arith::CmpIPredicate::" # signedPredicate
        # ", arith::CmpIPredicate::" # unsignedPredicate # ")", traits> {
  let arguments = (ins Grad_SizedOrderedTensor:$lhs, Grad_SizedOrderedTensor:$rhs);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($lhs)";
  let description = "False where an operand is NaN, except for not_equal. "
                    "Bools compare as 0 and 1.";
  let hasFolder = 1;
}

def Grad_EqualOp : Grad_CompareOp<"equal", "OEQ", "eq", "eq", [Commutative]> {
  let summary = "lhs == rhs";
  let arguments = (ins Grad_SizedTensor:$lhs, Grad_SizedTensor:$rhs);
}
def Grad_NotEqualOp : Grad_CompareOp<"not_equal", "UNE", "ne", "ne", [Commutative]> {
  let summary = "lhs != rhs";
  let arguments = (ins Grad_SizedTensor:$lhs, Grad_SizedTensor:$rhs);
}
def Grad_LessOp : Grad_CompareOp<"less", "OLT", "slt", "ult"> {
  let summary = "lhs < rhs";
}
def Grad_LessEqualOp : Grad_CompareOp<"less_equal", "OLE", "sle", "ule"> {
  let summary = "lhs <= rhs";
}
def Grad_GreaterOp : Grad_CompareOp<"greater", "OGT", "sgt", "ugt"> {
  let summary = "lhs > rhs";
}
def Grad_GreaterEqualOp : Grad_CompareOp<"greater_equal", "OGE", "sge", "uge"> {
  let summary = "lhs >= rhs";
}

class Grad_TestOp<string mnemonic, string scalar>
    : Grad_PredicateOp<mnemonic, ["x"], scalar> {
  let arguments = (ins Grad_SizedInexactTensor:$x);
  let assemblyFormat = "$x attr-dict `:` type($x)";
  let description = "The result is a tensor of bools. Of complex numbers, either part counts for NaN and "
                    "infinity, both for finite.";
}

def Grad_IsnanOp : Grad_TestOp<"isnan", "s.isnan()"> {
  let summary = "whether x is not a number";
}
def Grad_IsinfOp : Grad_TestOp<"isinf", "s.isinf()"> {
  let summary = "whether x is an infinity";
}
def Grad_IsfiniteOp : Grad_TestOp<"isfinite", "s.isfinite()"> {
  let summary = "whether x is neither NaN nor an infinity";
}

class Grad_LogicalOp<string mnemonic, string scalar, list<Trait> traits = []>
    : Grad_ElementwiseBase<mnemonic, ["lhs", "rhs"], scalar,
        !listconcat([SameOperandsAndResultType], traits)> {
  let description = "Elementwise. Has no derivative.";
  let arguments = (ins Grad_SizedBoolTensor:$lhs, Grad_SizedBoolTensor:$rhs);
  let results = (outs Grad_SizedBoolTensor:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($result)";
}

def Grad_LogicalAndOp : Grad_LogicalOp<"logical_and", "s.op<arith::AndIOp>()", [Commutative]> {
  let summary = "lhs and rhs, of bools";
}
def Grad_LogicalOrOp : Grad_LogicalOp<"logical_or", "s.op<arith::OrIOp>()", [Commutative]> {
  let summary = "lhs or rhs, of bools";
}
def Grad_LogicalXorOp : Grad_LogicalOp<"logical_xor", "s.op<arith::XOrIOp>()", [Commutative]> {
  let summary = "lhs exclusive-or rhs, of bools";
}
def Grad_LogicalNotOp
    : Grad_ElementwiseBase<"logical_not", ["x"], "s.invert()",
                           [SameOperandsAndResultType, Involution]> {
  let summary = "not x, of bools";
  let description = "Elementwise. Has no derivative.";
  let arguments = (ins Grad_SizedBoolTensor:$x);
  let results = (outs Grad_SizedBoolTensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($result)";
}

//===----------------------------------------------------------------------===//
// Integers: quotients and bits
//===----------------------------------------------------------------------===//

class Grad_IntegerBinaryOp<string mnemonic, string scalar, list<Trait> traits = []>
    : Grad_ElementwiseBase<mnemonic, ["lhs", "rhs"], scalar,
        !listconcat([SameOperandsAndResultType], traits)> {
  let arguments = (ins Grad_SizedIntegerTensor:$lhs, Grad_SizedIntegerTensor:$rhs);
  let results = (outs Grad_SizedIntegerTensor:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($result)";
}

def Grad_FloorDivideOp : Grad_IntegerBinaryOp<"floor_divide", "s.floorDivide()"> {
  let summary = "largest integer not above the quotient of two integers";
  let description = "0 where `rhs` is 0; modulo 2^n where the quotient has no place.";
}
def Grad_RemainderOp : Grad_IntegerBinaryOp<"remainder", "s.remainder()"> {
  let summary = "remainder of two integers, with the sign of `rhs`";
  let description = "What `floor_divide` leaves; 0 where `rhs` is 0.";
}
def Grad_FmodOp : Grad_IntegerBinaryOp<"fmod", "s.truncatedRemainder()"> {
  let summary = "remainder of two integers, with the sign of `lhs`";
  let description = "What a quotient rounded toward 0 leaves; 0 where `rhs` is 0.";
}

class Grad_BitwiseOp<string mnemonic, string scalar>
    : Grad_IntegerBinaryOp<"bitwise_" # mnemonic, scalar, [Commutative]> {
  let description = "Of integers; bools have `grad.logical_" # mnemonic # "`.";
}

def Grad_BitwiseAndOp : Grad_BitwiseOp<"and", "s.op<arith::AndIOp>()"> {
  let summary = "lhs and rhs, bit by bit";
}
def Grad_BitwiseOrOp : Grad_BitwiseOp<"or", "s.op<arith::OrIOp>()"> {
  let summary = "lhs or rhs, bit by bit";
}
def Grad_BitwiseXorOp : Grad_BitwiseOp<"xor", "s.op<arith::XOrIOp>()"> {
  let summary = "lhs exclusive-or rhs, bit by bit";
}
def Grad_LeftShiftOp : Grad_IntegerBinaryOp<"left_shift", "s.shiftLeft()"> {
  let summary = "lhs times 2^rhs, modulo 2^n";
  let description = "0 where `rhs` is negative or not less than the number of bits.";
}
def Grad_RightShiftOp : Grad_IntegerBinaryOp<"right_shift", "s.shiftRight()"> {
  let summary = "largest integer not above lhs / 2^rhs";
  let description = "Where `rhs` is negative or not less than the number of bits, "
                    "-1 for a negative `lhs`, else 0.";
}
def Grad_InvertOp
    : Grad_ElementwiseBase<"invert", ["x"], "s.invert()",
                           [SameOperandsAndResultType, Involution]> {
  let summary = "not x, bit by bit";
  let description = "Of integers; bools have `grad.logical_not`.";
  let arguments = (ins Grad_SizedIntegerTensor:$x);
  let results = (outs Grad_SizedIntegerTensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($result)";
}

//===----------------------------------------------------------------------===//
// Parts of complex numbers
//===----------------------------------------------------------------------===//

class Grad_PartsOp<string mnemonic, list<string> names, string scalar>
    : Grad_ElementwiseBase<mnemonic, names, scalar,
        [SameTypeOperands, SameOperandsAndResultShape, InferTypeOpAdaptor,
         DeclareOpInterfaceMethods<LinearizeOpInterface>,
         DeclareOpInterfaceMethods<TransposeOpInterface>]>;

def Grad_ComplexOp : Grad_PartsOp<"complex", ["re", "im"], "s.complex()"> {
  let summary = "complex numbers with these real and imaginary parts";
  let description = [{
    The real part of a complex number is `grad.convert`. Both are linear over the
    real numbers only: their transposes are those in Re(cotangent * tangent).

    ```mlir
    %z = grad.complex %x, %y : tensor<3xf64>
    ```
  }];
  let arguments = (ins Grad_SizedWideFloatTensor:$re, Grad_SizedWideFloatTensor:$im);
  let results = (outs Grad_SizedComplexTensor:$result);
  let assemblyFormat = "$re `,` $im attr-dict `:` type($re)";
}

def Grad_ImagOp : Grad_PartsOp<"imag", ["x"], "s.imag()"> {
  let summary = "imaginary parts of complex numbers";
  let arguments = (ins Grad_SizedComplexTensor:$x);
  let results = (outs Grad_SizedWideFloatTensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x)";
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// Select and convert: elementwise, with rules of their own
//===----------------------------------------------------------------------===//

def Grad_SelectOp
    : Grad_ElementwiseBase<"select", ["condition", "on_true", "on_false"],
        "s.apply<arith::SelectOp>(s[0], s[1], s[2])",
        [AllTypesMatch<["on_true", "on_false", "result"]>,
         SameOperandsAndResultShape,
         DeclareOpInterfaceMethods<LinearizeOpInterface>,
         DeclareOpInterfaceMethods<TransposeOpInterface>]> {
  let summary = "elements of `on_true` where `condition` holds, else of `on_false`";
  let description = [{
    Linear in both values: a cotangent goes to the one that was chosen, zero to
    the other.

    ```mlir
    %y = grad.select %p, %a, %b : tensor<4xi1>, tensor<4xf64>
    ```
  }];
  let arguments = (ins Grad_SizedBoolTensor:$condition, Grad_SizedTensor:$on_true,
                       Grad_SizedTensor:$on_false);
  let results = (outs Grad_SizedTensor:$result);
  let assemblyFormat = "$condition `,` $on_true `,` $on_false attr-dict "
                       "`:` type($condition) `,` type($result)";
  let hasFolder = 1;
}

def Grad_ConvertOp
    : Grad_Op<"convert",
        [DeclareOpInterfaceMethods<ElementwiseOpInterface>,
         SameOperandsAndResultShape,
         InferTypeOpAdaptor,
         DeclareOpInterfaceMethods<LinearizeOpInterface>,
         DeclareOpInterfaceMethods<TransposeOpInterface>]> {
  let summary = "conversion to another element type, as NumPy's `astype`";
  let description = [{
    To bool: whether the element is not zero. Float to integer truncates toward
    zero; NaN and what is out of range become the smallest i64 or, for
    narrower types, the low bits of the smallest i32, which is what NumPy has on
    x86-64. To ui32 and ui64, floats from 2^31 or 2^63 on are converted as their
    difference from that, to which it is added again. Between integers, what has
    no place is taken modulo 2^n. Floats are rounded once, to nearest even, but
    that integers become narrow floats through f32. A complex number becomes its real part, and is
    made of one. Only conversions between floats and complex numbers have
    derivatives.
  }];
  let arguments = (ins Grad_SizedTensor:$x, TypeAttrOf<Grad_Element>:$dtype);
  let results = (outs Grad_SizedTensor:$result);
  let assemblyFormat = "$x `to` $dtype attr-dict `:` type($x)";
  let extraClassDefinition = [{
    ::mlir::Value $cppClass::emitScalar(::mlir::OpBuilder &builder,
                                        ::mlir::Location loc,
                                        ::mlir::ValueRange scalars,
                                        bool areUnsigned) {
      return Scalar{builder, loc, scalars, areUnsigned}.convert(getDtype());
    }
  }];
  let hasFolder = 1;
}

#endif // GRAD_ELEMENTWISE_TD
