//===- log.cpp - Logarithms -----------------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// log, log2, log10, log1p.
//
//===----------------------------------------------------------------------===//

#include "log.h"

namespace gradopt {

/// The constants of a logarithm to another base: 1 / ln(base) in two words, and
/// log_base(2) as a short word whose product with any exponent is exact, and
/// the rest.
template <typename T> struct LogBase {
  Pair<T> inverseLn;
  Pair<T> logOfTwo;
};

template <typename T> constexpr LogBase<T> base2;
template <>
constexpr LogBase<double> base2<double> = {
    {0x1.71547652b82fep+0, 0x1.777d0ffda0d24p-56}, {1, 0}};
template <>
constexpr LogBase<float> base2<float> = {{0x1.715476p+0f, 0x1.4ae0cp-26f},
                                         {1, 0}};

template <typename T> constexpr LogBase<T> base10;
template <>
constexpr LogBase<double> base10<double> = {
    {0x1.bcb7b1526e50ep-2, 0x1.95355baaafad3p-57},
    {0x1.34413509f8p-2, -0x1.80433b83b532ap-44}};
template <>
constexpr LogBase<float> base10<float> = {{0x1.bcb7b2p-2f, -0x1.5b235ep-27f},
                                          {0x1.344p-2f, 0x1.3509f8p-18f}};

/// log(x) / ln(base), summed in two words so that powers of the base come out
/// exact.
template <typename T> GRADOPT_INLINE T logToBase(T x, const LogBase<T> &base) {
  auto [exponent, mantissa] = reduceLog(x);
  T f = mantissa - 1;
  Pair<T> linear = twoProduct(f, base.inverseLn.high);
  Pair<T> sum = fastTwoSum(exponent * base.logOfTwo.high, linear.high);
  T low = log1pMinusLinear(f) * base.inverseLn.high +
          (f * base.inverseLn.low + linear.low);
  return logDomain(x, T(0),
                   sum.high + (sum.low + (low + exponent * base.logOfTwo.low)));
}

template <typename T> GRADOPT_INLINE T log2(T x) {
  return logToBase(x, base2<T>);
}
template <typename T> GRADOPT_INLINE T log10(T x) {
  return logToBase(x, base10<T>);
}

} // namespace gradopt

GRADOPT_MATH_UNARY(log, gradopt::log)
GRADOPT_MATH_UNARY(log2, gradopt::log2)
GRADOPT_MATH_UNARY(log10, gradopt::log10)
GRADOPT_MATH_UNARY(log1p, gradopt::log1p)
