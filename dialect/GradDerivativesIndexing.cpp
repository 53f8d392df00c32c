//===- GradDerivativesIndexing.cpp - Rules of slices, gathers, scatters ---===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace mlir::grad;

// Where an update has put a part, a cotangent is added to that part: the sum of
// both is all that is written to the array. What was added elsewhere since then
// is added once more. If that was no more than a few parts, the update comes
// from an assignment like x[i] = f(x[i], ...).
static constexpr size_t kMostBetween = 8;

/// The value that reshapes make `value` of.
static Value skipReshapes(Value value) {
  while (auto reshape = value.getDefiningOp<ReshapeOp>())
    value = reshape.getX();
  return value;
}

/// `sum` with `part` added where `op` reads it, by `add` or, where an update
/// has put something there, by `update`. `isRead` and `isWritten` say whether
/// others access the same part.
template <typename Update, typename Add, typename Op>
static Value addPart(OpBuilder &builder, Op op, Value sum, Value part,
                     function_ref<bool(Op)> isRead,
                     function_ref<bool(Update)> isWritten,
                     function_ref<Value(Value x, Value part)> update,
                     function_ref<Value(Value x, Value part)> add) {
  SmallVector<Add> between;
  Value before = sum;
  for (Add last; (last = before.getDefiningOp<Add>()); before = last.getX()) {
    if (between.size() == kMostBetween)
      return add(sum, part);
    between.push_back(last);
  }
  auto last = before.getDefiningOp<Update>();
  if (!last || last.getUpdate().getType() != part.getType() || !isWritten(last))
    return add(sum, part);
  Value both = isZero(last.getUpdate())
                   ? part
                   : createSum(builder, op.getLoc(), last.getUpdate(), part);
  auto same = skipReshapes(both).getDefiningOp<Op>();
  Value result = last.getX();
  if (!same || same.getX() != result || same.getType() != part.getType() ||
      !isRead(same))
    result = update(result, both);
  for (Add later : llvm::reverse(between)) {
    auto copy = cast<Add>(builder.clone(*later));
    copy.getXMutable().assign(result);
    result = copy;
  }
  return result;
}

LogicalResult SliceOp::transpose(TransposeContext &context) {
  OpBuilder &builder = context.builder;
  Value part = context.getCotangent(getResult());
  auto isSame = [&](auto op) {
    return op.getOffsets() == getOffsets() && op.getStrides() == getStrides();
  };
  context.updateCotangent(getX(), [&](Value sum) -> Value {
    return addPart<UpdateSliceOp, AddSliceOp, SliceOp>(
        builder, *this, sum, part, isSame, isSame,
        [&](Value x, Value part) {
          return UpdateSliceOp::create(builder, getLoc(), x, part, getOffsets(),
                                       getStrides());
        },
        [&](Value x, Value part) {
          return AddSliceOp::create(builder, getLoc(), x, part, getOffsets(),
                                    getStrides());
        });
  });
  return success();
}

/// Whether one of `indices` is linear, though no op is linear in positions.
static bool anyLinear(const TransposeContext &context, ValueRange indices) {
  return llvm::any_of(indices, [&](Value v) { return context.isLinear(v); });
}

LogicalResult DynamicSliceOp::transpose(TransposeContext &context) {
  if (anyLinear(context, getIndices()))
    return failure();
  OpBuilder &builder = context.builder;
  Value part = context.getCotangent(getResult());
  auto isSame = [&](auto op) { return op.getIndices() == getIndices(); };
  context.updateCotangent(getX(), [&](Value sum) -> Value {
    return addPart<DynamicUpdateSliceOp, DynamicAddSliceOp, DynamicSliceOp>(
        builder, *this, sum, part, isSame, isSame,
        [&](Value x, Value part) {
          return DynamicUpdateSliceOp::create(builder, getLoc(), x, part,
                                              getIndices());
        },
        [&](Value x, Value part) {
          return DynamicAddSliceOp::create(builder, getLoc(), x, part,
                                           getIndices());
        });
  });
  return success();
}

/// Gives the update of `op` the slice of the cotangent where it was put.
template <typename Op>
static LogicalResult transposeUpdate(Op op, TransposeContext &context) {
  Value update = op.getUpdate();
  if (!context.areTerms({op.getX(), update}))
    return failure();
  if (context.isLinear(update))
    context.addCotangent(
        update,
        SliceOp::create(context.builder, op.getLoc(),
                        context.getCotangent(op.getResult()), op.getOffsets(),
                        typeOf(update).getShape(), op.getStrides()));
  return success();
}

template <typename Op>
static LogicalResult transposeDynamicUpdate(Op op, TransposeContext &context) {
  Value update = op.getUpdate();
  if (anyLinear(context, op.getIndices()) ||
      !context.areTerms({op.getX(), update}))
    return failure();
  if (context.isLinear(update))
    context.addCotangent(
        update,
        DynamicSliceOp::create(context.builder, op.getLoc(),
                               context.getCotangent(op.getResult()),
                               op.getIndices(), typeOf(update).getShape()));
  return success();
}

LogicalResult UpdateSliceOp::transpose(TransposeContext &context) {
  if (failed(transposeUpdate(*this, context)))
    return failure();
  if (context.isLinear(getX())) {
    Value zeros = createZero(context.builder, getLoc(), getUpdate().getType());
    context.addCotangent(
        getX(), UpdateSliceOp::create(context.builder, getLoc(),
                                      context.getCotangent(getResult()), zeros,
                                      getOffsets(), getStrides()));
  }
  return success();
}

LogicalResult DynamicUpdateSliceOp::transpose(TransposeContext &context) {
  if (failed(transposeDynamicUpdate(*this, context)))
    return failure();
  if (context.isLinear(getX())) {
    Value zeros = createZero(context.builder, getLoc(), getUpdate().getType());
    context.addCotangent(
        getX(), DynamicUpdateSliceOp::create(context.builder, getLoc(),
                                             context.getCotangent(getResult()),
                                             zeros, getIndices()));
  }
  return success();
}

LogicalResult AddSliceOp::transpose(TransposeContext &context) {
  if (failed(transposeUpdate(*this, context)))
    return failure();
  context.addCotangent(getX(), context.getCotangent(getResult()));
  return success();
}

LogicalResult DynamicAddSliceOp::transpose(TransposeContext &context) {
  if (failed(transposeDynamicUpdate(*this, context)))
    return failure();
  context.addCotangent(getX(), context.getCotangent(getResult()));
  return success();
}

LogicalResult GatherOp::transpose(TransposeContext &context) {
  if (context.isLinear(getIndices()))
    return failure();
  context.updateCotangent(getX(), [&](Value sum) {
    return ScatterAddOp::create(context.builder, getLoc(), sum, getIndices(),
                                context.getCotangent(getResult()), getBatch());
  });
  return success();
}

/// Whether each row of the scatter's indices is the last one that points at its
/// position: writes the rows' numbers, and looks which are still there.
static Value lastWrites(ScatterOp op, OpBuilder &builder) {
  Location loc = op.getLoc();
  auto indices = typeOf(op.getIndices());
  ArrayRef<int64_t> rows = indices.getShape().drop_back();
  Type number = builder.getI64Type();
  Value numbers = IotaOp::create(builder, loc, /*dimension=*/0,
                                 ShapedType::getNumElements(rows), number);
  if (rows.size() != 1)
    numbers = ReshapeOp::create(builder, loc, numbers, rows);
  auto positions =
      RankedTensorType::get(op.getType().getShape().take_front(
                                op.getBatch() + indices.getShape().back()),
                            number);
  Value written = ScatterOp::create(
      builder, loc, createZero(builder, loc, positions), op.getIndices(),
      numbers, /*unique=*/false, op.getBatch());
  Value last =
      GatherOp::create(builder, loc, written, op.getIndices(), op.getBatch());
  return EqualOp::create(builder, loc, last, numbers);
}

LogicalResult ScatterOp::transpose(TransposeContext &context) {
  if (context.isLinear(getIndices()) ||
      !context.areTerms({getX(), getUpdates()}))
    return failure();
  OpBuilder &builder = context.builder;
  Value ct = context.getCotangent(getResult());
  auto type = typeOf(getUpdates());
  if (context.isLinear(getUpdates())) {
    Value part =
        GatherOp::create(builder, getLoc(), ct, getIndices(), getBatch());
    if (!getUnique()) {
      Value last = lastWrites(*this, builder);
      int64_t rank = typeOf(last).getRank();
      if (rank != type.getRank())
        last =
            BroadcastOp::create(builder, getLoc(), last, type.getShape(),
                                llvm::to_vector(llvm::seq<int64_t>(0, rank)));
      part = SelectOp::create(builder, getLoc(), last, part,
                              createZero(builder, getLoc(), type));
    }
    context.addCotangent(getUpdates(), part);
  }
  if (context.isLinear(getX()))
    context.addCotangent(getX(),
                         ScatterOp::create(builder, getLoc(), ct, getIndices(),
                                           createZero(builder, getLoc(), type),
                                           getUnique(), getBatch()));
  return success();
}

LogicalResult ScatterAddOp::transpose(TransposeContext &context) {
  if (context.isLinear(getIndices()) ||
      !context.areTerms({getX(), getUpdates()}))
    return failure();
  Value ct = context.getCotangent(getResult());
  if (context.isLinear(getUpdates()))
    context.addCotangent(getUpdates(),
                         GatherOp::create(context.builder, getLoc(), ct,
                                          getIndices(), getBatch()));
  context.addCotangent(getX(), ct);
  return success();
}
