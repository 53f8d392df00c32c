//===- KernelWriter.cpp - Bodies of kernels of a GPU ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// How a kernel is divided among threads. One that is one nest of loops,
/// perhaps with fills of what it accumulates in, is divided among the threads
/// of as many blocks as there is work for (ThreadedNest.h, TransposedNest.h),
/// and so are loops that scatter (ScatterLoops.h), or combine each element with
/// the next (ScanLoops.h); of a product, perhaps with an epilogue, each block
/// calculates a tile (TiledNest.h). Of a loop whose iterations may run at once,
/// each is for a block, which may keep rows in registers (RowKernel.h). Small
/// matrices are factored by a thread for each row (FactorKernel.h). Anything
/// else is for the threads of one block together (KernelWriterTeam.cpp).
///
//===----------------------------------------------------------------------===//

#include "passes/KernelWriter.h"
#include "passes/Epilogue.h"
#include "passes/FactorKernel.h"
#include "passes/Kernels.h"
#include "passes/RowKernel.h"
#include "passes/ScanLoops.h"
#include "passes/ScatterLoops.h"
#include "passes/TiledNest.h"
#include "passes/TransposedNest.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace mlir::grad;
using linalg::LinalgOp;

void KernelWriter::prepare() {
  gpu::GPUFuncOp kernel = team.kernel;
  SmallVector<memref::CopyOp> copies;
  kernel.walk([&](memref::CopyOp copy) { copies.push_back(copy); });
  for (memref::CopyOp copy : copies) {
    rewriter.setInsertionPoint(copy);
    linalg::makeMemRefCopyOp(rewriter, copy.getLoc(), copy.getSource(),
                             copy.getTarget());
    rewriter.eraseOp(copy);
  }
  SmallVector<LinalgOp> nests;
  kernel.walk([&](LinalgOp nest) { nests.push_back(nest); });
  for (LinalgOp nest : nests)
    if (llvm::is_contained(nest.getStaticLoopRanges(), 0))
      rewriter.eraseOp(nest);
}

LinalgOp KernelWriter::findOnlyNest(SmallVectorImpl<linalg::FillOp> &fills) {
  LinalgOp nest;
  for (Operation &op : team.kernel.getBody().front().without_terminator()) {
    if (isAnytime(&op))
      continue;
    auto next = dyn_cast<LinalgOp>(op);
    if (!next)
      return nullptr;
    if (auto fill = dyn_cast_or_null<linalg::FillOp>(nest ? nest.getOperation()
                                                          : nullptr))
      fills.push_back(fill);
    else if (nest)
      return nullptr;
    nest = next;
  }
  if (!nest || !ThreadedNest(nest).isDivisible())
    return nullptr;
  // The fills are what the nest begins with.
  auto isOutput = [&](linalg::FillOp fill) {
    return llvm::count(nest.getDpsInits(), fill.output()) == 1 &&
           !llvm::is_contained(nest.getDpsInputs(), fill.output());
  };
  return llvm::all_of(fills, isOutput) ? nest : nullptr;
}

void KernelWriter::identifyThreads(bool hasBlocks) {
  rewriter.setInsertionPointToStart(&team.kernel.getBody().front());
  Location loc = team.kernel.getLoc();
  team.thread = gpu::ThreadIdOp::create(rewriter, loc, gpu::Dimension::x,
                                        rewriter.getIndexAttr(team.numThreads));
  if (hasBlocks)
    team.block = gpu::BlockIdOp::create(rewriter, loc, gpu::Dimension::x,
                                        rewriter.getIndexAttr(numBlocks));
}

SmallVector<Value> KernelWriter::getInits(LinalgOp nest,
                                          ArrayRef<linalg::FillOp> fills) {
  SmallVector<Value> inits(nest.getNumDpsInits());
  for (linalg::FillOp fill : fills)
    for (auto [i, init] : llvm::enumerate(nest.getDpsInits()))
      if (init == fill.output())
        inits[i] = fill.value();
  return inits;
}

void KernelWriter::writeDivided(LinalgOp op, ArrayRef<linalg::FillOp> fills) {
  ThreadedNest nest(op);
  auto tiled = TiledNest::match(op);
  auto transposed = TransposedNest::match(op);
  bool hasScratch = !scratchTypes.empty();
  auto scratch = team.kernel.getArguments().take_back(scratchTypes.size());
  int64_t numChunks = 1;
  if (tiled) {
    numChunks = hasScratch ? tiled->chooseChunks() : 1;
    team.numThreads = TileShape::kNumThreads;
    numBlocks = tiled->getNumBlocks(numChunks);
  } else if (transposed) {
    team.numThreads = TransposedNest::kNumThreads;
    numBlocks = transposed->getNumBlocks();
  } else {
    team.numThreads = nest.chooseThreads(hasScratch);
    numBlocks = nest.getNumBlocks();
  }
  identifyThreads(/*hasBlocks=*/true);
  SmallVector<Value> inits = getInits(op, fills);
  rewriter.setInsertionPoint(op);
  if (tiled)
    tiled->write(rewriter, team, inits[0], numChunks,
                 hasScratch ? scratch[0] : Value(), nest.getParallelLoops());
  else if (transposed)
    transposed->write(rewriter, team, inits);
  else
    nest.write(rewriter, team, inits, scratch);
  rewriter.eraseOp(op);
  for (linalg::FillOp fill : fills)
    rewriter.eraseOp(fill);
}

bool KernelWriter::writeWithEpilogue() {
  SmallVector<LinalgOp> nests;
  for (Operation &op : team.kernel.getBody().front().without_terminator()) {
    if (isAnytime(&op))
      continue;
    auto nest = dyn_cast<LinalgOp>(op);
    if (!nest)
      return false;
    nests.push_back(nest);
  }
  if (nests.size() < 2 || !nests.back()->hasAttr(kEpilogueAttr))
    return false;
  LinalgOp epilogue = nests.pop_back_val(), product = nests.pop_back_val();
  auto tiled = TiledNest::match(product, epilogue);
  SmallVector<linalg::FillOp> fills;
  for (LinalgOp nest : nests)
    if (auto fill = dyn_cast<linalg::FillOp>(nest.getOperation()))
      fills.push_back(fill);
  if (!tiled || fills.size() != nests.size())
    return false;
  team.numThreads = TileShape::kNumThreads;
  numBlocks = tiled->getNumBlocks(/*numChunks=*/1);
  identifyThreads(/*hasBlocks=*/true);
  SmallVector<Value> inits = getInits(product, fills);
  rewriter.setInsertionPoint(epilogue);
  tiled->write(rewriter, team, inits[0], /*numChunks=*/1, /*scratch=*/Value(),
               /*scratchLoops=*/{});
  rewriter.eraseOp(epilogue);
  rewriter.eraseOp(product);
  for (linalg::FillOp fill : fills)
    rewriter.eraseOp(fill);
  return true;
}

Operation *KernelWriter::findOnlyOp() {
  Operation *only = nullptr;
  for (Operation &op : team.kernel.getBody().front().without_terminator()) {
    if (isAnytime(&op))
      continue;
    if (only)
      return nullptr;
    only = &op;
  }
  return only;
}

bool KernelWriter::writeScatter(Operation *only) {
  constexpr int64_t kThreads = 256;
  auto scatter = only ? ScatterLoops::match(only) : std::nullopt;
  if (!scatter)
    return false;
  team.numThreads = kThreads;
  numBlocks = llvm::divideCeil(scatter->getNumThreads(), kThreads);
  identifyThreads(/*hasBlocks=*/true);
  rewriter.setInsertionPoint(only);
  scatter->write(rewriter, team);
  rewriter.eraseOp(only);
  return true;
}

bool KernelWriter::writeScan(Operation *only) {
  auto scan = only ? ScanLoops::match(only) : std::nullopt;
  if (!scan)
    return false;
  team.numThreads = ScanLoops::kNumThreads;
  numBlocks = scan->getNumBlocks();
  identifyThreads(/*hasBlocks=*/true);
  rewriter.setInsertionPoint(only);
  Value last = team.kernel.getArguments().back();
  if (scanPhase == ScanPhase::Totals)
    scan->writeTotals(rewriter, team, last);
  else
    scan->write(rewriter, team, scanPhase == ScanPhase::Rest ? last : Value());
  rewriter.eraseOp(only);
  return true;
}

bool KernelWriter::writeFactorization(Operation *only) {
  auto factorization = only ? FactorKernel::match(only) : std::nullopt;
  if (!factorization)
    return false;
  team.numThreads = FactorKernel::kNumThreads;
  numBlocks = factorization->getNumBlocks();
  identifyThreads(/*hasBlocks=*/true);
  rewriter.setInsertionPoint(only);
  factorization->write(rewriter, team);
  rewriter.eraseOp(only);
  return true;
}
void KernelWriter::setFewBlocks() {
  constexpr int kBlocks = 4;
  team.kernel->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(),
                       rewriter.getI32IntegerAttr(kBlocks));
}

LogicalResult KernelWriter::writeRows(scf::ForOp loop, int64_t most) {
  setFewBlocks();
  constexpr int64_t kMostBlocks = 8 * 132, kThreads = 256, kShort = 16;
  bool isShort = team.kernel.getNumWorkgroupAttributions() == 0;
  loop.walk([&](LinalgOp op) {
    isShort &= ThreadedNest(op).getNumIterations() <= kShort;
  });
  if (isShort)
    team.numThreads = kThreads;
  int64_t atOnce = isShort ? kThreads : 1;
  numBlocks =
      std::clamp<int64_t>(llvm::divideCeil(most, atOnce), 1, kMostBlocks);
  identifyThreads(/*hasBlocks=*/true);
  rewriter.setInsertionPoint(loop);
  Location loc = loop.getLoc();
  auto index = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(rewriter, loc, value);
  };
  auto multiply = [&](Value a, Value b) -> Value {
    return arith::MulIOp::create(rewriter, loc, a, b);
  };
  auto add = [&](Value a, Value b) -> Value {
    return arith::AddIOp::create(rewriter, loc, a, b);
  };
  Value first = multiply(team.block, index(atOnce));
  if (isShort)
    first = add(first, team.thread);
  Value step = loop.getStep();
  loop.setLowerBound(add(loop.getLowerBound(), multiply(first, step)));
  loop.setStep(multiply(step, index(numBlocks * atOnce)));
  team.block = nullptr;
  if (isShort) { // Each thread does alone what is in the loop.
    team.thread = index(0);
    team.numThreads = 1;
  }
  LogicalResult result = writeBlock(team.kernel.getBody().front());
  if (isShort)
    team.numThreads = kThreads;
  return result;
}

LogicalResult KernelWriter::write() {
  prepare();
  SmallVector<linalg::FillOp> fills;
  if (LinalgOp nest = findOnlyNest(fills)) {
    writeDivided(nest, fills);
    return success();
  }
  Operation *only = findOnlyOp();
  if (writeWithEpilogue() || writeScan(only) || writeScatter(only) ||
      writeFactorization(only))
    return success();
  auto loop = dyn_cast_or_null<scf::ForOp>(only);
  auto rows = loop ? RowKernel::match(loop) : std::nullopt;
  if (rows) {
    team.numThreads = rows->getNumThreads();
  } else {
    shareTemporaries();
    chooseTeam();
  }
  if (!loop || !loop->hasAttr(kParallelAttr)) {
    identifyThreads(/*hasBlocks=*/false);
    return writeBlock(team.kernel.getBody().front());
  }
  if (auto most = loop->getAttrOfType<IntegerAttr>(kMostIterationsAttr))
    return writeRows(loop, most.getInt());
  // Its iterations become blocks.
  std::optional<APInt> count = loop.getStaticTripCount();
  if (!count)
    return loop.emitOpError("expected a known number of parallel iterations");
  numBlocks = count->getSExtValue();
  if (!loop.getBody()->getOps<scf::ForOp>().empty())
    setFewBlocks();
  identifyThreads(/*hasBlocks=*/true);
  rewriter.setInsertionPoint(loop);
  Value steps = arith::MulIOp::create(rewriter, loop.getLoc(), team.block,
                                      loop.getStep());
  Value first = arith::AddIOp::create(rewriter, loop.getLoc(),
                                      loop.getLowerBound(), steps);
  team.block = nullptr;
  rewriter.eraseOp(loop.getBody()->getTerminator());
  rewriter.inlineBlockBefore(loop.getBody(), loop, first);
  rewriter.eraseOp(loop);
  if (rows) {
    rows->write(rewriter, team);
    return success();
  }
  return writeBlock(team.kernel.getBody().front());
}
