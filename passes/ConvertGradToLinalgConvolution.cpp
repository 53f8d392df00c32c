//===- ConvertGradToLinalgConvolution.cpp - Convolutions as products ------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A convolution becomes loops around a matrix product. In each iteration some
/// windows are copied into the columns of a matrix that fits the cache. There
/// are two such forms:
///
///  * Over images: the columns are windows of one image, the product with the
///    kernel is a part of the result.
///  * Over features: the columns are the places of the kernel's elements in one
///    feature of all images; the products are added up. This suits kernels that
///    are larger than the result, as in the gradient of a kernel.
///
/// Of the spatial dimensions of kernel and result, one kind moves along the
/// columns, in blocks, and the other one is still: the two forms are one with
/// the roles exchanged.
///
/// For a GPU, a convolution is one nest over all images, features and elements
/// of the kernel, which reads what it multiplies where it is (TensorProduct.h).
///
//===----------------------------------------------------------------------===//

#include "passes/ConvertGradToLinalg.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/Support/MathExtras.h"

#include <numeric>

using namespace mlir;
using namespace mlir::grad;

using Sizes = SmallVector<int64_t>;

/// The columns take up to about this many bytes, if a row of them does.
static constexpr int64_t kColumnBytes = 512 * 1024;

/// The positions of group, batch and feature.
enum { kGroup, kBatch, kFeature, kSpatial };

static int64_t product(ArrayRef<int64_t> sizes) {
  return ShapedType::getNumElements(sizes);
}

static Sizes concatenated(ArrayRef<Sizes> lists) {
  Sizes result;
  for (const Sizes &list : lists)
    llvm::append_range(result, list);
  return result;
}

static void copyElement(OpBuilder &builder, Location loc, ValueRange elements) {
  linalg::YieldOp::create(builder, loc, elements[0]);
}

/// `count` numbers from `begin` on.
static Sizes numbers(int64_t begin, int64_t count) {
  return llvm::to_vector(llvm::seq<int64_t>(begin, begin + count));
}

namespace {

/// A part of a tensor: one element, or some that follow each other, in each
/// dimension.
struct Part {
  explicit Part(OpBuilder &builder, ArrayRef<int64_t> shape)
      : offsets(shape.size(), builder.getIndexAttr(0)), sizes(shape),
        isElement(shape.size(), false) {}

  void setElement(int64_t dim, OpFoldResult place) {
    offsets[dim] = place;
    sizes[dim] = 1;
    isElement[dim] = true;
  }
  void setRange(int64_t dim, OpFoldResult offset, int64_t size) {
    offsets[dim] = offset;
    sizes[dim] = size;
  }

  SmallVector<OpFoldResult> offsets;
  Sizes sizes;
  SmallVector<bool> isElement; ///< These dimensions are left out.
};

/// What the op says. `high` follows from the result.
struct Convolution {
  Value x, kernel;
  RankedTensorType result;
  Sizes strides, low, xDilation, kernelDilation;
};

class ConvolutionLowering {
public:
  ConvolutionLowering(const Convolution &op, Location loc, OpBuilder &builder)
      : builder(builder), op(op), loc(loc), element(op.result.getElementType()),
        x(builder, op.x), kernel(builder, op.kernel),
        shape(typeOf(op.x).getShape()),
        window(typeOf(op.kernel).getShape().drop_front(kSpatial)),
        output(op.result.getShape().drop_front(kSpatial)),
        overImages(product(window) <= product(output)) {
    for (int64_t d = 0, e = window.size(); d < e; ++d)
      covered.push_back((output[d] - 1) * op.strides[d] +
                        (window[d] - 1) * op.kernelDilation[d] + 1);
  }

  Value lower(bool forDevice) {
    if (forDevice)
      return addAllAtOnce();
    if (overImages) {
      return repeat(shape[kGroup], emptyLike(builder, loc, op.result),
                    [&](OpFoldResult g, Value result) {
                      return repeat(shape[kBatch], result,
                                    [&](OpFoldResult n, Value result) {
                                      return addIteration(g, n, result);
                                    });
                    });
    }
    // All images of an output feature lie side by side.
    Sizes made(op.result.getShape());
    std::swap(made[1], made[2]);
    Value result = emptyLike(builder, loc, tensor(made));
    result = repeat(shape[kGroup], result, [&](OpFoldResult g, Value result) {
      Value sum = repeat(
          shape[kFeature], zeros(tensor(ArrayRef(made).drop_front())),
          [&](OpFoldResult c, Value sum) { return addIteration(g, c, sum); });
      Part target(builder, made);
      target.setElement(kGroup, g);
      return insert(sum, result, target);
    });
    return swapBatchAndFeature(result);
  }

private:
  //===--------------------------------------------------------------------===//
  // Pieces of IR
  //===--------------------------------------------------------------------===//

  Value zeros(RankedTensorType type) { return filled(builder, loc, type, 0); }

  RankedTensorType tensor(ArrayRef<int64_t> sizes) const {
    return RankedTensorType::get(sizes, element);
  }

  /// The result, from one whose batch and feature have changed places.
  Value swapBatchAndFeature(Value swapped) {
    Sizes order = numbers(0, op.result.getRank());
    std::swap(order[kBatch], order[kFeature]);
    Value empty = emptyLike(builder, loc, op.result);
    return linalg::GenericOp::create(
               builder, loc, TypeRange(op.result), swapped, empty,
               ArrayRef{projection(builder.getContext(), order.size(), order),
                        builder.getMultiDimIdentityMap(order.size())},
               iterators(order.size()), copyElement)
        .getResult(0);
  }

  /// body(i, carried) for each i below `count`, carried on from one to the
  /// next.
  Value repeat(int64_t count, Value init,
               function_ref<Value(OpFoldResult, Value)> body) {
    if (count == 1)
      return body(builder.getIndexAttr(0), init);
    auto index = [&](int64_t value) -> Value {
      return arith::ConstantIndexOp::create(builder, loc, value);
    };
    Value lower = index(0), upper = index(count), step = index(1);
    auto loop =
        scf::ForOp::create(builder, loc, lower, upper, step, ValueRange(init));
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Value next = body(loop.getInductionVar(), loop.getRegionIterArg(0));
    scf::YieldOp::create(builder, loc, next);
    return loop.getResult(0);
  }

  SmallVector<OpFoldResult> ones(size_t count) {
    return SmallVector<OpFoldResult>(count, builder.getIndexAttr(1));
  }

  Value extract(Value source, const Part &part) {
    Sizes kept;
    for (auto [size, isElement] : llvm::zip_equal(part.sizes, part.isElement))
      if (!isElement)
        kept.push_back(size);
    return tensor::ExtractSliceOp::create(
        builder, loc, tensor(kept), source, part.offsets,
        getAsIndexOpFoldResult(builder.getContext(), part.sizes),
        ones(part.sizes.size()));
  }

  Value insert(Value update, Value target, const Part &part) {
    return tensor::InsertSliceOp::create(
        builder, loc, update, target, part.offsets,
        getAsIndexOpFoldResult(builder.getContext(), part.sizes),
        ones(part.sizes.size()));
  }

  //===--------------------------------------------------------------------===//
  // One iteration
  //===--------------------------------------------------------------------===//

  /// The dimension of x that is neither group nor that of the loop.
  int64_t free() const { return overImages ? kFeature : kBatch; }
  ArrayRef<int64_t> still() const { return overImages ? window : output; }
  ArrayRef<int64_t> moving() const { return overImages ? output : window; }

  /// `result` with what element `i` of the batch, or of the features, adds in
  /// group `g`.
  Value addIteration(OpFoldResult g, OpFoldResult i, Value result) {
    Part part(builder, typeOf(x.source).getShape());
    part.setElement(x.position[kGroup], g);
    part.setElement(x.position[overImages ? kBatch : kFeature], i);
    Value image = coveredPart(part, {free()});
    if (moving().empty())
      return addBlock(g, i, image, builder.getIndexAttr(0), {}, result);
    int64_t total = moving().front();
    int64_t rowBytes = shape[free()] * product(still()) *
                       product(moving().drop_front()) *
                       llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
    int64_t most = std::clamp<int64_t>(kColumnBytes / rowBytes, 1, total);
    int64_t rows = llvm::divideCeil(total, llvm::divideCeil(total, most));
    auto block = [&](OpFoldResult offset, int64_t rows, Value result) {
      Sizes sizes(moving());
      sizes.front() = rows;
      return addBlock(g, i, image, offset, sizes, result);
    };
    int64_t whole = total / rows, rest = total % rows;
    result = repeat(whole, result, [&](OpFoldResult index, Value result) {
      if (whole == 1)
        return block(builder.getIndexAttr(0), rows, result);
      Value offset = arith::MulIOp::create(
          builder, loc, cast<Value>(index),
          arith::ConstantIndexOp::create(builder, loc, rows));
      return block(offset, rows, result);
    });
    if (rest)
      result = block(builder.getIndexAttr(total - rest), rest, result);
    return result;
  }

  /// What windows cover of `part` of x: the dimensions `kept` and the spatial
  /// ones, in the order of `order`, with zeros where there is no x.
  Value coveredPart(Part part, ArrayRef<int64_t> kept) {
    // In the order of the source, without the others.
    order = x.of(kept);
    llvm::append_range(order, ArrayRef(x.position).drop_front(kSpatial));
    Sizes sorted(order);
    llvm::sort(sorted);
    for (int64_t &place : order)
      place = llvm::find(sorted, place) - sorted.begin();

    Sizes sizes(order.size());
    for (auto [i, dim] : llvm::enumerate(kept))
      sizes[order[i]] = shape[dim];
    ArrayRef<int64_t> spatial = ArrayRef(order).drop_front(kept.size());
    SmallVector<OpFoldResult> offsets(order.size(), builder.getIndexAttr(0)),
        strides = ones(order.size());
    bool isWhole = true;
    bool isEmpty = false;
    for (int64_t d = 0, e = covered.size(); d < e; ++d) {
      int64_t low = op.low[d], step = op.xDilation[d];
      // Element j is at j * step + low.
      int64_t begin = low < 0 ? llvm::divideCeil(-low, step) : 0;
      int64_t end =
          covered[d] <= low
              ? 0
              : std::min<int64_t>(shape[kSpatial + d],
                                  llvm::divideCeil(covered[d] - low, step));
      isEmpty |= end <= begin;
      int64_t at = begin * step + low;
      isWhole &= step == 1 && at == 0 && end - begin == covered[d];
      part.setRange(x.position[kSpatial + d], builder.getIndexAttr(begin),
                    std::max<int64_t>(end - begin, 0));
      sizes[spatial[d]] = covered[d];
      offsets[spatial[d]] = builder.getIndexAttr(at);
      strides[spatial[d]] = builder.getIndexAttr(step);
    }
    if (isEmpty)
      return zeros(tensor(sizes));
    Value taken = extract(x.source, part);
    if (isWhole)
      return taken;
    return tensor::InsertSliceOp::create(
        builder, loc, taken, zeros(tensor(sizes)), offsets,
        getAsIndexOpFoldResult(builder.getContext(), typeOf(taken).getShape()),
        strides);
  }

  /// A matrix with the elements of `image` that the windows of a block read.
  Value columns(Value image, OpFoldResult offset, ArrayRef<int64_t> block) {
    int64_t spatial = covered.size();
    ArrayRef<int64_t> stillStep = overImages ? op.kernelDilation : op.strides,
                      movingStep = overImages ? op.strides : op.kernelDilation;
    Part part(builder, typeOf(image).getShape());
    if (spatial && block.front() != moving().front()) {
      int64_t count = (block.front() - 1) * movingStep[0] +
                      (still()[0] - 1) * stillStep[0] + 1;
      OpFoldResult begin = offset;
      if (auto value = dyn_cast<Value>(offset))
        begin = arith::MulIOp::create(
                    builder, loc, value,
                    arith::ConstantIndexOp::create(builder, loc, movingStep[0]))
                    .getResult();
      else
        begin = builder.getIndexAttr(
            movingStep[0] *
            cast<IntegerAttr>(cast<Attribute>(offset)).getInt());
      part.setRange(order[1], begin, count);
      image = extract(image, part);
    }
    SmallVector<AffineExpr> places(order.size());
    places[order[0]] = builder.getAffineDimExpr(0);
    for (int64_t d = 0; d < spatial; ++d)
      places[order[1 + d]] =
          builder.getAffineDimExpr(1 + d) * stillStep[d] +
          builder.getAffineDimExpr(1 + spatial + d) * movingStep[d];
    Sizes sizes =
        concatenated({Sizes{shape[free()]}, Sizes(still()), Sizes(block)});
    int64_t rank = sizes.size();
    return linalg::GenericOp::create(
               builder, loc, TypeRange(tensor(sizes)), image,
               emptyLike(builder, loc, tensor(sizes)),
               ArrayRef{AffineMap::get(rank, 0, places, builder.getContext()),
                        builder.getMultiDimIdentityMap(rank)},
               iterators(rank), copyElement)
        .getResult(0);
  }

  /// Writes the product of the kernel and a block of columns into `result`, or
  /// adds it to the sums over features.
  Value addBlock(OpFoldResult g, OpFoldResult i, Value image,
                 OpFoldResult offset, ArrayRef<int64_t> block, Value result) {
    MLIRContext *context = builder.getContext();
    Value matrix = columns(image, offset, block);
    int64_t spatial = covered.size();
    // Loops: output feature, free dimension, still ones, moving ones.
    int64_t rank = 2 + 2 * spatial;
    Sizes freeAndStill = numbers(1, 1 + spatial),
          movingLoops = numbers(2 + spatial, spatial);
    auto multiply = [&](Value factor, AffineMap factorMap, Value sum,
                        ArrayRef<int64_t> kept, ArrayRef<int64_t> reduced) {
      Sizes result{0};
      llvm::append_range(result, kept);
      return linalg::GenericOp::create(
                 builder, loc, TypeRange(sum.getType()),
                 ValueRange{factor, matrix}, ValueRange(sum),
                 ArrayRef{factorMap,
                          projection(context, rank, numbers(1, rank - 1)),
                          projection(context, rank, result)},
                 iterators(rank, reduced), multiplyAdd)
          .getResult(0);
    };
    if (overImages) {
      Part all(builder, typeOf(op.kernel).getShape());
      all.setElement(kGroup, g);
      Sizes sizes{op.result.getDimSize(kFeature)};
      llvm::append_range(sizes, block);
      Value factor = extract(op.kernel, all);
      Value sum =
          multiply(factor, projection(context, rank, numbers(0, 2 + spatial)),
                   zeros(tensor(sizes)), movingLoops, freeAndStill);
      Part target(builder, op.result.getShape());
      target.setElement(kGroup, g);
      target.setElement(kBatch, i);
      if (spatial)
        target.setRange(kSpatial, offset, block.front());
      return insert(sum, result, target);
    }
    Part part(builder, typeOf(kernel.source).getShape());
    part.setElement(kernel.position[kGroup], g);
    part.setElement(kernel.position[kFeature], i);
    if (spatial)
      part.setRange(kernel.position[kSpatial], offset, block.front());
    // What is left of the kernel, in the order of its source.
    SmallVector<std::pair<int64_t, int64_t>> loopAt{{kernel.position[1], 0}};
    for (int64_t d = 0; d < spatial; ++d)
      loopAt.emplace_back(kernel.position[kSpatial + d], 2 + spatial + d);
    llvm::sort(loopAt);
    return multiply(
        extract(kernel.source, part),
        projection(context, rank,
                   llvm::to_vector(llvm::make_second_range(loopAt))),
        result, freeAndStill, movingLoops);
  }

  //===--------------------------------------------------------------------===//
  // All at once
  //===--------------------------------------------------------------------===//

  Value addAllAtOnce() {
    MLIRContext *context = builder.getContext();
    Value covering = coveredPart(Part(builder, typeOf(x.source).getShape()),
                                 {kGroup, kBatch, kFeature});
    // Loops: those of the result, the feature, elements of the kernel.
    int64_t spatial = covered.size(), rank = kSpatial + 2 * spatial + 1;
    int64_t feature = kSpatial + spatial;
    auto loop = [&](int64_t number) {
      return builder.getAffineDimExpr(number);
    };
    SmallVector<AffineExpr> places(order.size());
    places[order[kGroup]] = loop(kGroup);
    places[order[kBatch]] = loop(kBatch);
    places[order[kFeature]] = loop(feature);
    SmallVector<AffineExpr> factorPlaces(kernel.rank());
    factorPlaces[kernel.position[0]] = loop(kGroup);
    factorPlaces[kernel.position[1]] = loop(kFeature);
    factorPlaces[kernel.position[2]] = loop(feature);
    for (int64_t d = 0; d < spatial; ++d) {
      AffineExpr element = loop(feature + 1 + d);
      places[order[kSpatial + d]] =
          loop(kSpatial + d) * op.strides[d] + element * op.kernelDilation[d];
      factorPlaces[kernel.position[kSpatial + d]] = element;
    }
    // As transposes want it, in the gradient of a kernel.
    Sizes resultLoops = numbers(0, kSpatial + spatial),
          made(op.result.getShape());
    if (!overImages) {
      std::swap(resultLoops[kBatch], resultLoops[kFeature]);
      std::swap(made[kBatch], made[kFeature]);
    }
    Value sum = zeros(tensor(made));
    Value result =
        linalg::GenericOp::create(
            builder, loc, TypeRange(sum.getType()),
            ValueRange{kernel.source, covering}, ValueRange(sum),
            ArrayRef{AffineMap::get(rank, 0, factorPlaces, context),
                     AffineMap::get(rank, 0, places, context),
                     projection(context, rank, resultLoops)},
            iterators(rank, numbers(feature, 1 + spatial)), multiplyAdd)
            .getResult(0);
    return overImages ? result : swapBatchAndFeature(result);
  }

  OpBuilder &builder;
  const Convolution &op;
  Location loc;
  Type element;
  MemoryOrder x, kernel;
  ArrayRef<int64_t> shape;          ///< Of x.
  ArrayRef<int64_t> window, output; ///< Spatial sizes of kernel and result.
  bool overImages;                  ///< Else over features.
  Sizes covered; ///< Sizes of what all windows together cover.
  Sizes order;   ///< Where the dimensions of what is covered are.
};

/// grad.convolution => loops around a linalg.generic that copies windows and
/// one that is a matrix product.
///
/// Where the elements of x are e apart, every e-th element of the result meets
/// the same elements of the kernel: these are convolutions without zeros.
struct LowerConvolution : OpRewritePattern<ConvolutionOp> {
  LowerConvolution(MLIRContext *context, bool forDevice)
      : OpRewritePattern(context), forDevice(forDevice) {}

  LogicalResult matchAndRewrite(ConvolutionOp op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    if (hasNoElements(op.getX()) || hasNoElements(op.getKernel())) {
      rewriter.replaceOp(op, filled(rewriter, loc, op.getType(), 0));
      return success();
    }
    Convolution whole{op.getX(),
                      op.getKernel(),
                      cast<RankedTensorType>(op.getType()),
                      Sizes(op.getStrides()),
                      Sizes(op.getLow()),
                      Sizes(op.getXDilation()),
                      Sizes(op.getKernelDilation())};
    // The program grows with the number of parts.
    constexpr int64_t kMostParts = 16;
    int64_t parts = 1;
    for (int64_t step : whole.xDilation)
      parts = std::min(parts * std::min(step, kMostParts + 1), kMostParts + 1);
    if (parts == 1 || parts > kMostParts) {
      rewriter.replaceOp(
          op, ConvolutionLowering(whole, loc, rewriter).lower(forDevice));
      return success();
    }
    Value result = filled(rewriter, loc, whole.result, 0);
    for (int64_t part = 0; part < parts; ++part) {
      Sizes remainders;
      int64_t rest = part;
      for (int64_t step : whole.xDilation) {
        remainders.push_back(rest % step);
        rest /= step;
      }
      result = insertPart(rewriter, loc, whole, remainders, result);
    }
    rewriter.replaceOp(op, result);
    return success();
  }

private:
  /// Computes the elements of the result whose positions have these
  /// `remainders` when divided by the dilation of x.
  ///
  /// At position e * q + r, with stride s, kernel element k and its dilation d,
  /// x is read at (e * q + r) * s + k * d - low, which must be a multiple of e.
  /// With g the greatest common divisor of d and e, these are the k0 + j * e/g
  /// for the smallest such k, if there is any, and the element of x is
  /// q * s + j * d/g + (r * s + k0 * d - low) / e.
  Value insertPart(OpBuilder &builder, Location loc, const Convolution &whole,
                   ArrayRef<int64_t> remainders, Value result) const {
    Convolution part = whole;
    Sizes shape(whole.result.getShape());
    Sizes taken(typeOf(whole.kernel).getShape());
    SmallVector<OpFoldResult> offsets(shape.size(), builder.getIndexAttr(0)),
        steps(shape.size(), builder.getIndexAttr(1));
    SmallVector<AffineExpr> places;
    for (size_t dim = 0; dim < taken.size(); ++dim)
      places.push_back(builder.getAffineDimExpr(dim));
    for (int64_t d = 0, count = remainders.size(); d < count; ++d) {
      int64_t dim = kSpatial + d, r = remainders[d];
      int64_t step = whole.xDilation[d], inner = whole.kernelDilation[d];
      int64_t begin = r * whole.strides[d] - whole.low[d];
      int64_t period = step / std::gcd(step, inner);
      int64_t first = 0;
      while (first < period && (begin + first * inner) % step != 0)
        ++first;
      if (first == period || first >= taken[dim] || r >= shape[dim])
        return result;
      taken[dim] = llvm::divideCeil(taken[dim] - first, period);
      shape[dim] = llvm::divideCeil(shape[dim] - r, step);
      places[dim] = places[dim] * period + first;
      offsets[dim] = builder.getIndexAttr(r);
      steps[dim] = builder.getIndexAttr(step);
      part.low[d] = -(begin + first * inner) / step;
      part.xDilation[d] = 1;
      part.kernelDilation[d] = inner * period / step;
    }
    MLIRContext *context = builder.getContext();
    // Not a slice, whose elements are too far apart for a BLAS.
    auto kernelType =
        RankedTensorType::get(taken, whole.result.getElementType());
    Value empty = emptyLike(builder, loc, kernelType);
    part.kernel =
        linalg::GenericOp::create(
            builder, loc, TypeRange(kernelType), whole.kernel, empty,
            ArrayRef{AffineMap::get(places.size(), 0, places, context),
                     builder.getMultiDimIdentityMap(places.size())},
            iterators(places.size()), copyElement)
            .getResult(0);
    part.result = RankedTensorType::get(shape, whole.result.getElementType());
    return tensor::InsertSliceOp::create(
        builder, loc, ConvolutionLowering(part, loc, builder).lower(forDevice),
        result, offsets, getAsIndexOpFoldResult(context, shape), steps);
  }

  bool forDevice;
};

} // namespace

void mlir::grad::populateConvolutionToLinalg(RewritePatternSet &patterns,
                                             bool forDevice) {
  patterns.add<LowerConvolution>(patterns.getContext(), forDevice);
}
