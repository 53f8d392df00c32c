//===- PtxComparisons.h - Comparisons that ptxas folds wrongly --*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_PTXCOMPARISONS_H
#define GRADOPT_RUNTIME_PTXCOMPARISONS_H

namespace llvm {
class Module;
} // namespace llvm

namespace mlir::grad {

/// Rewrites comparisons that hold for all numbers, but not for NaN: |x| >= c
/// and |x| > c for c below zero, and what says the same of -|x|. The assembler
/// of PTX (seen with 13.0, in f32) takes them for true of NaN, too. What they
/// ask for is whether x is a number, and it understands that.
void spellOutComparisons(llvm::Module &module);

} // namespace mlir::grad

#endif // GRADOPT_RUNTIME_PTXCOMPARISONS_H
