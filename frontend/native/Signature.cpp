//===- Signature.cpp - What a call's arguments look like ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Signature.h"
#include "Gil.h"

#include <cstring>

namespace nb = nanobind;

namespace gradopt::native {

/// Deeper nesting, or a container that holds itself, is left to Python code.
static constexpr int kMaxDepth = 64;

namespace {

/// The upper byte of a token; the rest is a count or a leaf's type.
enum class Tag : uint64_t {
  None = 1,
  Tuple,
  List,
  Dict,
  Static,
  Keywords,
  Key,
  Foreign,
  Leaf
};

} // namespace

static uint64_t token(Tag tag, uint64_t value = 0) {
  return uint64_t(tag) << 56 | value;
}

static uint64_t mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * 0x9E3779B97F4A7C15ull;
  return hash ^ hash >> 32;
}

//===----------------------------------------------------------------------===//
// StaticArguments
//===----------------------------------------------------------------------===//

bool StaticArguments::contains(Py_ssize_t index, Py_ssize_t positional) const {
  for (Py_ssize_t position : positions)
    if (index == (position < 0 ? position + positional : position))
      return true;
  return false;
}

bool StaticArguments::contains(PyObject *name) const {
  Py_ssize_t count = PyTuple_GET_SIZE(names.ptr());
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject *candidate = PyTuple_GET_ITEM(names.ptr(), i);
    if (candidate == name || PyUnicode_Compare(candidate, name) == 0)
      return true;
  }
  return false;
}

//===----------------------------------------------------------------------===//
// Signature
//===----------------------------------------------------------------------===//

void Signature::clear() {
  for (PyObject *leaf : leaves)
    Py_DECREF(leaf);
  for (PyObject *object : objects)
    Py_DECREF(object);
  tokens.clear();
  leaves.clear();
  objects.clear();
}

//===----------------------------------------------------------------------===//
// Constants of the code
//===----------------------------------------------------------------------===//
//
// 1, 1.0 and True make different code, and so do 0.0 and -0.0, although they
// are equal. What is as plain as numbers and strings is told apart here; for
// the rest Python's static_key() makes a tuple of plain parts.

/// Whether an object is the items of a tuple and nothing else, as one of a
/// named tuple class is.
static bool isItems(PyObject *value) {
  return PyTuple_CheckExact(value) ||
         (PyTuple_Check(value) && Py_TYPE(value)->tp_dictoffset == 0);
}

/// Whether `isSameConstant` and `hashConstant` suffice for an object.
static bool isPlain(PyObject *value) {
  if (isItems(value)) {
    if (Py_EnterRecursiveCall(" in a static argument")) {
      PyErr_Clear();
      return false;
    }
    bool plain = true;
    for (Py_ssize_t i = 0; plain && i < PyTuple_GET_SIZE(value); ++i)
      plain = isPlain(PyTuple_GET_ITEM(value, i));
    Py_LeaveRecursiveCall();
    return plain;
  }
  // The last: each object of the type is equal to itself alone.
  return PyCFunction_Check(value) || PyMethod_Check(value) ||
         PyUnicode_CheckExact(value) || PyLong_CheckExact(value) ||
         PyFloat_CheckExact(value) || PyBool_Check(value) ||
         PyBytes_CheckExact(value) ||
         Py_TYPE(value)->tp_richcompare == PyBaseObject_Type.tp_richcompare;
}

/// A hash by which a NaN is found again; -1 if a Python error was set.
static Py_hash_t hashConstant(PyObject *value) {
  uint64_t hash;
  if (PyFloat_CheckExact(value)) {
    double number = PyFloat_AS_DOUBLE(value);
    std::memcpy(&hash, &number, sizeof(double));
  } else if (isItems(value)) {
    hash = uint64_t(PyTuple_GET_SIZE(value));
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(value); ++i) {
      Py_hash_t item = hashConstant(PyTuple_GET_ITEM(value, i));
      if (item == -1)
        return -1;
      hash = mix(hash, uint64_t(item));
    }
  } else {
    return callPython([&] { return PyObject_Hash(value); });
  }
  hash = mix(0, hash);
  return hash == uint64_t(-1) ? 0 : Py_hash_t(hash);
}

/// Whether two objects make the same code; negative if a Python error was set.
static int isSameConstant(PyObject *ours, PyObject *theirs) {
  if (ours == theirs)
    return 1;
  if (Py_TYPE(ours) != Py_TYPE(theirs))
    return 0;
  if (PyFloat_CheckExact(ours)) {
    double a = PyFloat_AS_DOUBLE(ours), b = PyFloat_AS_DOUBLE(theirs);
    return std::memcmp(&a, &b, sizeof(double)) == 0;
  }
  if (!isItems(ours))
    return callPython(
        [&] { return PyObject_RichCompareBool(ours, theirs, Py_EQ); });
  Py_ssize_t size = PyTuple_GET_SIZE(ours);
  if (size != PyTuple_GET_SIZE(theirs))
    return 0;
  if (Py_EnterRecursiveCall(" while comparing static arguments"))
    return -1;
  int same = 1;
  for (Py_ssize_t i = 0; same == 1 && i < size; ++i)
    same =
        isSameConstant(PyTuple_GET_ITEM(ours, i), PyTuple_GET_ITEM(theirs, i));
  Py_LeaveRecursiveCall();
  return same;
}

/// gradopt.base.statics.static_key(value); null if a Python error was set.
static nb::object staticKey(PyObject *value) {
  static PyObject *function = nullptr;
  if (!function) {
    nb::object module =
        nb::steal(PyImport_ImportModule("gradopt.base.statics"));
    if (!module.is_valid())
      return nb::object();
    function = PyObject_GetAttrString(module.ptr(), "static_key");
    if (!function)
      return nb::object();
  }
  return nb::steal(
      callPython([&] { return PyObject_CallOneArg(function, value); }));
}

/// Adds an object that is compared as it is.
bool Signature::addObject(PyObject *object) {
  objects.push_back(Py_NewRef(object));
  Py_hash_t objectHash = hashConstant(object);
  if (objectHash == -1)
    return false;
  hash = mix(hash, uint64_t(objectHash));
  return true;
}

/// Adds a constant of the code: a dict key, or a static argument.
bool Signature::addConstant(PyObject *value) {
  if (isPlain(value))
    return addObject(value);
  // A key alone would let what is not hashable pass.
  if (PyObject_Hash(value) == -1)
    return false;
  tokens.push_back(token(Tag::Key));
  nb::object key = staticKey(value);
  return key.is_valid() && addObject(key.ptr());
}

//===----------------------------------------------------------------------===//
// Flattening
//===----------------------------------------------------------------------===//

void Signature::finish() {
  for (uint64_t token : tokens)
    hash = mix(hash, token);
}

bool Signature::addLeaf(PyObject *leaf, LeafKind kind) {
  uint64_t type = uint64_t(kind) << 40;
  switch (kind) {
  case LeafKind::Array: {
    auto *array = reinterpret_cast<PyArrayObject *>(leaf);
    int rank = PyArray_NDIM(array);
    type = uint64_t(rank) << 48 | uint64_t(typeCode(PyArray_DESCR(array)));
    tokens.push_back(token(Tag::Leaf, type));
    const npy_intp *shape = PyArray_DIMS(array);
    tokens.append(shape, shape + rank);
    break;
  }
  case LeafKind::NumpyScalar: {
    // Run by code for 0-d arrays, but no array: functions may ask what it is.
    PyArray_Descr *descr = PyArray_DescrFromScalar(leaf);
    if (!descr)
      return false;
    tokens.push_back(token(Tag::Leaf, type | uint64_t(typeCode(descr))));
    Py_DECREF(descr);
    break;
  }
  default:
    tokens.push_back(token(Tag::Leaf, type));
  }
  leaves.push_back(Py_NewRef(leaf));
  return true;
}

FlattenStatus Signature::addDict(PyObject *dict, int depth) {
  tokens.push_back(token(Tag::Dict, uint64_t(PyDict_GET_SIZE(dict))));
  // No Python code runs between the steps of the iteration other than the
  // hashes of keys, which changing the dict would turn into another signature.
  Py_ssize_t position = 0;
  PyObject *key, *value;
  while (PyDict_Next(dict, &position, &key, &value)) {
    nb::object keep = nb::borrow(value);
    if (!addConstant(key))
      return FlattenStatus::Failed;
    FlattenStatus status = add(value, depth + 1);
    if (status != FlattenStatus::Done)
      return status;
  }
  return FlattenStatus::Done;
}

FlattenStatus Signature::add(PyObject *value, int depth) {
  PyTypeObject *type = Py_TYPE(value);
  if (type == &PyArray_Type)
    return addLeaf(value, LeafKind::Array), FlattenStatus::Done;
  if (value == Py_None) {
    tokens.push_back(token(Tag::None));
    return FlattenStatus::Done;
  }
  bool isTuple = type == &PyTuple_Type, isList = type == &PyList_Type;
  if (isTuple || isList || type == &PyDict_Type) {
    if (depth >= kMaxDepth)
      return FlattenStatus::Foreign;
    if (!isTuple && !isList)
      return addDict(value, depth);
    tokens.push_back(token(isTuple ? Tag::Tuple : Tag::List,
                           uint64_t(PySequence_Fast_GET_SIZE(value))));
    // A list may shrink if flattening a dict key runs Python code.
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(value); ++i) {
      nb::object item = nb::borrow(PySequence_Fast_GET_ITEM(value, i));
      FlattenStatus status = add(item.ptr(), depth + 1);
      if (status != FlattenStatus::Done)
        return status;
    }
    return FlattenStatus::Done;
  }
  LeafKind kind = classifyLeaf(value);
  if (kind == LeafKind::Unsupported)
    return FlattenStatus::Foreign;
  return addLeaf(value, kind) ? FlattenStatus::Done : FlattenStatus::Failed;
}

FlattenStatus Signature::flatten(PyObject *const *args, Py_ssize_t positional,
                                 PyObject *keywordNames,
                                 const StaticArguments &statics) {
  auto addArgument = [&](PyObject *value, bool isStatic) {
    if (!isStatic)
      return add(value, 0);
    tokens.push_back(token(Tag::Static));
    if (addConstant(value))
      return FlattenStatus::Done;
    if (!PyErr_ExceptionMatches(PyExc_TypeError))
      return FlattenStatus::Failed;
    // Not hashable: Python code explains it with the argument's name.
    PyErr_Clear();
    return FlattenStatus::Foreign;
  };

  tokens.push_back(token(Tag::Tuple, uint64_t(positional)));
  for (Py_ssize_t i = 0; i < positional; ++i) {
    FlattenStatus status =
        addArgument(args[i], statics.contains(i, positional));
    if (status != FlattenStatus::Done)
      return status;
  }
  Py_ssize_t keywords = keywordNames ? PyTuple_GET_SIZE(keywordNames) : 0;
  tokens.push_back(token(Tag::Keywords, uint64_t(keywords)));
  for (Py_ssize_t i = 0; i < keywords; ++i) {
    PyObject *name = PyTuple_GET_ITEM(keywordNames, i);
    if (!addObject(name))
      return FlattenStatus::Failed;
    FlattenStatus status =
        addArgument(args[positional + i], statics.contains(name));
    if (status != FlattenStatus::Done)
      return status;
  }
  finish();
  return FlattenStatus::Done;
}

bool Signature::assign(PyObject *leafSequence, PyObject *structure) {
  clear();
  hash = 0;
  tokens.push_back(token(Tag::Foreign));
  if (!addObject(structure))
    return false;
  nb::object items = nb::steal(PySequence_Fast(
      leafSequence, "_flatten must return (leaves, structure)"));
  if (!items.is_valid())
    return false;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items.ptr()); ++i) {
    PyObject *leaf = PySequence_Fast_GET_ITEM(items.ptr(), i);
    LeafKind kind = classifyLeaf(leaf);
    if (kind == LeafKind::Unsupported) {
      PyErr_Format(PyExc_TypeError,
                   "_flatten returned a leaf of unsupported type %.200s",
                   Py_TYPE(leaf)->tp_name);
      return false;
    }
    if (!addLeaf(leaf, kind))
      return false;
  }
  finish();
  return true;
}

//===----------------------------------------------------------------------===//
// StoredSignature
//===----------------------------------------------------------------------===//

StoredSignature::StoredSignature(const Signature &signature)
    : hash(signature.hash),
      tokens(signature.tokens.begin(), signature.tokens.end()) {
  for (PyObject *object : signature.objects)
    objects.push_back(nb::borrow(object));
}

int StoredSignature::equals(const Signature &signature) const {
  if (hash != signature.hash || tokens.size() != signature.tokens.size() ||
      objects.size() != signature.objects.size() ||
      std::memcmp(tokens.data(), signature.tokens.data(),
                  tokens.size() * sizeof(uint64_t)) != 0)
    return 0;
  for (size_t i = 0; i < objects.size(); ++i) {
    int same = isSameConstant(objects[i].ptr(), signature.objects[i]);
    if (same != 1)
      return same;
  }
  return 1;
}

int StoredSignature::traverse(visitproc visit, void *arg) const {
  for (const nb::object &object : objects)
    Py_VISIT(object.ptr());
  return 0;
}

} // namespace gradopt::native
