//===- RowKernel.cpp - Rows in the registers of threads -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A lane has every `numLanes`-th group of `numTogether` neighbouring columns.
/// Where the last one of these is not there for some lanes, they calculate with
/// the last column in its place, and neither store nor add that.
///
//===----------------------------------------------------------------------===//

#include "passes/RowKernel.h"
#include "passes/BufferSize.h"
#include "passes/Kernels.h"
#include "passes/Lanes.h"
#include "passes/OperandPlaces.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Utils/MemRefUtils.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::grad;
using linalg::LinalgOp;

/// Of the registers of a thread, what is for the elements of a buffer.
static constexpr int64_t kElementBytes = 64;

//===----------------------------------------------------------------------===//
// Analysis
//===----------------------------------------------------------------------===//

/// Whether `buffer` is of a block of threads alone.
static bool isTemporary(Value buffer) {
  return buffer.getDefiningOp<memref::AllocOp>();
}

std::optional<RowKernel> RowKernel::match(scf::ForOp loop) {
  auto numLoops = loop->getAttrOfType<IntegerAttr>(kRowLoopsAttr);
  if (!loop->hasAttr(kParallelAttr) || !numLoops)
    return std::nullopt;
  RowKernel kernel;
  kernel.numRowLoops = numLoops.getInt();
  for (Operation &op : loop.getBody()->without_terminator()) {
    if (auto member = dyn_cast<LinalgOp>(op))
      kernel.members.push_back(member);
    else if (!isa<memref::AllocOp>(op) && !isMemoryEffectFree(&op))
      return std::nullopt;
  }
  if (!kernel.findShape() ||
      !llvm::all_of(kernel.members,
                    [&](LinalgOp op) { return kernel.checkMember(op); }) ||
      !kernel.checkBuffers())
    return std::nullopt;
  kernel.chooseLanes();
  constexpr int64_t kMostThreads = 1024, kMostElements = 16, kMostOps = 4096;
  int64_t numOps = 0;
  for (LinalgOp op : kernel.members)
    if (kernel.hasColumns(op))
      numOps += op.getBlock()->getOperations().size();
  if (kernel.getNumThreads() > kMostThreads ||
      kernel.getNumElements() > kMostElements ||
      numOps * kernel.getNumElements() > kMostOps || !kernel.fitsRegisters())
    return std::nullopt;
  return kernel;
}

/// Whether threads have registers for all rows that several ops access.
bool RowKernel::fitsRegisters() const {
  constexpr int64_t kAllRegisters = 1 << 16, kOtherRegisters = 24;
  constexpr int64_t kMostRegisters = 255, kRegisterBytes = 4;
  llvm::SmallDenseMap<Place, unsigned> counts;
  for (LinalgOp op : members)
    for (OpOperand &operand : op->getOpOperands())
      if (isa<MemRefType>(operand.get().getType()) && hasColumns(op) &&
          getAccess(op, operand) == Access::Columns)
        ++counts[getPlace(op, operand)];
  int64_t numRegisters = kOtherRegisters;
  for (auto &[place, count] : counts)
    if (count > 1)
      numRegisters += llvm::divideCeil(
          getNumElements() *
              *getElementBytes(getElementTypeOrSelf(place.first)),
          kRegisterBytes);
  return numRegisters <=
         std::min(kMostRegisters, kAllRegisters / getNumThreads());
}

bool RowKernel::hasColumns(LinalgOp op) const {
  return op.getNumLoops() > numRowLoops;
}

/// Finds the columns, which all members that have some share.
bool RowKernel::findShape() {
  constexpr int64_t kFewColumns = 32;
  bool isFirst = true;
  for (LinalgOp op : members) {
    SmallVector<int64_t> sizes = op.getStaticLoopRanges();
    if (sizes.size() < numRowLoops ||
        computeProduct(ArrayRef(sizes).take_front(numRowLoops - 1)) != 1)
      return false;
    if (isFirst)
      numRows = sizes[numRowLoops - 1];
    isFirst = false;
    if (sizes[numRowLoops - 1] != numRows)
      return false;
    if (!hasColumns(op))
      continue;
    auto rest = ArrayRef(sizes).drop_front(numRowLoops);
    if (columnSizes.empty())
      columnSizes.assign(rest.begin(), rest.end());
    if (ArrayRef(columnSizes) != rest)
      return false;
  }
  numColumns = computeProduct(columnSizes);
  return numColumns >= kFewColumns;
}

RowKernel::Access RowKernel::getAccess(LinalgOp op, OpOperand &operand) const {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  bool hasNone = true, hasAll = true;
  for (unsigned loop = numRowLoops; loop < op.getNumLoops(); ++loop) {
    bool depends = map.isFunctionOfDim(loop);
    hasNone &= !depends;
    hasAll &= depends || columnSizes[loop - numRowLoops] == 1;
  }
  if (hasNone)
    return Access::Row;
  return hasAll && map.isProjectedPermutation() ? Access::Columns
                                                : Access::Other;
}

RowKernel::Place RowKernel::getPlace(LinalgOp op, OpOperand &operand) const {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  unsigned numLoops = numRowLoops + columnSizes.size();
  return {operand.get(),
          AffineMap::get(numLoops, 0, map.getResults(), map.getContext())};
}

bool RowKernel::checkMember(LinalgOp op) {
  if (!op.hasPureBufferSemantics())
    return false;
  auto kinds = op.getIteratorTypesArray();
  auto columnKinds = ArrayRef(kinds).drop_front(numRowLoops);
  bool isReduction =
      llvm::is_contained(columnKinds, utils::IteratorType::reduction);
  // All of them, or none.
  if (isReduction &&
      llvm::is_contained(columnKinds, utils::IteratorType::parallel))
    return false;
  for (OpOperand &output : op.getDpsInitsMutable()) {
    Access access = getAccess(op, output);
    BlockArgument element = op.getMatchingBlockArgument(&output);
    if (!hasColumns(op))
      continue;
    if (access == Access::Columns && (!isReduction || element.use_empty()))
      continue;
    if (access != Access::Row || !isReduction || !findCombiner(op, &output))
      return false;
  }
  return true;
}

/// Checks that what a lane reads is what it has written, or what nobody writes.
bool RowKernel::checkBuffers() {
  llvm::MapVector<Value, std::pair<AffineMap, Access>> written;
  for (LinalgOp op : members)
    for (OpOperand &output : op.getDpsInitsMutable()) {
      auto [at, isNew] = written.insert(
          {output.get(), {getPlace(op, output).second, getAccess(op, output)}});
      if (!isNew && at->second.first != getPlace(op, output).second)
        return false;
    }
  // Each is the only way to its memory.
  llvm::SmallPtrSet<Value, 4> roots;
  for (auto &[buffer, place] : written) {
    if (isTemporary(buffer))
      continue;
    Value root = memref::skipViewLikeOps(cast<MemrefValue>(buffer));
    auto argument = dyn_cast<BlockArgument>(root);
    auto kernel =
        argument ? dyn_cast<gpu::GPUFuncOp>(argument.getOwner()->getParentOp())
                 : gpu::GPUFuncOp();
    if (!kernel || argument.getArgNumber() >= kernel.getNumArguments() ||
        !kernel.getArgAttr(argument.getArgNumber(),
                           LLVM::LLVMDialect::getNoAliasAttrName()) ||
        !roots.insert(root).second)
      return false;
  }
  llvm::SmallPtrSet<Value, 8> set;
  for (LinalgOp op : members) {
    for (OpOperand &operand : op->getOpOperands()) {
      auto type = dyn_cast<MemRefType>(operand.get().getType());
      if (!type)
        continue;
      std::optional<int64_t> bytes = getElementBytes(type.getElementType());
      if (!bytes)
        return false;
      mostBytes = std::max(mostBytes, *bytes);
      Value root = memref::skipViewLikeOps(cast<MemrefValue>(operand.get()));
      auto at = written.find(operand.get());
      if (at == written.end()) {
        // Not another view of what is written.
        if (roots.contains(root) || isTemporary(operand.get()))
          return false;
        continue;
      }
      if (at->second.first != getPlace(op, operand).second)
        return false;
      // All lanes read numbers of rows, and one writes them.
      bool isRead = !op.getMatchingBlockArgument(&operand).use_empty();
      if (isRead && !set.contains(operand.get()) &&
          (at->second.second == Access::Row || isTemporary(operand.get())))
        return false;
    }
    for (Value output : op.getDpsInits())
      set.insert(output);
  }
  return true;
}

int64_t RowKernel::getNumElements() const {
  return numTogether * llvm::divideCeil(numColumns, numLanes * numTogether);
}

void RowKernel::chooseLanes() {
  constexpr int64_t kVectorBytes = 16;
  numLanes = std::max<int64_t>(1, llvm::PowerOf2Ceil(numColumns * mostBytes) /
                                      kElementBytes);
  while (numRows * numLanes % kWarp != 0)
    numLanes *= 2;
  numTogether = std::max<int64_t>(1, kVectorBytes / mostBytes);
  while (numTogether > 1 && numColumns % (numLanes * numTogether) != 0)
    numTogether /= 2;
}

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

Value RowKernel::index(int64_t value) {
  return arith::ConstantIndexOp::create(*rewriter, current.getLoc(), value);
}

void RowKernel::findColumns() {
  Location loc = current.getLoc();
  Value together = index(numTogether);
  Value first = arith::MulIOp::create(*rewriter, loc, lane, together);
  for (int64_t i = 0, e = getNumElements(); i < e; ++i) {
    int64_t distance =
        i / numTogether * numLanes * numTogether + i % numTogether;
    Value at = arith::AddIOp::create(*rewriter, loc, first, index(distance));
    if (distance + (numLanes - 1) * numTogether >= numColumns) {
      isLastInside = arith::CmpIOp::create(
          *rewriter, loc, arith::CmpIPredicate::ult, at, index(numColumns));
      at = arith::SelectOp::create(*rewriter, loc, isLastInside, at,
                                   index(numColumns - 1));
    }
    SmallVector<Value> counters(columnSizes.size());
    for (size_t loop = columnSizes.size(); loop-- > 1;) {
      Value size = index(columnSizes[loop]);
      counters[loop] = arith::RemUIOp::create(*rewriter, loc, at, size);
      at = arith::DivUIOp::create(*rewriter, loc, at, size);
    }
    counters.front() = at;
    columns.push_back(counters);
  }
}

SmallVector<Value> RowKernel::getPosition(LinalgOp op, int64_t element) {
  SmallVector<Value> position(numRowLoops, index(0));
  position.back() = row;
  if (hasColumns(op))
    llvm::append_range(position, columns[element]);
  return position;
}

Value RowKernel::load(OpOperand &operand, int64_t element) {
  LinalgOp op = current;
  return memref::LoadOp::create(
      *rewriter, op.getLoc(), operand.get(),
      grad::getPlace(*rewriter, op, &operand, getPosition(op, element)));
}

ArrayRef<Value> RowKernel::getValues(OpOperand &operand) {
  SmallVector<Value> &values = known[getPlace(current, operand)];
  if (!values.empty())
    return values;
  if (!isa<MemRefType>(operand.get().getType())) {
    values.push_back(operand.get());
    return values;
  }
  bool isRow = getAccess(current, operand) == Access::Row;
  for (int64_t i = 0, e = isRow ? 1 : getNumElements(); i < e; ++i)
    values.push_back(load(operand, i));
  return values;
}

void RowKernel::store(OpOperand &output, ValueRange values) {
  known[getPlace(current, output)] = llvm::to_vector(values);
  if (isTemporary(output.get()))
    return;
  Location loc = current.getLoc();
  bool isRow = getAccess(current, output) == Access::Row;
  for (auto [i, value] : llvm::enumerate(values)) {
    OpBuilder::InsertionGuard guard(*rewriter);
    Value isMine;
    if (isRow)
      isMine = arith::CmpIOp::create(*rewriter, loc, arith::CmpIPredicate::eq,
                                     lane, index(0));
    else if (i + 1 == values.size())
      isMine = isLastInside;
    if (isMine)
      rewriter->setInsertionPointToStart(
          scf::IfOp::create(*rewriter, loc, isMine).thenBlock());
    memref::StoreOp::create(
        *rewriter, loc, value, output.get(),
        grad::getPlace(*rewriter, current, &output, getPosition(current, i)));
  }
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

void RowKernel::writeRow(LinalgOp op) {
  SmallVector<Value> yielded = writeIteration(
      *rewriter, op, getPosition(op, 0),
      [&](OpOperand &operand) { return getValues(operand).front(); });
  for (auto [output, value] : llvm::zip_equal(op.getDpsInitsMutable(), yielded))
    store(output, value);
}

void RowKernel::writeColumns(LinalgOp op) {
  Location loc = op.getLoc();
  // Accumulators begin with nothing.
  SmallVector<Operation *> combiners;
  SmallVector<Value> sums;
  llvm::SmallDenseMap<OpOperand *, unsigned> sumOf;
  for (OpOperand &output : op.getDpsInitsMutable()) {
    if (getAccess(op, output) != Access::Row)
      continue;
    Operation *combiner = findCombiner(op, &output);
    sumOf[&output] = sums.size();
    combiners.push_back(combiner);
    sums.push_back(createNeutral(*rewriter, loc, combiner,
                                 getElementTypeOrSelf(output.get())));
  }
  // Loads are on their way together.
  for (OpOperand &operand : op->getOpOperands())
    if (!sumOf.contains(&operand) &&
        !op.getMatchingBlockArgument(&operand).use_empty() &&
        getAccess(op, operand) != Access::Other)
      (void)getValues(operand);
  int64_t numElements = getNumElements();
  SmallVector<SmallVector<Value>> results(op.getNumDpsInits());
  for (int64_t i = 0; i < numElements; ++i) {
    auto getElement = [&](OpOperand &operand) {
      if (auto at = sumOf.find(&operand); at != sumOf.end())
        return sums[at->second];
      switch (getAccess(op, operand)) {
      case Access::Row:
        return getValues(operand).front();
      case Access::Columns:
        return getValues(operand)[i];
      case Access::Other:
        return load(operand, i);
      }
      llvm_unreachable("expected one of these");
    };
    SmallVector<Value> yielded =
        writeIteration(*rewriter, op, getPosition(op, i), getElement);
    for (auto [n, output] : llvm::enumerate(op.getDpsInitsMutable())) {
      auto at = sumOf.find(&output);
      if (at == sumOf.end()) {
        results[n].push_back(yielded[n]);
        continue;
      }
      Value &sum = sums[at->second];
      sum = i + 1 == numElements && isLastInside
                ? arith::SelectOp::create(*rewriter, loc, isLastInside,
                                          yielded[n], sum)
                : yielded[n];
    }
  }
  sums = combineLanes(combiners, sums);
  for (auto [n, output] : llvm::enumerate(op.getDpsInitsMutable())) {
    auto at = sumOf.find(&output);
    if (at == sumOf.end()) {
      store(output, results[n]);
      continue;
    }
    Value before = getValues(output).front();
    store(output,
          combine(*rewriter, combiners[at->second], before, sums[at->second]));
  }
}

/// What the lanes of each row have found together, known to all of them.
SmallVector<Value> RowKernel::combineLanes(ArrayRef<Operation *> combiners,
                                           ValueRange partial) {
  Location loc = current.getLoc();
  SmallVector<Value> found;
  for (auto [combiner, value] : llvm::zip_equal(combiners, partial))
    found.push_back(combineNeighbours(*rewriter, combiner, value,
                                      std::min(numLanes, kWarp)));
  int64_t numWarps = numLanes / kWarp;
  if (numWarps <= 1 || found.empty())
    return found;
  // Each reduction has memory of its own: nobody waits to write it again.
  auto space = gpu::AddressSpaceAttr::get(
      rewriter->getContext(), gpu::GPUDialect::getWorkgroupAddressSpace());
  Value size = index(kWarp);
  Value warp = arith::DivUIOp::create(*rewriter, loc, team->thread, size);
  Value inWarp = arith::RemUIOp::create(*rewriter, loc, team->thread, size);
  Value isFirst = arith::CmpIOp::create(
      *rewriter, loc, arith::CmpIPredicate::eq, inWarp, index(0));
  SmallVector<Value> places;
  auto first = scf::IfOp::create(*rewriter, loc, isFirst);
  {
    OpBuilder::InsertionGuard guard(*rewriter);
    rewriter->setInsertionPointToStart(first.thenBlock());
    for (Value value : found) {
      auto type = MemRefType::get(getNumThreads() / kWarp, value.getType(),
                                  MemRefLayoutAttrInterface(), space);
      places.push_back(team->kernel.addWorkgroupAttribution(type, loc));
      memref::StoreOp::create(*rewriter, loc, value, places.back(), warp);
    }
  }
  gpu::BarrierOp::create(*rewriter, loc);
  Value begin = arith::MulIOp::create(*rewriter, loc, row, index(numWarps));
  for (int64_t i = 0; i < numWarps; ++i) {
    Value at = arith::AddIOp::create(*rewriter, loc, begin, index(i));
    for (auto [n, place] : llvm::enumerate(places)) {
      Value value = memref::LoadOp::create(*rewriter, loc, place, at);
      found[n] =
          i == 0 ? value : combine(*rewriter, combiners[n], found[n], value);
    }
  }
  return found;
}

void RowKernel::write(RewriterBase &rewriter, ThreadTeam &team) {
  this->rewriter = &rewriter;
  this->team = &team;
  for (LinalgOp op : members) {
    current = op;
    rewriter.setInsertionPoint(op);
    Location loc = op.getLoc();
    if (!row) {
      Value size = index(numLanes);
      row = arith::DivUIOp::create(rewriter, loc, team.thread, size);
      lane = arith::RemUIOp::create(rewriter, loc, team.thread, size);
      findColumns();
    }
    if (hasColumns(op))
      writeColumns(op);
    else
      writeRow(op);
  }
  llvm::SetVector<Value> temporaries;
  for (LinalgOp op : members) {
    for (Value output : op.getDpsInits())
      if (isTemporary(output))
        temporaries.insert(output);
    rewriter.eraseOp(op);
  }
  for (Value temporary : temporaries)
    rewriter.eraseOp(temporary.getDefiningOp());
}
