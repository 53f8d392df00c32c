//===- Executable.h - Loaded code for the CPU -------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_EXECUTABLE_H
#define GRADOPT_NATIVE_EXECUTABLE_H

#include "Callbacks.h"
#include "Runnable.h"

#include "runtime/OpenSizes.h"
#include "runtime/gradopt_runtime.h"

#include <memory>

namespace gradopt::native {

/// What calls took: in all, and each command of a list (see
/// gradopt_call_timed).
struct CommandTimes {
  uint64_t calls = 0, ticks = 0;
  std::vector<gradopt_command_time> places;
};

/// What code for arrays with any number of rows needs to know in a call
/// (runtime/OpenSizes.h).
struct OpenSizes {
  OpenArena arena{0};
  /// What there is room for at least.
  int64_t least = 0;
  /// Arguments that are numbers of rows; none if all sizes are known.
  std::vector<size_t> arguments;

  /// Reads a tuple of these; throws nanobind::python_error.
  static OpenSizes parse(nanobind::handle parts, size_t numArguments);

  explicit operator bool() const { return !arguments.empty(); }

  /// The room of a call with arguments at these addresses.
  int64_t room(void *const *buffers) const;
};

/// Object code for the CPU, the C++ part of a Python `Executable`.
class Executable : public Runnable {
public:
  /// Loads the code; throws nanobind::python_error. `targets` are described in
  /// Callbacks.h. `open` is a tuple, see `OpenSizes`, or None; `arenaBytes` are
  /// for the least room then. For the rest see `Runnable`.
  Executable(nanobind::bytes code, nanobind::handle args,
             nanobind::handle results, size_t arenaBytes,
             nanobind::handle captures, nanobind::handle targets,
             nanobind::handle donated, nanobind::object report,
             const std::string &entry, nanobind::handle open);

  /// Takes a program of a bundle, see `Runnable`.
  Executable(gradopt_program *program, nanobind::object owner,
             nanobind::object report);

  bool accepts(size_t i, PyObject *leaf) const override {
    return args[i].accepts(leaf, classifyLeaf(leaf));
  }
  bool run(Span<PyObject *> leaves, Vector<PyObject *> &out) const override;
  int traverse(visitproc visit, void *arg) const override;
  size_t arenaBytes() const override {
    return program ? gradopt_program_arena_bytes(program, /*room=*/0)
                   : gradopt_module_arena_bytes(module.get());
  }

  /// Adds what calls take to `out` from now on; one call at a time.
  void timeCalls(CommandTimes &out) { times = &out; }

private:
  void setTargets(nanobind::handle pairs);
  void chooseGil();
  bool needsGil(int64_t room) const;
  gradopt_status callCode(void **buffers, void **end) const;
  gradopt_status callTimed(void **buffers, void **end) const;
  gradopt_status callProgram(void **buffers) const;
  void raise(gradopt_status status) const;
  size_t arenaBytesAt(int64_t room) const;
  bool makeRoom(void *const *buffers, int64_t &room) const;
  bool makeDonated(Span<PyObject *> leaves, void **buffers,
                   Vector<PyObject *> &made) const;

  struct Unload {
    void operator()(gradopt_module *module) const {
      gradopt_module_unload(module);
    }
  };

  Targets targets;
  bool releasesGil;
  OpenSizes open;
  /// Whether a call has room for as many rows as it has.
  bool hasRoom = false;
  CommandTimes *times = nullptr;
  /// One of them is null.
  std::unique_ptr<gradopt_module, Unload> module;
  gradopt_program *program = nullptr;
};

/// Sets `_gradopt.ExecutionError` from the runtime's last error.
void setExecutionError();

/// Adds `Executable` and `ExecutionError` to the module.
void bindExecutable(nanobind::module_ &module);

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_EXECUTABLE_H
