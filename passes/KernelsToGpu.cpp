//===- KernelsToGpu.cpp - Kernels of lists become kernels of a GPU --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-kernels-to-gpu`. A kernel that is one nest of loops, perhaps with
/// fills of what it accumulates in, is divided among the threads of as many
/// blocks as there is work for (ThreadedNest.h, TransposedNest.h), and so are
/// loops that scatter (ScatterLoops.h), or combine each element with the next
/// (ScanLoops.h); of a product, perhaps with an epilogue, each block calculates
/// a tile (TiledNest.h). Of
/// a loop whose iterations may run at once, each is for a block, which may keep
/// rows in registers (RowKernel.h). Small matrices are factored by a thread for
/// each row (FactorKernel.h). The threads of one block go through any other
/// kernel together: they all calculate what it does with numbers, and take the
/// same branches; nests are divided among them; one of them stores numbers.
/// They wait for each other behind all that writes.
///
//===----------------------------------------------------------------------===//

#include "dialect/DeadOps.h"
#include "dialect/Foreign.h"
#include "passes/BufferPlace.h"
#include "passes/BufferSize.h"
#include "passes/CommandList.h"
#include "passes/Epilogue.h"
#include "passes/FactorKernel.h"
#include "passes/Kernels.h"
#include "passes/MatrixProductKernel.h"
#include "passes/Passes.h"
#include "passes/RowKernel.h"
#include "passes/ScanLoops.h"
#include "passes/ScatterLoops.h"
#include "passes/ThreadedNest.h"
#include "passes/TiledNest.h"
#include "passes/TransposedNest.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "llvm/ADT/SmallBitVector.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADKERNELSTOGPU
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;
using linalg::LinalgOp;

static constexpr llvm::StringLiteral kModuleName = "kernels";

/// What a thread loads or stores at most at once.
static constexpr int64_t kVectorBytes = 16;

namespace {

/// Writes the body of one kernel.
class KernelWriter {
public:
  explicit KernelWriter(gpu::GPUFuncOp kernel)
      : rewriter(kernel.getContext()), team(kernel) {}
  /// The second kernel of two that `first` has begun with.
  KernelWriter(gpu::GPUFuncOp kernel, const KernelWriter &first)
      : rewriter(kernel.getContext()), team(kernel) {
    if (first.scanPhase == ScanPhase::Totals)
      scanPhase = ScanPhase::Rest;
  }

  LogicalResult write();

  /// Lets the kernel, if its reduction or scan is divided into chunks, put what
  /// they find into scratch memory that it gets as its last arguments. Returns
  /// the kernel that goes on with that; null if there are no chunks.
  gpu::GPUFuncOp divide();

  int64_t getNumBlocks() const { return numBlocks; }
  int64_t getNumThreads() const { return team.numThreads; }
  ArrayRef<MemRefType> getScratchTypes() const { return scratchTypes; }

private:
  /// The only nest, if the kernel is one that several blocks may share, and the
  /// fills before it.
  LinalgOp findOnlyNest(SmallVectorImpl<linalg::FillOp> &fills);
  void chooseTeam();
  void identifyThreads(bool hasBlocks);
  void writeDivided(LinalgOp nest, ArrayRef<linalg::FillOp> fills);
  /// Lets threads that go through loops have enough registers: without being
  /// told, ptxas prefers more blocks of a multiprocessor to the last values.
  void setFewBlocks();
  /// Divides the iterations of a loop, of which the call tells how many there
  /// are, among blocks, or, if they are short, among threads.
  LogicalResult writeRows(scf::ForOp loop, int64_t most);
  /// Writes a kernel of a product and its epilogue; false if it is none.
  bool writeWithEpilogue();
  /// Numbers that the outputs of `nest` begin with; null where there is none.
  SmallVector<Value> getInits(LinalgOp nest, ArrayRef<linalg::FillOp> fills);
  /// Writes a kernel that does nothing but to scatter; false if it does.
  bool writeScatter(Operation *only);
  /// The same for a scan.
  bool writeScan(Operation *only);
  /// The same for the factorisation of small matrices, and solutions by it.
  bool writeFactorization(Operation *only);
  gpu::GPUFuncOp divideReduction(LinalgOp op);
  gpu::GPUFuncOp divideScan();
  /// Adds arguments for scratch memory; returns a copy of the kernel then.
  gpu::GPUFuncOp copyWithScratch(StringRef suffix);
  /// The only op of the kernel that does anything; null if there are more.
  Operation *findOnlyOp();
  LogicalResult writeBlock(Block &block);
  LogicalResult writeOp(Operation *op);
  /// Lets threads wait before `op` writes what others may not have read yet, or
  /// behind it.
  void waitBefore(Operation *op);
  void wait(Location loc) {
    if (team.numThreads > 1)
      gpu::BarrierOp::create(rewriter, loc);
  }

  IRRewriter rewriter;
  ThreadTeam team;
  int64_t numBlocks = 1;
  SmallVector<MemRefType> scratchTypes;
  /// What the kernel of a scan finds: all, or what its chunks have together, or
  /// all from that.
  enum class ScanPhase { All, Totals, Rest } scanPhase = ScanPhase::All;
};

} // namespace

/// Whether it does not matter when threads do `op`: it writes nothing, and what
/// it reads has a number that nobody writes.
static bool isAnytime(Operation *op) {
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

/// Copies become nests, nests without iterations nothing.
static void prepare(RewriterBase &rewriter, gpu::GPUFuncOp kernel) {
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

/// What a block of threads has for itself becomes memory that it shares.
static void shareTemporaries(RewriterBase &rewriter, gpu::GPUFuncOp kernel) {
  SmallVector<memref::AllocOp> temporaries;
  kernel.walk([&](memref::AllocOp op) {
    if (gpu::GPUDialect::hasWorkgroupMemoryAddressSpace(op.getType()))
      temporaries.push_back(op);
  });
  for (memref::AllocOp op : temporaries)
    rewriter.replaceOp(
        op, kernel.addWorkgroupAttribution(op.getType(), op.getLoc()));
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

static NamedAttribute getAlignment(MLIRContext *context) {
  return {LLVM::LLVMDialect::getAlignAttrName(),
          Builder(context).getI64IntegerAttr(kVectorBytes)};
}

/// Adds arguments, which are parts of the arena, to a kernel.
static void addArguments(gpu::GPUFuncOp kernel, ArrayRef<MemRefType> types) {
  MLIRContext *context = kernel.getContext();
  auto attrs = DictionaryAttr::get(
      context, {getAlignment(context),
                NamedAttribute(LLVM::LLVMDialect::getNoAliasAttrName(),
                               UnitAttr::get(context))});
  for (MemRefType type : types)
    (void)kernel.insertArgument(kernel.getNumArguments(), type, attrs,
                                kernel.getLoc());
}

/// Whether `buffer`, in a list, is known to begin at a multiple of
/// `kVectorBytes`, as arguments, results, constants and the arena do.
static bool isAligned(Value buffer) {
  BufferPlace place = findPlace(buffer);
  if (!place.object)
    return false;
  return !buffer.getDefiningOp<ViewLikeOpInterface>() ||
         (place.bytes && place.bytes->first % kVectorBytes == 0);
}

/// Notes which buffers are aligned in all calls of `function`.
static void setAlignment(func::FuncOp function, ArrayRef<func::CallOp> calls) {
  for (unsigned i = 0, e = function.getNumArguments(); i < e; ++i)
    if (isa<MemRefType>(function.getArgumentTypes()[i]) &&
        llvm::all_of(calls, [&](func::CallOp call) {
          return isAligned(call.getOperand(i));
        })) {
      NamedAttribute attr = getAlignment(function.getContext());
      function.setArgAttr(i, attr.getName(), attr.getValue());
    }
}

/// LLVM takes it that a barrier leaves what `noalias` parameters point to as it
/// is. Where threads wait, that is true only of what none of them writes.
static void dropNoAlias(gpu::GPUFuncOp kernel) {
  auto isBarrier = [](gpu::BarrierOp) { return WalkResult::interrupt(); };
  if (!kernel.walk(isBarrier).wasInterrupted())
    return;
  llvm::SmallBitVector isWritten(kernel.getNumArguments());
  kernel.walk([&](memref::StoreOp store) {
    Value buffer = store.getMemRef();
    while (auto view = buffer.getDefiningOp<ViewLikeOpInterface>())
      buffer = view.getViewSource();
    auto argument = dyn_cast<BlockArgument>(buffer);
    if (!argument || argument.getOwner() != &kernel.getBody().front())
      isWritten.set(); // One that a loop or branch has chosen.
    else if (argument.getArgNumber() < isWritten.size())
      isWritten.set(argument.getArgNumber());
  });
  for (unsigned i : isWritten.set_bits())
    kernel.removeArgAttr(i, LLVM::LLVMDialect::getNoAliasAttrName());
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
  prepare(rewriter, team.kernel);
  SmallVector<linalg::FillOp> fills;
  if (LinalgOp nest = findOnlyNest(fills))
    return divideReduction(nest);
  return divideScan();
}

/// As many threads as the largest nest has work for.
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
  prepare(rewriter, team.kernel);
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
    shareTemporaries(rewriter, team.kernel);
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

namespace {

struct GradKernelsToGpu : grad::impl::GradKernelsToGpuBase<GradKernelsToGpu> {
  void runOnOperation() override;

private:
  /// What is launched in the place of a call.
  struct Launch {
    gpu::GPUFuncOp kernel;
    int64_t numBlocks, numThreads;
  };
  struct Launches {
    SmallVector<Launch, 2> kernels;
    SmallVector<MemRefType> scratchTypes;
  };

  FailureOr<Launches> createKernels(func::FuncOp function, OpBuilder &builder);
  FailureOr<Launch> write(KernelWriter &writer, gpu::GPUFuncOp kernel);
  /// Makes room for what kernels add up, and returns where it is in the arena.
  int64_t reserveScratch(func::FuncOp list, ArrayRef<Launches> launches);
  void launch(func::CallOp call, const Launches &launches, Value arena,
              int64_t scratch);
  /// Says which kernel calculates the product `call` where there is no library.
  void createProduct(func::CallOp call, gpu::GPUModuleOp kernels);
};

} // namespace

FailureOr<GradKernelsToGpu::Launch>
GradKernelsToGpu::write(KernelWriter &writer, gpu::GPUFuncOp kernel) {
  if (failed(writer.write()))
    return failure();
  eraseDeadOps(kernel);
  dropNoAlias(kernel);
  auto sizes = [&](int64_t size) {
    return DenseI32ArrayAttr::get(&getContext(),
                                  {static_cast<int32_t>(size), 1, 1});
  };
  kernel.setKnownBlockSizeAttr(sizes(writer.getNumThreads()));
  kernel.setKnownGridSizeAttr(sizes(writer.getNumBlocks()));
  return Launch{kernel, writer.getNumBlocks(), writer.getNumThreads()};
}

FailureOr<GradKernelsToGpu::Launches>
GradKernelsToGpu::createKernels(func::FuncOp function, OpBuilder &builder) {
  if (!function.getBody().hasOneBlock() || function.getNumResults() != 0)
    return function.emitOpError(
        "expected a kernel of one block, without results");
  auto kernel =
      gpu::GPUFuncOp::create(builder, function.getLoc(), function.getName(),
                             function.getFunctionType());
  kernel->setAttr(gpu::GPUDialect::getKernelFuncAttrName(),
                  builder.getUnitAttr());
  if (ArrayAttr attrs = function.getArgAttrsAttr())
    kernel.setArgAttrsAttr(attrs);
  kernel.getBody().takeBody(function.getBody());
  Operation *terminator = kernel.getBody().front().getTerminator();
  OpBuilder atEnd(terminator);
  gpu::ReturnOp::create(atEnd, terminator->getLoc());
  terminator->erase();

  KernelWriter writer(kernel);
  Launches result;
  gpu::GPUFuncOp second = writer.divide();
  FailureOr<Launch> first = write(writer, kernel);
  if (failed(first))
    return failure();
  result.kernels.push_back(*first);
  result.scratchTypes = llvm::to_vector(writer.getScratchTypes());
  if (second) {
    KernelWriter secondWriter(second, writer);
    FailureOr<Launch> last = write(secondWriter, second);
    if (failed(last))
      return failure();
    result.kernels.push_back(*last);
  }
  return result;
}

static int64_t getScratchBytes(ArrayRef<MemRefType> types) {
  int64_t bytes = 0;
  for (MemRefType type : types)
    bytes +=
        llvm::alignTo(getByteSize(type).value_or(0), gradopt::kArenaAlignment);
  return bytes;
}

int64_t GradKernelsToGpu::reserveScratch(func::FuncOp list,
                                         ArrayRef<Launches> launches) {
  int64_t most = 0;
  for (const Launches &kernels : launches)
    most = std::max(most, getScratchBytes(kernels.scratchTypes));
  return most == 0 ? 0 : growArena(list, most);
}

void GradKernelsToGpu::launch(func::CallOp call, const Launches &launches,
                              Value arena, int64_t scratch) {
  OpBuilder builder(call);
  Location loc = call.getLoc();
  auto number = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(builder, loc, value);
  };
  SmallVector<Value> operands(call.getOperands());
  for (MemRefType type : launches.scratchTypes) {
    operands.push_back(memref::ViewOp::create(builder, loc, type, arena,
                                              number(scratch), ValueRange()));
    scratch += getScratchBytes(type);
  }
  Value one = number(1);
  for (const Launch &launch : launches.kernels)
    gpu::LaunchFuncOp::create(builder, loc, launch.kernel,
                              {number(launch.numBlocks), one, one},
                              {number(launch.numThreads), one, one},
                              /*dynamicSharedMemorySize=*/Value(), operands);
  call.erase();
}

void GradKernelsToGpu::createProduct(func::CallOp call,
                                     gpu::GPUModuleOp kernels) {
  auto constant = [&](unsigned operand) {
    return getConstantIntValue(call.getOperand(operand)).value_or(1);
  };
  Type sum = call.getOperand(11).getType(), element = sum;
  if (call.getCallee().ends_with("_bf16"))
    element = BFloat16Type::get(&getContext());
  else if (call.getCallee().ends_with("_f16"))
    element = Float16Type::get(&getContext());
  int64_t rows = constant(2), columns = constant(3);
  MatrixProduct product{element, constant(0) != 0, constant(1) != 0,
                        TileShape::choose(element, rows, columns)};
  std::string name = product.getName();
  if (!kernels.lookupSymbol(name)) {
    OpBuilder builder = OpBuilder::atBlockEnd(kernels.getBody());
    product.createKernel(builder, kernels.getLoc());
  }
  Builder builder(&getContext());
  constexpr unsigned kCount = 12;
  int64_t count = call.getNumOperands() > kCount ? constant(kCount) : 1;
  DeviceKernel kernel = {builder.getStringAttr(name),
                         count * product.shape.getNumTiles(rows, columns),
                         TileShape::kNumThreads};
  call->setAttr(kKernelAttr, kernel.toAttribute());
}

void GradKernelsToGpu::runOnOperation() {
  ModuleOp module = getOperation();
  SymbolTable symbols(module);
  llvm::MapVector<Operation *, SmallVector<func::CallOp>> calls, callsOf;
  SmallVector<func::CallOp> products;
  llvm::MapVector<Operation *, Launches> launches;
  for (auto list : module.getOps<func::FuncOp>()) {
    if (list->hasAttr("grad.tape_bytes")) {
      list.emitError(
          "a loop with checkpoint=\"all\" and an unknown number of "
          "iterations takes memory as it runs, which code for devices "
          "cannot: leave the policy out, or use another one");
      return signalPassFailure();
    }
    if (list->hasAttr(kFrameAttr))
      list.walk([&](func::CallOp call) {
        if (isProduct(call)) {
          products.push_back(call);
          return;
        }
        auto function = symbols.lookup<func::FuncOp>(call.getCallee());
        if (!function || function.isExternal())
          return;
        calls[list].push_back(call);
        callsOf[function].push_back(call);
        launches[function];
      });
  }
  if (launches.empty() && products.empty())
    return;
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  auto kernels =
      gpu::GPUModuleOp::create(builder, module.getLoc(), kModuleName);
  symbols.insert(kernels);
  module->setAttr(gpu::GPUDialect::getContainerModuleAttrName(),
                  builder.getUnitAttr());
  builder.setInsertionPointToEnd(kernels.getBody());
  for (auto &[function, created] : launches) {
    setAlignment(cast<func::FuncOp>(function), callsOf[function]);
    FailureOr<Launches> result =
        createKernels(cast<func::FuncOp>(function), builder);
    if (failed(result))
      return signalPassFailure();
    created = std::move(*result);
  }
  for (auto &[list, listCalls] : calls) {
    SmallVector<Launches> used =
        llvm::map_to_vector(listCalls, [&](func::CallOp call) {
          return launches[symbols.lookup(call.getCallee())];
        });
    auto function = cast<func::FuncOp>(list);
    int64_t scratch = reserveScratch(function, used);
    for (auto [call, kernels] : llvm::zip_equal(listCalls, used))
      launch(call, kernels, function.getArguments().back(), scratch);
  }
  for (auto &[function, created] : launches)
    symbols.erase(function);
  for (func::CallOp product : products)
    createProduct(product, kernels);
}
