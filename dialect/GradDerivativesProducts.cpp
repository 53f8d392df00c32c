//===- GradDerivativesProducts.cpp - Rules of products, convolutions ------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace mlir::grad;

using Dimensions = SmallVector<int64_t>;

LogicalResult DotGeneralOp::linearize(LinearizeContext &context) {
  OpBuilder &linear = context.linear;
  auto product = [&](Value lhs, Value rhs) -> Value {
    return DotGeneralOp::create(linear, getLoc(), lhs, rhs, getLhsBatch(),
                                getRhsBatch(), getLhsContract(),
                                getRhsContract());
  };
  Value left = context.getTangent(getLhs());
  Value right = context.getTangent(getRhs());
  if (left)
    left = product(left, getRhs());
  if (right)
    right = product(getLhs(), right);
  context.setTangent(
      getResult(),
      left && right ? AddOp::create(linear, getLoc(), left, right).getResult()
                    : (left ? left : right));
  return success();
}

/// The cotangent of one factor of `op`: the product of the result's cotangent
/// and the other factor over the other's free dimensions, transposed into
/// place.
static Value transposeFactor(DotGeneralOp op, OpBuilder &builder, Value ct,
                             bool left) {
  ArrayRef<int64_t> batch = left ? op.getLhsBatch() : op.getRhsBatch(),
                    contract = left ? op.getLhsContract() : op.getRhsContract(),
                    otherBatch = left ? op.getRhsBatch() : op.getLhsBatch(),
                    otherContract =
                        left ? op.getRhsContract() : op.getLhsContract();
  Value factor = left ? op.getLhs() : op.getRhs();
  Value other = left ? op.getRhs() : op.getLhs();
  auto freeDimensions = [](Value value, ArrayRef<int64_t> batch,
                           ArrayRef<int64_t> contract) {
    Dimensions free;
    for (int64_t d = 0, rank = typeOf(value).getRank(); d < rank; ++d)
      if (!llvm::is_contained(batch, d) && !llvm::is_contained(contract, d))
        free.push_back(d);
    return free;
  };
  Dimensions free = freeDimensions(factor, batch, contract);
  Dimensions otherFree = freeDimensions(other, otherBatch, otherContract);
  // Dimensions of the result: batch, free of lhs, free of rhs.
  int64_t batches = batch.size();
  int64_t begin = left ? batches + free.size() : batches;
  auto ctBatch = llvm::to_vector(llvm::seq<int64_t>(0, batches));
  auto ctContract =
      llvm::to_vector(llvm::seq<int64_t>(begin, begin + otherFree.size()));
  // Dimensions of `product`: batch, free, contracting in the order of `other`.
  Value product = DotGeneralOp::create(builder, op.getLoc(), ct, other, ctBatch,
                                       otherBatch, ctContract, otherFree);
  Dimensions order(batch);
  llvm::append_range(order, free);
  Dimensions sorted =
      llvm::to_vector(llvm::seq<int64_t>(0, otherContract.size()));
  llvm::sort(sorted, [&](int64_t a, int64_t c) {
    return otherContract[a] < otherContract[c];
  });
  for (int64_t i : sorted)
    order.push_back(contract[i]);
  return TransposeOp::create(builder, op.getLoc(), product,
                             invertPermutationVector(order));
}

LogicalResult DotGeneralOp::transpose(TransposeContext &context) {
  bool left = context.isLinear(getLhs());
  if (left == context.isLinear(getRhs()))
    return failure();
  context.addCotangent(left ? getLhs() : getRhs(),
                       transposeFactor(*this, context.builder,
                                       context.getCotangent(getResult()),
                                       left));
  return success();
}

LogicalResult CorrelateOp::linearize(LinearizeContext &context) {
  Value x = context.getTangent(getX());
  Value kernel = context.getTangent(getKernel());
  auto correlate = [&](Value x, Value kernel) -> Value {
    return CorrelateOp::create(context.linear, getLoc(), x, kernel, getLow(),
                               getHigh());
  };
  if (x)
    x = correlate(x, getKernel());
  if (kernel)
    kernel = correlate(getX(), kernel);
  context.setTangent(
      getResult(),
      x && kernel
          ? AddOp::create(context.linear, getLoc(), x, kernel).getResult()
          : (x ? x : kernel));
  return success();
}

/// The sums of x[k + j - low] kernel[j] for all k: the longer one of the two
/// vectors is that along which the other is shifted.
static Value createCorrelation(OpBuilder &builder, Location loc, Value x,
                               Value kernel, int64_t low, int64_t high) {
  int64_t longer = typeOf(x).getShape().back();
  int64_t size = typeOf(kernel).getShape().back();
  if (size <= longer)
    return CorrelateOp::create(builder, loc, x, kernel, low, high);
  int64_t results = longer - size + 1 + low + high;
  Value reversed = CorrelateOp::create(builder, loc, kernel, x,
                                       results - 1 - low, results - 1 - high);
  return ReverseOp::create(builder, loc, reversed,
                           Dimensions{typeOf(reversed).getRank() - 1});
}

LogicalResult CorrelateOp::transpose(TransposeContext &context) {
  OpBuilder &builder = context.builder;
  bool isX = context.isLinear(getX());
  if (isX == context.isLinear(getKernel()))
    return failure();
  Value ct = context.getCotangent(getResult());
  int64_t low = getLow(), high = getHigh();
  if (!isX) {
    context.addCotangent(getKernel(), createCorrelation(builder, getLoc(),
                                                        getX(), ct, low, high));
    return success();
  }
  // x[i] meets kernel[j] in result i - j + low.
  int64_t size = typeOf(getKernel()).getShape().back();
  Value kernel =
      ReverseOp::create(builder, getLoc(), getKernel(),
                        Dimensions{typeOf(getKernel()).getRank() - 1});
  context.addCotangent(getX(),
                       createCorrelation(builder, getLoc(), ct, kernel,
                                         size - 1 - low, size - 1 - high));
  return success();
}

LogicalResult ConvolutionOp::linearize(LinearizeContext &context) {
  OpBuilder &linear = context.linear;
  auto convolution = [&](Value x, Value kernel) -> Value {
    return ConvolutionOp::create(linear, getLoc(), x, kernel, getStrides(),
                                 getLow(), getHigh(), getXDilation(),
                                 getKernelDilation());
  };
  Value x = context.getTangent(getX());
  Value kernel = context.getTangent(getKernel());
  if (x)
    x = convolution(x, getKernel());
  if (kernel)
    kernel = convolution(getX(), kernel);
  context.setTangent(
      getResult(), x && kernel
                       ? AddOp::create(linear, getLoc(), x, kernel).getResult()
                       : (x ? x : kernel));
  return success();
}

/// `x` with two dimensions exchanged.
static Value exchange(OpBuilder &builder, Value x, int64_t a, int64_t b) {
  auto order = llvm::to_vector(llvm::seq<int64_t>(0, typeOf(x).getRank()));
  std::swap(order[a], order[b]);
  return TransposeOp::create(builder, x.getLoc(), x, order);
}

/// x[i] meets kernel[k] in result p where p * stride + k * kernel_dilation is
/// i * x_dilation + low. In the transposes, two of i, k and p change places.
LogicalResult ConvolutionOp::transpose(TransposeContext &context) {
  OpBuilder &builder = context.builder;
  Location loc = getLoc();
  bool isX = context.isLinear(getX());
  if (isX == context.isLinear(getKernel()))
    return failure();
  Value ct = context.getCotangent(getResult());
  Value wanted = isX ? getX() : getKernel();
  if (hasNoElements(getX()) || hasNoElements(getKernel()) ||
      hasNoElements(ct)) {
    context.addCotangent(wanted, createZero(builder, loc, wanted.getType()));
    return success();
  }
  ArrayRef<int64_t> strides = getStrides(), xDilation = getXDilation(),
                    kernelDilation = getKernelDilation();
  Dimensions spatial, low, high;
  for (auto [d, pad] : llvm::enumerate(getLow())) {
    int64_t dim = d + 3;
    int64_t input = (typeOf(getX()).getDimSize(dim) - 1) * xDilation[d],
            window =
                (typeOf(getKernel()).getDimSize(dim) - 1) * kernelDilation[d],
            output = (typeOf(ct).getDimSize(dim) - 1) * strides[d];
    spatial.push_back(dim);
    low.push_back(isX ? window - pad : pad);
    high.push_back(isX ? input - output + pad : window + output - input - pad);
  }
  if (isX) {
    Value kernel = exchange(builder, getKernel(), 1, 2);
    if (!spatial.empty())
      kernel = ReverseOp::create(builder, loc, kernel, spatial);
    context.addCotangent(
        getX(), ConvolutionOp::create(builder, loc, ct, kernel, xDilation, low,
                                      high, strides, kernelDilation));
    return success();
  }
  Value product =
      ConvolutionOp::create(builder, loc, exchange(builder, getX(), 1, 2),
                            exchange(builder, ct, 1, 2), kernelDilation, low,
                            high, xDilation, strides);
  context.addCotangent(getKernel(), exchange(builder, product, 1, 2));
  return success();
}
