//===- inverse_trig.cpp - Inverse trigonometric functions -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// asin, acos, atan, atan2.
//
//===----------------------------------------------------------------------===//

#include "common.h"

namespace gradopt {

template <typename T> struct Pi;

template <> struct Pi<double> {
  static constexpr Pair<double> half = {0x1.921fb54442d18p+0,
                                        0x1.1a62633145c07p-54};
  static constexpr double tanEighth = 0x1.a827999fcef32p-2;
};

template <> struct Pi<float> {
  static constexpr Pair<float> half = {0x1.921fb6p+0f, -0x1.777a5cp-25f};
  static constexpr float tanEighth = 0x1.a8279ap-2f;
};

/// asin(|x|) for |x| <= 1/2, and asin(sqrt((1 - |x|) / 2)), of which asin and
/// acos are then made, above.
template <typename T> struct HalfAsin {
  bool large;
  T value;
};

template <typename T> GRADOPT_INLINE HalfAsin<T> halfAsin(T x) {
  T magnitude = abs(x);
  bool large = magnitude > T(0.5);
  T halved = T(0.5) - T(0.5) * magnitude;
  T z = select(large, halved, x * x);
  T root = select(large, sqrt(halved), magnitude);
  return {large, root * z * horner(z, coefficients::Table<T>::asin) + root};
}

/// For |x| > 1/2: pi/2 - 2 asin(sqrt((1 - |x|) / 2)). Outside [-1, 1] the
/// square root makes NaN.
template <typename T> GRADOPT_INLINE T asin(T x) {
  auto [large, value] = halfAsin(x);
  T result = copysign(
      select(large, Pi<T>::half.high - (2 * value - Pi<T>::half.low), value),
      x);
  return select(abs(x) < Format<T>::tiny, x, result);
}

/// pi/2 - asin(x); above 1/2 that is 2 asin(sqrt((1 - x) / 2)), below -1/2 pi
/// less the same of -x.
template <typename T> GRADOPT_INLINE T acos(T x) {
  auto [large, value] = halfAsin(x);
  bool negative = x < 0;
  T nearOne =
      select(negative, 2 * Pi<T>::half.high - (2 * value - 2 * Pi<T>::half.low),
             2 * value);
  T nearZero = Pi<T>::half.high - (copysign(value, x) - Pi<T>::half.low);
  return select(large, nearOne, nearZero);
}

/// The angle of the point (adjacent, opposite), both >= 0, in the first
/// quadrant as octants * pi/4 + turn.
template <typename T> struct Octant {
  T octants;
  T turn;
};

/// The smaller side over the larger is a tangent t <= 1; above tan(pi/8) use (t
/// - 1) / (t + 1), which turns by pi/4.
template <typename T>
GRADOPT_INLINE Octant<T> firstQuadrant(T opposite, T adjacent) {
  bool steep = opposite > adjacent;
  T large = select(steep, opposite, adjacent);
  T small = select(steep, adjacent, opposite);
  bool middle = small > Pi<T>::tanEighth * large;
  T numerator = select(middle, small - large, small);
  T denominator = select(middle, small + large, large);
  T t = numerator / denominator;
  T z = t * t;
  T angle = t * z * horner(z, coefficients::Table<T>::atan) + t;
  T octants = select(middle, T(1), T(0));
  return {select(steep, 2 - octants, octants), select(steep, -angle, angle)};
}

template <typename T> GRADOPT_INLINE T joinOctants(Octant<T> angle) {
  constexpr T high = Pi<T>::half.high / 2, low = Pi<T>::half.low / 2;
  return fma(angle.octants, high, angle.octants * low + angle.turn);
}

template <typename T> GRADOPT_INLINE T atan(T x) {
  T magnitude = clampAbove(abs(x), T(0x1p60));
  T result = copysign(joinOctants(firstQuadrant(magnitude, T(1))), x);
  return select(abs(x) < Format<T>::tiny, x, result);
}

/// The angle of |y|, |x| in the first quadrant, then reflected. Two infinite or
/// two zero arguments count as (1, 1) and (0, 1). A large pair is made smaller,
/// so that the sum of the two does not overflow, and a small pair larger, so
/// that products with subnormal numbers are not rounded to few bits.
template <typename T> GRADOPT_INLINE T atan2(T y, T x) {
  T opposite = abs(y), adjacent = abs(x);
  bool bothInfinite =
      (opposite == Format<T>::infinity) & (adjacent == Format<T>::infinity);
  bool bothZero = (opposite == 0) & (adjacent == 0);
  bool large = (opposite > T(0x1p100)) | (adjacent > T(0x1p100));
  bool small = (opposite < T(0x1p-100)) & (adjacent < T(0x1p-100));
  T factor = select(large, T(0.25), select(small, T(0x1p100), T(1)));
  opposite = select(bothInfinite, T(1), opposite * factor);
  adjacent = select(bothInfinite | bothZero, T(1), adjacent * factor);
  Octant<T> angle = firstQuadrant(opposite, adjacent);
  bool left = toBits(x) >> (8 * sizeof(T) - 1);
  angle = {select(left, 4 - angle.octants, angle.octants),
           select(left, -angle.turn, angle.turn)};
  T result = copysign(joinOctants(angle), y);
  return select((x != x) | (y != y), x + y, result);
}

} // namespace gradopt

GRADOPT_MATH_UNARY(asin, gradopt::asin)
GRADOPT_MATH_UNARY(acos, gradopt::acos)
GRADOPT_MATH_UNARY(atan, gradopt::atan)
GRADOPT_MATH_BINARY(atan2, gradopt::atan2)
