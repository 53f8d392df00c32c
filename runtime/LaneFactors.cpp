//===- LaneFactors.cpp - Factorisations of several matrices ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Symmetric matrices become tridiagonal by Householder's reflections, then
// diagonal by the implicit QL iteration with Wilkinson's shift; singular values
// are found by Jacobi's method on one side (Hestenes). Golub & Van Loan, Matrix
// Computations, 4th ed., 8.3 and 8.6.3.
//
// A lane that has nothing to do in a step is told so by a mask, or turns by an
// angle of zero: the latter may change the sign of a zero, which the caller
// takes away.
//
//===----------------------------------------------------------------------===//

#include "runtime/LaneFactors.h"

using namespace gradopt::runtime::lapack;

namespace {

//===----------------------------------------------------------------------===//
// Vectors
//===----------------------------------------------------------------------===//

/// All kinds of CPUs have code of the same names, each with a copy of its own.
template <int lanes> struct Lanes {
  typedef double Numbers __attribute__((vector_size(8 * lanes)));
  typedef long long Mask __attribute__((vector_size(8 * lanes)));
};

template <int lanes> struct Kernels {
  using V = typename Lanes<lanes>::Numbers;
  using M = typename Lanes<lanes>::Mask;

  static V all(double x) { return V{} + x; }
  static V select(M mask, V x, V y) { return mask ? x : y; }
  static V abs(V x) { return __builtin_elementwise_abs(x); }
  static V sqrt(V x) { return __builtin_elementwise_sqrt(x); }
  static V withSign(V x, V y) { return __builtin_elementwise_copysign(x, y); }
  static V larger(V x, V y) { return x > y ? x : y; }
  static bool any(M mask) { return __builtin_reduce_or(mask) != 0; }
  /// x / y, and 0 where that is not asked for.
  static V divide(M mask, V x, V y) {
    return select(mask, x / select(mask, y, all(1)), V{});
  }
  static uint64_t bits(M mask) {
    uint64_t result = 0;
    for (int i = 0; i < lanes; ++i)
      result |= uint64_t(mask[i] & 1) << i;
    return result;
  }

  //===--------------------------------------------------------------------===//
  // Eigenvalues
  //===--------------------------------------------------------------------===//

  /// The diagonal `d`, and `e` beside it. What is below that in `a` become the
  /// vectors of reflections, with a one in front, and `tau` their factors.
  static void makeTridiagonal(int64_t n, V *a, V *d, V *e, V *tau, V *v, V *w) {
    V one = all(1);
    for (int64_t k = 0; k < n - 2; ++k) {
      V head = a[(k + 1) * n + k], largest{};
      for (int64_t i = k + 2; i < n; ++i)
        largest = larger(abs(a[i * n + k]), largest);
      M isTurned = largest > V{};
      largest = larger(abs(head), largest);
      // Squares of small numbers would be zero.
      V inverse = divide(isTurned, one, largest), sum{};
      V first = head * inverse;
      for (int64_t i = k + 2; i < n; ++i) {
        v[i] = a[i * n + k] * inverse;
        sum += v[i] * v[i];
      }
      V length = withSign(sqrt(first * first + sum), -first);
      tau[k] = divide(isTurned, length - first, length);
      V scale = divide(isTurned, one, first - length);
      d[k] = a[k * n + k];
      e[k] = select(isTurned, length * largest, head);
      v[k + 1] = one;
      for (int64_t i = k + 2; i < n; ++i)
        a[i * n + k] = v[i] = v[i] * scale;
      reflect(n, k + 1, a, tau[k], v, w);
    }
    if (n > 1) {
      d[n - 2] = a[(n - 2) * n + n - 2];
      e[n - 2] = a[(n - 1) * n + n - 2];
    }
    d[n - 1] = a[n * n - 1];
    e[n - 1] = V{};
  }

  /// h a h, for the lower triangle of `a` from row `begin` on, with h = 1 - tau
  /// v v^T.
  static void reflect(int64_t n, int64_t begin, V *a, V tau, const V *v, V *w) {
    for (int64_t i = begin; i < n; ++i) {
      V *row = a + i * n;
      V sum = row[i] * v[i];
      for (int64_t j = begin; j < i; ++j) {
        sum += row[j] * v[j];
        w[j] += row[j] * v[i];
      }
      w[i] = sum;
    }
    V along{};
    for (int64_t i = begin; i < n; ++i) {
      w[i] *= tau;
      along += w[i] * v[i];
    }
    along *= 0.5 * tau;
    for (int64_t i = begin; i < n; ++i)
      w[i] -= along * v[i];
    for (int64_t i = begin; i < n; ++i)
      for (int64_t j = begin; j <= i; ++j)
        a[i * n + j] -= v[i] * w[j] + w[i] * v[j];
  }

  /// The columns of the product of the reflections, as rows of `z`.
  static void multiplyReflections(int64_t n, const V *a, const V *tau, V *z) {
    for (int64_t i = 0; i < n * n; ++i)
      z[i] = all(i % (n + 1) == 0);
    for (int64_t k = n - 3; k >= 0; --k)
      for (int64_t j = k + 1; j < n; ++j) {
        V *column = z + j * n, sum = column[k + 1];
        for (int64_t i = k + 2; i < n; ++i)
          sum += a[i * n + k] * column[i];
        sum *= tau[k];
        column[k + 1] -= sum;
        for (int64_t i = k + 2; i < n; ++i)
          column[i] -= sum * a[i * n + k];
      }
  }

  /// In the other order where the diagonal decreases: QL finds what is small
  /// next to what is large if it comes before that.
  static void turnAround(int64_t n, V *d, V *e, V *z) {
    M isDecreasing = abs(d[n - 1]) < abs(d[0]);
    if (!any(isDecreasing))
      return;
    auto exchange = [&](V &x, V &y) {
      V other = x;
      x = select(isDecreasing, y, x);
      y = select(isDecreasing, other, y);
    };
    for (int64_t i = 0; i < n / 2; ++i) {
      exchange(d[i], d[n - 1 - i]);
      for (int64_t k = 0; z && k < n; ++k)
        exchange(z[i * n + k], z[(n - 1 - i) * n + k]);
    }
    for (int64_t i = 0; i < (n - 1) / 2; ++i)
      exchange(e[i], e[n - 2 - i]);
  }

  /// A rotation that makes (y, x) to (length, 0).
  struct Rotation {
    V cosine, sine, length;

    Rotation(V x, V y) {
      V square = x * x + y * y, unit = all(1);
      M isSmall = square < 0x1p-960;
      if (__builtin_expect(any(isSmall), 0)) {
        x = select(isSmall, x * 0x1p500, x);
        y = select(isSmall, y * 0x1p500, y);
        unit = select(isSmall, all(0x1p-500), unit);
        square = x * x + y * y;
      }
      M isThere = square > V{};
      length = sqrt(square);
      V inverse = divide(isThere, all(1), length);
      sine = x * inverse;
      cosine = select(isThere, y * inverse, all(1));
      length *= unit;
    }
  };

  /// One step of QL, for rows from `begin` to `last` of each lane that is
  /// active; `end` is the largest of `last`. `bottom` is d[last].
  static void stepQl(int64_t n, int64_t begin, int64_t end, M active, M last,
                     V bottom, V *d, V *e, V *z) {
    V one = all(1);
    V g = divide(active, d[begin + 1] - d[begin], 2 * e[begin]);
    V size = abs(g), length = select(size > 0x1p500, size, sqrt(g * g + one));
    g = bottom - d[begin] + divide(active, e[begin], g + withSign(length, g));
    V sine = one, cosine = one, shift{};
    for (int64_t i = end - 1; i >= begin; --i) {
      M isOn = active & (last > (long long)(i));
      V b = cosine * e[i];
      Rotation turn(sine * e[i], g);
      sine = select(isOn, turn.sine, sine);
      cosine = select(isOn, turn.cosine, cosine);
      // What was beside d[last] is zero already.
      e[i + 1] =
          select(isOn & (last > (long long)(i + 1)), turn.length, e[i + 1]);
      V below = d[i + 1] - shift;
      V more = (d[i] - below) * sine + 2 * cosine * b;
      shift = select(isOn, sine * more, shift);
      d[i + 1] = select(isOn, below + shift, d[i + 1]);
      g = select(isOn, cosine * more - b, g);
      if (!z)
        continue;
      V c = select(isOn, cosine, one), s = select(isOn, sine, V{});
      V *__restrict upper = z + i * n, *__restrict lower = upper + n;
      for (int64_t k = 0; k < n; ++k) {
        V x = upper[k], y = lower[k];
        lower[k] = s * x + c * y;
        upper[k] = c * x - s * y;
      }
    }
    d[begin] = select(active, d[begin] - shift, d[begin]);
    e[begin] = select(active, g, e[begin]);
  }

  static uint64_t iterateQl(int64_t n, V *d, V *e, V *z) {
    int64_t steps = 30 * n;
    for (int64_t begin = 0; begin < n - 1; ++begin)
      for (;;) {
        // Where the block that begins here ends, in each lane.
        M isOpen = M{} - 1, active{}, last = M{} + (long long)(begin);
        V bottom = d[begin];
        int64_t end = begin;
        for (int64_t i = begin; i < n - 1; ++i) {
          V negligible = 0x1p-53 * (abs(d[i]) + abs(d[i + 1])) + 0x1p-1022;
          isOpen &= abs(e[i]) > negligible;
          if (!any(isOpen))
            break;
          if (i == begin)
            active = isOpen;
          bottom = select(isOpen, d[i + 1], bottom);
          last -= isOpen;
          end = i + 1;
        }
        if (end == begin)
          break;
        if (--steps < 0)
          return bits(active);
        stepQl(n, begin, end, active, last, bottom, d, e, z);
      }
    return 0;
  }

  static uint64_t eigh(int64_t n, double *matrix, double *values,
                       double *vectors, double *work) {
    V *a = reinterpret_cast<V *>(matrix), *d = reinterpret_cast<V *>(values),
      *z = reinterpret_cast<V *>(vectors), *e = reinterpret_cast<V *>(work);
    V *tau = e + n;
    makeTridiagonal(n, a, d, e, tau, tau + n, tau + 2 * n);
    if (z)
      multiplyReflections(n, a, tau, z);
    turnAround(n, d, e, z);
    return iterateQl(n, d, e, z);
  }

  //===--------------------------------------------------------------------===//
  // Singular values
  //===--------------------------------------------------------------------===//

  static void turnRows(V c, V s, int64_t length, V *__restrict one,
                       V *__restrict two) {
    for (int64_t i = 0; i < length; ++i) {
      V x = one[i], y = two[i];
      one[i] = c * x - s * y;
      two[i] = s * x + c * y;
    }
  }

  /// Makes two rows orthogonal. Returns where they were not.
  static M turnPair(int64_t k, int64_t length, V limit, V *one, V *two,
                    V *turnOfOne, V *turnOfTwo) {
    V a{}, b{}, c{};
    for (int64_t i = 0; i < length; ++i) {
      V x = one[i], y = two[i];
      a += x * x;
      b += x * y;
      c += y * y;
    }
    M isOn = (b * b > limit * (a * c)) & (a > kNothing * kNothing) &
             (c > kNothing * kNothing);
    if (!any(isOn))
      return isOn;
    // The smaller one of the angles (Rutishauser).
    V distance = c - a;
    V tangent = divide(isOn, withSign(2 * b, b * withSign(all(1), distance)),
                       abs(distance) + sqrt(distance * distance + 4 * b * b));
    V cosine = 1 / sqrt(1 + tangent * tangent), sine = tangent * cosine;
    turnRows(cosine, sine, length, one, two);
    if (turnOfOne)
      turnRows(cosine, sine, k, turnOfOne, turnOfTwo);
    return isOn;
  }

  static uint64_t svd(int64_t k, int64_t length, double tolerance,
                      double *matrix, double *sizes, double *turns) {
    V *x = reinterpret_cast<V *>(matrix), *rows = reinterpret_cast<V *>(turns),
      *s = reinterpret_cast<V *>(sizes);
    for (int64_t i = 0; rows && i < k * k; ++i)
      rows[i] = all(i % (k + 1) == 0);
    V limit = all(tolerance * tolerance);
    M isLeft = M{} - 1;
    for (int sweep = 0; sweep < 60 && any(isLeft); ++sweep) {
      isLeft = M{};
      for (int64_t i = 1; i < k; ++i)
        for (int64_t j = 0; j < i; ++j)
          isLeft |= turnPair(k, length, limit, x + j * length, x + i * length,
                             rows ? rows + j * k : nullptr,
                             rows ? rows + i * k : nullptr);
    }
    for (int64_t i = 0; i < k; ++i) {
      V largest{}, sum{};
      for (int64_t j = 0; j < length; ++j)
        largest = larger(abs(x[i * length + j]), largest);
      M isThere = largest > 0x1p-1000;
      V inverse = divide(isThere, all(1), largest);
      for (int64_t j = 0; j < length; ++j) {
        V part = x[i * length + j] * inverse;
        sum += part * part;
      }
      s[i] = select(isThere, largest * sqrt(sum), largest);
    }
    return bits(isLeft);
  }
};

} // namespace

const LaneCode gradopt::runtime::lapack::GRADOPT_LANE_CODE = {
    {1, Kernels<1>::eigh, Kernels<1>::svd},
    {8, Kernels<8>::eigh, Kernels<8>::svd},
};
