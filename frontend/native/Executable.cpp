//===- Executable.cpp - Loaded code and its arrays ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Executable.h"
#include "Callbacks.h"
#include "Gil.h"
#include "runtime/Interface.h"

#include <nanobind/stl/string.h>

namespace nb = nanobind;

namespace gradopt::native {

/// A call that touches less memory than this keeps the GIL: giving it up and
/// getting it back would take as long as the work.
static constexpr size_t kGilThreshold = 64 << 10;

static PyObject *executionError = nullptr;

void setExecutionError() {
  PyErr_SetString(executionError, gradopt_last_error());
}

static std::vector<ArraySpec> parseSpecs(nb::handle pairs) {
  std::vector<ArraySpec> specs;
  for (nb::handle pair : pairs)
    specs.push_back(ArraySpec::parse(pair));
  return specs;
}

Executable::Executable(nb::bytes code, nb::handle argSpecs,
                       nb::handle resultSpecs, size_t arenaBytes,
                       nb::handle captured, nb::handle targetPairs,
                       const std::string &entry)
    : args(parseSpecs(argSpecs)), results(parseSpecs(resultSpecs)) {
  for (nb::handle item : captured) {
    nb::object array = nb::steal(
        PyArray_FromAny(item.ptr(), nullptr, 0, 0,
                        NPY_ARRAY_CARRAY_RO | NPY_ARRAY_NOTSWAPPED, nullptr));
    if (!array.is_valid())
      throw nb::python_error();
    capturesBytes +=
        PyArray_NBYTES(reinterpret_cast<PyArrayObject *>(array.ptr()));
    captures.push_back(std::move(array));
  }
  gradopt_module *loaded = nullptr;
  gradopt_status status = gradopt_module_load(
      code.data(), code.size(), entry.c_str(), arenaBytes, &loaded);
  if (status != GRADOPT_OK) {
    setExecutionError();
    throw nb::python_error();
  }
  module.reset(loaded);
  setTargets(targetPairs);
  releasesGil = argumentBytes() + resultBytes() + captureBytes() + arenaBytes >
                kGilThreshold;
}

void Executable::setTargets(nb::handle pairs) {
  std::vector<gradopt_target> table;
  for (nb::handle pair : pairs) {
    targets.push_back(nb::borrow(pair[1]));
    auto address = nb::cast<uintptr_t>(pair[0]);
    if (address)
      table.push_back(
          {reinterpret_cast<gradopt_function>(address), nullptr, nullptr});
    else
      table.push_back({nullptr, &callPythonTarget, targets.back().ptr()});
  }
  if (gradopt_module_set_targets(module.get(), table.data(), table.size()) !=
      GRADOPT_OK) {
    setExecutionError();
    throw nb::python_error();
  }
}

/// Sets the Python error for a call that a target ended.
void Executable::raiseTargetError() const {
  // The callable's own.
  if (PyErr_Occurred())
    return;
  int32_t status;
  size_t number = gradopt_failed_target(&status);
  nb::object returned = nb::steal(callPython([&] {
    return PyObject_CallFunction(targets[number].ptr(), "i", int(status));
  }));
  if (returned.is_valid())
    setExecutionError();
}

int Executable::traverse(visitproc visit, void *arg) const {
  for (const nb::object &target : targets)
    Py_VISIT(target.ptr());
  return 0;
}

size_t Executable::totalBytes(llvm::ArrayRef<ArraySpec> specs) {
  size_t bytes = 0;
  for (const ArraySpec &spec : specs)
    bytes += spec.bytes;
  return bytes;
}

namespace {

/// References that are given back at the end of a scope.
struct OwnedObjects : llvm::SmallVector<PyObject *, kInlineLeaves> {
  ~OwnedObjects() {
    for (PyObject *object : *this)
      Py_DECREF(object);
  }
};

} // namespace

bool Executable::run(llvm::ArrayRef<PyObject *> leaves,
                     llvm::SmallVectorImpl<PyObject *> &out) const {
  llvm::SmallVector<void *, 2 * kInlineLeaves> buffers;
  llvm::SmallVector<ScalarCell, 2 * kInlineLeaves> cells(args.size() +
                                                         results.size());
  ScalarCell *cell = cells.data();
  OwnedObjects keepAlive, made;

  for (size_t i = 0; i < args.size(); ++i) {
    const void *address = leafAddress(leaves[i], args[i], *cell++, keepAlive);
    if (!address)
      return false;
    // The code has no stores to arguments.
    buffers.push_back(const_cast<void *>(address));
  }
  for (const nb::object &capture : captures)
    buffers.push_back(
        PyArray_DATA(reinterpret_cast<PyArrayObject *>(capture.ptr())));
  for (const ArraySpec &spec : results) {
    if (spec.isScalar()) {
      buffers.push_back(cell++->bytes);
      continue;
    }
    Py_INCREF(spec.getDescr());
    PyObject *array = PyArray_NewFromDescr(
        &PyArray_Type, spec.getDescr(), int(spec.shape.size()),
        spec.shape.data(), nullptr, nullptr, 0, nullptr);
    if (!array)
      return false;
    made.push_back(array);
    buffers.push_back(PyArray_DATA(reinterpret_cast<PyArrayObject *>(array)));
  }
  size_t arenaSlot = buffers.size();
  buffers.push_back(nullptr);

  gradopt_status status;
  if (releasesGil) {
    GilRelease release;
    status = gradopt_call(module.get(), buffers.data(), arenaSlot);
  } else {
    status = gradopt_call(module.get(), buffers.data(), arenaSlot);
  }
  if (status == GRADOPT_TARGET_ERROR) {
    raiseTargetError();
    return false;
  }
  if (status != GRADOPT_OK) {
    setExecutionError();
    return false;
  }

  size_t begin = out.size();
  cell = cells.data() + args.size();
  PyObject **array = made.begin();
  for (const ArraySpec &spec : results) {
    PyObject *result =
        spec.isScalar()
            ? PyArray_Scalar(cell++->bytes, spec.getDescr(), nullptr)
            : Py_NewRef(*array++);
    if (!result) {
      while (out.size() > begin)
        Py_DECREF(out.pop_back_val());
      return false;
    }
    out.push_back(result);
  }
  return true;
}

/// `Executable.__call__`: flat, with a check of every argument.
static nb::object call(const Executable &self, nb::args leaves) {
  llvm::ArrayRef<ArraySpec> specs = self.getArgs();
  if (leaves.size() != specs.size()) {
    PyErr_Format(PyExc_TypeError, "expected %zu arguments, but got %zu",
                 specs.size(), leaves.size());
    throw nb::python_error();
  }
  llvm::SmallVector<PyObject *, kInlineLeaves> arguments;
  for (size_t i = 0; i < specs.size(); ++i) {
    PyObject *leaf = leaves[i].ptr();
    if (!specs[i].accepts(leaf, classifyLeaf(leaf))) {
      PyErr_Format(PyExc_TypeError, "argument %zu: expected %s, but got %.200R",
                   i, specs[i].describe().c_str(), leaf);
      throw nb::python_error();
    }
    arguments.push_back(leaf);
  }
  llvm::SmallVector<PyObject *, kInlineLeaves> results;
  if (!self.run(arguments, results))
    throw nb::python_error();
  nb::object tuple = nb::steal(PyTuple_New(Py_ssize_t(results.size())));
  for (size_t i = 0; i < results.size(); ++i)
    PyTuple_SET_ITEM(tuple.ptr(), Py_ssize_t(i), results[i]);
  return tuple;
}

static nb::tuple specsToPython(llvm::ArrayRef<ArraySpec> specs) {
  nb::list pairs;
  for (const ArraySpec &spec : specs)
    pairs.append(spec.toPython());
  return nb::tuple(pairs);
}

static int traverseSlot(PyObject *self, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(self));
  if (!nb::inst_ready(self))
    return 0;
  return nb::inst_ptr<Executable>(self)->traverse(visit, arg);
}

/// As with `Specialization`, each cycle can be cleared elsewhere.
static int clearSlot(PyObject *) { return 0; }

static PyType_Slot slots[] = {
    {Py_tp_traverse, reinterpret_cast<void *>(traverseSlot)},
    {Py_tp_clear, reinterpret_cast<void *>(clearSlot)},
    {0, nullptr}};

void bindExecutable(nb::module_ &module) {
  executionError = nb::exception<std::runtime_error>(module, "ExecutionError",
                                                     PyExc_RuntimeError)
                       .ptr();
  nb::class_<Executable>(module, "Executable", nb::type_slots(slots),
                         "Loaded object code with the arrays it takes and "
                         "returns.")
      .def(nb::init<nb::bytes, nb::handle, nb::handle, size_t, nb::handle,
                    nb::handle, const std::string &>(),
           nb::arg("code"), nb::arg("args"), nb::arg("results"),
           nb::arg("arena_bytes") = 0, nb::arg("captures") = nb::tuple(),
           nb::arg("targets") = nb::tuple(),
           nb::arg("entry") = gradopt::kEntryName)
      .def("__call__", &call)
      .def_prop_ro(
          "args",
          [](const Executable &self) { return specsToPython(self.getArgs()); })
      .def_prop_ro("results",
                   [](const Executable &self) {
                     return specsToPython(self.getResults());
                   })
      .def_prop_ro("argument_bytes", &Executable::argumentBytes)
      .def_prop_ro("capture_bytes", &Executable::captureBytes)
      .def_prop_ro("result_bytes", &Executable::resultBytes)
      .def_prop_ro("arena_bytes", &Executable::arenaBytes);
}

} // namespace gradopt::native
