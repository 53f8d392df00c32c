//===- ArgumentAttrs.cpp - Attributes of all arguments at once ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/ArgumentAttrs.h"

using namespace mlir;

void mlir::grad::updateArgumentAttrs(
    FunctionOpInterface func,
    llvm::function_ref<void(unsigned, NamedAttrList &)> update) {
  SmallVector<DictionaryAttr> updated;
  for (unsigned i = 0, e = func.getNumArguments(); i < e; ++i) {
    NamedAttrList attrs(func.getArgAttrDict(i));
    update(i, attrs);
    updated.push_back(attrs.getDictionary(func.getContext()));
  }
  func.setAllArgAttrs(updated);
}
