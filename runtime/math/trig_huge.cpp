//===- trig_huge.cpp - Trigonometric functions far from 0 -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// sin, cos, tan of arguments too large for trig.cpp (Payne and Hanek's
// reduction).
//
// x = M 2^e with a 53-bit integer M. Of the bits of 2/pi, those whose product
// with x is a multiple of 4 cannot matter; the next 192, as an integer W, give
// M W mod 2^192: two bits of quadrant and 190 of fraction. No double comes
// closer to a multiple of pi/2 than about 2^-61, which leaves more than enough
// of them. Scalar code, with branches.
//
//===----------------------------------------------------------------------===//

#include "common.h"

namespace {

using gradopt::Pair;
using Word = unsigned long long;
using Wide = unsigned __int128;

/// The first 1280 bits of 2/pi after the binary point, behind 64 zero bits for
/// exponents near zero.
constexpr Word twoOverPi[] = {
    0x0,
    0xa2f9836e4e441529,
    0xfc2757d1f534ddc0,
    0xdb6295993c439041,
    0xfe5163abdebbc561,
    0xb7246e3a424dd2e0,
    0x06492eea09d1921c,
    0xfe1deb1cb129a73e,
    0xe88235f52ebb4484,
    0xe99c7026b45f7e41,
    0x3991d639835339f4,
    0x9c845f8bbdf9283b,
    0x1ff897ffde05980f,
    0xef2f118b5a0a6d1f,
    0x6d367ecf27cb09b7,
    0x4f463f669e5fea2d,
    0x7527bac7ebe5f17b,
    0x3d0739f78a5292ea,
    0x6bfb5fb11f8d5d08,
    0x56033046fc7b6bab,
    0xf0cfbc209af4361d,
};

constexpr double halfPi = 0x1.921fb54442d18p+0;
constexpr double halfPiLow = 0x1.1a62633145c07p-54;

struct Angle {
  unsigned quadrant;
  double r;
};

/// |x| = quadrant pi/2 + r (mod 2 pi), |r| <= pi/4, for finite |x| >= 1.
Angle reduceHuge(double x) {
  Word bits = gradopt::toBits(gradopt::abs(x));
  int exponent = static_cast<int>(bits >> 52) - 1075;
  Word mantissa = (bits & 0xfffffffffffffull) | 0x10000000000000ull;

  // The window starts at the bit of weight 2^(1 - exponent).
  int start = exponent + 62;
  const Word *words = twoOverPi + (start >> 6);
  int offset = start & 63;
  Word window[3];
  for (int i = 0; i < 3; ++i)
    window[i] = offset == 0
                    ? words[i]
                    : (words[i] << offset) | (words[i + 1] >> (64 - offset));

  Wide low = Wide(mantissa) * window[2];
  Wide middle = Wide(mantissa) * window[1] + Word(low >> 64);
  Word top = mantissa * window[0] + Word(middle >> 64);
  Word next = Word(middle);

  // Rounded to the nearest quadrant the fraction is the rest as a signed
  // number, in units of 2^-126.
  unsigned quadrant = static_cast<unsigned>(top >> 62);
  long long high = static_cast<long long>((top << 2) | (next >> 62));
  Word lowWord = (next << 2) | (Word(low) >> 62);
  quadrant += high < 0;

  Pair<double> fraction =
      gradopt::twoSum(static_cast<double>(high) * 0x1p-64,
                      static_cast<double>(lowWord) * 0x1p-128);
  Pair<double> product = gradopt::twoProduct(fraction.high, halfPi);
  double rest = fraction.high * halfPiLow + fraction.low * halfPi;
  return {quadrant & 3, product.high + (product.low + rest)};
}

double sineOf(double r) {
  double z = r * r;
  return r * z *
             gradopt::horner(z,
                             gradopt::coefficients::Table<double>::sin_narrow) +
         r;
}

double cosineOf(double r) {
  double z = r * r;
  return z * (z * gradopt::horner(
                      z, gradopt::coefficients::Table<double>::cos_narrow) -
              0.5) +
         1;
}

bool isFinite(double x) {
  return gradopt::abs(x) < gradopt::Format<double>::infinity;
}

} // namespace

#ifdef GRADOPT_MATH_EXPORT
#define GRADOPT_MATH_SLOW extern "C" __attribute__((noinline))
#else
#define GRADOPT_MATH_SLOW                                                      \
  extern "C" __attribute__((visibility("hidden"), noinline, cold))
#endif

GRADOPT_MATH_SLOW double gradopt_sin_huge_f64(double x) noexcept {
  if (x == 0 || !isFinite(x))
    return x - x;
  auto [quadrant, r] = reduceHuge(x);
  double value = quadrant & 1 ? cosineOf(r) : sineOf(r);
  return ((quadrant >> 1) != 0) != (x < 0) ? -value : value;
}

GRADOPT_MATH_SLOW double gradopt_cos_huge_f64(double x) noexcept {
  if (x == 0 || !isFinite(x))
    return x - x;
  auto [quadrant, r] = reduceHuge(x);
  double value = quadrant & 1 ? sineOf(r) : cosineOf(r);
  return quadrant == 1 || quadrant == 2 ? -value : value;
}

GRADOPT_MATH_SLOW double gradopt_tan_huge_f64(double x) noexcept {
  if (x == 0 || !isFinite(x))
    return x - x;
  auto [quadrant, r] = reduceHuge(x);
  double value =
      quadrant & 1 ? -cosineOf(r) / sineOf(r) : sineOf(r) / cosineOf(r);
  return x < 0 ? -value : value;
}

GRADOPT_MATH_SLOW float gradopt_sin_huge_f32(float x) noexcept {
  return static_cast<float>(gradopt_sin_huge_f64(x));
}
GRADOPT_MATH_SLOW float gradopt_cos_huge_f32(float x) noexcept {
  return static_cast<float>(gradopt_cos_huge_f64(x));
}
GRADOPT_MATH_SLOW float gradopt_tan_huge_f32(float x) noexcept {
  return static_cast<float>(gradopt_tan_huge_f64(x));
}
