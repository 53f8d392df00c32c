//===- VectorForms.h - Rare slow paths inside vector loops -------*- C++
//-*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A few functions of the math library have arguments that need a long scalar
// computation, such as sin(1e300). Their straight-line code calls a scalar
// function for these, gradopt_<name>_huge_<type>, with 0 in place of every
// argument that is not one of them; f(0) is not looked at.
//
// A call would keep a loop from being vectorized. So these functions are
// declared to have vector forms (LLVM's vector function ABI). After
// vectorization the forms in use get bodies and are inlined: they test whether
// any lane differs from 0, which is all that the slow path costs a loop that
// has no use for it.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_MATH_VECTORFORMS_H
#define GRADOPT_RUNTIME_MATH_VECTORFORMS_H

#include "llvm/IR/PassManager.h"

namespace mlir::grad {

/// Declares the vector forms of the slow paths in `module`: to be called after
/// the math library was linked into it and before it is optimised.
void declareVectorForms(llvm::Module &module);

/// Adds what gives the vector forms in use their bodies and inlines them: the
/// last passes over the module.
void addVectorFormPasses(llvm::ModulePassManager &passes);

} // namespace mlir::grad

#endif // GRADOPT_RUNTIME_MATH_VECTORFORMS_H
