//===- Arrays.h - Arrays and scalars at the boundary ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_ARRAYS_H
#define GRADOPT_NATIVE_ARRAYS_H

#include "Numpy.h"
#include "Sequences.h"

#include <cstdint>
#include <vector>

namespace gradopt::native {

/// A data type as one number: kind and item size, so that C types of one size
/// (long and long long) are one type; user-defined types by their number.
using TypeCode = uint32_t;

constexpr TypeCode typeCode(char kind, int size) {
  return uint32_t(uint8_t(kind)) << 8 | uint32_t(size);
}

inline TypeCode typeCode(PyArray_Descr *descr) {
  if (descr->type_num >= NPY_USERDEF)
    return 1u << 24 | uint32_t(descr->type_num);
  return typeCode(descr->kind, int(PyDataType_ELSIZE(descr)));
}

/// The dtype of a number of gradopt_dtype; null if a Python error was set.
PyArray_Descr *newDescr(int32_t dtype);

/// A call with at most so many arguments and so many results allocates nothing
/// but the results.
constexpr unsigned kInlineLeaves = 64;

/// The kinds of leaves that the call path understands.
enum class LeafKind : uint8_t {
  Array,
  NumpyScalar,
  WeakBool,
  WeakInt,
  WeakFloat,
  WeakComplex,
  /// A `DeviceArray`.
  Device,
  Unsupported
};

/// Sorts `object`, which is not a container.
LeafKind classifyLeaf(PyObject *object);

/// Data type and shape of one argument or result.
struct ArraySpec {
  nanobind::object descr;
  std::vector<npy_intp> shape;
  TypeCode code = 0;
  size_t bytes = 0;
  /// Whether the first dimension may be smaller: the shape is the largest one.
  bool isSized = false;

  /// Reads a `(dtype, shape)` pair, or `(dtype, shape, is sized)`; throws
  /// nanobind::python_error.
  static ArraySpec parse(nanobind::handle parts);

  PyArray_Descr *getDescr() const {
    return reinterpret_cast<PyArray_Descr *>(descr.ptr());
  }
  bool isScalar() const { return shape.empty(); }

  /// Whether a leaf on the host can be passed where this array is expected.
  bool accepts(PyObject *leaf, LeafKind kind) const;

  /// The `(dtype, shape)` pair.
  nanobind::object toPython() const;

  /// E.g. "float64[2, 3]".
  std::string describe() const;
};

/// Room for one 0-d value of any type.
struct alignas(16) ScalarCell {
  unsigned char bytes[16];
};

/// The address at which compiled code can read `leaf`, which `spec` accepts.
/// Arrays are used where they are, if compiled code can read them there; else
/// `keepAlive` holds a copy. Scalars are stored in `cell`. Null if a Python
/// error was set.
const void *leafAddress(PyObject *leaf, const ArraySpec &spec, ScalarCell &cell,
                        Vector<PyObject *> &keepAlive);

/// The number of copies made by leafAddress().
uint64_t stagedCopyCount();

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_ARRAYS_H
