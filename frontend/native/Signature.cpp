//===- Signature.cpp - What a call's arguments look like ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Signature.h"
#include "Constants.h"
#include "DeviceExchange.h"
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
  Plain,
  Scalar,
  Items,
  Instance,
  End,
  Key,
  Foreign,
  Leaf
};

} // namespace

static uint64_t token(Tag tag, uint64_t value = 0) {
  return uint64_t(tag) << 56 | value;
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
// SizedArguments
//===----------------------------------------------------------------------===//

SizedArguments SizedArguments::parse(nb::handle parts) {
  SizedArguments made;
  for (nb::handle part : parts[0])
    made.arguments.push_back(
        {nb::cast<Py_ssize_t>(part[0]), part[1], nb::cast<size_t>(part[2])});
  for (nb::handle most : parts[1])
    made.most.push_back(nb::cast<npy_intp>(most));
  for (const Argument &argument : made.arguments)
    if (argument.size >= made.most.size())
      throw nb::value_error("there is no such size");
  return made;
}

int SizedArguments::findAmong(Py_ssize_t position) const {
  for (const Argument &argument : arguments)
    if (argument.position == position)
      return int(argument.size);
  return -1;
}

int SizedArguments::findAmong(PyObject *name) const {
  for (const Argument &argument : arguments)
    if (argument.name.ptr() == name ||
        PyUnicode_Compare(argument.name.ptr(), name) == 0)
      return int(argument.size);
  return -1;
}

//===----------------------------------------------------------------------===//
// Signature
//===----------------------------------------------------------------------===//

uint64_t Signature::getHash() const {
  uint64_t hash = hashOfObjects;
  for (uint64_t token : tokens)
    hash = mix(hash, token);
  return hash;
}

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

/// Adds an object that is compared as it is.
bool Signature::addObject(PyObject *object) {
  objects.push_back(Py_NewRef(object));
  uint64_t objectHash;
  if (hashConstant(object, /*onlyPlain=*/false, objectHash) != HashStatus::Done)
    return false;
  hashOfObjects = mix(hashOfObjects, objectHash);
  return true;
}

/// Adds a number of NumPy's by type and bits. Foreign if it is none.
FlattenStatus Signature::addNumpyNumber(PyObject *value) {
  if (!PyArray_IsScalar(value, Number) && !PyArray_IsScalar(value, Bool))
    return FlattenStatus::Foreign;
  nb::object descr =
      nb::steal(reinterpret_cast<PyObject *>(PyArray_DescrFromScalar(value)));
  if (!descr.is_valid())
    return FlattenStatus::Failed;
  uint64_t bits = 0;
  auto size =
      size_t(PyDataType_ELSIZE(reinterpret_cast<PyArray_Descr *>(descr.ptr())));
  if (size > sizeof(bits))
    return FlattenStatus::Foreign;
  PyArray_ScalarAsCtype(value, &bits);
  tokens.push_back(token(Tag::Scalar));
  tokens.push_back(bits);
  return addType(value);
}

/// Adds the attributes of an object that make a difference, and their names.
FlattenStatus Signature::addAttributes(PyObject *value,
                                       const Comparison &comparison,
                                       int depth) {
  auto add = [&](PyObject *name, nb::object attribute) {
    if (PySet_GET_SIZE(comparison.skipped.ptr()) != 0) {
      int skipped = PySet_Contains(comparison.skipped.ptr(), name);
      if (skipped != 0)
        return skipped > 0 ? FlattenStatus::Done : FlattenStatus::Failed;
    }
    return addObject(name) ? addConstant(attribute.ptr(), depth + 1)
                           : FlattenStatus::Failed;
  };
  tokens.push_back(token(Tag::Instance));
  FlattenStatus status = addType(value);
  PyObject *slots = comparison.slots.ptr();
  for (Py_ssize_t i = 0;
       status == FlattenStatus::Done && i < PyTuple_GET_SIZE(slots); ++i) {
    PyObject *name = PyTuple_GET_ITEM(slots, i);
    nb::object attribute =
        nb::steal(callPython([&] { return PyObject_GetAttr(value, name); }));
    if (attribute.is_valid())
      status = add(name, std::move(attribute));
    else if (PyErr_ExceptionMatches(PyExc_AttributeError))
      PyErr_Clear();
    else
      status = FlattenStatus::Failed;
  }
  if (status == FlattenStatus::Done && Py_TYPE(value)->tp_dictoffset != 0) {
    nb::object dict = nb::steal(PyObject_GenericGetDict(value, nullptr));
    if (!dict.is_valid())
      return FlattenStatus::Failed;
    Py_ssize_t position = 0;
    PyObject *name, *attribute;
    while (status == FlattenStatus::Done &&
           PyDict_Next(dict.ptr(), &position, &name, &attribute))
      status = add(name, nb::borrow(attribute));
  }
  tokens.push_back(token(Tag::End));
  return status;
}

/// Adds the class of an object.
FlattenStatus Signature::addType(PyObject *value) {
  return addObject(reinterpret_cast<PyObject *>(Py_TYPE(value)))
             ? FlattenStatus::Done
             : FlattenStatus::Failed;
}

/// Adds a constant of the code: a dict key, or a static argument.
FlattenStatus Signature::addConstant(PyObject *value, int depth) {
  uint64_t valueHash;
  HashStatus plain = hashConstant(value, /*onlyPlain=*/true, valueHash);
  if (plain == HashStatus::Failed)
    return FlattenStatus::Failed;
  if (plain == HashStatus::Done) {
    tokens.push_back(token(Tag::Plain));
    objects.push_back(Py_NewRef(value));
    hashOfObjects = mix(hashOfObjects, valueHash);
    return FlattenStatus::Done;
  }
  if (depth >= kMaxDepth)
    return FlattenStatus::Foreign;
  if (isItems(value)) {
    tokens.push_back(token(Tag::Items, uint64_t(PyTuple_GET_SIZE(value))));
    FlattenStatus status = addType(value);
    for (Py_ssize_t i = 0;
         status == FlattenStatus::Done && i < PyTuple_GET_SIZE(value); ++i)
      status = addConstant(PyTuple_GET_ITEM(value, i), depth + 1);
    return status;
  }
  FlattenStatus status = addNumpyNumber(value);
  if (status != FlattenStatus::Foreign)
    return status;
  Comparison comparison = Comparison::of(Py_TYPE(value));
  switch (comparison.kind) {
  case Comparison::Kind::Failed:
    return FlattenStatus::Failed;
  case Comparison::Kind::Attributes:
    return addAttributes(value, comparison, depth);
  case Comparison::Kind::Own:
    tokens.push_back(token(Tag::Plain));
    return addObject(value) ? FlattenStatus::Done : FlattenStatus::Failed;
  case Comparison::Kind::Key:
    break;
  }
  // A key alone would let what is not hashable pass.
  if (callPython([&] { return PyObject_Hash(value); }) == -1)
    return FlattenStatus::Failed;
  tokens.push_back(token(Tag::Key));
  nb::object key = staticKey(value);
  return key.is_valid() && addObject(key.ptr()) ? FlattenStatus::Done
                                                : FlattenStatus::Failed;
}

//===----------------------------------------------------------------------===//
// Flattening
//===----------------------------------------------------------------------===//

/// Adds an array; one that is sized is like others with more or fewer rows.
inline void Signature::addArray(PyArrayObject *array, bool isSized) {
  int rank = PyArray_NDIM(array);
  uint64_t type =
      uint64_t(rank) << 48 | uint64_t(typeCode(PyArray_DESCR(array)));
  bool isStrided = hasStrides && !PyArray_IS_C_CONTIGUOUS(array);
  tokens.push_back(token(Tag::Leaf, type | uint64_t(isStrided) << 46));
  if (isStrided)
    tokens.append(PyArray_STRIDES(array), PyArray_STRIDES(array) + rank);
  const npy_intp *shape = PyArray_DIMS(array);
  if (isSized && rank) {
    tokens.push_back(~uint64_t(0));
    tokens.append(shape + 1, shape + rank);
  } else {
    tokens.append(shape, shape + rank);
  }
  leaves.push_back(Py_NewRef(reinterpret_cast<PyObject *>(array)));
}

bool Signature::addLeaf(PyObject *leaf, LeafKind kind, bool isSized) {
  uint64_t type = uint64_t(kind) << 40;
  switch (kind) {
  case LeafKind::Array:
    addArray(reinterpret_cast<PyArrayObject *>(leaf));
    return true;
  case LeafKind::NumpyScalar: {
    // Run by code for 0-d arrays, but no array: functions may ask what it is.
    PyArray_Descr *descr = PyArray_DescrFromScalar(leaf);
    if (!descr)
      return false;
    tokens.push_back(token(Tag::Leaf, type | uint64_t(typeCode(descr))));
    Py_DECREF(descr);
    break;
  }
  case LeafKind::Device: {
    const DeviceArray &array = *DeviceArray::get(leaf);
    const ArraySpec &spec = array.getSpec();
    type |= uint64_t(spec.shape.size()) << 48 | uint64_t(spec.code);
    tokens.push_back(token(Tag::Leaf, type));
    tokens.push_back(uint64_t(array.getDevice()));
    size_t begin = tokens.size();
    tokens.append(spec.shape.begin(), spec.shape.end());
    // No array has so many rows.
    if (isSized && !spec.shape.empty())
      tokens[begin] = ~uint64_t(0);
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
    FlattenStatus status = addConstant(key, depth);
    if (status == FlattenStatus::Done)
      status = add(value, depth + 1);
    if (status != FlattenStatus::Done)
      return status;
  }
  return FlattenStatus::Done;
}

/// Adds an array with as many rows as its size says. What does not fit is left
/// to Python code, which explains it.
FlattenStatus Signature::addSized(PyObject *leaf) {
  auto *array = reinterpret_cast<PyArrayObject *>(leaf);
  if (Py_TYPE(leaf) != &PyArray_Type || PyArray_NDIM(array) == 0)
    return FlattenStatus::Foreign;
  npy_intp rows = PyArray_DIM(array, 0);
  npy_intp &known = sizes[size_t(size)];
  if (rows > sized->most[size_t(size)] || (known >= 0 && known != rows))
    return FlattenStatus::Foreign;
  known = rows;
  addArray(array, /*isSized=*/true);
  return FlattenStatus::Done;
}

/// Adds the sizes as numbers, behind all arguments.
FlattenStatus Signature::addSizes() {
  for (npy_intp known : sizes) {
    if (known < 0)
      return FlattenStatus::Foreign;
    nb::object number = nb::steal(PyLong_FromSsize_t(known));
    if (!number.is_valid() || !addLeaf(number.ptr(), LeafKind::WeakInt))
      return FlattenStatus::Failed;
  }
  return FlattenStatus::Done;
}

FlattenStatus Signature::add(PyObject *value, int depth) {
  PyTypeObject *type = Py_TYPE(value);
  if (type == &PyArray_Type && size < 0)
    return addArray(reinterpret_cast<PyArrayObject *>(value)),
           FlattenStatus::Done;
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
  if (size >= 0)
    return addSized(value);
  LeafKind kind = classifyLeaf(value);
  if (kind == LeafKind::Unsupported)
    return addForeign(value);
  return addLeaf(value, kind) ? FlattenStatus::Done : FlattenStatus::Failed;
}

/// Adds an array of another library, if it is on a device.
FlattenStatus Signature::addForeign(PyObject *value) {
  bool isFailure = false;
  nb::object array = adoptLeaf(value, wrap, isFailure);
  if (!array.is_valid())
    return isFailure ? FlattenStatus::Failed : FlattenStatus::Foreign;
  return addLeaf(array.ptr(), LeafKind::Device) ? FlattenStatus::Done
                                                : FlattenStatus::Failed;
}

FlattenStatus Signature::flatten(PyObject *const *args, Py_ssize_t positional,
                                 PyObject *keywordNames,
                                 const StaticArguments &statics,
                                 const SizedArguments &sizedArguments) {
  sized = &sizedArguments;
  for (size_t i = 0; i < sized->most.size(); ++i)
    sizes.push_back(-1);
  auto addArgument = [&](PyObject *value, bool isStatic, int itsSize) {
    size = itsSize;
    // Texts always are; NumPy's as well.
    if (!isStatic && !PyUnicode_Check(value) && !PyBytes_Check(value))
      return add(value, 0);
    tokens.push_back(token(Tag::Static));
    FlattenStatus status = addConstant(value, 0);
    if (status != FlattenStatus::Failed ||
        !PyErr_ExceptionMatches(PyExc_TypeError))
      return status;
    // Not hashable: Python code explains it with the argument's name.
    PyErr_Clear();
    return FlattenStatus::Foreign;
  };

  tokens.push_back(token(Tag::Tuple, uint64_t(positional)));
  for (Py_ssize_t i = 0; i < positional; ++i) {
    FlattenStatus status =
        addArgument(args[i], statics.contains(i, positional), sized->find(i));
    if (status != FlattenStatus::Done)
      return status;
  }
  Py_ssize_t keywords = keywordNames ? PyTuple_GET_SIZE(keywordNames) : 0;
  tokens.push_back(token(Tag::Keywords, uint64_t(keywords)));
  for (Py_ssize_t i = 0; i < keywords; ++i) {
    PyObject *name = PyTuple_GET_ITEM(keywordNames, i);
    if (!addObject(name))
      return FlattenStatus::Failed;
    FlattenStatus status = addArgument(
        args[positional + i], statics.contains(name), sized->find(name));
    if (status != FlattenStatus::Done)
      return status;
  }
  if (!sized->most.empty())
    if (FlattenStatus status = addSizes(); status != FlattenStatus::Done)
      return status;
  return FlattenStatus::Done;
}

bool Signature::assign(PyObject *leafSequence, PyObject *structure,
                       PyObject *newWrap, PyObject *sized) {
  clear();
  wrap = newWrap == Py_None ? nb::object() : nb::borrow(newWrap);
  hashOfObjects = 0;
  tokens.push_back(token(Tag::Foreign));
  if (!addObject(structure))
    return false;
  nb::object items = nb::steal(PySequence_Fast(
      leafSequence, "_flatten must return (leaves, structure, wrap)"));
  if (!items.is_valid())
    return false;
  nb::object areSized;
  if (sized) {
    areSized = nb::steal(
        PySequence_Fast(sized, "_flatten must say which leaves are sized"));
    if (!areSized.is_valid())
      return false;
  }
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items.ptr()); ++i) {
    PyObject *leaf = PySequence_Fast_GET_ITEM(items.ptr(), i);
    LeafKind kind = classifyLeaf(leaf);
    if (kind == LeafKind::Unsupported) {
      PyErr_Format(PyExc_TypeError,
                   "_flatten returned a leaf of unsupported type %.200s",
                   Py_TYPE(leaf)->tp_name);
      return false;
    }
    bool isSized = areSized.is_valid() &&
                   i < PySequence_Fast_GET_SIZE(areSized.ptr()) &&
                   PySequence_Fast_GET_ITEM(areSized.ptr(), i) == Py_True;
    if (kind == LeafKind::Array)
      addArray(reinterpret_cast<PyArrayObject *>(leaf), isSized);
    else if (!addLeaf(leaf, kind, isSized))
      return false;
  }
  return true;
}

//===----------------------------------------------------------------------===//
// StoredSignature
//===----------------------------------------------------------------------===//

StoredSignature::StoredSignature(const Signature &signature)
    : hash(signature.getHash()), hashOfObjects(signature.hashOfObjects),
      tokens(signature.tokens.begin(), signature.tokens.end()) {
  for (PyObject *object : signature.objects)
    objects.push_back(nb::borrow(object));
}

bool StoredSignature::hasTokensOf(const Signature &signature) const {
  return tokens.size() == signature.tokens.size() &&
         objects.size() == signature.objects.size() &&
         std::memcmp(tokens.data(), signature.tokens.data(),
                     tokens.size() * sizeof(uint64_t)) == 0;
}

bool StoredSignature::isIdentical(const Signature &signature) const {
  if (hashOfObjects != signature.hashOfObjects || !hasTokensOf(signature))
    return false;
  for (size_t i = 0; i < objects.size(); ++i)
    if (objects[i].ptr() != signature.objects[i])
      return false;
  return true;
}

int StoredSignature::equals(const Signature &signature) const {
  if (!hasTokensOf(signature))
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
