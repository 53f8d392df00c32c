//===- FourierTransform.h - Fourier transforms of any size ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Forward transforms of parts of numbers that lie apart, `lanes` transforms
// side by side. The result is where its data or its scratch memory was.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_FOURIERTRANSFORM_H
#define GRADOPT_RUNTIME_FOURIERTRANSFORM_H

#include "runtime/FourierPlan.h"

namespace gradopt::runtime::fourier {
namespace GRADOPT_FOURIER_TARGET {

/// Parts of `points` numbers of each of `lanes` transforms, in `memory` of
/// getSpan(points, lanes).
template <typename T>
Split<T> splitIn(T *memory, int64_t points, int64_t lanes) {
  return {memory, memory + points * lanes + kGap};
}

template <typename T>
Split<T> transformDirect(const Plan<T> &plan, Split<T> x, T *scratch) {
  Split<T> other = splitIn(scratch, plan.n + 1, plan.lanes);
  for (int i = 0; i < plan.numPasses; ++i) {
    runAnyPass(plan.passes[i], x, other);
    std::swap(x, other);
  }
  return x;
}

/// w^a of a large plan.
template <typename T>
inline Number<T> getFarRoot(const Plan<T> &plan, int64_t a) {
  const T *low = plan.low + 2 * (a % plan.kFar),
          *high = plan.high + 2 * (a / plan.kFar);
  return Number<T>{low[0], low[1]} * Number<T>{high[0], high[1]};
}

/// Copies `width` numbers of each of `count` rows, `step` apart, to rows of
/// `lanes`.
template <typename T>
void gatherRows(const T *from, int64_t step, int64_t count, int64_t width,
                T *to, int64_t lanes) {
  for (int64_t j = 0; j < count; ++j) {
    if (width == lanes)
      for (int64_t b = 0; b < lanes; b += kCount<T>)
        store(load(from + j * step + b), to + j * lanes + b);
    else
      for (int64_t b = 0; b < lanes; ++b)
        to[j * lanes + b] = b < width ? from[j * step + b] : 0;
  }
}

template <typename T>
void scatterRows(const T *from, int64_t lanes, int64_t count, int64_t width,
                 T *to, int64_t step) {
  for (int64_t j = 0; j < count; ++j) {
    if (width == lanes)
      for (int64_t b = 0; b < lanes; b += kCount<T>)
        store(load(from + j * lanes + b), to + j * step + b);
    else
      std::memcpy(to + j * step, from + j * lanes, width * sizeof(T));
  }
}

/// Row b of `from` becomes column b of `to`.
template <typename T>
void gatherColumns(const T *from, int64_t step, int64_t count, int64_t width,
                   T *to, int64_t lanes) {
  for (int64_t b = 0; b < lanes; ++b)
    for (int64_t j = 0; j < count; ++j)
      to[j * lanes + b] = b < width ? from[b * step + j] : 0;
}

/// With x[rows, columns]: along its columns, times w^(k j), along its rows,
/// transposed.
template <typename T>
Split<T> transformLarge(const Plan<T> &plan, Split<T> x, T *scratch) {
  constexpr int64_t lanes = getLanes(sizeof(T) == 4);
  int64_t rows = plan.rows, columns = plan.columns;
  Split<T> between = splitIn(scratch, plan.n, 1);
  scratch += getSpan(plan.n, 1);
  Split<T> block = splitIn(scratch, columns, lanes);
  scratch += getSpan(columns, lanes);
  for (int64_t j = 0; j < columns; j += lanes) {
    int64_t width = columns - j < lanes ? columns - j : lanes;
    gatherRows(x.re + j, columns, rows, width, block.re, lanes);
    gatherRows(x.im + j, columns, rows, width, block.im, lanes);
    Split<T> y = transform(*plan.ofColumns, block, scratch);
    const T *near = plan.near;
    for (int64_t k = 0; k < rows; ++k, near += 2 * lanes) {
      Number<T> far = getFarRoot(plan, k * j);
      for (int64_t b = 0; b < lanes; b += kCount<T>) {
        using N = Number<Vector<T>>;
        T *re = y.re + k * lanes + b, *im = y.im + k * lanes + b;
        N root = N{splat(far.re), splat(far.im)} *
                 N{load(near + b), load(near + lanes + b)};
        N number = N{load(re), load(im)} * root;
        store(number.re, re);
        store(number.im, im);
      }
    }
    scatterRows(y.re, lanes, rows, width, between.re + j, columns);
    scatterRows(y.im, lanes, rows, width, between.im + j, columns);
  }
  for (int64_t k = 0; k < rows; k += lanes) {
    int64_t width = rows - k < lanes ? rows - k : lanes;
    gatherColumns(between.re + k * columns, columns, columns, width, block.re,
                  lanes);
    gatherColumns(between.im + k * columns, columns, columns, width, block.im,
                  lanes);
    Split<T> y = transform(*plan.ofRows, block, scratch);
    scatterRows(y.re, lanes, columns, width, x.re + k, rows);
    scatterRows(y.im, lanes, columns, width, x.im + k, rows);
  }
  return x;
}

/// y[k] = conj(b[k]) sum_j x[j] conj(b[j]) b[k - j], where b[j] is
/// exp(pi i j^2 / n): the product j k is (j^2 + k^2 - (k - j)^2) / 2.
template <typename T>
Split<T> transformChirp(const Plan<T> &plan, Split<T> x, T *scratch) {
  int64_t n = plan.n, lanes = plan.lanes;
  auto multiply = [lanes](Split<T> from, const T *factors, int64_t count,
                          Split<T> to) {
    for (int64_t j = 0; j < count; ++j) {
      T re = factors[2 * j], im = factors[2 * j + 1];
#pragma clang loop vectorize(enable)
      for (int64_t b = j * lanes; b < (j + 1) * lanes; ++b) {
        T a = from.re[b], c = from.im[b];
        to.re[b] = a * re - c * im;
        to.im[b] = a * im + c * re;
      }
    }
  };
  Split<T> work = splitIn(scratch, plan.size + 1, lanes);
  scratch += getSpan(plan.size + 1, lanes);
  multiply(x, plan.chirp, n, work);
  size_t rest = size_t((plan.size - n) * lanes) * sizeof(T);
  std::memset(work.re + n * lanes, 0, rest);
  std::memset(work.im + n * lanes, 0, rest);
  Split<T> y = transform(*plan.ofChirp, work, scratch);
  // The spectrum, transformed back in the memory that it does not lie in.
  multiply(y, plan.spectrum, plan.size, work);
  y = transform(*plan.ofChirp, work.exchanged(), scratch).exchanged();
  multiply(y, plan.chirp, n, x);
  return x;
}

template <typename T>
Split<T> transform(const Plan<T> &plan, Split<T> x, T *scratch) {
  switch (plan.kind) {
  case Kind::Direct:
    return transformDirect(plan, x, scratch);
  case Kind::Large:
    return transformLarge(plan, x, scratch);
  case Kind::Chirp:
    return transformChirp(plan, x, scratch);
  }
  return x;
}

} // namespace GRADOPT_FOURIER_TARGET
} // namespace gradopt::runtime::fourier

#endif // GRADOPT_RUNTIME_FOURIERTRANSFORM_H
