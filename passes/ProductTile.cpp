//===- ProductTile.cpp - A tile of a matrix product on a GPU --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/ProductTile.h"
#include "dialect/Rules.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/SmallVectorExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::grad;

static constexpr int64_t kWarp = 32;
static constexpr int64_t kNumWarps = TileShape::kNumThreads / kWarp;

/// Elements that are loaded from shared memory at once.
static int64_t getVectorSize(Type element) {
  constexpr int64_t kVectorBits = 128;
  return kVectorBits / element.getIntOrFloatBitWidth();
}

int64_t TileShape::getNumTiles(int64_t numRows, int64_t numColumns) const {
  return llvm::divideCeil(numRows, rows) *
         llvm::divideCeil(numColumns, columns);
}

int64_t TileShape::getNumBlocks(Type element, bool hasEpilogue) const {
  constexpr int64_t kRegisters = 1 << 16, kBesideSums = 48, kLeast = 2;
  if (!isNarrowFloat(element))
    return kLeast;
  int64_t sums = rows * columns / kNumThreads;
  int64_t most = kRegisters / (kNumThreads * (sums + kBesideSums));
  return std::max(hasEpilogue ? most - 1 : most, kLeast);
}

TileShape TileShape::choose(Type element, int64_t rows, int64_t columns,
                            int64_t chunks) {
  constexpr int64_t kMultiprocessors = 132, kSmallest = 16, kSmall = 32,
                    kMedium = 64, kLarge = 128;
  auto cover = [](int64_t size, int64_t least, int64_t most) {
    return std::clamp<int64_t>(llvm::PowerOf2Ceil(size), least, most);
  };
  // One side may be short if the other one is not.
  auto least = [&](int64_t other) {
    return other > kMedium ? kSmallest : kSmall;
  };
  TileShape shape = {cover(rows, least(columns), kLarge),
                     cover(columns, least(rows), kLarge), 0};
  // Of numbers twice as large, half as many fit the registers.
  if (element.isF64() && shape.rows == kLarge && shape.columns == kLarge)
    shape.columns = kMedium;
  // Rather less work for each than none for some.
  for (int64_t *side : {&shape.rows, &shape.columns})
    if (*side == kLarge &&
        shape.getNumTiles(rows, columns) * chunks < kMultiprocessors)
      *side = kMedium;
  if (element.isF32() && shape.rows <= kSmall && shape.columns == kLarge)
    shape.columns = cover(columns, kLarge, 2 * kLarge);
  if (element.isF32() && shape.columns <= kSmall && shape.rows == kLarge)
    shape.rows = cover(rows, kLarge, 2 * kLarge);
  // Both tiles have to fit shared memory, twice.
  int64_t fitting = element.isF32() ? kMedium : kSmallest;
  bool isLong = std::max(shape.rows, shape.columns) >= kLarge;
  bool fits = !isLong || std::min(shape.rows, shape.columns) <= fitting ||
              isNarrowFloat(element);
  shape.depth = fits ? 16 : 8;
  return shape;
}

//===----------------------------------------------------------------------===//
// Pieces
//===----------------------------------------------------------------------===//

Value ProductTile::index(int64_t value) {
  return arith::ConstantIndexOp::create(builder, loc, value);
}

Value ProductTile::zero(Type type) {
  return arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type));
}

Value ProductTile::add(Value a, Value b) {
  return arith::AddIOp::create(builder, loc, a, b);
}

Value ProductTile::multiply(Value value, int64_t factor) {
  return arith::MulIOp::create(builder, loc, value, index(factor));
}

Value ProductTile::isLess(Value a, Value b) {
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, a, b);
}

std::pair<Value, Value> ProductTile::divide(Value value, int64_t divisor) {
  return {arith::DivUIOp::create(builder, loc, value, index(divisor)),
          arith::RemUIOp::create(builder, loc, value, index(divisor))};
}

//===----------------------------------------------------------------------===//
// Loading
//===----------------------------------------------------------------------===//

/// Neighbours load neighbouring elements, each those of a few rows, or columns,
/// at a few positions along the sum.
ProductTile::Loader ProductTile::createLoader(const ProductFactor &factor,
                                              Value first, int64_t count) {
  Loader loader;
  loader.factor = &factor;
  int64_t lanes = TileShape::kNumThreads / shape.depth, steps = shape.depth;
  auto [lane, step] = divide(thread, shape.depth);
  if (!factor.isContiguousAlongSum) {
    lanes = std::min(kWarp, count);
    steps = TileShape::kNumThreads / lanes;
    std::tie(step, lane) = divide(thread, lanes);
  }
  Value last = arith::SubIOp::create(builder, loc, factor.count, index(1));
  for (int64_t at = 0; at < count; at += lanes) {
    loader.at.push_back(add(lane, index(at)));
    // What is not in the matrix is not in the result.
    Value inside = arith::MinUIOp::create(builder, loc,
                                          add(first, loader.at.back()), last);
    loader.places.push_back(factor.placeOf(inside));
  }
  for (int64_t at = 0; at < shape.depth; at += steps)
    loader.along.push_back(add(step, index(at)));

  loader.isBySum =
      isNarrow() || (usesTensorCores() && factor.isContiguousAlongSum);
  allocateTile(loader, count);
  return loader;
}

void ProductTile::allocateTile(Loader &loader, int64_t count) {
  auto space = gpu::AddressSpaceAttr::get(
      builder.getContext(), gpu::GPUDialect::getWorkgroupAddressSpace());
  auto getType = [&](ArrayRef<int64_t> sizes, Type type) {
    return MemRefType::get(sizes, type, MemRefLayoutAttrInterface(), space);
  };
  // Rows that are a little longer are in different banks.
  int64_t more = isNarrow() ? 8 : 4;
  SmallVector<int64_t> sizes = {2, shape.depth, count + more};
  if (loader.isBySum)
    sizes = {2, count, shape.depth + more};
  if (!isNarrow()) {
    loader.tile = kernel.addWorkgroupAttribution(getType(sizes, element), loc);
    return;
  }
  int64_t bytes = ShapedType::getNumElements(sizes) * 2;
  Value memory =
      kernel.addWorkgroupAttribution(getType(bytes, builder.getI8Type()), loc);
  kernel.setWorkgroupAttributionAttr(kernel.getNumWorkgroupAttributions() - 1,
                                     LLVM::LLVMDialect::getAlignAttrName(),
                                     builder.getI64IntegerAttr(16));
  auto view = [&](Type type) {
    return memref::ViewOp::create(builder, loc, getType(sizes, type), memory,
                                  index(0), ValueRange());
  };
  loader.tile = view(element);
  sizes.back() /= 2;
  loader.pairs = view(builder.getI32Type());
}

/// The elements of a step; those from `end` on are zero.
SmallVector<Value> ProductTile::load(const Loader &loader, Value begin,
                                     Value end) {
  SmallVector<Value> elements;
  SmallVector<Type> types(loader.at.size(), element);
  for (Value step : loader.along) {
    Value at = add(begin, step);
    auto inside = scf::IfOp::create(builder, loc, types, isLess(at, end),
                                    /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(inside.thenBlock());
    Value along = loader.factor->placeAlongSum(at);
    SmallVector<Value> loaded =
        llvm::map_to_vector(loader.places, [&](Value place) -> Value {
          Value at = add(place, along);
          if (!at.getType().isIndex())
            at = arith::IndexCastUIOp::create(builder, loc,
                                              builder.getIndexType(), at);
          return memref::LoadOp::create(builder, loc, loader.factor->elements,
                                        at);
        });
    scf::YieldOp::create(builder, loc, loaded);
    builder.setInsertionPointToStart(inside.elseBlock());
    scf::YieldOp::create(builder, loc,
                         SmallVector<Value>(loader.at.size(), zero(element)));
    llvm::append_range(elements, inside.getResults());
  }
  return elements;
}

/// Where an element is in a tile.
SmallVector<Value> ProductTile::getPlace(const Loader &loader, Value buffer,
                                         Value at, Value along) {
  if (loader.isBySum)
    std::swap(at, along);
  return {buffer, along, at};
}

void ProductTile::storeTile(const Loader &loader, Value buffer,
                            ValueRange elements) {
  auto element = elements.begin();
  for (Value along : loader.along)
    for (Value at : loader.at)
      memref::StoreOp::create(builder, loc, *element++, loader.tile,
                              getPlace(loader, buffer, at, along));
}

//===----------------------------------------------------------------------===//
// Multiplying
//===----------------------------------------------------------------------===//

/// A fragment of 8 x 8 sums is that of one warp. Its threads are 8 groups of 4:
/// each group has a row, and each of its threads two columns of that. What they
/// bring are the elements of the row, and of the column with the number of the
/// group, at 4 positions along the sum.
///
/// Of narrow floats, each group has a second row, 8 rows below, and threads
/// bring pairs at 4 positions, and at the 4 that follow.
static constexpr int64_t kFragment = 8, kFragmentDepth = 4;
static constexpr int64_t kNarrowRows = 16, kNarrowDepth = 16;

SmallVector<Value> ProductTile::getSquare(Value number, int64_t count,
                                          int64_t each) {
  // Some that follow each other, so that they are loaded at once.
  int64_t together = std::min(each, getVectorSize(element));
  Value first = multiply(number, together);
  SmallVector<Value> mine;
  for (int64_t i = 0; i < each; ++i)
    mine.push_back(add(
        first, index(i / together * count / each * together + i % together)));
  return mine;
}

void ProductTile::chooseMine() {
  auto [warp, lane] = divide(thread, kWarp);
  if (!usesTensorCores()) {
    // A warp is 4 threads high and 8 wide. Warps are arranged so that threads
    // have as many rows as columns, or nearly so.
    constexpr int64_t kHigh = 4, kWide = 8;
    int64_t down = 1;
    while (down < kNumWarps && shape.rows / (kHigh * down) >
                                   shape.columns * down / (kWide * kNumWarps))
      down *= 2;
    int64_t across = kNumWarps / down;
    auto [warpRow, warpColumn] = divide(warp, across);
    auto [laneRow, laneColumn] = divide(lane, kWide);
    rows = getSquare(add(multiply(warpRow, kHigh), laneRow), shape.rows,
                     shape.rows / (kHigh * down));
    columns = getSquare(add(multiply(warpColumn, kWide), laneColumn),
                        shape.columns, shape.columns / (kWide * across));
    return;
  }
  int64_t across = shape.rows < shape.columns ? 4 : 2;
  if (isNarrow())
    across = std::max(across, kNumWarps * kNarrowRows / shape.rows);
  int64_t warpRows = shape.rows / (kNumWarps / across);
  int64_t warpColumns = shape.columns / across;
  auto [warpRow, warpColumn] = divide(warp, across);
  auto [group, member] = divide(lane, kFragmentDepth);
  Value row = add(multiply(warpRow, warpRows), group);
  Value column = multiply(warpColumn, warpColumns);
  for (int64_t i = 0; i < warpRows; i += kFragment)
    rows.push_back(add(row, index(i)));
  for (int64_t j = 0; j < warpColumns; j += kFragment) {
    Value first = add(column, index(j));
    broughtColumns.push_back(add(first, group));
    for (int64_t k = 0; k < 2; ++k)
      columns.push_back(add(add(first, multiply(member, 2)), index(k)));
  }
  broughtAlong = member;
}

SmallVector<Value> ProductTile::read(const Loader &loader, Value buffer,
                                     ValueRange at, Value along) {
  return llvm::map_to_vector(at, [&](Value each) -> Value {
    Value tile = loader.pairs ? loader.pairs : loader.tile;
    Value read = memref::LoadOp::create(builder, loc, tile,
                                        getPlace(loader, buffer, each, along));
    // Pairs of bfloat16 are words.
    if (element.isF16())
      read = LLVM::BitcastOp::create(builder, loc, VectorType::get(2, element),
                                     read);
    return read;
  });
}

// Without loops, which LLVM would leave as they are.

SmallVector<Value> ProductTile::addSquares(const Loader &a, const Loader &b,
                                           Value buffer, ValueRange sums) {
  SmallVector<Value> next(sums);
  for (int64_t depth = 0; depth < shape.depth; ++depth) {
    SmallVector<Value> left = read(a, buffer, rows, index(depth));
    SmallVector<Value> right = read(b, buffer, columns, index(depth));
    auto sum = next.begin();
    for (Value x : left)
      for (Value y : right) {
        auto contract = arith::FastMathFlags::contract;
        Value summand = arith::MulFOp::create(builder, loc, x, y, contract);
        *sum = arith::AddFOp::create(builder, loc, *sum, summand, contract);
        ++sum;
      }
  }
  return next;
}

SmallVector<Value> ProductTile::addFragments(const Loader &a, const Loader &b,
                                             Value buffer, ValueRange sums) {
  SmallVector<Value> next(sums);
  Type pair = LLVM::LLVMStructType::getLiteral(builder.getContext(),
                                               {element, element});
  for (int64_t depth = 0; depth < shape.depth; depth += kFragmentDepth) {
    Value along = add(broughtAlong, index(depth));
    SmallVector<Value> left = read(a, buffer, rows, along);
    SmallVector<Value> right = read(b, buffer, broughtColumns, along);
    auto *sum = next.begin();
    for (Value x : left)
      for (Value y : right) {
        auto product = NVVM::MmaOp::create(
            builder, loc, pair, x, y, ValueRange{sum[0], sum[1]},
            {kFragment, kFragment, kFragmentDepth}, std::nullopt, std::nullopt,
            std::array{NVVM::MMATypes::f64, NVVM::MMATypes::f64},
            std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
        for (int64_t i : {0, 1})
          *sum++ = LLVM::ExtractValueOp::create(builder, loc, product, i);
      }
  }
  return next;
}

SmallVector<Value> ProductTile::addNarrowFragments(const Loader &a,
                                                   const Loader &b,
                                                   Value buffer,
                                                   ValueRange sums) {
  SmallVector<Value> next(sums);
  Type four = LLVM::LLVMStructType::getLiteral(builder.getContext(),
                                               SmallVector<Type>(4, sum));
  auto type = element.isF16() ? NVVM::MMATypes::f16 : NVVM::MMATypes::bf16;
  size_t width = columns.size();
  for (int64_t depth = 0; depth < shape.depth; depth += kNarrowDepth) {
    SmallVector<Value> left[2], right[2];
    for (int64_t half : {0, 1}) {
      Value along =
          add(broughtAlong, index((depth + half * kNarrowDepth / 2) / 2));
      left[half] = read(a, buffer, rows, along);
      right[half] = read(b, buffer, broughtColumns, along);
    }
    for (size_t i = 0; i < rows.size(); i += 2)
      for (size_t j = 0; j < width; j += 2) {
        Value *upper = &next[i * width + j], *lower = upper + width;
        auto product = NVVM::MmaOp::create(
            builder, loc, four,
            ValueRange{left[0][i], left[0][i + 1], left[1][i], left[1][i + 1]},
            ValueRange{right[0][j / 2], right[1][j / 2]},
            ValueRange{upper[0], upper[1], lower[0], lower[1]},
            {kNarrowRows, kFragment, kNarrowDepth}, std::nullopt, std::nullopt,
            std::array{type, type},
            std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
        int64_t part = 0;
        for (Value *place : {upper, upper + 1, lower, lower + 1})
          *place = LLVM::ExtractValueOp::create(builder, loc, product, part++);
      }
  }
  return next;
}

void ProductTile::write(
    const ProductFactor &a, const ProductFactor &b, Value row, Value column,
    Value begin, Value end,
    function_ref<void(Value row, Value column, Value sum)> store) {
  chooseMine();
  Loader loaderA = createLoader(a, row, shape.rows);
  Loader loaderB = createLoader(b, column, shape.columns);
  storeTile(loaderA, index(0), load(loaderA, begin, end));
  storeTile(loaderB, index(0), load(loaderB, begin, end));
  gpu::BarrierOp::create(builder, loc);

  // One tile is read while the next one is loaded and stored beside it.
  SmallVector<Value> carried(rows.size() * columns.size(), zero(sum));
  carried.push_back(index(0));
  auto steps =
      scf::ForOp::create(builder, loc, begin, end, index(shape.depth), carried);
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(steps.getBody());
    Value buffer = steps.getRegionIterArgs().back();
    Value nextStep = add(steps.getInductionVar(), index(shape.depth));
    SmallVector<Value> nextA = load(loaderA, nextStep, end);
    SmallVector<Value> nextB = load(loaderB, nextStep, end);
    ValueRange sums = steps.getRegionIterArgs().drop_back();
    auto addStep = isNarrow()          ? &ProductTile::addNarrowFragments
                   : usesTensorCores() ? &ProductTile::addFragments
                                       : &ProductTile::addSquares;
    SmallVector<Value> next = (this->*addStep)(loaderA, loaderB, buffer, sums);
    Value other = arith::SubIOp::create(builder, loc, index(1), buffer);
    storeTile(loaderA, other, nextA);
    storeTile(loaderB, other, nextB);
    gpu::BarrierOp::create(builder, loc);
    next.push_back(other);
    scf::YieldOp::create(builder, loc, next);
  }

  ValueRange sums = steps.getResults();
  for (auto [i, mine] : llvm::enumerate(rows)) {
    Value atRow = add(row, mine);
    Value isRow = isLess(atRow, a.count);
    for (auto [j, other] : llvm::enumerate(columns)) {
      Value atColumn = add(column, other);
      Value isInside =
          arith::AndIOp::create(builder, loc, isRow, isLess(atColumn, b.count));
      auto inside = scf::IfOp::create(builder, loc, isInside);
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(inside.thenBlock());
      store(atRow, atColumn, sums[i * columns.size() + j]);
    }
  }
}
