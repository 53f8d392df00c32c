//===- ArgumentAttrs.h - Attributes of all arguments at once ----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_ARGUMENTATTRS_H
#define GRADOPT_PASSES_ARGUMENTATTRS_H

#include "mlir/Interfaces/FunctionInterfaces.h"

namespace mlir::grad {

/// Lets `update` change the attributes of each argument of `func`, given with
/// its number. Setting those of one argument makes a list of all, which the
/// context keeps for good.
void updateArgumentAttrs(
    FunctionOpInterface func,
    llvm::function_ref<void(unsigned, NamedAttrList &)> update);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_ARGUMENTATTRS_H
