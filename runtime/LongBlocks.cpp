//===- LongBlocks.cpp - Blocks that LLVM takes too long for ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/LongBlocks.h"

#include "llvm/ADT/Any.h"
#include "llvm/Analysis/LoopInfo.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/Function.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/Module.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Transforms/Utils/LoopUtils.h"

namespace {

/// Instructions and accesses of memory that make a block a long one.
constexpr size_t kManyInstructions = 2048;
constexpr ptrdiff_t kManyAccesses = 256;
/// Instructions of the parts that a long block is divided into. Register
/// allocation takes longer for more of them.
constexpr unsigned kPart = 1024;

bool hasManyInstructions(const llvm::BasicBlock &block) {
  return block.size() > kManyInstructions;
}

bool hasManyAccesses(const llvm::BasicBlock &block) {
  return llvm::count_if(block, [](const llvm::Instruction &op) {
           return op.mayReadOrWriteMemory();
         }) > kManyAccesses;
}

struct KeepLongLoops : llvm::PassInfoMixin<KeepLongLoops> {
  llvm::PreservedAnalyses run(llvm::Function &function,
                              llvm::FunctionAnalysisManager &analyses) {
    for (llvm::Loop *loop :
         analyses.getResult<llvm::LoopAnalysis>(function).getLoopsInPreorder())
      if (loop->isInnermost() &&
          llvm::any_of(loop->blocks(), [](const llvm::BasicBlock *block) {
            return hasManyAccesses(*block);
          }))
        llvm::addStringMetadataToLoop(loop, "llvm.loop.vectorize.enable", 0);
    return llvm::PreservedAnalyses::all();
  }
};

} // namespace

bool mlir::grad::isTooSlow(llvm::StringRef pass, const llvm::Any &ir) {
  const auto *function = llvm::any_cast<const llvm::Function *>(&ir);
  if (!function)
    return false;
  // Compares accesses in pairs, for what the next iteration loads again.
  if (pass == "LoopLoadEliminationPass")
    return llvm::any_of(**function, hasManyAccesses);
  // Asks for each group of scalars that may become a vector what depends on it.
  return pass == "SLPVectorizerPass" &&
         llvm::any_of(**function, hasManyInstructions);
}

void mlir::grad::keepLongLoops(llvm::PassBuilder &builder) {
  builder.registerVectorizerStartEPCallback(
      [](llvm::FunctionPassManager &passes, llvm::OptimizationLevel) {
        passes.addPass(KeepLongLoops());
      });
}

/// Where parts may begin: static allocations stay in the first block of their
/// function.
static llvm::BasicBlock::iterator findFirst(llvm::BasicBlock &block) {
  auto first = block.getFirstNonPHIOrDbgOrAlloca();
  for (auto it = first; it != block.end(); ++it)
    if (llvm::isa<llvm::AllocaInst>(*it))
      first = std::next(it);
  return first;
}

/// A block with part of its instructions begins after a store, where a
/// statement ends and few values are alive, or at last anywhere. That its
/// address is taken, though nothing holds it, keeps the code generator from
/// joining the parts again.
static void divide(llvm::BasicBlock &block) {
  unsigned count = 0;
  llvm::SmallVector<llvm::BasicBlock::iterator> firsts;
  for (auto it = findFirst(block); !it->isTerminator();) {
    const llvm::Instruction &last = *it++;
    ++count;
    if (count < kPart || it->isTerminator() ||
        !(llvm::isa<llvm::StoreInst>(last) || count >= 2 * kPart))
      continue;
    firsts.push_back(it);
    count = 0;
  }
  // From the end, so that each instruction is moved once.
  for (auto first : llvm::reverse(firsts))
    llvm::BlockAddress::get(block.splitBasicBlock(first));
}

void mlir::grad::divideLongBlocks(llvm::Module &module) {
  for (llvm::Function &function : module) {
    llvm::SmallVector<llvm::BasicBlock *> blocks(
        llvm::make_pointer_range(function));
    for (llvm::BasicBlock *block : blocks)
      if (hasManyInstructions(*block))
        divide(*block);
  }
}
