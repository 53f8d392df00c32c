//===- Dispatcher.cpp - The call path from Python to code -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// flatten -> find -> run. Everything else (a new signature, containers that are
// not known here, traced values) is left to methods of the Python subclass.
// The type is made with the C API of Python for the sake of vectorcall.
//
//===----------------------------------------------------------------------===//

#include "Dispatcher.h"
#include "Gil.h"
#include "SpecializationTable.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <new>
#include <structmember.h>

namespace nb = nanobind;

namespace gradopt::native {
namespace {

/// Names of the methods of the Python subclass.
struct MethodNames {
  PyObject *specialize = PyUnicode_InternFromString("_specialize");
  PyObject *flatten = PyUnicode_InternFromString("_flatten");
  PyObject *inlined = PyUnicode_InternFromString("_inline");
};

/// The C++ part of a dispatcher.
struct State {
  StaticArguments statics;
  SizedArguments sized;
  /// Whether Python code takes all arguments apart.
  bool isForeign = false;
  /// Whether code depends on how arguments lie in memory.
  bool hasStrides = false;
  SpecializationTable table;
};

struct Dispatcher {
  PyObject_HEAD vectorcallfunc vectorcall;
  State *state;
};

Dispatcher *cast(PyObject *self) {
  return reinterpret_cast<Dispatcher *>(self);
}

const MethodNames &methodNames() {
  static const MethodNames names;
  return names;
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

/// One call: its arguments as vectorcall gives them, and as Python methods of
/// the dispatcher take them.
class Call {
public:
  Call(PyObject *self, PyObject *const *args, Py_ssize_t positional,
       PyObject *keywordNames)
      : self(self), args(args), positional(positional),
        keywordNames(keywordNames), state(*cast(self)->state),
        age(state.table.getAge()) {
    if (state.hasStrides)
      signature.compareStrides();
  }

  PyObject *run();

private:
  /// self.name(args, kwargs).
  nb::object callMethod(PyObject *name) const;
  PyObject *runForeign();
  PyObject *runSignature();

  PyObject *self;
  PyObject *const *args;
  Py_ssize_t positional;
  PyObject *keywordNames;
  State &state;
  uint64_t age;
  Signature signature;
};

nb::object Call::callMethod(PyObject *name) const {
  nb::object positionals = nb::steal(PyTuple_New(positional));
  nb::object keywords = nb::steal(PyDict_New());
  if (!positionals.is_valid() || !keywords.is_valid())
    return nb::object();
  for (Py_ssize_t i = 0; i < positional; ++i)
    PyTuple_SET_ITEM(positionals.ptr(), i, Py_NewRef(args[i]));
  Py_ssize_t count = keywordNames ? PyTuple_GET_SIZE(keywordNames) : 0;
  for (Py_ssize_t i = 0; i < count; ++i)
    if (PyDict_SetItem(keywords.ptr(), PyTuple_GET_ITEM(keywordNames, i),
                       args[positional + i]) < 0)
      return nb::object();
  return nb::steal(callPython([&] {
    return PyObject_CallMethodObjArgs(self, name, positionals.ptr(),
                                      keywords.ptr(), nullptr);
  }));
}

PyObject *Call::run() {
  if (state.isForeign)
    return runForeign();
  switch (signature.flatten(args, positional, keywordNames, state.statics,
                            state.sized)) {
  case FlattenStatus::Done:
    return runSignature();
  case FlattenStatus::Foreign:
    return runForeign();
  case FlattenStatus::Failed:
    break;
  }
  return nullptr;
}

PyObject *Call::runForeign() {
  nb::object flattened = callMethod(methodNames().flatten);
  if (!flattened.is_valid())
    return nullptr;
  if (flattened.is_none())
    return callMethod(methodNames().inlined).release().ptr();
  Py_ssize_t count =
      PyTuple_Check(flattened.ptr()) ? PyTuple_GET_SIZE(flattened.ptr()) : 0;
  if (count != 3 && count != 4) {
    PyErr_SetString(
        PyExc_TypeError,
        "_flatten must return (leaves, structure, wrap[, sized]) or None");
    return nullptr;
  }
  if (!signature.assign(PyTuple_GET_ITEM(flattened.ptr(), 0),
                        PyTuple_GET_ITEM(flattened.ptr(), 1),
                        PyTuple_GET_ITEM(flattened.ptr(), 2),
                        count == 4 ? PyTuple_GET_ITEM(flattened.ptr(), 3)
                                   : nullptr))
    return nullptr;
  return runSignature();
}

PyObject *Call::runSignature() {
  // This reference keeps the code while it runs: it may be evicted meanwhile.
  nb::object code = state.table.find(signature);
  if (!code.is_valid()) {
    if (PyErr_Occurred())
      return nullptr;
    code = callMethod(methodNames().specialize);
    if (!code.is_valid())
      return nullptr;
    if (!nb::isinstance<Specialization>(code)) {
      PyErr_Format(PyExc_TypeError,
                   "_specialize must return a Specialization, not %.200s",
                   Py_TYPE(code.ptr())->tp_name);
      return nullptr;
    }
    if (!nb::inst_ptr<Specialization>(code)->check(signature.getLeaves()))
      return nullptr;
    state.table.insert(signature, code, age);
    if (PyErr_Occurred())
      return nullptr;
  }
  return nb::inst_ptr<Specialization>(code)->run(signature.getLeaves(),
                                                 signature.getWrap());
}

PyObject *vectorcall(PyObject *self, PyObject *const *args, size_t flags,
                     PyObject *keywordNames) {
  if (!cast(self)->state) {
    PyErr_SetString(PyExc_RuntimeError, "Dispatcher.__init__ was not called");
    return nullptr;
  }
  try {
    return Call(self, args, PyVectorcall_NARGS(flags), keywordNames).run();
  } catch (nb::python_error &error) {
    error.restore();
  } catch (const std::bad_alloc &) {
    PyErr_NoMemory();
  } catch (const std::exception &error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  return nullptr;
}

//===----------------------------------------------------------------------===//
// The type
//===----------------------------------------------------------------------===//

PyObject *construct(PyTypeObject *type, PyObject *, PyObject *) {
  // Python before 3.12 does not inherit this flag; without it a call packs its
  // arguments into a tuple and a dict first.
  if (type->tp_call == PyVectorcall_Call)
    type->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL;
  PyObject *self = type->tp_alloc(type, 0);
  if (!self)
    return nullptr;
  cast(self)->vectorcall = vectorcall;
  cast(self)->state = nullptr;
  return self;
}

int initialize(PyObject *self, PyObject *args, PyObject *kwargs) {
  static const char *keywords[] = {
      "static_argnums", "static_argnames", "max_specializations",
      "sized",          "is_foreign",      "has_strides",
      nullptr};
  PyObject *positions = nullptr, *names = nullptr, *most = Py_None,
           *sized = Py_None;
  int isForeign = 0, hasStrides = 0;
  if (!PyArg_ParseTupleAndKeywords(
          args, kwargs, "|OOOOpp", const_cast<char **>(keywords), &positions,
          &names, &most, &sized, &isForeign, &hasStrides))
    return -1;
  size_t limit = std::numeric_limits<size_t>::max();
  if (most != Py_None) {
    limit = PyLong_AsSize_t(most);
    if (PyErr_Occurred())
      return -1;
    limit = std::max(limit, size_t(1));
  }
  try {
    StaticArguments statics;
    if (positions)
      for (nb::handle position : nb::handle(positions))
        statics.positions.push_back(nb::cast<Py_ssize_t>(position));
    nb::object tuple =
        nb::steal(names ? PySequence_Tuple(names) : PyTuple_New(0));
    if (!tuple.is_valid())
      return -1;
    statics.names = nb::borrow<nb::tuple>(tuple);
    for (nb::handle name : statics.names)
      if (!PyUnicode_Check(name.ptr()))
        throw nb::type_error("static_argnames must be strings");
    SizedArguments sizes;
    if (sized != Py_None)
      sizes = SizedArguments::parse(sized);
    // A call that runs now goes on with the state that there is.
    State *&state = cast(self)->state;
    if (!state)
      state = new State;
    std::swap(state->statics, statics);
    std::swap(state->sized, sizes);
    state->isForeign = isForeign != 0;
    state->hasStrides = hasStrides != 0;
    state->table.setLimit(limit);
    state->table.clear();
    return 0;
  } catch (nb::python_error &error) {
    error.restore();
  } catch (const nb::cast_error &) {
    PyErr_SetString(PyExc_TypeError,
                    "static_argnums and sizes must be integers");
  } catch (const std::exception &error) {
    PyErr_SetString(PyExc_TypeError, error.what());
  }
  return -1;
}

int traverse(PyObject *self, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(self));
  const State *state = cast(self)->state;
  if (!state)
    return 0;
  Py_VISIT(state->statics.names.ptr());
  return state->table.traverse(visit, arg);
}

int clear(PyObject *self) {
  if (State *state = cast(self)->state)
    state->table.clear();
  return 0;
}

void destroy(PyObject *self) {
  PyTypeObject *type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  delete std::exchange(cast(self)->state, nullptr);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject *bind(PyObject *self, PyObject *object, PyObject *) {
  if (!object || object == Py_None)
    return Py_NewRef(self);
  return PyMethod_New(self, object);
}

PyObject *cacheSize(PyObject *self, PyObject *) {
  const State *state = cast(self)->state;
  return PyLong_FromSize_t(state ? state->table.size() : 0);
}

PyObject *cacheClear(PyObject *self, PyObject *) {
  clear(self);
  return Py_NewRef(Py_None);
}

PyObject *cacheValues(PyObject *self, PyObject *) {
  const State *state = cast(self)->state;
  return state ? state->table.values().release().ptr() : PyList_New(0);
}

PyMethodDef methods[] = {
    {"cache_size", cacheSize, METH_NOARGS,
     "Number of signatures that there is code for."},
    {"cache_clear", cacheClear, METH_NOARGS, "Forgets all specialisations."},
    {"cache_values", cacheValues, METH_NOARGS,
     "All specialisations, oldest first."},
    {nullptr, nullptr, 0, nullptr}};

PyMemberDef members[] = {{"__vectorcalloffset__", T_PYSSIZET,
                          offsetof(Dispatcher, vectorcall), READONLY, nullptr},
                         {nullptr, 0, 0, 0, nullptr}};

template <typename Function> void *slot(Function *function) {
  return reinterpret_cast<void *>(function);
}

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char *>("The call path to compiled code.")},
    {Py_tp_new, slot(construct)},
    {Py_tp_init, slot(initialize)},
    {Py_tp_dealloc, slot(destroy)},
    {Py_tp_traverse, slot(traverse)},
    {Py_tp_clear, slot(clear)},
    {Py_tp_call, slot(PyVectorcall_Call)},
    {Py_tp_descr_get, slot(bind)},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {0, nullptr}};

PyType_Spec spec = {"gradopt._gradopt.Dispatcher", sizeof(Dispatcher), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE |
                        Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
                    slots};

} // namespace

void bindDispatcher(nb::module_ &module) {
  nb::object type = nb::steal(PyType_FromSpec(&spec));
  if (!type.is_valid())
    throw nb::python_error();
  module.attr("Dispatcher") = type;
}

} // namespace gradopt::native
