//===- Donation.cpp - Arrays whose memory results take over ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Donation.h"

#include <utility>

namespace nb = nanobind;

namespace gradopt::native {
namespace {

struct DonatedMemory {
  PyObject_HEAD
      /// An array that owns the memory for NumPy.
      PyObject *keeper;
  /// The array that has the memory now, while it is alive. Not a reference.
  PyArrayObject *current;
  /// What the others were donated as.
  PyObject *name;
};

PyTypeObject *memoryType = nullptr;

DonatedMemory *asMemory(PyObject *object) {
  return object && Py_TYPE(object) == memoryType
             ? reinterpret_cast<DonatedMemory *>(object)
             : nullptr;
}

PyArrayObject *asArray(PyObject *object) {
  return reinterpret_cast<PyArrayObject *>(object);
}

void destroy(PyObject *self) {
  auto *memory = reinterpret_cast<DonatedMemory *>(self);
  PyTypeObject *type = Py_TYPE(self);
  Py_XDECREF(memory->keeper);
  Py_XDECREF(memory->name);
  type->tp_free(self);
  Py_DECREF(type);
}

PyType_Slot slots[] = {
    {Py_tp_doc,
     const_cast<char *>("Memory that one result takes over from another.")},
    {Py_tp_dealloc, reinterpret_cast<void *>(&destroy)},
    {0, nullptr}};

PyType_Spec spec = {"gradopt._gradopt.DonatedMemory", sizeof(DonatedMemory), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                    slots};

/// Moves the memory of `owner`, which NumPy frees with it, to a new owner,
/// which becomes the base of `owner`.
DonatedMemory *detach(PyArrayObject *owner) {
  npy_intp bytes = PyArray_NBYTES(owner);
  nb::object keeper =
      nb::steal(PyArray_New(&PyArray_Type, 1, &bytes, NPY_UINT8, nullptr,
                            PyArray_DATA(owner), 0, NPY_ARRAY_CARRAY, nullptr));
  if (!keeper.is_valid())
    return nullptr;
  auto *memory =
      reinterpret_cast<DonatedMemory *>(memoryType->tp_alloc(memoryType, 0));
  if (!memory)
    return nullptr;
  auto *from = reinterpret_cast<PyArrayObject_fields *>(owner);
  auto *to = reinterpret_cast<PyArrayObject_fields *>(keeper.ptr());
  to->mem_handler = std::exchange(from->mem_handler, nullptr);
  PyArray_ENABLEFLAGS(asArray(keeper.ptr()), NPY_ARRAY_OWNDATA);
  PyArray_CLEARFLAGS(owner, NPY_ARRAY_OWNDATA);
  memory->keeper = keeper.release().ptr();
  // The base is null: this cannot fail.
  PyArray_SetBaseObject(owner, reinterpret_cast<PyObject *>(memory));
  return memory;
}

} // namespace

PyObject *donatedAs(PyArrayObject *array) {
  while (PyObject *base = PyArray_BASE(array)) {
    if (const DonatedMemory *memory = asMemory(base))
      return memory->current == array ? nullptr : memory->name;
    if (!PyArray_Check(base))
      return nullptr;
    array = asArray(base);
  }
  return nullptr;
}

PyArrayObject *findOwner(PyArrayObject *array) {
  if (!PyArray_ISCARRAY(array))
    return nullptr;
  PyArrayObject *owner = array;
  while (true) {
    if (PyArray_CHKFLAGS(owner, NPY_ARRAY_WRITEBACKIFCOPY))
      return nullptr;
    PyObject *base = PyArray_BASE(owner);
    if (!base)
      return PyArray_CHKFLAGS(owner, NPY_ARRAY_OWNDATA) ? owner : nullptr;
    if (asMemory(base))
      return owner;
    // Whoever else has a reference to the base may look at it.
    if (!PyArray_CheckExact(base) || Py_REFCNT(base) != 1)
      return nullptr;
    owner = asArray(base);
  }
}

PyObject *takeOver(PyArrayObject *array, PyArrayObject *owner,
                   const ArraySpec &spec, PyObject *name) {
  DonatedMemory *memory = asMemory(PyArray_BASE(owner));
  if (!memory)
    memory = detach(owner);
  if (!memory)
    return nullptr;
  Py_INCREF(spec.getDescr());
  PyObject *result = PyArray_NewFromDescr(
      &PyArray_Type, spec.getDescr(), int(spec.shape.size()), spec.shape.data(),
      nullptr, PyArray_DATA(array), NPY_ARRAY_CARRAY, nullptr);
  if (!result)
    return nullptr;
  PyArray_SetBaseObject(asArray(result),
                        Py_NewRef(reinterpret_cast<PyObject *>(memory)));
  memory->current = asArray(result);
  Py_XSETREF(memory->name, Py_NewRef(name));
  PyArray_CLEARFLAGS(owner, NPY_ARRAY_WRITEABLE);
  PyArray_CLEARFLAGS(array, NPY_ARRAY_WRITEABLE);
  return result;
}

void bindDonation(nb::module_ &module) {
  nb::object type = nb::steal(PyType_FromSpec(&spec));
  if (!type.is_valid())
    throw nb::python_error();
  memoryType = reinterpret_cast<PyTypeObject *>(type.ptr());
  module.attr("DonatedMemory") = type;
  module.def(
      "donated_as",
      [](nb::handle array) -> nb::object {
        PyObject *name = PyArray_Check(array.ptr())
                             ? donatedAs(asArray(array.ptr()))
                             : nullptr;
        return name ? nb::borrow(name) : nb::none();
      },
      nb::arg("array"),
      "What an array, or one that it is a view of, was donated as, or None.");
}

} // namespace gradopt::native
