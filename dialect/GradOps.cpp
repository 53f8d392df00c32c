//===- GradOps.cpp - Result types and verification ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Expr.h"
#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "dialect/Scalar.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/SmallBitVector.h"

using namespace mlir;
using namespace mlir::grad;

using Location_ = std::optional<Location>;
using Types = SmallVectorImpl<Type>;
using Shape = SmallVector<int64_t>;

/// Each of `dimensions` must be in [0, rank) and stand there once.
static LogicalResult checkDimensions(Location_ loc, StringRef op,
                                     StringRef name,
                                     ArrayRef<int64_t> dimensions, int64_t rank,
                                     bool increasing) {
  llvm::SmallBitVector seen(rank);
  int64_t previous = -1;
  for (int64_t d : dimensions) {
    if (d < 0 || d >= rank)
      return emitOptionalError(loc, "'grad.", op, "' op expected ", name,
                               " in [0, ", rank, "), but got ", d);
    if (seen.test(d) || (increasing && d <= previous))
      return emitOptionalError(loc, "'grad.", op, "' op expected ",
                               increasing ? "strictly increasing "
                                          : "distinct ",
                               name, ", but got [", dimensions, "]");
    seen.set(d);
    previous = d;
  }
  return success();
}

static LogicalResult checkLength(Location_ loc, StringRef op, StringRef name,
                                 size_t actual, size_t expected) {
  if (actual == expected)
    return success();
  return emitOptionalError(loc, "'grad.", op, "' op expected ", expected, " ",
                           name, ", one for each dimension, but got ", actual);
}

/// Checks the indices of an op that reads or writes a slice at run-time
/// offsets.
template <typename Op> static LogicalResult checkIndices(Op op) {
  return checkLength(op.getLoc(), op->getName().stripDialect(), "indices",
                     op.getIndices().size(), typeOf(op.getX()).getRank());
}

static LogicalResult checkSizes(Location_ loc, StringRef op,
                                ArrayRef<int64_t> shape) {
  for (int64_t size : shape)
    if (size < 0)
      return emitOptionalError(loc, "'grad.", op,
                               "' op expected sizes of at least 0, but got ",
                               size);
  return success();
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

/// a + b * c, none of which is negative, or the largest number if that is more.
static int64_t saturatingAdd(int64_t a, int64_t b, int64_t c = 1) {
  bool overflows;
  uint64_t sum = llvm::SaturatingMultiplyAdd<uint64_t>(b, c, a, &overflows);
  return std::min<uint64_t>(sum, std::numeric_limits<int64_t>::max());
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

static LogicalResult checkElementType(Location_ loc, StringRef op, Value x,
                                      StringRef name, Value other) {
  Type expected = typeOf(x).getElementType(),
       actual = typeOf(other).getElementType();
  if (expected == actual)
    return success();
  return emitOptionalError(loc, "'grad.", op, "' op expected ", name,
                           " to have element type ", expected, ", but got ",
                           actual);
}

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

//===----------------------------------------------------------------------===//
// Products and indexing
//===----------------------------------------------------------------------===//

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
  if (k > type.getRank() - batch) {
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

//===----------------------------------------------------------------------===//
// Calls, requests and regions
//===----------------------------------------------------------------------===//

/// The function that `op` names, after checking its operand types.
static FunctionOpInterface checkCallee(Operation *op, FlatSymbolRefAttr callee,
                                       ValueRange inputs,
                                       SymbolTableCollection &symbols) {
  auto function =
      symbols.lookupNearestSymbolFrom<FunctionOpInterface>(op, callee);
  if (!function) {
    op->emitOpError("expected the symbol of a function, but got ") << callee;
    return nullptr;
  }
  if (TypeRange(function.getArgumentTypes()) != TypeRange(inputs)) {
    (op->emitOpError("expected inputs of types (")
     << function.getArgumentTypes() << "), but got (" << inputs.getTypes()
     << ")")
            .attachNote(function->getLoc())
        << "callee is here";
    return nullptr;
  }
  return function;
}

static LogicalResult checkResults(Operation *op, ArrayRef<Type> expected) {
  if (TypeRange(op->getResultTypes()) == TypeRange(expected))
    return success();
  return op->emitOpError("expected results of types (")
         << expected << "), but got (" << op->getResultTypes() << ")";
}

/// Appends the types at `indices`, which must be in range, distinct and
/// differentiable.
static LogicalResult appendTypes(Operation *op, StringRef name,
                                 ArrayRef<Type> from, ArrayRef<int64_t> indices,
                                 Types &to) {
  llvm::SmallBitVector seen(from.size());
  for (int64_t i : indices) {
    if (i < 0 || i >= static_cast<int64_t>(from.size()))
      return op->emitOpError("expected entries of `")
             << name << "` in [0, " << from.size() << "), but got " << i;
    if (seen.test(i))
      return op->emitOpError("expected distinct entries of `")
             << name << "`, but got " << i << " twice";
    if (!isDifferentiable(from[i]))
      return op->emitOpError("expected entries of `")
             << name << "` to name tensors of floats, but " << i << " has type "
             << from[i];
    seen.set(i);
    to.push_back(from[i]);
  }
  return success();
}

static LogicalResult checkTypes(Operation *op, StringRef name,
                                ArrayRef<Type> expected, ValueRange actual) {
  if (TypeRange(actual) == TypeRange(expected))
    return success();
  return op->emitOpError("expected ")
         << name << " of types (" << expected << "), but got ("
         << actual.getTypes() << ")";
}

LogicalResult CallOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto function = checkCallee(*this, getCalleeAttr(), getInputs(), symbols);
  return success(function &&
                 succeeded(checkResults(*this, function.getResultTypes())));
}

LogicalResult VjpOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto function = checkCallee(*this, getCalleeAttr(), getInputs(), symbols);
  if (!function)
    return failure();
  SmallVector<Type> results(function.getResultTypes()), cotangents;
  if (failed(appendTypes(*this, "of", function.getResultTypes(), getOf(),
                         cotangents)) ||
      failed(appendTypes(*this, "wrt", function.getArgumentTypes(), getWrt(),
                         results)) ||
      failed(checkTypes(*this, "cotangents", cotangents, getCotangents())))
    return failure();
  return checkResults(*this, results);
}

LogicalResult JvpOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto function = checkCallee(*this, getCalleeAttr(), getInputs(), symbols);
  if (!function)
    return failure();
  SmallVector<Type> results(function.getResultTypes()), tangents;
  if (failed(appendTypes(*this, "wrt", function.getArgumentTypes(), getWrt(),
                         tangents)) ||
      failed(appendTypes(*this, "of", function.getResultTypes(), getOf(),
                         results)) ||
      failed(checkTypes(*this, "tangents", tangents, getTangents())))
    return failure();
  return checkResults(*this, results);
}

static void appendDifferentiable(TypeRange from, SmallVectorImpl<Type> &to) {
  llvm::copy_if(from, std::back_inserter(to), isDifferentiable);
}

/// The function that the rule `name` of `op` refers to, after checking that it
/// takes `inputs`.
static FunctionOpInterface checkRule(CustomOp op, StringRef name,
                                     FlatSymbolRefAttr symbol,
                                     ArrayRef<Type> inputs,
                                     SymbolTableCollection &symbols) {
  auto function =
      symbols.lookupNearestSymbolFrom<FunctionOpInterface>(op, symbol);
  if (!function) {
    op.emitOpError("expected `")
        << name << "` to be the symbol of a function, but got " << symbol;
    return nullptr;
  }
  if (TypeRange(function.getArgumentTypes()) != TypeRange(inputs)) {
    (op.emitOpError("expected `")
     << name << "` to take (" << inputs << "), but it takes ("
     << function.getArgumentTypes() << ")")
            .attachNote(function->getLoc())
        << "rule is here";
    return nullptr;
  }
  return function;
}

static LogicalResult checkRuleResults(CustomOp op, StringRef name,
                                      FunctionOpInterface rule,
                                      ArrayRef<Type> expected, bool isPrefix) {
  ArrayRef<Type> actual = rule.getResultTypes();
  if (isPrefix ? actual.take_front(expected.size()) == expected
               : actual == expected)
    return success();
  (op.emitOpError("expected `")
   << name << "` to return (" << expected << (isPrefix ? ", residuals" : "")
   << "), but it returns (" << actual << ")")
          .attachNote(rule->getLoc())
      << "rule is here";
  return failure();
}

LogicalResult CustomOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto function = checkCallee(*this, getCalleeAttr(), getOperands(), symbols);
  if (!function || failed(checkResults(*this, function.getResultTypes())))
    return failure();
  if (bool(getFwdAttr()) != bool(getBwdAttr()))
    return emitOpError("expected `fwd` and `bwd` together, but got `")
           << (getFwdAttr() ? "fwd" : "bwd") << "` alone";
  SmallVector<Type> outputs(getResultTypes());
  if (getFwdAttr()) {
    SmallVector<Type> inputs(getOperandTypes());
    auto fwd = checkRule(*this, "fwd", getFwdAttr(), inputs, symbols);
    if (!fwd || failed(checkRuleResults(*this, "fwd", fwd, outputs,
                                        /*isPrefix=*/true)))
      return failure();
    SmallVector<Type> arguments(
        fwd.getResultTypes().drop_front(outputs.size()));
    appendDifferentiable(outputs, arguments);
    llvm::append_range(arguments, getCaptures().getTypes());
    auto bwd = checkRule(*this, "bwd", getBwdAttr(), arguments, symbols);
    SmallVector<Type> cotangents;
    appendDifferentiable(getInputs().getTypes(), cotangents);
    if (!bwd || failed(checkRuleResults(*this, "bwd", bwd, cotangents,
                                        /*isPrefix=*/false)))
      return failure();
  }
  if (!getJvpAttr())
    return success();
  SmallVector<Type> arguments(getInputs().getTypes());
  appendDifferentiable(getInputs().getTypes(), arguments);
  llvm::append_range(arguments, getCaptures().getTypes());
  auto jvp = checkRule(*this, "jvp", getJvpAttr(), arguments, symbols);
  appendDifferentiable(getResultTypes(), outputs);
  return success(jvp && succeeded(checkRuleResults(*this, "jvp", jvp, outputs,
                                                   /*isPrefix=*/false)));
}

/// `types` with a dimension of `size` put in, or taken out, at each axis.
static LogicalResult moveAxes(VmapOp op, StringRef name, TypeRange types,
                              ArrayRef<int64_t> axes, bool isInput,
                              SmallVectorImpl<Type> &moved) {
  if (axes.size() != types.size())
    return op.emitOpError("expected an entry of `")
           << name << "` for each of " << types.size()
           << (isInput ? " inputs" : " results") << ", but got " << axes.size();
  auto size = static_cast<int64_t>(op.getSize());
  for (auto [i, type, axis] : llvm::enumerate(types, axes)) {
    auto tensor = cast<RankedTensorType>(type);
    if (axis == VmapOp::kNone) {
      moved.push_back(type);
      continue;
    }
    int64_t end = tensor.getRank() + (isInput ? 0 : 1);
    if (axis < 0 || axis >= end)
      return op.emitOpError("expected entry ")
             << i << " of `" << name << "` to be `none` or in [0, " << end
             << "), but got " << axis;
    Shape shape(tensor.getShape());
    if (!isInput) {
      shape.insert(shape.begin() + axis, size);
    } else {
      if (shape[axis] != size)
        return op.emitOpError("expected dimension ")
               << axis << " of input " << i << " to have size " << size
               << ", but got " << type;
      shape.erase(shape.begin() + axis);
    }
    moved.push_back(tensor.clone(shape));
  }
  return success();
}

LogicalResult VmapOp::verifySymbolUses(SymbolTableCollection &symbols) {
  if (static_cast<int64_t>(getSize()) < 0)
    return emitOpError("expected a size of at least 0, but got ")
           << static_cast<int64_t>(getSize());
  auto function = symbols.lookupNearestSymbolFrom<FunctionOpInterface>(
      *this, getCalleeAttr());
  if (!function)
    return emitOpError("expected the symbol of a function, but got ")
           << getCalleeAttr();
  SmallVector<Type> slices, results;
  if (failed(moveAxes(*this, "in_axes", getInputs().getTypes(), getInAxes(),
                      /*isInput=*/true, slices)))
    return failure();
  if (TypeRange(function.getArgumentTypes()) != TypeRange(slices)) {
    (emitOpError("expected slices of types (")
     << function.getArgumentTypes() << "), but got (" << slices << ")")
            .attachNote(function->getLoc())
        << "callee is here";
    return failure();
  }
  if (failed(moveAxes(*this, "out_axes", function.getResultTypes(),
                      getOutAxes(), /*isInput=*/false, results)))
    return failure();
  return checkResults(*this, results);
}

LogicalResult TransposedOp::verify() {
  Block &body = getBody().front();
  auto yield = dyn_cast<YieldOp>(body.getTerminator());
  if (!yield)
    return emitOpError("expected a region that ends with grad.yield");
  if (TypeRange(body.getArgumentTypes()) != TypeRange(getResultTypes()))
    return emitOpError(
               "expected results of the types of the region's arguments, (")
           << body.getArgumentTypes() << "), but got (" << getResultTypes()
           << ")";
  if (TypeRange(yield.getTangents()) != TypeRange(getCotangents()))
    return emitOpError(
               "expected cotangents of the types that the region yields, (")
           << yield.getTangents().getTypes() << "), but got ("
           << getCotangents().getTypes() << ")";
  return success();
}
