//===- Specialization.cpp - Code for one signature ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Specialization.h"
#include "DeviceArray.h"
#include "Gil.h"

namespace nb = nanobind;

namespace gradopt::native {

Specialization::Specialization(nb::object executable, nb::handle resultTree,
                               nb::handle leafNumbers, nb::object unflatten,
                               nb::object onFailure, nb::handle writtenNumbers,
                               nb::object onConflict, nb::object payload)
    : executable(std::move(executable)), unflatten(std::move(unflatten)),
      onFailure(std::move(onFailure)), onConflict(std::move(onConflict)),
      payload(std::move(payload)) {
  code = nb::cast<const Runnable *>(this->executable);
  size_t numResults = code->getResults().size();
  size_t numOutcome = this->onFailure.is_none() ? 0 : 2;
  if (numResults < numOutcome)
    throw nb::value_error("on_failure needs an executable with two results");
  for (nb::handle number : writtenNumbers) {
    written.push_back(nb::cast<size_t>(number));
    if (written.back() >= code->getArgs().size())
      throw nb::value_error("there is no such argument to write to");
  }
  if (numResults - numOutcome < written.size())
    throw nb::value_error("each argument that is written to needs a result");
  if (this->unflatten.is_none())
    tree.emplace(resultTree, numResults);
  if (leafNumbers.is_none())
    return;
  argLeaves.emplace();
  for (nb::handle number : leafNumbers)
    argLeaves->push_back(nb::cast<size_t>(number));
  if (argLeaves->size() != code->getArgs().size())
    throw nb::value_error("arg_leaves must have one leaf for each argument");
}

bool Specialization::check(Span<PyObject *> leaves) const {
  Span<ArraySpec> specs = code->getArgs();
  if (!argLeaves && leaves.size() != specs.size()) {
    PyErr_Format(PyExc_TypeError,
                 "the executable takes %zu arrays, but the call has %zu",
                 specs.size(), leaves.size());
    return false;
  }
  for (size_t i = 0; i < specs.size(); ++i) {
    size_t number = argLeaves ? (*argLeaves)[i] : i;
    if (number >= leaves.size()) {
      PyErr_Format(PyExc_IndexError, "the call has no leaf %zu", number);
      return false;
    }
    PyObject *leaf = leaves[number];
    if (!code->accepts(i, leaf)) {
      PyErr_Format(PyExc_TypeError,
                   "leaf %zu: the executable takes %s, but got %.200R", number,
                   specs[i].describe().c_str(), leaf);
      return false;
    }
  }
  return true;
}

/// Replaces arrays on a device by what `wrap` makes of them; false if a Python
/// error was set.
static bool wrapResults(Vector<PyObject *> &results, PyObject *wrap) {
  for (PyObject *&result : results) {
    if (!DeviceArray::get(result))
      continue;
    PyObject *wrapped =
        callPython([&] { return PyObject_CallOneArg(wrap, result); });
    if (!wrapped)
      return false;
    Py_SETREF(result, wrapped);
  }
  return true;
}

PyObject *Specialization::run(Span<PyObject *> leaves, PyObject *wrap) const {
  InlineVector<PyObject *, kInlineLeaves> selected;
  if (argLeaves) {
    for (size_t number : *argLeaves)
      selected.push_back(leaves[number]);
    leaves = selected;
  }
  if (!written.empty() && !mayWrite(leaves))
    return nullptr;
  InlineVector<PyObject *, kInlineLeaves> results;
  if (!code->run(leaves, results))
    return nullptr;
  PyObject *result = nullptr;
  if (!wrap || wrapResults(results, wrap))
    result = finish(leaves, results);
  for (PyObject *array : results)
    Py_DECREF(array);
  return result;
}

static PyArrayObject *asArray(PyObject *object) {
  return PyArray_Check(object) ? reinterpret_cast<PyArrayObject *>(object)
                               : nullptr;
}

/// Whether all arrays can be written to; else a Python error is set.
bool Specialization::mayWrite(Span<PyObject *> arguments) const {
  auto isWriteable = [&](size_t number) {
    PyArrayObject *array = asArray(arguments[number]);
    return array && PyArray_ISWRITEABLE(array);
  };
  InlineVector<Runnable::Extent, kInlineLeaves> extents;
  for (size_t i = 0; i < arguments.size(); ++i) {
    PyArrayObject *array = asArray(arguments[i]);
    if (!array || !PyArray_SIZE(array))
      continue;
    bool changes =
        std::find(written.begin(), written.end(), i) != written.end();
    auto [begin, end] = extentOf(array);
    extents.push_back({begin, end, i, changes});
  }
  if (std::all_of(written.begin(), written.end(), isWriteable) &&
      !Runnable::findShared(extents))
    return true;
  nb::object tuple = nb::steal(PyTuple_New(Py_ssize_t(arguments.size())));
  if (!tuple.is_valid())
    return false;
  for (size_t i = 0; i < arguments.size(); ++i)
    PyTuple_SET_ITEM(tuple.ptr(), Py_ssize_t(i), Py_NewRef(arguments[i]));
  return nb::steal(callPython([&] {
           return PyObject_CallOneArg(onConflict.ptr(), tuple.ptr());
         }))
      .is_valid();
}

/// The result of a call, or null and a Python error if a check failed.
PyObject *Specialization::finish(Span<PyObject *> arguments,
                                 Span<PyObject *> results) const {
  if (!onFailure.is_none()) {
    PyObject *number = results[results.size() - 2], *value = results.back();
    if (int failed = PyObject_IsTrue(number)) {
      if (failed < 0)
        return nullptr;
      nb::object returned = nb::steal(callPython([&] {
        return PyObject_CallFunctionObjArgs(onFailure.ptr(), number, value,
                                            nullptr);
      }));
      if (returned.is_valid())
        PyErr_SetString(PyExc_RuntimeError, "on_failure raised nothing");
      return nullptr;
    }
    results = results.dropBack(2);
  }
  Span<PyObject *> returned = results.dropBack(written.size());
  Span<PyObject *> values(returned.end(), written.size());
  return write(arguments, values) ? makeResult(returned) : nullptr;
}

/// Copies to the arguments what was not computed in their memory.
bool Specialization::write(Span<PyObject *> arguments,
                           Span<PyObject *> values) const {
  for (size_t i = 0; i < written.size(); ++i) {
    PyObject *argument = arguments[written[i]];
    if (argument != values[i] &&
        PyArray_CopyObject(asArray(argument), values[i]) < 0)
      return false;
  }
  return true;
}

PyObject *Specialization::makeResult(Span<PyObject *> results) const {
  if (tree)
    return tree->build(results);
  nb::object list = nb::steal(PyList_New(Py_ssize_t(results.size())));
  if (!list.is_valid())
    return nullptr;
  for (size_t i = 0; i < results.size(); ++i)
    PyList_SET_ITEM(list.ptr(), Py_ssize_t(i), Py_NewRef(results[i]));
  return callPython(
      [&] { return PyObject_CallOneArg(unflatten.ptr(), list.ptr()); });
}

int Specialization::traverse(visitproc visit, void *arg) const {
  Py_VISIT(executable.ptr());
  Py_VISIT(unflatten.ptr());
  Py_VISIT(onFailure.ptr());
  Py_VISIT(onConflict.ptr());
  Py_VISIT(payload.ptr());
  return tree ? tree->traverse(visit, arg) : 0;
}

static int traverseSlot(PyObject *self, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(self));
  if (!nb::inst_ready(self))
    return 0;
  return nb::inst_ptr<Specialization>(self)->traverse(visit, arg);
}

/// There is nothing to clear: each cycle leads through a Dispatcher's table,
/// which can be cleared, or through a Python object.
static int clearSlot(PyObject *) { return 0; }

static PyType_Slot slots[] = {
    {Py_tp_traverse, reinterpret_cast<void *>(traverseSlot)},
    {Py_tp_clear, reinterpret_cast<void *>(clearSlot)},
    {0, nullptr}};

void bindSpecialization(nb::module_ &module) {
  nb::class_<Specialization>(module, "Specialization", nb::type_slots(slots),
                             "What a Dispatcher stores for one signature.")
      .def(nb::init<nb::object, nb::handle, nb::handle, nb::object, nb::object,
                    nb::handle, nb::object, nb::object>(),
           nb::arg("executable"), nb::arg("result_tree") = nb::none(),
           nb::kw_only(), nb::arg("arg_leaves") = nb::none(),
           nb::arg("unflatten") = nb::none(),
           nb::arg("on_failure") = nb::none(), nb::arg("written") = nb::tuple(),
           nb::arg("on_conflict") = nb::none(), nb::arg("payload") = nb::none())
      .def_prop_ro("executable", &Specialization::getExecutable)
      .def_prop_ro("payload", &Specialization::getPayload);
}

} // namespace gradopt::native
