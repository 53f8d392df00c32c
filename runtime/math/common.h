//===- common.h - The language of the functions ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the elementary functions are written with.
//
// The library is compiled to LLVM bitcode, linked into every module that the
// compiler makes and inlined there, so that LLVM's loop vectorizer turns a loop
// over scalar calls into vector code. Every function is therefore straight-line
// code: no branches, no tables, no calls except intrinsics, errors as values
// (NaN, infinity) and never through errno. A condition is written over values
// that were computed anyway, which makes it a `select`.
//
// Plain `a * b + c` may be fused or not, whatever the target does best. Where a
// formula is right only with a single rounding, it says `fma`; on a processor
// without that instruction this is a slow but right library call.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_MATH_COMMON_H
#define GRADOPT_RUNTIME_MATH_COMMON_H

#include "coefficients.h"

// The linkage of the public functions: hidden in the bitcode, exported in the
// library that the tests load; functions where special functions call them.
#ifdef GRADOPT_MATH_EXPORT
#define GRADOPT_MATH_VISIBILITY __attribute__((visibility("default")))
#elif defined(GRADOPT_MATH_OUT_OF_LINE)
#define GRADOPT_MATH_VISIBILITY __attribute__((visibility("hidden"), noinline))
#else
#define GRADOPT_MATH_VISIBILITY                                                \
  __attribute__((visibility("hidden"), always_inline))
#endif

// Defines gradopt_<name>_f64 and gradopt_<name>_f32 as instances of the
// template `implementation`.
#define GRADOPT_MATH_UNARY(name, implementation)                               \
  extern "C" GRADOPT_MATH_VISIBILITY double gradopt_##name##_f64(double x) {   \
    return implementation<double>(x);                                          \
  }                                                                            \
  extern "C" GRADOPT_MATH_VISIBILITY float gradopt_##name##_f32(float x) {     \
    return implementation<float>(x);                                           \
  }

#define GRADOPT_MATH_BINARY(name, implementation)                              \
  extern "C" GRADOPT_MATH_VISIBILITY double gradopt_##name##_f64(double x,     \
                                                                 double y) {   \
    return implementation<double>(x, y);                                       \
  }                                                                            \
  extern "C" GRADOPT_MATH_VISIBILITY float gradopt_##name##_f32(float x,       \
                                                                float y) {     \
    return implementation<float>(x, y);                                        \
  }

#define GRADOPT_INLINE [[gnu::always_inline]] inline

namespace gradopt {

//===----------------------------------------------------------------------===//
// The two formats
//===----------------------------------------------------------------------===//

template <typename T> struct Format;

template <> struct Format<double> {
  using Bits = unsigned long long;
  using SignedBits = long long;
  static constexpr int mantissaBits = 52;
  static constexpr int bias = 1023;
  static constexpr double smallestNormal = 0x1p-1022;
  static constexpr double infinity = __builtin_huge_val();
  static constexpr double nan = __builtin_nan("");
  /// Below this magnitude f(x) = x to the last bit for the functions with slope
  /// one at zero. They select it there, which also keeps -0 and the subnormal
  /// numbers.
  static constexpr double tiny = 0x1p-54;
};

template <> struct Format<float> {
  using Bits = unsigned;
  using SignedBits = int;
  static constexpr int mantissaBits = 23;
  static constexpr int bias = 127;
  static constexpr float smallestNormal = 0x1p-126f;
  static constexpr float infinity = __builtin_huge_valf();
  static constexpr float nan = __builtin_nanf("");
  static constexpr float tiny = 0x1p-25f;
};

template <typename T> using BitsOf = typename Format<T>::Bits;

template <typename T> GRADOPT_INLINE BitsOf<T> toBits(T x) {
  return __builtin_bit_cast(BitsOf<T>, x);
}
template <typename T> GRADOPT_INLINE T fromBits(BitsOf<T> bits) {
  return __builtin_bit_cast(T, bits);
}

template <typename T>
constexpr BitsOf<T> signMask = BitsOf<T>(1) << (8 * sizeof(T) - 1);

//===----------------------------------------------------------------------===//
// Intrinsics
//===----------------------------------------------------------------------===//

GRADOPT_INLINE double fma(double x, double y, double z) {
  return __builtin_fma(x, y, z);
}
GRADOPT_INLINE float fma(float x, float y, float z) {
  return __builtin_fmaf(x, y, z);
}
GRADOPT_INLINE double sqrt(double x) { return __builtin_sqrt(x); }
GRADOPT_INLINE float sqrt(float x) { return __builtin_sqrtf(x); }
GRADOPT_INLINE double abs(double x) { return __builtin_fabs(x); }
GRADOPT_INLINE float abs(float x) { return __builtin_fabsf(x); }
GRADOPT_INLINE double copysign(double x, double y) {
  return __builtin_copysign(x, y);
}
GRADOPT_INLINE float copysign(float x, float y) {
  return __builtin_copysignf(x, y);
}

/// `condition ? a : b` with both sides computed: always a select instruction.
/// NaN makes every comparison false, so the order of the arguments decides
/// where a NaN goes.
template <typename T> GRADOPT_INLINE T select(bool condition, T a, T b) {
  return condition ? a : b;
}

template <typename T> GRADOPT_INLINE T clampAbove(T x, T limit) {
  return select(x > limit, limit, x);
}
template <typename T> GRADOPT_INLINE T clampBelow(T x, T limit) {
  return select(x < limit, limit, x);
}

/// a / b, rounded as the operator does, from a reciprocal of b that is known to
/// some digits: Newton's iteration, and the quotient corrected by the rest that
/// it leaves.
GRADOPT_INLINE float divideFrom(float reciprocal, float a, float b) {
  reciprocal = fma(reciprocal, fma(-b, reciprocal, 1.0f), reciprocal);
  float quotient = a * reciprocal;
  quotient = fma(fma(-b, quotient, a), reciprocal, quotient);
  return fma(fma(-b, quotient, a), reciprocal, quotient);
}
GRADOPT_INLINE double divideFrom(double reciprocal, double a, double b) {
  double error = fma(-b, reciprocal, 1.0);
  reciprocal = fma(reciprocal, fma(error, error, error), reciprocal);
  reciprocal = fma(reciprocal, fma(-b, reciprocal, 1.0), reciprocal);
  double quotient = a * reciprocal;
  return fma(fma(-b, quotient, a), reciprocal, quotient);
}

/// a / b where both and the quotient are far from overflow, and b and a
/// quotient that is not exact from underflow. A GPU has no instruction for
/// that: what it does in place of one has branches for other numbers.
GRADOPT_INLINE float divideOrdinary(float a, float b) {
#ifdef __NVPTX__
  return divideFrom(__nvvm_rcp_approx_ftz_f(b), a, b);
#else
  return a / b;
#endif
}
GRADOPT_INLINE double divideOrdinary(double a, double b) {
#ifdef __NVPTX__
  return divideFrom(__nvvm_rcp_approx_ftz_d(b), a, b);
#else
  return a / b;
#endif
}

/// x with its sign bit flipped where `sign` has it set.
template <typename T> GRADOPT_INLINE T flipSign(T x, BitsOf<T> sign) {
  return fromBits<T>(toBits(x) ^ sign);
}

//===----------------------------------------------------------------------===//
// Polynomials
//===----------------------------------------------------------------------===//

/// c[0] + c[1] x + ... by Horner's rule: loops run many elements at a time, so
/// a long chain costs nothing and the fewest operations win.
template <int first, typename T, int count>
GRADOPT_INLINE T hornerFrom(T x, const T (&c)[count]) {
  if constexpr (first == count - 1)
    return c[first];
  else
    return hornerFrom<first + 1>(x, c) * x + c[first];
}
template <typename T, int count>
GRADOPT_INLINE T horner(T x, const T (&c)[count]) {
  return hornerFrom<0>(x, c);
}

//===----------------------------------------------------------------------===//
// Integers held in floating point
//===----------------------------------------------------------------------===//

/// Adding it leaves the integer nearest to x (|x| < 2^22, 2^51) in the low
/// mantissa bits.
template <typename T>
constexpr T roundingShift = T(BitsOf<T>(3) << (Format<T>::mantissaBits - 1));

/// An integer as a number and, with `roundingShift` added, as the bits of a
/// number.
template <typename T> struct Rounded {
  T value;
  T shifted;
};

/// round(x * factor), ties to even.
template <typename T> GRADOPT_INLINE Rounded<T> roundProduct(T x, T factor) {
  T shifted = x * factor + roundingShift<T>;
  return {shifted - roundingShift<T>, shifted};
}

/// 2^n for bias-range n, from n as `roundProduct` gives it.
template <typename T> GRADOPT_INLINE T powerOfTwo(T shifted) {
  constexpr BitsOf<T> one = BitsOf<T>(Format<T>::bias)
                            << Format<T>::mantissaBits;
  return fromBits<T>((toBits(shifted) << Format<T>::mantissaBits) + one);
}

/// A small unsigned integer as a number: its bits become the mantissa of 2^52
/// (2^23).
template <typename T> GRADOPT_INLINE T toReal(BitsOf<T> integer) {
  constexpr T base = T(BitsOf<T>(1) << Format<T>::mantissaBits);
  return fromBits<T>(integer | toBits(base)) - base;
}

//===----------------------------------------------------------------------===//
// Pairs: a number as the unevaluated sum high + low
//===----------------------------------------------------------------------===//

template <typename T> struct Pair {
  T high;
  T low;
};

/// The exact sum, for |a| >= |b| or a = 0.
template <typename T> GRADOPT_INLINE Pair<T> fastTwoSum(T a, T b) {
  T sum = a + b;
  return {sum, b - (sum - a)};
}

/// The exact sum of any two numbers.
template <typename T> GRADOPT_INLINE Pair<T> twoSum(T a, T b) {
  T sum = a + b;
  T part = sum - a;
  return {sum, (a - (sum - part)) + (b - part)};
}

/// The exact product.
template <typename T> GRADOPT_INLINE Pair<T> twoProduct(T a, T b) {
  T product = a * b;
  return {product, fma(a, b, -product)};
}

} // namespace gradopt

#endif // GRADOPT_RUNTIME_MATH_COMMON_H
