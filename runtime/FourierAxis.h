//===- FourierAxis.h - Fourier transforms along a dimension -----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A block of transforms is read from an array, its numbers side by side, and
// written to another one, or to the same place.
//
// n real numbers are n / 2 complex ones, z[j] = x[2 j] + i x[2 j + 1], whose
// transform Z has in it the one of x (Press et al., Numerical recipes, section
// 12.3). Where n is odd, the real numbers of two transforms are the parts of
// one.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_FOURIERAXIS_H
#define GRADOPT_RUNTIME_FOURIERAXIS_H

#include "runtime/FourierTransform.h"

namespace gradopt::runtime::fourier {
namespace GRADOPT_FOURIER_TARGET {

/// Some transforms of an axis, and where the numbers of each begin.
template <typename T> struct Block {
  static constexpr int64_t kLanes = getLanes(sizeof(T) == 4);

  Block(const Axis &axis, int64_t lanes) : axis(axis), lanes(lanes) {}

  /// Those from number `first` on.
  void setFirst(int64_t first) {
    used = axis.count() - first;
    if (used > lanes)
      used = lanes;
    row = first / axis.inner;
    column = first % axis.inner;
  }
  /// Whether all of them lie side by side, in an array or in none.
  bool isDense() const {
    return lanes >= kCount<T> && used == lanes && column + lanes <= axis.inner;
  }
  /// Whether they are rows, and fill the block.
  bool areWholeRows() const {
    return lanes >= kCount<T> && used == lanes && axis.inner == 1;
  }
  /// Where number j of transform b is, if there are `size` of them.
  int64_t at(int64_t j, int64_t b, int64_t size) const {
    int64_t place = column + b;
    return ((row + place / axis.inner) * size + j) * axis.inner +
           place % axis.inner;
  }

  const Axis &axis;
  int64_t lanes;
  int64_t used = 0, row = 0, column = 0;
};

//===----------------------------------------------------------------------===//
// From arrays, and to arrays
//===----------------------------------------------------------------------===//

/// `size` complex numbers of each transform.
template <typename T>
void readNumbers(const T *x, int64_t size, const Block<T> &block, Split<T> to) {
  int64_t lanes = block.lanes, step = 2 * block.axis.inner;
  if (block.isDense()) {
    const T *from = x + 2 * block.at(0, 0, size);
    for (int64_t j = 0; j < size; ++j, from += step)
      for (int64_t b = 0; b < lanes; b += kCount<T>) {
        Vector<T> re, im;
        loadPairs(from + 2 * b, re, im);
        store(re, to.re + j * lanes + b);
        store(im, to.im + j * lanes + b);
      }
    return;
  }
  int64_t done = 0;
  if (block.areWholeRows())
    for (; done + kCount<T> <= size; done += kCount<T>)
      for (int64_t b = 0; b < lanes; b += kCount<T>) {
        Vector<T> re[kCount<T>], im[kCount<T>];
        for (int64_t i = 0; i < kCount<T>; ++i)
          loadPairs(x + 2 * block.at(done, b + i, size), re[i], im[i]);
        transposeSquare<T>(re);
        transposeSquare<T>(im);
        for (int64_t i = 0; i < kCount<T>; ++i) {
          store(re[i], to.re + (done + i) * lanes + b);
          store(im[i], to.im + (done + i) * lanes + b);
        }
      }
  for (int64_t b = 0; b < lanes; ++b) {
    if (b >= block.used) {
      for (int64_t j = 0; j < size; ++j)
        to.re[j * lanes + b] = to.im[j * lanes + b] = 0;
      continue;
    }
    const T *from = x + 2 * block.at(0, b, size);
    int64_t j = done;
    if (lanes == 1 && step == 2)
      for (; j + kCount<T> <= size; j += kCount<T>) {
        Vector<T> re, im;
        loadPairs(from + 2 * j, re, im);
        store(re, to.re + j);
        store(im, to.im + j);
      }
    for (; j < size; ++j) {
      to.re[j * lanes + b] = from[j * step];
      to.im[j * lanes + b] = from[j * step + 1];
    }
  }
}

/// The same to an array, times two factors.
template <typename T>
void writeNumbers(Split<T> from, T factorRe, T factorIm, T *y, int64_t size,
                  const Block<T> &block) {
  int64_t lanes = block.lanes, step = 2 * block.axis.inner;
  if (block.isDense()) {
    T *to = y + 2 * block.at(0, 0, size);
    for (int64_t j = 0; j < size; ++j, to += step)
      for (int64_t b = 0; b < lanes; b += kCount<T>)
        storePairs<T>(load(from.re + j * lanes + b) * factorRe,
                      load(from.im + j * lanes + b) * factorIm, to + 2 * b);
    return;
  }
  int64_t done = 0;
  if (block.areWholeRows())
    for (; done + kCount<T> <= size; done += kCount<T>)
      for (int64_t b = 0; b < lanes; b += kCount<T>) {
        Vector<T> re[kCount<T>], im[kCount<T>];
        for (int64_t i = 0; i < kCount<T>; ++i) {
          re[i] = load(from.re + (done + i) * lanes + b) * factorRe;
          im[i] = load(from.im + (done + i) * lanes + b) * factorIm;
        }
        transposeSquare<T>(re);
        transposeSquare<T>(im);
        for (int64_t i = 0; i < kCount<T>; ++i)
          storePairs<T>(re[i], im[i], y + 2 * block.at(done, b + i, size));
      }
  for (int64_t b = 0; b < block.used; ++b) {
    T *to = y + 2 * block.at(0, b, size);
    int64_t j = done;
    if (lanes == 1 && step == 2)
      for (; j + kCount<T> <= size; j += kCount<T>)
        storePairs<T>(load(from.re + j) * factorRe,
                      load(from.im + j) * factorIm, to + 2 * j);
    for (; j < size; ++j) {
      to[j * step] = from.re[j * lanes + b] * factorRe;
      to[j * step + 1] = from.im[j * lanes + b] * factorIm;
    }
  }
}

/// Real numbers j * stride + offset, for j < count, of the `size` ones of each
/// transform.
template <typename T>
void readReals(const T *x, int64_t size, int64_t offset, int64_t stride,
               int64_t count, const Block<T> &block, T *to) {
  int64_t lanes = block.lanes, step = stride * block.axis.inner;
  for (int64_t b = 0; b < lanes; ++b) {
    if (b >= block.used) {
      for (int64_t j = 0; j < count; ++j)
        to[j * lanes + b] = 0;
      continue;
    }
    if (b == 0 && block.isDense()) {
      const T *from = x + block.at(offset, 0, size);
      for (int64_t j = 0; j < count; ++j, from += step)
        for (int64_t c = 0; c < lanes; c += kCount<T>)
          store(load(from + c), to + j * lanes + c);
      return;
    }
    const T *from = x + block.at(offset, b, size);
    for (int64_t j = 0; j < count; ++j)
      to[j * lanes + b] = from[j * step];
  }
}

template <typename T>
void writeReals(const T *from, T factor, T *y, int64_t size, int64_t offset,
                int64_t stride, int64_t count, const Block<T> &block) {
  int64_t lanes = block.lanes, step = stride * block.axis.inner;
  if (block.isDense()) {
    T *to = y + block.at(offset, 0, size);
    for (int64_t j = 0; j < count; ++j, to += step)
      for (int64_t b = 0; b < lanes; b += kCount<T>)
        store(load(from + j * lanes + b) * factor, to + b);
    return;
  }
  for (int64_t b = 0; b < block.used; ++b) {
    T *to = y + block.at(offset, b, size);
    for (int64_t j = 0; j < count; ++j)
      to[j * step] = from[j * lanes + b] * factor;
  }
}

/// 2 * half real numbers of each transform, as complex ones. In rows, they are
/// pairs.
template <typename T>
void readHalves(const T *x, int64_t half, const Block<T> &block, Split<T> to) {
  if (block.axis.inner == 1)
    return readNumbers(x, half, block, to);
  readReals(x, 2 * half, 0, 2, half, block, to.re);
  readReals(x, 2 * half, 1, 2, half, block, to.im);
}

template <typename T>
void writeHalves(Split<T> from, T factor, T *y, int64_t half,
                 const Block<T> &block) {
  if (block.axis.inner == 1)
    return writeNumbers(from, factor, factor, y, half, block);
  writeReals(from.re, factor, y, 2 * half, 0, 2, half, block);
  writeReals(from.im, factor, y, 2 * half, 1, 2, half, block);
}

//===----------------------------------------------------------------------===//
// Halves of spectra
//===----------------------------------------------------------------------===//

/// The transform Z of z, `half` numbers => that of x, in its place and one
/// number more. E and O are the transforms of the even and the odd numbers of
/// x.
template <typename T, typename P>
inline void splitPair(P &re1, P &im1, P &re2, P &im2, P re, P im) {
  P evenRe = (re1 + re2) * T(0.5), evenIm = (im1 - im2) * T(0.5),
    oddRe = (im1 + im2) * T(0.5), oddIm = (re2 - re1) * T(0.5);
  P turnedRe = re * oddRe - im * oddIm, turnedIm = re * oddIm + im * oddRe;
  re1 = evenRe + turnedRe;
  im1 = evenIm + turnedIm;
  re2 = evenRe - turnedRe;
  im2 = turnedIm - evenIm;
}

/// Half the spectrum of x => what z is the other transform of.
template <typename T, typename P>
inline void joinPair(P &re1, P &im1, P &re2, P &im2, P re, P im) {
  P sumRe = re1 + re2, sumIm = im1 - im2, restRe = re1 - re2,
    restIm = im1 + im2;
  P oddRe = re * restRe + im * restIm, oddIm = re * restIm - im * restRe;
  re1 = sumRe - oddIm;
  im1 = sumIm + oddRe;
  re2 = sumRe + oddIm;
  im2 = oddRe - sumIm;
}

/// Applies `pair` to numbers k and half - k, and exp(-2 pi i k / n).
template <typename T, typename Pair>
inline void forPairs(Split<T> x, int64_t half, int64_t lanes,
                     const Plan<T> &plan, Pair pair) {
  const T *rootRe = plan.halfRoots, *rootIm = rootRe + plan.n / 4 + 1;
  auto at = [&](int64_t k, auto read, int64_t b) {
    int64_t i = k * lanes + b, j = (half - k) * lanes + b;
    auto re1 = read(x.re + i), im1 = read(x.im + i), re2 = read(x.re + j),
         im2 = read(x.im + j);
    pair(re1, im1, re2, im2, decltype(re1){} + rootRe[k],
         decltype(re1){} + rootIm[k]);
    std::memcpy(x.re + i, &re1, sizeof(re1));
    std::memcpy(x.im + i, &im1, sizeof(re1));
    std::memcpy(x.re + j, &re2, sizeof(re1));
    std::memcpy(x.im + j, &im2, sizeof(re1));
  };
  int64_t k = 1;
  if (lanes == 1) {
    // Whole vectors, as long as the two ends do not meet.
    using V = Vector<T>;
    constexpr int64_t count = kCount<T>;
    auto reverse = [](V v) {
      return reversed(v, std::make_index_sequence<count>());
    };
    for (; 2 * (k + count) <= half; k += count) {
      int64_t j = half - k - count + 1;
      V re1 = load(x.re + k), im1 = load(x.im + k),
        re2 = reverse(load(x.re + j)), im2 = reverse(load(x.im + j));
      pair(re1, im1, re2, im2, load(rootRe + k), load(rootIm + k));
      store(re1, x.re + k);
      store(im1, x.im + k);
      store(reverse(re2), x.re + j);
      store(reverse(im2), x.im + j);
    }
    for (; 2 * k <= half; ++k)
      at(k, [](const T *from) { return *from; }, 0);
    return;
  }
  for (; 2 * k <= half; ++k)
    for (int64_t b = 0; b < lanes; b += kCount<T>)
      at(k, [](const T *from) { return load(from); }, b);
}

template <typename T>
void splitEven(Split<T> z, int64_t half, int64_t lanes, const Plan<T> &plan) {
  for (int64_t b = 0; b < lanes; ++b) {
    T re = z.re[b], im = z.im[b];
    z.re[b] = re + im;
    z.re[half * lanes + b] = re - im;
    z.im[b] = z.im[half * lanes + b] = 0;
  }
  forPairs(z, half, lanes, plan,
           [](auto &&...numbers) { splitPair<T>(numbers...); });
}

template <typename T>
void joinEven(Split<T> x, int64_t half, int64_t lanes, const Plan<T> &plan) {
  for (int64_t b = 0; b < lanes; ++b) {
    T first = x.re[b], last = x.re[half * lanes + b];
    x.re[b] = first + last;
    x.im[b] = first - last;
  }
  forPairs(x, half, lanes, plan,
           [](auto &&...numbers) { joinPair<T>(numbers...); });
}

/// The transform of a + i b, n numbers => half of that of a, in its place, and
/// half of that of b.
template <typename T>
void splitOdd(Split<T> z, int64_t n, int64_t lanes, Split<T> other) {
  for (int64_t i = 0; i < lanes; ++i) {
    other.re[i] = z.im[i];
    other.im[i] = z.im[i] = 0;
  }
  for (int64_t k = 1; 2 * k < n; ++k)
    for (int64_t i = k * lanes, j = (n - k) * lanes; i < (k + 1) * lanes;
         ++i, ++j) {
      T re1 = z.re[i], im1 = z.im[i], re2 = z.re[j], im2 = z.im[j];
      z.re[i] = (re1 + re2) * T(0.5);
      z.im[i] = (im1 - im2) * T(0.5);
      other.re[i] = (im1 + im2) * T(0.5);
      other.im[i] = (re2 - re1) * T(0.5);
    }
}

template <typename T>
void joinOdd(Split<T> x, int64_t n, int64_t lanes, Split<T> other) {
  for (int64_t i = 0; i < lanes; ++i)
    x.im[i] = other.re[i];
  for (int64_t k = 1; 2 * k < n; ++k)
    for (int64_t i = k * lanes, j = (n - k) * lanes; i < (k + 1) * lanes;
         ++i, ++j) {
      T aRe = x.re[i], aIm = x.im[i], bRe = other.re[i], bIm = other.im[i];
      x.re[i] = aRe - bIm;
      x.im[i] = aIm + bRe;
      x.re[j] = aRe + bIm;
      x.im[j] = bRe - aIm;
    }
}

//===----------------------------------------------------------------------===//
// Transforms along an axis
//===----------------------------------------------------------------------===//

/// A call of an axis: in which direction, and what results are multiplied by.
template <typename T> struct Task {
  Axis axis;
  bool isForward;
  T factor;
  T *work;
};

/// A plan for n points, and how many transforms are calculated together.
template <typename T>
const Plan<T> *findPlan(const Axis &axis, int64_t n, int64_t &lanes) {
  const Plan<T> *known = getPlan<T>(n, kNoLanes);
  if (!known)
    return nullptr;
  lanes = axis.lanes(known->points, sizeof(T) == 4);
  return getPlan<T>(n, lanes);
}

template <typename T>
bool transformNumbers(const Task<T> &task, const T *x, T *y) {
  int64_t n = task.axis.n, lanes;
  const Plan<T> *plan = findPlan<T>(task.axis, n, lanes);
  if (!plan)
    return false;
  Split<T> data = splitIn(task.work, n + 1, lanes);
  T *scratch = task.work + getSpan(n + 1, lanes);
  Block<T> block(task.axis, lanes);
  for (int64_t i = 0; i < task.axis.count(); i += lanes) {
    if (plan->kind == Kind::Large && task.axis.inner == 1) {
      bool other = !task.isForward;
      transformLarge(*plan, PairSource<T>{x + 2 * n * i, other},
                     PairSink<T>{y + 2 * n * i, other, task.factor}, scratch);
      continue;
    }
    block.setFirst(i);
    readNumbers(x, n, block, data);
    Split<T> z = task.isForward
                     ? transform(*plan, data, scratch)
                     : transform(*plan, data.exchanged(), scratch).exchanged();
    writeNumbers(z, task.factor, task.factor, y, n, block);
  }
  return true;
}

template <typename T>
bool transformReals(const Task<T> &task, const T *x, T *y) {
  int64_t n = task.axis.n, half = n / 2, points = getPoints(R2c, n), lanes;
  const Plan<T> *plan = findPlan<T>(task.axis, points, lanes),
                *halfPlan = n % 2 == 0 ? getPlan<T>(n, kHalfLanes) : plan;
  if (!plan || !halfPlan)
    return false;
  Split<T> data = splitIn(task.work, points + 1, lanes);
  T *scratch = task.work + getSpan(points + 1, lanes);
  Split<T> other = splitIn(scratch, points + 1, lanes);
  // The transform of real numbers in the other direction is the conjugate.
  T factorIm = task.isForward ? task.factor : -task.factor;
  Block<T> block(task.axis, lanes), second = block;
  int64_t step = n % 2 == 0 ? lanes : 2 * lanes;
  for (int64_t i = 0; i < task.axis.count(); i += step) {
    block.setFirst(i);
    if (n % 2 == 0) {
      Split<T> z = data;
      if (plan->kind == Kind::Large && task.axis.inner == 1) {
        transformLarge(*plan, PairSource<T>{x + n * i, false}, SplitSink<T>{z},
                       scratch);
      } else {
        readHalves(x, half, block, data);
        z = transform(*plan, data, scratch);
      }
      splitEven(z, half, lanes, *halfPlan);
      writeNumbers(z, task.factor, factorIm, y, half + 1, block);
      continue;
    }
    second.setFirst(i + lanes);
    readReals(x, n, 0, 1, n, block, data.re);
    readReals(x, n, 0, 1, n, second, data.im);
    Split<T> z = transform(*plan, data, scratch);
    Split<T> rest = z.re == data.re ? other : data;
    splitOdd(z, n, lanes, rest);
    writeNumbers(z, task.factor, factorIm, y, half + 1, block);
    writeNumbers(rest, task.factor, factorIm, y, half + 1, second);
  }
  return true;
}

template <typename T>
bool transformToReals(const Task<T> &task, const T *x, T *y) {
  int64_t n = task.axis.n, half = n / 2, points = getPoints(C2r, n), lanes;
  const Plan<T> *plan = findPlan<T>(task.axis, points, lanes),
                *halfPlan = n % 2 == 0 ? getPlan<T>(n, kHalfLanes) : plan;
  if (!plan || !halfPlan)
    return false;
  Split<T> data = splitIn(task.work, points + 1, lanes);
  T *scratch = task.work + getSpan(points + 1, lanes);
  Split<T> other = splitIn(scratch, points + 1, lanes);
  // The other way around, real numbers have the conjugate as their spectrum.
  auto read = [&](const Block<T> &from, Split<T> to) {
    readNumbers(x, half + 1, from, to);
    if (task.isForward)
      for (int64_t j = 0; j < (half + 1) * lanes; ++j)
        to.im[j] = -to.im[j];
  };
  Block<T> block(task.axis, lanes), second = block;
  int64_t step = n % 2 == 0 ? lanes : 2 * lanes;
  for (int64_t i = 0; i < task.axis.count(); i += step) {
    block.setFirst(i);
    read(block, data);
    if (n % 2 == 0) {
      joinEven(data, half, lanes, *halfPlan);
    } else {
      second.setFirst(i + lanes);
      read(second, other);
      joinOdd(data, n, lanes, other);
    }
    if (plan->kind == Kind::Large && task.axis.inner == 1 && n % 2 == 0) {
      transformLarge(*plan, SplitSource<T>{data.exchanged()},
                     PairSink<T>{y + n * i, true, task.factor}, scratch);
      continue;
    }
    Split<T> z = transform(*plan, data.exchanged(), scratch).exchanged();
    if (n % 2 == 0) {
      writeHalves(z, task.factor, y, half, block);
    } else {
      writeReals(z.re, task.factor, y, n, 0, 1, n, block);
      writeReals(z.im, task.factor, y, n, 0, 1, n, second);
    }
  }
  return true;
}

} // namespace GRADOPT_FOURIER_TARGET
} // namespace gradopt::runtime::fourier

#endif // GRADOPT_RUNTIME_FOURIERAXIS_H
