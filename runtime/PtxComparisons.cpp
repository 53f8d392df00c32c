//===- PtxComparisons.cpp - Comparisons that ptxas folds wrongly ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/PtxComparisons.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/PatternMatch.h"

using namespace llvm;
using namespace llvm::PatternMatch;

/// The x of a comparison that holds for all |x| but NaN; null if it is another.
static Value *comparedNumber(const FCmpInst &comparison) {
  CmpInst::Predicate predicate = comparison.getPredicate();
  Value *left = comparison.getOperand(0), *right = comparison.getOperand(1);
  if (isa<Constant>(left)) {
    predicate = CmpInst::getSwappedPredicate(predicate);
    std::swap(left, right);
  }
  const APFloat *constant;
  if (!match(right, m_APFloat(constant)) || constant->isNaN())
    return nullptr;
  APFloat limit = *constant;
  Value *number;
  if (match(left, m_FNeg(m_FAbs(m_Value(number))))) {
    predicate = CmpInst::getSwappedPredicate(predicate);
    limit.changeSign();
  } else if (!match(left, m_FAbs(m_Value(number)))) {
    return nullptr;
  }
  bool isBelowZero = limit.isNegative() && !limit.isZero();
  bool holds = predicate == CmpInst::FCMP_OGT   ? isBelowZero
               : predicate == CmpInst::FCMP_OGE ? isBelowZero || limit.isZero()
                                                : false;
  return holds ? number : nullptr;
}

/// Rewrites `instruction` if it is such a comparison.
static void spellOut(Instruction &instruction) {
  auto *comparison = dyn_cast<FCmpInst>(&instruction);
  Value *number = comparison ? comparedNumber(*comparison) : nullptr;
  if (!number)
    return;
  IRBuilder<> builder(comparison);
  comparison->replaceAllUsesWith(builder.CreateFCmpORD(number, number));
  comparison->eraseFromParent();
}

void mlir::grad::spellOutComparisons(llvm::Module &module) {
  for (llvm::Function &function : module)
    for (Instruction &instruction :
         llvm::make_early_inc_range(llvm::instructions(function)))
      spellOut(instruction);
}
