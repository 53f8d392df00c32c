//===- Constants.cpp - Objects that calls are told apart by ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Constants.h"
#include "Gil.h"
#include "Sequences.h"

#include <cstring>
#include <vector>

namespace nb = nanobind;

namespace gradopt::native {

bool isItems(PyObject *value) {
  return PyTuple_CheckExact(value) ||
         (PyTuple_Check(value) && Py_TYPE(value)->tp_dictoffset == 0);
}

/// Whether objects of this type that are equal are the same.
static bool isPlainLeaf(PyObject *value) {
  // The last: each object of the type is equal to itself alone.
  return PyUnicode_CheckExact(value) || PyLong_CheckExact(value) ||
         PyFloat_CheckExact(value) || PyBool_Check(value) ||
         PyBytes_CheckExact(value) || PyCFunction_Check(value) ||
         PyMethod_Check(value) ||
         Py_TYPE(value)->tp_richcompare == PyBaseObject_Type.tp_richcompare;
}

/// Calls `visit` for each item of a frozenset until it returns false. False,
/// and a Python error, if it cannot be iterated over.
template <typename Visit> static bool forEachItem(PyObject *set, Visit visit) {
  nb::object iterator = nb::steal(PyObject_GetIter(set));
  if (!iterator.is_valid())
    return false;
  while (PyObject *item = PyIter_Next(iterator.ptr())) {
    bool goOn = visit(item);
    Py_DECREF(item);
    if (!goOn)
      break;
  }
  return true;
}

static HashStatus hashLeaf(PyObject *value, bool onlyPlain, uint64_t &hash) {
  if (PyFloat_CheckExact(value)) {
    // Bits, by which a NaN is found again.
    double number = PyFloat_AS_DOUBLE(value);
    std::memcpy(&hash, &number, sizeof(double));
    return HashStatus::Done;
  }
  if (onlyPlain && !isPlainLeaf(value))
    return HashStatus::NotPlain;
  Py_hash_t number = callPython([&] { return PyObject_Hash(value); });
  hash = uint64_t(number);
  return number == -1 ? HashStatus::Failed : HashStatus::Done;
}

HashStatus hashConstant(PyObject *value, bool onlyPlain, uint64_t &hash) {
  bool items = isItems(value);
  if (!items && !PyFrozenSet_CheckExact(value))
    return hashLeaf(value, onlyPlain, hash);
  if (Py_EnterRecursiveCall(" in a static argument"))
    return HashStatus::Failed;
  HashStatus status = HashStatus::Done;
  uint64_t item;
  if (items) {
    Py_ssize_t size = PyTuple_GET_SIZE(value);
    hash = uint64_t(size);
    for (Py_ssize_t i = 0; i < size && status == HashStatus::Done; ++i) {
      status = hashConstant(PyTuple_GET_ITEM(value, i), onlyPlain, item);
      hash = mix(hash, item);
    }
  } else {
    hash = 0;
    bool iterated = forEachItem(value, [&](PyObject *object) {
      status = hashConstant(object, onlyPlain, item);
      // The items have no order.
      hash += mix(1, item);
      return status == HashStatus::Done;
    });
    if (!iterated)
      status = HashStatus::Failed;
  }
  Py_LeaveRecursiveCall();
  return status;
}

/// Whether each of the items has its like among the others, where they tend to
/// have the same order.
static int isPartOf(Span<nb::object> items, Span<nb::object> others) {
  for (size_t i = 0; i < items.size(); ++i) {
    int same = isSameConstant(items[i].ptr(), others[i].ptr());
    for (size_t k = 0; same == 0 && k < others.size(); ++k)
      same = isSameConstant(items[i].ptr(), others[k].ptr());
    if (same != 1)
      return same;
  }
  return 1;
}

static int areSameSets(PyObject *ours, PyObject *theirs) {
  if (PySet_GET_SIZE(ours) != PySet_GET_SIZE(theirs))
    return 0;
  std::vector<nb::object> items, others;
  auto addTo = [](std::vector<nb::object> &list) {
    return [&](PyObject *item) {
      list.push_back(nb::borrow(item));
      return true;
    };
  };
  if (!forEachItem(ours, addTo(items)) || !forEachItem(theirs, addTo(others)))
    return -1;
  int same = isPartOf(items, others);
  return same == 1 ? isPartOf(others, items) : same;
}

static int areSameItems(PyObject *ours, PyObject *theirs) {
  Py_ssize_t size = PyTuple_GET_SIZE(ours);
  if (size != PyTuple_GET_SIZE(theirs))
    return 0;
  int same = 1;
  for (Py_ssize_t i = 0; same == 1 && i < size; ++i)
    same =
        isSameConstant(PyTuple_GET_ITEM(ours, i), PyTuple_GET_ITEM(theirs, i));
  return same;
}

int isSameConstant(PyObject *ours, PyObject *theirs) {
  if (ours == theirs)
    return 1;
  if (Py_TYPE(ours) != Py_TYPE(theirs))
    return 0;
  if (PyFloat_CheckExact(ours)) {
    double a = PyFloat_AS_DOUBLE(ours), b = PyFloat_AS_DOUBLE(theirs);
    return std::memcmp(&a, &b, sizeof(double)) == 0;
  }
  bool items = isItems(ours);
  if (!items && !PyFrozenSet_CheckExact(ours))
    return callPython(
        [&] { return PyObject_RichCompareBool(ours, theirs, Py_EQ); });
  if (Py_EnterRecursiveCall(" while comparing static arguments"))
    return -1;
  int same = items ? areSameItems(ours, theirs) : areSameSets(ours, theirs);
  Py_LeaveRecursiveCall();
  return same;
}

//===----------------------------------------------------------------------===//
// gradopt.base.statics
//===----------------------------------------------------------------------===//

/// An attribute of the module, which is kept; null if a Python error was set.
static PyObject *fromStatics(const char *name) {
  nb::object module = nb::steal(PyImport_ImportModule("gradopt.base.statics"));
  return module.is_valid() ? PyObject_GetAttrString(module.ptr(), name)
                           : nullptr;
}

nb::object staticKey(PyObject *value) {
  static PyObject *function = nullptr;
  if (!function && !(function = fromStatics("static_key")))
    return nb::object();
  return nb::steal(
      callPython([&] { return PyObject_CallOneArg(function, value); }));
}

Comparison Comparison::of(PyTypeObject *type) {
  // Its classes are few, and static_key() keeps them as well.
  static PyObject *known = PyDict_New();
  static PyObject *function = nullptr;
  Comparison result;
  if (!known || (!function && !(function = fromStatics("comparison"))))
    return result;
  auto *key = reinterpret_cast<PyObject *>(type);
  PyObject *found = PyDict_GetItemWithError(known, key);
  if (!found && !PyErr_Occurred()) {
    nb::object made = nb::steal(
        callPython([&] { return PyObject_CallOneArg(function, key); }));
    if (made.is_valid() && PyDict_SetItem(known, key, made.ptr()) == 0)
      found = PyDict_GetItemWithError(known, key);
  }
  if (!found)
    return result;
  if (PyTuple_Check(found)) {
    result.kind = Kind::Attributes;
    result.slots = nb::borrow(PyTuple_GET_ITEM(found, 0));
    result.skipped = nb::borrow(PyTuple_GET_ITEM(found, 1));
  } else {
    result.kind = found == Py_True ? Kind::Own : Kind::Key;
  }
  return result;
}

} // namespace gradopt::native
