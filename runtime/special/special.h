//===- special.h - What the special functions share -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Special functions are long: they have loops, branches and tables, and call
// each other. They are compiled and optimised when this library is built, and
// linked into a program, out of line, when that has been optimised, so that a
// program that uses one takes hardly longer to compile.
//
// Boost.Math does most of the work, in double precision. What is called here
// like functions of libm are those of runtime/math, so that nothing is left to
// be found when a program is loaded, on any device. Nothing throws or sets
// errno; at poles and outside of a domain, values are SciPy's.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_SPECIAL_SPECIAL_H
#define GRADOPT_RUNTIME_SPECIAL_SPECIAL_H

// Before any header declares them.
#define GRADOPT_UNARY(name, symbol)                                            \
  double name(double) noexcept __asm__("gradopt_" #symbol "_f64");
#define GRADOPT_BINARY(name, symbol)                                           \
  double name(double, double) noexcept __asm__("gradopt_" #symbol "_f64");
extern "C" {
GRADOPT_UNARY(exp, exp)
GRADOPT_UNARY(exp2, exp2)
GRADOPT_UNARY(expm1, expm1)
GRADOPT_UNARY(log, log)
GRADOPT_UNARY(log2, log2)
GRADOPT_UNARY(log10, log10)
GRADOPT_UNARY(log1p, log1p)
GRADOPT_UNARY(cbrt, cbrt)
GRADOPT_UNARY(sin, sin)
GRADOPT_UNARY(cos, cos)
GRADOPT_UNARY(tan, tan)
GRADOPT_UNARY(asin, asin)
GRADOPT_UNARY(acos, acos)
GRADOPT_UNARY(atan, atan)
GRADOPT_UNARY(sinh, sinh)
GRADOPT_UNARY(cosh, cosh)
GRADOPT_UNARY(tanh, tanh)
GRADOPT_UNARY(asinh, asinh)
GRADOPT_UNARY(acosh, acosh)
GRADOPT_UNARY(atanh, atanh)
GRADOPT_BINARY(pow, pow)
GRADOPT_BINARY(atan2, atan2)
GRADOPT_BINARY(fmod, special_fmod)
double ldexp(double, int) noexcept __asm__("gradopt_special_ldexp");
double frexp(double, int *) noexcept __asm__("gradopt_special_frexp");
double modf(double, double *) noexcept __asm__("gradopt_special_modf");
}
#undef GRADOPT_UNARY
#undef GRADOPT_BINARY

#define BOOST_MATH_NO_EXCEPTIONS
#define BOOST_MATH_NO_LONG_DOUBLE_MATH_FUNCTIONS
#define BOOST_MATH_DISABLE_FLOAT128
#define BOOST_MATH_DOMAIN_ERROR_POLICY ignore_error
#define BOOST_MATH_POLE_ERROR_POLICY ignore_error
#define BOOST_MATH_OVERFLOW_ERROR_POLICY ignore_error
#define BOOST_MATH_UNDERFLOW_ERROR_POLICY ignore_error
#define BOOST_MATH_DENORM_ERROR_POLICY ignore_error
#define BOOST_MATH_EVALUATION_ERROR_POLICY ignore_error
#define BOOST_MATH_ROUNDING_ERROR_POLICY ignore_error
#define BOOST_MATH_INDETERMINATE_RESULT_ERROR_POLICY ignore_error
// No instructions of one processor, such as those that read its modes.
#undef __SSE2__
#define BOOST_DISABLE_ASSERTS

#include <cmath>
#include <limits>

#include <boost/math/special_functions/next.hpp>

/// What is a static variable there, made at the first call.
template <> inline double boost::math::detail::get_min_shift_value<double>() {
  return 0x1p-968;
}

namespace gradopt::special {

namespace bm = boost::math;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
constexpr double kPi = 3.14159265358979323846;
constexpr double kEuler = 0.577215664901532860607;

inline bool isNaN(double x) { return x != x; }
inline bool isInteger(double x) { return x == std::floor(x); }
inline bool isOdd(double integer) {
  return std::fmod(std::fabs(integer), 2.0) == 1;
}

} // namespace gradopt::special

// The functions of single precision are those of double precision, rounded.
#define GRADOPT_SPECIAL_UNARY(name, implementation)                            \
  extern "C" double gradopt_##name##_f64(double x) {                           \
    return implementation(x);                                                  \
  }                                                                            \
  extern "C" float gradopt_##name##_f32(float x) {                             \
    return static_cast<float>(implementation(x));                              \
  }
#define GRADOPT_SPECIAL_BINARY(name, implementation)                           \
  extern "C" double gradopt_##name##_f64(double x, double y) {                 \
    return implementation(x, y);                                               \
  }                                                                            \
  extern "C" float gradopt_##name##_f32(float x, float y) {                    \
    return static_cast<float>(implementation(x, y));                           \
  }
#define GRADOPT_SPECIAL_TERNARY(name, implementation)                          \
  extern "C" double gradopt_##name##_f64(double x, double y, double z) {       \
    return implementation(x, y, z);                                            \
  }                                                                            \
  extern "C" float gradopt_##name##_f32(float x, float y, float z) {           \
    return static_cast<float>(implementation(x, y, z));                        \
  }
#define GRADOPT_SPECIAL_QUATERNARY(name, implementation)                       \
  extern "C" double gradopt_##name##_f64(double x, double y, double z,         \
                                         double w) {                           \
    return implementation(x, y, z, w);                                         \
  }                                                                            \
  extern "C" float gradopt_##name##_f32(float x, float y, float z, float w) {  \
    return static_cast<float>(implementation(x, y, z, w));                     \
  }

#endif // GRADOPT_RUNTIME_SPECIAL_SPECIAL_H
