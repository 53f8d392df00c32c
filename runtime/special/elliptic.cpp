//===- elliptic.cpp - Elliptic integrals ----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// By Carlson's symmetric forms (DLMF 19.25), in which no digits cancel, for
// every parameter m <= 1.
//
//===----------------------------------------------------------------------===//

#include "Jet.h"

#include <boost/math/special_functions/ellint_2.hpp>
#include <boost/math/special_functions/ellint_rd.hpp>
#include <boost/math/special_functions/ellint_rf.hpp>

namespace gradopt::special {

/// K(m) for m = 1 - p.
static double ellipkm1(double p) {
  if (!(p >= 0))
    return kNaN;
  if (p == kInfinity)
    return 0;
  return p == 0 ? kInfinity : bm::ellint_rf(0.0, p, 1.0);
}

static double ellipk(double m) { return ellipkm1(1 - m); }

/// D(m) = (K(m) - E(m)) / m for m = 1 - p.
static double ellipd(double p) {
  if (!(p >= 0))
    return kNaN;
  if (p == kInfinity)
    return 0;
  return p == 0 ? kInfinity : bm::ellint_rd(0.0, p, 1.0) / 3;
}

static double ellipe(double m) {
  if (!(m <= 1))
    return kNaN;
  if (m == -kInfinity)
    return kInfinity;
  return m >= 0 ? bm::ellint_2(std::sqrt(m))
                : std::sqrt(1 - m) * bm::ellint_2(std::sqrt(m / (m - 1)));
}

/// An angle as a multiple of pi and a rest within half of that.
struct Angle {
  double turns, sine, cosine, rest;

  explicit Angle(double phi) {
    turns = std::floor(phi / kPi + 0.5);
    // pi in two words.
    rest = (phi - turns * kPi) - turns * 1.2246467991473531772e-16;
    sine = std::sin(rest);
    cosine = std::cos(rest);
  }
};

static double ellipkinc(double phi, double m) {
  if (isNaN(phi) || !(m <= 1))
    return kNaN;
  if (std::fabs(phi) == kInfinity)
    return m == -kInfinity ? kNaN : phi;
  if (m == -kInfinity)
    return 0;
  Angle a(phi);
  if (m == 1)
    return a.turns == 0 && std::fabs(phi) < kPi / 2
               ? std::asinh(std::tan(phi))
               : std::copysign(kInfinity, phi);
  double first = a.sine * bm::ellint_rf(a.cosine * a.cosine,
                                        1 - m * (a.sine * a.sine), 1.0);
  return a.turns == 0 ? first : first + 2 * a.turns * ellipk(m);
}

static double ellipkinc_dm(double phi, double m) {
  if (isNaN(phi) || !(m <= 1) || std::fabs(phi) == kInfinity || m == -kInfinity)
    return kNaN;
  Angle a(phi);
  if (m == 1 && a.turns != 0)
    return std::copysign(kInfinity, phi);
  double s = a.sine, delta = 1 - m * (s * s);
  double first =
      delta <= 0
          ? std::copysign(kInfinity, phi)
          : s * s * s * bm::ellint_rd(a.cosine * a.cosine, 1.0, delta) / 6;
  if (a.turns == 0)
    return first;
  double p = 1 - m;
  return first + a.turns * (ellipkm1(p) - ellipd(p)) / p;
}

static Jet root(const Jet &a) {
  if (a.value == 0)
    return {0}; // A constant.
  double f = std::sqrt(a.value);
  return a.map(f, 0.5 / f, -0.25 / (f * a.value));
}

/// Carlson's R_D by duplication (Carlson 1979, Computing elliptic integrals by
/// duplication), with the derivatives that x, y and z have; its terms and their
/// first derivatives have one sign each.
static Jet ellint_rd(Jet x, Jet y, Jet z) {
  constexpr int kMost = 100;
  Jet sum = 0, scale = 1;
  for (int i = 0; i < kMost; ++i) {
    Jet mean = (x + y + Jet(3) * z) * Jet(0.2);
    double spread = std::fmax(std::fabs(mean.value - x.value),
                              std::fmax(std::fabs(mean.value - y.value),
                                        std::fabs(mean.value - z.value)));
    // What is left out of the series is of the sixth order; its derivative of
    // the fifth.
    if (spread < 5e-4 * mean.value) {
      Jet u = (mean - x) / mean, v = (mean - y) / mean;
      Jet w = (Jet(0) - u - v) * Jet(1. / 3);
      Jet uv = u * v, ww = w * w;
      Jet e2 = uv - Jet(6) * ww, e3 = (Jet(3) * uv - Jet(8) * ww) * w,
          e4 = Jet(3) * (uv - ww) * ww, e5 = uv * w * ww;
      // DLMF 19.36.2.
      Jet series = Jet(1) - Jet(3. / 14) * e2 + Jet(1. / 6) * e3 +
                   Jet(9. / 88) * e2 * e2 - Jet(3. / 22) * e4 -
                   Jet(9. / 52) * e2 * e3 + Jet(3. / 26) * e5;
      return Jet(3) * sum + scale * series / (mean * root(mean));
    }
    Jet rx = root(x), ry = root(y), rz = root(z);
    Jet step = rx * (ry + rz) + ry * rz;
    sum = sum + scale / (rz * (z + step));
    scale = scale * Jet(0.25);
    x = (x + step) * Jet(0.25);
    y = (y + step) * Jet(0.25);
    z = (z + step) * Jet(0.25);
  }
  return {kNaN};
}

/// The integral of 3/4 sin^4 / (1 - m sin^2)^(5/2).
static double ellipkinc_dmm(double phi, double m) {
  if (isNaN(phi) || !(m <= 1) || std::fabs(phi) == kInfinity || m == -kInfinity)
    return kNaN;
  Angle a(phi);
  double s = a.sine, delta = 1 - m * (s * s);
  if (delta <= 0 || (m == 1 && a.turns != 0))
    return std::copysign(kInfinity, phi);
  auto slope = [](double square, double delta) {
    return -ellint_rd(square, 1, Jet::first(delta)).s / 6;
  };
  double first = s * s * s * s * s * slope(a.cosine * a.cosine, delta);
  return a.turns == 0 ? first : first + 2 * a.turns * slope(0, 1 - m);
}

/// The integral of sin^2 / sqrt(1 - m sin^2).
static double ellipdinc(double phi, double m) {
  Angle a(phi);
  double s = a.sine, delta = 1 - m * (s * s), square = a.cosine * a.cosine;
  double first = square == 0 && delta <= 0
                     ? std::copysign(kInfinity, phi)
                     : s * s * s * bm::ellint_rd(square, delta, 1.0) / 3;
  return a.turns == 0 ? first : first + 2 * a.turns * ellipd(1 - m);
}

static double ellipeinc(double phi, double m) {
  if (isNaN(phi) || !(m <= 1))
    return kNaN;
  if (std::fabs(phi) == kInfinity)
    return phi;
  if (m == -kInfinity)
    return phi == 0 ? phi : std::copysign(kInfinity, phi);
  Angle a(phi);
  double s = a.sine;
  if (m == 1)
    return s + 2 * a.turns;
  double square = a.cosine * a.cosine, delta = 1 - m * (s * s);
  double first = s * bm::ellint_rf(square, delta, 1.0) -
                 m / 3 * (s * s * s * bm::ellint_rd(square, delta, 1.0));
  return a.turns == 0 ? first : first + 2 * a.turns * ellipe(m);
}

static double ellipeinc_dm(double phi, double m) {
  if (isNaN(phi) || !(m <= 1) || std::fabs(phi) == kInfinity || m == -kInfinity)
    return kNaN;
  return -0.5 * ellipdinc(phi, m);
}

/// The integral of -1/4 sin^4 / (1 - m sin^2)^(3/2).
static double ellipeinc_dmm(double phi, double m) {
  if (isNaN(phi) || !(m <= 1) || std::fabs(phi) == kInfinity || m == -kInfinity)
    return kNaN;
  Angle a(phi);
  double s = a.sine, delta = 1 - m * (s * s);
  if (delta <= 0 || (m == 1 && a.turns != 0))
    return std::copysign(kInfinity, -phi);
  auto slope = [](double square, double delta) {
    return ellint_rd(square, Jet::first(delta), 1).s / 6;
  };
  double first = s * s * s * s * s * slope(a.cosine * a.cosine, delta);
  return a.turns == 0 ? first : first + 2 * a.turns * slope(0, 1 - m);
}

/// Jacobi's amplitude, by descending Landen transformations (DLMF 22.20.2).
static double jacobi_am(double u, double m) {
  if (isNaN(u) || !(m >= 0 && m <= 1) || std::fabs(u) == kInfinity)
    return kNaN;
  if (m == 1)
    return std::atan(std::sinh(u));
  // Each halves the digits that c lacks: few are needed.
  constexpr int kMost = 12;
  double ratios[kMost];
  double a = 1, b = std::sqrt(1 - m), c = std::sqrt(m);
  int n = 0;
  while (n < kMost && std::fabs(c) > 0.5 * kEpsilon * a) {
    double mean = 0.5 * (a + b);
    c = 0.5 * (a - b);
    b = std::sqrt(a * b);
    a = mean;
    ratios[n++] = c / a;
  }
  double phi = std::ldexp(a, n) * u;
  while (n > 0)
    phi = 0.5 * (phi + std::asin(ratios[--n] * std::sin(phi)));
  return phi;
}

} // namespace gradopt::special

GRADOPT_SPECIAL_UNARY(ellipk, gradopt::special::ellipk)
GRADOPT_SPECIAL_UNARY(ellipkm1, gradopt::special::ellipkm1)
GRADOPT_SPECIAL_UNARY(ellipe, gradopt::special::ellipe)
GRADOPT_SPECIAL_UNARY(ellipd, gradopt::special::ellipd)
GRADOPT_SPECIAL_BINARY(ellipkinc, gradopt::special::ellipkinc)
GRADOPT_SPECIAL_BINARY(ellipkinc_dm, gradopt::special::ellipkinc_dm)
GRADOPT_SPECIAL_BINARY(ellipkinc_dmm, gradopt::special::ellipkinc_dmm)
GRADOPT_SPECIAL_BINARY(ellipeinc, gradopt::special::ellipeinc)
GRADOPT_SPECIAL_BINARY(ellipeinc_dm, gradopt::special::ellipeinc_dm)
GRADOPT_SPECIAL_BINARY(ellipeinc_dmm, gradopt::special::ellipeinc_dmm)
GRADOPT_SPECIAL_BINARY(jacobi_am, gradopt::special::jacobi_am)
