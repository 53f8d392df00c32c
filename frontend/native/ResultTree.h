//===- ResultTree.h - The structure of a call's result ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_RESULTTREE_H
#define GRADOPT_NATIVE_RESULTTREE_H

#include "Numpy.h"
#include "Sequences.h"

#include <vector>

namespace gradopt::native {

/// Nested tuples, lists and dicts of result numbers, as a program in preorder.
class ResultTree {
public:
  /// Reads a structure of exact containers, ints and None; throws
  /// nanobind::python_error. Numbers must be below `results`.
  ResultTree(nanobind::handle structure, size_t results);

  /// A new object of the structure with results at the numbers' places; null
  /// if a Python error was set.
  PyObject *build(Span<PyObject *> results) const;

  int traverse(visitproc visit, void *arg) const;

private:
  enum class Kind : uint8_t { None, Result, Tuple, List, Dict };
  struct Node {
    Kind kind;
    /// The number of a result, or of children.
    size_t value;
    /// For a child of a dict: its key in `keys`.
    size_t key;
  };

  void parse(nanobind::handle structure, size_t key, size_t results);
  PyObject *build(const Node *&node, Span<PyObject *> results) const;

  std::vector<Node> nodes;
  std::vector<nanobind::object> keys;
};

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_RESULTTREE_H
