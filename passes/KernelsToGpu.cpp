//===- KernelsToGpu.cpp - Kernels of lists become kernels of a GPU --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-kernels-to-gpu`. A kernel that is one nest of loops, perhaps with
/// fills of what it accumulates in, is divided among the threads of as many
/// blocks as there is work for (ThreadedNest.h). The threads of one block go
/// through any other kernel together: they all calculate what it does with
/// numbers, and take the same branches; nests are divided among them; one of
/// them stores numbers. They wait for each other behind all that writes.
///
//===----------------------------------------------------------------------===//

#include "passes/CommandList.h"
#include "passes/DeadOps.h"
#include "passes/MatrixProductKernel.h"
#include "passes/Passes.h"
#include "passes/ThreadedNest.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADKERNELSTOGPU
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;
using linalg::LinalgOp;

static constexpr llvm::StringLiteral kModuleName = "kernels";

namespace {

/// Writes the body of one kernel.
class KernelWriter {
public:
  explicit KernelWriter(gpu::GPUFuncOp kernel)
      : rewriter(kernel.getContext()), team(kernel) {}

  LogicalResult write();

  int64_t getNumBlocks() const { return numBlocks; }
  int64_t getNumThreads() const { return team.numThreads; }

private:
  /// The only nest, if the kernel is one that several blocks may share, and the
  /// fills before it.
  LinalgOp findOnlyNest(SmallVectorImpl<linalg::FillOp> &fills);
  void chooseTeam();
  void identifyThreads(bool hasBlocks);
  void writeDivided(LinalgOp nest, ArrayRef<linalg::FillOp> fills);
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
};

} // namespace

/// Copies become nests, nests without iterations nothing.
static void prepare(RewriterBase &rewriter, Operation *kernel) {
  SmallVector<memref::CopyOp> copies;
  kernel->walk([&](memref::CopyOp copy) { copies.push_back(copy); });
  for (memref::CopyOp copy : copies) {
    rewriter.setInsertionPoint(copy);
    linalg::makeMemRefCopyOp(rewriter, copy.getLoc(), copy.getSource(),
                             copy.getTarget());
    rewriter.eraseOp(copy);
  }
  SmallVector<LinalgOp> nests;
  kernel->walk([&](LinalgOp nest) { nests.push_back(nest); });
  for (LinalgOp nest : nests)
    if (llvm::is_contained(nest.getStaticLoopRanges(), 0))
      rewriter.eraseOp(nest);
}

LinalgOp KernelWriter::findOnlyNest(SmallVectorImpl<linalg::FillOp> &fills) {
  LinalgOp nest;
  for (Operation &op : team.kernel.getBody().front().without_terminator()) {
    if (isMemoryEffectFree(&op) && !isa<LinalgOp>(op) &&
        op.getNumRegions() == 0)
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

void KernelWriter::writeDivided(LinalgOp op, ArrayRef<linalg::FillOp> fills) {
  ThreadedNest nest(op);
  team.numThreads = nest.chooseThreads();
  numBlocks = nest.getNumBlocks();
  identifyThreads(/*hasBlocks=*/true);
  SmallVector<Value> inits(op.getNumDpsInits());
  for (linalg::FillOp fill : fills)
    for (auto [i, init] : llvm::enumerate(op.getDpsInits()))
      if (init == fill.output())
        inits[i] = fill.value();
  rewriter.setInsertionPoint(op);
  nest.write(rewriter, team, inits);
  rewriter.eraseOp(op);
  for (linalg::FillOp fill : fills)
    rewriter.eraseOp(fill);
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
  while (previous && !isa<gpu::BarrierOp>(previous) &&
         previous->getNumRegions() == 0 && isMemoryEffectFree(previous))
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
  return op->emitOpError("expected an op that the kernel of a GPU can have");
}

LogicalResult KernelWriter::writeBlock(Block &block) {
  SmallVector<Operation *> ops = llvm::map_to_vector(
      block.without_terminator(), [](Operation &op) { return &op; });
  for (Operation *op : ops)
    if (failed(writeOp(op)))
      return failure();
  return success();
}

LogicalResult KernelWriter::write() {
  prepare(rewriter, team.kernel);
  SmallVector<linalg::FillOp> fills;
  if (LinalgOp nest = findOnlyNest(fills)) {
    writeDivided(nest, fills);
    return success();
  }
  Block &body = team.kernel.getBody().front();
  chooseTeam();
  identifyThreads(/*hasBlocks=*/false);
  return writeBlock(body);
}

namespace {

struct GradKernelsToGpu : grad::impl::GradKernelsToGpuBase<GradKernelsToGpu> {
  void runOnOperation() override;

private:
  struct Launch {
    gpu::GPUFuncOp kernel;
    int64_t numBlocks, numThreads;
  };

  FailureOr<Launch> createKernel(func::FuncOp function, OpBuilder &builder);
  /// Says which kernel calculates the product `call` where there is no library.
  void createProduct(func::CallOp call, gpu::GPUModuleOp kernels);
};

} // namespace

FailureOr<GradKernelsToGpu::Launch>
GradKernelsToGpu::createKernel(func::FuncOp function, OpBuilder &builder) {
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
  if (failed(writer.write()))
    return failure();
  eraseDeadOps(kernel);
  auto sizes = [&](int64_t size) {
    return builder.getDenseI32ArrayAttr({static_cast<int32_t>(size), 1, 1});
  };
  kernel.setKnownBlockSizeAttr(sizes(writer.getNumThreads()));
  kernel.setKnownGridSizeAttr(sizes(writer.getNumBlocks()));
  return Launch{kernel, writer.getNumBlocks(), writer.getNumThreads()};
}

void GradKernelsToGpu::createProduct(func::CallOp call,
                                     gpu::GPUModuleOp kernels) {
  auto constant = [&](unsigned operand) {
    return getConstantIntValue(call.getOperand(operand)).value_or(1);
  };
  MatrixProduct product{call.getOperand(11).getType(), constant(0) != 0,
                        constant(1) != 0};
  std::string name = product.getName();
  if (!kernels.lookupSymbol(name)) {
    OpBuilder builder = OpBuilder::atBlockEnd(kernels.getBody());
    product.createKernel(builder, kernels.getLoc());
  }
  Builder builder(&getContext());
  DeviceKernel kernel = {builder.getStringAttr(name),
                         MatrixProduct::getNumBlocks(constant(2), constant(3)),
                         MatrixProduct::kNumThreads};
  call->setAttr(kKernelAttr, kernel.toAttribute());
}

void GradKernelsToGpu::runOnOperation() {
  ModuleOp module = getOperation();
  SymbolTable symbols(module);
  SmallVector<func::CallOp> calls, products;
  llvm::SetVector<Operation *> functions;
  for (auto list : module.getOps<func::FuncOp>()) {
    if (!list->hasAttr(kFrameAttr))
      continue;
    list.walk([&](func::CallOp call) {
      if (isProduct(call)) {
        products.push_back(call);
        return;
      }
      auto function = symbols.lookup<func::FuncOp>(call.getCallee());
      if (!function || function.isExternal())
        return;
      calls.push_back(call);
      functions.insert(function);
    });
  }
  if (calls.empty() && products.empty())
    return;
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  auto kernels =
      gpu::GPUModuleOp::create(builder, module.getLoc(), kModuleName);
  symbols.insert(kernels);
  module->setAttr(gpu::GPUDialect::getContainerModuleAttrName(),
                  builder.getUnitAttr());
  builder.setInsertionPointToStart(kernels.getBody());
  llvm::DenseMap<Operation *, Launch> launches;
  for (Operation *function : functions) {
    FailureOr<Launch> launch =
        createKernel(cast<func::FuncOp>(function), builder);
    if (failed(launch))
      return signalPassFailure();
    launches[function] = *launch;
  }
  for (func::CallOp call : calls) {
    Launch launch = launches[symbols.lookup(call.getCallee())];
    OpBuilder before(call);
    auto size = [&](int64_t value) -> Value {
      return arith::ConstantIndexOp::create(before, call.getLoc(), value);
    };
    Value one = size(1);
    gpu::LaunchFuncOp::create(
        before, call.getLoc(), launch.kernel,
        {size(launch.numBlocks), one, one}, {size(launch.numThreads), one, one},
        /*dynamicSharedMemorySize=*/Value(), call.getOperands());
    call.erase();
  }
  for (Operation *function : functions)
    symbols.erase(function);
  for (func::CallOp product : products)
    createProduct(product, kernels);
}
