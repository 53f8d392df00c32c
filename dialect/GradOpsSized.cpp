//===- GradOpsSized.cpp - Types of ops with sizes known at run time -------===//
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

/// Sizes, those not known negative or at least 0.
static LogicalResult checkShape(Location_ loc, StringRef op,
                                ArrayRef<int64_t> shape) {
  return checkSizes(loc, op, llvm::filter_to_vector(shape, [](int64_t size) {
                      return !ShapedType::isDynamic(size);
                    }));
}

/// Each `?` in `shape` needs one of `count`.
static LogicalResult checkCount(Location_ loc, StringRef op, StringRef name,
                                ArrayRef<int64_t> shape, size_t count) {
  size_t expected = llvm::count_if(shape, ShapedType::isDynamic);
  if (count == expected)
    return success();
  return emitOptionalError(loc, "'grad.", op, "' op expected ", expected, " ",
                           name, ", one for each dimension of unknown size, ",
                           "but got ", count);
}

LogicalResult SizedSliceOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                             Adaptor adaptor, Types &types) {
  RankedTensorType type = typeOf(adaptor.getX());
  ArrayRef<int64_t> shape = adaptor.getShape(),
                    dimensions = adaptor.getDimensions();
  if (failed(checkShape(loc, "sized_slice", shape)) ||
      failed(checkLength(loc, "sized_slice", "dimensions", dimensions.size(),
                         shape.size())) ||
      failed(checkDimensions(loc, "sized_slice", "dimensions", dimensions,
                             type.getRank(), /*increasing=*/true)))
    return failure();
  for (auto [i, d] : llvm::enumerate(dimensions))
    if (!ShapedType::isDynamic(shape[i]) && !type.isDynamicDim(d) &&
        shape[i] > type.getDimSize(d))
      return emitOptionalError(
          loc, "'grad.sized_slice' op expected a slice within dimension ", d,
          " of size ", type.getDimSize(d), ", but got ", shape[i], " elements");
    else if (type.isDynamicDim(d) && !ShapedType::isDynamic(shape[i]))
      return emitOptionalError(
          loc, "'grad.sized_slice' op expected a size that is known at run ",
          "time along dimension ", d, ", as that of the operand is, but got ",
          shape[i]);
  types.push_back(RankedTensorType::get(shape, type.getElementType()));
  return success();
}

LogicalResult SizedSliceOp::verify() {
  return success(
      succeeded(checkLength(getLoc(), "sized_slice", "indices",
                            getIndices().size(), typeOf(getX()).getRank())) &&
      succeeded(checkCount(getLoc(), "sized_slice", "extents", getShape(),
                           getExtents().size())));
}

LogicalResult SizedUpdateOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                              Adaptor adaptor, Types &types) {
  RankedTensorType type = typeOf(adaptor.getX()),
                   update = typeOf(adaptor.getUpdate());
  ArrayRef<int64_t> dimensions = adaptor.getDimensions();
  if (failed(checkElementType(loc, "sized_update", adaptor.getX(), "update",
                              adaptor.getUpdate())) ||
      failed(checkLength(loc, "sized_update", "dimensions", dimensions.size(),
                         update.getRank())) ||
      failed(checkDimensions(loc, "sized_update", "dimensions", dimensions,
                             type.getRank(), /*increasing=*/true)))
    return failure();
  for (auto [i, d] : llvm::enumerate(dimensions))
    if (update.getDimSize(i) > type.getDimSize(d))
      return emitOptionalError(
          loc, "'grad.sized_update' op expected a slice within dimension ", d,
          " of size ", type.getDimSize(d), ", but got ", update.getDimSize(i),
          " elements");
  types.push_back(type);
  return success();
}

LogicalResult SizedUpdateOp::verify() {
  return checkLength(getLoc(), "sized_update", "indices", getIndices().size(),
                     typeOf(getX()).getRank());
}

LogicalResult SizedBroadcastOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                                 Adaptor adaptor,
                                                 Types &types) {
  RankedTensorType type = typeOf(adaptor.getX());
  ArrayRef<int64_t> shape = adaptor.getShape(),
                    dimensions = adaptor.getDimensions();
  if (failed(checkShape(loc, "sized_broadcast", shape)) ||
      failed(checkLength(loc, "sized_broadcast", "dimensions",
                         dimensions.size(), type.getRank())) ||
      failed(checkDimensions(loc, "sized_broadcast", "dimensions", dimensions,
                             shape.size(), /*increasing=*/true)) ||
      failed(checkSizes(loc, "sized_broadcast", adaptor.getBounds())))
    return failure();
  for (auto [i, d] : llvm::enumerate(dimensions))
    if (shape[d] != type.getDimSize(i))
      return emitOptionalError(
          loc, "'grad.sized_broadcast' op expected dimension ", d,
          " of the result to have the size of dimension ", i,
          " of the operand");
  types.push_back(RankedTensorType::get(shape, type.getElementType()));
  return success();
}

LogicalResult SizedBroadcastOp::verify() {
  return success(succeeded(checkCount(getLoc(), "sized_broadcast", "extents",
                                      getShape(), getExtents().size())) &&
                 succeeded(checkCount(getLoc(), "sized_broadcast", "bounds",
                                      getShape(), getBounds().size())));
}

LogicalResult SizedIotaOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                            Adaptor adaptor, Types &types) {
  if (failed(checkSizes(loc, "sized_iota",
                        {static_cast<int64_t>(adaptor.getBound())})))
    return failure();
  types.push_back(
      RankedTensorType::get({ShapedType::kDynamic}, adaptor.getDtype()));
  return success();
}
