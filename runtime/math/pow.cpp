//===- pow.cpp - Powers and roots -----------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// pow, cbrt and integer powers.
//
//===----------------------------------------------------------------------===//

#include "exp.h"
#include "log.h"

namespace gradopt {

//===----------------------------------------------------------------------===//
// pow
//===----------------------------------------------------------------------===//

template <typename T> constexpr Pair<T> twoThirds;
template <>
constexpr Pair<double> twoThirds<double> = {0x1.5555555555555p-1,
                                            0x1.5555555555555p-55};
template <>
constexpr Pair<float> twoThirds<float> = {0x1.555556p-1f, -0x1.555556p-26f};

/// log(x) of a positive finite x with about 2^-66 (float: 2^-35) of relative
/// error, so that its product with any exponent is right to the last place:
/// 2 atanh(s) with s = f / (2 + f), of which the first two terms, 2 s and
/// 2/3 s^3, are summed in two words.
template <typename T> GRADOPT_INLINE Pair<T> logWide(T x) {
  using C = ExpConstants<T>;
  auto [exponent, mantissa] = reduceLog(x);
  T f = mantissa - 1;

  Pair<T> divisor = fastTwoSum(T(2), f);
  T inverse = 1 / divisor.high;
  T s = f * inverse;
  T sLow = (fma(-s, divisor.high, f) - s * divisor.low) * inverse;

  Pair<T> z = twoProduct(s, s);
  z.low = z.low + 2 * s * sLow;
  Pair<T> cube = twoProduct(s, z.high);
  cube.low = cube.low + (s * z.low + sLow * z.high);
  Pair<T> second = twoProduct(cube.high, twoThirds<T>.high);
  second.low = second.low +
               (cube.high * twoThirds<T>.low + cube.low * twoThirds<T>.high);
  T tail =
      cube.high * z.high * horner(z.high, coefficients::Table<T>::log_wide);

  Pair<T> series = fastTwoSum(2 * s, second.high);
  series.low = series.low + (2 * sLow + (second.low + tail));
  Pair<T> sum = fastTwoSum(exponent * C::ln2High, series.high);
  return fastTwoSum(sum.high, sum.low + (series.low + exponent * C::ln2Low));
}

/// x^y for x >= 0, up to the cases that `pow` decides.
template <typename T> GRADOPT_INLINE T powMagnitude(T x, T y) {
  using C = ExpConstants<T>;
  // Beyond this the result is 0 or infinite, whatever the low word.
  constexpr T decided = C::overflow + T(0.25);
  Pair<T> logarithm = logWide(x);
  bool regular = (x > 0) & (x < Format<T>::infinity);
  T high =
      select(regular, logarithm.high, select(x == 0, -Format<T>::infinity, x));
  T product = y * high;
  T low = select(abs(product) < -C::underflow,
                 fma(y, high, -product) + y * logarithm.low, T(0));

  T clamped = clampBelow(clampAbove(product, decided), C::underflow);
  auto [n, r] = reduceExp(clamped);
  T mantissa = expm1Reduced(r + low) + 1;
  bool overflows = (n.value > Format<T>::bias) & (mantissa >= 1);
  T result = select(overflows, Format<T>::infinity, scale(mantissa, n));
  return overflowAbove(product, decided, result);
}

/// Annex F of C: 1^y = x^0 = 1 even for NaN, (-1)^(+-infinity) = 1, a negative
/// number to an odd integer is negative and to a fraction is NaN.
template <typename T> GRADOPT_INLINE T pow(T x, T y) {
  constexpr T integersFrom = T(BitsOf<T>(1) << Format<T>::mantissaBits);
  auto isInteger = [](T value) {
    return (value >= integersFrom) |
           ((value + integersFrom) - integersFrom == value);
  };
  T exponent = abs(y);
  bool integer = isInteger(exponent);
  bool odd = integer & !isInteger(T(0.5) * exponent);

  T magnitude = powMagnitude(abs(x), y);
  BitsOf<T> sign = select(odd, toBits(x) & signMask<T>, BitsOf<T>(0));
  T result = flipSign(magnitude, sign);
  bool undefined = (x < 0) & (x > -Format<T>::infinity) & !integer &
                   (exponent < Format<T>::infinity);
  result = select(undefined, Format<T>::nan, result);
  bool isOne =
      (x == 1) | (y == 0) | ((x == -1) & (exponent == Format<T>::infinity));
  return select(isOne, T(1), result);
}

//===----------------------------------------------------------------------===//
// cbrt
//===----------------------------------------------------------------------===//

/// |x| = a 2^(3q) with 1/sqrt(2) <= a < 4 sqrt(2). A polynomial guesses
/// a^(-1/3), a third-order step refines it, a^(2/3) makes a cube root of it,
/// and one Newton step with an exact residual corrects that.
template <typename T> GRADOPT_INLINE T cbrt(T x) {
  constexpr T inverseCbrt2 = T(0x1.965fea53d6e3dp-1),
              inverseCbrt4 = T(0x1.428a2f98d728bp-1), third = T(1) / 3;
  T magnitude = abs(x);
  auto [exponent, mantissa] = reduceLog(magnitude);
  Rounded<T> q = roundProduct(exponent - 1, third);
  T remainder = exponent - 3 * q.value;
  T a = mantissa *
        select(remainder == 0, T(1), select(remainder == 1, T(2), T(4)));
  T guess = horner(mantissa, coefficients::Table<T>::inverse_cbrt) *
            select(remainder == 0, T(1),
                   select(remainder == 1, inverseCbrt2, inverseCbrt4));

  T h = fma(-a * guess, guess * guess, T(1));
  guess = guess * h * (T(2) / 9 * h + third) + guess;
  T slope = guess * guess;
  T root = a * slope;
  Pair<T> square = twoProduct(root, root);
  T residual = fma(-square.high, root, a) - square.low * root;
  root = residual * (slope * third) + root;

  T result = copysign(root * powerOfTwo(q.shifted), x);
  return select((magnitude > 0) & (magnitude < Format<T>::infinity), result, x);
}

} // namespace gradopt

GRADOPT_MATH_BINARY(pow, gradopt::pow)
GRADOPT_MATH_UNARY(cbrt, gradopt::cbrt)

/// base^exponent modulo 2^64. A negative exponent gives the integer part of the
/// quotient: zero unless the base is 1 or -1.
extern "C" GRADOPT_MATH_VISIBILITY long long
gradopt_ipow_i64(long long base, long long exponent) {
  bool negative = exponent < 0;
  unsigned long long remaining = negative ? exponent & 1 : exponent;
  unsigned long long square = base,
                     result = negative && base != 1 && base != -1 ? 0 : 1;
  for (; remaining != 0; remaining >>= 1) {
    result *= remaining & 1 ? square : 1;
    square *= square;
  }
  return static_cast<long long>(result);
}
