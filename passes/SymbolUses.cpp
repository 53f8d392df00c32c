//===- SymbolUses.cpp - Who refers to a function --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/SymbolUses.h"

using namespace mlir;

llvm::DenseMap<StringAttr, unsigned>
mlir::grad::countSymbolUses(Operation *root) {
  llvm::DenseMap<StringAttr, unsigned> uses;
  root->walk([&](Operation *op) {
    for (NamedAttribute attribute : op->getAttrs())
      attribute.getValue().walk(
          [&](SymbolRefAttr symbol) { ++uses[symbol.getRootReference()]; });
  });
  return uses;
}

bool mlir::grad::hasSymbolUses(func::FuncOp function, ModuleOp module) {
  return countSymbolUses(module).contains(function.getSymNameAttr());
}
