//===- Runnable.cpp - What the call path runs -----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Runnable.h"
#include "Donation.h"
#include "Executable.h"
#include "Gil.h"
#include "runtime/OpenSizes.h"

#include <algorithm>

namespace nb = nanobind;

namespace gradopt::native {

static std::vector<ArraySpec> parseSpecs(nb::handle pairs) {
  std::vector<ArraySpec> specs;
  for (nb::handle pair : pairs)
    specs.push_back(ArraySpec::parse(pair));
  return specs;
}

Runnable::Runnable(nb::handle argSpecs, nb::handle resultSpecs,
                   nb::handle captured, nb::handle donated, nb::object report)
    : args(parseSpecs(argSpecs)), results(parseSpecs(resultSpecs)),
      report(std::move(report)) {
  setDonations(donated);
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
}

/// The type and shape of an array in a bundle. `isSized` if it may have fewer
/// rows.
static ArraySpec specOf(const gradopt_array_info &info, bool isSized = false) {
  nb::object descr =
      nb::steal(reinterpret_cast<PyObject *>(newDescr(info.dtype)));
  if (!descr.is_valid())
    throw nb::python_error();
  nb::list shape;
  for (int32_t d = 0; d < info.rank; ++d)
    shape.append(info.shape[d] + info.extents_of_part[d] * kOpenPart);
  return ArraySpec::parse(nb::make_tuple(descr, shape, isSized));
}

Runnable::Runnable(const gradopt_program *program, nb::object owner,
                   nb::object report)
    : report(std::move(report)), owner(std::move(owner)) {
  for (size_t i = 0; i < gradopt_program_num_arguments(program); ++i) {
    const gradopt_array_info &info = *gradopt_program_argument(program, i);
    args.push_back(specOf(info, info.rank > 0 && info.sizes[0] >= 0));
  }
  for (size_t i = 0; i < gradopt_program_num_results(program); ++i) {
    const gradopt_array_info &info = *gradopt_program_result(program, i);
    results.push_back(specOf(info));
    donationOf.push_back(info.reused < 0 ? -1 : int(donations.size()));
    if (info.reused >= 0)
      donations.push_back({i, size_t(info.reused), nb::none()});
  }
}

Runnable::~Runnable() = default;

void Runnable::setDonations(nb::handle triples) {
  donationOf.assign(results.size(), -1);
  for (nb::handle triple : triples) {
    auto result = nb::cast<size_t>(triple[0]);
    auto argument = nb::cast<size_t>(triple[1]);
    if (result >= results.size() || argument >= args.size() ||
        results[result].shape != args[argument].shape ||
        results[result].code != args[argument].code ||
        results[result].isScalar() || donationOf[result] >= 0)
      throw nb::value_error("a result cannot be in the memory of an argument");
    donationOf[result] = int(donations.size());
    donations.push_back({result, argument, nb::borrow(triple[2])});
  }
}

void Runnable::raiseProgramError(gradopt_status status) const {
  const char *check =
      status == GRADOPT_CHECK_FAILED ? gradopt_failed_check() : nullptr;
  // The text is the last error's of this thread until Python runs.
  setExecutionError();
  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  nb::object kind = nb::steal(type), message = nb::steal(value);
  nb::object nothing = nb::steal(traceback);
  if (!message.is_valid())
    return;
  nb::object returned = nb::steal(callPython([&] {
    return PyObject_CallMethod(report.ptr(), "failed", "Oz", message.ptr(),
                               check);
  }));
  if (returned.is_valid())
    PyErr_SetObject(kind.ptr(), message.ptr());
}

int Runnable::traverse(visitproc visit, void *arg) const {
  Py_VISIT(report.ptr());
  Py_VISIT(owner.ptr());
  return 0;
}

size_t Runnable::resultBytes() const {
  size_t bytes = totalBytes(results);
  for (const Donation &donation : donations)
    bytes -= results[donation.result].bytes;
  return bytes;
}

size_t Runnable::totalBytes(Span<ArraySpec> specs) {
  size_t bytes = 0;
  for (const ArraySpec &spec : specs)
    bytes += spec.bytes;
  return bytes;
}

PyObject *makeArray(const ArraySpec &spec) {
  Py_INCREF(spec.getDescr());
  return PyArray_NewFromDescr(&PyArray_Type, spec.getDescr(),
                              int(spec.shape.size()), spec.shape.data(),
                              nullptr, nullptr, 0, nullptr);
}

npy_intp extentAt(npy_intp extent, int64_t room) {
  auto open = isOpen(extent) ? findOpenSize(extent) : std::nullopt;
  return open ? npy_intp(open->at(room)) : extent;
}

PyObject *makeArray(const ArraySpec &spec, int64_t room) {
  InlineVector<npy_intp, NPY_MAXDIMS> shape;
  for (npy_intp extent : spec.shape)
    shape.push_back(extentAt(extent, room));
  Py_INCREF(spec.getDescr());
  return PyArray_NewFromDescr(&PyArray_Type, spec.getDescr(), int(shape.size()),
                              shape.data(), nullptr, nullptr, 0, nullptr);
}

std::pair<const char *, const char *> extentOf(PyArrayObject *array) {
  const char *begin = PyArray_BYTES(array);
  const char *end = begin + PyArray_ITEMSIZE(array);
  for (int d = 0; d < PyArray_NDIM(array); ++d) {
    npy_intp last = (PyArray_DIM(array, d) - 1) * PyArray_STRIDE(array, d);
    (last < 0 ? begin : end) += last;
  }
  return {begin, end};
}

//===----------------------------------------------------------------------===//
// Errors in the use of donated arrays
//===----------------------------------------------------------------------===//

void Runnable::raiseDonated(size_t argument, PyObject *name) const {
  if (report.is_none())
    PyErr_Format(PyExc_ValueError, "argument %zu was donated as %S", argument,
                 name);
  else
    nb::steal(callPython([&] {
      return PyObject_CallMethod(report.ptr(), "donated", "nO",
                                 Py_ssize_t(argument), name);
    }));
}

void Runnable::raiseShared(std::pair<size_t, size_t> arguments) const {
  size_t donated = arguments.first, other = arguments.second;
  if (report.is_none())
    PyErr_Format(PyExc_ValueError,
                 "argument %zu is donated, and argument %zu shares its memory",
                 donated, other);
  else
    nb::steal(callPython([&] {
      return PyObject_CallMethod(report.ptr(), "shared", "nn",
                                 Py_ssize_t(donated), Py_ssize_t(other));
    }));
}

bool Runnable::checkBase(size_t i, PyArrayObject *array) const {
  PyObject *name = donatedAs(array);
  if (name)
    raiseDonated(i, name);
  return !name;
}

std::optional<std::pair<size_t, size_t>>
Runnable::findShared(Vector<Extent> &extents) {
  std::sort(
      extents.begin(), extents.end(), [](const Extent &a, const Extent &b) {
        return std::pair(a.begin, a.argument) < std::pair(b.begin, b.argument);
      });
  const Extent *any = nullptr, *changing = nullptr;
  for (const Extent &extent : extents) {
    const Extent *other = extent.changes ? any : changing;
    if (other && extent.begin < other->end) {
      if (extent.changes)
        return std::pair(extent.argument, other->argument);
      return std::pair(other->argument, extent.argument);
    }
    if (!any || extent.end > any->end)
      any = &extent;
    if (extent.changes && (!changing || extent.end > changing->end))
      changing = &extent;
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// The Python class
//===----------------------------------------------------------------------===//

/// `Runnable.__call__`: flat, with a check of every argument.
static nb::object call(const Runnable &self, nb::args leaves) {
  Span<ArraySpec> specs = self.getArgs();
  if (leaves.size() != specs.size()) {
    PyErr_Format(PyExc_TypeError, "expected %zu arguments, but got %zu",
                 specs.size(), leaves.size());
    throw nb::python_error();
  }
  InlineVector<PyObject *, kInlineLeaves> arguments;
  for (size_t i = 0; i < specs.size(); ++i) {
    PyObject *leaf = leaves[i].ptr();
    if (!self.accepts(i, leaf)) {
      PyErr_Format(PyExc_TypeError, "argument %zu: expected %s, but got %.200R",
                   i, specs[i].describe().c_str(), leaf);
      throw nb::python_error();
    }
    arguments.push_back(leaf);
  }
  InlineVector<PyObject *, kInlineLeaves> results;
  if (!self.run(arguments, results))
    throw nb::python_error();
  nb::object tuple = nb::steal(PyTuple_New(Py_ssize_t(results.size())));
  for (size_t i = 0; i < results.size(); ++i)
    PyTuple_SET_ITEM(tuple.ptr(), Py_ssize_t(i), results[i]);
  return tuple;
}

static nb::tuple specsToPython(Span<ArraySpec> specs) {
  nb::list pairs;
  for (const ArraySpec &spec : specs)
    pairs.append(spec.toPython());
  return nb::tuple(pairs);
}

static int traverseSlot(PyObject *self, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(self));
  if (!nb::inst_ready(self))
    return 0;
  return nb::inst_ptr<Runnable>(self)->traverse(visit, arg);
}

/// As with `Specialization`, each cycle can be cleared elsewhere.
static int clearSlot(PyObject *) { return 0; }

PyType_Slot runnableSlots[] = {
    {Py_tp_traverse, reinterpret_cast<void *>(traverseSlot)},
    {Py_tp_clear, reinterpret_cast<void *>(clearSlot)},
    {0, nullptr}};

void bindRunnable(nb::module_ &module) {
  nb::class_<Runnable>(module, "Runnable", nb::type_slots(runnableSlots),
                       "Loaded code with the arrays it takes and returns.")
      .def("__call__", &call)
      .def_prop_ro(
          "args",
          [](const Runnable &self) { return specsToPython(self.getArgs()); })
      .def_prop_ro(
          "results",
          [](const Runnable &self) { return specsToPython(self.getResults()); })
      .def_prop_ro("argument_bytes", &Runnable::argumentBytes)
      .def_prop_ro("capture_bytes", &Runnable::captureBytes)
      .def_prop_ro("result_bytes", &Runnable::resultBytes)
      .def_prop_ro("arena_bytes", &Runnable::arenaBytes);
}

} // namespace gradopt::native
