//===- LongSums.cpp - Sums that the code generator need not see -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Scalar evolution looks through additions, shifts by a constant and casts, and
// not through `freeze`, which costs no instruction.
//
//===----------------------------------------------------------------------===//

#include "runtime/LongSums.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/PostOrderIterator.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/Function.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/Module.h"

namespace {

/// More than addresses have, which are to be analysed.
constexpr unsigned kMaxTerms = 8;

/// Counts the terms of sums in one function.
class Terms {
public:
  /// Of a value whose operands have been counted.
  unsigned count(const llvm::Instruction &value) {
    unsigned terms = 1;
    if (value.getOpcode() == llvm::Instruction::Add ||
        value.getOpcode() == llvm::Instruction::Sub)
      terms = of(value.getOperand(0)) + of(value.getOperand(1));
    else if (llvm::isa<llvm::CastInst>(value) ||
             (value.getOpcode() == llvm::Instruction::Shl &&
              llvm::isa<llvm::ConstantInt>(value.getOperand(1))))
      terms = of(value.getOperand(0));
    counts[&value] = terms;
    return terms;
  }

  void set(const llvm::Value *value, unsigned terms) { counts[value] = terms; }

private:
  unsigned of(const llvm::Value *value) const {
    auto known = counts.find(value);
    return known == counts.end() ? 1 : known->second;
  }

  llvm::DenseMap<const llvm::Value *, unsigned> counts;
};

} // namespace

static void hideLongSums(llvm::Function &function) {
  Terms terms;
  llvm::ReversePostOrderTraversal<llvm::Function *> blocks(&function);
  for (llvm::BasicBlock *block : blocks)
    for (llvm::Instruction &value : llvm::make_early_inc_range(*block)) {
      if (!value.getType()->isIntegerTy() || terms.count(value) < kMaxTerms)
        continue;
      auto *frozen =
          new llvm::FreezeInst(&value, "", std::next(value.getIterator()));
      value.replaceUsesWithIf(
          frozen, [&](llvm::Use &use) { return use.getUser() != frozen; });
      terms.set(frozen, 1);
    }
}

void mlir::grad::hideLongSums(llvm::Module &module) {
  for (llvm::Function &function : module)
    if (!function.isDeclaration())
      ::hideLongSums(function);
}
