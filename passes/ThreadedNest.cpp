//===- ThreadedNest.cpp - Loop nests for many threads ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/ThreadedNest.h"
#include "passes/BufferSize.h"
#include "passes/Lanes.h"
#include "passes/OperandPlaces.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::grad;

Value ThreadTeam::getShared(Type element, unsigned number) {
  unsigned known = 0;
  for (Value memory : shared)
    if (getElementTypeOrSelf(memory) == element && known++ == number)
      return memory;
  auto space = gpu::AddressSpaceAttr::get(
      kernel.getContext(), gpu::GPUDialect::getWorkgroupAddressSpace());
  auto type =
      MemRefType::get(numThreads, element, MemRefLayoutAttrInterface(), space);
  return shared.emplace_back(
      kernel.addWorkgroupAttribution(type, kernel.getLoc()));
}

//===----------------------------------------------------------------------===//
// Analysis
//===----------------------------------------------------------------------===//

ThreadedNest::ThreadedNest(linalg::LinalgOp op)
    : op(op), sizes(op.getStaticLoopRanges()) {
  for (auto [loop, kind] : llvm::enumerate(op.getIteratorTypesArray())) {
    bool isParallel = kind == utils::IteratorType::parallel;
    (isParallel ? parallel : reduced).push_back(loop);
    (isParallel ? numParallel : numReduced) *= sizes[loop];
  }
  findAccumulators();
  chooseOrder();
}

static int64_t yieldIndex(linalg::LinalgOp op, OpOperand *output) {
  return output->getOperandNumber() - op.getNumDpsInputs();
}

bool ThreadedNest::isAccumulated(OpOperand *output) {
  return !op.getMatchingBlockArgument(output).use_empty();
}

void ThreadedNest::findAccumulators() {
  for (OpOperand &output : op.getDpsInitsMutable()) {
    AffineMap map = op.getMatchingIndexingMap(&output);
    auto depends = [&](unsigned loop) { return map.isFunctionOfDim(loop); };
    bool hasAll = llvm::all_of(reduced, [&](unsigned loop) {
      return depends(loop) || sizes[loop] == 1;
    });
    // An element of its own for each iteration.
    if (hasAll && (numReduced == 1 || map.isProjectedPermutation()))
      continue;
    if (isAccumulated(&output) && llvm::none_of(reduced, depends))
      accumulators.push_back({&output, findCombiner(op, &output)});
    else
      isStandard = false;
  }
}

Operation *mlir::grad::findCombiner(linalg::LinalgOp op, OpOperand *output) {
  BlockArgument element = op.getMatchingBlockArgument(output);
  Operation *combiner = op.getMatchingYieldValue(output)->get().getDefiningOp();
  if (!combiner || !element.hasOneUse() || *element.user_begin() != combiner ||
      !combiner->hasOneUse() || combiner->getNumOperands() != 2)
    return nullptr;
  return isCombiner(combiner) ? combiner : nullptr;
}

/// Puts the loop last that most data is contiguous in.
void ThreadedNest::chooseOrder() {
  unsigned best = 0;
  double most = 0;
  for (unsigned loop = 0, e = sizes.size(); loop < e; ++loop) {
    if (sizes[loop] == 1)
      continue;
    double weight = 0;
    for (OpOperand &operand : op->getOpOperands()) {
      if (std::abs(getStride(op, operand, loop)) != 1)
        continue;
      double elements = 1;
      for (unsigned other = 0; other < e; ++other)
        if (getStride(op, operand, other) != 0)
          elements *= static_cast<double>(sizes[other]);
      weight += elements;
    }
    if (weight >= most && weight > 0) {
      most = weight;
      best = loop;
    }
  }
  if (most == 0)
    return;
  auto moveLast = [&](SmallVector<unsigned> &loops) {
    auto it = llvm::find(loops, best);
    if (it == loops.end())
      return false;
    std::rotate(it, it + 1, loops.end());
    return true;
  };
  moveLast(parallel);
  lanesAreNeighbours = moveLast(reduced);
}

void ThreadedNest::chooseLanes(int64_t threads, bool isAlone) {
  numLanes = numElements = numChunks = 1;
  bool canCombine =
      isStandard && !accumulators.empty() &&
      llvm::all_of(accumulators, [](auto &a) { return a.combiner; });
  if (canCombine && numReduced >= 16) {
    // As many as have something to do, and no more than are needed to keep the
    // device busy.
    constexpr int64_t kEnoughThreads = 128 * 2048;
    int64_t useful = llvm::PowerOf2Ceil(
        std::max<int64_t>(1, numReduced / (lanesAreNeighbours ? 4 : 8)));
    if (lanesAreNeighbours)
      useful = std::max<int64_t>(useful, 32);
    int64_t busy = isAlone ? llvm::PowerOf2Ceil(std::max<int64_t>(
                                 1, kEnoughThreads / numParallel))
                           : threads;
    numLanes = std::min({useful, threads, busy});
    if (lanesAreNeighbours) // Or neighbours would not be read together.
      numLanes = std::max<int64_t>(numLanes, std::min<int64_t>(32, threads));
    else if (numParallel >= 32) // The same of groups.
      numLanes = std::min(numLanes, std::max<int64_t>(1, threads / 32));
    if (isAlone && numLanes > 1) {
      constexpr int64_t kEnoughBlocks = 512, kFewIterations = 16;
      int64_t blocks = llvm::divideCeil(numParallel, threads / numLanes);
      numChunks = std::max<int64_t>(
          1, std::min(kEnoughBlocks / blocks,
                      numReduced / (numLanes * kFewIterations)));
    }
  } else if (isAlone && numReduced == 1 && isStandard) {
    // Loads of 16 bytes, where there is enough to do.
    constexpr int64_t kMany = 1 << 16, kVectorBytes = 16;
    int64_t widest = 1;
    bool isContiguous = !parallel.empty();
    for (OpOperand &operand : op->getOpOperands()) {
      Type type = getElementTypeOrSelf(operand.get());
      widest = std::max(widest, getElementBytes(type).value_or(kVectorBytes));
      if (!parallel.empty()) {
        int64_t stride = getStride(op, operand, parallel.back());
        isContiguous &= stride == 0 || stride == 1;
      }
    }
    int64_t elements = kVectorBytes / widest;
    if (isContiguous && elements > 1 && numParallel >= kMany &&
        sizes[parallel.back()] % elements == 0)
      numElements = elements;
  }
  numGroups = threads / numLanes;
}

int64_t ThreadedNest::chooseThreads(bool hasScratch) {
  constexpr int64_t kThreads = 256;
  chooseLanes(kThreads, /*isAlone=*/true);
  if (!hasScratch)
    numChunks = 1;
  return kThreads;
}

int64_t ThreadedNest::getNumBlocks() const {
  return numChunks * llvm::divideCeil(numParallel / numElements, numGroups);
}

SmallVector<MemRefType> ThreadedNest::getScratchTypes() {
  SmallVector<int64_t> shape = {numChunks};
  for (unsigned loop : parallel)
    shape.push_back(sizes[loop]);
  return llvm::map_to_vector(accumulators, [&](const Accumulator &accumulator) {
    return MemRefType::get(shape,
                           getElementTypeOrSelf(accumulator.output->get()));
  });
}

linalg::LinalgOp ThreadedNest::addUpChunks(OpBuilder &builder,
                                           ValueRange scratch) {
  // The loops are that of the chunks and those in the order of `parallel`.
  MLIRContext *context = builder.getContext();
  unsigned numLoops = parallel.size() + 1;
  SmallVector<AffineExpr> loops(sizes.size(),
                                getAffineConstantExpr(0, context));
  for (auto [i, loop] : llvm::enumerate(parallel))
    loops[loop] = getAffineDimExpr(i + 1, context);
  SmallVector<AffineMap> maps(
      scratch.size(), AffineMap::getMultiDimIdentityMap(numLoops, context));
  SmallVector<Value> outputs;
  for (const Accumulator &accumulator : accumulators) {
    maps.push_back(op.getMatchingIndexingMap(accumulator.output)
                       .replaceDimsAndSymbols(loops, {}, numLoops, 0));
    outputs.push_back(accumulator.output->get());
  }
  SmallVector<utils::IteratorType> kinds(numLoops,
                                         utils::IteratorType::parallel);
  kinds.front() = utils::IteratorType::reduction;
  return linalg::GenericOp::create(
      builder, op.getLoc(), scratch, outputs, maps, kinds,
      [&](OpBuilder &body, Location loc, ValueRange elements) {
        SmallVector<Value> sums;
        for (auto [i, accumulator] : llvm::enumerate(accumulators)) {
          IRMapping map;
          map.map(accumulator.combiner->getOperand(0),
                  elements[accumulators.size() + i]);
          map.map(accumulator.combiner->getOperand(1), elements[i]);
          sums.push_back(body.clone(*accumulator.combiner, map)->getResult(0));
        }
        linalg::YieldOp::create(body, loc, sums);
      });
}

//===----------------------------------------------------------------------===//
// Positions and elements
//===----------------------------------------------------------------------===//

Value ThreadedNest::index(int64_t value) {
  return arith::ConstantIndexOp::create(*rewriter, op.getLoc(), value);
}

void ThreadedNest::delinearize(Value linear, ArrayRef<unsigned> loops) {
  for (size_t i = loops.size(); i-- > 0;) {
    unsigned loop = loops[i];
    // The slower loops have one iteration each.
    bool isLast = llvm::all_of(loops.take_front(i), [&](unsigned slower) {
      return sizes[slower] == 1;
    });
    if (sizes[loop] == 1) {
      position[loop] = index(0);
    } else if (isLast) {
      position[loop] = linear;
    } else {
      Value size = index(sizes[loop]);
      position[loop] =
          arith::RemUIOp::create(*rewriter, op.getLoc(), linear, size);
      linear = arith::DivUIOp::create(*rewriter, op.getLoc(), linear, size);
    }
  }
}

SmallVector<Value> ThreadedNest::indices(OpOperand *operand) {
  return getPlace(*rewriter, op, operand, position);
}

Value ThreadedNest::load(OpOperand *operand) {
  if (!isa<MemRefType>(operand->get().getType()))
    return operand->get();
  return memref::LoadOp::create(*rewriter, op.getLoc(), operand->get(),
                                indices(operand));
}

void ThreadedNest::store(Value value, OpOperand *output) {
  memref::StoreOp::create(*rewriter, op.getLoc(), value, output->get(),
                          indices(output));
}

SmallVector<Value> ThreadedNest::writeBody(ValueRange carried) {
  llvm::SmallDenseMap<OpOperand *, unsigned> carriedAt;
  for (unsigned i = 0; i < carried.size(); ++i)
    carriedAt[accumulators[i].output] = i;
  auto getElement = [&](OpOperand &operand) {
    if (auto at = carriedAt.find(&operand); at != carriedAt.end())
      return carried[at->second];
    Value init = op.isDpsInit(&operand) && isStandard
                     ? inits[yieldIndex(op, &operand)]
                     : Value();
    return init ? init : load(&operand);
  };
  SmallVector<Value> yielded =
      writeIteration(*rewriter, op, position, getElement);
  SmallVector<Value> next(carried);
  for (auto [output, value] :
       llvm::zip_equal(op.getDpsInitsMutable(), yielded)) {
    if (auto at = carriedAt.find(&output); at != carriedAt.end())
      next[at->second] = value;
    else
      store(value, &output);
  }
  return next;
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

Value ThreadedNest::neutral(const Accumulator &accumulator) {
  return createNeutral(*rewriter, op.getLoc(), accumulator.combiner,
                       getElementTypeOrSelf(accumulator.output->get()));
}

Value ThreadedNest::combine(const Accumulator &accumulator, Value a, Value b) {
  return grad::combine(*rewriter, accumulator.combiner, a, b);
}

/// What a lane finds in the iterations of the reduction that are its own. All
/// begin with nothing; where there is only one lane, with what is there.
SmallVector<Value> ThreadedNest::writeReduction(Value lane) {
  Location loc = op.getLoc();
  SmallVector<Value> carried;
  for (const Accumulator &accumulator : accumulators) {
    Value init = inits[yieldIndex(op, accumulator.output)];
    if (numLanes > 1)
      init = neutral(accumulator);
    carried.push_back(init ? init : load(accumulator.output));
  }
  if (numLanes == 1) {
    // In the order of the loops.
    OpBuilder::InsertionGuard guard(*rewriter);
    SmallVector<scf::ForOp> nest;
    SmallVector<unsigned> order(reduced);
    if (!isStandard)
      llvm::sort(order);
    Value zero = index(0), one = index(1);
    for (unsigned loop : order) {
      auto next = scf::ForOp::create(*rewriter, loc, zero, index(sizes[loop]),
                                     one, carried);
      position[loop] = next.getInductionVar();
      carried.assign(next.getRegionIterArgs().begin(),
                     next.getRegionIterArgs().end());
      rewriter->setInsertionPointToStart(next.getBody());
      nest.push_back(next);
    }
    SmallVector<Value> results = writeBody(carried);
    for (scf::ForOp next : llvm::reverse(nest)) {
      if (!results.empty()) {
        rewriter->setInsertionPointToEnd(next.getBody());
        scf::YieldOp::create(*rewriter, loc, results);
      }
      results.assign(next->result_begin(), next->result_end());
    }
    return results;
  }
  Value begin = lane, end = index(numReduced);
  if (chunk) {
    int64_t size =
        llvm::alignTo(llvm::divideCeil(numReduced, numChunks), numLanes);
    Value first = arith::MulIOp::create(*rewriter, loc, chunk, index(size));
    begin = arith::AddIOp::create(*rewriter, loc, first, lane);
    end = arith::MinSIOp::create(
        *rewriter, loc, end,
        arith::AddIOp::create(*rewriter, loc, first, index(size)));
  }
  return writeSteps(begin, end, carried);
}

/// The iterations of a lane, from `begin` to `end`. Where there are many, some
/// of them at a time, for several loads to be on their way.
SmallVector<Value> ThreadedNest::writeSteps(Value begin, Value end,
                                            ArrayRef<Value> neutral) {
  constexpr int64_t kManySteps = 8;
  constexpr size_t kFewAccumulators = 4, kShortBody = 32;
  // Complex numbers take twice the registers.
  int64_t atOnce = llvm::any_of(neutral,
                                [](Value value) {
                                  return isa<ComplexType>(value.getType());
                                })
                       ? 2
                       : 4;
  Location loc = op.getLoc();
  size_t count = accumulators.size();
  // A loop that takes steps of as many iterations as it has sets of `carried`.
  auto writeLoop = [&](Value from, Value to, ValueRange carried) {
    int64_t sets = carried.size() / count;
    auto loop = scf::ForOp::create(*rewriter, loc, from, to,
                                   index(numLanes * sets), carried);
    OpBuilder::InsertionGuard guard(*rewriter);
    rewriter->setInsertionPointToStart(loop.getBody());
    SmallVector<Value> next;
    for (int64_t set = 0; set < sets; ++set) {
      Value at = arith::AddIOp::create(*rewriter, loc, loop.getInductionVar(),
                                       index(set * numLanes));
      delinearize(at, reduced);
      llvm::append_range(
          next, writeBody(loop.getRegionIterArgs().slice(set * count, count)));
    }
    scf::YieldOp::create(*rewriter, loc, next);
    return SmallVector<Value>(loop->getResults());
  };
  if (numReduced < kManySteps * numLanes * numChunks ||
      count > kFewAccumulators ||
      op.getBlock()->getOperations().size() > kShortBody)
    return writeLoop(begin, end, neutral);
  SmallVector<Value> sets;
  for (int64_t i = 0; i < atOnce; ++i)
    llvm::append_range(sets, neutral);
  // To where all of them are there.
  Value size =
      arith::MaxSIOp::create(*rewriter, loc, index(0),
                             arith::SubIOp::create(*rewriter, loc, end, begin));
  Value step = index(numLanes * atOnce);
  Value whole = arith::MulIOp::create(
      *rewriter, loc, arith::DivUIOp::create(*rewriter, loc, size, step), step);
  Value middle = arith::AddIOp::create(*rewriter, loc, begin, whole);
  SmallVector<Value> found = writeLoop(begin, middle, sets);
  SmallVector<Value> rest =
      writeLoop(middle, end, ArrayRef(found).take_front(count));
  for (int64_t set = 1; set < atOnce; ++set)
    for (auto [i, accumulator] : llvm::enumerate(accumulators))
      rest[i] = combine(accumulator, rest[i], found[set * count + i]);
  return rest;
}

/// How many lanes of a group are in one warp.
int64_t ThreadedNest::getLanesOfWarp() const {
  int64_t distance = lanesAreNeighbours ? 1 : numGroups;
  return std::min(numLanes, std::max<int64_t>(1, kWarp / distance));
}

/// What the lanes of a group have found together, known to the first one.
SmallVector<Value> ThreadedNest::combineLanes(Value lane, ValueRange partial) {
  // Few at a time: a thread has registers for these, and the next ones are in
  // the same shared memory.
  constexpr size_t kAtOnce = 4;
  SmallVector<Value> found(partial);
  int64_t distance = lanesAreNeighbours ? 1 : numGroups;
  for (size_t first = 0; first < found.size(); first += kAtOnce) {
    size_t count = std::min(kAtOnce, found.size() - first);
    auto values = MutableArrayRef(found).slice(first, count);
    auto some = ArrayRef(accumulators).slice(first, count);
    if (first > 0 && sharesMemory())
      gpu::BarrierOp::create(*rewriter, op.getLoc());
    for (int64_t half = getLanesOfWarp() / 2; half > 0; half /= 2)
      for (auto [accumulator, value] : llvm::zip_equal(some, values))
        value = combine(accumulator, value,
                        shuffle(*rewriter, op.getLoc(), value,
                                gpu::ShuffleMode::XOR, half * distance));
    if (sharesMemory())
      combineWarps(lane, values, some);
  }
  return found;
}

/// Combines what the lanes of several warps have, through shared memory.
void ThreadedNest::combineWarps(Value lane, MutableArrayRef<Value> found,
                                ArrayRef<Accumulator> accumulators) {
  Location loc = op.getLoc();
  int64_t distance = lanesAreNeighbours ? 1 : numGroups;
  SmallVector<Value> places;
  for (Value value : found) {
    auto isAlike = [&](Value place) {
      return getElementTypeOrSelf(place) == value.getType();
    };
    Value place =
        team->getShared(value.getType(), llvm::count_if(places, isAlike));
    memref::StoreOp::create(*rewriter, loc, value, place, team->thread);
    places.push_back(place);
  }
  gpu::BarrierOp::create(*rewriter, loc);
  // In a branch: LLVM would move what is added up to where it is used, and need
  // registers for all summands.
  Value isFirst = arith::CmpIOp::create(
      *rewriter, loc, arith::CmpIPredicate::eq, lane, index(0));
  auto first = scf::IfOp::create(*rewriter, loc, ValueRange(found).getTypes(),
                                 isFirst, /*withElseRegion=*/true);
  {
    OpBuilder::InsertionGuard guard(*rewriter);
    rewriter->setInsertionPointToStart(first.elseBlock());
    scf::YieldOp::create(*rewriter, loc, found);
    rewriter->setInsertionPointToStart(first.thenBlock());
    int64_t step = getLanesOfWarp() * distance;
    SmallVector<Value> all(found);
    for (int64_t warp = 1; warp < numLanes / getLanesOfWarp(); ++warp) {
      Value at = arith::AddIOp::create(*rewriter, loc, team->thread,
                                       index(warp * step));
      for (auto [accumulator, place, value] :
           llvm::zip_equal(accumulators, places, all))
        value = combine(accumulator, value,
                        memref::LoadOp::create(*rewriter, loc, place, at));
    }
    scf::YieldOp::create(*rewriter, loc, all);
  }
  llvm::copy(first.getResults(), found.begin());
}

//===----------------------------------------------------------------------===//
// Sharing
//===----------------------------------------------------------------------===//

/// The elements of one thread, without a reduction.
void ThreadedNest::writeElements(Value unit) {
  Location loc = op.getLoc();
  if (numElements == 1) {
    delinearize(unit, parallel);
    writeBody({});
    return;
  }
  Value count = index(numElements);
  Value first = arith::MulIOp::create(*rewriter, loc, unit, count);
  delinearize(first, parallel);
  Value begin = position[parallel.back()];
  // No loop: LLVM would not always unroll it, and then find no neighbours.
  for (int64_t i = 0; i < numElements; ++i) {
    position[parallel.back()] =
        arith::AddIOp::create(*rewriter, loc, begin, index(i));
    writeBody({});
  }
}

/// The work of a group for the parallel iteration `unit`, of a lane of it.
void ThreadedNest::writeGroup(Value unit, Value lane, Value isInside) {
  Location loc = op.getLoc();
  SmallVector<Type> types;
  if (numLanes > 1)
    for (const Accumulator &accumulator : accumulators)
      types.push_back(getElementTypeOrSelf(accumulator.output->get()));
  auto inside = scf::IfOp::create(*rewriter, loc, types, isInside,
                                  /*withElseRegion=*/!types.empty());
  auto storeAll = [&](ValueRange values) {
    for (auto [accumulator, value] : llvm::zip_equal(accumulators, values))
      store(value, accumulator.output);
  };
  {
    OpBuilder::InsertionGuard guard(*rewriter);
    rewriter->setInsertionPointToStart(inside.thenBlock());
    if (accumulators.empty() && numReduced == 1 && isStandard) {
      for (unsigned loop : reduced)
        position[loop] = index(0);
      writeElements(unit);
    } else {
      delinearize(unit, parallel);
      SmallVector<Value> found = writeReduction(lane);
      if (types.empty())
        storeAll(found);
      else
        scf::YieldOp::create(*rewriter, loc, found);
    }
    if (!types.empty()) {
      rewriter->setInsertionPointToStart(inside.elseBlock());
      SmallVector<Value> nothing;
      for (const Accumulator &accumulator : accumulators)
        nothing.push_back(neutral(accumulator));
      scf::YieldOp::create(*rewriter, loc, nothing);
    }
  }
  if (types.empty())
    return;
  SmallVector<Value> found = combineLanes(lane, inside.getResults());
  Value isFirst = arith::CmpIOp::create(
      *rewriter, loc, arith::CmpIPredicate::eq, lane, index(0));
  Value writes = arith::AndIOp::create(*rewriter, loc, isFirst, isInside);
  auto first = scf::IfOp::create(*rewriter, loc, writes);
  OpBuilder::InsertionGuard guard(*rewriter);
  rewriter->setInsertionPointToStart(first.thenBlock());
  delinearize(unit, parallel);
  storeFound(found);
}

/// Adds what the lanes have found to outputs, or stores it for later.
void ThreadedNest::storeFound(ValueRange found) {
  if (chunk) {
    SmallVector<Value> at = {chunk};
    for (unsigned loop : parallel)
      at.push_back(position[loop]);
    for (auto [value, place] : llvm::zip_equal(found, scratch))
      memref::StoreOp::create(*rewriter, op.getLoc(), value, place, at);
    return;
  }
  for (unsigned loop : reduced)
    position[loop] = index(0); // Not read by what is accessed here.
  for (auto [accumulator, value] : llvm::zip_equal(accumulators, found)) {
    Value init = inits[yieldIndex(op, accumulator.output)];
    if (!init)
      init = load(accumulator.output);
    store(combine(accumulator, init, value), accumulator.output);
  }
}

void ThreadedNest::write(RewriterBase &rewriter, ThreadTeam &team,
                         ArrayRef<Value> inits, ValueRange scratch) {
  this->rewriter = &rewriter;
  this->team = &team;
  this->inits = inits;
  this->scratch.assign(scratch.begin(), scratch.end());
  position.assign(sizes.size(), Value());
  if (getNumIterations() == 0)
    return;
  if (!team.block)
    chooseLanes(team.numThreads, /*isAlone=*/false);
  Location loc = op.getLoc();
  Value lane, group;
  if (numLanes == 1) {
    lane = index(0);
    group = team.thread;
  } else if (lanesAreNeighbours) {
    lane = arith::RemUIOp::create(rewriter, loc, team.thread, index(numLanes));
    group = arith::DivUIOp::create(rewriter, loc, team.thread, index(numLanes));
  } else {
    lane = arith::DivUIOp::create(rewriter, loc, team.thread, index(numGroups));
    group =
        arith::RemUIOp::create(rewriter, loc, team.thread, index(numGroups));
  }
  int64_t numUnits = numParallel / numElements;
  auto isInside = [&](Value unit) -> Value {
    return arith::CmpIOp::create(rewriter, loc, arith::CmpIPredicate::ult, unit,
                                 index(numUnits));
  };
  if (team.block) {
    Value block = team.block;
    if (numChunks > 1) {
      Value blocks = index(getNumBlocks() / numChunks);
      chunk = arith::DivUIOp::create(rewriter, loc, block, blocks);
      block = arith::RemUIOp::create(rewriter, loc, block, blocks);
    }
    Value first = arith::MulIOp::create(rewriter, loc, block, index(numGroups));
    Value unit = arith::AddIOp::create(rewriter, loc, first, group);
    writeGroup(unit, lane, isInside(unit));
    return;
  }
  if (numUnits <= numGroups) {
    writeGroup(group, lane, isInside(group));
    return;
  }
  // Without lanes, several elements of a thread at a time.
  constexpr int64_t kAtOnce = 4;
  int64_t numAtOnce =
      accumulators.empty() && numUnits % (kAtOnce * numGroups) == 0 ? kAtOnce
                                                                    : 1;
  auto loop = scf::ForOp::create(rewriter, loc, index(0), index(numUnits),
                                 index(numGroups * numAtOnce));
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPointToStart(loop.getBody());
  for (int64_t i = 0; i < numAtOnce; ++i) {
    Value first = arith::AddIOp::create(rewriter, loc, loop.getInductionVar(),
                                        index(i * numGroups));
    Value unit = arith::AddIOp::create(rewriter, loc, first, group);
    Value isThere =
        numUnits % numGroups == 0
            ? arith::ConstantIntOp::create(rewriter, loc, 1, 1).getResult()
            : isInside(unit);
    writeGroup(unit, lane, isThere);
  }
  if (sharesMemory()) // Before the lanes write it again.
    gpu::BarrierOp::create(rewriter, loc);
}
