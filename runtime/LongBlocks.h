//===- LongBlocks.h - Blocks that LLVM takes too long for ---------*- C++ -*-=//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The statements of a loop that Python has unrolled in the body of another one
/// are a single block, of thousands of instructions. What some passes of LLVM
/// and its code generator do for a block is quadratic in its length.
///
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_LONGBLOCKS_H
#define GRADOPT_RUNTIME_LONGBLOCKS_H

namespace llvm {
class Any;
class Module;
class PassBuilder;
class StringRef;
} // namespace llvm

namespace mlir::grad {

/// Whether an optional pass would take too long for a long block in what it is
/// to run on.
bool isTooSlow(llvm::StringRef pass, const llvm::Any &ir);

/// Keeps loops with long blocks from being vectorised, which is decided after
/// all accesses of memory were compared.
void keepLongLoops(llvm::PassBuilder &builder);

/// Divides long blocks into parts: to be called after the optimisation of
/// `module`.
void divideLongBlocks(llvm::Module &module);

} // namespace mlir::grad

#endif // GRADOPT_RUNTIME_LONGBLOCKS_H
