//===- BundleWriter.h - Writing bundles -------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The other side of Bundle.cpp, part of the compiler. BundleFormat.h describes
// what is written.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_BUNDLEWRITER_H
#define GRADOPT_RUNTIME_BUNDLEWRITER_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>
#include <system_error>
#include <vector>

namespace gradopt::bundle {

struct NamedArray {
  std::string name;
  uint32_t dtype; ///< A gradopt_dtype.
  std::vector<int64_t> shape;
  /// Of a result: the number of the argument in whose memory it is, or -1.
  int64_t reused = -1;
  /// Of a constant: its elements. They have to stay where they are.
  llvm::StringRef elements = {};
};

struct NamedCheck {
  std::string message, error, file;
  uint32_t line;
};

/// Code for a level of x86-64 CPUs: 2, 3 or 4.
struct LevelCode {
  uint32_t level;
  std::string object;
};

struct CompiledProgram {
  std::string name;
  uint64_t arenaBytes = 0;
  std::vector<NamedArray> arguments, constants, results;
  std::vector<NamedCheck> checks;
  std::vector<LevelCode> code;
  /// A program for GPUs (DeviceProgram.h), or empty.
  std::string deviceCode;
};

/// The contents of a bundle. `structure` is JSON for who knows pytrees, or
/// empty. Fails where the format cannot express the programs.
llvm::Expected<std::string> makeBundle(llvm::ArrayRef<CompiledProgram> programs,
                                       llvm::StringRef structure);

/// A C header with a function for each program of the bundle in the file
/// `name`.
std::string makeHeader(llvm::StringRef name,
                       llvm::ArrayRef<CompiledProgram> programs);

/// Replaces the file as a whole, or leaves it as it was.
std::error_code replaceFile(const std::string &path, llvm::StringRef contents);

} // namespace gradopt::bundle

#endif // GRADOPT_RUNTIME_BUNDLEWRITER_H
