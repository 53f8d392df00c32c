//===- KernelWriterChunks.cpp - Kernels that are two ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A reduction of much to little, or a scan, is divided into chunks, for which
/// there are as many blocks. What these find is put into scratch memory, and a
/// second kernel goes on with that.
///
//===----------------------------------------------------------------------===//

#include "passes/KernelWriter.h"
#include "passes/ScanLoops.h"
#include "passes/TiledNest.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace mlir::grad;
using linalg::LinalgOp;

/// Adds arguments, which are parts of the arena, to a kernel.
static void addArguments(gpu::GPUFuncOp kernel, ArrayRef<MemRefType> types) {
  MLIRContext *context = kernel.getContext();
  auto attrs = DictionaryAttr::get(
      context, {getKernelAlignment(context),
                NamedAttribute(LLVM::LLVMDialect::getNoAliasAttrName(),
                               UnitAttr::get(context))});
  for (MemRefType type : types)
    (void)kernel.insertArgument(kernel.getNumArguments(), type, attrs,
                                kernel.getLoc());
}

gpu::GPUFuncOp KernelWriter::copyWithScratch(StringRef suffix) {
  addArguments(team.kernel, scratchTypes);
  rewriter.setInsertionPointAfter(team.kernel);
  auto copy = cast<gpu::GPUFuncOp>(rewriter.clone(*team.kernel));
  copy.setName((team.kernel.getName() + suffix).str());
  return copy;
}

gpu::GPUFuncOp KernelWriter::divideReduction(LinalgOp op) {
  ThreadedNest nest(op);
  nest.chooseThreads(/*hasScratch=*/true);
  if (auto tiled = TiledNest::match(op))
    nest.setNumChunks(tiled->chooseChunks());
  if (nest.getNumChunks() == 1)
    return nullptr;
  scratchTypes = nest.getScratchTypes();
  gpu::GPUFuncOp second = copyWithScratch("_sum");
  SmallVector<linalg::FillOp> fills;
  auto whole = KernelWriter(second).findOnlyNest(fills);
  rewriter.setInsertionPoint(whole);
  ThreadedNest wholeNest(whole);
  wholeNest.addUpChunks(rewriter,
                        second.getArguments().take_back(scratchTypes.size()));
  rewriter.eraseOp(whole);
  return second;
}

gpu::GPUFuncOp KernelWriter::divideScan() {
  Operation *only = findOnlyOp();
  auto scan = only ? ScanLoops::match(only) : std::nullopt;
  if (!scan || scan->getNumChunks() == 1)
    return nullptr;
  scanPhase = ScanPhase::Totals;
  scratchTypes = {scan->getScratchType()};
  return copyWithScratch("_scan");
}

gpu::GPUFuncOp KernelWriter::divide() {
  prepare();
  SmallVector<linalg::FillOp> fills;
  if (LinalgOp nest = findOnlyNest(fills))
    return divideReduction(nest);
  return divideScan();
}
