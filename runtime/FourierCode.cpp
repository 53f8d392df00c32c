//===- FourierCode.cpp - Code of transforms for one kind of CPUs ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Transforms of arrays by ducc0, which has those of single rows, of numbers or
// of vectors. A block of rows is read from an array into memory to work in,
// transformed there, and written to another array, or to the same one.
//
// Compiled several times, for a GRADOPT_FOURIER_TARGET each.
//
//===----------------------------------------------------------------------===//

#include "runtime/FourierCode.h"
#include "runtime/FourierPlans.h"

#include <cmath>
#include <cstring>
#include <type_traits>

namespace gradopt::runtime::fourier {
namespace GRADOPT_FOURIER_TARGET {

/// Transforms along one dimension of an array: `outer` times `inner` of them,
/// the numbers of each `inner` apart.
struct Axis {
  Axis(const int64_t *shape, int32_t rank, int32_t dimension)
      : n(shape[dimension]) {
    for (int32_t d = 0; d < rank; ++d)
      (d < dimension ? outer : inner) *= d == dimension ? 1 : shape[d];
  }
  int64_t count() const { return outer * inner; }

  int64_t outer = 1, n, inner = 1;
};

/// What is done along an axis.
template <typename T> struct Step {
  Transform transform;
  Axis axis;
  bool isForward;
  T factor;
};

//===----------------------------------------------------------------------===//
// From arrays, and to arrays
//===----------------------------------------------------------------------===//

/// V is a vector or a number.
template <typename V> struct Lanes {
  using Type = V;
  static constexpr int64_t count = 1;
  static V load(const V *from) { return *from; }
  static void store(V v, V *to) { *to = v; }
};
template <typename T> struct Lanes<Vector<T>> {
  using Type = T;
  static constexpr int64_t count = Vector<T>::size();
  static Vector<T> load(const T *from) {
    return {from, ducc::element_aligned_tag()};
  }
  static void store(Vector<T> v, T *to) {
    v.copy_to(to, ducc::element_aligned_tag());
  }
};

/// The most transforms of a block.
constexpr int64_t kMaxBlock = 16;

/// Some transforms of an axis, of `size` numbers each: as many as a vector has
/// lanes, or rows of single numbers.
struct Block {
  Block(const Axis &axis, int64_t size, int64_t first, int64_t count)
      : size(size), step(axis.inner), count(count) {
    for (int64_t i = 0; i < count; ++i) {
      // Where there are less of them, the last one is read and written again.
      int64_t line = std::min(first + i, axis.count() - 1);
      places[i] = line / step * size * step + line % step;
      isDense = isDense && places[i] == places[0] + i;
    }
  }

  /// Calls `visit(j, row, place)` for numbers j; `place(lane)` says where they
  /// are.
  template <int64_t lanes, typename Visit> void forAll(Visit visit) const {
    // Not in memory that vectors are written to, for all that compilers know.
    const Block block = *this;
    auto forPlaces = [&](auto at) {
      for (int64_t j = 0; j < block.size; ++j)
        if constexpr (lanes > 1)
          visit(j, 0, [&](int64_t lane) { return at(j, lane); });
        else
          for (int64_t row = 0; row < block.count; ++row)
            visit(j, row, [&](int64_t) { return at(j, row); });
    };
    if (block.count == 1 && block.step == 1)
      forPlaces([&](int64_t j, int64_t) { return block.places[0] + j; });
    else if (block.isDense)
      forPlaces([&](int64_t j, int64_t i) {
        return block.places[0] + j * block.step + i;
      });
    else
      forPlaces([&](int64_t j, int64_t i) {
        return block.places[i] + j * block.step;
      });
  }

  int64_t size, step, count;
  int64_t places[kMaxBlock];
  /// Whether the first numbers lie one beside the other.
  bool isDense = true;
};

/// Complex numbers, the imaginary parts times a factor.
template <typename V, typename T>
void readNumbers(const T *x, T factorIm, const Block &block, V *const *rows) {
  constexpr int64_t lanes = Lanes<V>::count;
  block.forAll<lanes>([&](int64_t j, int64_t row, auto place) {
    T re[lanes], im[lanes];
    for (int64_t l = 0; l < lanes; ++l) {
      re[l] = x[2 * place(l)];
      im[l] = x[2 * place(l) + 1];
    }
    V *to = rows[row] + 2 * j;
    to[0] = Lanes<V>::load(re);
    to[1] = Lanes<V>::load(im) * factorIm;
  });
}

template <typename V, typename T>
void writeNumbers(V *const *rows, T factorRe, T factorIm, const Block &block,
                  T *y) {
  constexpr int64_t lanes = Lanes<V>::count;
  block.forAll<lanes>([&](int64_t j, int64_t row, auto place) {
    const V *from = rows[row] + 2 * j;
    T re[lanes], im[lanes];
    Lanes<V>::store(from[0] * factorRe, re);
    Lanes<V>::store(from[1] * factorIm, im);
    for (int64_t l = 0; l < lanes; ++l) {
      y[2 * place(l)] = re[l];
      y[2 * place(l) + 1] = im[l];
    }
  });
}

template <typename V, typename T>
void readReals(const T *x, const Block &block, V *const *rows) {
  constexpr int64_t lanes = Lanes<V>::count;
  block.forAll<lanes>([&](int64_t j, int64_t row, auto place) {
    T numbers[lanes];
    for (int64_t l = 0; l < lanes; ++l)
      numbers[l] = x[place(l)];
    rows[row][j] = Lanes<V>::load(numbers);
  });
}

template <typename V, typename T>
void writeReals(V *const *rows, T factor, const Block &block, T *y) {
  constexpr int64_t lanes = Lanes<V>::count;
  block.forAll<lanes>([&](int64_t j, int64_t row, auto place) {
    T numbers[lanes];
    Lanes<V>::store(rows[row][j] * factor, numbers);
    for (int64_t l = 0; l < lanes; ++l)
      y[place(l)] = numbers[l];
  });
}

//===----------------------------------------------------------------------===//
// Transforms along an axis
//===----------------------------------------------------------------------===//

/// A step that transforms numbers of type V, so many at once as that has lanes.
template <typename V> class Lines {
public:
  using T = typename Lanes<V>::Type;
  using Number = ducc::Cmplx<V>;
  static constexpr int64_t lanes = Lanes<V>::count;

  explicit Lines(const Step<T> &step)
      : step(step), n(step.axis.n), areRows(lanes == 1 && step.axis.inner == 1),
        // Of numbers that lie apart, those of one line of the cache together.
        rows(lanes == 1 && !areRows ? 64 / int64_t(sizeof(Number)) : 1),
        // Not all at the same places of the cache.
        stride((step.transform == C2c ? 2 * n : n) + 16) {
    // ducc0 has other plans for numbers alone, which it makes vectors of.
    if (step.transform == C2c)
      complex = &getPlan<ComplexPlan<T>>(n, areRows);
    else
      real = &getPlan<RealPlan<T>>(n, areRows);
  }

  size_t getWork() const {
    return getNumbers() * sizeof(V) + alignof(V) + getAllocated();
  }

  void run(const T *x, T *y, void *work) const {
    // Only of its own type is it aligned.
    size_t rest = reinterpret_cast<uintptr_t>(work) % alignof(V);
    auto *memory = reinterpret_cast<V *>(static_cast<char *>(work) +
                                         (rest ? alignof(V) - rest : 0));
    V *data[kMaxBlock], *buffer = memory + rows * stride + 1;
    for (int64_t row = 0; row < rows; ++row)
      data[row] = memory + row * stride + 1;
    WorkMemory allocated(memory + getNumbers(), getAllocated());
    for (int64_t i = 0; i < step.axis.count(); i += rows * lanes) {
      if (step.transform == R2c)
        transformReals(i, x, y, data, buffer);
      else if (step.transform == C2r)
        transformToReals(i, x, y, data, buffer);
      else if (areRows)
        transformRow(x + 2 * i * n, y + 2 * i * n, buffer);
      else
        transformNumbers(i, x, y, data, buffer);
    }
  }

private:
  /// Those of the rows, with what is before them and behind, and the buffer.
  size_t getNumbers() const {
    size_t buffer = complex ? 2 * complex->bufsize() : real->bufsize();
    return size_t(rows * stride) + buffer + 2;
  }
  size_t getAllocated() const {
    if (lanes > 1)
      return 0;
    return complex ? complex->allocated : real->allocated;
  }

  Block getBlock(int64_t first, int64_t size) const {
    return {step.axis, size, first, rows * lanes};
  }

  /// In its place.
  void transformRow(const T *x, T *y, V *buffer) const {
    if (x != y)
      std::memcpy(y, x, size_t(2 * n) * sizeof(T));
    complex->exec_copyback(reinterpret_cast<ducc::Cmplx<T> *>(y),
                           reinterpret_cast<ducc::Cmplx<T> *>(buffer),
                           step.factor, step.isForward);
  }

  void transformNumbers(int64_t first, const T *x, T *y, V **data,
                        V *buffer) const {
    Block block = getBlock(first, n);
    readNumbers(x, T(1), block, data);
    V *results[kMaxBlock];
    for (int64_t row = 0; row < rows; ++row)
      results[row] = reinterpret_cast<V *>(
          keep(reinterpret_cast<Number *>(data[row]),
               complex->exec(reinterpret_cast<Number *>(data[row]),
                             reinterpret_cast<Number *>(buffer), T(1),
                             step.isForward)));
    writeNumbers(results, step.factor, step.factor, block, y);
  }

  /// A spectrum is to ducc0 the parts of its numbers one after the other,
  /// without the imaginary ones that are zero: with these, the numbers begin
  /// one place before.
  void transformReals(int64_t first, const T *x, T *y, V **data,
                      V *buffer) const {
    readReals(x, getBlock(first, n), data);
    V *results[kMaxBlock];
    for (int64_t row = 0; row < rows; ++row) {
      V *parts = keep(data[row], real->exec(data[row], buffer, T(1), true));
      results[row] = parts - 1;
      parts[-1] = parts[0];
      parts[0] = parts[n] = V(0);
    }
    // The transform in the other direction is the conjugate.
    writeNumbers(results, step.factor,
                 step.isForward ? step.factor : -step.factor,
                 getBlock(first, n / 2 + 1), y);
  }

  void transformToReals(int64_t first, const T *x, T *y, V **data,
                        V *buffer) const {
    V *results[kMaxBlock];
    for (int64_t row = 0; row < rows; ++row)
      results[row] = data[row] - 1;
    readNumbers(x, T(step.isForward ? -1 : 1), getBlock(first, n / 2 + 1),
                results);
    for (int64_t row = 0; row < rows; ++row) {
      data[row][0] = data[row][-1];
      results[row] =
          keep(data[row], real->exec(data[row], buffer, T(1), false));
    }
    writeReals(results, step.factor, getBlock(first, n), y);
  }

  /// What was transformed in a row, or in the buffer, which the next row needs.
  template <typename Element>
  Element *keep(Element *row, Element *results) const {
    if (rows == 1 || results == row)
      return results;
    std::copy_n(results, n, row);
    return row;
  }

  const Step<T> &step;
  int64_t n;
  bool areRows;
  int64_t rows, stride;
  const ComplexPlan<T> *complex = nullptr;
  const RealPlan<T> *real = nullptr;
};

/// Calls `use` with the Lines of a step. Whole vectors, as long as these stay
/// in the cache; of numbers that lie apart they are worth more.
template <typename T, typename Use>
void withLines(const Step<T> &step, Use use) {
  bool areRows = step.axis.inner == 1;
  int64_t lanes = Lanes<Vector<T>>::count,
          bytes = step.axis.n * int64_t(2 * sizeof(T));
  if (2 * step.axis.count() > lanes && bytes <= (areRows ? 1 << 15 : 1 << 19))
    use(Lines<Vector<T>>(step));
  else
    use(Lines<T>(step));
}

//===----------------------------------------------------------------------===//
// Requests
//===----------------------------------------------------------------------===//

inline double getFactor(Norm norm, int64_t points) {
  switch (norm) {
  case None:
    return 1;
  case Size:
    return 1 / double(points);
  case Root:
    return 1 / std::sqrt(double(points));
  }
  return 1;
}

/// The steps of a request, in their order. The last one of the dimensions is
/// the first one for real numbers, so that the others have half as much to do;
/// in the other direction, it is the last.
template <typename T, typename Visit>
void forSteps(const Request &request, Visit visit) {
  int64_t half[kMaxRank], points = 1;
  int32_t left = 0;
  for (int32_t d = 0; d < request.rank; ++d) {
    half[d] = request.shape[d];
    if (request.dimensions >> d & 1) {
      points *= half[d];
      ++left;
    }
  }
  if (left == 0 || points == 0)
    return;
  if (request.transform != C2c)
    half[request.last] = half[request.last] / 2 + 1;
  T factor = T(getFactor(request.norm, points));
  auto next = [&](Transform transform, const int64_t *shape, int32_t d) {
    visit(Step<T>{transform, Axis(shape, request.rank, d), request.isForward,
                  --left == 0 ? factor : T(1)});
  };
  if (request.transform == R2c)
    next(R2c, request.shape, request.last);
  for (int32_t d = 0; d < request.rank; ++d)
    if (d != request.last && request.dimensions >> d & 1)
      next(C2c, half, d);
  if (request.transform != R2c)
    next(request.transform, request.shape, request.last);
}

/// The bytes of numbers between the first step and the last one, which makes
/// them real.
template <typename T> size_t getBetween(const Request &request) {
  if (request.transform != C2r ||
      !(request.dimensions & (request.dimensions - 1)))
    return 0;
  size_t bytes = 2 * sizeof(T);
  for (int32_t d = 0; d < request.rank; ++d)
    bytes *=
        size_t(d == request.last ? request.shape[d] / 2 + 1 : request.shape[d]);
  // What is behind them begins at a line of the cache, too.
  return (bytes + 63) / 64 * 64;
}

template <typename T> size_t getWork(const Request &request) {
  size_t work = 0;
  forSteps<T>(request, [&](const Step<T> &step) {
    withLines(step, [&](const auto &lines) {
      work = std::max(work, lines.getWork());
    });
  });
  return getBetween<T>(request) + work;
}

template <typename T>
void run(const Request &request, const void *input, void *output,
         void *memory) {
  auto *x = static_cast<const T *>(input);
  auto *y = static_cast<T *>(output), *work = static_cast<T *>(memory), *to = y;
  if (size_t between = getBetween<T>(request)) {
    to = work;
    work += between / sizeof(T);
  }
  bool isCopy = true;
  forSteps<T>(request, [&](const Step<T> &step) {
    if (step.transform == C2r)
      to = y;
    withLines(step, [&](const auto &lines) { lines.run(x, to, work); });
    x = to;
    isCopy = false;
  });
  if (!isCopy)
    return;
  // Along no dimension.
  size_t numbers = 2;
  for (int32_t d = 0; d < request.rank; ++d)
    numbers *= size_t(request.shape[d]);
  std::memcpy(y, x, numbers * sizeof(T));
}

} // namespace GRADOPT_FOURIER_TARGET

const Code GRADOPT_FOURIER_CODE = {{&GRADOPT_FOURIER_TARGET::getWork<float>,
                                    &GRADOPT_FOURIER_TARGET::run<float>},
                                   {&GRADOPT_FOURIER_TARGET::getWork<double>,
                                    &GRADOPT_FOURIER_TARGET::run<double>}};

} // namespace gradopt::runtime::fourier
