//===- FourierPasses.h - Passes of Fourier transforms -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One pass of radix R turns n = R * m numbers, of each of s transforms side by
// side, into R * s transforms of m numbers each:
//
//   y[R p + k] = w^(p k) sum_j x[p + m j] exp(-2 pi i j k / R),  0 <= p < m,
//
// where w = exp(-2 pi i / n). After the last pass the numbers are in order,
// with no permutation before or behind (Stockham). Real and imaginary parts lie
// apart, so that all arithmetic is on whole vectors.
//
// Everything here is compiled anew for each kind of CPU, in a namespace of its
// own, GRADOPT_FOURIER_TARGET, with vectors of GRADOPT_FOURIER_BYTES.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_FOURIERPASSES_H
#define GRADOPT_RUNTIME_FOURIERPASSES_H

#include "runtime/FourierSizes.h"

#include <cstring>
#include <utility>

namespace gradopt::runtime::fourier {
namespace GRADOPT_FOURIER_TARGET {

//===----------------------------------------------------------------------===//
// Vectors
//===----------------------------------------------------------------------===//

template <typename T> struct VectorOf {
  typedef T Type __attribute__((vector_size(GRADOPT_FOURIER_BYTES)));
};
template <typename T> using Vector = typename VectorOf<T>::Type;
template <typename T>
constexpr int64_t kCount = GRADOPT_FOURIER_BYTES / sizeof(T);

template <typename T> inline Vector<T> load(const T *from) {
  Vector<T> v;
  std::memcpy(&v, from, sizeof(v));
  return v;
}
template <typename T> inline void store(Vector<T> v, T *to) {
  std::memcpy(to, &v, sizeof(v));
}
template <typename T> inline Vector<T> splat(T x) { return x - Vector<T>{}; }

/// The first or the second half of what `a` and `b` are if pieces of S elements
/// of both alternate.
template <int64_t S, bool second, typename V, size_t... i>
inline V zipHalf(V a, V b, std::index_sequence<i...>) {
  constexpr int64_t n = sizeof...(i), start = second ? n / S : 0;
  return __builtin_shufflevector(a, b,
                                 ((int64_t(i) / S + start) % 2 * n +
                                  (int64_t(i) / S + start) / 2 * S +
                                  int64_t(i) % S)...);
}
template <int64_t S, typename T> inline void zip(Vector<T> &a, Vector<T> &b) {
  using Places = std::make_index_sequence<kCount<T>>;
  Vector<T> first = zipHalf<S, false>(a, b, Places());
  b = zipHalf<S, true>(a, b, Places());
  a = first;
}

/// Every second element of `a` and `b`, one behind the other.
template <bool odd, typename V, size_t... i>
inline V everySecond(V a, V b, std::index_sequence<i...>) {
  return __builtin_shufflevector(a, b, (2 * i + odd)...);
}

template <typename V, size_t... i>
inline V reversed(V v, std::index_sequence<i...>) {
  return __builtin_shufflevector(v, v, (sizeof...(i) - 1 - i)...);
}

/// Reads pairs, and writes them.
template <typename T>
inline void loadPairs(const T *from, Vector<T> &re, Vector<T> &im) {
  using Places = std::make_index_sequence<kCount<T>>;
  Vector<T> a = load(from), b = load(from + kCount<T>);
  re = everySecond<false>(a, b, Places());
  im = everySecond<true>(a, b, Places());
}
template <typename T>
inline void storePairs(Vector<T> re, Vector<T> im, T *to) {
  zip<1, T>(re, im);
  store(re, to);
  store(im, to + kCount<T>);
}

/// The vectors of `all`, R of them, with pieces of S elements in turn.
template <int R, int64_t S, typename T> inline void interleave(Vector<T> *all) {
  if constexpr (R > 1) {
    Vector<T> even[R / 2], odd[R / 2];
    for (int k = 0; k < R / 2; ++k) {
      even[k] = all[2 * k];
      odd[k] = all[2 * k + 1];
    }
    interleave<R / 2, S, T>(even);
    interleave<R / 2, S, T>(odd);
    for (int k = 0; k < R / 2; ++k) {
      zip<S, T>(even[k], odd[k]);
      all[2 * k] = even[k];
      all[2 * k + 1] = odd[k];
    }
  }
}

/// Turns rows of a square of numbers into columns.
template <typename T> inline void transposeSquare(Vector<T> *rows) {
  interleave<kCount<T>, 1, T>(rows);
}

//===----------------------------------------------------------------------===//
// Small transforms
//===----------------------------------------------------------------------===//

/// Complex numbers, in vectors of parts.
template <typename V> struct Number {
  V re, im;

  Number operator+(Number x) const { return {re + x.re, im + x.im}; }
  Number operator-(Number x) const { return {re - x.re, im - x.im}; }
  Number operator*(Number x) const {
    return {re * x.re - im * x.im, re * x.im + im * x.re};
  }
  /// Times -i.
  Number turned() const { return {im, -re}; }
};

template <typename V> inline void transform2(Number<V> &a, Number<V> &b) {
  Number<V> sum = a + b;
  b = a - b;
  a = sum;
}

template <typename V>
inline void transform4(Number<V> &a, Number<V> &b, Number<V> &c, Number<V> &d) {
  transform2(a, c);
  transform2(b, d);
  d = d.turned();
  transform2(a, b);
  transform2(c, d);
  std::swap(b, c);
}

/// A transform of R numbers; `circle` are the cosines of 2 pi j / R, then
/// sines.
template <int R, typename T>
inline void transform(Number<Vector<T>> *a, int radix, const T *circle) {
  using N = Number<Vector<T>>;
  if constexpr (R == 2) {
    transform2(a[0], a[1]);
  } else if constexpr (R == 4) {
    transform4(a[0], a[1], a[2], a[3]);
  } else if constexpr (R == 8) {
    transform4(a[0], a[2], a[4], a[6]);
    transform4(a[1], a[3], a[5], a[7]);
    Vector<T> half = splat(T(0.70710678118654752440L));
    N x = a[3], z = a[7];
    a[3] = {half * (x.re + x.im), half * (x.im - x.re)};
    a[5] = a[5].turned();
    a[7] = {half * (z.im - z.re), -half * (z.re + z.im)};
    // The transforms of even numbers are in a[0, 2, 4, 6].
    for (int k = 0; k < 4; ++k)
      transform2(a[2 * k], a[2 * k + 1]);
    N all[8] = {a[0], a[2], a[4], a[6], a[1], a[3], a[5], a[7]};
    for (int k = 0; k < 8; ++k)
      a[k] = all[k];
  } else {
    // Odd; R is 0 for any of them.
    constexpr int most = R ? R : kLargestRadix;
    const int h = (radix - 1) / 2;
    N sum[(most - 1) / 2], difference[(most - 1) / 2], first = a[0],
                                                       all = first;
    for (int k = 1; k <= h; ++k) {
      sum[k - 1] = a[k] + a[radix - k];
      difference[k - 1] = a[k] - a[radix - k];
      all = all + sum[k - 1];
    }
    a[0] = all;
    for (int j = 1; j <= h; ++j) {
      N even = first, odd = {};
      for (int k = 1, place = j; k <= h; ++k) {
        T c = circle[place], s = circle[radix + place];
        even = {even.re + c * sum[k - 1].re, even.im + c * sum[k - 1].im};
        odd = {odd.re + s * difference[k - 1].re,
               odd.im + s * difference[k - 1].im};
        place += place + j < radix ? j : j - radix;
      }
      a[j] = even + odd.turned();
      a[radix - j] = even - odd.turned();
    }
  }
}

//===----------------------------------------------------------------------===//
// Passes
//===----------------------------------------------------------------------===//

/// Parts of complex numbers.
template <typename T> struct Split {
  T *re, *im;

  Split operator+(int64_t count) const { return {re + count, im + count}; }
  /// For the other direction: a transform of numbers with their parts exchanged
  /// is the other transform, with its parts exchanged.
  Split exchanged() const { return {im, re}; }
};

template <typename T> struct Pass {
  int64_t radix, m, s;
  /// Of radices that are odd: cosines and sines.
  const T *circle;
  /// w^(p k): where whole vectors of transforms lie side by side, both parts
  /// for k from 1 on, for one p after the other; else the real parts for all p
  /// and all s transforms, then the imaginary ones, for one k after the other.
  const T *roots;

  bool isWide() const { return s % kCount<T> == 0; }
  /// The length of a row of roots if it is not.
  int64_t rowSize() const {
    return (s * m + kCount<T> - 1) / kCount<T> * kCount<T>;
  }
};

template <int R, typename T>
inline void widePass(const Pass<T> &pass, Split<T> x, Split<T> y) {
  using N = Number<Vector<T>>;
  const int radix = R ? R : int(pass.radix);
  int64_t s = pass.s, step = s * pass.m;
  const T *root = pass.roots;
  for (int64_t p = 0; p < pass.m; ++p, root += 2 * (radix - 1)) {
    Split<T> from = x + s * p, to = y + s * radix * p;
    auto run = [&](auto scale) {
      for (int64_t q = 0; q < s; q += kCount<T>) {
        N a[R ? R : kLargestRadix];
        for (int k = 0; k < radix; ++k)
          a[k] = {load(from.re + q + step * k), load(from.im + q + step * k)};
        transform<R, T>(a, radix, pass.circle);
        for (int k = 0; k < radix; ++k) {
          N b = k == 0 ? a[k] : scale(a[k], k);
          store(b.re, to.re + q + s * k);
          store(b.im, to.im + q + s * k);
        }
      }
    };
    if (p == 0)
      run([](N number, int) { return number; });
    else
      run([&](N number, int k) {
        T re = root[2 * k - 2], im = root[2 * k - 1];
        return N{number.re * re - number.im * im,
                 number.re * im + number.im * re};
      });
  }
}

/// A vector holds numbers of more than one p. S is s if that is a power of two,
/// and R one, too; else 0.
template <int R, int64_t S, typename T>
inline void flatPass(const Pass<T> &pass, Split<T> x, Split<T> y) {
  using N = Number<Vector<T>>;
  constexpr int64_t count = kCount<T>;
  // Whether the results fill whole vectors.
  constexpr bool isEven = S != 0;
  const int radix = R ? R : int(pass.radix);
  int64_t s = pass.s, step = s * pass.m, row = pass.rowSize();
  for (int64_t f = 0; f < step; f += count) {
    int64_t left = step - f < count ? step - f : count;
    N a[R ? R : kLargestRadix];
    if (left == count) {
      for (int k = 0; k < radix; ++k)
        a[k] = {load(x.re + f + step * k), load(x.im + f + step * k)};
    } else {
      for (int k = 0; k < radix; ++k) {
        a[k] = N();
        std::memcpy(&a[k].re, x.re + f + step * k, left * sizeof(T));
        std::memcpy(&a[k].im, x.im + f + step * k, left * sizeof(T));
      }
    }
    transform<R, T>(a, radix, pass.circle);
    for (int k = 1; k < radix; ++k) {
      const T *root = pass.roots + 2 * row * (k - 1) + f;
      a[k] = a[k] * N{load(root), load(root + row)};
    }
    if (isEven && left == count) {
      if constexpr (isEven) {
        Vector<T> re[R], im[R];
        for (int k = 0; k < radix; ++k) {
          re[k] = a[k].re;
          im[k] = a[k].im;
        }
        interleave<R, S, T>(re);
        interleave<R, S, T>(im);
        for (int k = 0; k < radix; ++k) {
          store(re[k], y.re + R * f + count * k);
          store(im[k], y.im + R * f + count * k);
        }
      }
      continue;
    }
    int64_t p = f / s, q = f % s;
    for (int64_t i = 0; i < left; ++i) {
      for (int k = 0; k < radix; ++k) {
        y.re[s * (radix * p + k) + q] = a[k].re[i];
        y.im[s * (radix * p + k) + q] = a[k].im[i];
      }
      if (++q == s) {
        q = 0;
        ++p;
      }
    }
  }
}

template <int R, typename T>
void runPass(const Pass<T> &pass, Split<T> x, Split<T> y) {
  if (pass.isWide())
    return widePass<R>(pass, x, y);
  // Even radices come first, the smaller ones of them first, so that s is 1, 4
  // or 8 here.
  if constexpr (R % 2 == 1 || R == 0)
    return flatPass<R, 0>(pass, x, y);
  else if (pass.s == 1)
    return flatPass<R, 1>(pass, x, y);
  if constexpr (R == 8 && kCount<T> > 8)
    if (pass.s == 8)
      return flatPass<R, 8>(pass, x, y);
  if constexpr ((R == 4 || R == 8) && kCount<T> > 4)
    return flatPass<R, 4>(pass, x, y);
}

template <typename T>
void runAnyPass(const Pass<T> &pass, Split<T> x, Split<T> y) {
  switch (pass.radix) {
  case 2:
    return runPass<2>(pass, x, y);
  case 3:
    return runPass<3>(pass, x, y);
  case 4:
    return runPass<4>(pass, x, y);
  case 5:
    return runPass<5>(pass, x, y);
  case 7:
    return runPass<7>(pass, x, y);
  case 8:
    return runPass<8>(pass, x, y);
  default:
    return runPass<0>(pass, x, y);
  }
}

} // namespace GRADOPT_FOURIER_TARGET
} // namespace gradopt::runtime::fourier

#endif // GRADOPT_RUNTIME_FOURIERPASSES_H
