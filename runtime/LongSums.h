//===- LongSums.h - Sums that the code generator need not see -----*- C++
//-*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_LONGSUMS_H
#define GRADOPT_RUNTIME_LONGSUMS_H

namespace llvm {
class Module;
}

namespace mlir::grad {

/// Hides parts of long sums of integers from the analysis of loops: to be
/// called after the optimisation of `module`. Values do not change.
///
/// The rounds of a random generator make a sum of dozens of terms, of which one
/// is the counter of a loop. Loop strength reduction tries each way to group
/// them: 90 % of the time to generate code for a loop that draws numbers.
void hideLongSums(llvm::Module &module);

} // namespace mlir::grad

#endif // GRADOPT_RUNTIME_LONGSUMS_H
