//===- HalfConversions.h - f16 where the CPU has none -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_HALFCONVERSIONS_H
#define GRADOPT_RUNTIME_HALFCONVERSIONS_H

namespace llvm {
class Module;
}

namespace mlir::grad {

/// Replaces the conversions between half and float by arithmetic that every CPU
/// has. LLVM would call functions of a library of its own.
void expandHalfConversions(llvm::Module &module);

/// Loads, stores and chooses bfloats as integers: where the CPU has no
/// instructions for them, LLVM converts vectors of them to float and back, by
/// calls of functions of its library. To be called after the optimisation.
void moveBrainAsIntegers(llvm::Module &module);

} // namespace mlir::grad

#endif // GRADOPT_RUNTIME_HALFCONVERSIONS_H
