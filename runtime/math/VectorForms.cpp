//===- VectorForms.cpp - Rare slow paths inside vector loops --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/math/VectorForms.h"

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/MDBuilder.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/VFABIDemangler.h"
#include "llvm/Transforms/IPO/AlwaysInliner.h"
#include "llvm/Transforms/IPO/GlobalDCE.h"
#include "llvm/Transforms/Utils/ModuleUtils.h"

#include <string>

using namespace llvm;

namespace {

/// The numbers of lanes that a loop may be vectorized for.
constexpr unsigned kWidths[] = {2, 4, 8, 16, 32};

/// Marks a declared vector form; the value is the name of the scalar function.
constexpr StringLiteral kFormOf = "gradopt-vector-form-of";

bool isSlowPath(const Function &function) {
  return function.getName().starts_with("gradopt_") &&
         function.getName().contains("_huge_") && function.arg_size() == 1;
}

/// vector<W x T> form(vector<W x T> x): a loop over the lanes of `scalar` if
/// one of them differs from 0, else 0.
void defineForm(Function &form, Function &scalar) {
  auto *type = cast<llvm::FixedVectorType>(form.getReturnType());
  LLVMContext &context = form.getContext();
  Value *x = form.getArg(0);
  Value *zero = Constant::getNullValue(type);

  auto *entry = BasicBlock::Create(context, "entry", &form);
  auto *lane = BasicBlock::Create(context, "lane", &form);
  auto *exit = BasicBlock::Create(context, "exit", &form);

  IRBuilder<> builder(entry);
  Value *any = builder.CreateOrReduce(builder.CreateFCmpUNE(x, zero));
  builder.CreateCondBr(any, lane, exit,
                       MDBuilder(context).createUnlikelyBranchWeights());

  builder.SetInsertPoint(lane);
  PHINode *index = builder.CreatePHI(builder.getInt64Ty(), 2, "index");
  PHINode *partial = builder.CreatePHI(type, 2, "partial");
  Value *value =
      builder.CreateCall(&scalar, builder.CreateExtractElement(x, index));
  Value *result = builder.CreateInsertElement(partial, value, index);
  Value *next = builder.CreateAdd(index, builder.getInt64(1));
  Value *last =
      builder.CreateICmpEQ(next, builder.getInt64(type->getNumElements()));
  builder.CreateCondBr(last, exit, lane);
  index->addIncoming(builder.getInt64(0), entry);
  index->addIncoming(next, lane);
  partial->addIncoming(zero, entry);
  partial->addIncoming(result, lane);

  builder.SetInsertPoint(exit);
  PHINode *returned = builder.CreatePHI(type, 2);
  returned->addIncoming(zero, entry);
  returned->addIncoming(result, lane);
  builder.CreateRet(returned);

  form.setLinkage(GlobalValue::InternalLinkage);
  form.addFnAttr(Attribute::AlwaysInline);
  // Its caller was compiled for the same machine as the scalar function.
  for (StringRef name : {"target-cpu", "target-features"})
    if (scalar.hasFnAttribute(name))
      form.addFnAttr(scalar.getFnAttribute(name));
}

struct DefineVectorFormsPass : PassInfoMixin<DefineVectorFormsPass> {
  static bool isRequired() { return true; }

  PreservedAnalyses run(Module &module, ModuleAnalysisManager &) {
    SmallVector<Function *> forms;
    for (Function &function : module)
      if (function.hasFnAttribute(kFormOf))
        forms.push_back(&function);
    if (forms.empty())
      return PreservedAnalyses::all();

    removeFromUsedLists(module, [](Constant *constant) {
      auto *function = dyn_cast<Function>(constant);
      return function &&
             (function->hasFnAttribute(kFormOf) || isSlowPath(*function));
    });
    for (Function *form : forms) {
      form->removeDeadConstantUsers();
      Function *scalar =
          module.getFunction(form->getFnAttribute(kFormOf).getValueAsString());
      if (form->use_empty())
        form->eraseFromParent();
      else
        defineForm(*form, *scalar);
    }
    return PreservedAnalyses::none();
  }
};

} // namespace

void mlir::grad::declareVectorForms(Module &module) {
  SmallVector<Function *> slowPaths;
  for (Function &function : module)
    if (!function.isDeclaration() && isSlowPath(function))
      slowPaths.push_back(&function);

  SmallVector<GlobalValue *> kept;
  for (Function *scalar : slowPaths) {
    std::string mappings;
    for (unsigned width : kWidths) {
      std::string name = (scalar->getName() + "_v" + Twine(width)).str();
      auto *type = llvm::FixedVectorType::get(scalar->getReturnType(), width);
      Function *form = Function::Create(
          llvm::FunctionType::get(type, {type}, /*isVarArg=*/false),
          GlobalValue::ExternalLinkage, name, module);
      form->setDoesNotAccessMemory();
      form->setDoesNotThrow();
      form->setWillReturn();
      form->addFnAttr(kFormOf, scalar->getName());
      kept.push_back(form);
      mappings +=
          (mappings.empty() ? "" : ",") + ("_ZGV_LLVM_N" + Twine(width) + "v_" +
                                           scalar->getName() + "(" + name + ")")
                                              .str();
    }
    scalar->addFnAttr(VFABI::MappingsAttrName, mappings);
    kept.push_back(scalar);
  }
  // Nothing calls the forms before the vectorizer does, nor the slow paths once
  // it has replaced every call.
  appendToCompilerUsed(module, kept);
}

void mlir::grad::addVectorFormPasses(ModulePassManager &passes) {
  passes.addPass(DefineVectorFormsPass());
  passes.addPass(AlwaysInlinerPass(/*InsertLifetime=*/false));
  passes.addPass(GlobalDCEPass());
}
