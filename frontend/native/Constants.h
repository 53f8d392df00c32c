//===- Constants.h - Objects that calls are told apart by -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Static arguments and dict keys are constants of the code. 1, 1.0 and True
// make different code, and so do 0.0 and -0.0, although they are equal. What is
// as plain as numbers and strings, and tuples and frozensets of them, is
// compared here; instances of dataclasses are taken apart into such by the
// caller, as `Comparison` tells; for the rest gradopt.base.statics.static_key()
// makes a tuple of plain parts.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_CONSTANTS_H
#define GRADOPT_NATIVE_CONSTANTS_H

#include "Numpy.h"

#include <cstdint>

namespace gradopt::native {

inline uint64_t mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * 0x9E3779B97F4A7C15ull;
  return hash ^ hash >> 32;
}

enum class HashStatus {
  Done,
  /// `isSameConstant` does not suffice for it.
  NotPlain,
  /// A Python error was set.
  Failed
};

/// Sets `hash` to what objects share that `isSameConstant` takes for the same.
/// Objects with comparisons of their own are hashed by their own rule, unless
/// `onlyPlain`.
HashStatus hashConstant(PyObject *value, bool onlyPlain, uint64_t &hash);

/// Whether two objects make the same code; negative if a Python error was set.
int isSameConstant(PyObject *ours, PyObject *theirs);

/// Whether an object is the items of a tuple and nothing else, as one of a
/// named tuple class is.
bool isItems(PyObject *value);

/// How objects of a class are compared that are not plain.
struct Comparison {
  enum class Kind {
    /// By their own `==`.
    Own,
    /// Attribute by attribute.
    Attributes,
    /// By static_key().
    Key,
    /// A Python error was set.
    Failed
  };
  Kind kind = Kind::Failed;
  /// Attributes that are not in the `__dict__`: a tuple of names.
  nanobind::object slots;
  /// A frozenset of the names of attributes that make no difference.
  nanobind::object skipped;

  static Comparison of(PyTypeObject *type);
};

/// gradopt.base.statics.static_key(value); null if a Python error was set.
nanobind::object staticKey(PyObject *value);

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_CONSTANTS_H
