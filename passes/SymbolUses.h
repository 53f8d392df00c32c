//===- SymbolUses.h - Who refers to a function ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_SYMBOLUSES_H
#define GRADOPT_PASSES_SYMBOLUSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/DenseMap.h"

namespace mlir::grad {

/// How often the ops in `root` refer to a name, whichever symbol table they
/// mean: an op that nobody registered may have one, or not, and upstream's
/// tables of uses are undefined where there is such an op with regions.
llvm::DenseMap<StringAttr, unsigned> countSymbolUses(Operation *root);

/// Whether anything in `module` may refer to `function`.
bool hasSymbolUses(func::FuncOp function, ModuleOp module);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_SYMBOLUSES_H
