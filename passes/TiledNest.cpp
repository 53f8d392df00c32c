//===- TiledNest.cpp - Tensor products for many threads -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/TiledNest.h"
#include "dialect/Rules.h"
#include "passes/ContractionLayout.h"
#include "passes/OperandPlaces.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Matchers.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::grad;

/// Of a chunk.
static constexpr int64_t kFewestSummands = 128;

/// Elements from the first to behind the last one that may be accessed.
static std::optional<int64_t> getExtent(MemRefType type) {
  SmallVector<int64_t> strides;
  int64_t offset;
  if (!type || !type.hasStaticShape() ||
      failed(type.getStridesAndOffset(strides, offset)))
    return std::nullopt;
  int64_t last = 0;
  for (auto [size, stride] : llvm::zip_equal(type.getShape(), strides)) {
    if (ShapedType::isDynamic(stride) || stride < 0)
      return std::nullopt;
    last += (size - 1) * stride;
  }
  return last + 1;
}

//===----------------------------------------------------------------------===//
// Analysis
//===----------------------------------------------------------------------===//

std::optional<TiledNest> TiledNest::match(linalg::LinalgOp op,
                                          linalg::LinalgOp epilogue) {
  // With fewer rows or columns, threads would have little to do.
  constexpr int64_t kFewest = 4;
  if (!op.hasPureBufferSemantics())
    return std::nullopt;
  std::optional<TensorProduct> product = matchTensorProduct(op);
  if (!product)
    return std::nullopt;
  TiledNest nest(op, epilogue, std::move(*product));
  if (nest.countRows() < kFewest || nest.countColumns() < kFewest ||
      !nest.addOperands() || (epilogue && !nest.addEpilogue()))
    return std::nullopt;
  nest.chooseOrder();
  int64_t mostChunks = nest.countSummands() / kFewestSummands;
  nest.shape =
      TileShape::choose(getElementTypeOrSelf(nest.lhs.buffer), nest.countRows(),
                        nest.countColumns(), std::max<int64_t>(1, mostChunks));
  return nest;
}

static constexpr int64_t kMostPlaces = std::numeric_limits<int32_t>::max();

bool TiledNest::addOperand(Operand &operand, Value value, AffineMap map) const {
  auto type = dyn_cast<MemRefType>(value.getType());
  std::optional<int64_t> extent = getExtent(type);
  if (!extent || *extent > kMostPlaces)
    return false;
  auto [strides, offset] = type.getStridesAndOffset();
  operand.buffer = value;
  for (int64_t loop = 0, e = map.getNumDims(); loop < e; ++loop) {
    SmallVector<int64_t> step(e, 0);
    step[loop] = 1;
    int64_t distance = 0;
    for (auto [place, stride] : llvm::zip_equal(map.compose(step), strides))
      distance += place * stride;
    if (distance < 0)
      return false;
    operand.strides.push_back(distance);
  }
  return true;
}

/// Finds strides; fails where they, or sizes, are too large or unknown.
bool TiledNest::addOperands() {
  Type element = getElementTypeOrSelf(op.getDpsInits()[0]);
  if (!isa<Float32Type, Float64Type>(element) ||
      std::max({countRows(), countColumns(), countSummands()}) > kMostPlaces)
    return false;
  Operand *operands[] = {&lhs, &rhs, &result};
  for (auto [operand, value, map] :
       llvm::zip_equal(operands, op->getOperands(), op.getIndexingMapsArray()))
    if (!addOperand(*operand, value, map))
      return false;
  Type left = getElementTypeOrSelf(lhs.buffer);
  return left == getElementTypeOrSelf(rhs.buffer) &&
         (left == element || (isNarrowFloat(left) && element.isF32()));
}

/// Finds the strides of the epilogue's operands by the loops of the product.
bool TiledNest::addEpilogue() {
  AffineMap product = op.getMatchingIndexingMap(&op.getDpsInitsMutable()[0]);
  AffineMap sums;
  for (OpOperand *input : epilogue.getDpsInputOperands())
    if (input->get() == result.buffer)
      sums = epilogue.getMatchingIndexingMap(input);
  if (!sums)
    return false;
  for (OpOperand &operand : epilogue->getOpOperands()) {
    Operand &other = others.emplace_back();
    if (!isa<BaseMemRefType>(operand.get().getType()) ||
        (epilogue.isDpsInput(&operand) && operand.get() == result.buffer))
      continue;
    Operand own;
    AffineMap map = epilogue.getMatchingIndexingMap(&operand);
    if (!map.isProjectedPermutation(/*allowZeroInResults=*/true) ||
        !addOperand(own, operand.get(), map))
      return false;
    other.buffer = own.buffer;
    other.strides.assign(product.getNumDims(), 0);
    for (auto [loop, ownLoop] :
         llvm::zip_equal(product.getResults(), sums.getResults()))
      other.strides[cast<AffineDimExpr>(loop).getPosition()] =
          own.strides[cast<AffineDimExpr>(ownLoop).getPosition()];
  }
  return true;
}

int64_t TiledNest::countRows() const {
  return extent(product.sizes, product.m);
}
int64_t TiledNest::countColumns() const {
  return extent(product.sizes, product.n);
}
int64_t TiledNest::countSummands() const {
  return extent(product.sizes, product.k);
}

/// How many elements follow each other in `loops`.
double TiledNest::getContiguity(const Operand &operand,
                                ArrayRef<int64_t> loops) const {
  double size = static_cast<double>(product.sizes[loops.back()]);
  int64_t stride = operand.strides[loops.back()];
  return size / static_cast<double>(std::max<int64_t>(stride, 1));
}

/// Lets the last loop of each group be the one in which most is contiguous.
/// Neighbours store neighbouring columns.
void TiledNest::chooseOrder() {
  auto sort = [&](SmallVector<int64_t> &loops, ArrayRef<int64_t> strides) {
    llvm::erase_if(loops,
                   [&](int64_t loop) { return product.sizes[loop] == 1; });
    llvm::stable_sort(
        loops, [&](int64_t a, int64_t b) { return strides[a] > strides[b]; });
  };
  sort(product.batch, result.strides);
  sort(product.m, result.strides);
  sort(product.n, result.strides);
  SmallVector<int64_t> both;
  for (auto [left, right] : llvm::zip_equal(lhs.strides, rhs.strides))
    both.push_back(left + right);
  sort(product.k, both);
  if (result.strides[product.m.back()] < result.strides[product.n.back()]) {
    std::swap(lhs, rhs);
    std::swap(product.m, product.n);
  }
}

int64_t TiledNest::chooseChunks() const {
  // Of small tiles, more are on a multiprocessor at once.
  constexpr int64_t kMultiprocessors = 132, kLarge = 64 * 64;
  int64_t enough =
      kMultiprocessors * (shape.rows * shape.columns > kLarge ? 2 : 4);
  int64_t most = countSummands() / kFewestSummands;
  return std::max<int64_t>(1, std::min(enough / getNumBlocks(1), most));
}

int64_t TiledNest::getNumBlocks(int64_t numChunks) const {
  return numChunks * extent(product.sizes, product.batch) *
         shape.getNumTiles(countRows(), countColumns());
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

namespace {

/// Writes arithmetic on places, for which 32 bits are enough.
class Places {
public:
  Places(OpBuilder &builder, Location loc, ArrayRef<int64_t> sizes)
      : builder(builder), loc(loc), sizes(sizes) {}

  /// The place at iteration `linear` of `loops`, the last one of which is the
  /// fastest.
  Value get(Value linear, ArrayRef<int64_t> loops, ArrayRef<int64_t> strides) {
    Value rest = arith::IndexCastUIOp::create(builder, loc,
                                              builder.getI32Type(), linear);
    Value place = number(0);
    while (!loops.empty()) {
      int64_t stride = strides[loops.back()], size = sizes[loops.back()];
      loops = loops.drop_back();
      // Loops that go on where others end are one with them.
      while (!loops.empty() && strides[loops.back()] == stride * size) {
        size *= sizes[loops.back()];
        loops = loops.drop_back();
      }
      Value counter = rest;
      if (!loops.empty()) {
        counter = arith::RemUIOp::create(builder, loc, rest, number(size));
        rest = arith::DivUIOp::create(builder, loc, rest, number(size));
      }
      place = arith::AddIOp::create(
          builder, loc, place,
          arith::MulIOp::create(builder, loc, counter, number(stride)));
    }
    return place;
  }

private:
  Value number(int64_t value) {
    return arith::ConstantOp::create(builder, loc,
                                     builder.getI32IntegerAttr(value));
  }

  OpBuilder &builder;
  Location loc;
  ArrayRef<int64_t> sizes;
};

} // namespace

/// The elements of `buffer` in their order in memory.
static Value flatten(OpBuilder &builder, Location loc, Value buffer) {
  auto type = cast<MemRefType>(buffer.getType());
  int64_t size = *getExtent(type);
  auto [strides, offset] = type.getStridesAndOffset();
  OpFoldResult begin = builder.getIndexAttr(offset);
  if (ShapedType::isDynamic(offset))
    begin = memref::ExtractStridedMetadataOp::create(builder, loc, buffer)
                .getOffset();
  auto flat =
      MemRefType::get(size, type.getElementType(),
                      StridedLayoutAttr::get(builder.getContext(), offset, {1}),
                      type.getMemorySpace());
  return memref::ReinterpretCastOp::create(
      builder, loc, flat, buffer, begin,
      {OpFoldResult(builder.getIndexAttr(size))},
      {OpFoldResult(builder.getIndexAttr(1))});
}

void TiledNest::write(OpBuilder &builder, const ThreadTeam &team, Value init,
                      int64_t numChunks, Value scratch,
                      ArrayRef<unsigned> scratchLoops) {
  Location loc = op.getLoc();
  auto index = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(builder, loc, value);
  };
  auto add = [&](Value a, Value b) -> Value {
    return arith::AddIOp::create(builder, loc, a, b);
  };
  auto multiply = [&](Value a, int64_t b) -> Value {
    return arith::MulIOp::create(builder, loc, a, index(b));
  };
  Value rest = team.block;
  auto take = [&](int64_t count) {
    Value number = arith::RemUIOp::create(builder, loc, rest, index(count));
    rest = arith::DivUIOp::create(builder, loc, rest, index(count));
    return number;
  };

  // Blocks that run at once share the longer factor.
  int64_t rowTiles = llvm::divideCeil(countRows(), shape.rows);
  int64_t columnTiles = llvm::divideCeil(countColumns(), shape.columns);
  Value tileRow, tileColumn;
  if (rowTiles <= columnTiles)
    tileRow = take(rowTiles);
  tileColumn = take(columnTiles);
  if (!tileRow)
    tileRow = take(rowTiles);
  Value chunk = take(numChunks);
  Value batch = rest;

  Places places(builder, loc, product.sizes);
  auto createFactor = [&](const Operand &operand, ArrayRef<int64_t> outer) {
    Value begin = places.get(batch, product.batch, operand.strides);
    ProductFactor factor;
    factor.elements = flatten(builder, loc, operand.buffer);
    factor.count = index(extent(product.sizes, outer));
    factor.placeOf = [&, outer, begin](Value at) {
      return add(begin, places.get(at, outer, operand.strides));
    };
    factor.placeAlongSum = [&](Value at) {
      return places.get(at, product.k, operand.strides);
    };
    factor.isContiguousAlongSum =
        getContiguity(operand, product.k) >= getContiguity(operand, outer);
    return factor;
  };
  ProductFactor a = createFactor(lhs, product.m);
  ProductFactor b = createFactor(rhs, product.n);

  Operand target = result;
  Value begin = index(0), end = index(countSummands()), offset = index(0);
  if (numChunks > 1) {
    int64_t size = llvm::alignTo(llvm::divideCeil(countSummands(), numChunks),
                                 shape.depth);
    begin = multiply(chunk, size);
    end = arith::MinUIOp::create(builder, loc, add(begin, index(size)), end);
    target.buffer = scratch;
    int64_t stride = 1;
    for (unsigned loop : llvm::reverse(scratchLoops)) {
      target.strides[loop] = stride;
      stride *= product.sizes[loop];
    }
    offset = multiply(chunk, stride);
  }
  Type element = getElementTypeOrSelf(lhs.buffer);
  team.kernel->setAttr(
      NVVM::NVVMDialect::getMinctasmAttrName(),
      builder.getI32IntegerAttr(shape.getNumBlocks(element, bool(epilogue))));
  // Buffers and where the matrix of the batch begins in them.
  struct Elements {
    Value all, first;
  };
  auto getElements = [&](const Operand &operand) -> Elements {
    if (operand.strides.empty())
      return {};
    return {flatten(builder, loc, operand.buffer),
            places.get(batch, product.batch, operand.strides)};
  };
  auto getPlace = [&](const Operand &operand, const Elements &elements,
                      Value row, Value column) -> Value {
    Value at = places.get(row, product.m, operand.strides);
    at = add(at, places.get(column, product.n, operand.strides));
    return arith::IndexCastUIOp::create(builder, loc, builder.getIndexType(),
                                        add(elements.first, at));
  };
  Elements sums = getElements(target);
  SmallVector<Elements> beside = llvm::map_to_vector(others, getElements);
  ProductTile(builder, loc, team.kernel, team.thread, element,
              getElementTypeOrSelf(target.buffer), shape)
      .write(a, b, multiply(tileRow, shape.rows),
             multiply(tileColumn, shape.columns), begin, end,
             [&](Value row, Value column, Value sum) {
               Value at;
               bool isAdded = numChunks == 1 && !init;
               if (isAdded || !epilogue)
                 at = add(offset, getPlace(target, sums, row, column));
               Value before = init;
               if (isAdded)
                 before = memref::LoadOp::create(builder, loc, sums.all, at);
               if (numChunks == 1 && !matchPattern(before, m_AnyZeroFloat()))
                 sum = arith::AddFOp::create(builder, loc, before, sum);
               if (!epilogue) {
                 memref::StoreOp::create(builder, loc, sum, sums.all, at);
                 return;
               }
               auto getOther = [&](OpOperand &operand) {
                 unsigned number = operand.getOperandNumber();
                 return getPlace(others[number], beside[number], row, column);
               };
               SmallVector<Value> results = writeIteration(
                   builder, epilogue, {}, [&](OpOperand &operand) -> Value {
                     if (operand.get() == result.buffer)
                       return sum;
                     Value all = beside[operand.getOperandNumber()].all;
                     return all ? memref::LoadOp::create(builder, loc, all,
                                                         getOther(operand))
                                      .getResult()
                                : operand.get();
                   });
               for (auto [init, value] :
                    llvm::zip_equal(epilogue.getDpsInitsMutable(), results))
                 memref::StoreOp::create(builder, loc, value,
                                         beside[init.getOperandNumber()].all,
                                         getOther(init));
             });
}
