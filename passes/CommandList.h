//===- CommandList.h - Programs as lists of commands ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A function is a list of commands (runtime/Commands.h) if it and its loops
/// and branches have nothing but
///
///   * calls of kernels and of `gradopt_gemm_*`, also the `_batched_` ones of
///     devices, copies of blocks of memory;
///   * of a device, calls of functions of the host;
///   * loops and branches that are lists themselves;
///   * what says where buffers are: views, and sums of numbers.
///
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_COMMANDLIST_H
#define GRADOPT_PASSES_COMMANDLIST_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"

#include <vector>

namespace mlir::grad {

/// The attribute of a function that is a list: where the words of the
/// interpreter begin in the arena.
inline constexpr llvm::StringLiteral kFrameAttr = "grad.command_frame";
/// Bytes of its arena, and of that of a table whose sizes are open.
inline constexpr llvm::StringLiteral kArenaBytesAttr = "grad.arena_bytes";

/// Of the table that is left of a list: its kernels.
inline constexpr llvm::StringLiteral kKernelsAttr = "grad.kernels";

/// Of a matrix product: the `DeviceKernel` that calculates it on a device
/// without a library.
inline constexpr llvm::StringLiteral kKernelAttr = "grad.kernel";

/// A kernel of a GPU and how many threads it is for.
struct DeviceKernel {
  StringAttr name;
  int64_t numBlocks, numThreads;

  /// What a command launches; none if the numbers are not known.
  static std::optional<DeviceKernel> of(gpu::LaunchFuncOp op);

  Attribute toAttribute() const;
  static DeviceKernel from(Attribute attribute);
};

/// Whether `op` is a part of the operands of commands.
bool isAddress(Operation *op);

/// Whether `op` is a call of `gradopt_gemm_f64` or `gradopt_gemm_f32`, or of
/// `gradopt_gemm_batched_*`, which has all operands of such a command.
bool isProduct(Operation *op);

/// The function that says whether there is a library for products of matrices,
/// in a list for a device.
inline constexpr llvm::StringLiteral kHasLibraryName = "gradopt_has_library";

/// Whether `op` is a command by itself: a product, a copy, or the question
/// whether there is a library.
bool isCommand(Operation *op);

/// Whether `op` may become branches between commands.
bool isControlFlow(Operation *op);

/// A table of commands, and what belongs to it.
struct CommandTable {
  std::vector<int64_t> words;
  /// Symbols of functions, or attributes of `DeviceKernel`s.
  SmallVector<Attribute> kernels;
  std::vector<char> constants;
  /// Of words, and operands behind them.
  int64_t frameBytes = 0;
  /// One for each command.
  std::vector<Location> locations;
};

/// Writes the table of `list`. Fails, without a word, where it has something
/// that cannot be a command.
FailureOr<CommandTable> encodeCommands(func::FuncOp list, int64_t frame);

/// Calls `tell` for each command of a table, with its text.
void describeCommands(const CommandTable &table,
                      llvm::function_ref<void(Location, StringRef)> tell);

/// Makes the arena of `list` larger by so many bytes. Returns where they begin.
int64_t growArena(func::FuncOp list, int64_t bytes);

/// Marks `list` as one, and makes its arena larger by what the interpreter
/// needs, if it can be encoded.
void reserveFrame(func::FuncOp list);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_COMMANDLIST_H
