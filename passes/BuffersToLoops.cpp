//===- BuffersToLoops.cpp - linalg on buffers to loops --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-buffers-to-loops`: what is left of linalg on buffers, and copies that
/// are no block of memory, become loops of loads and stores.
///
///  1. Adjacent loops that walk all operands as one become one.
///  2. Loops nest in the order of the iterators. What the innermost loop
///     reduces is carried in registers, from the value that a fill would have
///     written just before. Long sums of floats are added up in blocks: in n
///     elements, errors then grow as with sqrt(n) additions.
///  3. Correlations add several products to an element of the result at once.
///     Where a choice leaves products out at the ends, loops end there.
///  4. LLVM is told not to write out innermost loops of a few vectors.
///  5. Views become arithmetic on strides.
///
/// No op uses a buffer without elements any more.
///
//===----------------------------------------------------------------------===//

#include "dialect/DeadOps.h"
#include "dialect/Rules.h"
#include "passes/BufferPlace.h"
#include "passes/ControlFlowToBlocks.h"
#include "passes/OperandPlaces.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Transforms.h"
#include "mlir/Dialect/MemRef/Utils/MemRefUtils.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>

namespace mlir::grad {
#define GEN_PASS_DEF_GRADBUFFERSTOLOOPS
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

/// Whether the elements of `buffer` fill one block of memory, in the eyes of
/// what lowers copies to LLVM: an odd stride of one element hides it.
static bool isContiguous(Value buffer) {
  auto type = dyn_cast<MemRefType>(buffer.getType());
  return type && memref::isStaticShapeAndContiguousRowMajor(type);
}

//===----------------------------------------------------------------------===//
// Collapsing
//===----------------------------------------------------------------------===//

/// Merges adjacent loops of `op` of one kind that every operand walks together
/// or not at all. Returns the op with fewer loops, or `op`.
static linalg::LinalgOp collapseLoops(RewriterBase &rewriter,
                                      linalg::LinalgOp op) {
  SmallVector<utils::IteratorType> kinds = op.getIteratorTypesArray();
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  if (!isa<linalg::GenericOp>(op.getOperation()) || op.hasIndexSemantics() ||
      !llvm::all_of(maps,
                    [](AffineMap map) { return map.isProjectedPermutation(); }))
    return op;
  SmallVector<ReassociationIndices> groups;
  for (unsigned loop = 0; loop < op.getNumLoops(); ++loop) {
    if (loop > 0 && kinds[loop] == kinds[loop - 1]) {
      ReassociationIndices extended = groups.back();
      extended.push_back(loop);
      if (linalg::areDimSequencesPreserved(maps, extended)) {
        groups.back() = extended;
        continue;
      }
    }
    groups.push_back({loop});
  }
  rewriter.setInsertionPoint(op);
  FailureOr<linalg::CollapseResult> collapsed =
      linalg::collapseOpIterationDims(op, groups, rewriter);
  if (failed(collapsed))
    return op;
  rewriter.eraseOp(op);
  return collapsed->collapsedOp;
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

namespace {

using FillSet = llvm::SmallPtrSet<Operation *, 4>;

/// Writes the loops of one linalg op on buffers. Fills that are not needed any
/// more are added to a set.
class LoopWriter {
public:
  LoopWriter(RewriterBase &rewriter, linalg::LinalgOp op, FillSet &needless)
      : rewriter(rewriter), op(op), body(op.getBlock()),
        sizes(op.getStaticLoopRanges()), needless(needless) {}

  void write() {
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPoint(op);
    zero = index(0);
    one = index(1);
    unsigned loops = op.getNumLoops();
    if (isCorrelation())
      return writeCorrelation();
    for (unsigned loop = 0; loop + 1 < loops; ++loop) {
      auto nest = scf::ForOp::create(rewriter, op.getLoc(), zero,
                                     index(sizes[loop]), one);
      position.push_back(nest.getInductionVar());
      rewriter.setInsertionPointToStart(nest.getBody());
    }
    if (loops == 0)
      writeBody({});
    else
      writeInnermost(loops - 1);
  }

private:
  /// An output that the innermost loop reduces.
  struct Accumulator {
    OpOperand *output;
    bool isSum;
  };

  /// A summand that is zero unless the sum of the two positions of a
  /// correlation is at least a bound, or less than it.
  struct Choice {
    arith::SelectOp select;
    bool isAtLeast;
    int64_t bound;
  };

  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(rewriter, op.getLoc(), value);
  }

  /// Whether the body adds to the element of `output`, in any order.
  bool isSum(OpOperand *output) {
    BlockArgument element = op.getMatchingBlockArgument(output);
    auto yield = cast<linalg::YieldOp>(body->getTerminator());
    Value next =
        yield.getOperand(output->getOperandNumber() - op.getNumDpsInputs());
    auto add = next.getDefiningOp<arith::AddFOp>();
    return add && element.hasOneUse() &&
           (add.getLhs() == element || add.getRhs() == element) &&
           arith::bitEnumContainsAll(add.getFastmath(),
                                     arith::FastMathFlags::reassoc);
  }

  /// Where `operand` is accessed at the current position.
  SmallVector<Value> indices(OpOperand *operand) {
    return getPlace(rewriter, op, operand, position);
  }

  Value load(OpOperand *operand) {
    if (!isa<MemRefType>(operand->get().getType()))
      return operand->get();
    return memref::LoadOp::create(rewriter, op.getLoc(), operand->get(),
                                  indices(operand));
  }
  void store(Value value, OpOperand *output) {
    memref::StoreOp::create(rewriter, op.getLoc(), value, output->get(),
                            indices(output));
  }

  /// Whether the inner one of two loops walks along sums of products of
  /// neighbours, and the outer one adds them up.
  bool isCorrelation() {
    if (op.getNumLoops() != 2 ||
        op.getIteratorTypesArray()[0] != utils::IteratorType::reduction ||
        op.getIteratorTypesArray()[1] != utils::IteratorType::parallel)
      return false;
    auto isShifted = [](AffineMap map) {
      return llvm::any_of(map.getResults(), [](AffineExpr expr) {
        return expr.isFunctionOfDim(0) && expr.isFunctionOfDim(1);
      });
    };
    return llvm::any_of(op.getIndexingMapsArray(), isShifted) &&
           llvm::all_of(op.getDpsInitsMutable(), [&](OpOperand &output) {
             return op.getMatchingIndexingMap(&output).isFunctionOfDim(1) &&
                    isSum(&output);
           });
  }

  /// The fill just before the op that gives `output` the values that the
  /// innermost loop starts from, if nothing else needs them in memory: each
  /// element is reduced by one run of that loop.
  linalg::FillOp findFill(OpOperand *output) {
    AffineMap map = op.getMatchingIndexingMap(output);
    if (!map.isProjectedPermutation() ||
        map.getNumResults() + 1 != op.getNumLoops())
      return nullptr;
    BufferPlace place = findPlace(output->get());
    auto isElsewhere = [&](Value other) {
      return !isa<MemRefType>(other.getType()) ||
             !mayShareBytes(findPlace(other), place);
    };
    for (OpOperand &operand : op->getOpOperands())
      if (&operand != output && !isElsewhere(operand.get()))
        return nullptr;
    for (Operation *before = op->getPrevNode(); before;
         before = before->getPrevNode()) {
      auto fill = dyn_cast<linalg::FillOp>(before);
      if (fill && fill.output() == output->get())
        return fill;
      if (!isMemoryEffectFree(before) && !(fill && isElsewhere(fill.output())))
        return nullptr;
    }
    return nullptr;
  }

  /// Reads and writes an element of the result once for several products, in
  /// blocks of results that stay in the cache.
  void writeCorrelation() {
    constexpr int64_t kProducts = 8, kResults = 1024;
    Location loc = op.getLoc();
    for (OpOperand &output : op.getDpsInitsMutable())
      accumulators.push_back({&output, true});
    Value end = index(sizes[1]);
    auto blocks = scf::ForOp::create(rewriter, loc, zero, end, index(kResults));
    rewriter.setInsertionPointToStart(blocks.getBody());
    Value begin = blocks.getInductionVar();
    if (sizes[1] % kResults != 0)
      end = arith::MinSIOp::create(
          rewriter, loc, end,
          arith::AddIOp::create(rewriter, loc, begin, index(kResults)));
    else
      end = arith::AddIOp::create(rewriter, loc, begin, index(kResults));

    int64_t rest = sizes[0] % kProducts;
    if (sizes[0] > rest) {
      auto products = scf::ForOp::create(
          rewriter, loc, zero, index(sizes[0] - rest), index(kProducts));
      OpBuilder::InsertionGuard guard(rewriter);
      rewriter.setInsertionPointToStart(products.getBody());
      writeProducts(products.getInductionVar(), kProducts, begin, end);
    }
    if (rest > 0)
      writeProducts(index(sizes[0] - rest), rest, begin, end);
  }

  /// The choice of the only summand, if there is one.
  std::optional<Choice> findChoice() {
    if (accumulators.size() != 1)
      return std::nullopt;
    Operation *sum = body->getTerminator()->getOperand(0).getDefiningOp();
    for (Value summand : sum->getOperands()) {
      auto select = summand.getDefiningOp<arith::SelectOp>();
      if (!select || !matchPattern(select.getFalseValue(), m_PosZeroFloat()))
        continue;
      auto test = select.getCondition().getDefiningOp<arith::CmpIOp>();
      auto place =
          test ? test.getLhs().getDefiningOp<arith::AddIOp>() : nullptr;
      llvm::APInt bound;
      if (!place || !matchPattern(test.getRhs(), m_ConstantInt(&bound)))
        continue;
      auto one = place.getLhs().getDefiningOp<linalg::IndexOp>();
      auto other = place.getRhs().getDefiningOp<linalg::IndexOp>();
      bool isAtLeast = test.getPredicate() == arith::CmpIPredicate::sge;
      if (one && other && one.getDim() != other.getDim() &&
          (isAtLeast || test.getPredicate() == arith::CmpIPredicate::slt))
        return Choice{select, isAtLeast, bound.getSExtValue()};
    }
    return std::nullopt;
  }

  /// Adds the products number `first` and on to results.
  void writeProducts(Value first, int64_t count, Value begin, Value end) {
    Location loc = op.getLoc();
    SmallVector<Value> numbers{first};
    for (int64_t i = 1; i < count; ++i)
      numbers.push_back(arith::AddIOp::create(rewriter, loc, first, index(i)));
    std::optional<Choice> choice = findChoice();
    if (!choice)
      return writeResults(numbers, begin, end);
    // Between these results some of the products exist, and on one side all.
    Value bound = index(choice->bound);
    Value low = arith::SubIOp::create(rewriter, loc, bound, numbers.back());
    Value high = arith::SubIOp::create(rewriter, loc, bound, first);
    Value fromLow = arith::MaxSIOp::create(rewriter, loc, begin, low);
    Value toHigh = arith::MinSIOp::create(rewriter, loc, end, high);
    writeResults(numbers, fromLow, toHigh);
    chosen = choice->select;
    if (choice->isAtLeast)
      begin = arith::MaxSIOp::create(rewriter, loc, begin, high);
    else
      end = arith::MinSIOp::create(rewriter, loc, end, low);
    writeResults(numbers, begin, end);
    chosen = nullptr;
  }

  /// Adds the products with these numbers to the results in a range.
  void writeResults(ArrayRef<Value> numbers, Value begin, Value end) {
    Location loc = op.getLoc();
    auto results = scf::ForOp::create(rewriter, loc, begin, end, one);
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPointToStart(results.getBody());
    position = {numbers.front(), results.getInductionVar()};
    SmallVector<Value> sums;
    for (Accumulator &accumulator : accumulators) {
      Type type = getElementTypeOrSelf(accumulator.output->get());
      sums.push_back(
          arith::ConstantOp::create(rewriter, loc, rewriter.getZeroAttr(type)));
    }
    for (Value number : numbers) {
      position[0] = number;
      sums = writeBody(sums);
    }
    for (auto [accumulator, sum] : llvm::zip_equal(accumulators, sums))
      store(arith::AddFOp::create(rewriter, loc, load(accumulator.output), sum),
            accumulator.output);
  }

  void writeInnermost(unsigned loop) {
    Location loc = op.getLoc();
    for (OpOperand &output : op.getDpsInitsMutable())
      if (!op.getMatchingIndexingMap(&output).isFunctionOfDim(loop))
        accumulators.push_back({&output, isSum(&output)});
    position.push_back(zero); // Not read by what is loaded here.
    SmallVector<Value> carried;
    for (Accumulator &accumulator : accumulators) {
      linalg::FillOp fill = findFill(accumulator.output);
      carried.push_back(fill ? fill.value() : load(accumulator.output));
      if (fill)
        needless.insert(fill);
    }

    int64_t size = sizes[loop];
    bool hasSum = llvm::any_of(accumulators, [](auto &a) { return a.isSum; });
    if (!hasSum || size < kLongSum) {
      carried = writeLoop(zero, index(size), carried);
    } else {
      int64_t block = blockSize(size);
      auto blocks = scf::ForOp::create(rewriter, loc, zero, index(size),
                                       index(block), carried);
      rewriter.setInsertionPointToStart(blocks.getBody());
      Value begin = blocks.getInductionVar();
      Value end = arith::AddIOp::create(rewriter, loc, begin, index(block));
      if (size % block != 0)
        end = arith::MinSIOp::create(rewriter, loc, end, index(size));
      SmallVector<Value> partial(blocks.getRegionIterArgs());
      for (auto [accumulator, value] : llvm::zip_equal(accumulators, partial))
        if (accumulator.isSum)
          value = arith::ConstantOp::create(
              rewriter, loc, rewriter.getZeroAttr(value.getType()));
      partial = writeLoop(begin, end, partial);
      for (auto [accumulator, value, total] :
           llvm::zip_equal(accumulators, partial, blocks.getRegionIterArgs()))
        if (accumulator.isSum)
          value = arith::AddFOp::create(rewriter, loc, total, value);
      scf::YieldOp::create(rewriter, loc, partial);
      carried.assign(blocks->result_begin(), blocks->result_end());
      rewriter.setInsertionPointAfter(blocks);
    }
    for (auto [accumulator, value] : llvm::zip_equal(accumulators, carried))
      store(value, accumulator.output);
  }

  /// Blocks of about sqrt(64 n): a block is added up in 64 places at once.
  static int64_t blockSize(int64_t size) {
    return std::max<int64_t>(kShortestBlock,
                             llvm::PowerOf2Ceil(static_cast<uint64_t>(
                                 std::sqrt(64.0 * static_cast<double>(size)))));
  }

  SmallVector<Value> writeLoop(Value begin, Value end, ValueRange carried) {
    auto loop =
        scf::ForOp::create(rewriter, op.getLoc(), begin, end, one, carried);
    if (Attribute annotation = annotateShort())
      loop->setAttr(kLoopAnnotation, annotation);
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPointToStart(loop.getBody());
    position.back() = loop.getInductionVar();
    SmallVector<Value> next = writeBody(loop.getRegionIterArgs());
    if (!next.empty())
      scf::YieldOp::create(rewriter, op.getLoc(), next);
    return SmallVector<Value>(loop->getResults());
  }

  /// What LLVM is told of an innermost loop of a few vectors. It would write
  /// out the elements one by one before it looks for vectors. And where several
  /// elements are left behind the last whole vector, it would do these one by
  /// one, which takes a good part of the time: they become a vector with a
  /// mask.
  Attribute annotateShort() {
    constexpr int64_t kVectorBits = 256, kMostVectors = 8;
    int64_t bits = 32;
    for (OpOperand &operand : op->getOpOperands()) {
      Type type = getElementTypeOrSelf(operand.get());
      // Others have no loads and stores with masks.
      if (!type.isIntOrFloat() || (type.getIntOrFloatBitWidth() != 32 &&
                                   type.getIntOrFloatBitWidth() != 64))
        return nullptr;
      bits = std::max<int64_t>(bits, type.getIntOrFloatBitWidth());
    }
    int64_t lanes = kVectorBits / bits, size = sizes.back();
    // Written out, or as whole vectors, sums that a loop around adds to stay in
    // registers.
    bool isAdded =
        llvm::is_contained(ArrayRef(op.getIteratorTypesArray()).drop_back(),
                           utils::IteratorType::reduction);
    int64_t mostVectors = isAdded ? kMostVectors / 2 : kMostVectors;
    if (size < 2 * lanes || size >= mostVectors * lanes)
      return nullptr;
    MLIRContext *context = rewriter.getContext();
    BoolAttr yes = rewriter.getBoolAttr(true);
    auto vectorized = LLVM::LoopAnnotationAttr::get(
        context, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {},
        /*isVectorized=*/yes, {}, {}, {});
    auto vectorize = LLVM::LoopVectorizeAttr::get(
        context, {}, /*predicateEnable=*/size % lanes > 1 ? yes : BoolAttr(),
        {}, {}, vectorized, {}, {});
    auto unroll = LLVM::LoopUnrollAttr::get(context, /*disable=*/yes, {}, {},
                                            {}, {}, {}, {});
    return LLVM::LoopAnnotationAttr::get(context, {}, vectorize, {}, unroll, {},
                                         {}, {}, {}, {}, {}, {}, {}, {}, {},
                                         {});
  }

  /// Writes the scalar computation at the current position, the elements of
  /// accumulators being `carried`, and returns what these become.
  SmallVector<Value> writeBody(ValueRange carried) {
    IRMapping map;
    llvm::SmallDenseMap<OpOperand *, unsigned> carriedAt;
    for (auto [i, value] : llvm::enumerate(carried)) {
      OpOperand *output = accumulators[i].output;
      carriedAt[output] = i;
      map.map(op.getMatchingBlockArgument(output), value);
    }
    for (OpOperand &operand : op->getOpOperands()) {
      BlockArgument element = op.getMatchingBlockArgument(&operand);
      if (!carriedAt.contains(&operand) && !element.use_empty())
        map.map(element, load(&operand));
    }
    for (Operation &nested : body->without_terminator()) {
      if (auto dim = dyn_cast<linalg::IndexOp>(nested))
        map.map(dim.getResult(), position[dim.getDim()]);
      else if (chosen && &nested == chosen.getOperation())
        map.map(chosen.getResult(), map.lookupOrDefault(chosen.getTrueValue()));
      else
        rewriter.clone(nested, map);
    }
    SmallVector<Value> next(carried);
    for (auto [output, yielded] : llvm::zip_equal(
             op.getDpsInitsMutable(), body->getTerminator()->getOperands())) {
      Value value = map.lookupOrDefault(yielded);
      if (auto at = carriedAt.find(&output); at != carriedAt.end())
        next[at->second] = value;
      else
        store(value, &output);
    }
    return next;
  }

  static constexpr int64_t kLongSum = 4096;
  static constexpr int64_t kShortestBlock = 1024;

  RewriterBase &rewriter;
  linalg::LinalgOp op;
  Block *body;
  SmallVector<int64_t> sizes;
  FillSet &needless;
  SmallVector<Value> position;
  SmallVector<Accumulator> accumulators;
  arith::SelectOp chosen; // Known to choose the first value.
  Value zero, one;
};

struct GradBuffersToLoops
    : grad::impl::GradBuffersToLoopsBase<GradBuffersToLoops> {
  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet set(context);
    memref::populateExpandStridedMetadataPatterns(set);
    views = std::move(set);
    return success();
  }

  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    SmallVector<memref::CopyOp> copies;
    getOperation().walk([&](memref::CopyOp op) { copies.push_back(op); });
    for (memref::CopyOp op : copies) {
      if (hasNoElements(op.getSource())) {
        rewriter.eraseOp(op);
        continue;
      }
      if ((isContiguous(op.getSource()) && isContiguous(op.getTarget())) ||
          isa<UnrankedMemRefType>(op.getSource().getType()) ||
          isa<UnrankedMemRefType>(op.getTarget().getType()))
        continue;
      rewriter.setInsertionPoint(op);
      linalg::makeMemRefCopyOp(rewriter, op.getLoc(), op.getSource(),
                               op.getTarget());
      rewriter.eraseOp(op);
    }

    SmallVector<linalg::LinalgOp> ops;
    getOperation().walk([&](linalg::LinalgOp op) { ops.push_back(op); });
    FillSet needless;
    // The last first: it may do what a fill before it would.
    for (linalg::LinalgOp op : llvm::reverse(ops)) {
      if (!op.hasPureBufferSemantics() || op.hasDynamicShape()) {
        op.emitOpError("expected operands that are buffers of static shape");
        return signalPassFailure();
      }
      if (!llvm::is_contained(op.getStaticLoopRanges(), 0) &&
          !needless.contains(op)) {
        op = collapseLoops(rewriter, op);
        LoopWriter(rewriter, op, needless).write();
      }
      rewriter.eraseOp(op);
    }
    walkAndApplyPatterns(getOperation(), views);
    eraseDeadOps(getOperation());
  }

private:
  FrozenRewritePatternSet views;
};

} // namespace
