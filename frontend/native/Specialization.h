//===- Specialization.h - Code for one signature ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_SPECIALIZATION_H
#define GRADOPT_NATIVE_SPECIALIZATION_H

#include "ResultTree.h"
#include "Runnable.h"

#include <optional>

namespace gradopt::native {

/// The C++ part of a Python `Specialization`: an executable, and how a call's
/// leaves become its arguments and its results the call's result.
class Specialization {
public:
  Specialization(nanobind::object executable, nanobind::handle resultTree,
                 nanobind::handle argLeaves, nanobind::object unflatten,
                 nanobind::object onFailure, nanobind::handle written,
                 nanobind::object onConflict, nanobind::object payload);

  /// Whether a call with `leaves` fits; else a Python error is set.
  bool check(Span<PyObject *> leaves) const;

  /// Runs the executable; null if a Python error was set. If there is a `wrap`,
  /// it makes arrays of another library from those on a device.
  PyObject *run(Span<PyObject *> leaves, PyObject *wrap = nullptr) const;

  int traverse(visitproc visit, void *arg) const;

  const nanobind::object &getExecutable() const { return executable; }
  const nanobind::object &getPayload() const { return payload; }

private:
  bool mayWrite(Span<PyObject *> arguments) const;
  PyObject *finish(Span<PyObject *> arguments, Span<PyObject *> results) const;
  bool write(Span<PyObject *> arguments, Span<PyObject *> values) const;
  PyObject *makeResult(Span<PyObject *> results) const;

  nanobind::object executable;
  const Runnable *code;
  std::optional<ResultTree> tree;
  /// The leaf of each argument; empty if leaf i is argument i.
  std::optional<std::vector<size_t>> argLeaves;
  nanobind::object unflatten;
  /// What to call if the outcome of the code's checks, its last two results,
  /// is a failure; None if it has no checks.
  nanobind::object onFailure;
  /// The arguments that are written to. What they hold after the call are the
  /// last results before the outcome of checks.
  std::vector<size_t> written;
  /// What to call with a tuple of the arguments where such an array is
  /// read-only, or seems to share memory with another argument.
  nanobind::object onConflict;
  nanobind::object payload;
};

/// Adds `Specialization` to the module.
void bindSpecialization(nanobind::module_ &module);

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_SPECIALIZATION_H
