//===- GradSpecial.td - Special functions, one record each -----*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Elementwise functions that the math library computes (runtime/math and
// runtime/special), under the names of scipy.special. They have no scalar
// lowering: an op of this kind is one of floats, too, until
// `convert-math-to-gradopt` calls the function of its name.
//
// A record states the op's name, its operands and its partial derivatives as
// those of GradElementwise.td do; `XOp::of(...)` is the op X of expressions, and
// what else a partial says is in GradSpecial.cpp. An operand of which no
// derivative is known says "none": to ask for one is an error.
//
// Ops whose names end in `_d` and names of operands are derivatives that are no
// expressions of other functions.
//
//===----------------------------------------------------------------------===//

#ifndef GRAD_SPECIAL_TD
#define GRAD_SPECIAL_TD

include "GradElementwiseBase.td"

/// An op that becomes a call of the function of its name.
def Grad_SpecialFunction : NativeOpTrait<"SpecialFunction"> {
  let cppNamespace = "::mlir::OpTrait::grad";
}

/// Tensors, and numbers in code for one element.
def Grad_SpecialOperand
    : AnyTypeOf<!listconcat([Grad_SizedFloatTensor], Grad_Floats)>;

class Grad_SpecialOp<string mnemonic, list<string> names, list<string> partials,
                     string text, list<Trait> traits = []>
    : Grad_Op<mnemonic,
        !listconcat([SameOperandsAndResultType, Grad_SpecialFunction,
                     DeclareOpInterfaceMethods<ElementwiseOpInterface>,
                     DeclareOpInterfaceMethods<LinearizeOpInterface>], traits)> {
  assert !eq(!size(names), !size(partials)),
         "grad." # mnemonic # " needs one partial for each operand";
  let summary = text;
  let description = "Partial derivative in " # !interleave(
      !foreach(i, !range(!size(names)), names[i] # ": `" # partials[i] # "`"),
      "; in ") # ".";
  let arguments = !dag(ins, !foreach(n, names, Grad_SpecialOperand), names);
  let results = (outs Grad_SpecialOperand:$result);
  let assemblyFormat = !interleave(!foreach(n, names, "$" # n), " `,` ")
                       # " attr-dict `:` type($result)";
  string parameters =
      !interleave(!foreach(n, names, "const Expr &" # n), ", ");
  let extraClassDeclaration = [{
    /// The op itself, on numbers.
    static ::mlir::Value createScalar(::mlir::OpBuilder &builder,
                                      ::mlir::Location loc,
                                      ::mlir::ValueRange scalars) {
      return create(builder, loc, scalars);
    }
    static Expr of(}] # parameters # [{);
  }];
  let extraClassDefinition = [{
    ::mlir::Value $cppClass::emitScalar(::mlir::OpBuilder &builder,
                                        ::mlir::Location loc,
                                        ::mlir::ValueRange scalars, bool) {
      return createScalar(builder, loc, scalars);
    }
    Expr $cppClass::of(}] # parameters # [{) {
      return ofExprs<$cppClass>({ }] # !interleave(names, ", ") # [{ });
    }
    ::llvm::LogicalResult $cppClass::linearize(LinearizeContext &context) {
      if (::llvm::failed(checkHasPartials(*this, context, { }]
      # !interleave(!foreach(i, !range(!size(names)),
          !if(!eq(partials[i], "none"), "\"" # names[i] # "\"", "\"\"")), ", ")
      # [{ })))
        return ::mlir::failure();
      ExprBuilder e{context.primal, getLoc()};
      [[maybe_unused]] const Expr none(0.0);
      [[maybe_unused]] Expr y = e.useResult(*this);
      }] # !interleave(!foreach(i, !range(!size(names)),
           "[[maybe_unused]] Expr " # names[i] # " = e.use((*this)->getOperand("
           # i # "));"), "\n      ") # [{
      setTangentFromPartials(*this, context, {}] #
      !interleave(!foreach(p, partials, "[&]() -> Expr { return " # p # "; }"), ", ")
      # [{});
      return ::mlir::success();
    }
  }];
}

class Grad_SpecialUnaryOp<string mnemonic, string partial, string text>
    : Grad_SpecialOp<mnemonic, ["x"], [partial], text>;

//===----------------------------------------------------------------------===//
// The gamma function and its relatives
//===----------------------------------------------------------------------===//

def Grad_GammaOp : Grad_SpecialUnaryOp<"gamma", "y * PsiOp::of(x)",
    "the gamma function">;
def Grad_GammalnOp : Grad_SpecialUnaryOp<"gammaln", "PsiOp::of(x)",
    "logarithm of the absolute value of the gamma function">;
def Grad_PsiOp : Grad_SpecialUnaryOp<"psi", "TrigammaOp::of(x)",
    "derivative of the logarithm of the gamma function">;
def Grad_TrigammaOp : Grad_SpecialUnaryOp<"trigamma", "PolygammaOp::of(2.0, x)",
    "derivative of psi">;
def Grad_PolygammaOp : Grad_SpecialOp<"polygamma", ["n", "x"],
    ["none", "PolygammaOp::of(n + 1.0, x)"],
    "derivative of psi of the order n, an integer">;
def Grad_BetaOp : Grad_SpecialOp<"beta", ["p", "q"],
    ["y * (PsiOp::of(p) - PsiOp::of(p + q))", "y * (PsiOp::of(q) - PsiOp::of(p + q))"],
    "the beta function, gamma(p) gamma(q) / gamma(p + q)", [Commutative]>;
def Grad_BetalnOp : Grad_SpecialOp<"betaln", ["p", "q"],
    ["PsiOp::of(p) - PsiOp::of(p + q)", "PsiOp::of(q) - PsiOp::of(p + q)"],
    "logarithm of the absolute value of the beta function", [Commutative]>;
def Grad_ZetaOp : Grad_SpecialOp<"zeta", ["s", "x"],
    ["ZetaDsOp::of(s, x)", "-s * ZetaOp::of(s + 1.0, x)"],
    "Hurwitz's zeta function, the sum of (x + k)^-s from k = 0">;
def Grad_ZetaDsOp : Grad_SpecialOp<"zeta_ds", ["s", "x"],
    ["ZetaDssOp::of(s, x)", "-ZetaOp::of(s + 1.0, x) - s * ZetaDsOp::of(s + 1.0, x)"],
    "derivative of the zeta function in s">;
def Grad_ZetaDssOp : Grad_SpecialOp<"zeta_dss", ["s", "x"], ["none", "none"],
    "second derivative of the zeta function in s">;
def Grad_RiemannZetaOp : Grad_SpecialUnaryOp<"riemann_zeta", "ZetaDsOp::of(x, 1.0)",
    "Riemann's zeta function">;

def Grad_GammaincOp : Grad_SpecialOp<"gammainc", ["a", "x"],
    ["GammaincDaOp::of(a, x)", "GammaincDxOp::of(a, x)"],
    "regularized lower incomplete gamma function">;
def Grad_GammainccOp : Grad_SpecialOp<"gammaincc", ["a", "x"],
    ["-GammaincDaOp::of(a, x)", "-GammaincDxOp::of(a, x)"],
    "regularized upper incomplete gamma function">;
def Grad_GammaincinvOp : Grad_SpecialOp<"gammaincinv", ["a", "p"],
    ["-(GammaincDaOp::of(a, y) / GammaincDxOp::of(a, y))",
     "1.0 / GammaincDxOp::of(a, y)"],
    "x such that gammainc(a, x) = p">;
def Grad_GammainccinvOp : Grad_SpecialOp<"gammainccinv", ["a", "p"],
    ["-(GammaincDaOp::of(a, y) / GammaincDxOp::of(a, y))",
     "-1.0 / GammaincDxOp::of(a, y)"],
    "x such that gammaincc(a, x) = p">;
def Grad_GammaincDxOp : Grad_SpecialOp<"gammainc_dx", ["a", "x"],
    ["gammaSlopeInShape(a, x, y)", "GammaincDxOp::of(a - 1.0, x) - y"],
    "x^(a - 1) exp(-x) / gamma(a)">;
def Grad_GammaincDaOp : Grad_SpecialOp<"gammainc_da", ["a", "x"],
    ["GammaincDaaOp::of(a, x)", "gammaSlopeInShape(a, x, GammaincDxOp::of(a, x))"],
    "derivative of gammainc in a">;
def Grad_GammaincDaaOp : Grad_SpecialOp<"gammainc_daa", ["a", "x"],
    ["none", "gammaCurvatureInShape(a, x, GammaincDxOp::of(a, x))"],
    "second derivative of gammainc in a">;

def Grad_BetaincOp : Grad_SpecialOp<"betainc", ["p", "q", "x"],
    ["BetaincDpOp::of(p, q, x)", "BetaincDqOp::of(p, q, x)",
     "BetaincDxOp::of(p, q, x)"],
    "regularized incomplete beta function">;
def Grad_BetainccOp : Grad_SpecialOp<"betaincc", ["p", "q", "x"],
    ["-BetaincDpOp::of(p, q, x)", "-BetaincDqOp::of(p, q, x)",
     "-BetaincDxOp::of(p, q, x)"],
    "1 - betainc(p, q, x)">;
def Grad_BetaincinvOp : Grad_SpecialOp<"betaincinv", ["p", "q", "u"],
    ["-(BetaincDpOp::of(p, q, y) / BetaincDxOp::of(p, q, y))",
     "-(BetaincDqOp::of(p, q, y) / BetaincDxOp::of(p, q, y))",
     "1.0 / BetaincDxOp::of(p, q, y)"],
    "x such that betainc(p, q, x) = u">;
def Grad_BetainccinvOp : Grad_SpecialOp<"betainccinv", ["p", "q", "u"],
    ["-(BetaincDpOp::of(p, q, y) / BetaincDxOp::of(p, q, y))",
     "-(BetaincDqOp::of(p, q, y) / BetaincDxOp::of(p, q, y))",
     "-1.0 / BetaincDxOp::of(p, q, y)"],
    "x such that betaincc(p, q, x) = u">;
def Grad_BetaincDxOp : Grad_SpecialOp<"betainc_dx", ["p", "q", "x"],
    ["betaSlopeInShape(x, p, q, y)", "betaSlopeInOtherShape(x, p, q, y)",
     "slopeOfBetaDensity(p, q, x, y)"],
    "x^(p - 1) (1 - x)^(q - 1) / beta(p, q)">;
def Grad_BetaincDpOp : Grad_SpecialOp<"betainc_dp", ["p", "q", "x"],
    ["BetaincDppOp::of(p, q, x)", "BetaincDpqOp::of(p, q, x)",
     "betaSlopeInShape(x, p, q, BetaincDxOp::of(p, q, x))"],
    "derivative of betainc in p">;
def Grad_BetaincDqOp : Grad_SpecialOp<"betainc_dq", ["p", "q", "x"],
    ["BetaincDpqOp::of(p, q, x)", "BetaincDqqOp::of(p, q, x)",
     "betaSlopeInOtherShape(x, p, q, BetaincDxOp::of(p, q, x))"],
    "derivative of betainc in q">;
class Grad_BetaincSecondOp<string operands>
    : Grad_SpecialOp<"betainc_d" # operands, ["p", "q", "x"], ["none", "none", "none"],
                     "second derivative of betainc in the operands that it is named after">;
def Grad_BetaincDppOp : Grad_BetaincSecondOp<"pp">;
def Grad_BetaincDpqOp : Grad_BetaincSecondOp<"pq">;
def Grad_BetaincDqqOp : Grad_BetaincSecondOp<"qq">;

def Grad_StdtrOp : Grad_SpecialOp<"stdtr", ["df", "t"],
    ["slopeOfStudentInShape(df, t)", "studentDensity(df, t)"],
    "cumulative distribution function of Student's t distribution">;
def Grad_StdtritOp : Grad_SpecialOp<"stdtrit", ["df", "p"],
    ["-(slopeOfStudentInShape(df, y) / studentDensity(df, y))",
     "1.0 / studentDensity(df, y)"],
    "inverse of stdtr in t">;

//===----------------------------------------------------------------------===//
// The error function's relatives, and other integrals
//===----------------------------------------------------------------------===//

def Grad_ErfcxOp : Grad_SpecialUnaryOp<"erfcx", "slopeOfErfcx(x, y)",
    "exp(x^2) erfc(x)">;
def Grad_ErfcinvOp : Grad_SpecialUnaryOp<"erfcinv",
    "-0.886226925452758013649 * exp(square(y))",
    "inverse of erfc">;
def Grad_NdtrOp : Grad_SpecialUnaryOp<"ndtr", "normalDensity(x)",
    "cumulative distribution function of the standard normal distribution">;
def Grad_LogNdtrOp : Grad_SpecialUnaryOp<"log_ndtr", "slopeOfLogNdtr(x)",
    "logarithm of ndtr">;
def Grad_NdtriOp : Grad_SpecialUnaryOp<"ndtri",
    "2.50662827463100050242 * exp(0.5 * square(y))",
    "inverse of ndtr">;
def Grad_DawsnOp : Grad_SpecialUnaryOp<"dawsn", "slopeOfDawson(x, y)",
    "Dawson's integral, exp(-x^2) times the integral of exp(t^2) from 0 to x">;
def Grad_FresnelSOp : Grad_SpecialUnaryOp<"fresnel_s",
    "sin(1.57079632679489661923 * square(x))",
    "Fresnel's integral of sin(pi t^2 / 2) from 0 to x">;
def Grad_FresnelCOp : Grad_SpecialUnaryOp<"fresnel_c",
    "cos(1.57079632679489661923 * square(x))",
    "Fresnel's integral of cos(pi t^2 / 2) from 0 to x">;
def Grad_OwensTOp : Grad_SpecialOp<"owens_t", ["h", "a"],
    ["slopeOfOwensT(h, a)",
     "0.159154943091895335769 * exp(-0.5 * square(h) * (1.0 + square(a))) / (1.0 + square(a))"],
    "Owen's T function">;
def Grad_ExpiOp : Grad_SpecialUnaryOp<"expi", "exp(x) / x",
    "the exponential integral Ei">;
def Grad_Exp1Op : Grad_SpecialUnaryOp<"exp1", "-(exp(-x) / x)",
    "the exponential integral E1">;
def Grad_ExpnOp : Grad_SpecialOp<"expn", ["n", "x"],
    ["none", "-ExpnOp::of(n - 1.0, x)"],
    "the exponential integral of the order n, an integer">;
def Grad_SiOp : Grad_SpecialUnaryOp<"si", "sineQuotient(x)",
    "the sine integral, of sin(t) / t from 0 to x">;
def Grad_CiOp : Grad_SpecialUnaryOp<"ci", "cos(x) / x",
    "the cosine integral">;
def Grad_ShiOp : Grad_SpecialUnaryOp<"shi", "hyperbolicSineQuotient(x)",
    "the hyperbolic sine integral, of sinh(t) / t from 0 to x">;
def Grad_ChiOp : Grad_SpecialUnaryOp<"chi", "cosh(x) / x",
    "the hyperbolic cosine integral">;
def Grad_SpenceOp : Grad_SpecialUnaryOp<"spence", "-logarithmQuotient(x - 1.0)",
    "Spence's function, the integral of log(t) / (1 - t) from 1 to x">;

//===----------------------------------------------------------------------===//
// Elliptic integrals, of the parameter m
//===----------------------------------------------------------------------===//

def Grad_EllipkOp : Grad_SpecialUnaryOp<"ellipk",
    "0.5 * ((y - EllipdOp::of(1.0 - x)) / (1.0 - x))",
    "complete elliptic integral of the first kind">;
def Grad_Ellipkm1Op : Grad_SpecialUnaryOp<"ellipkm1",
    "-0.5 * ((y - EllipdOp::of(x)) / x)",
    "ellipk(1 - x)">;
def Grad_EllipeOp : Grad_SpecialUnaryOp<"ellipe", "-0.5 * EllipdOp::of(1.0 - x)",
    "complete elliptic integral of the second kind">;
def Grad_EllipdOp : Grad_SpecialUnaryOp<"ellipd", "slopeOfEllipd(x)",
    "(ellipk(m) - ellipe(m)) / m for m = 1 - x">;
def Grad_EllipkincOp : Grad_SpecialOp<"ellipkinc", ["phi", "m"],
    ["1.0 / sqrt(1.0 - m * square(sin(phi)))", "EllipkincDmOp::of(phi, m)"],
    "incomplete elliptic integral of the first kind">;
def Grad_EllipkincDmOp : Grad_SpecialOp<"ellipkinc_dm", ["phi", "m"],
    ["0.5 * (square(sin(phi)) / power(1.0 - m * square(sin(phi)), 1.5))",
     "EllipkincDmmOp::of(phi, m)"],
    "derivative of ellipkinc in m">;
def Grad_EllipkincDmmOp : Grad_SpecialOp<"ellipkinc_dmm", ["phi", "m"],
    ["0.75 * (square(square(sin(phi))) / power(1.0 - m * square(sin(phi)), 2.5))", "none"],
    "second derivative of ellipkinc in m">;
def Grad_EllipeincOp : Grad_SpecialOp<"ellipeinc", ["phi", "m"],
    ["sqrt(1.0 - m * square(sin(phi)))", "EllipeincDmOp::of(phi, m)"],
    "incomplete elliptic integral of the second kind">;
def Grad_EllipeincDmOp : Grad_SpecialOp<"ellipeinc_dm", ["phi", "m"],
    ["-0.5 * (square(sin(phi)) / sqrt(1.0 - m * square(sin(phi))))",
     "EllipeincDmmOp::of(phi, m)"],
    "derivative of ellipeinc in m">;
def Grad_EllipeincDmmOp : Grad_SpecialOp<"ellipeinc_dmm", ["phi", "m"],
    ["-0.25 * (square(square(sin(phi))) / power(1.0 - m * square(sin(phi)), 1.5))", "none"],
    "second derivative of ellipeinc in m">;
def Grad_JacobiAmOp : Grad_SpecialOp<"jacobi_am", ["u", "m"],
    ["deltaOfAmplitude(y, m)", "-(deltaOfAmplitude(y, m) * EllipkincDmOp::of(y, m))"],
    "Jacobi's amplitude: phi such that ellipkinc(phi, m) = u; NaN for m outside of [0, 1]">;

//===----------------------------------------------------------------------===//
// Bessel functions
//===----------------------------------------------------------------------===//

def Grad_J0Op : Grad_SpecialUnaryOp<"j0", "-J1Op::of(x)",
    "Bessel function of the first kind, order 0">;
def Grad_J1Op : Grad_SpecialUnaryOp<"j1", "0.5 * (J0Op::of(x) - JvOp::of(2.0, x))",
    "Bessel function of the first kind, order 1">;
def Grad_Y0Op : Grad_SpecialUnaryOp<"y0", "-Y1Op::of(x)",
    "Bessel function of the second kind, order 0">;
def Grad_Y1Op : Grad_SpecialUnaryOp<"y1", "0.5 * (Y0Op::of(x) - YvOp::of(2.0, x))",
    "Bessel function of the second kind, order 1">;
def Grad_I0Op : Grad_SpecialUnaryOp<"i0", "I1Op::of(x)",
    "modified Bessel function of the first kind, order 0">;
def Grad_I0eOp : Grad_SpecialUnaryOp<"i0e", "I1eOp::of(x) - sign(x) * y",
    "exp(-|x|) i0(x)">;
def Grad_I1Op : Grad_SpecialUnaryOp<"i1", "0.5 * (I0Op::of(x) + IvOp::of(2.0, x))",
    "modified Bessel function of the first kind, order 1">;
def Grad_I1eOp : Grad_SpecialUnaryOp<"i1e",
    "0.5 * (I0eOp::of(x) + IveOp::of(2.0, x)) - sign(x) * y",
    "exp(-|x|) i1(x)">;
def Grad_K0Op : Grad_SpecialUnaryOp<"k0", "-K1Op::of(x)",
    "modified Bessel function of the second kind, order 0">;
def Grad_K0eOp : Grad_SpecialUnaryOp<"k0e", "y - K1eOp::of(x)", "exp(x) k0(x)">;
def Grad_K1Op : Grad_SpecialUnaryOp<"k1", "-0.5 * (K0Op::of(x) + KvOp::of(2.0, x))",
    "modified Bessel function of the second kind, order 1">;
def Grad_K1eOp : Grad_SpecialUnaryOp<"k1e",
    "y - 0.5 * (K0eOp::of(x) + KveOp::of(2.0, x))", "exp(x) k1(x)">;

class Grad_BesselOp<string mnemonic, string partial, string text>
    : Grad_SpecialOp<mnemonic, ["v", "x"], ["none", partial], text>;

def Grad_JvOp : Grad_BesselOp<"jv",
    "0.5 * (JvOp::of(v - 1.0, x) - JvOp::of(v + 1.0, x))",
    "Bessel function of the first kind of the real order v">;
def Grad_YvOp : Grad_BesselOp<"yv",
    "0.5 * (YvOp::of(v - 1.0, x) - YvOp::of(v + 1.0, x))",
    "Bessel function of the second kind of the real order v">;
def Grad_IvOp : Grad_BesselOp<"iv",
    "0.5 * (IvOp::of(v - 1.0, x) + IvOp::of(v + 1.0, x))",
    "modified Bessel function of the first kind of the real order v">;
def Grad_IveOp : Grad_BesselOp<"ive",
    "0.5 * (IveOp::of(v - 1.0, x) + IveOp::of(v + 1.0, x)) - sign(x) * y",
    "exp(-|x|) iv(v, x)">;
def Grad_KvOp : Grad_BesselOp<"kv",
    "-0.5 * (KvOp::of(v - 1.0, x) + KvOp::of(v + 1.0, x))",
    "modified Bessel function of the second kind of the real order v">;
def Grad_KveOp : Grad_BesselOp<"kve",
    "y - 0.5 * (KveOp::of(v - 1.0, x) + KveOp::of(v + 1.0, x))",
    "exp(x) kv(v, x)">;

class Grad_SphericalOp<string kind, string partial, string text>
    : Grad_SpecialOp<"spherical_" # kind # "n", ["n", "x"], ["none",
        "(" # partial # ") / (2.0 * n + 1.0)"], text # " of the order n, an integer">;

def Grad_SphericalJnOp : Grad_SphericalOp<"j",
    "n * SphericalJnOp::of(orderBelow(n), x) - (n + 1.0) * SphericalJnOp::of(n + 1.0, x)",
    "spherical Bessel function of the first kind">;
def Grad_SphericalYnOp : Grad_SphericalOp<"y",
    "n * SphericalYnOp::of(orderBelow(n), x) - (n + 1.0) * SphericalYnOp::of(n + 1.0, x)",
    "spherical Bessel function of the second kind">;
def Grad_SphericalInOp : Grad_SphericalOp<"i",
    "n * SphericalInOp::of(orderBelow(n), x) + (n + 1.0) * SphericalInOp::of(n + 1.0, x)",
    "modified spherical Bessel function of the first kind">;
def Grad_SphericalKnOp : Grad_SphericalOp<"k",
    "-(n * SphericalKnOp::of(orderBelow(n), x) + (n + 1.0) * SphericalKnOp::of(n + 1.0, x))",
    "modified spherical Bessel function of the second kind">;

def Grad_StruveOp : Grad_BesselOp<"struve",
    "0.5 * (StruveOp::of(v - 1.0, x) - StruveOp::of(v + 1.0, x) + struveTerm(v, x))",
    "Struve function of the real order v">;
def Grad_ModstruveOp : Grad_BesselOp<"modstruve",
    "0.5 * (ModstruveOp::of(v - 1.0, x) + ModstruveOp::of(v + 1.0, x) + struveTerm(v, x))",
    "modified Struve function of the real order v">;

def Grad_AiryAiOp : Grad_SpecialUnaryOp<"airy_ai", "AiryAiDxOp::of(x)",
    "Airy function Ai">;
def Grad_AiryAiDxOp : Grad_SpecialUnaryOp<"airy_ai_dx", "x * AiryAiOp::of(x)",
    "derivative of the Airy function Ai">;
def Grad_AiryBiOp : Grad_SpecialUnaryOp<"airy_bi", "AiryBiDxOp::of(x)",
    "Airy function Bi">;
def Grad_AiryBiDxOp : Grad_SpecialUnaryOp<"airy_bi_dx", "x * AiryBiOp::of(x)",
    "derivative of the Airy function Bi">;

//===----------------------------------------------------------------------===//
// Others
//===----------------------------------------------------------------------===//

def Grad_LambertwOp : Grad_SpecialUnaryOp<"lambertw", "1.0 / (x + exp(y))",
    "Lambert's W function, the branch from -1 up; NaN below -1/e">;
def Grad_LambertwBelowOp : Grad_SpecialUnaryOp<"lambertw_below", "1.0 / (x + exp(y))",
    "Lambert's W function, the branch from -1 down; NaN outside of [-1/e, 0]">;
def Grad_Hyp0f1Op : Grad_SpecialOp<"hyp0f1", ["v", "x"],
    ["none", "Hyp0f1Op::of(v + 1.0, x) / v"],
    "confluent hypergeometric limit function 0F1">;
def Grad_Hyp1f1Op : Grad_SpecialOp<"hyp1f1", ["p", "q", "x"],
    ["none", "none", "p / q * Hyp1f1Op::of(p + 1.0, q + 1.0, x)"],
    "confluent hypergeometric function 1F1">;
def Grad_Hyp2f1Op : Grad_SpecialOp<"hyp2f1", ["p", "q", "r", "x"],
    ["none", "none", "none", "p * q / r * Hyp2f1Op::of(p + 1.0, q + 1.0, r + 1.0, x)"],
    "Gauss's hypergeometric function 2F1">;

#endif // GRAD_SPECIAL_TD
