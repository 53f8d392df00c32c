//===- Fuse.cpp - Few loop nests out of many operations -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-fuse` on linalg operations on tensors of static shape:
///
///  1. Named elementwise operations become `linalg.generic`, and loops of one
///     iteration go away.
///  2. Until nothing changes: producers with one consumer, and free or cheap
///     ones with several, are computed inside their consumers (upstream's
///     elementwise fusion); operations over the same iteration space are merged
///     into one with several results (FuseMerge.cpp).
///  3. Loops are ordered so that the innermost one walks through memory.
///  4. Every accumulator and every result of insertions gets an initial value
///     of its own, for bufferization to need no copy.
///
/// Invariants: no expensive operation is evaluated more often than before; the
/// body of a contraction or correlation stays as it is.
///
//===----------------------------------------------------------------------===//

#include "passes/Fuse.h"
#include "dialect/SpecialFunction.h"
#include "passes/ContractionLayout.h"
#include "passes/Passes.h"
#include "passes/TensorProduct.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Complex/IR/Complex.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Tensor/Transforms/Transforms.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/IR/Dominance.h"
#include "mlir/Transforms/CSE.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADFUSE
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;
using linalg::GenericOp;

/// How often a pattern driver that ran out of iterations is started again.
static constexpr unsigned kMaxRounds = 32;

//===----------------------------------------------------------------------===//
// Properties of operations
//===----------------------------------------------------------------------===//

bool mlir::grad::isContraction(linalg::LinalgOp op) {
  if (op.getNumReductionLoops() == 0 || !linalg::isaContractionOpInterface(op))
    return false;
  auto dims = linalg::inferContractionDims(op);
  return succeeded(dims) && !dims->k.empty() &&
         (!dims->m.empty() || !dims->n.empty());
}

bool mlir::grad::isProduct(linalg::LinalgOp op) {
  return isContraction(op) || matchTensorProduct(op);
}

BodyCost mlir::grad::getBodyCost(GenericOp op) {
  constexpr unsigned kMaxCheapOps = 8;
  unsigned numOps = 0;
  for (Operation &nested : op.getBody()->without_terminator()) {
    if (isa<arith::ConstantOp, linalg::IndexOp>(nested))
      continue;
    bool isArith = isa_and_nonnull<arith::ArithDialect>(nested.getDialect()) &&
                   !isa<arith::DivFOp, arith::DivSIOp, arith::DivUIOp,
                        arith::RemFOp, arith::RemSIOp, arith::RemUIOp>(nested);
    if (isa<complex::ReOp, complex::ImOp, complex::CreateOp,
            complex::ConstantOp>(nested))
      continue;
    bool isComplex =
        isa<complex::AddOp, complex::SubOp, complex::MulOp>(nested);
    numOps += isComplex;
    if ((!isArith && !isComplex &&
         !isa<math::AbsFOp, math::CopySignOp>(nested)) ||
        ++numOps > kMaxCheapOps)
      return BodyCost::Expensive;
  }
  return numOps == 0 ? BodyCost::Free : BodyCost::Cheap;
}

/// Roughly the number of machine instructions of the body of `op`.
static unsigned getBodySize(GenericOp op) {
  unsigned size = 0;
  for (Operation &nested : *op.getBody()) {
    bool isCall =
        isSpecialFunction(&nested) ||
        (isa<math::MathDialect>(nested.getDialect()) &&
         !isa<math::AbsFOp, math::CopySignOp, math::SqrtOp, math::FloorOp,
              math::CeilOp, math::RoundEvenOp>(nested));
    size += isCall ? 24 : 1;
  }
  return size;
}

bool mlir::grad::isSmallTogether(GenericOp first, GenericOp second) {
  constexpr unsigned kMaxBodySize = 400;
  return getBodySize(first) + getBodySize(second) <= kMaxBodySize;
}

static int64_t getDomainSize(linalg::LinalgOp op) {
  int64_t size = 1;
  for (int64_t extent : op.getStaticLoopRanges())
    size *= extent;
  return size;
}

/// Whether a product of matrices can read what `producer`, a transpose, reads:
/// not so if rows, columns or the contracted dimensions would fall apart.
static bool canReadTransposed(GenericOp consumer, OpOperand &operand,
                              GenericOp producer) {
  SmallVector<AffineMap> maps = producer.getIndexingMapsArray();
  auto dims = linalg::inferContractionDims(consumer);
  unsigned number = operand.getOperandNumber();
  if (failed(dims) || number > 1)
    return false;
  AffineMap map = maps[0]
                      .compose(inversePermutation(maps[1]))
                      .compose(consumer.getMatchingIndexingMap(&operand));
  ArrayRef<int64_t> shape = producer.getShape(producer.getDpsInputOperand(0));
  SmallVector<int64_t> sizes = consumer.getStaticLoopRanges();
  SmallVector<int64_t> strides =
      loopStrides(map, computeStrides(shape), sizes.size());
  return matrixLayout(
             sizes, strides,
             llvm::to_vector_of<int64_t>(number == 0 ? dims->m : dims->n),
             llvm::to_vector_of<int64_t>(dims->k))
      .has_value();
}

/// Whether `op` does nothing but permute the dimensions of one tensor.
static bool isTranspose(GenericOp op) {
  auto yield = cast<linalg::YieldOp>(op.getBody()->getTerminator());
  return op.getNumDpsInputs() == 1 && op.getNumDpsInits() == 1 &&
         yield.getOperand(0) == op.getRegionInputArgs().front() &&
         llvm::all_of(op.getIndexingMapsArray(),
                      [](AffineMap map) { return map.isPermutation(); });
}

/// Whether `op` is a correlation, which reads each element at many places.
static bool readsOverlapping(GenericOp op) {
  auto isSum = [](AffineExpr expr) {
    return expr.isFunctionOfDim(0) && expr.isFunctionOfDim(1);
  };
  return op.getNumLoops() == 2 && op.getNumReductionLoops() == 1 &&
         llvm::any_of(op.getIndexingMapsArray(), [&](AffineMap map) {
           return llvm::any_of(map.getResults(), isSum);
         });
}

/// Whether a loop runs `consumer` more often than `producer`.
static bool isRepeatedFor(Operation *producer, Operation *consumer) {
  for (Operation *op = consumer; op->getBlock() != producer->getBlock();
       op = op->getParentOp())
    if (isa<LoopLikeOpInterface>(op->getParentOp()))
      return true;
  return false;
}

/// Operations do not get more operands than this by inlining. The time that
/// takes grows with the third power.
static constexpr unsigned kMaxOperands = 64;

/// Whether the producer of `operand` may be computed inside its consumer, if
/// this were the only one.
static bool canInline(OpOperand &operand) {
  auto producer = operand.get().getDefiningOp<GenericOp>();
  auto consumer = dyn_cast<GenericOp>(operand.getOwner());
  if (!producer || !consumer || producer->getNumResults() != 1 ||
      producer->getNumOperands() + consumer->getNumOperands() > kMaxOperands ||
      !linalg::areElementwiseOpsFusable(&operand))
    return false;
  if (readsOverlapping(consumer))
    return false;
  if (isRepeatedFor(producer, consumer) &&
      (getBodyCost(producer) != BodyCost::Free ||
       (isTranspose(producer) && !isProduct(consumer))))
    return false;
  if (isProduct(consumer))
    return isTranspose(producer) && isContraction(consumer) &&
           canReadTransposed(consumer, operand, producer);
  // A product without a contracted dimension in IR from elsewhere may add to
  // its initial value, which a consumer with more loops would do several times.
  if (producer.payloadUsesValueFromOperand(producer.getDpsInitOperand(0)))
    return false;
  return isSmallTogether(producer, consumer) &&
         (getDomainSize(consumer) <= getDomainSize(producer) ||
          getBodyCost(producer) != BodyCost::Expensive);
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

/// Elementwise named operations, reductions, broadcasts, transposes
/// => linalg.generic.
static void generalize(RewriterBase &rewriter, func::FuncOp func) {
  SmallVector<linalg::LinalgOp> named;
  func.walk([&](linalg::LinalgOp op) {
    Operation *operation = op;
    if (isa<GenericOp, linalg::FillOp>(operation))
      return;
    if (isa<linalg::MapOp, linalg::ReduceOp, linalg::BroadcastOp,
            linalg::TransposeOp>(operation) ||
        linalg::isElementwise(op))
      named.push_back(op);
  });
  for (linalg::LinalgOp op : named) {
    rewriter.setInsertionPoint(op);
    (void)linalg::generalizeNamedOp(rewriter, op);
  }
}

/// Loops of one iteration => none, which makes more iteration spaces equal.
static void dropUnitLoops(RewriterBase &rewriter, func::FuncOp func) {
  SmallVector<GenericOp> ops;
  func.walk([&](GenericOp op) {
    if (op.hasPureTensorSemantics() && !isContraction(op))
      ops.push_back(op);
  });
  linalg::ControlDropUnitDims options;
  for (GenericOp op : ops) {
    rewriter.setInsertionPoint(op);
    auto dropped = linalg::dropUnitDims(rewriter, op, options);
    if (succeeded(dropped))
      rewriter.replaceOp(op, dropped->replacements);
  }
}

/// Whether `producer` can run in one nest with all of its users, because
/// nothing lies between it and them but elementwise operations that iterate
/// over the same elements in the same order. Merging keeps its result in a
/// register then.
static bool runsWithItsUsers(GenericOp producer) {
  constexpr unsigned kMaxOps = 256;
  Block *block = producer->getBlock();
  Operation *last = producer;
  for (Operation *user : producer->getUsers())
    if (user->getBlock() == block && last->isBeforeInBlock(user))
      last = user;

  // By identity maps, shapes are iteration spaces.
  auto isReadInOrder = [&](OpOperand &use) {
    auto writer = use.get().getDefiningOp<GenericOp>();
    auto reader = dyn_cast<GenericOp>(use.getOwner());
    return writer && reader && reader->getBlock() == block &&
           reader.getMatchingIndexingMap(&use).isIdentity() &&
           writer.getIndexingMapMatchingResult(cast<OpResult>(use.get()))
               .isIdentity();
  };
  // What depends on the producer, in program order up to the last user.
  llvm::SmallPtrSet<Operation *, 32> seen;
  SmallVector<Operation *> ops{producer};
  for (unsigned next = 0; next < ops.size(); ++next)
    for (Operation *user : ops[next]->getUsers()) {
      Operation *ancestor = block->findAncestorOpInBlock(*user);
      if (!ancestor || last->isBeforeInBlock(ancestor) ||
          !seen.insert(ancestor).second)
        continue;
      if (ops.size() == kMaxOps)
        return false;
      ops.push_back(ancestor);
    }
  // Those of them that a user of the producer depends on.
  llvm::sort(ops,
             [](Operation *a, Operation *b) { return b->isBeforeInBlock(a); });
  llvm::SmallPtrSet<Operation *, 32> needed;
  for (Operation *op : ops) {
    bool isNeeded = op == producer;
    for (OpOperand &use : op->getUses()) {
      Operation *user = block->findAncestorOpInBlock(*use.getOwner());
      bool isPath = user && (op == producer || needed.contains(user));
      if (isPath && !isReadInOrder(use))
        return false;
      isNeeded |= isPath;
    }
    isNeeded |= llvm::is_contained(op->getOperands(), producer->getResult(0));
    if (isNeeded)
      needed.insert(op);
  }
  return true;
}

/// Gives consumers a copy of their producer, each to be fused with its own:
/// free producers wherever they can be inlined, cheap ones if this makes their
/// result disappear and takes fewer reads and writes than storing it.
/// Adds the copies and what uses them to `touched`.
static void duplicateProducers(RewriterBase &rewriter,
                               ArrayRef<GenericOp> producers,
                               llvm::SetVector<Operation *> &touched) {
  for (GenericOp producer : producers) {
    // What reads a new copy is to be fused with it before its cost is known.
    if (producer->getNumResults() != 1 || touched.contains(producer))
      continue;
    BodyCost cost = getBodyCost(producer);
    if (cost == BodyCost::Expensive)
      continue;
    SmallVector<OpOperand *> uses;
    llvm::SmallPtrSet<Operation *, 4> users;
    bool allInlinable = true;
    for (OpOperand &use : producer->getUses()) {
      if (canInline(use)) {
        uses.push_back(&use);
        users.insert(use.getOwner());
      } else {
        allInlinable = false;
      }
    }
    if (users.size() < (allInlinable ? 2 : 1))
      continue;
    if (cost == BodyCost::Cheap) {
      size_t largeInputs =
          llvm::count_if(producer.getDpsInputOperands(), [&](OpOperand *input) {
            return producer.getMatchingIndexingMap(input).isPermutation();
          });
      // Stored, it is written once and read by each user.
      size_t stored = largeInputs + 1 + users.size();
      if (!allInlinable || largeInputs * users.size() >= stored ||
          runsWithItsUsers(producer))
        continue;
    }
    llvm::DenseMap<Operation *, Operation *> copies;
    for (OpOperand *use : uses) {
      Operation *&copy = copies[use->getOwner()];
      if (!copy) {
        rewriter.setInsertionPoint(use->getOwner());
        copy = rewriter.clone(*producer);
        touched.insert(copy);
        touched.insert(use->getOwner());
      }
      rewriter.modifyOpInPlace(use->getOwner(),
                               [&] { use->set(copy->getResult(0)); });
    }
    if (producer->use_empty())
      rewriter.eraseOp(producer);
  }
}

namespace {

/// Knows which linalg operations patterns have made.
class MadeOps : public RewriterBase::Listener {
public:
  void notifyOperationInserted(Operation *op, OpBuilder::InsertPoint) override {
    if (isa<GenericOp>(op) && existing.insert(op).second)
      made.push_back(op);
  }
  void notifyOperationErased(Operation *op) override { existing.erase(op); }

  /// These, and the producers of what they read, in program order in each
  /// block. Forgets them.
  SmallVector<GenericOp> takeWithProducers() {
    llvm::SetVector<Operation *> found;
    for (Operation *op : made) {
      if (!existing.contains(op))
        continue;
      found.insert(op);
      for (Value operand : op->getOperands())
        if (Operation *def = operand.getDefiningOp<GenericOp>())
          found.insert(def);
    }
    made.clear();
    existing.clear();
    llvm::MapVector<Block *, SmallVector<GenericOp>> byBlock;
    for (Operation *op : found)
      byBlock[op->getBlock()].push_back(cast<GenericOp>(op));
    SmallVector<GenericOp> all;
    for (auto &[block, ops] : byBlock) {
      llvm::sort(
          ops, [](GenericOp a, GenericOp b) { return a->isBeforeInBlock(b); });
      llvm::append_range(all, ops);
    }
    return all;
  }

private:
  SmallVector<Operation *> made;
  llvm::DenseSet<Operation *> existing;
};

} // namespace

/// A loop is a reduction exactly if some result does not depend on it.
static void updateIterators(GenericOp op) {
  SmallVector<Attribute> iterators;
  for (unsigned loop = 0; loop < op.getNumLoops(); ++loop) {
    bool isParallel =
        llvm::all_of(op.getDpsInitsMutable(), [&](OpOperand &init) {
          return op.getMatchingIndexingMap(&init).isFunctionOfDim(loop);
        });
    iterators.push_back(linalg::IteratorTypeAttr::get(
        op.getContext(), isParallel ? utils::IteratorType::parallel
                                    : utils::IteratorType::reduction));
  }
  op.setIteratorTypesAttr(ArrayAttr::get(op.getContext(), iterators));
}

/// Sorts loops by how far they step through the operands, largest steps
/// outside. Returns whether the order changed.
static void orderLoops(RewriterBase &rewriter, GenericOp op) {
  unsigned numLoops = op.getNumLoops();
  SmallVector<double> steps(numLoops, 0.0);
  for (OpOperand &operand : op->getOpOperands()) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    ArrayRef<int64_t> shape = op.getShape(&operand);
    int64_t stride = 1;
    for (int i = int(map.getNumResults()) - 1; i >= 0; --i) {
      for (unsigned loop = 0; loop < numLoops; ++loop)
        if (map.getResult(i).isFunctionOfDim(loop))
          steps[loop] += std::log2(double(stride));
      stride *= std::max<int64_t>(shape[i], 1);
    }
  }
  SmallVector<unsigned> order =
      llvm::to_vector(llvm::seq<unsigned>(0, numLoops));
  llvm::sort(order, [&](unsigned a, unsigned b) {
    return steps[a] != steps[b] ? steps[a] > steps[b] : a < b;
  });
  rewriter.setInsertionPoint(op);
  if (!llvm::is_sorted(order))
    (void)linalg::interchangeGenericOp(rewriter, op, order);
}

/// Gives `op` a destination that no other operation uses, and no other
/// iteration of a loop around it. Values that share one
/// look to bufferization as if they shared memory, which takes time to find
/// out, or a copy.
static void separateInits(RewriterBase &rewriter,
                          DestinationStyleOpInterface op) {
  for (OpOperand &init : op.getDpsInitsMutable()) {
    Operation *def = init.get().getDefiningOp();
    if (!isa_and_nonnull<linalg::FillOp, tensor::EmptyOp>(def) ||
        (def->hasOneUse() && def->getBlock() == op->getBlock()))
      continue;
    rewriter.setInsertionPoint(op);
    Operation *copy = rewriter.clone(*def);
    if (auto fill = dyn_cast<linalg::FillOp>(copy))
      separateInits(rewriter,
                    cast<DestinationStyleOpInterface>(fill.getOperation()));
    rewriter.modifyOpInPlace(op, [&] { init.set(copy->getResult(0)); });
  }
}

/// Whether `reduced` is `type` without some dimensions of one element.
static bool isWithoutUnitDims(RankedTensorType type, RankedTensorType reduced) {
  return type != reduced &&
         isRankReducedType(type, reduced) == SliceVerificationResult::Success;
}

namespace {

/// collapse_shape(extract_slice(x)) => extract_slice(x) of lower rank. Not with
/// strides: upstream cannot tell which dimensions such a view of memory lacks.
struct DropUnitDimsOfRead : OpRewritePattern<tensor::CollapseShapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tensor::CollapseShapeOp op,
                                PatternRewriter &rewriter) const override {
    auto slice = op.getSrc().getDefiningOp<tensor::ExtractSliceOp>();
    if (!slice || !slice.hasUnitStride() ||
        !isWithoutUnitDims(slice.getType(), op.getResultType()))
      return failure();
    rewriter.replaceOpWithNewOp<tensor::ExtractSliceOp>(
        op, op.getResultType(), slice.getSource(), slice.getMixedOffsets(),
        slice.getMixedSizes(), slice.getMixedStrides());
    return success();
  }
};

/// insert_slice(expand_shape(x)) => insert_slice(x) of lower rank, so that x
/// can be computed where it is inserted.
struct DropUnitDimsOfWrite : OpRewritePattern<tensor::InsertSliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tensor::InsertSliceOp op,
                                PatternRewriter &rewriter) const override {
    auto expand = op.getSource().getDefiningOp<tensor::ExpandShapeOp>();
    if (!expand || !op.hasUnitStride() ||
        !isWithoutUnitDims(expand.getResultType(), expand.getSrcType()))
      return failure();
    rewriter.modifyOpInPlace(
        op, [&] { op.getSourceMutable().assign(expand.getSrc()); });
    return success();
  }
};

/// transpose(product(fill)) => product(fill), which writes each element where
/// the transpose would, if rows or columns of the matrices stay contiguous.
struct WriteTransposed : OpRewritePattern<GenericOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(GenericOp op,
                                PatternRewriter &rewriter) const override {
    if (!isTranspose(op))
      return failure();
    auto product = op.getDpsInputs()[0].getDefiningOp<GenericOp>();
    if (!product || product.getNumResults() != 1 || !product->hasOneUse() ||
        !isContraction(product))
      return failure();
    auto fill = product.getDpsInits()[0].getDefiningOp<linalg::FillOp>();
    auto dims = linalg::inferContractionDims(product);
    if (!fill || failed(dims))
      return failure();
    SmallVector<AffineMap> places = op.getIndexingMapsArray();
    SmallVector<AffineMap> maps = product.getIndexingMapsArray();
    maps.back() =
        places[1].compose(inversePermutation(places[0])).compose(maps.back());
    auto last = dyn_cast<AffineDimExpr>(maps.back().getResults().back());
    if (!last || llvm::is_contained(dims->batch, last.getPosition()))
      return failure();
    auto type = cast<RankedTensorType>(op.getResult(0).getType());
    rewriter.setInsertionPoint(product);
    Value empty = tensor::EmptyOp::create(
        rewriter, op.getLoc(), type.getShape(), type.getElementType());
    Value zeros =
        linalg::FillOp::create(rewriter, op.getLoc(), fill.value(), empty)
            .getResult(0);
    auto transposed = GenericOp::create(
        rewriter, product.getLoc(), TypeRange(type), product.getDpsInputs(),
        ValueRange(zeros), maps, product.getIteratorTypesArray());
    rewriter.inlineRegionBefore(product.getRegion(), transposed.getRegion(),
                                transposed.getRegion().end());
    rewriter.replaceOp(op, transposed);
    rewriter.eraseOp(product);
    return success();
  }
};

} // namespace

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {

struct GradFuse : grad::impl::GradFuseBase<GradFuse> {
  using GradFuseBase::GradFuseBase;

  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet set(context);
    linalg::populateElementwiseOpsFusionPatterns(set, [&](OpOperand *operand) {
      Operation *user = operand->getOwner();
      bool isOnlyUser = llvm::all_of(operand->get().getUsers(),
                                     [&](Operation *op) { return op == user; });
      if (!isOnlyUser || !canInline(*operand))
        return false;
      ++numInlined;
      return true;
    });
    linalg::populateEraseUnusedOperandsAndResultsPatterns(set);
    tensor::CollapseShapeOp::getCanonicalizationPatterns(set, context);
    tensor::ExpandShapeOp::getCanonicalizationPatterns(set, context);
    linalg::FillOp::getCanonicalizationPatterns(set, context);
    tensor::populateFoldTensorEmptyPatterns(set);
    set.add<DropUnitDimsOfRead, DropUnitDimsOfWrite>(context);
    if (writeTransposed)
      set.add<WriteTransposed>(context);
    patterns = std::move(set);
    return success();
  }

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    IRRewriter rewriter(&getContext());

    generalize(rewriter, func);
    dropUnitLoops(rewriter, func);

    GreedyRewriteConfig config;
    config.setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
    bool changed = true;
    while (changed) {
      // Long chains may need more iterations than the driver allows: what is
      // left then is valid, and the next round goes on with it.
      unsigned numRounds = 0;
      while (failed(applyPatternsGreedily(func, patterns, config)) &&
             ++numRounds < kMaxRounds)
        ;
      changed = false;
      duplicate(rewriter, func);
      for (Block *block : getBlocks(func)) {
        unsigned merged = mergeLoopNests(rewriter, *block, separateReductions);
        numMerged += merged;
        changed |= merged != 0;
      }
      func.walk([](GenericOp op) { updateIterators(op); });
    }

    SmallVector<DestinationStyleOpInterface> ops;
    func.walk([&](DestinationStyleOpInterface op) { ops.push_back(op); });
    DominanceInfo dominance;
    for (DestinationStyleOpInterface op : ops) {
      separateInits(rewriter, op);
      auto generic = dyn_cast<GenericOp>(op.getOperation());
      if (!generic || isContraction(generic))
        continue;
      eliminateCommonSubExpressions(rewriter, dominance, op);
      orderLoops(rewriter, generic);
    }
  }

private:
  /// Duplicates producers, and fuses, until there is nothing left to. One that
  /// is fused may let the next one of a chain be: these are looked at before
  /// all others are looked at again.
  void duplicate(RewriterBase &rewriter, func::FuncOp func) {
    MadeOps made;
    GreedyRewriteConfig config;
    config.setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
    config.setListener(&made);
    while (true) {
      llvm::SetVector<Operation *> touched;
      duplicateProducers(rewriter, made.takeWithProducers(), touched);
      if (touched.empty())
        for (Block *block : getBlocks(func))
          duplicateProducers(
              rewriter, llvm::to_vector(block->getOps<GenericOp>()), touched);
      if (touched.empty())
        return;
      (void)applyOpPatternsGreedily(touched.getArrayRef(), patterns, config);
    }
  }

  /// The blocks of the function, without bodies of linalg ops. Patterns may
  /// erase dead ops with their regions.
  static SmallVector<Block *> getBlocks(func::FuncOp func) {
    SmallVector<Block *> blocks;
    func.walk([&](Block *block) {
      if (!isa<linalg::LinalgOp>(block->getParentOp()) && !block->empty())
        blocks.push_back(block);
    });
    return blocks;
  }

  FrozenRewritePatternSet patterns;
};

} // namespace
