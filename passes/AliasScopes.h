//===- AliasScopes.h - Which buffers of the arena are distinct --*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_ALIASSCOPES_H
#define GRADOPT_PASSES_ALIASSCOPES_H

#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/DenseMap.h"

namespace mlir::grad {

/// What LLVM may assume about one access to the arena.
struct AliasInfo {
  ArrayAttr scopes;
  ArrayAttr noalias;
};

/// For each `memref.load` and `memref.store` of a buffer in an arena, inside of
/// a loop: the buffers that the same loop nest accesses elsewhere in the arena.
/// Without this, LLVM would see one object, and neither keep accumulators in
/// registers nor vectorize. Buffers that share bytes are not told apart,
/// because one takes the place of the other in the course of the program.
using AliasScopes = llvm::DenseMap<Operation *, AliasInfo>;

AliasScopes computeAliasScopes(ModuleOp module);

/// Loads and stores of memory listed in `scopes` => those of the LLVM dialect,
/// with `alias_scopes` and `noalias_scopes`.
void populateAliasScopePatterns(const LLVMTypeConverter &converter,
                                const AliasScopes &scopes,
                                RewritePatternSet &patterns);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_ALIASSCOPES_H
