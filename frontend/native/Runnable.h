//===- Runnable.h - What the call path runs ---------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_RUNNABLE_H
#define GRADOPT_NATIVE_RUNNABLE_H

#include "Arrays.h"

#include "runtime/gradopt_runtime.h"

#include <optional>
#include <utility>
#include <vector>

namespace gradopt::native {

/// The C++ part of a Python `Runnable`: loaded code that takes and returns
/// arrays, on the CPU or on a device.
class Runnable {
public:
  virtual ~Runnable();

  /// Whether a leaf can be argument number `i`.
  virtual bool accepts(size_t i, PyObject *leaf) const = 0;

  /// Runs the code on leaves that it accepts, and appends the results (new
  /// references) to `out`. False if a Python error was set; `out` is then
  /// unchanged.
  virtual bool run(Span<PyObject *> leaves, Vector<PyObject *> &out) const = 0;

  virtual int traverse(visitproc visit, void *arg) const;

  Span<ArraySpec> getArgs() const { return args; }
  Span<ArraySpec> getResults() const { return results; }
  size_t argumentBytes() const { return totalBytes(args); }
  /// Of results with memory of their own.
  size_t resultBytes() const;
  size_t captureBytes() const { return capturesBytes; }
  virtual size_t arenaBytes() const = 0;

  /// The bytes that the elements of an argument lie between.
  struct Extent {
    const char *begin, *end;
    size_t argument;
    /// Whether its elements change, as it is donated or written to.
    bool changes;
  };

  /// Two arguments that share memory, the first of which changes, if there are
  /// any.
  static std::optional<std::pair<size_t, size_t>>
  findShared(Vector<Extent> &extents);

protected:
  /// A result in the memory of an argument.
  struct Donation {
    size_t result, argument;
    /// What the argument is donated as. True if it is an array that the result
    /// is written to, and None if the memory is that of a copy; also where the
    /// array's own cannot be used.
    nanobind::object name;

    bool isWrite() const { return name.ptr() == Py_True; }
    bool isTaken() const { return !name.is_none() && !isWrite(); }
  };

  /// Throws nanobind::python_error. `donated` has for each result whose memory
  /// is that of an argument a (result, argument, name) triple, see `Donation`.
  /// `report` raises the errors of calls.
  Runnable(nanobind::handle argSpecs, nanobind::handle resultSpecs,
           nanobind::handle captured, nanobind::handle donated,
           nanobind::object report);

  /// For the arrays of a program of a bundle, which `owner` keeps open.
  /// Arguments in whose memory results are computed are copied.
  Runnable(const gradopt_program *program, nanobind::object owner,
           nanobind::object report);

  /// Sets the Python error for a call of such a program that failed; `report`
  /// raises it.
  void raiseProgramError(gradopt_status status) const;

  /// Sets the Python error for an argument that was donated as `name`, and for
  /// a donated argument that shares memory with another one.
  void raiseDonated(size_t argument, PyObject *name) const;
  void raiseShared(std::pair<size_t, size_t> arguments) const;

  /// Whether argument number `i` is no NumPy array that was donated; else the
  /// Python error is set. Few arrays have a base.
  bool checkLive(size_t i, PyObject *leaf) const {
    return !PyArray_CheckExact(leaf) ||
           !PyArray_BASE(reinterpret_cast<PyArrayObject *>(leaf)) ||
           checkBase(i, reinterpret_cast<PyArrayObject *>(leaf));
  }

  std::vector<ArraySpec> args, results;
  /// Row-major arrays in memory of the host.
  std::vector<nanobind::object> captures;
  size_t capturesBytes = 0;
  /// In the order of their arguments; for each result the number of its own, or
  /// -1.
  std::vector<Donation> donations;
  std::vector<int> donationOf;
  nanobind::object report;

private:
  bool checkBase(size_t i, PyArrayObject *array) const;
  static size_t totalBytes(Span<ArraySpec> specs);
  void setDonations(nanobind::handle triples);

  nanobind::object owner;
};

/// A new NumPy array; null if a Python error was set.
PyObject *makeArray(const ArraySpec &spec);

/// An extent where the room of a call is known (runtime/OpenSizes.h), and a new
/// array of such.
npy_intp extentAt(npy_intp extent, int64_t room);
PyObject *makeArray(const ArraySpec &spec, int64_t room);

/// The bytes that the elements of an array lie between.
std::pair<const char *, const char *> extentOf(PyArrayObject *array);

/// References that are given back at the end of a scope.
struct OwnedObjects : InlineVector<PyObject *, kInlineLeaves> {
  ~OwnedObjects() {
    for (PyObject *object : *this)
      Py_DECREF(object);
  }
};

/// Slots of the classes that are made of it, for the garbage collector.
extern PyType_Slot runnableSlots[];

/// Adds `Runnable` to the module.
void bindRunnable(nanobind::module_ &module);

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_RUNNABLE_H
