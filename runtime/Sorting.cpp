//===- Sorting.cpp - Order of elements ------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Elements become keys, unsigned numbers in the same order: the bits of a float
// are so after some are flipped. With the index behind the key no two words are
// equal, so that any method is stable. Short rows are merged, from runs of four
// on, without branches; long ones are distributed by one byte of the key after
// the other, from the lowest on. Of keys of 64 bits, the upper half leaves
// little for the lower one to decide.
//
// A key does not tell zeros, or NaNs, apart; these are read from the input.
//
//===----------------------------------------------------------------------===//

#include "runtime/Sorting.h"

#include <cstring>
#include <type_traits>
#include <utility>

using namespace gradopt::runtime::sorting;

namespace {

//===----------------------------------------------------------------------===//
// Keys
//===----------------------------------------------------------------------===//

template <typename Bits> constexpr int kBits = int(8 * sizeof(Bits));
template <typename Bits>
constexpr Bits kSign = static_cast<Bits>(Bits(1) << (kBits<Bits> - 1));

/// Integers and bools, whose keys tell all.
template <typename Bits, bool isSigned> struct Integer {
  using Key = Bits;
  static constexpr bool isFloat = false;

  static Key encode(Bits x) { return isSigned ? Bits(x ^ kSign<Bits>) : x; }
  static Bits decode(Key key) { return encode(key); }
};

/// Floats, as their bits.
template <typename Bits> struct Float {
  using Key = Bits;
  static constexpr bool isFloat = true;
  static constexpr Key kZero = kSign<Bits>, kNan = Key(~Key(0));
  static constexpr Bits kInfinity =
      kBits<Bits> == 32 ? Bits(0x7f800000) : Bits(UINT64_C(0x7ff) << 52);

  static bool isNan(Bits x) { return Bits(x & ~kSign<Bits>) > kInfinity; }
  static Key encode(Bits x) {
    Bits isNegative = Bits(0) - Bits(x >> (kBits<Bits> - 1));
    Key key = x ^ (isNegative | kSign<Bits>);
    key = x == kSign<Bits> ? kZero : key;
    return isNan(x) ? kNan : key;
  }
  static Bits decode(Key key) {
    return key & kSign<Bits> ? key ^ kSign<Bits> : Bits(~key);
  }
  /// Whether there are other elements with this key.
  static bool isVague(Key key) { return key == kZero || key == kNan; }
};

/// A complex number, as the bits of its parts.
template <typename Bits> struct Complex {
  Bits re, im;
};

/// The keys of a complex number, the first one of more weight.
template <typename Bits> Complex<Bits> encode(Complex<Bits> x) {
  using Part = Float<Bits>;
  constexpr Bits last = Part::kInfinity | kSign<Bits>;
  bool reIsNan = Part::isNan(x.re), imIsNan = Part::isNan(x.im);
  if (!reIsNan && !imIsNan)
    return {Part::encode(x.re), Part::encode(x.im)};
  if (!reIsNan)
    return {last + 1, Part::encode(x.re)};
  if (!imIsNan)
    return {last + 2, Part::encode(x.im)};
  return {last + 3, 0};
}

//===----------------------------------------------------------------------===//
// Words
//===----------------------------------------------------------------------===//

/// 32 bits of a key, above an index.
struct Packed {
  uint64_t bits;

  uint64_t index() const { return bits & UINT32_MAX; }
  uint64_t key() const { return bits >> 32; }
  static Packed of(uint64_t key, int64_t index) {
    return {key << 32 | uint64_t(index)};
  }
  bool operator<(Packed other) const { return bits < other.bits; }
};

/// A key of 64 bits and an index.
struct Wide {
  uint64_t first, place;

  uint64_t index() const { return place; }
  uint64_t key() const { return first; }
  static Wide of(uint64_t key, int64_t index) { return {key, uint64_t(index)}; }
  bool operator<(const Wide &other) const {
    return (first < other.first) |
           ((first == other.first) & (place < other.place));
  }
};

/// Two keys of 64 bits and an index.
struct Widest {
  uint64_t first, second, place;

  uint64_t index() const { return place; }
  bool operator<(const Widest &other) const {
    return (first < other.first) |
           ((first == other.first) &
            ((second < other.second) |
             ((second == other.second) & (place < other.place))));
  }
};

/// The bytes of a word that are distributed by, the lowest one first: those of
/// a number alone, of a packed key, and so on.
template <typename Word> struct Digits {
  static constexpr int kCount = sizeof(Word);
  static unsigned get(Word word, int i) { return word >> 8 * i & 255; }
};
template <> struct Digits<Packed> {
  static constexpr int kCount = 4;
  static unsigned get(Packed word, int i) {
    return word.bits >> (32 + 8 * i) & 255;
  }
};
template <> struct Digits<Wide> {
  static constexpr int kCount = 8;
  static unsigned get(const Wide &word, int i) {
    return word.first >> 8 * i & 255;
  }
};
template <> struct Digits<Widest> {
  static constexpr int kCount = 16;
  static unsigned get(const Widest &word, int i) {
    return (i < 8 ? word.second : word.first) >> 8 * (i & 7) & 255;
  }
};

//===----------------------------------------------------------------------===//
// Order
//===----------------------------------------------------------------------===//

template <typename Word> void exchange(Word &a, Word &b) {
  bool isLess = b < a;
  Word low = isLess ? b : a, high = isLess ? a : b;
  a = low;
  b = high;
}

constexpr int64_t kRun = 4;

/// Sorts runs of four elements, and the one that is left.
template <typename Word> void sortRuns(Word *x, int64_t n) {
  int64_t i = 0;
  for (; i + kRun <= n; i += kRun) {
    Word *run = x + i;
    exchange(run[0], run[1]);
    exchange(run[2], run[3]);
    exchange(run[0], run[2]);
    exchange(run[1], run[3]);
    exchange(run[1], run[2]);
  }
  for (int64_t begin = i++; i < n; ++i)
    for (int64_t j = i; j > begin; --j)
      exchange(x[j - 1], x[j]);
}

/// Merges two runs of the same length from both ends at once: neither end can
/// come to the end of a run before it has written half of the words.
template <typename Word>
void mergeEqual(const Word *x, int64_t length, Word *out) {
  const Word *a = x, *b = x + length;
  const Word *lastA = b - 1, *lastB = b + length - 1;
  Word *last = out + 2 * length - 1;
  for (int64_t i = 0; i < length; ++i) {
    bool takesB = *b < *a;
    *out++ = takesB ? *b : *a;
    b += takesB;
    a += !takesB;
    bool takesA = *lastB < *lastA;
    *last-- = takesA ? *lastA : *lastB;
    lastA -= takesA;
    lastB -= !takesA;
  }
}

/// Merges what is in front of `middle` and behind it.
template <typename Word>
void merge(const Word *x, const Word *middle, const Word *end, Word *out) {
  const Word *a = x, *b = middle;
  while (a < middle && b < end) {
    bool takesB = *b < *a;
    *out++ = takesB ? *b : *a;
    b += takesB;
    a += !takesB;
  }
  for (; a < middle; ++a)
    *out++ = *a;
  for (; b < end; ++b)
    *out++ = *b;
}

/// Returns where the words are in order in the end: `x` or `other`.
template <typename Word> Word *sortByMerging(Word *x, Word *other, int64_t n) {
  sortRuns(x, n);
  for (int64_t length = kRun; length < n; length *= 2) {
    for (int64_t i = 0; i < n; i += 2 * length) {
      int64_t count = n - i < 2 * length ? n - i : 2 * length;
      Word *part = x + i, *middle = part + length;
      if (count <= length || !(*middle < middle[-1]))
        std::memcpy(other + i, part, size_t(count) * sizeof(Word));
      else if (count == 2 * length)
        mergeEqual(part, length, other + i);
      else
        merge(part, middle, part + count, other + i);
    }
    std::swap(x, other);
  }
  return x;
}

/// The same, a byte at a time. One by which all words are equal is left out.
template <typename Word>
Word *sortByDistributing(Word *x, Word *other, int64_t n) {
  using Digit = Digits<Word>;
  int64_t counts[Digit::kCount][256] = {};
  for (int64_t i = 0; i < n; ++i)
    for (int digit = 0; digit < Digit::kCount; ++digit)
      ++counts[digit][Digit::get(x[i], digit)];
  for (int digit = 0; digit < Digit::kCount; ++digit) {
    int64_t *count = counts[digit];
    if (count[Digit::get(x[0], digit)] == n)
      continue;
    Word *places[256];
    Word *place = other;
    for (int value = 0; value < 256; ++value) {
      places[value] = place;
      place += count[value];
    }
    for (int64_t i = 0; i < n; ++i)
      *places[Digit::get(x[i], digit)]++ = x[i];
    std::swap(x, other);
  }
  return x;
}

template <typename Word> bool isSorted(const Word *x, int64_t n) {
  for (int64_t i = 1; i < n; ++i)
    if (x[i] < x[i - 1])
      return false;
  return true;
}

/// From so many words for each byte on, distributing them takes less time.
constexpr int64_t kFewest = 64;

template <typename Word> Word *sortWords(Word *x, Word *other, int64_t n) {
  if (isSorted(x, n))
    return x;
  return n < kFewest * Digits<Word>::kCount ? sortByMerging(x, other, n)
                                            : sortByDistributing(x, other, n);
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

/// The values alone, whose memory is worked in, too; faster for short keys.
template <typename Kind>
void sortValues(const typename Kind::Key *x, int64_t n,
                typename Kind::Key *values, void *work) {
  using Key = typename Kind::Key;
  bool isVague = false;
  for (int64_t i = 0; i < n; ++i) {
    values[i] = Kind::encode(x[i]);
    if constexpr (Kind::isFloat)
      isVague |= Kind::decode(values[i]) != x[i];
  }
  Key *sorted = sortWords(values, static_cast<Key *>(work), n);
  int64_t zeros = 0, nans = n;
  if constexpr (Kind::isFloat)
    if (isVague) {
      while (zeros < n && sorted[zeros] < Kind::kZero)
        ++zeros;
      while (nans > 0 && sorted[nans - 1] == Kind::kNan)
        --nans;
    }
  for (int64_t i = 0; i < n; ++i)
    values[i] = Kind::decode(sorted[i]);
  if constexpr (Kind::isFloat)
    if (isVague)
      for (int64_t i = 0; i < n; ++i)
        if (Key key = Kind::encode(x[i]); Kind::isVague(key))
          values[key == Kind::kZero ? zeros++ : nans++] = x[i];
}

/// Writes the indices of sorted words, and the values there; either may be
/// null. The words may lie where these go.
template <typename T, typename Word>
void writeSorted(const T *x, int64_t n, const Word *sorted, T *values,
                 int64_t *indices) {
  for (int64_t i = 0; i < n; ++i) {
    auto index = int64_t(sorted[i].index());
    if (values)
      values[i] = x[index];
    if (indices)
      indices[i] = index;
  }
}

/// The upper 32 bits of a key, or all of it, and what is left.
template <typename Key> uint64_t upper(Key key) {
  return sizeof(Key) < 8 ? key : uint64_t(key) >> 32;
}
template <typename Key> uint64_t lower(Key key) {
  return sizeof(Key) < 8 ? 0 : uint64_t(key) & UINT32_MAX;
}

/// Either may be null. First the upper 32 bits of the keys are sorted, and
/// then, where these are equal, the lower ones.
template <typename Kind>
void sortPairs(const typename Kind::Key *x, int64_t n,
               typename Kind::Key *values, int64_t *indices, void *work) {
  // Both have room for words, if there are no indices.
  auto *words = indices ? reinterpret_cast<Packed *>(indices)
                        : reinterpret_cast<Packed *>(values);
  auto *other = static_cast<Packed *>(work);
  for (int64_t i = 0; i < n; ++i)
    words[i] = Packed::of(upper(Kind::encode(x[i])), i);
  Packed *sorted = sortWords(words, other, n);
  other = sorted == words ? other : words;
  for (int64_t begin = 0, end; sizeof(*x) == 8 && begin < n; begin = end) {
    for (end = begin + 1; end < n; ++end)
      if (sorted[end].key() != sorted[begin].key())
        break;
    if (end - begin == 1)
      continue;
    for (int64_t i = begin; i < end; ++i) {
      auto index = int64_t(sorted[i].index());
      sorted[i] = Packed::of(lower(Kind::encode(x[index])), index);
    }
    Packed *part = sortWords(sorted + begin, other + begin, end - begin);
    if (part != sorted + begin)
      std::memcpy(sorted + begin, part, size_t(end - begin) * sizeof(Packed));
  }
  writeSorted(x, n, sorted, values, indices);
}

/// The same for rows of more elements than 32 bits can count.
template <typename Kind>
void sortManyPairs(const typename Kind::Key *x, int64_t n,
                   typename Kind::Key *values, int64_t *indices, void *work) {
  auto *words = static_cast<Wide *>(work);
  for (int64_t i = 0; i < n; ++i)
    words[i] = Wide::of(Kind::encode(x[i]), i);
  writeSorted(x, n, sortWords(words, words + n, n), values, indices);
}

/// Complex numbers; either may be null.
template <typename Bits, typename Word>
void sortComplex(const Complex<Bits> *x, int64_t n, Complex<Bits> *values,
                 int64_t *indices, void *work) {
  auto *words = static_cast<Word *>(work);
  for (int64_t i = 0; i < n; ++i) {
    Complex<Bits> keys = encode(x[i]);
    if constexpr (std::is_same_v<Word, Wide>)
      words[i] = Wide::of(uint64_t(keys.re) << 32 | keys.im, i);
    else
      words[i] = {keys.re, keys.im, uint64_t(i)};
  }
  writeSorted(x, n, sortWords(words, words + n, n), values, indices);
}

/// The buffers of a call.
struct Call {
  Call(int64_t flags, const gradopt_buffer &input, const gradopt_buffer *outs)
      : x(input.data), n(input.shape[input.rank - 1]) {
    for (int32_t d = 0; d + 1 < input.rank; ++d)
      rows *= input.shape[d];
    if (flags & HasValues)
      values = (outs++)->data;
    if (flags & HasIndices)
      indices = static_cast<int64_t *>((outs++)->data);
    work = outs->data;
  }

  /// Calls `sort` with x, values and indices of each row.
  template <typename T, typename Sort> void forEachRow(Sort sort) const {
    for (int64_t begin = 0; begin < rows * n; begin += n)
      sort(static_cast<const T *>(x) + begin,
           values ? static_cast<T *>(values) + begin : nullptr,
           indices ? indices + begin : nullptr);
  }

  template <typename Kind> void sortReal() const {
    using Key = typename Kind::Key;
    forEachRow<Key>([&](const Key *x, Key *values, int64_t *indices) {
      if (isShort(n) && (indices || sizeof(Key) == 8))
        sortPairs<Kind>(x, n, values, indices, work);
      else if (indices)
        sortManyPairs<Kind>(x, n, values, indices, work);
      else
        sortValues<Kind>(x, n, values, work);
    });
  }
  template <typename Bits, typename Word> void sortComplexes() const {
    using T = Complex<Bits>;
    forEachRow<T>([&](const T *x, T *values, int64_t *indices) {
      sortComplex<Bits, Word>(x, n, values, indices, work);
    });
  }
  template <typename Bits> void sortIntegers(bool isUnsigned) const {
    isUnsigned ? sortReal<Integer<Bits, false>>()
               : sortReal<Integer<Bits, true>>();
  }

  const void *x;
  int64_t n, rows = 1;
  void *values = nullptr;
  int64_t *indices = nullptr;
  void *work;
};

} // namespace

void gradopt_sort(int64_t flags, const gradopt_buffer *inputs, int64_t,
                  const gradopt_buffer *outs, int64_t) {
  Call call(flags, inputs[0], outs);
  bool isUnsigned = flags & IsUnsigned;
  switch (inputs[0].dtype) {
  case GRADOPT_BOOL:
    return call.sortReal<Integer<uint8_t, false>>();
  case GRADOPT_I8:
    return call.sortIntegers<uint8_t>(isUnsigned);
  case GRADOPT_I16:
    return call.sortIntegers<uint16_t>(isUnsigned);
  case GRADOPT_I32:
    return call.sortIntegers<uint32_t>(isUnsigned);
  case GRADOPT_I64:
    return call.sortIntegers<uint64_t>(isUnsigned);
  case GRADOPT_F32:
    return call.sortReal<Float<uint32_t>>();
  case GRADOPT_F64:
    return call.sortReal<Float<uint64_t>>();
  case GRADOPT_C64:
    return call.sortComplexes<uint32_t, Wide>();
  case GRADOPT_C128:
    return call.sortComplexes<uint64_t, Widest>();
  default:
    return;
  }
}
