//===- GradOpsProducts.cpp - Types of products and indexing ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "dialect/TypeChecks.h"

using namespace mlir;
using namespace mlir::grad;

using Location_ = std::optional<Location>;
using Types = SmallVectorImpl<Type>;
using Shape = SmallVector<int64_t>;

LogicalResult DotGeneralOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                             Adaptor adaptor, Types &types) {
  RankedTensorType lhs = typeOf(adaptor.getLhs()),
                   rhs = typeOf(adaptor.getRhs());
  if (failed(checkElementType(loc, "dot_general", adaptor.getLhs(), "rhs",
                              adaptor.getRhs())))
    return failure();
  Shape lhsUsed(adaptor.getLhsBatch()), rhsUsed(adaptor.getRhsBatch());
  llvm::append_range(lhsUsed, adaptor.getLhsContract());
  llvm::append_range(rhsUsed, adaptor.getRhsContract());
  if (failed(checkDimensions(loc, "dot_general", "dimensions of lhs", lhsUsed,
                             lhs.getRank(), false)) ||
      failed(checkDimensions(loc, "dot_general", "dimensions of rhs", rhsUsed,
                             rhs.getRank(), false)))
    return failure();
  if (adaptor.getLhsBatch().size() != adaptor.getRhsBatch().size() ||
      lhsUsed.size() != rhsUsed.size())
    return emitOptionalError(loc,
                             "'grad.dot_general' op expected as many batch and "
                             "contracting dimensions of lhs as of rhs");
  for (auto [l, r] : llvm::zip_equal(lhsUsed, rhsUsed))
    if (lhs.getDimSize(l) != rhs.getDimSize(r))
      return emitOptionalError(loc, "'grad.dot_general' op expected dimension ",
                               r, " of rhs to have size ", lhs.getDimSize(l),
                               ", as dimension ", l, " of lhs, but got ",
                               rhs.getDimSize(r));
  Shape shape;
  for (int64_t d : adaptor.getLhsBatch())
    shape.push_back(lhs.getDimSize(d));
  for (int64_t d = 0; d < lhs.getRank(); ++d)
    if (!llvm::is_contained(lhsUsed, d))
      shape.push_back(lhs.getDimSize(d));
  for (int64_t d = 0; d < rhs.getRank(); ++d)
    if (!llvm::is_contained(rhsUsed, d))
      shape.push_back(rhs.getDimSize(d));
  types.push_back(RankedTensorType::get(shape, lhs.getElementType()));
  return success();
}

LogicalResult CorrelateOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                            Adaptor adaptor, Types &types) {
  RankedTensorType x = typeOf(adaptor.getX()),
                   kernel = typeOf(adaptor.getKernel());
  if (failed(checkElementType(loc, "correlate", adaptor.getX(), "kernel",
                              adaptor.getKernel())))
    return failure();
  if (x.getRank() == 0 || kernel.getRank() == 0 ||
      kernel.getShape().back() == 0 ||
      kernel.getShape().back() > x.getShape().back())
    return emitOptionalError(loc,
                             "'grad.correlate' op expected vectors and "
                             "kernels of at least one and at most as many "
                             "elements, but got ",
                             x, " and ", kernel);
  if (x.getShape().drop_back() != kernel.getShape().drop_back())
    return emitOptionalError(loc,
                             "'grad.correlate' op expected as many vectors as "
                             "kernels, but got ",
                             x, " and ", kernel);
  int64_t size = kernel.getShape().back();
  int64_t low = adaptor.getLow(), high = adaptor.getHigh();
  if (low < 0 || high < 0 || low >= size || high >= size)
    return emitOptionalError(loc,
                             "'grad.correlate' op expected low and high to be "
                             "at least 0 and less than ",
                             size, ", but got ", low, " and ", high);
  Shape shape(x.getShape());
  shape.back() = saturatingAdd(shape.back() - size + 1, low + high);
  types.push_back(RankedTensorType::get(shape, x.getElementType()));
  return success();
}

/// The extent of `size` elements that are `dilation` apart.
static int64_t dilated(int64_t size, int64_t dilation) {
  return size == 0 ? 0 : saturatingAdd(1, size - 1, dilation);
}

LogicalResult ConvolutionOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                              Adaptor adaptor, Types &types) {
  // Sums and differences of a few such numbers do not overflow.
  constexpr int64_t kLargest = int64_t(1) << 60;
  StringRef name = "convolution";
  RankedTensorType x = typeOf(adaptor.getX()),
                   kernel = typeOf(adaptor.getKernel());
  if (failed(checkElementType(loc, name, adaptor.getX(), "kernel",
                              adaptor.getKernel())))
    return failure();
  if (x.getRank() < 3 || kernel.getRank() != x.getRank())
    return emitOptionalError(loc,
                             "'grad.convolution' op expected x and a kernel of "
                             "one rank of at least 3, but got ",
                             x, " and ", kernel);
  for (int64_t d : {0, 2})
    if (x.getDimSize(d) != kernel.getDimSize(d))
      return emitOptionalError(
          loc, "'grad.convolution' op expected kernel to have ",
          x.getDimSize(d), d == 0 ? " groups" : " features", ", as x, but got ",
          kernel.getDimSize(d));
  size_t spatial = x.getRank() - 3;
  std::pair<StringRef, ArrayRef<int64_t>> lists[] = {
      {"strides", adaptor.getStrides()},
      {"x dilations", adaptor.getXDilation()},
      {"kernel dilations", adaptor.getKernelDilation()},
      {"sizes of low padding", adaptor.getLow()},
      {"sizes of high padding", adaptor.getHigh()}};
  for (auto [what, list] : lists)
    if (list.size() != spatial)
      return emitOptionalError(
          loc, "'grad.convolution' op expected ", spatial, " ", what,
          ", one for each spatial dimension, but got ", list.size());
  Shape shape{x.getDimSize(0), x.getDimSize(1), kernel.getDimSize(1)};
  for (size_t d = 0; d < spatial; ++d) {
    for (auto [what, list] : ArrayRef(lists).take_front(3))
      if (list[d] < 1 || list[d] > kLargest)
        return emitOptionalError(loc, "'grad.convolution' op expected ", what,
                                 " from 1 to 2^60, but got ", list[d]);
    for (auto [what, list] : ArrayRef(lists).drop_front(3))
      if (list[d] < -kLargest || list[d] > kLargest)
        return emitOptionalError(loc, "'grad.convolution' op expected ", what,
                                 " from -2^60 to 2^60, but got ", list[d]);
    int64_t size = x.getDimSize(d + 3), window = kernel.getDimSize(d + 3);
    if (window == 0)
      return emitOptionalError(loc,
                               "'grad.convolution' op expected a kernel with "
                               "elements in each spatial dimension, but got ",
                               kernel);
    size = dilated(size, adaptor.getXDilation()[d]);
    window = dilated(window, adaptor.getKernelDilation()[d]);
    if (size > kLargest || window > kLargest)
      return emitOptionalError(loc,
                               "'grad.convolution' op expected dilated sizes "
                               "of at most 2^60, but got ",
                               std::max(size, window), " in spatial dimension ",
                               d);
    int64_t places = size + adaptor.getLow()[d] + adaptor.getHigh()[d] - window;
    shape.push_back(places < 0 ? 0 : places / adaptor.getStrides()[d] + 1);
  }
  types.push_back(RankedTensorType::get(shape, x.getElementType()));
  return success();
}

/// The number of batch dimensions, 0 while that is not said.
template <typename Adaptor> static int64_t batchOf(Adaptor adaptor) {
  IntegerAttr batch = adaptor.getBatchAttr();
  return batch ? batch.getInt() : 0;
}

/// The shape of what `indices` points at in a tensor of type `type`, of which
/// the first `batch` dimensions are those of `indices`.
static FailureOr<Shape> gatheredShape(Location_ loc, StringRef op,
                                      RankedTensorType type,
                                      RankedTensorType indices, int64_t batch) {
  if (batch < 0 || batch > type.getRank() || batch >= indices.getRank() ||
      type.getShape().take_front(batch) !=
          indices.getShape().take_front(batch)) {
    (void)emitOptionalError(loc, "'grad.", op, "' op expected ", batch,
                            " batch dimensions that ", type, " and ", indices,
                            " have in common");
    return failure();
  }
  int64_t k = indices.getShape().back();
  if (ShapedType::isDynamic(k) || k > type.getRank() - batch) {
    (void)emitOptionalError(
        loc, "'grad.", op,
        "' op expected indices whose last dimension has at most "
        "size ",
        type.getRank() - batch, ", but got ", indices);
    return failure();
  }
  Shape shape(indices.getShape().drop_back());
  llvm::append_range(shape, type.getShape().drop_front(batch + k));
  for (int64_t d = batch; d < batch + k; ++d)
    if (type.getDimSize(d) == 0 && !llvm::is_contained(shape, 0)) {
      (void)emitOptionalError(loc, "'grad.", op,
                              "' op expected a dimension that is "
                              "not empty to index, but dimension ",
                              d, " has size 0");
      return failure();
    }
  return shape;
}

LogicalResult GatherOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                         Adaptor adaptor, Types &types) {
  RankedTensorType type = typeOf(adaptor.getX());
  FailureOr<Shape> shape = gatheredShape(
      loc, "gather", type, typeOf(adaptor.getIndices()), batchOf(adaptor));
  if (failed(shape))
    return failure();
  types.push_back(RankedTensorType::get(*shape, type.getElementType()));
  return success();
}

/// The result type of a scatter: that of `x`.
static LogicalResult scatteredType(Location_ loc, StringRef op, Value x,
                                   Value indices, Value updates, int64_t batch,
                                   Types &types) {
  RankedTensorType type = typeOf(x);
  FailureOr<Shape> shape = gatheredShape(loc, op, type, typeOf(indices), batch);
  if (failed(shape) || failed(checkElementType(loc, op, x, "updates", updates)))
    return failure();
  auto expected = RankedTensorType::get(*shape, type.getElementType());
  if (expected != updates.getType())
    return emitOptionalError(loc, "'grad.", op,
                             "' op expected updates of type ", expected,
                             ", but got ", updates.getType());
  types.push_back(type);
  return success();
}

LogicalResult ScatterOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                          Adaptor adaptor, Types &types) {
  return scatteredType(loc, "scatter", adaptor.getX(), adaptor.getIndices(),
                       adaptor.getUpdates(), batchOf(adaptor), types);
}

LogicalResult ScatterAddOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                             Adaptor adaptor, Types &types) {
  return scatteredType(loc, "scatter_add", adaptor.getX(), adaptor.getIndices(),
                       adaptor.getUpdates(), batchOf(adaptor), types);
}
