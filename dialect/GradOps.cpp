//===- GradOps.cpp - Result types and verification ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Expr.h"
#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "dialect/Scalar.h"
#include "dialect/TypeChecks.h"

using namespace mlir;
using namespace mlir::grad;

using Location_ = std::optional<Location>;
using Types = SmallVectorImpl<Type>;
using Shape = SmallVector<int64_t>;

/// Checks the indices of an op that reads or writes a slice at run-time
/// offsets.
template <typename Op> static LogicalResult checkIndices(Op op) {
  return checkLength(op.getLoc(), op->getName().stripDialect(), "indices",
                     op.getIndices().size(), typeOf(op.getX()).getRank());
}

static LogicalResult inferReducedType(Location_ loc, StringRef op, Value x,
                                      ArrayRef<int64_t> dimensions,
                                      Types &types) {
  RankedTensorType type = typeOf(x);
  if (failed(checkDimensions(loc, op, "dimensions", dimensions, type.getRank(),
                             /*increasing=*/true)))
    return failure();
  Shape shape;
  for (auto [d, size] : llvm::enumerate(type.getShape()))
    if (!llvm::is_contained(dimensions, static_cast<int64_t>(d)))
      shape.push_back(size);
    else if (size == 0 && (op == "reduce_max" || op == "reduce_min"))
      return emitOptionalError(
          loc, "'grad.", op,
          "' op expected a dimension that is not empty, but "
          "dimension ",
          d, " has size 0");
  types.push_back(RankedTensorType::get(shape, type.getElementType()));
  return success();
}

static LogicalResult inferArgReducedType(Location_ loc, StringRef op, Value x,
                                         int64_t dimension, Types &types) {
  RankedTensorType type = typeOf(x);
  if (failed(checkDimensions(loc, op, "dimension", dimension, type.getRank(),
                             true)))
    return failure();
  Shape shape(type.getShape());
  if (shape[dimension] == 0)
    return emitOptionalError(loc, "'grad.", op,
                             "' op expected a dimension that is not empty, but "
                             "dimension ",
                             dimension, " has size 0");
  shape.erase(shape.begin() + dimension);
  types.push_back(
      RankedTensorType::get(shape, IntegerType::get(type.getContext(), 64)));
  return success();
}

/// Axes of a `grad.vmap`: numbers, or `none`.
static ParseResult parseAxes(OpAsmParser &parser, DenseI64ArrayAttr &axes) {
  Shape numbers;
  auto parseAxis = [&]() -> ParseResult {
    if (succeeded(parser.parseOptionalKeyword("none"))) {
      numbers.push_back(VmapOp::kNone);
      return success();
    }
    return parser.parseInteger(numbers.emplace_back());
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseAxis))
    return failure();
  axes = parser.getBuilder().getDenseI64ArrayAttr(numbers);
  return success();
}

static void printAxes(OpAsmPrinter &printer, Operation *,
                      DenseI64ArrayAttr axes) {
  printer << '[';
  llvm::interleaveComma(axes.asArrayRef(), printer, [&](int64_t axis) {
    if (axis == VmapOp::kNone)
      printer << "none";
    else
      printer << axis;
  });
  printer << ']';
}

/// Sizes, `?` for those that are known at run time.
static ParseResult parseSizes(OpAsmParser &parser, DenseI64ArrayAttr &sizes) {
  Shape numbers;
  auto parseSize = [&]() -> ParseResult {
    numbers.push_back(ShapedType::kDynamic);
    if (succeeded(parser.parseOptionalQuestion()))
      return success();
    return parser.parseInteger(numbers.back());
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseSize))
    return failure();
  sizes = parser.getBuilder().getDenseI64ArrayAttr(numbers);
  return success();
}

static void printSizes(OpAsmPrinter &printer, Operation *,
                       DenseI64ArrayAttr sizes) {
  printer << '[';
  llvm::interleaveComma(sizes.asArrayRef(), printer, [&](int64_t size) {
    if (ShapedType::isDynamic(size))
      printer << '?';
    else
      printer << size;
  });
  printer << ']';
}

#define GET_OP_CLASSES
#include "dialect/GradOps.cpp.inc"

LogicalResult ConvertOp::inferReturnTypes(MLIRContext *, Location_,
                                          Adaptor adaptor, Types &types) {
  types.push_back(typeOf(adaptor.getX()).clone(adaptor.getDtype()));
  return success();
}

//===----------------------------------------------------------------------===//
// Sources and shape
//===----------------------------------------------------------------------===//

LogicalResult IotaOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                       Adaptor adaptor, Types &types) {
  ArrayRef<int64_t> shape = adaptor.getShape();
  if (failed(checkSizes(loc, "iota", shape)) ||
      failed(checkDimensions(loc, "iota", "dimension", adaptor.getDimension(),
                             shape.size(), true)))
    return failure();
  types.push_back(RankedTensorType::get(shape, adaptor.getDtype()));
  return success();
}

LogicalResult RandomBitsOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                             Adaptor adaptor, Types &types) {
  RankedTensorType keys = typeOf(adaptor.getKeys());
  ArrayRef<int64_t> batch = typeOf(adaptor.getFirst()).getShape();
  if (keys.getRank() == 0 || keys.getShape().back() != 2)
    return emitOptionalError(loc,
                             "'grad.random_bits' op expected keys of two words "
                             "in the last dimension, but got ",
                             keys);
  if (keys.getShape().drop_back() != batch)
    return emitOptionalError(loc,
                             "'grad.random_bits' op expected one counter for "
                             "each key of ",
                             keys, ", but got ", typeOf(adaptor.getFirst()));
  int64_t width = adaptor.getDtype().getIntOrFloatBitWidth(),
          bits = adaptor.getBits();
  if (bits < 1 || bits > width)
    return emitOptionalError(loc, "'grad.random_bits' op expected bits in [1, ",
                             width, "], but got ", bits);
  if (failed(checkSizes(loc, "random_bits", adaptor.getShape())))
    return failure();
  Shape shape(batch);
  llvm::append_range(shape, adaptor.getShape());
  types.push_back(RankedTensorType::get(shape, adaptor.getDtype()));
  return success();
}

LogicalResult IdentityOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                           Adaptor adaptor, Types &types) {
  Shape shape(adaptor.getShape());
  if (failed(checkSizes(loc, "identity", shape)))
    return failure();
  llvm::append_range(shape, adaptor.getShape());
  types.push_back(RankedTensorType::get(shape, adaptor.getDtype()));
  return success();
}

LogicalResult BroadcastOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                            Adaptor adaptor, Types &types) {
  RankedTensorType type = typeOf(adaptor.getX());
  ArrayRef<int64_t> shape = adaptor.getShape(),
                    dimensions = adaptor.getDimensions();
  if (failed(checkSizes(loc, "broadcast", shape)) ||
      failed(checkLength(loc, "broadcast", "dimensions", dimensions.size(),
                         type.getRank())) ||
      failed(checkDimensions(loc, "broadcast", "dimensions", dimensions,
                             shape.size(), /*increasing=*/true)))
    return failure();
  for (auto [i, d] : llvm::enumerate(dimensions))
    if (shape[d] != type.getDimSize(i))
      return emitOptionalError(loc, "'grad.broadcast' op expected dimension ",
                               d, " of the result to have size ",
                               type.getDimSize(i), ", as dimension ", i,
                               " of the operand, but got ", shape[d]);
  types.push_back(RankedTensorType::get(shape, type.getElementType()));
  return success();
}

LogicalResult ReshapeOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                          Adaptor adaptor, Types &types) {
  RankedTensorType type = typeOf(adaptor.getX());
  if (failed(checkSizes(loc, "reshape", adaptor.getShape())))
    return failure();
  auto result =
      RankedTensorType::get(adaptor.getShape(), type.getElementType());
  if (result.getNumElements() != type.getNumElements())
    return emitOptionalError(loc, "'grad.reshape' op expected a shape of ",
                             type.getNumElements(), " elements, but got ",
                             result.getNumElements());
  types.push_back(result);
  return success();
}

LogicalResult TransposeOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                            Adaptor adaptor, Types &types) {
  RankedTensorType type = typeOf(adaptor.getX());
  ArrayRef<int64_t> permutation = adaptor.getPermutation();
  if (failed(checkLength(loc, "transpose", "entries of the permutation",
                         permutation.size(), type.getRank())) ||
      failed(checkDimensions(loc, "transpose", "dimensions", permutation,
                             type.getRank(), /*increasing=*/false)))
    return failure();
  Shape shape;
  for (int64_t d : permutation)
    shape.push_back(type.getDimSize(d));
  types.push_back(RankedTensorType::get(shape, type.getElementType()));
  return success();
}

/// A slice of `sizes` at `offsets` with `strides` must lie inside `shape`.
static LogicalResult checkSlice(Location_ loc, StringRef op,
                                ArrayRef<int64_t> shape,
                                ArrayRef<int64_t> offsets,
                                ArrayRef<int64_t> sizes,
                                ArrayRef<int64_t> strides) {
  size_t rank = shape.size();
  if (failed(checkLength(loc, op, "offsets", offsets.size(), rank)) ||
      failed(checkLength(loc, op, "sizes", sizes.size(), rank)) ||
      failed(checkLength(loc, op, "strides", strides.size(), rank)) ||
      failed(checkSizes(loc, op, sizes)))
    return failure();
  for (size_t d = 0; d < rank; ++d) {
    if (strides[d] < 1)
      return emitOptionalError(loc, "'grad.", op,
                               "' op expected strides of at least 1, but got ",
                               strides[d], " in dimension ", d);
    if (offsets[d] < 0)
      return emitOptionalError(loc, "'grad.", op,
                               "' op expected offsets of at least 0, but got ",
                               offsets[d], " in dimension ", d);
    int64_t end = offsets[d];
    if (sizes[d] != 0)
      end = saturatingAdd(saturatingAdd(end, sizes[d] - 1, strides[d]), 1);
    if (end > shape[d])
      return emitOptionalError(loc, "'grad.", op,
                               "' op expected a slice within dimension ", d,
                               " of size ", shape[d], ", but got elements ",
                               offsets[d], " to ", end);
  }
  return success();
}

LogicalResult SliceOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                        Adaptor adaptor, Types &types) {
  RankedTensorType type = typeOf(adaptor.getX());
  if (failed(checkSlice(loc, "slice", type.getShape(), adaptor.getOffsets(),
                        adaptor.getSizes(), adaptor.getStrides())))
    return failure();
  types.push_back(
      RankedTensorType::get(adaptor.getSizes(), type.getElementType()));
  return success();
}

LogicalResult DynamicSliceOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                               Adaptor adaptor, Types &types) {
  RankedTensorType type = typeOf(adaptor.getX());
  Shape zeros(adaptor.getSizes().size(), 0), ones(adaptor.getSizes().size(), 1);
  if (failed(checkSlice(loc, "dynamic_slice", type.getShape(), zeros,
                        adaptor.getSizes(), ones)))
    return failure();
  types.push_back(
      RankedTensorType::get(adaptor.getSizes(), type.getElementType()));
  return success();
}

LogicalResult DynamicSliceOp::verify() { return checkIndices(*this); }

/// The type of `x` with the slice changed that `update` would replace.
static LogicalResult inferUpdatedType(Location_ loc, StringRef op, Value x,
                                      Value update, ArrayRef<int64_t> offsets,
                                      ArrayRef<int64_t> strides, Types &types) {
  types.push_back(x.getType());
  return success(succeeded(checkElementType(loc, op, x, "update", update)) &&
                 succeeded(checkSlice(loc, op, typeOf(x).getShape(), offsets,
                                      typeOf(update).getShape(), strides)));
}

LogicalResult UpdateSliceOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                              Adaptor adaptor, Types &types) {
  return inferUpdatedType(loc, "update_slice", adaptor.getX(),
                          adaptor.getUpdate(), adaptor.getOffsets(),
                          adaptor.getStrides(), types);
}

LogicalResult AddSliceOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                           Adaptor adaptor, Types &types) {
  return inferUpdatedType(loc, "add_slice", adaptor.getX(), adaptor.getUpdate(),
                          adaptor.getOffsets(), adaptor.getStrides(), types);
}

/// The same for positions that are known at run time.
static LogicalResult inferDynamicallyUpdatedType(Location_ loc, StringRef op,
                                                 Value x, Value update,
                                                 Types &types) {
  int64_t rank = typeOf(x).getRank();
  return inferUpdatedType(loc, op, x, update, Shape(rank, 0), Shape(rank, 1),
                          types);
}

LogicalResult DynamicUpdateSliceOp::inferReturnTypes(MLIRContext *,
                                                     Location_ loc,
                                                     Adaptor adaptor,
                                                     Types &types) {
  return inferDynamicallyUpdatedType(
      loc, "dynamic_update_slice", adaptor.getX(), adaptor.getUpdate(), types);
}

LogicalResult DynamicUpdateSliceOp::verify() { return checkIndices(*this); }

LogicalResult DynamicAddSliceOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                                  Adaptor adaptor,
                                                  Types &types) {
  return inferDynamicallyUpdatedType(loc, "dynamic_add_slice", adaptor.getX(),
                                     adaptor.getUpdate(), types);
}

LogicalResult DynamicAddSliceOp::verify() { return checkIndices(*this); }

LogicalResult PadOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                      Adaptor adaptor, Types &types) {
  RankedTensorType type = typeOf(adaptor.getX());
  size_t rank = type.getRank();
  ArrayRef<int64_t> low = adaptor.getLow(), high = adaptor.getHigh(),
                    interior = adaptor.getInterior();
  if (failed(checkElementType(loc, "pad", adaptor.getX(), "value",
                              adaptor.getValue())) ||
      failed(checkLength(loc, "pad", "low", low.size(), rank)) ||
      failed(checkLength(loc, "pad", "high", high.size(), rank)) ||
      failed(checkLength(loc, "pad", "interior", interior.size(), rank)))
    return failure();
  if (int64_t valueRank = typeOf(adaptor.getValue()).getRank())
    return emitOptionalError(
        loc, "'grad.pad' op expected a scalar value, but got rank ", valueRank);
  Shape shape;
  for (size_t d = 0; d < rank; ++d) {
    if (low[d] < 0 || high[d] < 0 || interior[d] < 0)
      return emitOptionalError(loc,
                               "'grad.pad' op expected padding of at least 0, "
                               "but got ",
                               std::min({low[d], high[d], interior[d]}),
                               " in dimension ", d);
    int64_t size = saturatingAdd(low[d], type.getDimSize(d));
    size = saturatingAdd(size, std::max<int64_t>(type.getDimSize(d) - 1, 0),
                         interior[d]);
    shape.push_back(saturatingAdd(size, high[d]));
  }
  types.push_back(RankedTensorType::get(shape, type.getElementType()));
  return success();
}

LogicalResult ConcatenateOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                              Adaptor adaptor, Types &types) {
  if (adaptor.getInputs().empty())
    return emitOptionalError(
        loc, "'grad.concatenate' op expected at least one input");
  RankedTensorType type = typeOf(adaptor.getInputs().front());
  int64_t dimension = adaptor.getDimension();
  if (failed(checkDimensions(loc, "concatenate", "dimension", dimension,
                             type.getRank(), true)))
    return failure();
  Shape shape(type.getShape());
  shape[dimension] = 0;
  for (auto [i, input] : llvm::enumerate(adaptor.getInputs())) {
    RankedTensorType other = typeOf(input);
    Shape otherShape(other.getShape());
    if (other.getRank() == type.getRank())
      otherShape[dimension] = type.getDimSize(dimension);
    if (ArrayRef<int64_t>(otherShape) != type.getShape() ||
        other.getElementType() != type.getElementType())
      return emitOptionalError(loc, "'grad.concatenate' op expected input ", i,
                               " to be like ", type, " outside dimension ",
                               dimension, ", but got ", other);
    shape[dimension] =
        saturatingAdd(shape[dimension], other.getDimSize(dimension));
  }
  types.push_back(RankedTensorType::get(shape, type.getElementType()));
  return success();
}

LogicalResult ReverseOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                          Adaptor adaptor, Types &types) {
  RankedTensorType type = typeOf(adaptor.getX());
  types.push_back(type);
  return checkDimensions(loc, "reverse", "dimensions", adaptor.getDimensions(),
                         type.getRank(), /*increasing=*/true);
}

LogicalResult CumsumOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                         Adaptor adaptor, Types &types) {
  RankedTensorType type = typeOf(adaptor.getX());
  types.push_back(type);
  return checkDimensions(loc, "cumsum", "dimension", adaptor.getDimension(),
                         type.getRank(), true);
}
