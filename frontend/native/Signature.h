//===- Signature.h - What a call's arguments look like ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Flattening turns arguments into leaves and a signature: a sequence of number
// tokens (containers with their sizes, leaves with type and shape) and the
// Python objects that belong to it (dict keys, keyword names, static
// arguments). Two calls with equal signatures run the same code.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_SIGNATURE_H
#define GRADOPT_NATIVE_SIGNATURE_H

#include "Arrays.h"

#include <memory>
#include <vector>

namespace gradopt::native {

struct Comparison;

/// Which arguments are part of the signature by value.
struct StaticArguments {
  std::vector<Py_ssize_t> positions;
  nanobind::tuple names;

  bool contains(Py_ssize_t index, Py_ssize_t positional) const;
  bool contains(PyObject *name) const;
};

/// Arguments whose arrays may have another number of rows in each call.
struct SizedArguments {
  struct Argument {
    Py_ssize_t position;
    nanobind::object name;
    /// The number of the size that it has.
    size_t size;
  };

  std::vector<Argument> arguments;
  /// How large each size is at most.
  std::vector<npy_intp> most;

  /// Reads `([(position, name, size), ...], [most, ...])`; throws
  /// nanobind::python_error or a cast error.
  static SizedArguments parse(nanobind::handle parts);

  /// The size of an argument, or -1. Most functions have none: that is found
  /// out without a call.
  template <typename Key> int find(Key key) const {
    return arguments.empty() ? -1 : findAmong(key);
  }

private:
  int findAmong(Py_ssize_t position) const;
  int findAmong(PyObject *name) const;
};

enum class FlattenStatus {
  Done,
  /// An argument is none of the containers and leaves known here.
  Foreign,
  /// A Python error was set.
  Failed
};

class Signature {
public:
  Signature() = default;
  Signature(const Signature &) = delete;
  Signature &operator=(const Signature &) = delete;
  ~Signature() { clear(); }

  /// From now on, arrays whose elements are not in row-major order without gaps
  /// differ by their strides.
  void compareStrides() { hasStrides = true; }

  /// Flattens the arguments of a vectorcall.
  FlattenStatus flatten(PyObject *const *args, Py_ssize_t positional,
                        PyObject *keywordNames, const StaticArguments &statics,
                        const SizedArguments &sized);

  /// Takes leaves, structure and `wrap` as Python code found them. False if a
  /// Python error was set.
  bool assign(PyObject *leaves, PyObject *structure, PyObject *wrap,
              PyObject *sized = nullptr);

  Span<PyObject *> getLeaves() const { return leaves; }
  /// Of all that there is. A call that finds its code without it does not
  /// compute it.
  uint64_t getHash() const;
  /// What makes arrays of another library from results on a device, because
  /// some of the leaves are of this library; null if none are.
  PyObject *getWrap() const { return wrap.ptr(); }

private:
  friend class StoredSignature;

  void clear();
  FlattenStatus add(PyObject *value, int depth);
  FlattenStatus addSized(PyObject *leaf);
  FlattenStatus addSizes();
  bool addLeaf(PyObject *leaf, LeafKind kind, bool isSized = false);
  void addArray(PyArrayObject *array, bool isSized = false);
  FlattenStatus addForeign(PyObject *value);
  FlattenStatus addDict(PyObject *dict, int depth);
  bool addObject(PyObject *object);
  FlattenStatus addConstant(PyObject *value, int depth);
  FlattenStatus addAttributes(PyObject *value, const Comparison &comparison,
                              int depth);
  FlattenStatus addNumpyNumber(PyObject *value);
  FlattenStatus addType(PyObject *value);

  InlineVector<uint64_t, 4 * kInlineLeaves> tokens;
  /// New references: containers could drop theirs while the call runs.
  InlineVector<PyObject *, kInlineLeaves> leaves;
  InlineVector<PyObject *, kInlineLeaves> objects;
  nanobind::object wrap;
  uint64_t hashOfObjects = 0;
  bool hasStrides = false;

  /// What is known of sizes, and that of the argument that is flattened, or -1.
  const SizedArguments *sized = nullptr;
  InlineVector<npy_intp, 8> sizes;
  int size = -1;
};

/// A signature that stays.
class StoredSignature {
public:
  explicit StoredSignature(const Signature &signature);

  uint64_t getHash() const { return hash; }

  /// Whether the numbers are equal and the objects the same ones, as they
  /// were. Runs no Python code.
  bool isIdentical(const Signature &signature) const;

  /// 1 if equal, 0 if not, -1 if a Python error was set by a comparison.
  int equals(const Signature &signature) const;

  int traverse(visitproc visit, void *arg) const;

private:
  bool hasTokensOf(const Signature &signature) const;

  uint64_t hash, hashOfObjects;
  std::vector<uint64_t> tokens;
  std::vector<nanobind::object> objects;
};

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_SIGNATURE_H
