//===- GradOpsFourier.cpp - Types of Fourier transforms -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "dialect/TypeChecks.h"
#include "runtime/Fourier.h"

using namespace mlir;
using namespace mlir::grad;
namespace fourier = gradopt::runtime::fourier;

using Location_ = std::optional<Location>;
using Types = SmallVectorImpl<Type>;
using Shape = SmallVector<int64_t>;

static LogicalResult checkTransform(Location_ loc, StringRef op, Value x,
                                    ArrayRef<int64_t> dimensions,
                                    StringRef norm) {
  RankedTensorType type = typeOf(x);
  if (failed(checkDimensions(loc, op, "dimensions", dimensions, type.getRank(),
                             /*increasing=*/false)))
    return failure();
  for (int64_t d : dimensions)
    if (type.getDimSize(d) == 0)
      return emitOptionalError(loc, "'grad.", op,
                               "' op expected a dimension that is not empty, "
                               "but dimension ",
                               d, " has size 0");
  if (!llvm::is_contained(fourier::kNorms, norm))
    return emitOptionalError(loc, "'grad.", op,
                             "' op expected norm to be \"none\", \"size\" or "
                             "\"root\", but got \"",
                             norm, "\"");
  return success();
}

/// There must be one that has half of the spectrum.
static LogicalResult checkLast(Location_ loc, StringRef op,
                               ArrayRef<int64_t> dimensions) {
  if (!dimensions.empty())
    return success();
  return emitOptionalError(loc, "'grad.", op,
                           "' op expected at least one dimension");
}

LogicalResult FftOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                      Adaptor adaptor, Types &types) {
  types.push_back(adaptor.getX().getType());
  return checkTransform(loc, "fft", adaptor.getX(), adaptor.getDimensions(),
                        adaptor.getNorm());
}

LogicalResult RfftOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                       Adaptor adaptor, Types &types) {
  ArrayRef<int64_t> dimensions = adaptor.getDimensions();
  if (failed(checkLast(loc, "rfft", dimensions)) ||
      failed(checkTransform(loc, "rfft", adaptor.getX(), dimensions,
                            adaptor.getNorm())))
    return failure();
  RankedTensorType type = typeOf(adaptor.getX());
  Shape shape(type.getShape());
  shape[dimensions.back()] = shape[dimensions.back()] / 2 + 1;
  types.push_back(
      RankedTensorType::get(shape, ComplexType::get(type.getElementType())));
  return success();
}

LogicalResult IrfftOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                        Adaptor adaptor, Types &types) {
  ArrayRef<int64_t> dimensions = adaptor.getDimensions();
  if (failed(checkLast(loc, "irfft", dimensions)) ||
      failed(checkTransform(loc, "irfft", adaptor.getX(), dimensions,
                            adaptor.getNorm())))
    return failure();
  RankedTensorType type = typeOf(adaptor.getX());
  Shape shape(type.getShape());
  int64_t &extent = shape[dimensions.back()];
  int64_t size = adaptor.getSize();
  if (size < 1 || size / 2 + 1 != extent)
    return emitOptionalError(loc, "'grad.irfft' op expected size ",
                             2 * extent - 2, " or ", 2 * extent - 1,
                             " for a dimension of size ", extent, ", but got ",
                             size);
  extent = size;
  types.push_back(RankedTensorType::get(
      shape, cast<ComplexType>(type.getElementType()).getElementType()));
  return success();
}

LogicalResult FourierIntoOp::verify() {
  if (!llvm::is_contained(fourier::kNames, getTransform()))
    return emitOpError("expected a transform that the runtime has, but got ")
           << getTransformAttr();
  if (!llvm::is_contained(fourier::kNorms, getNorm()))
    return emitOpError("expected norm to be \"none\", \"size\" or \"root\", "
                       "but got ")
           << getNormAttr();
  if (getInputs().size() != 1 || getOuts().size() != 2)
    return emitOpError("expected 1 input and 2 outs, but got ")
           << getInputs().size() << " and " << getOuts().size();
  auto type = cast<ShapedType>(getInputs().front().getType());
  if (type.getRank() > fourier::kMaxRank)
    return emitOpError("expected at most ")
           << fourier::kMaxRank << " dimensions, but got " << type.getRank();
  return checkDimensions(getLoc(), "fourier_into", "dimensions",
                         getDimensions(), type.getRank(), /*increasing=*/false);
}
