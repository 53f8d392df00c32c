//===- Executable.h - Loaded code and its arrays ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_EXECUTABLE_H
#define GRADOPT_NATIVE_EXECUTABLE_H

#include "Arrays.h"

#include "runtime/gradopt_runtime.h"

#include <memory>
#include <vector>

namespace gradopt::native {

/// The C++ part of a Python `Executable`.
class Executable {
public:
  /// Loads the code; throws nanobind::python_error. `donated` has for each
  /// result whose memory is that of an argument a (result, argument, name)
  /// triple. `report` raises the errors in the use of donated arrays. `targets`
  /// has an (address, callable) pair for each function that the code calls.
  /// Address 0 stands for the callable, see callPythonTarget(); else that gets
  /// what the function at the address returned, if this is not 0, and raises.
  Executable(nanobind::bytes code, nanobind::handle args,
             nanobind::handle results, size_t arenaBytes,
             nanobind::handle captures, nanobind::handle targets,
             nanobind::handle donated, nanobind::object report,
             const std::string &entry);

  /// Takes a program of a bundle, which `owner` keeps open. Arguments in whose
  /// memory results are computed are copied. `report` raises what a call that
  /// failed is told, too.
  Executable(gradopt_program *program, nanobind::object owner,
             nanobind::object report);

  /// Runs the code on leaves that the arguments' specs accept, and appends the
  /// results (new references) to `out`. False if a Python error was set; `out`
  /// is then unchanged.
  bool run(Span<PyObject *> leaves, Vector<PyObject *> &out) const;

  int traverse(visitproc visit, void *arg) const;

  Span<ArraySpec> getArgs() const { return args; }
  Span<ArraySpec> getResults() const { return results; }
  size_t argumentBytes() const { return totalBytes(args); }
  /// Of results with memory of their own.
  size_t resultBytes() const;
  size_t captureBytes() const { return capturesBytes; }
  size_t arenaBytes() const {
    return program ? gradopt_program_arena_bytes(program)
                   : gradopt_module_arena_bytes(module.get());
  }

private:
  static size_t totalBytes(Span<ArraySpec> specs);
  void setTargets(nanobind::handle pairs);
  void setDonations(nanobind::handle triples);
  void raiseTargetError() const;
  void raiseProgramError(gradopt_status status) const;
  void chooseGil();
  gradopt_status callCode(Vector<void *> &buffers) const;
  bool checkLive(Span<PyObject *> leaves) const;
  bool makeDonated(Span<PyObject *> leaves, Vector<void *> &buffers,
                   Vector<PyObject *> &made) const;

  /// A result in the memory of an argument; of a copy, if there is no name.
  struct Donation {
    size_t result, argument;
    nanobind::object name;
  };

  struct Unload {
    void operator()(gradopt_module *module) const {
      gradopt_module_unload(module);
    }
  };

  std::vector<ArraySpec> args, results;
  std::vector<nanobind::object> captures, targets;
  /// In the order of their arguments; for each result the number of its own, or
  /// -1.
  std::vector<Donation> donations;
  std::vector<int> donationOf;
  nanobind::object report;
  size_t capturesBytes = 0;
  bool releasesGil;
  /// One of them is null.
  std::unique_ptr<gradopt_module, Unload> module;
  gradopt_program *program = nullptr;
  nanobind::object owner;
};

/// Sets `_gradopt.ExecutionError` from the runtime's last error.
void setExecutionError();

/// Adds `Executable` and `ExecutionError` to the module.
void bindExecutable(nanobind::module_ &module);

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_EXECUTABLE_H
