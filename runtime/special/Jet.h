//===- Jet.h - Numbers with two derivatives ---------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A number as a function of two parameters s and t, to the second order: series
// and continued fractions in them are series and continued fractions of their
// derivatives.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_SPECIAL_JET_H
#define GRADOPT_RUNTIME_SPECIAL_JET_H

#include "special.h"

namespace gradopt::special {

struct Jet {
  double value, s = 0, t = 0, ss = 0, st = 0, tt = 0;

  Jet(double value) : value(value) {}
  Jet(double value, double s, double t, double ss, double st, double tt)
      : value(value), s(s), t(t), ss(ss), st(st), tt(tt) {}

  static Jet first(double value) { return {value, 1, 0, 0, 0, 0}; }
  static Jet second(double value) { return {value, 0, 1, 0, 0, 0}; }

  /// f of this number, from f, f' and f'' at its value.
  Jet map(double f, double slope, double curvature) const {
    return {f,
            slope * s,
            slope * t,
            slope * ss + curvature * s * s,
            slope * st + curvature * s * t,
            slope * tt + curvature * t * t};
  }
};

inline Jet operator+(const Jet &a, const Jet &b) {
  return {a.value + b.value, a.s + b.s,   a.t + b.t,
          a.ss + b.ss,       a.st + b.st, a.tt + b.tt};
}
inline Jet operator-(const Jet &a, const Jet &b) {
  return {a.value - b.value, a.s - b.s,   a.t - b.t,
          a.ss - b.ss,       a.st - b.st, a.tt - b.tt};
}
inline Jet operator*(const Jet &a, const Jet &b) {
  return {a.value * b.value,
          a.s * b.value + a.value * b.s,
          a.t * b.value + a.value * b.t,
          a.ss * b.value + 2 * a.s * b.s + a.value * b.ss,
          a.st * b.value + a.s * b.t + a.t * b.s + a.value * b.st,
          a.tt * b.value + 2 * a.t * b.t + a.value * b.tt};
}
inline Jet inverse(const Jet &a) {
  double f = 1 / a.value;
  return a.map(f, -f * f, 2 * f * f * f);
}
inline Jet operator/(const Jet &a, const Jet &b) { return a * inverse(b); }

/// Whether a term changes a sum, or the derivatives of it.
inline bool matters(const Jet &term, const Jet &sum) {
  constexpr double kSmall = 1e-17;
  // NaN changes nothing any more.
  auto isLess = [](double a, double b) {
    return !(std::fabs(a) > kSmall * std::fabs(b));
  };
  return !(isLess(term.value, sum.value) && isLess(term.s, sum.s) &&
           isLess(term.t, sum.t) && isLess(term.ss, sum.ss) &&
           isLess(term.st, sum.st) && isLess(term.tt, sum.tt));
}

/// Whether two values of a fraction that converges are the same to rounding.
inline bool isNear(const Jet &a, const Jet &b) {
  auto isClose = [&](double x, double y) {
    return !(std::fabs(x - y) > 4e-16 * (std::fabs(x) + std::fabs(a.value)));
  };
  return isClose(a.value, b.value) && isClose(a.s, b.s) && isClose(a.t, b.t) &&
         isClose(a.ss, b.ss) && isClose(a.st, b.st) && isClose(a.tt, b.tt);
}

} // namespace gradopt::special

#endif // GRADOPT_RUNTIME_SPECIAL_JET_H
