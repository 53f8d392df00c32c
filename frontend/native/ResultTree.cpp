//===- ResultTree.cpp - The structure of a call's result ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ResultTree.h"

namespace nb = nanobind;

namespace gradopt::native {

ResultTree::ResultTree(nb::handle structure, size_t results) {
  parse(structure, 0, results);
}

void ResultTree::parse(nb::handle structure, size_t key, size_t results) {
  PyObject *object = structure.ptr();
  if (object == Py_None) {
    nodes.push_back({Kind::None, 0, key});
    return;
  }
  if (PyLong_CheckExact(object)) {
    size_t number = PyLong_AsSize_t(object);
    if (PyErr_Occurred())
      throw nb::python_error();
    if (number >= results)
      throw nb::index_error("the result tree names a result that is not there");
    nodes.push_back({Kind::Result, number, key});
    return;
  }
  bool isTuple = PyTuple_CheckExact(object);
  if (isTuple || PyList_CheckExact(object)) {
    nodes.push_back({isTuple ? Kind::Tuple : Kind::List,
                     size_t(PySequence_Fast_GET_SIZE(object)), key});
    for (nb::handle child : structure)
      parse(child, 0, results);
    return;
  }
  if (PyDict_CheckExact(object)) {
    nodes.push_back({Kind::Dict, size_t(PyDict_GET_SIZE(object)), key});
    for (auto [name, child] : nb::borrow<nb::dict>(structure)) {
      keys.push_back(nb::borrow(name));
      parse(child, keys.size() - 1, results);
    }
    return;
  }
  throw nb::type_error("a result tree is made of int, None, tuple, list, dict");
}

PyObject *ResultTree::build(Span<PyObject *> results) const {
  const Node *node = nodes.data();
  return build(node, results);
}

PyObject *ResultTree::build(const Node *&cursor,
                            Span<PyObject *> results) const {
  const Node &node = *cursor++;
  switch (node.kind) {
  case Kind::None:
    return Py_NewRef(Py_None);
  case Kind::Result:
    return Py_NewRef(results[node.value]);
  case Kind::Tuple:
  case Kind::List: {
    bool isTuple = node.kind == Kind::Tuple;
    Py_ssize_t size = Py_ssize_t(node.value);
    PyObject *made = isTuple ? PyTuple_New(size) : PyList_New(size);
    for (Py_ssize_t i = 0; made && i < size; ++i) {
      PyObject *child = cursor->kind == Kind::Result
                            ? Py_NewRef(results[cursor++->value])
                            : build(cursor, results);
      if (!child)
        Py_CLEAR(made);
      else if (isTuple)
        PyTuple_SET_ITEM(made, i, child);
      else
        PyList_SET_ITEM(made, i, child);
    }
    return made;
  }
  case Kind::Dict: {
    PyObject *made = PyDict_New();
    for (size_t i = 0; made && i < node.value; ++i) {
      PyObject *key = keys[cursor->key].ptr();
      PyObject *child = build(cursor, results);
      if (!child || PyDict_SetItem(made, key, child) < 0)
        Py_CLEAR(made);
      Py_XDECREF(child);
    }
    return made;
  }
  }
  return nullptr;
}

int ResultTree::traverse(visitproc visit, void *arg) const {
  for (const nb::object &key : keys)
    Py_VISIT(key.ptr());
  return 0;
}

} // namespace gradopt::native
