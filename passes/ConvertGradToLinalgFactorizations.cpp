//===- ConvertGradToLinalgFactorizations.cpp - Factorisations to LAPACK ---===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Each op becomes a call of a routine of the runtime, on new tensors. What a
/// routine needs to work in is known here and a tensor, too: it lies in the
/// arena in the end.
///
//===----------------------------------------------------------------------===//

#include "dialect/GradSpectra.h"
#include "dialect/MatrixAlgebra.h"
#include "passes/ConvertGradToLinalg.h"
#include "passes/FactorKernel.h"
#include "runtime/Lapack.h"

#include <limits>

using namespace mlir;
using namespace mlir::grad;
namespace lapack = gradopt::runtime::lapack;

namespace {

struct Matrices {
  explicit Matrices(Value a)
      : rows(typeOf(a).getShape().end()[-2]),
        columns(typeOf(a).getShape().back()) {}
  int64_t rows, columns;
};

/// Puts the call in place of `op`. The outs are the results and `work`, the
/// types of memory to work in.
LogicalResult callRoutine(Operation *op, PatternRewriter &rewriter,
                          lapack::Routine routine, int64_t flags,
                          ValueRange inputs, ArrayRef<Type> work = {}) {
  SmallVector<Type> types(op->getResultTypes());
  llvm::append_range(types, work);
  auto outs = llvm::map_to_vector(types, [&](Type type) {
    return emptyLike(rewriter, op->getLoc(), type);
  });
  auto call =
      LapackIntoOp::create(rewriter, op->getLoc(), types,
                           lapack::kNames[routine], flags, inputs, outs);
  rewriter.replaceOp(op, call.getResults().take_front(op->getNumResults()));
  return success();
}

/// One dimension of `size` elements like those of `x`.
Type workLike(Value x, int64_t size) {
  return RankedTensorType::get({size}, typeOf(x).getElementType());
}
bool isComplex(Value x) { return isa<ComplexType>(typeOf(x).getElementType()); }
/// As many elements as before, or those that have `bytes` where real matrices
/// of this size are factored several at once.
int64_t withLanes(Value x, int64_t most, int64_t elements, int64_t bytes) {
  Matrices a(x);
  if (isComplex(x) || std::max(a.rows, a.columns) > most)
    return elements;
  int64_t size = typeOf(x).getElementTypeBitWidth() / 8;
  return std::max(elements, int64_t(llvm::divideCeil(bytes, size)));
}
Type integers(PatternRewriter &rewriter, int64_t size) {
  return RankedTensorType::get({size}, rewriter.getI32Type());
}

LogicalResult lower(CholeskyOp op, PatternRewriter &rewriter) {
  return callRoutine(op, rewriter, lapack::Cholesky, 0, op.getA());
}

bool isCall(Operation *op, lapack::Routine routine) {
  auto call = dyn_cast_if_present<LapackIntoOp>(op);
  return call && call.getRoutine() == lapack::kNames[routine];
}

/// Whether factors of `grad.lu`, lowered or not, lie as LAPACK leaves them,
/// which saves a copy: they do where there are systems to be solved, and nobody
/// else who reads them. Small ones may be those of a device.
bool areColumnMajor(Value factors) {
  Matrices size(factors);
  Operation *op = factors.getDefiningOp();
  if (!isa_and_present<LuOp>(op) && !isCall(op, lapack::Lu))
    return false;
  return size.rows == size.columns && size.rows > FactorKernel::kMostRows &&
         llvm::all_of(factors.getUses(), [](OpOperand &use) {
           Operation *user = use.getOwner();
           if (auto solve = dyn_cast<LuSolveOp>(user))
             return &use == &solve.getFactorsMutable();
           return isCall(user, lapack::LuSolve) && use.getOperandNumber() == 0;
         });
}

LogicalResult lower(LuOp op, PatternRewriter &rewriter) {
  Matrices a(op.getA());
  bool isColumnMajor = areColumnMajor(op.getFactors());
  return callRoutine(
      op, rewriter, lapack::Lu, isColumnMajor ? lapack::IsColumnMajor : 0,
      op.getA(), workLike(op.getA(), isColumnMajor ? 1 : a.rows * a.columns));
}

LogicalResult lower(LuSolveOp op, PatternRewriter &rewriter) {
  int64_t flags = (op.getTransposed() ? lapack::IsTransposed : 0) |
                  (areColumnMajor(op.getFactors()) ? lapack::IsColumnMajor : 0);
  return callRoutine(op, rewriter, lapack::LuSolve, flags,
                     {op.getFactors(), op.getPivots(), op.getRhs()});
}

LogicalResult lower(TriangularSolveOp op, PatternRewriter &rewriter) {
  int64_t flags = (op.getTransposed() ? lapack::IsTransposed : 0) |
                  (op.getLeft() ? lapack::IsLeft : 0) |
                  (op.getLower() ? lapack::IsLower : 0) |
                  (op.getUnit() ? lapack::IsUnit : 0);
  return callRoutine(op, rewriter, lapack::TriangularSolve, flags,
                     {op.getA(), op.getRhs()});
}

LogicalResult lower(QrOp op, PatternRewriter &rewriter) {
  Matrices a(op.getA());
  return callRoutine(op, rewriter, lapack::Qr, 0, op.getA(),
                     workLike(op.getA(), lapack::getQrWork(a.rows, a.columns)));
}

LogicalResult lower(EighOp op, PatternRewriter &rewriter) {
  int64_t n = Matrices(op.getA()).rows;
  int64_t work = withLanes(op.getA(), lapack::kMostInEighLanes,
                           lapack::getEighWork(n, isComplex(op.getA())),
                           lapack::getLaneEighBytes(n));
  return callRoutine(op, rewriter, lapack::Eigh,
                     op.getVectors().use_empty() ? 0 : lapack::HasVectors,
                     op.getA(),
                     {workLike(op.getA(), work),
                      integers(rewriter, lapack::getEighIntegers(n))});
}

LogicalResult lower(SvdOp op, PatternRewriter &rewriter) {
  Matrices a(op.getA());
  bool hasVectors = !op.getU().use_empty() || !op.getVh().use_empty();
  int64_t columns = Matrices(op.getU()).columns,
          rows = Matrices(op.getVh()).rows;
  int64_t work =
      withLanes(op.getA(), lapack::kMostInSvdLanes,
                lapack::getSvdWork(a.rows, a.columns, columns, rows,
                                   isComplex(op.getA())),
                lapack::getLaneSvdBytes(a.rows, a.columns, columns, rows));
  return callRoutine(
      op, rewriter, lapack::Svd, hasVectors ? lapack::HasVectors : 0, op.getA(),
      {workLike(op.getA(), work),
       integers(rewriter, lapack::getSvdIntegers(a.rows, a.columns))});
}

LogicalResult lower(EigOp op, PatternRewriter &rewriter) {
  int64_t work = lapack::getSpectrumWork(Matrices(op.getA()).rows);
  return callRoutine(op, rewriter, lapack::Eig,
                     op.getVectors().use_empty() ? 0 : lapack::HasVectors,
                     op.getA(), workLike(op.getA(), work));
}

LogicalResult lower(SchurOp op, PatternRewriter &rewriter) {
  int64_t work = lapack::getSpectrumWork(Matrices(op.getA()).rows);
  return callRoutine(op, rewriter, lapack::Schur, 0, op.getA(),
                     workLike(op.getA(), work));
}

LogicalResult lower(TriangularSylvesterOp op, PatternRewriter &rewriter) {
  int64_t flags = (op.getTransposed() ? lapack::IsTransposed : 0) |
                  (op.getBelow() ? lapack::IsBelow : 0);
  return callRoutine(op, rewriter, lapack::TriangularSylvester, flags,
                     {op.getA(), op.getB(), op.getRhs()});
}

LogicalResult lower(TriangularSqrtOp op, PatternRewriter &rewriter) {
  return callRoutine(op, rewriter, lapack::TriangularSqrt, 0, op.getA());
}

/// An op on matrices => grad.lapack_into.
template <typename Op> struct Lower : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;

  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    return lower(op, rewriter);
  }
};

} // namespace

static void finishFactor(CholeskyOp op) {
  OpBuilder builder(op->getContext());
  builder.setInsertionPointAfter(op);
  Location loc = op.getLoc();
  Algebra algebra{builder, loc};
  Value factor = op.getFactor(), status = op.getStatus();
  RankedTensorType type = typeOf(factor), statusType = typeOf(status);
  int64_t rank = type.getRank();
  Value triangle =
      algebra.select(algebra.where<GreaterEqualOp>(factor), factor);
  // A library need not say that a number is none.
  Value sum = ReduceSumOp::create(builder, loc, triangle,
                                  SmallVector<int64_t>{rank - 2, rank - 1});
  Value isNumber = EqualOp::create(builder, loc, sum, sum);
  Value isPositive =
      EqualOp::create(builder, loc, status, algebra.zeros(statusType));
  Value failure = SelectOp::create(
      builder, loc, isNumber, status,
      createSplat(builder, loc, statusType, double(type.getShape().back())));
  Value newStatus = SelectOp::create(builder, loc, isPositive, failure, status);
  Value isFactored = LogicalAndOp::create(builder, loc, isPositive, isNumber);
  auto batch = llvm::to_vector(llvm::seq<int64_t>(0, rank - 2));
  Value isKept =
      BroadcastOp::create(builder, loc, isFactored, type.getShape(), batch);
  Value nothing =
      createSplat(builder, loc, type, std::numeric_limits<double>::quiet_NaN());
  Value newFactor = SelectOp::create(builder, loc, isKept, triangle, nothing);
  auto isOld = [&](OpOperand &use) {
    Operation *user = use.getOwner();
    return user->getBlock() != op->getBlock() ||
           newFactor.getDefiningOp()->isBeforeInBlock(user);
  };
  factor.replaceUsesWithIf(newFactor, isOld);
  status.replaceUsesWithIf(newStatus, isOld);
}

void mlir::grad::finishFactors(Operation *root) {
  SmallVector<CholeskyOp> factorizations;
  root->walk([&](CholeskyOp op) {
    RankedTensorType type = typeOf(op.getA());
    if (type.getShape().back() > FactorKernel::kMostRows &&
        isa<FloatType>(type.getElementType()))
      factorizations.push_back(op);
  });
  for (CholeskyOp op : factorizations)
    finishFactor(op);
}

void mlir::grad::populateFactorizationsToLinalg(RewritePatternSet &patterns) {
  patterns.add<Lower<CholeskyOp>, Lower<LuOp>, Lower<LuSolveOp>,
               Lower<TriangularSolveOp>, Lower<QrOp>, Lower<EighOp>,
               Lower<SvdOp>, Lower<EigOp>, Lower<SchurOp>,
               Lower<TriangularSylvesterOp>, Lower<TriangularSqrtOp>>(
      patterns.getContext());
}
