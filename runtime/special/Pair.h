//===- Pair.h - Numbers of twice as many digits -----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For sums in which digits cancel. No expression here has two roundings that
// could become one.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_SPECIAL_PAIR_H
#define GRADOPT_RUNTIME_SPECIAL_PAIR_H

namespace gradopt::special {

/// The sum of two doubles, the second within the first one's rounding error.
struct Pair {
  double high, low;
};

inline Pair exactSum(double a, double b) {
  double sum = a + b, part = sum - a;
  return {sum, (a - (sum - part)) + (b - part)};
}

/// Dekker's product.
inline Pair exactProduct(double a, double b) {
  constexpr double kSplit = 134217729; // 2^27 + 1.
  double at = kSplit * a, bt = kSplit * b;
  double ah = at - (at - a), al = a - ah;
  double bh = bt - (bt - b), bl = b - bh;
  double product = a * b;
  double error = ah * bh - product;
  error += ah * bl;
  error += al * bh;
  error += al * bl;
  return {product, error};
}

inline Pair operator+(const Pair &a, const Pair &b) {
  Pair sum = exactSum(a.high, b.high);
  return exactSum(sum.high, sum.low + (a.low + b.low));
}

inline Pair operator*(const Pair &a, const Pair &b) {
  Pair product = exactProduct(a.high, b.high);
  double cross = a.high * b.low;
  cross += a.low * b.high;
  return exactSum(product.high, product.low + cross);
}

inline Pair operator/(const Pair &a, const Pair &b) {
  double first = a.high / b.high;
  Pair rest = a + Pair{-first, 0} * b;
  double second = rest.high / b.high;
  rest = rest + Pair{-second, 0} * b;
  Pair sum = exactSum(first, second);
  return exactSum(sum.high, sum.low + rest.high / b.high);
}

} // namespace gradopt::special

#endif // GRADOPT_RUNTIME_SPECIAL_PAIR_H
