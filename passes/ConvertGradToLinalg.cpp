//===- ConvertGradToLinalg.cpp - grad on tensors to linalg on tensors -----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The pass `convert-grad-to-linalg` and the lowering of elementwise ops,
/// constants and changes of shape.
///
/// Invariant: broadcasts, transposes and splat constants become linalg ops
/// that later elementwise, reduction and product lowerings look through. They
/// are computed into memory only where a value is returned or used by an op
/// that needs a buffer.
///
/// Integers lose their signs first (DropSigns.h); what is lowered by their
/// signs asks for them.
///
//===----------------------------------------------------------------------===//

#include "passes/ConvertGradToLinalg.h"
#include "dialect/AnyOrder.h"
#include "dialect/DeadOps.h"
#include "dialect/Foreign.h"
#include "dialect/GradSpectra.h"
#include "dialect/Scalar.h"
#include "dialect/SpecialFunction.h"
#include "passes/DropSigns.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/ReshapeOpsUtils.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

namespace mlir::grad {
#define GEN_PASS_DEF_CONVERTGRADTOLINALG
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

//===----------------------------------------------------------------------===//
// Shared parts
//===----------------------------------------------------------------------===//

/// The tensor of a generic that only moves its elements, or null.
static Value movedInput(linalg::GenericOp op) {
  if (op.getNumDpsInputs() != 1 || op.getNumDpsInits() != 1 ||
      op.getNumReductionLoops() != 0 || !llvm::hasSingleElement(*op.getBody()))
    return {};
  auto yield = cast<linalg::YieldOp>(op.getBody()->getTerminator());
  Value input = op.getDpsInputOperand(0)->get();
  if (yield.getOperand(0) != op.getBody()->getArgument(0) ||
      !isa<RankedTensorType>(input.getType()) ||
      !op.getIndexingMapsArray()[1].isIdentity() ||
      !op.getIndexingMapsArray()[0].isProjectedPermutation())
    return {};
  return input;
}

/// The one element of a constant.
static Value elementOf(OpBuilder &builder, Location loc,
                       DenseElementsAttr splat) {
  auto element = splat.getSplatValue<Attribute>();
  if (auto parts = dyn_cast<ArrayAttr>(element))
    return complex::ConstantOp::create(builder, loc, splat.getElementType(),
                                       parts);
  return arith::ConstantOp::create(builder, loc, cast<TypedAttr>(element));
}

View mlir::grad::lookThrough(OpBuilder &builder, Value value,
                             bool permutationsOnly) {
  auto type = cast<RankedTensorType>(value.getType());
  View view{value, builder.getMultiDimIdentityMap(type.getRank()), {}};
  while (auto generic = view.source.getDefiningOp<linalg::GenericOp>()) {
    Value input = movedInput(generic);
    if (!input)
      break;
    AffineMap moved = generic.getIndexingMapsArray()[0];
    if (permutationsOnly && !moved.isPermutation())
      break;
    view.map = moved.compose(view.map);
    view.source = input;
  }
  if (permutationsOnly)
    return view;
  if (auto fill = view.source.getDefiningOp<linalg::FillOp>()) {
    view.scalar = fill.value();
  } else if (DenseElementsAttr splat;
             matchPattern(view.source, m_Constant(&splat)) && splat.isSplat()) {
    view.scalar = elementOf(builder, value.getLoc(), splat);
  }
  return view;
}

MemoryOrder::MemoryOrder(OpBuilder &builder, Value x) {
  View view = lookThrough(builder, x, /*permutationsOnly=*/true);
  source = view.source;
  position.resize(view.map.getNumDims());
  for (unsigned i = 0, e = view.map.getNumResults(); i < e; ++i)
    position[view.map.getDimPosition(i)] = i;
}

Value mlir::grad::emptyLike(OpBuilder &builder, Location loc, Type type) {
  auto tensorType = cast<RankedTensorType>(type);
  return tensor::EmptyOp::create(builder, loc, tensorType.getShape(),
                                 tensorType.getElementType());
}

Value mlir::grad::filled(OpBuilder &builder, Location loc, Type type,
                         Value scalar) {
  return linalg::FillOp::create(builder, loc, scalar,
                                emptyLike(builder, loc, type))
      .getResult(0);
}

Value mlir::grad::filled(OpBuilder &builder, Location loc, Type type,
                         double number) {
  return filled(builder, loc, type,
                numberOf(builder, loc, getElementTypeOrSelf(type), number));
}

Value mlir::grad::numberOf(OpBuilder &builder, Location loc, Type element,
                           double number) {
  if (auto complex = dyn_cast<ComplexType>(element)) {
    Type part = complex.getElementType();
    return complex::ConstantOp::create(
        builder, loc, complex,
        builder.getArrayAttr({builder.getFloatAttr(part, number),
                              builder.getFloatAttr(part, 0)}));
  }
  if (isa<FloatType>(element))
    return arith::ConstantOp::create(builder, loc,
                                     builder.getFloatAttr(element, number));
  return arith::ConstantOp::create(
      builder, loc,
      builder.getIntegerAttr(element, static_cast<int64_t>(number)));
}

template <typename ComplexOp, typename FloatOp, typename IntegerOp>
static Value createOnNumbers(OpBuilder &builder, Location loc, Value lhs,
                             Value rhs, arith::FastMathFlags flags) {
  if (isa<ComplexType>(lhs.getType()))
    return ComplexOp::create(builder, loc, lhs, rhs, flags);
  if (isa<FloatType>(lhs.getType()))
    return FloatOp::create(builder, loc, lhs, rhs, flags);
  return IntegerOp::create(builder, loc, lhs, rhs);
}

Value mlir::grad::addNumbers(OpBuilder &builder, Location loc, Value lhs,
                             Value rhs, arith::FastMathFlags flags) {
  if (isNarrowFloat(lhs.getType())) {
    auto widen = [&](Value x) {
      return arith::ExtFOp::create(builder, loc, builder.getF32Type(), x);
    };
    Value sum = arith::AddFOp::create(builder, loc, widen(lhs), widen(rhs));
    return arith::TruncFOp::create(builder, loc, lhs.getType(), sum);
  }
  return createOnNumbers<complex::AddOp, arith::AddFOp, arith::AddIOp>(
      builder, loc, lhs, rhs, flags);
}

Value mlir::grad::multiplyNumbers(OpBuilder &builder, Location loc, Value lhs,
                                  Value rhs, arith::FastMathFlags flags) {
  return createOnNumbers<complex::MulOp, arith::MulFOp, arith::MulIOp>(
      builder, loc, lhs, rhs, flags);
}

SmallVector<utils::IteratorType>
mlir::grad::iterators(int64_t count, ArrayRef<int64_t> reduced) {
  SmallVector<utils::IteratorType> result(count, utils::IteratorType::parallel);
  for (int64_t dim : reduced)
    result[dim] = utils::IteratorType::reduction;
  return result;
}

AffineMap mlir::grad::projection(MLIRContext *context, int64_t rank,
                                 ArrayRef<int64_t> dims) {
  SmallVector<AffineExpr> exprs;
  for (int64_t dim : dims)
    exprs.push_back(getAffineDimExpr(dim, context));
  return AffineMap::get(rank, 0, exprs, context);
}

SmallVector<int64_t> mlir::grad::complement(int64_t rank,
                                            ArrayRef<int64_t> dims) {
  SmallVector<int64_t> result;
  for (int64_t dim = 0; dim < rank; ++dim)
    if (!llvm::is_contained(dims, dim))
      result.push_back(dim);
  return result;
}

//===----------------------------------------------------------------------===//
// Elementwise ops
//===----------------------------------------------------------------------===//

namespace {

/// Any op with results that have no elements => tensor.empty.
struct LowerWithoutElements : RewritePattern {
  explicit LowerWithoutElements(MLIRContext *context)
      : RewritePattern(MatchAnyOpTypeTag(), /*benefit=*/10, context) {}

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    if (!isa_and_nonnull<GradDialect>(op->getDialect()) ||
        op->getNumResults() != 1 || isHostCall(op) ||
        isa<CallOp, VjpOp, JvpOp, VmapOp, CustomOp, TransposedOp>(op) ||
        !hasNoElements(op->getResult(0)))
      return rewriter.notifyMatchFailure(op, "not an op without elements");
    rewriter.replaceOp(
        op, emptyLike(rewriter, op->getLoc(), op->getResultTypes()[0]));
    return success();
  }
};

/// grad.<elementwise> => linalg.generic with the op's scalar form as body.
struct LowerElementwise : OpInterfaceRewritePattern<ElementwiseOpInterface> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;

  LogicalResult matchAndRewrite(ElementwiseOpInterface op,
                                PatternRewriter &rewriter) const override {
    auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
    if (!type)
      return rewriter.notifyMatchFailure(op, "is the scalar form already");
    SmallVector<View> views;
    SmallVector<Value> inputs;
    SmallVector<AffineMap> maps;
    SmallVector<unsigned> inputOf;
    for (Value operand : op->getOperands()) {
      View view = lookThrough(rewriter, operand);
      views.push_back(view);
      inputOf.push_back(~0u);
      if (view.scalar)
        continue;
      unsigned index = 0;
      while (index < inputs.size() &&
             (inputs[index] != view.source || maps[index] != view.map))
        ++index;
      if (index == inputs.size()) {
        inputs.push_back(view.source);
        maps.push_back(view.map);
      }
      inputOf.back() = index;
    }
    maps.push_back(rewriter.getMultiDimIdentityMap(type.getRank()));
    auto generic = linalg::GenericOp::create(
        rewriter, op.getLoc(), TypeRange(type), inputs,
        ValueRange(emptyLike(rewriter, op.getLoc(), type)), maps,
        iterators(type.getRank()),
        [&](OpBuilder &builder, Location loc, ValueRange elements) {
          SmallVector<Value> scalars;
          for (auto [view, input] : llvm::zip_equal(views, inputOf))
            scalars.push_back(view.scalar ? view.scalar : elements[input]);
          Value scalar =
              op.emitScalar(builder, loc, scalars, hadUnsignedOperands(op));
          if (op->hasAttr(kAnyOrder) && isa<FloatType>(scalar.getType()))
            scalar.getDefiningOp()->setAttr(
                "fastmath",
                arith::FastMathFlagsAttr::get(
                    builder.getContext(), arith::FastMathFlags::reassoc |
                                              arith::FastMathFlags::contract));
          linalg::YieldOp::create(builder, loc, scalar);
        });
    rewriter.replaceOp(op, generic);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Constants and changes of shape
//===----------------------------------------------------------------------===//

/// grad.constant => linalg.fill for a splat, else arith.constant.
struct LowerConstant : OpRewritePattern<ConstantOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ConstantOp op,
                                PatternRewriter &rewriter) const override {
    auto value = op.getValue();
    auto elements = dyn_cast<DenseElementsAttr>(value);
    if (elements && elements.isSplat())
      rewriter.replaceOp(op,
                         filled(rewriter, op.getLoc(), op.getType(),
                                elementOf(rewriter, op.getLoc(), elements)));
    else
      rewriter.replaceOpWithNewOp<arith::ConstantOp>(op,
                                                     cast<TypedAttr>(value));
    return success();
  }
};

using Body = function_ref<void(OpBuilder &, Location, ValueRange)>;

/// Replaces `op` by a generic without operands, whose body sees its indices.
void replaceByGenerator(PatternRewriter &rewriter, Operation *op, Body body) {
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  Location loc = op->getLoc();
  auto generic =
      linalg::GenericOp::create(rewriter, loc, TypeRange(type), ValueRange(),
                                ValueRange(emptyLike(rewriter, loc, type)),
                                rewriter.getMultiDimIdentityMap(type.getRank()),
                                iterators(type.getRank()), body);
  rewriter.replaceOp(op, generic);
}

/// grad.iota => linalg.generic of linalg.index.
struct LowerIota : OpRewritePattern<IotaOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(IotaOp op,
                                PatternRewriter &rewriter) const override {
    auto type = cast<RankedTensorType>(op.getType());
    replaceByGenerator(
        rewriter, op, [&](OpBuilder &builder, Location loc, ValueRange) {
          Value index = arith::IndexCastOp::create(
              builder, loc, builder.getI64Type(),
              linalg::IndexOp::create(builder, loc, op.getDimension()));
          Type element = type.getElementType();
          if (isa<FloatType>(element))
            index = arith::SIToFPOp::create(builder, loc, element, index);
          else if (element != index.getType())
            index = arith::TruncIOp::create(builder, loc, element, index);
          linalg::YieldOp::create(builder, loc, index);
        });
    return success();
  }
};

/// grad.identity => linalg.generic that compares its indices.
struct LowerIdentity : OpRewritePattern<IdentityOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(IdentityOp op,
                                PatternRewriter &rewriter) const override {
    auto type = cast<RankedTensorType>(op.getType());
    replaceByGenerator(
        rewriter, op, [&](OpBuilder &builder, Location loc, ValueRange) {
          Value isOne;
          for (int64_t d = 0, rank = type.getRank() / 2; d < rank; ++d) {
            Value equal = arith::CmpIOp::create(
                builder, loc, arith::CmpIPredicate::eq,
                linalg::IndexOp::create(builder, loc, d),
                linalg::IndexOp::create(builder, loc, rank + d));
            isOne = isOne ? arith::AndIOp::create(builder, loc, isOne, equal)
                                .getResult()
                          : equal;
          }
          if (!isOne)
            isOne = arith::ConstantOp::create(builder, loc,
                                              builder.getBoolAttr(true));
          linalg::YieldOp::create(
              builder, loc,
              Scalar{builder, loc, isOne}.convert(type.getElementType()));
        });
    return success();
  }
};

/// Replaces `op` by a generic that reads element `map(i)` of `x` for element
/// `i` of the result; by a fill where `x` is one.
static void replaceByMove(PatternRewriter &rewriter, Operation *op, Value x,
                          AffineMap map) {
  View view = lookThrough(rewriter, x);
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  if (view.scalar) {
    rewriter.replaceOp(op, filled(rewriter, op->getLoc(), type, view.scalar));
    return;
  }
  auto generic = linalg::GenericOp::create(
      rewriter, op->getLoc(), TypeRange(type), ValueRange(view.source),
      ValueRange(emptyLike(rewriter, op->getLoc(), type)),
      ArrayRef<AffineMap>{view.map.compose(map),
                          rewriter.getMultiDimIdentityMap(type.getRank())},
      iterators(type.getRank()),
      [](OpBuilder &builder, Location loc, ValueRange elements) {
        linalg::YieldOp::create(builder, loc, elements[0]);
      });
  rewriter.replaceOp(op, generic);
}

/// grad.broadcast => linalg.generic with a projected input map.
struct LowerBroadcast : OpRewritePattern<BroadcastOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(BroadcastOp op,
                                PatternRewriter &rewriter) const override {
    replaceByMove(
        rewriter, op, op.getX(),
        projection(op.getContext(), op.getShape().size(), op.getDimensions()));
    return success();
  }
};

/// grad.transpose => linalg.generic with a permuted input map.
struct LowerTranspose : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(TransposeOp op,
                                PatternRewriter &rewriter) const override {
    ArrayRef<int64_t> permutation = op.getPermutation();
    replaceByMove(rewriter, op, op.getX(),
                  inversePermutation(projection(
                      op.getContext(), permutation.size(), permutation)));
    return success();
  }
};

/// grad.reshape => tensor.collapse_shape, tensor.expand_shape, or one after
/// the other through one dimension.
struct LowerReshape : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ReshapeOp op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Value x = op.getX();
    auto from = cast<RankedTensorType>(x.getType());
    auto to = cast<RankedTensorType>(op.getType());
    if (Value scalar = lookThrough(rewriter, x).scalar) {
      rewriter.replaceOp(op, filled(rewriter, loc, to, scalar));
      return success();
    }
    if (from == to) {
      rewriter.replaceOp(op, x);
      return success();
    }
    auto reassociation = getReassociationIndicesForReshape(from, to);
    if (!reassociation) {
      auto flat =
          RankedTensorType::get(from.getNumElements(), from.getElementType());
      x = tensor::CollapseShapeOp::create(rewriter, loc, flat, x,
                                          oneGroup(from.getRank()));
      reassociation = oneGroup(to.getRank());
      from = flat;
    }
    if (from.getRank() > to.getRank())
      x = tensor::CollapseShapeOp::create(rewriter, loc, to, x, *reassociation);
    else
      x = tensor::ExpandShapeOp::create(rewriter, loc, to, x, *reassociation);
    rewriter.replaceOp(op, x);
    return success();
  }

private:
  static SmallVector<ReassociationIndices> oneGroup(int64_t rank) {
    return {llvm::to_vector<2>(llvm::seq<int64_t>(0, rank))};
  }
};

/// grad.stop_gradient => its operand.
struct LowerStopGradient : OpRewritePattern<StopGradientOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(StopGradientOp op,
                                PatternRewriter &rewriter) const override {
    rewriter.replaceOp(op, op.getX());
    return success();
  }
};

} // namespace

void mlir::grad::populateElementwiseToLinalg(RewritePatternSet &patterns) {
  patterns.add<LowerWithoutElements, LowerElementwise, LowerConstant, LowerIota,
               LowerIdentity, LowerBroadcast, LowerTranspose, LowerReshape,
               LowerStopGradient>(patterns.getContext());
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {

struct ConvertGradToLinalg
    : grad::impl::ConvertGradToLinalgBase<ConvertGradToLinalg> {
  using ConvertGradToLinalgBase::ConvertGradToLinalgBase;

  /// Whether an op is one of numbers, which convert-math-to-gradopt replaces.
  static bool isScalarFunction(Operation *op) {
    return isSpecialFunction(op) && isa<FloatType>(op->getResult(0).getType());
  }

  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet set(context);
    populateElementwiseToLinalg(set);
    populateReductionsToLinalg(set);
    populateProductsToLinalg(set, forDevice);
    populateConvolutionToLinalg(set, forDevice);
    populateIndexingToLinalg(set);
    populateRandomToLinalg(set);
    populateFactorizationsToLinalg(set);
    populateSortingToLinalg(set, forDevice);
    populateSparseToLinalg(set, forDevice);
    populateFourierToLinalg(set);
    populateForeignCallsToLinalg(set);
    populateUpstreamToLinalg(set);
    patterns = std::move(set);
    return success();
  }

  void runOnOperation() override {
    dropSigns(getOperation());
    notePositionsWithin(getOperation());
    if (forDevice) {
      finishFactors(getOperation());
      separateTransforms(getOperation());
    }
    walkAndApplyPatterns(getOperation(), patterns);
    WalkResult result = getOperation().walk([](Operation *op) {
      if (!isa_and_nonnull<GradDialect>(op->getDialect()) ||
          isa<BarrierOp>(op) || isHostCall(op) || isScalarFunction(op))
        return WalkResult::advance();
      if (isa<CallOp, VjpOp, JvpOp, VmapOp, CustomOp, TransposedOp>(op))
        op->emitOpError("has no lowering to linalg; run grad-differentiate "
                        "first");
      else
        op->emitOpError("has no lowering to linalg");
      return WalkResult::interrupt();
    });
    if (result.wasInterrupted())
      return signalPassFailure();
    // What all users looked through.
    eraseDeadOps(getOperation());
  }

private:
  FrozenRewritePatternSet patterns;
};

} // namespace
