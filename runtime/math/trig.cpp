//===- trig.cpp - Trigonometric functions ---------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// sin, cos, tan.
//
// sin and cos subtract the nearest multiple of pi (its nearest half-odd
// multiple for cos), held in three words, and use one polynomial on [-pi/2,
// pi/2]; tan subtracts a multiple of pi/2 and divides sine by cosine. That is
// right up to `wideArgument`. Larger arguments need hundreds of bits of pi:
// gradopt_<name>_huge_* in trig_huge.cpp, a plain scalar function. It is called
// with 0 in place of an argument of ordinary size, and whoever links the
// library gives the call vector forms that return at once when all lanes are 0
// (VectorForms.h).
//
//===----------------------------------------------------------------------===//

#include "common.h"

extern "C" {
[[gnu::const]] double gradopt_sin_huge_f64(double x) noexcept;
[[gnu::const]] double gradopt_cos_huge_f64(double x) noexcept;
[[gnu::const]] double gradopt_tan_huge_f64(double x) noexcept;
[[gnu::const]] float gradopt_sin_huge_f32(float x) noexcept;
[[gnu::const]] float gradopt_cos_huge_f32(float x) noexcept;
[[gnu::const]] float gradopt_tan_huge_f32(float x) noexcept;
}

namespace gradopt {

template <typename T> struct TrigConstants;

template <> struct TrigConstants<double> {
  static constexpr double inversePi = 0x1.45f306dc9c883p-2;
  static constexpr double pi[3] = {0x1.921fb54442d18p+1, 0x1.1a62633145c07p-53,
                                   -0x1.f1976b7ed8fbcp-109};
  static constexpr double wideArgument = 0x1p39;
};

template <> struct TrigConstants<float> {
  static constexpr float inversePi = 0x1.45f306p-2f;
  static constexpr float pi[3] = {0x1.921fb6p+1f, -0x1.777a5cp-24f,
                                  -0x1.ee59dap-49f};
  static constexpr float wideArgument = 0x1p15f;
};

/// x - multiple * pi * unit for a power of two `unit`. The first step is exact,
/// the others round once each.
template <typename T> GRADOPT_INLINE T subtractPi(T x, T multiple, T unit) {
  constexpr auto &pi = TrigConstants<T>::pi;
  T r = fma(multiple, -pi[0] * unit, x);
  r = fma(multiple, -pi[1] * unit, r);
  return fma(multiple, -pi[2] * unit, r);
}

/// The result of `function` for wide arguments, `value` for the others.
template <typename T>
GRADOPT_INLINE T unlessHuge(T x, T value, T (*function)(T)) {
  bool huge = abs(x) >= TrigConstants<T>::wideArgument;
  T wide = function(select(huge, x, T(0)));
  return select(huge, wide, value);
}

template <typename T> GRADOPT_INLINE T sinOnHalfPeriod(T r) {
  T z = r * r;
  return r * z * horner(z, coefficients::Table<T>::sin) + r;
}

/// The lowest bit of n as a sign bit.
template <typename T> GRADOPT_INLINE BitsOf<T> parityAsSign(Rounded<T> n) {
  return toBits(n.shifted) << (8 * sizeof(T) - 1);
}

GRADOPT_INLINE double sinHuge(double x) { return gradopt_sin_huge_f64(x); }
GRADOPT_INLINE float sinHuge(float x) { return gradopt_sin_huge_f32(x); }
GRADOPT_INLINE double cosHuge(double x) { return gradopt_cos_huge_f64(x); }
GRADOPT_INLINE float cosHuge(float x) { return gradopt_cos_huge_f32(x); }
GRADOPT_INLINE double tanHuge(double x) { return gradopt_tan_huge_f64(x); }
GRADOPT_INLINE float tanHuge(float x) { return gradopt_tan_huge_f32(x); }

/// sin(n pi + r) = (-1)^n sin(r).
template <typename T> GRADOPT_INLINE T sin(T x) {
  Rounded<T> n = roundProduct(x, TrigConstants<T>::inversePi);
  T r = subtractPi(x, n.value, T(1));
  T value = flipSign(sinOnHalfPeriod(r), parityAsSign(n));
  return unlessHuge<T>(x, select(abs(x) < Format<T>::tiny, x, value), sinHuge);
}

/// cos((n + 1/2) pi + r) = -(-1)^n sin(r).
template <typename T> GRADOPT_INLINE T cos(T x) {
  T half = x * TrigConstants<T>::inversePi - T(0.5);
  Rounded<T> n = roundProduct(half, T(1));
  T r = subtractPi(x, n.value + T(0.5), T(1));
  T value = flipSign(sinOnHalfPeriod(r), parityAsSign(n) ^ signMask<T>);
  return unlessHuge<T>(x, value, cosHuge);
}

/// tan(n pi/2 + r) = tan(r) or -1/tan(r), as n is even or odd.
template <typename T> GRADOPT_INLINE T tan(T x) {
  Rounded<T> n = roundProduct(x, 2 * TrigConstants<T>::inversePi);
  T r = subtractPi(x, n.value, T(0.5));
  T z = r * r;
  T sine = r * z * horner(z, coefficients::Table<T>::sin_narrow) + r;
  T cosine =
      z * (z * horner(z, coefficients::Table<T>::cos_narrow) - T(0.5)) + 1;
  bool odd = toBits(n.shifted) & 1;
  T value = select(odd, -cosine, sine) / select(odd, sine, cosine);
  return unlessHuge<T>(x, select(abs(x) < Format<T>::tiny, x, value), tanHuge);
}

} // namespace gradopt

GRADOPT_MATH_UNARY(sin, gradopt::sin)
GRADOPT_MATH_UNARY(cos, gradopt::cos)
GRADOPT_MATH_UNARY(tan, gradopt::tan)
