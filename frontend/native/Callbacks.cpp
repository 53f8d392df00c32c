//===- Callbacks.cpp - Python code that compiled code calls ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Callbacks.h"
#include "Arrays.h"
#include "Executable.h"
#include "Gil.h"

#include <cstring>

namespace nb = nanobind;

namespace gradopt::native {
namespace {

/// This thread may run Python code while the object lives, whether it has given
/// up the GIL before or not.
class GilHold {
public:
  GilHold() : state(callPython([] { return PyGILState_Ensure(); })) {}
  ~GilHold() { PyGILState_Release(state); }
  GilHold(const GilHold &) = delete;
  GilHold &operator=(const GilHold &) = delete;

private:
  PyGILState_STATE state;
};

std::vector<npy_intp> shapeOf(const gradopt_buffer &buffer) {
  return {buffer.shape, buffer.shape + buffer.rank};
}

/// The contents of a buffer as an array, or as a scalar where it is 0-d.
nb::object copyIn(const gradopt_buffer &buffer) {
  PyArray_Descr *descr = newDescr(buffer.dtype);
  if (!descr)
    return nb::object();
  if (buffer.rank == 0) {
    nb::object scalar =
        nb::steal(PyArray_Scalar(buffer.data, descr, /*base=*/nullptr));
    Py_DECREF(descr);
    return scalar;
  }
  nb::object array = nb::steal(PyArray_NewFromDescr(
      &PyArray_Type, descr, buffer.rank, shapeOf(buffer).data(), nullptr,
      nullptr, 0, nullptr));
  if (array.is_valid()) {
    auto *made = reinterpret_cast<PyArrayObject *>(array.ptr());
    std::memcpy(PyArray_DATA(made), buffer.data, PyArray_NBYTES(made));
  }
  return array;
}

nb::object shapeTuple(const gradopt_buffer &buffer) {
  nb::object tuple = nb::steal(PyTuple_New(buffer.rank));
  for (int32_t d = 0; tuple.is_valid() && d < buffer.rank; ++d)
    PyTuple_SET_ITEM(tuple.ptr(), d, PyLong_FromLongLong(buffer.shape[d]));
  return tuple;
}

/// Copies what was returned to a buffer; false if a Python error was set.
bool copyOut(PyObject *value, const gradopt_buffer &buffer) {
  auto *array = reinterpret_cast<PyArrayObject *>(value);
  std::vector<npy_intp> shape = shapeOf(buffer);
  nb::object descr =
      nb::steal(reinterpret_cast<PyObject *>(newDescr(buffer.dtype)));
  if (!descr.is_valid())
    return false;
  if (!PyArray_Check(value) ||
      typeCode(PyArray_DESCR(array)) !=
          typeCode(reinterpret_cast<PyArray_Descr *>(descr.ptr())) ||
      Span<npy_intp>(shape) !=
          Span<npy_intp>(PyArray_DIMS(array), size_t(PyArray_NDIM(array))) ||
      !PyArray_ISCARRAY_RO(array)) {
    PyErr_Format(PyExc_TypeError, "a callback returned %.200R", value);
    return false;
  }
  size_t bytes = PyArray_NBYTES(array);
  if (buffer.dtype != GRADOPT_BOOL) {
    std::memcpy(buffer.data, PyArray_DATA(array), bytes);
    return true;
  }
  // NumPy lets views store other values than 0 and 1.
  auto *from = static_cast<const unsigned char *>(PyArray_DATA(array));
  auto *to = static_cast<unsigned char *>(buffer.data);
  for (size_t i = 0; i < bytes; ++i)
    to[i] = from[i] != 0;
  return true;
}

template <typename Make>
nb::object makeList(const gradopt_buffer *buffers, int64_t count, Make make) {
  nb::object list = nb::steal(PyList_New(count));
  if (!list.is_valid())
    return list;
  for (int64_t i = 0; i < count; ++i) {
    nb::object item = make(buffers[i]);
    if (!item.is_valid())
      return item;
    PyList_SET_ITEM(list.ptr(), i, item.release().ptr());
  }
  return list;
}

bool call(PyObject *callable, const gradopt_buffer *inputs, int64_t numInputs,
          const gradopt_buffer *outputs, int64_t numOutputs) {
  nb::object arrays = makeList(inputs, numInputs, copyIn);
  nb::object shapes = makeList(outputs, numOutputs, shapeTuple);
  if (!arrays.is_valid() || !shapes.is_valid())
    return false;
  nb::object returned = nb::steal(callPython([&] {
    return PyObject_CallFunctionObjArgs(callable, arrays.ptr(), shapes.ptr(),
                                        nullptr);
  }));
  if (!returned.is_valid())
    return false;
  nb::object items = nb::steal(
      PySequence_Fast(returned.ptr(), "a callback returns a sequence"));
  if (!items.is_valid())
    return false;
  if (PySequence_Fast_GET_SIZE(items.ptr()) != numOutputs) {
    PyErr_Format(PyExc_TypeError, "a callback returned %zd arrays for %lld",
                 PySequence_Fast_GET_SIZE(items.ptr()),
                 static_cast<long long>(numOutputs));
    return false;
  }
  for (int64_t i = 0; i < numOutputs; ++i)
    if (!copyOut(PySequence_Fast_GET_ITEM(items.ptr(), i), outputs[i]))
      return false;
  return true;
}

} // namespace

int32_t callPythonTarget(void *callable, const gradopt_buffer *inputs,
                         int64_t numInputs, const gradopt_buffer *outputs,
                         int64_t numOutputs) {
  GilHold hold;
  return call(static_cast<PyObject *>(callable), inputs, numInputs, outputs,
              numOutputs)
             ? 0
             : 1;
}

void Targets::set(nb::handle pairs) {
  for (nb::handle pair : pairs) {
    callables.push_back(nb::borrow(pair[1]));
    auto address = nb::cast<uintptr_t>(pair[0]);
    if (address)
      table.push_back(
          {reinterpret_cast<gradopt_function>(address), nullptr, nullptr});
    else
      table.push_back({nullptr, &callPythonTarget, callables.back().ptr()});
  }
}

void Targets::raise() const {
  // The callable's own.
  if (PyErr_Occurred())
    return;
  int32_t status;
  size_t number = gradopt_failed_target(&status);
  nb::object returned = nb::steal(callPython([&] {
    return PyObject_CallFunction(callables[number].ptr(), "i", int(status));
  }));
  if (returned.is_valid())
    setExecutionError();
}

int Targets::traverse(visitproc visit, void *arg) const {
  for (const nb::object &callable : callables)
    Py_VISIT(callable.ptr());
  return 0;
}

} // namespace gradopt::native
