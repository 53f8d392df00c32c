//===- HalfConversions.cpp - f16 where the CPU has none -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Exponents are 5 bits with the bias 15 in f16, 8 bits with the bias 127 in
// f32; fractions have 10 and 23 bits.
//
//===----------------------------------------------------------------------===//

#include "runtime/HalfConversions.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/Module.h"

using llvm::Value;

/// The bits of an f16, moved to the places that they have in an f32, are a
/// number that is smaller by 2^112, subnormal or not.
static Value *widen(llvm::IRBuilder<> &b, Value *half) {
  Value *bits =
      b.CreateZExt(b.CreateBitCast(half, b.getInt16Ty()), b.getInt32Ty());
  Value *magnitude = b.CreateShl(b.CreateAnd(bits, 0x7fff), 13);
  Value *scaled = b.CreateFMul(b.CreateBitCast(magnitude, b.getFloatTy()),
                               llvm::ConstantFP::get(b.getFloatTy(), 0x1p112));
  Value *isFinite = b.CreateICmpULT(magnitude, b.getInt32(0x7c00 << 13));
  Value *number =
      b.CreateSelect(isFinite, b.CreateBitCast(scaled, b.getInt32Ty()),
                     b.CreateOr(magnitude, 0x7f800000));
  Value *sign = b.CreateShl(b.CreateAnd(bits, 0x8000), 16);
  return b.CreateBitCast(b.CreateOr(number, sign), b.getFloatTy());
}

/// Rounds to nearest even.
static Value *narrow(llvm::IRBuilder<> &b, Value *x) {
  Value *bits = b.CreateBitCast(x, b.getInt32Ty());
  Value *magnitude = b.CreateAnd(bits, 0x7fffffff);
  // Too large, infinite, NaN.
  Value *isNaN = b.CreateICmpUGT(magnitude, b.getInt32(0x7f800000));
  Value *large = b.CreateSelect(isNaN, b.getInt32(0x7e00), b.getInt32(0x7c00));
  Value *isLarge = b.CreateICmpUGE(magnitude, b.getInt32(143u << 23));
  // Subnormal: the sum with 1/2 has the last place of f16.
  Value *sum = b.CreateFAdd(b.CreateBitCast(magnitude, b.getFloatTy()),
                            llvm::ConstantFP::get(b.getFloatTy(), 0.5));
  Value *small =
      b.CreateSub(b.CreateBitCast(sum, b.getInt32Ty()), b.getInt32(126u << 23));
  Value *isSmall = b.CreateICmpULT(magnitude, b.getInt32(113u << 23));
  Value *odd = b.CreateAnd(b.CreateLShr(magnitude, 13), 1);
  Value *moved = b.CreateAdd(magnitude, b.getInt32(0xfff - (112u << 23)));
  Value *normal = b.CreateLShr(b.CreateAdd(moved, odd), 13);
  Value *number =
      b.CreateSelect(isLarge, large, b.CreateSelect(isSmall, small, normal));
  Value *sign = b.CreateAnd(b.CreateLShr(bits, 16), 0x8000);
  return b.CreateBitCast(
      b.CreateTrunc(b.CreateOr(number, sign), b.getInt16Ty()), b.getHalfTy());
}

void mlir::grad::expandHalfConversions(llvm::Module &module) {
  llvm::SmallVector<llvm::CastInst *> conversions;
  for (llvm::Function &function : module)
    for (llvm::Instruction &instruction : llvm::instructions(function))
      if (auto *cast = llvm::dyn_cast<llvm::CastInst>(&instruction))
        if ((cast->getSrcTy()->isHalfTy() && cast->getDestTy()->isFloatTy() &&
             llvm::isa<llvm::FPExtInst>(cast)) ||
            (cast->getSrcTy()->isFloatTy() && cast->getDestTy()->isHalfTy() &&
             llvm::isa<llvm::FPTruncInst>(cast)))
          conversions.push_back(cast);
  for (llvm::CastInst *cast : conversions) {
    llvm::IRBuilder<> builder(cast);
    llvm::Value *x = cast->getOperand(0);
    cast->replaceAllUsesWith(cast->getSrcTy()->isHalfTy() ? widen(builder, x)
                                                          : narrow(builder, x));
    cast->eraseFromParent();
  }
}

/// The integers with the bits of a bfloat, or of a vector of them; null of
/// another type.
static llvm::Type *findBrainBits(llvm::Type *type) {
  if (!type->getScalarType()->isBFloatTy())
    return nullptr;
  llvm::Type *bits = llvm::Type::getInt16Ty(type->getContext());
  if (auto *vector = llvm::dyn_cast<llvm::VectorType>(type))
    return llvm::VectorType::get(bits, vector->getElementCount());
  return bits;
}

/// `value`, a bfloat, as an integer; without a cast if it is one of an integer.
static Value *asBrainBits(llvm::IRBuilder<> &b, Value *value,
                          llvm::Type *bits) {
  auto *cast = llvm::dyn_cast<llvm::BitCastInst>(value);
  if (cast && cast->getSrcTy() == bits)
    return cast->getOperand(0);
  return b.CreateBitCast(value, bits);
}

void mlir::grad::moveBrainAsIntegers(llvm::Module &module) {
  llvm::SmallVector<llvm::Instruction *> moves;
  for (llvm::Function &function : module)
    for (llvm::Instruction &instruction : llvm::instructions(function))
      if (llvm::isa<llvm::PHINode, llvm::LoadInst, llvm::StoreInst,
                    llvm::SelectInst, llvm::ExtractElementInst,
                    llvm::InsertElementInst>(instruction))
        moves.push_back(&instruction);
  for (llvm::Instruction *move : moves) {
    llvm::IRBuilder<> builder(move);
    llvm::Value *moved = nullptr;
    if (auto *store = llvm::dyn_cast<llvm::StoreInst>(move)) {
      llvm::Value *value = store->getValueOperand();
      if (llvm::Type *bits = findBrainBits(value->getType()))
        store->setOperand(0, asBrainBits(builder, value, bits));
      continue;
    }
    llvm::Type *bits = findBrainBits(move->getType());
    if (!bits)
      continue;
    if (auto *phi = llvm::dyn_cast<llvm::PHINode>(move)) {
      auto *other = builder.CreatePHI(bits, phi->getNumIncomingValues());
      for (auto [value, block] :
           llvm::zip_equal(phi->incoming_values(), phi->blocks())) {
        llvm::IRBuilder<> before(block->getTerminator());
        other->addIncoming(asBrainBits(before, value, bits), block);
      }
      moved = other;
      builder.SetInsertPoint(phi->getParent(),
                             phi->getParent()->getFirstInsertionPt());
    } else if (auto *load = llvm::dyn_cast<llvm::LoadInst>(move)) {
      auto *other =
          builder.CreateAlignedLoad(bits, load->getPointerOperand(),
                                    load->getAlign(), load->isVolatile());
      other->copyMetadata(*load);
      moved = other;
    } else if (auto *read = llvm::dyn_cast<llvm::ExtractElementInst>(move)) {
      llvm::Value *from = read->getVectorOperand();
      moved = builder.CreateExtractElement(
          asBrainBits(builder, from, findBrainBits(from->getType())),
          read->getIndexOperand());
    } else if (auto *write = llvm::dyn_cast<llvm::InsertElementInst>(move)) {
      llvm::Value *element = write->getOperand(1);
      moved = builder.CreateInsertElement(
          asBrainBits(builder, write->getOperand(0), bits),
          asBrainBits(builder, element, findBrainBits(element->getType())),
          write->getOperand(2));
    } else {
      auto *choice = llvm::cast<llvm::SelectInst>(move);
      moved = builder.CreateSelect(
          choice->getCondition(),
          asBrainBits(builder, choice->getTrueValue(), bits),
          asBrainBits(builder, choice->getFalseValue(), bits));
    }
    move->replaceAllUsesWith(builder.CreateBitCast(moved, move->getType()));
  }
  for (llvm::Instruction *move : llvm::reverse(moves))
    if (move->use_empty() && !llvm::isa<llvm::StoreInst>(move))
      move->eraseFromParent();
  // There and back again.
  for (llvm::Function &function : module)
    for (llvm::Instruction &instruction :
         llvm::make_early_inc_range(llvm::instructions(function))) {
      auto *back = llvm::dyn_cast<llvm::BitCastInst>(&instruction);
      auto *there = back
                        ? llvm::dyn_cast<llvm::BitCastInst>(back->getOperand(0))
                        : nullptr;
      if (!there || there->getSrcTy() != back->getDestTy() ||
          !findBrainBits(back->getSrcTy()))
        continue;
      back->replaceAllUsesWith(there->getOperand(0));
      back->eraseFromParent();
    }
}
