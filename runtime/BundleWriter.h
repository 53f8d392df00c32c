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
  /// The largest one, or with the number that stands for the room of a call
  /// (OpenSizes.h).
  std::vector<int64_t> shape;
  /// Of a result: the number of the argument in whose memory it is, or -1.
  int64_t reused = -1;
  /// Of a constant: its elements. They have to stay where they are.
  llvm::StringRef elements = {};
  /// Dimensions whose size is another one in each call, with the number of the
  /// argument, and for a result of the result, that is this size.
  std::vector<std::pair<uint32_t, int64_t>> sizes = {};

  /// The number of the size along a dimension, or -1.
  int64_t sizeAlong(size_t dim) const;
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
  /// As the IR states it (OpenArena) where there is no largest size.
  uint64_t arenaBytes = 0;
  /// Whether that is so, and the room that there is at least.
  bool isOpen = false;
  int64_t leastRoom = 0;
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
