//===- GradBatching.cpp - Batching rules ----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The rules of the ops that are not elementwise, in the order of the .td files.
// A batch is the first dimension of a batched value, so most rules count the
// others from one.
//
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "dialect/Stacks.h"
#include "dialect/Uses.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace mlir::grad;

using Dimensions = SmallVector<int64_t>;

static Dimensions range(int64_t begin, int64_t end) {
  return llvm::to_vector(llvm::seq<int64_t>(begin, end));
}

/// `first` in front of `rest`.
static Dimensions prepend(int64_t first, ArrayRef<int64_t> rest) {
  Dimensions all{first};
  llvm::append_range(all, rest);
  return all;
}

/// The dimensions when a batch is in front of them.
static Dimensions shifted(ArrayRef<int64_t> dimensions) {
  return llvm::map_to_vector(dimensions, [](int64_t d) { return d + 1; });
}

//===----------------------------------------------------------------------===//
// The context
//===----------------------------------------------------------------------===//

Type BatchContext::getBatchedType(Value value) const {
  if (auto type = dyn_cast<RankedTensorType>(value.getType()))
    return type.clone(prepend(size, type.getShape()));
  Type element = value.getType();
  if (element.isIndex())
    element = builder.getI64Type();
  return RankedTensorType::get({size}, element);
}

Value BatchContext::getBatched(Value value) {
  Value result = get(value);
  if (isBatched(value))
    return result;
  if (!isa<RankedTensorType>(result.getType())) {
    Location loc = result.getLoc();
    if (result.getType().isIndex())
      result = arith::IndexCastOp::create(builder, loc, builder.getI64Type(),
                                          result);
    result = tensor::FromElementsOp::create(
        builder, loc, RankedTensorType::get({}, result.getType()), result);
  }
  RankedTensorType type = typeOf(result);
  // Nothing may go over all of a tape, and nothing has to be done for what has
  // no values.
  if (Value zeros = createBatchOfZeros(builder, result, getBatchedType(value)))
    return zeros;
  return BroadcastOp::create(builder, result.getLoc(), result,
                             prepend(size, type.getShape()),
                             range(1, type.getRank() + 1));
}

bool BatchContext::usesBatched(Operation *op) const {
  return usesAny(op, [&](Value v) { return isBatched(v); });
}

LogicalResult grad::batchByItself(Operation *op, BatchContext &context) {
  if (!llvm::all_of(op->getOperandTypes(), hasBatches) ||
      !llvm::all_of(op->getResultTypes(), hasBatches))
    return failure();
  SmallVector<Value> operands;
  for (Value operand : op->getOperands())
    operands.push_back(context.getBatched(operand));
  Operation *copy = context.builder.clone(*op);
  copy->setOperands(operands);
  for (auto [result, batched] :
       llvm::zip_equal(op->getResults(), copy->getResults())) {
    batched.setType(context.getBatchedType(result));
    context.setBatched(result, batched);
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Sources
//===----------------------------------------------------------------------===//

LogicalResult RandomBitsOp::batch(BatchContext &context) {
  return batchByItself(*this, context);
}

//===----------------------------------------------------------------------===//
// Shape
//===----------------------------------------------------------------------===//

LogicalResult BroadcastOp::batch(BatchContext &context) {
  context.setBatched(getResult(),
                     BroadcastOp::create(context.builder, getLoc(),
                                         context.getBatched(getX()),
                                         prepend(context.size, getShape()),
                                         prepend(0, shifted(getDimensions()))));
  return success();
}

LogicalResult ReshapeOp::batch(BatchContext &context) {
  context.setBatched(getResult(),
                     ReshapeOp::create(context.builder, getLoc(),
                                       context.getBatched(getX()),
                                       prepend(context.size, getShape())));
  return success();
}

LogicalResult TransposeOp::batch(BatchContext &context) {
  context.setBatched(
      getResult(),
      TransposeOp::create(context.builder, getLoc(), context.getBatched(getX()),
                          prepend(0, shifted(getPermutation()))));
  return success();
}

LogicalResult SliceOp::batch(BatchContext &context) {
  context.setBatched(getResult(),
                     SliceOp::create(context.builder, getLoc(),
                                     context.getBatched(getX()),
                                     prepend(0, getOffsets()),
                                     prepend(context.size, getSizes()),
                                     prepend(1, getStrides())));
  return success();
}

LogicalResult UpdateSliceOp::batch(BatchContext &context) {
  context.setBatched(getResult(),
                     UpdateSliceOp::create(
                         context.builder, getLoc(), context.getBatched(getX()),
                         context.getBatched(getUpdate()),
                         prepend(0, getOffsets()), prepend(1, getStrides())));
  return success();
}

LogicalResult AddSliceOp::batch(BatchContext &context) {
  context.setBatched(
      getResult(),
      AddSliceOp::create(context.builder, getLoc(), context.getBatched(getX()),
                         context.getBatched(getUpdate()),
                         prepend(0, getOffsets()), prepend(1, getStrides())));
  return success();
}

/// Positions of slices, the same for all elements of a batch, in tensors that
/// have the batch as their first dimension.
static SmallVector<Value> withBatch(BatchContext &context, Location loc,
                                    ValueRange indices) {
  auto type = RankedTensorType::get({}, context.builder.getI64Type());
  SmallVector<Value> all{ConstantOp::create(
      context.builder, loc, DenseElementsAttr::get(type, int64_t(0)))};
  for (Value index : indices)
    all.push_back(context.get(index));
  return all;
}

namespace {

/// Slices of `sizes` at positions that differ between the elements of a batch,
/// as slices that a gather or scatter names: element by element along the
/// dimensions in which a slice is smaller than the tensor, `moving`, and whole
/// in the others.
class BatchedWindow {
public:
  BatchedWindow(BatchContext &context, Location loc, Value x,
                ValueRange indices, ArrayRef<int64_t> sizes)
      : context(context), loc(loc) {
    ArrayRef<int64_t> shape = typeOf(x).getShape();
    for (auto [d, size] : llvm::enumerate(sizes))
      if (size != shape[d])
        moving.push_back(d);
    order = moving;
    for (int64_t d = 0, rank = sizes.size(); d < rank; ++d)
      if (!llvm::is_contained(moving, d))
        order.push_back(d);
    createPositions(shape, indices, sizes);
  }

  /// All slices are all of the tensor.
  bool isWhole() const { return moving.empty(); }
  /// The positions of the slices' elements along the moving dimensions.
  Value getPositions() const { return positions; }

  /// `value`, of the tensor's or a slice's shape, with the moving dimensions
  /// first; behind the batch, if it is batched.
  Value arrange(Value value, bool isBatched) const {
    return transpose(value, order, isBatched);
  }
  /// The inverse, of a batched value.
  Value restore(Value value) const {
    Dimensions inverse(order.size());
    for (auto [i, d] : llvm::enumerate(order))
      inverse[d] = i;
    return transpose(value, inverse, /*isBatched=*/true);
  }

private:
  Value transpose(Value value, ArrayRef<int64_t> permutation,
                  bool isBatched) const {
    return TransposeOp::create(context.builder, loc, value,
                               isBatched ? prepend(0, shifted(permutation))
                                         : Dimensions(permutation));
  }

  void createPositions(ArrayRef<int64_t> shape, ValueRange indices,
                       ArrayRef<int64_t> sizes) {
    OpBuilder &builder = context.builder;
    Type number = builder.getI64Type();
    Dimensions grid{context.size};
    for (int64_t d : moving)
      grid.push_back(sizes[d]);
    auto type = RankedTensorType::get(grid, number);
    grid.push_back(1);
    SmallVector<Value> along;
    auto starts = RankedTensorType::get({context.size}, number);
    for (auto [i, d] : llvm::enumerate(moving)) {
      auto bound = [&](int64_t value) -> Value {
        return ConstantOp::create(builder, loc,
                                  DenseElementsAttr::get(starts, value));
      };
      Value start = context.getBatched(indices[d]);
      start = MaximumOp::create(builder, loc, start, bound(0));
      start =
          MinimumOp::create(builder, loc, start, bound(shape[d] - sizes[d]));
      start = BroadcastOp::create(builder, loc, start, type.getShape(),
                                  Dimensions{0});
      Value step = IotaOp::create(builder, loc, i + 1, type.getShape(), number);
      Value sum = AddOp::create(builder, loc, start, step);
      along.push_back(ReshapeOp::create(builder, loc, sum, grid));
    }
    if (!along.empty())
      positions = ConcatenateOp::create(builder, loc, along, type.getRank());
  }

  BatchContext &context;
  Location loc;
  Dimensions moving, order;
  Value positions;
};

} // namespace

static bool anyBatched(const BatchContext &context, ValueRange values) {
  return llvm::any_of(values, [&](Value v) { return context.isBatched(v); });
}

LogicalResult DynamicSliceOp::batch(BatchContext &context) {
  OpBuilder &builder = context.builder;
  if (!anyBatched(context, getIndices())) {
    context.setBatched(
        getResult(),
        DynamicSliceOp::create(builder, getLoc(), context.getBatched(getX()),
                               withBatch(context, getLoc(), getIndices()),
                               prepend(context.size, getSizes())));
    return success();
  }
  BatchedWindow window(context, getLoc(), getX(), getIndices(), getSizes());
  if (window.isWhole()) {
    context.setBatched(getResult(), context.getBatched(getX()));
    return success();
  }
  bool isBatched = context.isBatched(getX());
  Value x = window.arrange(context.get(getX()), isBatched);
  Value slices = GatherOp::create(builder, getLoc(), x, window.getPositions(),
                                  isBatched ? 1 : 0);
  context.setBatched(getResult(), window.restore(slices));
  return success();
}

/// The rule of an op that changes a slice at run-time positions: itself, or
/// where these differ, a scatter that `create` makes.
template <typename Op>
static LogicalResult batchUpdate(
    Op op, BatchContext &context,
    function_ref<Value(Value x, Value positions, Value updates)> create) {
  Value x = context.getBatched(op.getX());
  Value update = context.getBatched(op.getUpdate());
  if (!anyBatched(context, op.getIndices())) {
    context.setBatched(
        op.getResult(),
        Op::create(context.builder, op.getLoc(), x, update,
                   withBatch(context, op.getLoc(), op.getIndices())));
    return success();
  }
  BatchedWindow window(context, op.getLoc(), op.getX(), op.getIndices(),
                       typeOf(op.getUpdate()).getShape());
  if (window.isWhole()) {
    SmallVector<Value> start = withBatch(context, op.getLoc(), {});
    start.append(op.getIndices().size(), start.front());
    context.setBatched(op.getResult(), Op::create(context.builder, op.getLoc(),
                                                  x, update, start));
    return success();
  }
  Value result =
      create(window.arrange(x, /*isBatched=*/true), window.getPositions(),
             window.arrange(update, /*isBatched=*/true));
  context.setBatched(op.getResult(), window.restore(result));
  return success();
}

LogicalResult DynamicUpdateSliceOp::batch(BatchContext &context) {
  return batchUpdate(*this, context, [&](Value x, Value at, Value updates) {
    return ScatterOp::create(context.builder, getLoc(), x, at, updates,
                             /*unique=*/true, /*batch=*/1);
  });
}

LogicalResult DynamicAddSliceOp::batch(BatchContext &context) {
  return batchUpdate(*this, context, [&](Value x, Value at, Value updates) {
    return ScatterAddOp::create(context.builder, getLoc(), x, at, updates,
                                /*batch=*/1);
  });
}

/// A border that differs between the elements of a batch is put where a mask of
/// the border says.
LogicalResult PadOp::batch(BatchContext &context) {
  OpBuilder &builder = context.builder;
  auto pad = [&](Value x, Value value) -> Value {
    return PadOp::create(builder, getLoc(), x, value, prepend(0, getLow()),
                         prepend(0, getHigh()), prepend(0, getInterior()));
  };
  if (!context.isBatched(getValue())) {
    context.setBatched(
        getResult(), pad(context.getBatched(getX()), context.get(getValue())));
    return success();
  }
  auto constant = [&](ArrayRef<int64_t> shape, bool value) -> Value {
    auto type = RankedTensorType::get(shape, builder.getI1Type());
    return ConstantOp::create(builder, getLoc(),
                              DenseElementsAttr::get(type, value));
  };
  Value x = context.getBatched(getX());
  auto type = RankedTensorType::get({}, typeOf(x).getElementType());
  Value zero = createSplat(builder, getLoc(), type, 0);
  Value inner = pad(x, zero);
  Value isInner =
      pad(constant(typeOf(x).getShape(), true), constant({}, false));
  Value border = BroadcastOp::create(builder, getLoc(), context.get(getValue()),
                                     typeOf(inner).getShape(), Dimensions{0});
  context.setBatched(
      getResult(), SelectOp::create(builder, getLoc(), isInner, inner, border));
  return success();
}

LogicalResult ConcatenateOp::batch(BatchContext &context) {
  SmallVector<Value> inputs;
  for (Value input : getInputs())
    inputs.push_back(context.getBatched(input));
  context.setBatched(getResult(),
                     ConcatenateOp::create(context.builder, getLoc(), inputs,
                                           getDimension() + 1));
  return success();
}

LogicalResult ReverseOp::batch(BatchContext &context) {
  context.setBatched(getResult(), ReverseOp::create(context.builder, getLoc(),
                                                    context.getBatched(getX()),
                                                    shifted(getDimensions())));
  return success();
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

#define GRAD_BATCH_REDUCTION(OP)                                               \
  LogicalResult OP::batch(BatchContext &context) {                             \
    context.setBatched(getResult(), OP::create(context.builder, getLoc(),      \
                                               context.getBatched(getX()),     \
                                               shifted(getDimensions())));     \
    return success();                                                          \
  }
GRAD_BATCH_REDUCTION(ReduceSumOp)
GRAD_BATCH_REDUCTION(ReduceProdOp)
GRAD_BATCH_REDUCTION(ReduceMaxOp)
GRAD_BATCH_REDUCTION(ReduceMinOp)
GRAD_BATCH_REDUCTION(ReduceAnyOp)
GRAD_BATCH_REDUCTION(ReduceAllOp)
#undef GRAD_BATCH_REDUCTION

LogicalResult ArgmaxOp::batch(BatchContext &context) {
  context.setBatched(getResult(), ArgmaxOp::create(context.builder, getLoc(),
                                                   context.getBatched(getX()),
                                                   getDimension() + 1));
  return success();
}

LogicalResult ArgminOp::batch(BatchContext &context) {
  context.setBatched(getResult(), ArgminOp::create(context.builder, getLoc(),
                                                   context.getBatched(getX()),
                                                   getDimension() + 1));
  return success();
}

LogicalResult CumsumOp::batch(BatchContext &context) {
  context.setBatched(getResult(),
                     CumsumOp::create(context.builder, getLoc(),
                                      context.getBatched(getX()),
                                      getDimension() + 1, getReverse()));
  return success();
}

//===----------------------------------------------------------------------===//
// Products and indexing
//===----------------------------------------------------------------------===//

/// Where both factors are batched, the batch is one more batch dimension. Where
/// one is, it is a free dimension of that one, and of the result.
LogicalResult DotGeneralOp::batch(BatchContext &context) {
  OpBuilder &builder = context.builder;
  bool left = context.isBatched(getLhs()), right = context.isBatched(getRhs());
  auto dimensions = [](ArrayRef<int64_t> all, bool isBatched) {
    return isBatched ? shifted(all) : Dimensions(all);
  };
  Dimensions lhsBatch = dimensions(getLhsBatch(), left),
             rhsBatch = dimensions(getRhsBatch(), right);
  if (left && right) {
    lhsBatch = prepend(0, lhsBatch);
    rhsBatch = prepend(0, rhsBatch);
  }
  Value product = DotGeneralOp::create(
      builder, getLoc(), context.get(getLhs()), context.get(getRhs()), lhsBatch,
      rhsBatch, dimensions(getLhsContract(), left),
      dimensions(getRhsContract(), right));
  // The first free dimension of lhs is behind the batch dimensions, that of rhs
  // behind the free ones of lhs, too.
  int64_t place = 0;
  if (left != right) {
    place = lhsBatch.size();
    if (right)
      place = typeOf(getLhs()).getRank() - getLhsContract().size();
  }
  if (place != 0) {
    Dimensions order = range(0, typeOf(product).getRank());
    order.erase(order.begin() + place);
    product =
        TransposeOp::create(builder, getLoc(), product, prepend(place, order));
  }
  context.setBatched(getResult(), product);
  return success();
}

LogicalResult CorrelateOp::batch(BatchContext &context) {
  return batchByItself(*this, context);
}

/// `x`, whose first dimension is a batch, with it merged into the dimension
/// that is at `place` without it.
static Value mergeBatch(OpBuilder &builder, Value x, int64_t place) {
  Location loc = x.getLoc();
  Dimensions shape(typeOf(x).getShape());
  Dimensions order = range(1, shape.size());
  order.insert(order.begin() + place, 0);
  x = TransposeOp::create(builder, loc, x, order);
  int64_t size = shape.front();
  shape.erase(shape.begin());
  shape[place] *= size;
  return ReshapeOp::create(builder, loc, x, shape);
}

/// A batch of x is more images, one of kernels more output features, and one of
/// both more groups.
LogicalResult ConvolutionOp::batch(BatchContext &context) {
  OpBuilder &builder = context.builder;
  Value x = context.get(getX()), kernel = context.get(getKernel());
  bool inX = context.isBatched(getX()),
       inKernel = context.isBatched(getKernel());
  int64_t place = inX && inKernel ? 0 : inX ? 1 : 2;
  if (inX)
    x = mergeBatch(builder, x, place);
  if (inKernel)
    kernel = mergeBatch(builder, kernel, inX ? 0 : 1);
  Value result = ConvolutionOp::create(builder, getLoc(), x, kernel,
                                       getStrides(), getLow(), getHigh(),
                                       getXDilation(), getKernelDilation());
  Dimensions shape(cast<RankedTensorType>(getType()).getShape());
  shape.insert(shape.begin() + place, context.size);
  result = ReshapeOp::create(builder, getLoc(), result, shape);
  if (place != 0) {
    Dimensions order = range(0, shape.size());
    order.erase(order.begin() + place);
    result =
        TransposeOp::create(builder, getLoc(), result, prepend(place, order));
  }
  context.setBatched(getResult(), result);
  return success();
}

LogicalResult GatherOp::batch(BatchContext &context) {
  // Indices into a tensor that is the same for all are just more of them; where
  // the two have batch dimensions already, they are batched together.
  bool together = context.isBatched(getX()) || getBatch() != 0;
  context.setBatched(getResult(),
                     GatherOp::create(context.builder, getLoc(),
                                      together ? context.getBatched(getX())
                                               : context.get(getX()),
                                      context.getBatched(getIndices()),
                                      together ? getBatch() + 1 : 0));
  return success();
}

LogicalResult ScatterOp::batch(BatchContext &context) {
  context.setBatched(getResult(),
                     ScatterOp::create(context.builder, getLoc(),
                                       context.getBatched(getX()),
                                       context.getBatched(getIndices()),
                                       context.getBatched(getUpdates()),
                                       getUnique(), getBatch() + 1));
  return success();
}

LogicalResult ScatterAddOp::batch(BatchContext &context) {
  context.setBatched(getResult(),
                     ScatterAddOp::create(
                         context.builder, getLoc(), context.getBatched(getX()),
                         context.getBatched(getIndices()),
                         context.getBatched(getUpdates()), getBatch() + 1));
  return success();
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

LogicalResult StopGradientOp::batch(BatchContext &context) {
  return batchByItself(*this, context);
}

//===----------------------------------------------------------------------===//
// Fourier transforms
//===----------------------------------------------------------------------===//

LogicalResult FftOp::batch(BatchContext &context) {
  context.setBatched(getResult(), FftOp::create(context.builder, getLoc(),
                                                context.getBatched(getX()),
                                                shifted(getDimensions()),
                                                getForward(), getNorm()));
  return success();
}

LogicalResult RfftOp::batch(BatchContext &context) {
  context.setBatched(getResult(), RfftOp::create(context.builder, getLoc(),
                                                 context.getBatched(getX()),
                                                 shifted(getDimensions()),
                                                 getForward(), getNorm()));
  return success();
}

LogicalResult IrfftOp::batch(BatchContext &context) {
  context.setBatched(getResult(),
                     IrfftOp::create(context.builder, getLoc(),
                                     context.getBatched(getX()),
                                     shifted(getDimensions()), getSize(),
                                     getForward(), getNorm()));
  return success();
}

//===----------------------------------------------------------------------===//
// Factorisations and order
//===----------------------------------------------------------------------===//

#define GRAD_BATCH_BY_ITSELF(OP)                                               \
  LogicalResult OP::batch(BatchContext &context) {                             \
    return batchByItself(*this, context);                                      \
  }
GRAD_BATCH_BY_ITSELF(CholeskyOp)
GRAD_BATCH_BY_ITSELF(LuOp)
GRAD_BATCH_BY_ITSELF(QrOp)
GRAD_BATCH_BY_ITSELF(EighOp)
GRAD_BATCH_BY_ITSELF(SvdOp)
GRAD_BATCH_BY_ITSELF(SortOp)
#undef GRAD_BATCH_BY_ITSELF

/// The batching rule of systems of equations: with one matrix for all elements
/// of the batch, these are right-hand sides beside each other.
template <typename SolveOp>
static LogicalResult batchSystem(SolveOp op, BatchContext &context, bool left) {
  OpOperand *side = &op.getRhsMutable();
  bool isOne = typeOf(op.getA()).getRank() == 2;
  for (OpOperand &operand : op->getOpOperands())
    if (&operand != side && context.isBatched(operand.get()))
      isOne = false;
  if (!isOne)
    return batchByItself(op, context);
  OpBuilder &builder = context.builder;
  Location loc = op.getLoc();
  Value rhs = context.get(op.getRhs());
  Dimensions shape(typeOf(rhs).getShape()), merged = shape, order{1, 0, 2};
  if (left) {
    rhs = TransposeOp::create(builder, loc, rhs, order);
    merged = {shape[1], shape[0] * shape[2]};
    std::swap(shape[0], shape[1]);
  } else {
    merged = {shape[0] * shape[1], shape[2]};
  }
  rhs = ReshapeOp::create(builder, loc, rhs, merged);
  auto copy = cast<SolveOp>(builder.clone(*op));
  for (OpOperand &operand : copy->getOpOperands())
    operand.set(context.get(operand.get()));
  copy.getRhsMutable().assign(rhs);
  copy.getX().setType(typeOf(rhs));
  Value x = ReshapeOp::create(builder, loc, copy.getX(), shape);
  if (left)
    x = TransposeOp::create(builder, loc, x, order);
  context.setBatched(op.getX(), x);
  return success();
}

LogicalResult LuSolveOp::batch(BatchContext &context) {
  return batchSystem(*this, context, /*left=*/true);
}

LogicalResult TriangularSolveOp::batch(BatchContext &context) {
  return batchSystem(*this, context, getLeft());
}
