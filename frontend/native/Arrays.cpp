//===- Arrays.cpp - Arrays and scalars at the boundary --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Arrays.h"
#include "DeviceArray.h"
#include "Gil.h"
#include "gradopt_runtime.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>
#include <string>

namespace nb = nanobind;

namespace gradopt::native {

static std::atomic<uint64_t> stagedCopies = 0;

uint64_t stagedCopyCount() {
  return stagedCopies.load(std::memory_order_relaxed);
}

PyArray_Descr *newDescr(int32_t dtype) {
  static const int types[] = {
      NPY_BOOL,    NPY_INT8,      NPY_INT16,      NPY_INT32,  NPY_INT64,
      NPY_FLOAT32, NPY_FLOAT64,   NPY_UINT8,      NPY_UINT16, NPY_UINT32,
      NPY_UINT64,  NPY_COMPLEX64, NPY_COMPLEX128, NPY_FLOAT16};
  if (dtype != GRADOPT_BF16)
    return PyArray_DescrFromType(types[dtype]);
  nb::object package = nb::steal(PyImport_ImportModule("ml_dtypes"));
  if (!package.is_valid()) {
    PyErr_SetString(PyExc_TypeError,
                    "arrays of bfloat16 need the package ml_dtypes");
    return nullptr;
  }
  nb::object type =
      nb::steal(PyObject_GetAttrString(package.ptr(), "bfloat16"));
  PyArray_Descr *descr = nullptr;
  if (type.is_valid())
    PyArray_DescrConverter(type.ptr(), &descr);
  return descr;
}

/// Whether it is a scalar of a dtype that a package brings.
static bool isOfUserType(PyObject *object) {
  if (!PyArray_IsScalar(object, Generic))
    return false;
  PyArray_Descr *descr = PyArray_DescrFromScalar(object);
  bool isOfUser = descr && PyDataType_ISUSERDEF(descr);
  Py_XDECREF(descr);
  return isOfUser;
}

LeafKind classifyLeaf(PyObject *object) {
  PyTypeObject *type = Py_TYPE(object);
  if (type == &PyArray_Type)
    return LeafKind::Array;
  if (type == &PyFloat_Type)
    return LeafKind::WeakFloat;
  if (PyComplex_CheckExact(object))
    return LeafKind::WeakComplex;
  if (type == &PyLong_Type)
    return LeafKind::WeakInt;
  if (type == &PyBool_Type)
    return LeafKind::WeakBool;
  if (PyArray_IsScalar(object, Number) || PyArray_IsScalar(object, Bool) ||
      isOfUserType(object))
    return LeafKind::NumpyScalar;
  return DeviceArray::get(object) ? LeafKind::Device : LeafKind::Unsupported;
}

//===----------------------------------------------------------------------===//
// ArraySpec
//===----------------------------------------------------------------------===//

ArraySpec ArraySpec::parse(nb::handle parts) {
  nb::object dtype = parts[0];
  nb::object dims = parts[1];
  PyArray_Descr *descr = nullptr;
  if (!PyArray_DescrConverter(dtype.ptr(), &descr))
    throw nb::python_error();
  ArraySpec spec;
  spec.descr = nb::steal(reinterpret_cast<PyObject *>(descr));
  bool isNumber = PyDataType_ISNUMBER(descr) || PyDataType_ISBOOL(descr) ||
                  PyDataType_ISUSERDEF(descr);
  if (!isNumber || !PyArray_ISNBO(descr->byteorder) ||
      PyDataType_ELSIZE(descr) > npy_intp(sizeof(ScalarCell))) {
    PyErr_Format(PyExc_TypeError, "compiled code has no arrays of type %R",
                 dtype.ptr());
    throw nb::python_error();
  }
  spec.code = typeCode(descr);
  // The product of the non-zero extents must fit too: strides are made of it.
  npy_intp span = PyDataType_ELSIZE(descr);
  bool empty = false;
  for (nb::handle item : dims) {
    npy_intp extent = PyNumber_AsSsize_t(item.ptr(), PyExc_OverflowError);
    if (extent == -1 && PyErr_Occurred())
      throw nb::python_error();
    if (extent < 0)
      throw nb::value_error("negative extent in a shape");
    empty |= extent == 0;
    if (extent && __builtin_mul_overflow(span, extent, &span))
      throw nb::value_error("the array is larger than the address space");
    spec.shape.push_back(extent);
  }
  if (spec.shape.size() > NPY_MAXDIMS)
    throw nb::value_error("too many dimensions");
  spec.bytes = empty ? 0 : span;
  spec.isSized = nb::len(parts) > 2 && nb::cast<bool>(parts[2]);
  if (spec.isSized && spec.shape.empty())
    throw nb::value_error("an array without dimensions has no size");
  return spec;
}

bool ArraySpec::accepts(PyObject *leaf, LeafKind kind) const {
  switch (kind) {
  case LeafKind::Array: {
    auto *array = reinterpret_cast<PyArrayObject *>(leaf);
    Span<npy_intp> found(PyArray_DIMS(array), size_t(PyArray_NDIM(array)));
    if (typeCode(PyArray_DESCR(array)) != code)
      return false;
    if (!isSized)
      return Span<npy_intp>(shape) == found;
    return found.size() == shape.size() && found[0] <= shape[0] &&
           std::equal(shape.begin() + 1, shape.end(), found.begin() + 1);
  }
  case LeafKind::NumpyScalar: {
    nb::object type =
        nb::steal(reinterpret_cast<PyObject *>(PyArray_DescrFromScalar(leaf)));
    return isScalar() &&
           typeCode(reinterpret_cast<PyArray_Descr *>(type.ptr())) == code;
  }
  case LeafKind::WeakBool:
  case LeafKind::WeakInt:
    return isScalar();
  case LeafKind::WeakFloat:
    return isScalar() && (getDescr()->kind == 'f' || getDescr()->kind == 'c');
  case LeafKind::WeakComplex:
    return isScalar() && getDescr()->kind == 'c';
  case LeafKind::Device:
  case LeafKind::Unsupported:
    return false;
  }
  return false;
}

nb::object ArraySpec::toPython() const {
  nb::list extents;
  for (npy_intp extent : shape)
    extents.append(extent);
  return nb::make_tuple(descr, nb::tuple(extents));
}

std::string ArraySpec::describe() const {
  std::string text = nb::str(descr).c_str();
  text += "[";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

//===----------------------------------------------------------------------===//
// Addresses
//===----------------------------------------------------------------------===//

/// Sets the error for an integer that the type of the argument does not hold.
static bool setOutOfRange(PyObject *leaf, const ArraySpec &spec) {
  try {
    nb::object error = nb::module_::import_("gradopt.compilation.arguments")
                           .attr("out_of_range")(nb::handle(leaf), spec.descr);
    PyErr_SetObject(reinterpret_cast<PyObject *>(Py_TYPE(error.ptr())),
                    error.ptr());
  } catch (nb::python_error &error) {
    error.restore();
  }
  return false;
}

template <typename T>
static bool storeInt(PyObject *leaf, long long value, ScalarCell &cell,
                     const ArraySpec &spec) {
  if (value < static_cast<long long>(std::numeric_limits<T>::min()) ||
      (sizeof(T) < sizeof(value) &&
       value > static_cast<long long>(std::numeric_limits<T>::max())))
    return setOutOfRange(leaf, spec);
  T narrowed = static_cast<T>(value);
  std::memcpy(cell.bytes, &narrowed, sizeof(T));
  return true;
}

/// Converts a Python scalar to the type of the argument, as NumPy does.
static bool storeWeak(PyObject *leaf, const ArraySpec &spec, ScalarCell &cell) {
  if (spec.getDescr()->kind == 'f' && spec.code != typeCode('f', 2)) {
    double value = PyFloat_CheckExact(leaf) ? PyFloat_AS_DOUBLE(leaf)
                                            : PyLong_AsDouble(leaf);
    if (value == -1.0 && PyErr_Occurred()) {
      PyErr_Clear();
      return setOutOfRange(leaf, spec);
    }
    if (spec.code == typeCode('f', 8)) {
      std::memcpy(cell.bytes, &value, sizeof(value));
      return true;
    }
    if (spec.code == typeCode('f', 4)) {
      float narrowed = static_cast<float>(value);
      std::memcpy(cell.bytes, &narrowed, sizeof(narrowed));
      return true;
    }
  } else if (spec.getDescr()->kind == 'c') {
    Py_complex number = PyComplex_AsCComplex(leaf);
    if (number.real == -1.0 && PyErr_Occurred()) {
      PyErr_Clear();
      return setOutOfRange(leaf, spec);
    }
    if (spec.code == typeCode('c', 16)) {
      double parts[] = {number.real, number.imag};
      std::memcpy(cell.bytes, parts, sizeof(parts));
      return true;
    }
    if (spec.code == typeCode('c', 8)) {
      float parts[] = {static_cast<float>(number.real),
                       static_cast<float>(number.imag)};
      std::memcpy(cell.bytes, parts, sizeof(parts));
      return true;
    }
  } else if (PyLong_Check(leaf)) {
    if (spec.code == typeCode('b', 1)) {
      cell.bytes[0] = PyObject_IsTrue(leaf) == 1;
      return true;
    }
    if (spec.code == typeCode('u', 8)) {
      unsigned long long value = PyLong_AsUnsignedLongLong(leaf);
      if (PyErr_Occurred()) {
        PyErr_Clear();
        return setOutOfRange(leaf, spec);
      }
      std::memcpy(cell.bytes, &value, sizeof(value));
      return true;
    }
    int overflow;
    long long value = PyLong_AsLongLongAndOverflow(leaf, &overflow);
    if (overflow)
      return setOutOfRange(leaf, spec);
    if (value == -1 && PyErr_Occurred())
      return false;
    switch (spec.code) {
    case typeCode('i', 1):
      return storeInt<int8_t>(leaf, value, cell, spec);
    case typeCode('i', 2):
      return storeInt<int16_t>(leaf, value, cell, spec);
    case typeCode('i', 4):
      return storeInt<int32_t>(leaf, value, cell, spec);
    case typeCode('i', 8):
      return storeInt<int64_t>(leaf, value, cell, spec);
    case typeCode('u', 1):
      return storeInt<uint8_t>(leaf, value, cell, spec);
    case typeCode('u', 2):
      return storeInt<uint16_t>(leaf, value, cell, spec);
    case typeCode('u', 4):
      return storeInt<uint32_t>(leaf, value, cell, spec);
    }
  }
  PyErr_Format(PyExc_TypeError, "cannot pass %R as %S", leaf, spec.descr.ptr());
  return false;
}

/// Whether every byte of a contiguous boolean array is 0 or 1. NumPy lets views
/// store other values; compiled code relies on these two.
static bool isNormalizedBool(const unsigned char *bytes, size_t size) {
  unsigned char any = 0;
  for (size_t i = 0; i < size; ++i)
    any |= bytes[i];
  return any <= 1;
}

/// A private copy of an array that compiled code can read.
static PyArrayObject *stage(PyArrayObject *array, const ArraySpec &spec) {
  Py_INCREF(spec.getDescr());
  // NumPy gives up the GIL to copy large arrays.
  auto *copy = reinterpret_cast<PyArrayObject *>(callPython([&] {
    return PyArray_FromArray(array, spec.getDescr(),
                             NPY_ARRAY_CARRAY | NPY_ARRAY_ENSURECOPY |
                                 NPY_ARRAY_NOTSWAPPED);
  }));
  if (!copy)
    return nullptr;
  stagedCopies.fetch_add(1, std::memory_order_relaxed);
  if (spec.code == typeCode('b', 1)) {
    auto *bytes = reinterpret_cast<unsigned char *>(PyArray_BYTES(copy));
    for (npy_intp i = 0; i < PyArray_NBYTES(copy); ++i)
      bytes[i] = bytes[i] != 0;
  }
  return copy;
}

const void *leafAddress(PyObject *leaf, const ArraySpec &spec, ScalarCell &cell,
                        Vector<PyObject *> &keepAlive) {
  if (PyArray_CheckExact(leaf)) {
    auto *array = reinterpret_cast<PyArrayObject *>(leaf);
    if (PyArray_ISCARRAY_RO(array) &&
        (spec.code != typeCode('b', 1) ||
         isNormalizedBool(
             reinterpret_cast<unsigned char *>(PyArray_BYTES(array)),
             size_t(PyArray_NBYTES(array)))))
      return PyArray_DATA(array);
    PyArrayObject *copy = stage(array, spec);
    if (!copy)
      return nullptr;
    keepAlive.push_back(reinterpret_cast<PyObject *>(copy));
    return PyArray_DATA(copy);
  }
  if (PyFloat_CheckExact(leaf) || PyLong_CheckExact(leaf) ||
      PyBool_Check(leaf) || PyComplex_CheckExact(leaf))
    return storeWeak(leaf, spec, cell) ? cell.bytes : nullptr;
  if (PyDataType_ISUSERDEF(spec.getDescr())) {
    // NumPy tells where the scalar has its bytes.
    void *bytes;
    PyArray_ScalarAsCtype(leaf, &bytes);
    std::memcpy(cell.bytes, bytes, PyDataType_ELSIZE(spec.getDescr()));
    return cell.bytes;
  }
  PyArray_ScalarAsCtype(leaf, cell.bytes);
  return cell.bytes;
}

} // namespace gradopt::native
