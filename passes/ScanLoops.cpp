//===- ScanLoops.cpp - Loops that add each element to the next ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/ScanLoops.h"
#include "passes/BufferSize.h"
#include "passes/Lanes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Complex/IR/Complex.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::grad;

//===----------------------------------------------------------------------===//
// Matching
//===----------------------------------------------------------------------===//

namespace {
/// A multiple of the counter of a loop and a constant.
struct Place {
  int loop = -1; ///< -1: none.
  int64_t factor = 0, constant = 0;
};
} // namespace

static std::optional<Place> findLinearPlace(Value index,
                                            ArrayRef<scf::ForOp> loops) {
  if (std::optional<int64_t> constant = getConstantIntValue(index))
    return Place{-1, 0, *constant};
  for (auto [i, loop] : llvm::enumerate(loops))
    if (scf::ForOp(loop).getInductionVar() == index)
      return Place{static_cast<int>(i), 1, 0};
  Operation *def = index.getDefiningOp();
  if (!isa_and_nonnull<arith::AddIOp, arith::SubIOp>(def))
    return std::nullopt;
  auto a = findLinearPlace(def->getOperand(0), loops);
  auto b = findLinearPlace(def->getOperand(1), loops);
  if (!a || !b || (a->loop >= 0 && b->loop >= 0))
    return std::nullopt;
  int64_t sign = isa<arith::SubIOp>(def) ? -1 : 1;
  return Place{std::max(a->loop, b->loop), a->factor + sign * b->factor,
               a->constant + sign * b->constant};
}

/// Whether the values that `combiner` combines may be grouped in other ways.
static bool mayBeRegrouped(Operation *combiner) {
  if (!isCombiner(combiner))
    return false;
  if (!isa<arith::AddFOp, arith::MulFOp, complex::AddOp>(combiner))
    return true;
  auto flags =
      cast<arith::ArithFastMathInterface>(combiner).getFastMathFlagsAttr();
  return arith::bitEnumContainsAll(flags.getValue(),
                                   arith::FastMathFlags::reassoc);
}

LogicalResult ScanLoops::findLine(memref::LoadOp before) {
  llvm::SmallBitVector isIndexed(nest.loops.size());
  bool isFound = false;
  for (auto [here, there] :
       llvm::zip_equal(nest.store.getIndices(), before.getIndices())) {
    auto a = findLinearPlace(here, nest.loops);
    auto b = findLinearPlace(there, nest.loops);
    if (!a || !b || a->loop != b->loop || a->factor != b->factor)
      return failure();
    bool isLine = a->constant != b->constant;
    if (a->loop < 0) {
      if (isLine)
        return failure();
      continue;
    }
    // Each iteration has an element of its own.
    if (std::abs(a->factor) != 1 || isIndexed.test(a->loop))
      return failure();
    isIndexed.set(a->loop);
    if (!isLine)
      continue;
    if (isFound || a->constant - b->constant != a->factor)
      return failure();
    isFound = true;
    line = a->loop;
  }
  return success(isFound && isIndexed.all());
}

bool ScanLoops::isKnownBefore() const {
  scf::ForOp loop = nest.loops[line];
  int64_t counter = getConstantIntValue(loop.getLowerBound()).value_or(0) - 1;
  auto isInside = [&](memref::LoadOp load) {
    return load.getMemRefType().hasStaticShape() &&
           llvm::all_of(llvm::zip_equal(load.getIndices(),
                                        load.getMemRefType().getShape()),
                        [&](auto dim) {
                          auto [index, size] = dim;
                          auto place = findLinearPlace(index, nest.loops);
                          if (!place)
                            return false;
                          int64_t at =
                              place->factor * counter + place->constant;
                          return place->loop != static_cast<int>(line) ||
                                 (at >= 0 && at < size);
                        });
  };
  memref::LoadOp before = this->before;
  return llvm::all_of(nest.loops, [&](scf::ForOp nested) {
    return llvm::all_of(*nested.getBody(), [&](Operation &op) {
      auto load = dyn_cast<memref::LoadOp>(op);
      return load == before || (load && isInside(load)) || isPure(&op) ||
             isa<memref::StoreOp, scf::ForOp, scf::YieldOp>(op);
    });
  });
}

std::optional<ScanLoops> ScanLoops::match(Operation *op) {
  auto nest = StoringLoops::match(op);
  if (!nest || llvm::is_contained(nest->sizes, 0))
    return std::nullopt;
  ScanLoops result;
  result.nest = *nest;
  memref::StoreOp store = nest->store;
  result.combiner = store.getValueToStore().getDefiningOp();
  if (!result.combiner || result.combiner->getBlock() != store->getBlock() ||
      !mayBeRegrouped(result.combiner) ||
      !getElementBytes(store.getMemRefType().getElementType()))
    return std::nullopt;
  for (unsigned i : {0u, 1u})
    if (auto load =
            result.combiner->getOperand(i).getDefiningOp<memref::LoadOp>();
        load && load.getMemRef() == store.getMemRef() && load->hasOneUse() &&
        load->getBlock() == store->getBlock() &&
        succeeded(result.findLine(load))) {
      result.before = load;
      result.value = result.combiner->getOperand(1 - i);
      break;
    }
  if (!result.before)
    return std::nullopt;
  // Of the same buffer, a thread reads no elements but those that it writes.
  auto visit = [&](memref::LoadOp load) {
    bool isFine = load == result.before ||
                  areDistinct(load.getMemRef(), store.getMemRef()) ||
                  (load.getMemRef() == store.getMemRef() &&
                   load->getBlock() == store->getBlock() &&
                   llvm::equal(load.getIndices(), store.getIndices()));
    return isFine ? WalkResult::advance() : WalkResult::interrupt();
  };
  if (op->walk(visit).wasInterrupted())
    return std::nullopt;
  result.chooseShape();
  return result;
}

//===----------------------------------------------------------------------===//
// Sharing
//===----------------------------------------------------------------------===//

void ScanLoops::chooseShape() {
  auto [strides, offset] = nest.store.getMemRefType().getStridesAndOffset();
  SmallVector<int64_t> strideOf(nest.loops.size(), 0);
  for (auto [index, stride] : llvm::zip_equal(nest.store.getIndices(), strides))
    if (auto place = findLinearPlace(index, nest.loops); place->loop >= 0)
      strideOf[place->loop] = std::abs(stride);
  for (unsigned loop = 0; loop < nest.loops.size(); ++loop)
    if (loop != line) {
      others.push_back(loop);
      numLines *= nest.sizes[loop];
    }
  llvm::stable_sort(others, [&](unsigned a, unsigned b) {
    return strideOf[a] > strideOf[b];
  });
  numPositions = nest.sizes[line] + 1;
  isContiguous = strideOf[line] == 1;

  constexpr int64_t kVectorBytes = 16, kMostElements = 4, kMostParts = 4;
  constexpr int64_t kMostChunks = 1024;
  if (isContiguous) {
    constexpr int64_t kForAWarp = 512, kManyTiles = 4;
    numElements = std::clamp<int64_t>(
        kVectorBytes / getElementBytes(getType()).value_or(kVectorBytes), 1,
        kMostElements);
    numLanes = numPositions > kForAWarp ? kNumThreads : kWarp;
    numParts = std::clamp<int64_t>(
        llvm::divideCeil(numPositions, numLanes * numElements), 1, kMostParts);
    int64_t tile = numLanes * numElements * numParts;
    int64_t tiles = llvm::divideCeil(numPositions, tile);
    bool isDivided =
        numLanes != kWarp && tiles >= kManyTiles && numLines <= kMostChunks / 2;
    chunkSize =
        tile *
        (isDivided ? llvm::divideCeil(tiles * numLines, kMostChunks) : tiles);
  } else {
    constexpr int64_t kEnoughThreads = 128 * 1024, kFewPositions = 64;
    int64_t chunks = std::min(
        {kMostChunks, kEnoughThreads / numLines, numPositions / kFewPositions});
    chunkSize = llvm::divideCeil(numPositions, std::max<int64_t>(chunks, 1));
  }
  numChunks = llvm::divideCeil(numPositions, chunkSize);
}

int64_t ScanLoops::getNumBlocks() const {
  return llvm::divideCeil(numLines * numChunks, kNumThreads / numLanes);
}

MemRefType ScanLoops::getScratchType() const {
  return MemRefType::get({numChunks, numLines}, getType());
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

struct ScanLoops::Writer {
  Writer(const ScanLoops &scan, RewriterBase &rewriter, const ThreadTeam &team,
         Value scratch)
      : scan(scan), rewriter(rewriter), team(team), scratch(scratch),
        loc(memref::StoreOp(scan.nest.store).getLoc()) {}

  void writeAll(bool onlyTotals);

private:
  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(rewriter, loc, value);
  }
  Value add(Value a, Value b) {
    return arith::AddIOp::create(rewriter, loc, a, b);
  }
  Value add(Value a, int64_t b) { return b == 0 ? a : add(a, index(b)); }
  Value multiply(Value a, int64_t b) {
    return arith::MulIOp::create(rewriter, loc, a, index(b));
  }
  Value divide(Value a, int64_t b) {
    return b == 1 ? a : arith::DivUIOp::create(rewriter, loc, a, index(b));
  }
  Value remainder(Value a, int64_t b) {
    return b == 1 ? index(0)
                  : arith::RemUIOp::create(rewriter, loc, a, index(b));
  }
  Value compare(arith::CmpIPredicate predicate, Value a, Value b) {
    return arith::CmpIOp::create(rewriter, loc, predicate, a, b);
  }
  Value isLess(Value a, Value b) {
    return compare(arith::CmpIPredicate::ult, a, b);
  }
  Value isZero(Value a) {
    return compare(arith::CmpIPredicate::eq, a, index(0));
  }
  Value select(Value condition, Value a, Value b) {
    return arith::SelectOp::create(rewriter, loc, condition, a, b);
  }
  Value join(Value a, Value b) {
    return combine(rewriter, scan.combiner, a, b);
  }
  Value neutral() {
    return createNeutral(rewriter, loc, scan.combiner, scan.getType());
  }
  /// The results of `write`, in which the insertion point is, or of
  /// `otherwise`.
  SmallVector<Value>
  either(Value condition, TypeRange types,
         llvm::function_ref<SmallVector<Value>()> write,
         llvm::function_ref<SmallVector<Value>()> otherwise = {});

  // One position.
  void setPosition(Value position);
  void cloneBody();
  Value getValue(Value position);
  Value getFirst();
  void store(Value position, Value value);

  // Lines whose elements are beside each other.
  Value combineGroup(Value value);
  SmallVector<Value> loadTile(Value first);
  Value writeTotalOfTiles();
  void writeTiles(Value carried);
  Value scanTile(Value tile, Value carried);
  Value getFirstOfPart(Value tile, int64_t part);
  Value findPrefixOfGroup();

  // Lines that are beside each other.
  Value writeColumn(Value carried, bool onlyTotal);
  Value findPrefixOfColumn();

  const ScanLoops &scan;
  RewriterBase &rewriter;
  const ThreadTeam &team;
  Value scratch;
  Location loc;
  IRMapping map;
  Value lane, warp, lineNumber, chunk;
  Value begin, end; ///< Of the positions of the chunk.
  Value shared;     ///< For what the warps have.
};

SmallVector<Value>
ScanLoops::Writer::either(Value condition, TypeRange types,
                          llvm::function_ref<SmallVector<Value>()> write,
                          llvm::function_ref<SmallVector<Value>()> otherwise) {
  auto branch =
      scf::IfOp::create(rewriter, loc, types, condition, bool(otherwise));
  OpBuilder::InsertionGuard guard(rewriter);
  auto fill = [&](Block *block,
                  llvm::function_ref<SmallVector<Value>()> write) {
    rewriter.setInsertionPointToStart(block);
    SmallVector<Value> values = write();
    if (!types.empty())
      scf::YieldOp::create(rewriter, loc, values);
  };
  fill(branch.thenBlock(), write);
  if (otherwise)
    fill(branch.elseBlock(), otherwise);
  return SmallVector<Value>(branch->getResults());
}

/// Maps the counter of the line to what it is at `position`; position 0 is that
/// before the first iteration.
void ScanLoops::Writer::setPosition(Value position) {
  scf::ForOp loop = scan.nest.loops[scan.line];
  int64_t lower = getConstantIntValue(loop.getLowerBound()).value_or(0);
  map.map(loop.getInductionVar(), add(position, lower - 1));
}

/// Writes all that the store depends on, but the element before.
void ScanLoops::Writer::cloneBody() {
  Operation *store = memref::StoreOp(scan.nest.store);
  Operation *before = memref::LoadOp(scan.before);
  for (scf::ForOp loop : scan.nest.loops)
    for (Operation &op : loop.getBody()->without_terminator())
      if (op.getNumRegions() == 0 && &op != store && &op != before &&
          &op != scan.combiner)
        rewriter.clone(op, map);
}

/// What is combined with the element before `position`, which is not the first.
Value ScanLoops::Writer::getValue(Value position) {
  setPosition(position);
  cloneBody();
  return map.lookupOrDefault(scan.value);
}

/// The element that the line begins with.
Value ScanLoops::Writer::getFirst() {
  setPosition(index(1));
  cloneBody();
  memref::LoadOp load = scan.before;
  SmallVector<Value> at = llvm::map_to_vector(
      load.getIndices(), [&](Value i) { return map.lookupOrDefault(i); });
  return memref::LoadOp::create(rewriter, loc,
                                map.lookupOrDefault(load.getMemRef()), at);
}

void ScanLoops::Writer::store(Value position, Value value) {
  setPosition(position);
  cloneBody();
  memref::StoreOp store = scan.nest.store;
  SmallVector<Value> at = llvm::map_to_vector(
      store.getIndices(), [&](Value i) { return map.lookupOrDefault(i); });
  memref::StoreOp::create(rewriter, loc, value,
                          map.lookupOrDefault(store.getMemRef()), at);
}

//===----------------------------------------------------------------------===//
// Lines whose elements are beside each other
//===----------------------------------------------------------------------===//

/// What the lanes of a block have together, known to all.
Value ScanLoops::Writer::combineGroup(Value value) {
  constexpr int64_t kWarps = kNumThreads / kWarp;
  value = combineNeighbours(rewriter, scan.combiner, value, kWarp);
  either(isZero(remainder(lane, kWarp)), {}, [&]() -> SmallVector<Value> {
    memref::StoreOp::create(rewriter, loc, value, shared, warp);
    return {};
  });
  gpu::BarrierOp::create(rewriter, loc);
  Value total;
  for (int64_t i = 0; i < kWarps; ++i) {
    Value part = memref::LoadOp::create(rewriter, loc, shared, index(i));
    total = total ? join(total, part) : part;
  }
  gpu::BarrierOp::create(rewriter, loc);
  return total;
}

/// Where the elements of a thread begin in a part of a tile.
Value ScanLoops::Writer::getFirstOfPart(Value tile, int64_t part) {
  Value first = add(tile, multiply(lane, scan.numElements));
  return add(first, part * scan.numLanes * scan.numElements);
}

/// The values of a thread in a tile, those outside being neutral.
SmallVector<Value> ScanLoops::Writer::loadTile(Value tile) {
  int64_t count = scan.numParts * scan.numElements;
  SmallVector<Type> types(count, scan.getType());
  auto forAll = [&](llvm::function_ref<Value(Value)> get) {
    SmallVector<Value> values;
    for (int64_t part = 0; part < scan.numParts; ++part)
      for (int64_t i = 0; i < scan.numElements; ++i)
        values.push_back(get(add(getFirstOfPart(tile, part), i)));
    return values;
  };
  bool hasAny = scan.isKnownBefore();
  auto whole = [&] {
    SmallVector<Value> values =
        forAll([&](Value position) { return getValue(position); });
    if (hasAny)
      values[0] = either(
          isZero(getFirstOfPart(tile, 0)), scan.getType(),
          [&] { return SmallVector<Value>{getFirst()}; },
          [&] { return SmallVector<Value>{values[0]}; })[0];
    return values;
  };
  auto some = [&] {
    return forAll([&](Value position) {
      return either(
          isLess(position, end), scan.getType(),
          [&] {
            return either(
                isZero(position), scan.getType(),
                [&] { return SmallVector<Value>{getFirst()}; },
                [&] { return SmallVector<Value>{getValue(position)}; });
          },
          [&] { return SmallVector<Value>{neutral()}; })[0];
    });
  };
  int64_t size = scan.numLanes * count;
  // Without a condition for each, neighbouring elements are loaded at once.
  Value isWhole = compare(arith::CmpIPredicate::ule, add(tile, size), end);
  if (!hasAny)
    isWhole =
        arith::AndIOp::create(rewriter, loc, isWhole, isLess(index(0), tile));
  return either(isWhole, types, whole, some);
}

/// What the chunk has together.
Value ScanLoops::Writer::writeTotalOfTiles() {
  int64_t size = scan.numLanes * scan.numElements * scan.numParts;
  SmallVector<Value> sums(scan.numParts, neutral());
  auto tiles = scf::ForOp::create(rewriter, loc, begin, end, index(size), sums);
  {
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPointToStart(tiles.getBody());
    SmallVector<Value> values = loadTile(tiles.getInductionVar());
    SmallVector<Value> next(tiles.getRegionIterArgs());
    for (auto [i, value] : llvm::enumerate(values))
      next[i / scan.numElements] = join(next[i / scan.numElements], value);
    scf::YieldOp::create(rewriter, loc, next);
  }
  Value total = tiles.getResult(0);
  for (Value sum : tiles.getResults().drop_front())
    total = join(total, sum);
  return combineGroup(total);
}

/// What the chunks before have together.
Value ScanLoops::Writer::findPrefixOfGroup() {
  auto chunks = scf::ForOp::create(rewriter, loc, lane, chunk,
                                   index(kNumThreads), neutral());
  {
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPointToStart(chunks.getBody());
    Value total = memref::LoadOp::create(
        rewriter, loc, scratch,
        ValueRange{chunks.getInductionVar(), lineNumber});
    scf::YieldOp::create(rewriter, loc,
                         join(chunks.getRegionIterArg(0), total));
  }
  return combineGroup(chunks.getResult(0));
}

/// Writes the elements of a tile; returns what the line has at its end.
Value ScanLoops::Writer::scanTile(Value tile, Value carried) {
  SmallVector<Value> values = loadTile(tile);
  Value laneOfWarp = remainder(lane, kWarp);
  int64_t parts = scan.numParts, elements = scan.numElements;
  // What a thread has up to each of its elements, then a warp to each thread.
  SmallVector<Value> sums(parts);
  for (int64_t part = 0; part < parts; ++part) {
    for (int64_t i = 1; i < elements; ++i) {
      Value &value = values[part * elements + i];
      value = join(values[part * elements + i - 1], value);
    }
    Value &sum = sums[part];
    sum = values[part * elements + elements - 1];
    for (int64_t distance = 1; distance < kWarp; distance *= 2) {
      Value lower = shuffle(rewriter, loc, sum, gpu::ShuffleMode::UP, distance);
      sum = select(isLess(laneOfWarp, index(distance)), sum, join(lower, sum));
    }
  }
  // What the line has before each part of a warp.
  SmallVector<Value> before(parts);
  int64_t warps = scan.numLanes / kWarp;
  if (warps == 1) {
    for (auto [sum, start] : llvm::zip_equal(sums, before)) {
      start = carried;
      carried = join(carried, shuffle(rewriter, loc, sum, gpu::ShuffleMode::IDX,
                                      kWarp - 1));
    }
  } else {
    Value isLast =
        compare(arith::CmpIPredicate::eq, laneOfWarp, index(kWarp - 1));
    either(isLast, {}, [&]() -> SmallVector<Value> {
      for (auto [part, sum] : llvm::enumerate(sums))
        memref::StoreOp::create(rewriter, loc, sum, shared,
                                add(warp, part * warps));
      return {};
    });
    gpu::BarrierOp::create(rewriter, loc);
    for (int64_t part = 0; part < parts; ++part)
      for (int64_t other = 0; other < warps; ++other) {
        Value isOwn = compare(arith::CmpIPredicate::eq, warp, index(other));
        before[part] =
            before[part] ? select(isOwn, carried, before[part]) : carried;
        Value sum = memref::LoadOp::create(rewriter, loc, shared,
                                           index(part * warps + other));
        carried = join(carried, sum);
      }
    gpu::BarrierOp::create(rewriter, loc);
  }
  for (int64_t part = 0; part < parts; ++part) {
    Value lower = shuffle(rewriter, loc, sums[part], gpu::ShuffleMode::UP, 1);
    Value start =
        select(isZero(laneOfWarp), before[part], join(before[part], lower));
    for (int64_t i = 0; i < elements; ++i) {
      Value &value = values[part * elements + i];
      value = join(start, value);
    }
  }
  auto storeAll = [&](bool isWhole) -> SmallVector<Value> {
    for (int64_t part = 0; part < parts; ++part)
      for (int64_t i = 0; i < elements; ++i) {
        Value position = add(getFirstOfPart(tile, part), i);
        Value value = values[part * elements + i];
        auto storeOne = [&]() -> SmallVector<Value> {
          store(position, value);
          return {};
        };
        if (isWhole)
          storeOne();
        else
          either(isLess(position, end), {}, storeOne);
      }
    return {};
  };
  int64_t size = scan.numLanes * elements * parts;
  either(
      compare(arith::CmpIPredicate::ule, add(tile, size), end), {},
      [&] { return storeAll(true); }, [&] { return storeAll(false); });
  return carried;
}

void ScanLoops::Writer::writeTiles(Value carried) {
  int64_t size = scan.numLanes * scan.numElements * scan.numParts;
  auto tiles =
      scf::ForOp::create(rewriter, loc, begin, end, index(size), carried);
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPointToStart(tiles.getBody());
  Value next = scanTile(tiles.getInductionVar(), tiles.getRegionIterArg(0));
  scf::YieldOp::create(rewriter, loc, next);
}

//===----------------------------------------------------------------------===//
// Lines that are beside each other
//===----------------------------------------------------------------------===//

/// Goes along the chunk of a thread, with several loads at a time; returns what
/// the line has at its end.
Value ScanLoops::Writer::writeColumn(Value carried, bool onlyTotal) {
  constexpr int64_t kAtOnce = 8;
  Value isStart = isZero(begin);
  carried = either(
      isStart, carried.getType(),
      [&] { return SmallVector<Value>{join(carried, getFirst())}; },
      [&] { return SmallVector<Value>{carried}; })[0];
  Value first = select(isStart, index(1), begin);
  Value count = arith::SubIOp::create(rewriter, loc, end, first);
  Value middle =
      arith::SubIOp::create(rewriter, loc, end, remainder(count, kAtOnce));
  auto goFrom = [&](Value from, Value to, int64_t step, Value carried) {
    auto loop =
        scf::ForOp::create(rewriter, loc, from, to, index(step), carried);
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPointToStart(loop.getBody());
    SmallVector<Value> positions, values;
    for (int64_t i = 0; i < step; ++i) {
      positions.push_back(add(loop.getInductionVar(), i));
      values.push_back(getValue(positions.back()));
    }
    Value sum = loop.getRegionIterArg(0);
    for (auto [position, value] : llvm::zip_equal(positions, values)) {
      sum = join(sum, value);
      if (!onlyTotal)
        store(position, sum);
    }
    scf::YieldOp::create(rewriter, loc, sum);
    return loop.getResult(0);
  };
  carried = goFrom(first, middle, kAtOnce, carried);
  return goFrom(middle, end, 1, carried);
}

/// What the chunks before have together.
Value ScanLoops::Writer::findPrefixOfColumn() {
  auto chunks =
      scf::ForOp::create(rewriter, loc, index(0), chunk, index(1), neutral());
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPointToStart(chunks.getBody());
  Value total = memref::LoadOp::create(
      rewriter, loc, scratch, ValueRange{chunks.getInductionVar(), lineNumber});
  scf::YieldOp::create(rewriter, loc, join(chunks.getRegionIterArg(0), total));
  return chunks.getResult(0);
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

void ScanLoops::Writer::writeAll(bool onlyTotals) {
  int64_t groups = kNumThreads / scan.numLanes;
  lane = remainder(team.thread, scan.numLanes);
  warp = divide(lane, kWarp);
  Value unit =
      add(multiply(team.block, groups), divide(team.thread, scan.numLanes));
  // Neighbours have lines that are beside each other, or chunks of one line.
  if (scan.isContiguous) {
    lineNumber = divide(unit, scan.numChunks);
    chunk = remainder(unit, scan.numChunks);
  } else {
    lineNumber = remainder(unit, scan.numLines);
    chunk = divide(unit, scan.numLines);
  }
  if (scan.numLanes > kWarp) {
    auto space = gpu::AddressSpaceAttr::get(
        rewriter.getContext(), gpu::GPUDialect::getWorkgroupAddressSpace());
    auto type =
        MemRefType::get(scan.numParts * scan.numLanes / kWarp, scan.getType(),
                        MemRefLayoutAttrInterface(), space);
    gpu::GPUFuncOp kernel = team.kernel;
    shared = kernel.addWorkgroupAttribution(type, loc);
  }
  auto writeUnit = [&]() -> SmallVector<Value> {
    Value rest = lineNumber;
    for (unsigned number : llvm::reverse(scan.others)) {
      scf::ForOp loop = scan.nest.loops[number];
      int64_t lower = getConstantIntValue(loop.getLowerBound()).value_or(0);
      map.map(loop.getInductionVar(),
              add(remainder(rest, scan.nest.sizes[number]), lower));
      rest = divide(rest, scan.nest.sizes[number]);
    }
    begin = multiply(chunk, scan.chunkSize);
    end = arith::MinUIOp::create(rewriter, loc, add(begin, scan.chunkSize),
                                 index(scan.numPositions));
    if (onlyTotals) {
      Value total = scan.isContiguous ? writeTotalOfTiles()
                                      : writeColumn(neutral(), true);
      either(isZero(lane), {}, [&]() -> SmallVector<Value> {
        memref::StoreOp::create(rewriter, loc, total, scratch,
                                ValueRange{chunk, lineNumber});
        return {};
      });
      return {};
    }
    Value carried = !scratch            ? neutral()
                    : scan.isContiguous ? findPrefixOfGroup()
                                        : findPrefixOfColumn();
    if (scan.isContiguous)
      writeTiles(carried);
    else
      writeColumn(carried, /*onlyTotal=*/false);
    return {};
  };
  // A block that is one group has something to do.
  if (groups == 1)
    writeUnit();
  else
    either(isLess(unit, index(scan.numLines * scan.numChunks)), {}, writeUnit);
}

void ScanLoops::writeTotals(RewriterBase &rewriter, const ThreadTeam &team,
                            Value scratch) {
  Writer(*this, rewriter, team, scratch).writeAll(/*onlyTotals=*/true);
}

void ScanLoops::write(RewriterBase &rewriter, const ThreadTeam &team,
                      Value scratch) {
  Writer(*this, rewriter, team, scratch).writeAll(/*onlyTotals=*/false);
}
