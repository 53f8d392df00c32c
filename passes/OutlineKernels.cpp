//===- OutlineKernels.cpp - Long programs as lists of kernels -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-outline-kernels`, on planned memory. Code generation takes more than
/// linear time in the length of a function, and the steps of an unrolled loop
/// are the same code on other buffers. So parts of long or repetitive programs
/// become calls of private functions (Kernels.h):
///
///  1. of a repetitive program its nests: each linalg op, loop or copy, with
///     the fills right before it of what it writes;
///  2. of a long program, and of loops and branches in it that are long
///     themselves, all but what can be a command (Commands.h): these nests,
///     other loops and branches, and what is calculated with numbers in
///     between.
///
/// For a GPU, all programs are long. Adjacent nests, loops and branches that
/// one block of threads can do become one kernel, and so do a product and its
/// epilogue (Epilogue.h).
///
//===----------------------------------------------------------------------===//

#include "dialect/Foreign.h"
#include "dialect/GradDialect.h"
#include "passes/CommandList.h"
#include "passes/Epilogue.h"
#include "passes/FactorKernel.h"
#include "passes/Kernels.h"
#include "passes/Passes.h"
#include "passes/ScatterLoops.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Transforms/RegionUtils.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADOUTLINEKERNELS
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;
using linalg::LinalgOp;

static bool isCall(Operation *op) {
  return isa<func::CallOp>(op) || isHostCall(op);
}

static bool isNest(Operation *op) {
  if (auto linalgOp = dyn_cast<LinalgOp>(op))
    return linalgOp.hasPureBufferSemantics();
  return isa<scf::ForOp, memref::CopyOp>(op) && op->use_empty();
}

static bool hasCalls(Operation *op) {
  return op
      ->walk([](Operation *nested) {
        return isCall(nested) ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}

/// The work in `op`: nests and calls, those in loops too.
static int64_t countWork(Operation *op) {
  int64_t count = 0;
  op->walk([&](Operation *nested) {
    count += isa<LinalgOp, memref::CopyOp>(nested) || isCall(nested);
  });
  return count;
}

/// Moves views of the arena out of the nests in `block`: each is a buffer of
/// its own then, which no other one of the kernel lies in.
static void hoistViews(Block &block) {
  for (Operation &op : block)
    for (Region &region : op.getRegions())
      region.walk([&](memref::ViewOp view) {
        for (Value operand : view->getOperands())
          if (Operation *def = operand.getDefiningOp();
              def && region.isAncestor(def->getParentRegion()) &&
              def->hasTrait<OpTrait::ConstantLike>())
            def->moveBefore(&op);
        if (llvm::none_of(view->getOperands(), [&](Value operand) {
              return region.isAncestor(operand.getParentRegion());
            }))
          view->moveBefore(&op);
      });
}

/// Whether the threads of one block can do all that is in `op` in a time that
/// is worth no kernels of their own.
static bool isForOneBlock(Operation *op) {
  constexpr int64_t kMostIterations = 4096, kMostUpdates = 64;
  if (op->hasAttr(kParallelAttr) ||
      llvm::any_of(op->getResultTypes(), llvm::IsaPred<BaseMemRefType>))
    return false;
  auto isTooMuch = [](Operation *nested) {
    if (nested->hasAttr(kMostIterationsAttr))
      return true;
    if (auto linalgOp = dyn_cast<LinalgOp>(nested)) {
      uint64_t iterations = 1;
      for (int64_t size : linalgOp.getStaticLoopRanges())
        iterations = llvm::SaturatingMultiply<uint64_t>(iterations, size);
      return iterations > kMostIterations;
    }
    if (auto copy = dyn_cast<memref::CopyOp>(nested))
      return cast<ShapedType>(copy.getSource().getType()).getNumElements() >
             kMostIterations;
    if (auto scatter = ScatterLoops::match(nested))
      return scatter->getNumIterations() > kMostUpdates;
    return isCall(nested);
  };
  return !op->walk([&](Operation *nested) {
              return isTooMuch(nested) ? WalkResult::interrupt()
                                       : WalkResult::advance();
            }).wasInterrupted();
}

namespace {

/// Divides blocks into kernels and what stays.
class Outliner {
public:
  /// `minWork`: the work in a loop or branch that is a list itself.
  Outliner(int64_t minWork, bool forDevice)
      : minWork(minWork), forDevice(forDevice) {}

  /// Only nests, of `block` itself.
  void collectNests(Block &block);

  /// All of `block` that is no command. Fails where that is impossible.
  LogicalResult collectAll(Block &block);

  std::vector<Kernel> kernels;

private:
  /// Ends a run of fills before `nest`, which may be null. Nothing changes
  /// places: buffers may share memory.
  void flushFills(Operation *nest);
  void flushScalars();
  void add(ArrayRef<Operation *> ops, ArrayRef<Operation *> shared = {});
  /// Adds `op` to the last kernel, if it is the epilogue of that.
  bool addEpilogue(Operation *op);
  /// What is calculated with numbers, or a part of a command that depends on
  /// such: the former if `isCommand` is not set. For a device, with them all
  /// that one block of threads can do.
  void addScalar(Operation *op, bool isCommand);
  /// Adds pending fills to these, and `op`.
  void addToBlock(Operation *op);
  void addSmall(Operation *op);
  /// Whether pending fills are more than one block should do. Before such there
  /// are no scalars.
  bool hasLargeFills() const {
    return !fills.empty() && !isForOneBlock(fills.front());
  }

  /// For a device, nothing but a list can call the host.
  bool isCommand(Operation &op) const {
    return grad::isCommand(&op) ||
           (forDevice && isHostCall(&op) && !FactorKernel::match(&op));
  }

  bool isList(Operation &op) const {
    if (!forDevice)
      return isControlFlow(&op) && countWork(&op) >= minWork;
    return isControlFlow(&op) && !isForOneBlock(&op) &&
           !op.hasAttr(kParallelAttr) && !ScatterLoops::match(&op);
  }

  /// Whether the number that `op` calculates is for kernels of a device alone,
  /// which take it from memory: the list does not have to wait for it.
  bool isForKernels(Operation &op) const {
    return forDevice && isa<arith::IndexCastOp>(op) &&
           llvm::all_of(op.getUsers(), [&](Operation *user) {
             Operation *next = op.getBlock()->findAncestorOpInBlock(*user);
             return next && !isAddress(next) && !isCommand(*next) &&
                    !isList(*next);
           });
  }

  int64_t minWork;
  bool forDevice;
  bool failed = false;
  SmallVector<Operation *> fills, scalars, sharedScalars;
  llvm::DenseSet<Value> scalarValues;
  llvm::DenseSet<Value> used; ///< By what is added to blocks.
};

} // namespace

void Outliner::add(ArrayRef<Operation *> ops, ArrayRef<Operation *> shared) {
  if (auto kernel = analyzeKernel(ops, shared, forDevice))
    kernels.push_back(std::move(*kernel));
  else
    failed = true;
}

bool Outliner::addEpilogue(Operation *op) {
  if (!op->hasAttr(kEpilogueAttr) || kernels.empty() || !fills.empty() ||
      !scalars.empty() || kernels.back().ops.back() != op->getPrevNode())
    return false;
  SmallVector<Operation *> ops = std::move(kernels.back().ops);
  ops.push_back(op);
  kernels.pop_back();
  add(ops);
  return true;
}

void Outliner::flushFills(Operation *nest) {
  // The last fills run with the nest if it updates what they write, as a call
  // does not.
  size_t numBefore = fills.size();
  if (auto destination = dyn_cast_or_null<DestinationStyleOpInterface>(nest);
      destination && !isCall(nest))
    while (numBefore > 0 &&
           llvm::is_contained(destination.getDpsInits(),
                              fills[numBefore - 1]->getOperand(1)))
      --numBefore;
  for (Operation *fill : ArrayRef(fills).take_front(numBefore))
    add(fill);
  SmallVector<Operation *> ops(ArrayRef(fills).drop_front(numBefore));
  fills.clear();
  if (!nest)
    return;
  ops.push_back(nest);
  add(ops);
}

void Outliner::flushScalars() {
  // The last ones of a run may be parts of commands.
  while (!scalars.empty() && !sharedScalars.empty() &&
         scalars.back() == sharedScalars.back()) {
    scalars.pop_back();
    sharedScalars.pop_back();
  }
  if (!scalars.empty())
    add(scalars, sharedScalars);
  scalars.clear();
  sharedScalars.clear();
  scalarValues.clear();
  used.clear();
}

void Outliner::addScalar(Operation *op, bool isCommand) {
  scalars.push_back(op);
  if (isCommand)
    sharedScalars.push_back(op);
  scalarValues.insert_range(op->getResults());
}

void Outliner::collectNests(Block &block) {
  for (Operation &op : block) {
    if (isa<linalg::FillOp>(op) && isNest(&op))
      fills.push_back(&op);
    else if (isNest(&op) && !hasCalls(&op))
      flushFills(&op);
    else if (!isMemoryEffectFree(&op))
      flushFills(nullptr);
  }
}

void Outliner::addSmall(Operation *op) {
  // Kernels have room for some hundred parameters, of which a view takes two.
  constexpr size_t kMostOps = 64, kMostUsed = 200;
  llvm::SetVector<Value> added;
  added.insert_range(op->getOperands());
  getUsedValuesDefinedAbove(op->getRegions(), added);
  size_t numNew =
      llvm::count_if(added, [&](Value value) { return !used.contains(value); });
  if (scalars.size() >= kMostOps || used.size() + numNew > kMostUsed)
    flushScalars();
  used.insert_range(added);
  addScalar(op, /*isCommand=*/false);
}

void Outliner::addToBlock(Operation *op) {
  if (hasLargeFills())
    flushFills(nullptr);
  for (Operation *fill : fills)
    addSmall(fill);
  fills.clear();
  if (op)
    addSmall(op);
}

LogicalResult Outliner::collectAll(Block &block) {
  hoistViews(block);
  auto usesScalars = [&](Operation &op) {
    return llvm::any_of(op.getOperands(), [&](Value operand) {
      return scalarValues.contains(operand);
    });
  };
  for (Operation &op : block.without_terminator()) {
    if (isAddress(&op)) {
      if (usesScalars(op))
        addScalar(&op, /*isCommand=*/!isForKernels(op));
      continue;
    }
    if (addEpilogue(&op))
      continue;
    bool isList = this->isList(op);
    bool isCommand = this->isCommand(op);
    bool isPlain = op.getNumRegions() == 0 && !isCall(&op) && !isNest(&op) &&
                   (!isCommand || usesScalars(op));
    bool isForBlock = forDevice && !isList && isForOneBlock(&op) &&
                      (!isCommand || usesScalars(op));
    if (forDevice && isForBlock && isa<linalg::FillOp>(op)) {
      fills.push_back(&op);
      continue;
    }
    if (forDevice && isForBlock) {
      addToBlock(&op);
      continue;
    }
    if (forDevice &&
        (isCommand || isList || (isa<linalg::FillOp>(op) && !hasLargeFills())))
      addToBlock(nullptr);
    if (isPlain) {
      flushFills(nullptr);
      addScalar(&op, /*isCommand=*/false);
      continue;
    }
    flushScalars();
    if (isa<linalg::FillOp>(op)) {
      fills.push_back(&op);
    } else if (isCommand || isList) {
      flushFills(nullptr);
      for (Region &region : op.getRegions())
        for (Block &nested : region)
          if (isList && ::failed(collectAll(nested)))
            return failure();
    } else {
      flushFills(&op);
    }
  }
  if (forDevice)
    addToBlock(nullptr);
  flushFills(nullptr);
  flushScalars();
  return failure(failed);
}

namespace {

struct GradOutlineKernels
    : grad::impl::GradOutlineKernelsBase<GradOutlineKernels> {
  using GradOutlineKernelsBase::GradOutlineKernelsBase;

  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    for (auto function : llvm::to_vector(getOperation().getOps<func::FuncOp>()))
      if (function.isPublic() && function->hasAttr("grad.arena_bytes") &&
          function.getBody().hasOneBlock() && function.getNumArguments() != 0 &&
          !makeList(function, symbols)) {
        if (forDevice) {
          function.emitOpError("expected what a list of commands can have");
          return signalPassFailure();
        }
        outlineNests(function, symbols);
      }
  }

private:
  bool makeList(func::FuncOp program, SymbolTable &symbols);
  void outlineNests(func::FuncOp program, SymbolTable &symbols);
  void replace(ArrayRef<Kernel> kernels, KernelFunctions &functions,
               ArrayRef<func::FuncOp> callees, SymbolTable &symbols);
};

} // namespace

void GradOutlineKernels::replace(ArrayRef<Kernel> kernels,
                                 KernelFunctions &functions,
                                 ArrayRef<func::FuncOp> callees,
                                 SymbolTable &symbols) {
  for (func::FuncOp function : functions.getAll())
    symbols.insert(function);
  for (auto [kernel, callee] : llvm::reverse(llvm::zip_equal(kernels, callees)))
    replaceByCall(kernel, callee);
  numCalls += kernels.size();
  numKernels += functions.getAll().size();
}

static SmallVector<func::FuncOp> getCallees(ArrayRef<Kernel> kernels,
                                            KernelFunctions &functions) {
  return llvm::map_to_vector(
      kernels, [&](const Kernel &kernel) { return functions.get(kernel); });
}

/// Makes a list of commands of a long program. If it cannot be one, code is
/// generated for it all.
bool GradOutlineKernels::makeList(func::FuncOp program, SymbolTable &symbols) {
  if (!forDevice && countWork(program) < minCommands)
    return false;
  Outliner outliner(minCommands, forDevice);
  if (failed(outliner.collectAll(program.getBody().front())))
    return false;
  KernelFunctions functions(&getContext());
  SmallVector<func::FuncOp> callees = getCallees(outliner.kernels, functions);
  replace(outliner.kernels, functions, callees, symbols);
  if (forDevice)
    program->setAttr(kFrameAttr,
                     IntegerAttr::get(IntegerType::get(&getContext(), 64), 0));
  else
    reserveFrame(program);
  return true;
}

void GradOutlineKernels::outlineNests(func::FuncOp program,
                                      SymbolTable &symbols) {
  Outliner outliner(minCommands, /*forDevice=*/false);
  outliner.collectNests(program.getBody().front());
  KernelFunctions functions(&getContext());
  SmallVector<func::FuncOp> callees = getCallees(outliner.kernels, functions);
  bool isLong = static_cast<int64_t>(callees.size()) >= minNests;
  bool isRepetitive = callees.size() >= 2 * functions.getAll().size();
  if (isLong || isRepetitive) {
    replace(outliner.kernels, functions, callees, symbols);
    return;
  }
  for (func::FuncOp function : functions.getAll())
    function.erase();
}
