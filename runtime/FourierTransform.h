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
  int64_t done = 0;
  if (width == lanes)
    for (; done + kCount<T> <= count; done += kCount<T>)
      for (int64_t b = 0; b < lanes; b += kCount<T>) {
        Vector<T> square[kCount<T>];
        for (int64_t i = 0; i < kCount<T>; ++i)
          square[i] = load(from + (b + i) * step + done);
        transposeSquare<T>(square);
        for (int64_t i = 0; i < kCount<T>; ++i)
          store(square[i], to + (done + i) * lanes + b);
      }
  for (int64_t b = 0; b < lanes; ++b)
    for (int64_t j = done; j < count; ++j)
      to[j * lanes + b] = b < width ? from[b * step + j] : 0;
}

/// Where the numbers of a large transform come from: parts that lie apart, or
/// an array of pairs, for the other direction with their parts exchanged.
template <typename T> struct SplitSource {
  Split<T> x;

  /// `width` columns from number `first` on.
  void gather(int64_t first, int64_t step, int64_t count, int64_t width,
              Split<T> to, int64_t lanes) const {
    gatherRows(x.re + first, step, count, width, to.re, lanes);
    gatherRows(x.im + first, step, count, width, to.im, lanes);
  }
};
template <typename T> struct PairSource {
  const T *x;
  bool isExchanged;

  void gather(int64_t first, int64_t step, int64_t count, int64_t width,
              Split<T> to, int64_t lanes) const {
    if (isExchanged)
      to = to.exchanged();
    for (int64_t j = 0; j < count; ++j) {
      const T *from = x + 2 * (first + j * step);
      if (width == lanes)
        for (int64_t b = 0; b < lanes; b += kCount<T>) {
          Vector<T> re, im;
          loadPairs(from + 2 * b, re, im);
          store(re, to.re + j * lanes + b);
          store(im, to.im + j * lanes + b);
        }
      else
        for (int64_t b = 0; b < lanes; ++b) {
          to.re[j * lanes + b] = b < width ? from[2 * b] : 0;
          to.im[j * lanes + b] = b < width ? from[2 * b + 1] : 0;
        }
    }
  }
};

/// And where they go.
template <typename T> struct SplitSink {
  Split<T> y;

  void scatter(Split<T> from, int64_t lanes, int64_t first, int64_t step,
               int64_t count, int64_t width) const {
    scatterRows(from.re, lanes, count, width, y.re + first, step);
    scatterRows(from.im, lanes, count, width, y.im + first, step);
  }
};
template <typename T> struct PairSink {
  T *y;
  bool isExchanged;
  T factor;

  void scatter(Split<T> from, int64_t lanes, int64_t first, int64_t step,
               int64_t count, int64_t width) const {
    if (isExchanged)
      from = from.exchanged();
    for (int64_t j = 0; j < count; ++j) {
      T *to = y + 2 * (first + j * step);
      if (width == lanes)
        for (int64_t b = 0; b < lanes; b += kCount<T>)
          storePairs<T>(load(from.re + j * lanes + b) * factor,
                        load(from.im + j * lanes + b) * factor, to + 2 * b);
      else
        for (int64_t b = 0; b < width; ++b) {
          to[2 * b] = from.re[j * lanes + b] * factor;
          to[2 * b + 1] = from.im[j * lanes + b] * factor;
        }
    }
  }
};

/// With x[rows, columns]: along its columns, times w^(k j), along its rows,
/// transposed. All of the source is read before the sink is written to.
template <typename T, typename Source, typename Sink>
void transformLarge(const Plan<T> &plan, Source source, Sink sink, T *scratch) {
  constexpr int64_t lanes = getLanes(sizeof(T) == 4);
  int64_t rows = plan.rows, columns = plan.columns;
  Split<T> between = splitIn(scratch, plan.n, 1);
  scratch += getSpan(plan.n, 1);
  Split<T> block = splitIn(scratch, columns, lanes);
  scratch += getSpan(columns, lanes);
  for (int64_t j = 0; j < columns; j += lanes) {
    int64_t width = columns - j < lanes ? columns - j : lanes;
    source.gather(j, columns, rows, width, block, lanes);
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
    SplitSink<T>{between}.scatter(y, lanes, j, columns, rows, width);
  }
  for (int64_t k = 0; k < rows; k += lanes) {
    int64_t width = rows - k < lanes ? rows - k : lanes;
    gatherColumns(between.re + k * columns, columns, columns, width, block.re,
                  lanes);
    gatherColumns(between.im + k * columns, columns, columns, width, block.im,
                  lanes);
    Split<T> y = transform(*plan.ofRows, block, scratch);
    sink.scatter(y, lanes, k, rows, columns, width);
  }
}

/// `count` numbers of each transform times `factors`, one for each place.
template <typename T>
void multiply(Split<T> from, const T *factors, int64_t count, int64_t lanes,
              Split<T> to) {
  auto at = [&](int64_t i, auto re, auto im) {
    decltype(im) a, b;
    std::memcpy(&a, from.re + i, sizeof(a));
    std::memcpy(&b, from.im + i, sizeof(b));
    auto x = a * re - b * im, y = a * im + b * re;
    std::memcpy(to.re + i, &x, sizeof(x));
    std::memcpy(to.im + i, &y, sizeof(y));
  };
  int64_t j = 0;
  if (lanes == 1)
    for (; j + kCount<T> <= count; j += kCount<T>)
      at(j, load(factors + j), load(factors + count + j));
  for (; j < count; ++j) {
    if (lanes == 1)
      at(j, factors[j], factors[count + j]);
    else
      for (int64_t b = 0; b < lanes; b += kCount<T>)
        at(j * lanes + b, splat(factors[j]), splat(factors[count + j]));
  }
}

/// y[k] = conj(b[k]) sum_j x[j] conj(b[j]) b[k - j], where b[j] is
/// exp(pi i j^2 / n): the product j k is (j^2 + k^2 - (k - j)^2) / 2.
template <typename T>
Split<T> transformChirp(const Plan<T> &plan, Split<T> x, T *scratch) {
  int64_t n = plan.n, lanes = plan.lanes;
  Split<T> work = splitIn(scratch, plan.size + 1, lanes);
  scratch += getSpan(plan.size + 1, lanes);
  multiply(x, plan.chirp, n, lanes, work);
  size_t rest = size_t((plan.size - n) * lanes) * sizeof(T);
  std::memset(work.re + n * lanes, 0, rest);
  std::memset(work.im + n * lanes, 0, rest);
  Split<T> y = transform(*plan.ofChirp, work, scratch);
  // The spectrum, transformed back in the memory that it does not lie in.
  multiply(y, plan.spectrum, plan.size, lanes, work);
  y = transform(*plan.ofChirp, work.exchanged(), scratch).exchanged();
  multiply(y, plan.chirp, n, lanes, x);
  return x;
}

template <typename T>
Split<T> transform(const Plan<T> &plan, Split<T> x, T *scratch) {
  switch (plan.kind) {
  case Kind::Direct:
    return transformDirect(plan, x, scratch);
  case Kind::Large:
    transformLarge(plan, SplitSource<T>{x}, SplitSink<T>{x}, scratch);
    return x;
  case Kind::Chirp:
    return transformChirp(plan, x, scratch);
  }
  return x;
}

} // namespace GRADOPT_FOURIER_TARGET
} // namespace gradopt::runtime::fourier

#endif // GRADOPT_RUNTIME_FOURIERTRANSFORM_H
