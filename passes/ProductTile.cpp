//===- ProductTile.cpp - A tile of a matrix product on a GPU --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/ProductTile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/SmallVectorExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::grad;

static constexpr int64_t kWarp = 32;
static constexpr int64_t kAcross = 16; ///< Threads for a row, and for a column.
static_assert(kAcross * kAcross == TileShape::kNumThreads);

/// Elements that are loaded from shared memory at once.
static int64_t getVectorSize(Type element) {
  constexpr int64_t kVectorBits = 128;
  return kVectorBits / element.getIntOrFloatBitWidth();
}

int64_t TileShape::getNumTiles(int64_t numRows, int64_t numColumns) const {
  return llvm::divideCeil(numRows, rows) *
         llvm::divideCeil(numColumns, columns);
}

TileShape TileShape::choose(Type element, int64_t rows, int64_t columns) {
  constexpr int64_t kMultiprocessors = 132, kSmall = 32, kMedium = 64;
  // Of numbers twice as large, half as many fit the registers.
  int64_t large = element.isF32() ? 128 : kMedium;
  auto cover = [&](int64_t size) {
    return std::clamp<int64_t>(llvm::PowerOf2Ceil(size), kSmall, large);
  };
  TileShape shape = {cover(rows), cover(columns), 0};
  // Rather less work for each than none for some.
  for (int64_t *side : {&shape.rows, &shape.columns})
    if (*side > kMedium && shape.getNumTiles(rows, columns) < kMultiprocessors)
      *side = kMedium;
  bool isLarge = shape.rows * shape.columns > large * kMedium;
  shape.depth = element.isF32() && isLarge ? 8 : 16;
  return shape;
}

//===----------------------------------------------------------------------===//
// Pieces
//===----------------------------------------------------------------------===//

Value ProductTile::index(int64_t value) {
  return arith::ConstantIndexOp::create(builder, loc, value);
}

Value ProductTile::zero() {
  return arith::ConstantOp::create(builder, loc, builder.getZeroAttr(element));
}

Value ProductTile::add(Value a, Value b) {
  return arith::AddIOp::create(builder, loc, a, b);
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
    lanes = kWarp;
    steps = TileShape::kNumThreads / kWarp;
    std::tie(step, lane) = divide(thread, kWarp);
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

  auto space = gpu::AddressSpaceAttr::get(
      builder.getContext(), gpu::GPUDialect::getWorkgroupAddressSpace());
  // Rows that are a little longer are in different banks.
  auto type = MemRefType::get({2, shape.depth, count + getVectorSize(element)},
                              element, MemRefLayoutAttrInterface(), space);
  loader.tile = kernel.addWorkgroupAttribution(type, loc);
  return loader;
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
          return memref::LoadOp::create(builder, loc, loader.factor->elements,
                                        add(place, along));
        });
    scf::YieldOp::create(builder, loc, loaded);
    builder.setInsertionPointToStart(inside.elseBlock());
    scf::YieldOp::create(builder, loc,
                         SmallVector<Value>(loader.at.size(), zero()));
    llvm::append_range(elements, inside.getResults());
  }
  return elements;
}

void ProductTile::storeTile(const Loader &loader, Value buffer,
                            ValueRange elements) {
  auto element = elements.begin();
  for (Value step : loader.along)
    for (Value at : loader.at)
      memref::StoreOp::create(builder, loc, *element++, loader.tile,
                              ValueRange{buffer, step, at});
}

//===----------------------------------------------------------------------===//
// Multiplying
//===----------------------------------------------------------------------===//

/// Some that follow each other, so that they are loaded at once.
SmallVector<Value> ProductTile::getMine(Value group, int64_t count) {
  int64_t each = count / kAcross;
  int64_t together = std::min(each, getVectorSize(element));
  Value first = arith::MulIOp::create(builder, loc, group, index(together));
  SmallVector<Value> mine;
  for (int64_t i = 0; i < each; ++i)
    mine.push_back(
        add(first, index(i / together * together * kAcross + i % together)));
  return mine;
}

/// Adds the products of a step to `sums`, by rows. Without a loop, which LLVM
/// would leave as it is.
SmallVector<Value> ProductTile::writeStep(const Loader &a, const Loader &b,
                                          Value buffer, ValueRange sums) {
  SmallVector<Value> next(sums);
  for (int64_t depth = 0; depth < shape.depth; ++depth) {
    auto load = [&](Value tile, ArrayRef<Value> mine) {
      return llvm::map_to_vector(mine, [&](Value at) -> Value {
        return memref::LoadOp::create(builder, loc, tile,
                                      ValueRange{buffer, index(depth), at});
      });
    };
    SmallVector<Value> left = load(a.tile, rows);
    SmallVector<Value> right = load(b.tile, columns);
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

void ProductTile::write(
    const ProductFactor &a, const ProductFactor &b, Value row, Value column,
    Value begin, Value end,
    function_ref<void(Value row, Value column, Value sum)> store) {
  // A warp is 4 threads high and 8 wide, and a block 4 warps and 2.
  auto [warp, lane] = divide(thread, kWarp);
  auto [warpRow, warpColumn] = divide(warp, 2);
  auto [laneRow, laneColumn] = divide(lane, 8);
  auto combine = [&](Value high, int64_t size, Value low) {
    return add(arith::MulIOp::create(builder, loc, high, index(size)), low);
  };
  rows = getMine(combine(warpRow, 4, laneRow), shape.rows);
  columns = getMine(combine(warpColumn, 8, laneColumn), shape.columns);

  Loader loaderA = createLoader(a, row, shape.rows);
  Loader loaderB = createLoader(b, column, shape.columns);
  storeTile(loaderA, index(0), load(loaderA, begin, end));
  storeTile(loaderB, index(0), load(loaderB, begin, end));
  gpu::BarrierOp::create(builder, loc);

  // One tile is read while the next one is loaded and stored beside it.
  SmallVector<Value> carried(rows.size() * columns.size(), zero());
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
    SmallVector<Value> next = writeStep(loaderA, loaderB, buffer,
                                        steps.getRegionIterArgs().drop_back());
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
