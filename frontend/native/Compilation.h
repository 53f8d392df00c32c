//===- Compilation.h - Compiling in a thread of its own ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The compiler takes a program as text or bytecode and shares nothing with
// Python: each compilation has an MLIR context that nobody else uses, and runs
// in a thread of its own, which needs no GIL. So a caller can stop waiting at
// any time; the compilation then ends at its next step, by itself.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_COMPILATION_H
#define GRADOPT_NATIVE_COMPILATION_H

#include "Diagnostics.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace gradopt::native {

struct CompilationRequest {
  /// MLIR as text or bytecode.
  std::string program;
  /// What object code is kept under, a SHA-256 of all that it depends on but
  /// the machine and the compiler; if empty, it is not kept.
  std::string key;
  /// The stage that it is in, and the stage to bring it to; or "llvm_ir",
  /// "assembly", "object" for what follows the last stage, or "sparsity".
  std::string source, target;
  /// For "sparsity": the arguments and results that the columns and rows of
  /// the pattern stand for, whether it is that of a symmetric matrix, and
  /// integers of arguments that are known.
  std::vector<int64_t> wrt, of;
  bool isSymmetric = false;
  std::map<int64_t, std::vector<int64_t>> known;
  bool fastMath = false;
  /// Options of `--grad-to-cpu` or `--grad-to-cuda` in their textual form.
  std::string options;
  /// Whether MLIR text has source locations.
  bool locations = false;
  /// A level of CPUs to generate code for; if empty, this CPU.
  std::string cpu;
  /// A GPU, such as "sm_90", or "emulated"; then "assembly" is PTX, and
  /// "object" a program for a device.
  std::string chip;
  /// The directory of a `CodeStore` for object code; none if empty.
  std::string store;
};

struct CompilationResult {
  /// MLIR, LLVM IR, assembly, object code or a program for a device; or a
  /// pattern (`Sparsity`).
  std::string output;
  /// What a call needs, where the stage "bufferized" was passed.
  size_t arenaBytes = 0;
  /// Only where the program was lowered.
  size_t tapeBytes = 0;
  std::vector<Diagnostic> diagnostics;
  /// The steps that were taken, by the names that stage() gives them.
  std::vector<std::pair<const char *, double>> seconds;
  /// Why there is no output; empty if there is one.
  std::string error;
  /// Why the store was not used; empty if it was, or is just not there.
  std::string storeMessage;
};

/// To be used by one thread at a time.
class Compilation {
public:
  /// Starts it. Null, with a message, if the request makes no sense.
  static std::unique_ptr<Compilation> start(CompilationRequest request,
                                            std::string &message);
  /// Tells the thread that nobody waits any more.
  ~Compilation();

  /// Waits for at most `seconds`; whether it is done.
  bool wait(double seconds);

  /// The result of a compilation that is done.
  const CompilationResult &result() const;

  /// What it is at: "grad" while the program is read, then the stage it is
  /// being brought to, at last "translate", "optimize" and "emit" for LLVM.
  const char *stage() const;

private:
  class Work;
  explicit Compilation(std::shared_ptr<Work> work) : work(std::move(work)) {}

  std::shared_ptr<Work> work;
};

/// Programs for which object code was generated.
unsigned programsCompiled();

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_COMPILATION_H
