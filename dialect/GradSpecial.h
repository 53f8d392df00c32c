//===- GradSpecial.h - Special functions ------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The ops of GradSpecial.td. Few files need them by name; others ask
// SpecialFunction.h.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_GRADSPECIAL_H
#define GRADOPT_DIALECT_GRADSPECIAL_H

#include "dialect/GradDialect.h"
#include "dialect/SpecialFunction.h"

namespace mlir::grad {
class Expr;
} // namespace mlir::grad

#define GET_OP_CLASSES
#include "dialect/GradSpecial.h.inc"

#endif // GRADOPT_DIALECT_GRADSPECIAL_H
