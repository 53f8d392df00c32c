//===- KernelWriterTeam.cpp - Kernels of one block ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The threads of one block go through a kernel together: they all calculate
/// what it does with numbers, and take the same branches; nests are divided
/// among them; one of them stores numbers. They wait for each other behind all
/// that writes.
///
//===----------------------------------------------------------------------===//

#include "dialect/Foreign.h"
#include "passes/KernelWriter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace mlir::grad;
using linalg::LinalgOp;

bool mlir::grad::isAnytime(Operation *op) {
  if (isa<LinalgOp>(op) || op->getNumRegions() != 0)
    return false;
  auto load = dyn_cast<memref::LoadOp>(op);
  if (!load)
    return isMemoryEffectFree(op);
  auto argument = dyn_cast<BlockArgument>(load.getMemRef());
  auto kernel =
      argument ? dyn_cast<gpu::GPUFuncOp>(argument.getOwner()->getParentOp())
               : gpu::GPUFuncOp();
  return kernel && argument.getArgNumber() < kernel.getNumArguments() &&
         kernel.getArgAttr(argument.getArgNumber(),
                           LLVM::LLVMDialect::getNoAliasAttrName()) &&
         llvm::all_of(argument.getUsers(), llvm::IsaPred<memref::LoadOp>);
}

void KernelWriter::shareTemporaries() {
  gpu::GPUFuncOp kernel = team.kernel;
  SmallVector<memref::AllocOp> temporaries;
  kernel.walk([&](memref::AllocOp op) {
    if (gpu::GPUDialect::hasWorkgroupMemoryAddressSpace(op.getType()))
      temporaries.push_back(op);
  });
  for (memref::AllocOp op : temporaries)
    rewriter.replaceOp(
        op, kernel.addWorkgroupAttribution(op.getType(), op.getLoc()));
}

void KernelWriter::chooseTeam() {
  constexpr int64_t kMostThreads = 256, kWarp = 32;
  int64_t most = 0;
  team.kernel.walk([&](LinalgOp op) {
    most = std::max(most, ThreadedNest(op).getNumIterations());
  });
  if (most > 1)
    team.numThreads =
        std::clamp<int64_t>(llvm::PowerOf2Ceil(most), kWarp, kMostThreads);
}

void KernelWriter::waitBefore(Operation *op) {
  Operation *previous = op->getPrevNode();
  while (previous && !isa<gpu::BarrierOp>(previous) && isAnytime(previous))
    previous = previous->getPrevNode();
  bool isStart = !previous && op->getParentOp() == team.kernel;
  if (!isStart && !isa_and_nonnull<gpu::BarrierOp>(previous))
    wait(op->getLoc());
}

LogicalResult KernelWriter::writeOp(Operation *op) {
  Location loc = op->getLoc();
  rewriter.setInsertionPoint(op);
  if (auto nest = dyn_cast<LinalgOp>(op)) {
    waitBefore(op);
    SmallVector<Value> inits(nest.getNumDpsInits());
    ThreadedNest(nest).write(rewriter, team, inits);
    wait(loc);
    rewriter.eraseOp(op);
    return success();
  }
  if (isa<memref::StoreOp>(op)) {
    if (team.numThreads == 1)
      return success();
    waitBefore(op);
    Value zero = arith::ConstantIndexOp::create(rewriter, loc, 0);
    Value isFirst = arith::CmpIOp::create(
        rewriter, loc, arith::CmpIPredicate::eq, team.thread, zero);
    auto first = scf::IfOp::create(rewriter, loc, isFirst);
    wait(loc);
    op->moveBefore(first.thenBlock()->getTerminator());
    return success();
  }
  if (isa<scf::ForOp, scf::WhileOp, scf::IfOp, scf::IndexSwitchOp,
          scf::ExecuteRegionOp>(op)) {
    for (Region &region : op->getRegions())
      for (Block &block : region)
        if (failed(writeBlock(block)))
          return failure();
    return success();
  }
  if (isa<memref::LoadOp>(op) ||
      (op->getNumRegions() == 0 && isMemoryEffectFree(op)))
    return success();
  return op->emitOpError(
      isHostCall(op)
          ? "calls code of the host, which the kernel of a GPU cannot do"
          : "expected an op that the kernel of a GPU can have");
}

LogicalResult KernelWriter::writeBlock(Block &block) {
  SmallVector<Operation *> ops = llvm::map_to_vector(
      block.without_terminator(), [](Operation &op) { return &op; });
  for (Operation *op : ops)
    if (failed(writeOp(op)))
      return failure();
  return success();
}
