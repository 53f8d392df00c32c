//===- RowLoops.cpp - Loops over rows that run at once --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The rows of an iteration are known if where they begin is a linear function
/// of the counter, as in loops from the last row to the first one, and in loops
/// over tiles of rows. Slices of tensors are clamped to where there are rows;
/// how often a loop can run, which follows from the sizes of arguments, tells
/// that they do not have to be.
///
/// A sum is a number that the loop carries, or a buffer that one op of it adds
/// to.
///
//===----------------------------------------------------------------------===//

#include "passes/RowLoops.h"
#include "dialect/ControlFlow.h"
#include "passes/BufferPlace.h"
#include "passes/BufferSize.h"
#include "passes/Kernels.h"
#include "runtime/OpenSizes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::grad;
using linalg::LinalgOp;

//===----------------------------------------------------------------------===//
// How large numbers are
//===----------------------------------------------------------------------===//

namespace {

/// The largest value that an integer can have; none if that is not known.
class Largest {
public:
  std::optional<int64_t> of(Value value) {
    if (std::optional<int64_t> constant = getConstantIntValue(value))
      return constant;
    if (depth == kMostDepth || ++steps > kMostSteps)
      return std::nullopt;
    ++depth;
    std::optional<int64_t> found = find(value);
    --depth;
    return found;
  }

private:
  static constexpr int kMostDepth = 16, kMostSteps = 256;

  std::optional<int64_t> find(Value value);
  std::optional<int64_t> inBuffer(Value buffer);
  /// Of a number that is one of two.
  std::optional<int64_t> ofEither(Value a, Value b) {
    std::optional<int64_t> first = of(a), second = of(b);
    return first && second ? std::max(first, second) : std::nullopt;
  }

  int depth = 0, steps = 0;
};

} // namespace

std::optional<int64_t> Largest::find(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    auto op = dyn_cast<LinalgOp>(argument.getOwner()->getParentOp());
    return op ? inBuffer(op->getOperand(argument.getArgNumber()))
              : std::nullopt;
  }
  return llvm::TypeSwitch<Operation *, std::optional<int64_t>>(
             value.getDefiningOp())
      .Case<arith::IndexCastOp, arith::ExtSIOp>(
          [&](Operation *op) { return of(op->getOperand(0)); })
      .Case([&](arith::AddIOp op) -> std::optional<int64_t> {
        std::optional<int64_t> a = of(op.getLhs()), b = of(op.getRhs());
        int64_t sum;
        if (!a || !b || llvm::AddOverflow(*a, *b, sum))
          return std::nullopt;
        return sum;
      })
      .Case([&](arith::MinSIOp op) -> std::optional<int64_t> {
        std::optional<int64_t> a = of(op.getLhs()), b = of(op.getRhs());
        return a && b ? std::min(a, b) : (a ? a : b);
      })
      .Case(
          [&](arith::MaxSIOp op) { return ofEither(op.getLhs(), op.getRhs()); })
      .Case([&](arith::SelectOp op) {
        return ofEither(op.getTrueValue(), op.getFalseValue());
      })
      .Case([&](memref::LoadOp op) {
        return op.getIndices().empty() ? inBuffer(op.getMemRef())
                                       : std::nullopt;
      })
      .Default([](Operation *) { return std::nullopt; });
}

/// Of the number in a buffer without dimensions.
std::optional<int64_t> Largest::inBuffer(Value buffer) {
  auto type = dyn_cast<MemRefType>(buffer.getType());
  if (!type || type.getRank() != 0 || !type.getElementType().isIntOrIndex())
    return std::nullopt;
  if (auto argument = dyn_cast<BlockArgument>(buffer)) {
    auto function = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp());
    if (!function)
      return std::nullopt;
    // An array, its dimension, and the argument that is the size along it.
    if (auto sizes = function->getAttrOfType<DenseI64ArrayAttr>(
            gradopt::kArgumentSizesAttr)) {
      ArrayRef<int64_t> triples = sizes.asArrayRef();
      for (; triples.size() >= 3; triples = triples.drop_front(3))
        if (triples[2] == argument.getArgNumber())
          return cast<ShapedType>(function.getArgumentTypes()[triples[0]])
              .getDimSize(triples[1]);
    }
    // Nobody reads a result before it is written.
    if (!function.getArgAttr(argument.getArgNumber(), "grad.result"))
      return std::nullopt;
  } else if (!buffer.getDefiningOp<memref::AllocOp>()) {
    return std::nullopt;
  }
  // What the only op that writes it leaves there.
  std::optional<int64_t> found;
  unsigned numWriters = 0;
  for (OpOperand &use : buffer.getUses()) {
    Operation *user = use.getOwner();
    if (auto op = dyn_cast<LinalgOp>(user)) {
      if (!op.isDpsInit(&use))
        continue;
      found = of(op.getMatchingYieldValue(&use)->get());
    } else if (auto store = dyn_cast<memref::StoreOp>(user)) {
      found = of(store.getValue());
    } else if (auto copy = dyn_cast<memref::CopyOp>(user)) {
      if (copy.getSource() == buffer)
        continue;
      found = inBuffer(copy.getSource());
    } else if (isa<memref::LoadOp>(user)) {
      continue;
    } else {
      return std::nullopt;
    }
    ++numWriters;
  }
  return numWriters == 1 ? found : std::nullopt;
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

namespace {

/// What an index is of the counter: `first + factor * counter`, where the
/// number of iterations less one is added for a negative factor.
struct Place {
  int64_t factor = 1, first = 0;

  bool operator==(const Place &other) const {
    return factor == other.factor && first == other.first;
  }
};

/// The rows of an iteration: the dimension that they are along, and the place
/// of the first one of `|factor|`.
struct Rows {
  unsigned dim;
  Place place;

  bool operator==(const Rows &other) const {
    return dim == other.dim && place == other.place;
  }
};

class RowLoop {
public:
  explicit RowLoop(scf::ForOp loop) : loop(loop) {}

  /// Whether its iterations may run at once, but for sums, and are worth it.
  bool isParallel();
  bool hasSums() { return loop.getNumResults() != 0 || !sums.empty(); }
  void mark();
  /// Whether there is enough to do for several chunks.
  bool isDivisible();
  void divide();

private:
  /// An access of memory from outside of the loop.
  struct Access {
    Operation *op;
    Value root;
    bool isWrite;
    SmallVector<Rows, 2> rows; ///< That it is in.
  };

  bool addOp(Operation *op);
  bool addAccess(Operation *op, Value buffer, bool isWrite,
                 ValueRange indices = {});
  bool carriesSums();
  /// Whether all that the loop does with a buffer is that one op adds to it.
  bool isSum(Value root);
  void shareTemporaries();
  std::optional<Place> getPlace(Value value);
  void findWork();
  bool fitsSharedMemory() const;

  scf::ForOp loop;
  int64_t most = 0; ///< Iterations.
  int64_t work = 1; ///< Of one of them, in its longest nest.
  int64_t numChunks = 1;
  llvm::SetVector<Value> sums; ///< Buffers.
  SmallVector<Access> accesses;
  SmallVector<memref::AllocOp> temporaries;
};

} // namespace

std::optional<Place> RowLoop::getPlace(Value value) {
  if (value == loop.getInductionVar())
    return Place();
  Operation *op = value.getDefiningOp();
  if (isa_and_nonnull<arith::IndexCastOp>(op))
    return getPlace(op->getOperand(0));
  // The number of iterations less one, less the counter.
  if (auto difference = dyn_cast_or_null<arith::SubIOp>(op)) {
    auto last = difference.getLhs().getDefiningOp<arith::SubIOp>();
    std::optional<Place> place = getPlace(difference.getRhs());
    if (!last || last.getLhs() != loop.getUpperBound() ||
        !isConstantIntValue(last.getRhs(), 1) || !place || !(*place == Place()))
      return std::nullopt;
    return Place{-1, 0};
  }
  if (!isa_and_nonnull<arith::AddIOp, arith::MulIOp, arith::MaxSIOp,
                       arith::MinSIOp>(op))
    return std::nullopt;
  std::optional<Place> place = getPlace(op->getOperand(0));
  std::optional<int64_t> constant = getConstantIntValue(op->getOperand(1));
  if (!place || !constant)
    return std::nullopt;
  if (isa<arith::AddIOp>(op))
    return Place{place->factor, place->first + *constant};
  if (isa<arith::MulIOp>(op)) {
    if (*constant <= 0 || place->factor < 0)
      return std::nullopt;
    return Place{place->factor * *constant, place->first * *constant};
  }
  // Clamps that change nothing.
  int64_t last = place->first + std::abs(place->factor) * (most - 1);
  bool isIdle =
      isa<arith::MaxSIOp>(op) ? *constant <= place->first : last <= *constant;
  return isIdle ? place : std::nullopt;
}

bool RowLoop::addAccess(Operation *op, Value buffer, bool isWrite,
                        ValueRange indices) {
  if (!isa<MemRefType>(buffer.getType()))
    return true;
  Access access{op, buffer, isWrite, {}};
  SmallVector<OpFoldResult> places(indices.begin(), indices.end());
  SmallVector<OpFoldResult> counts(places.size(),
                                   Builder(loop.getContext()).getIndexAttr(1));
  while (loop.getRegion().isAncestor(access.root.getParentRegion())) {
    auto view = access.root.getDefiningOp<ViewLikeOpInterface>();
    if (!view) // What is allocated in the loop is of one iteration.
      return static_cast<bool>(access.root.getDefiningOp<memref::AllocOp>());
    places.clear();
    if (auto part = dyn_cast<memref::SubViewOp>(view.getOperation())) {
      places = part.getMixedOffsets();
      counts = part.getMixedSizes();
      if (!llvm::all_of(part.getMixedStrides(), [](OpFoldResult stride) {
            return isConstantIntValue(stride, 1);
          }))
        places.clear();
    }
    access.root = view.getViewSource();
  }
  for (auto [dim, at] : llvm::enumerate(places))
    if (auto value = dyn_cast_or_null<Value>(at)) {
      std::optional<Place> place = getPlace(value);
      std::optional<int64_t> count = getConstantIntValue(counts[dim]);
      // Those of one iteration end where those of the next one begin, or
      // before.
      if (place && count && *count <= std::abs(place->factor))
        access.rows.push_back({unsigned(dim), *place});
    }
  accesses.push_back(std::move(access));
  return true;
}

bool RowLoop::addOp(Operation *op) {
  if (auto linalgOp = dyn_cast<LinalgOp>(op)) {
    for (OpOperand &operand : op->getOpOperands())
      if (!addAccess(op, operand.get(), linalgOp.isDpsInit(&operand)))
        return false;
    return linalgOp.hasPureBufferSemantics() && !linalgOp.hasDynamicShape();
  }
  if (auto copy = dyn_cast<memref::CopyOp>(op))
    return addAccess(op, copy.getSource(), false) &&
           addAccess(op, copy.getTarget(), true);
  if (auto load = dyn_cast<memref::LoadOp>(op))
    return addAccess(op, load.getMemRef(), false, load.getIndices());
  if (auto store = dyn_cast<memref::StoreOp>(op))
    return addAccess(op, store.getMemRef(), true, store.getIndices());
  if (auto alloc = dyn_cast<memref::AllocOp>(op)) {
    temporaries.push_back(alloc);
    return alloc->getBlock() == loop.getBody();
  }
  // What a branch or another loop returns is not followed.
  if (op != loop &&
      llvm::any_of(op->getResultTypes(), llvm::IsaPred<BaseMemRefType>))
    return isa<ViewLikeOpInterface, memref::GetGlobalOp>(op);
  return isMemoryEffectFree(op) || isa<scf::ForOp, scf::IfOp>(op);
}

void RowLoop::findWork() {
  loop.walk([&](Operation *op) {
    int64_t iterations = 1;
    if (auto linalgOp = dyn_cast<LinalgOp>(op))
      for (int64_t size : linalgOp.getStaticLoopRanges())
        iterations *= std::max<int64_t>(size, 1);
    else if (auto copy = dyn_cast<memref::CopyOp>(op))
      iterations =
          cast<ShapedType>(copy.getSource().getType()).getNumElements();
    work = std::max(work, iterations);
  });
}

/// Whether `value` is a sum of `part`, which nothing else uses, and something
/// that may be added in any order.
static bool isAddedTo(Value value, Value part) {
  auto sum = value.getDefiningOp<arith::AddFOp>();
  return sum && part.hasOneUse() && *part.user_begin() == sum &&
         value.hasOneUse() && sum.getLhs() != sum.getRhs() &&
         bitEnumContainsAll(sum.getFastmath(), arith::FastMathFlags::reassoc);
}

bool RowLoop::carriesSums() {
  return llvm::all_of(
      llvm::zip_equal(loop.getRegionIterArgs(), loop.getYieldedValues()),
      [](auto carried) {
        auto [before, after] = carried;
        return isAddedTo(after, before);
      });
}

bool RowLoop::isSum(Value root) {
  LinalgOp op;
  for (const Access &access : accesses)
    if (access.root == root) {
      auto accessing = dyn_cast<LinalgOp>(access.op);
      if (!accessing || (op && op != accessing))
        return false;
      op = accessing;
    }
  if (!op || op->getBlock() != loop.getBody() ||
      llvm::count(op.getDpsInits(), root) != 1)
    return false;
  OpOperand *written = nullptr, *read = nullptr;
  for (OpOperand &operand : op->getOpOperands()) {
    if (operand.get() != root)
      continue;
    if (op.isDpsInit(&operand))
      written = &operand;
    else if (!std::exchange(read, &operand))
      continue;
    else
      return false;
  }
  // A view of it is an operand with this root, too.
  auto isOfRoot = [&](const Access &access) { return access.root == root; };
  if (llvm::count_if(accesses, isOfRoot) != (read ? 2 : 1))
    return false;
  Value yielded = op.getMatchingYieldValue(written)->get();
  BlockArgument before = op.getMatchingBlockArgument(written);
  if (!read)
    return isAddedTo(yielded, before);
  AffineMap map = op.getMatchingIndexingMap(written);
  return before.use_empty() && map.isPermutation() &&
         op.getMatchingIndexingMap(read) == map &&
         isAddedTo(yielded, op.getMatchingBlockArgument(read));
}

bool RowLoop::fitsSharedMemory() const {
  constexpr int64_t kMostBytes = 16 * 1024, kAlignment = 16;
  int64_t bytes = 0;
  for (memref::AllocOp alloc : temporaries) {
    std::optional<int64_t> size = getByteSize(alloc.getType());
    if (!size)
      return false;
    bytes += llvm::alignTo(*size, kAlignment);
  }
  return bytes <= kMostBytes;
}

bool RowLoop::isParallel() {
  constexpr int64_t kFewIterations = 4096;
  if (!isConstantIntValue(loop.getStep(), 1) ||
      !isConstantIntValue(loop.getLowerBound(), 0) ||
      getConstantIntValue(loop.getUpperBound()) || !carriesSums())
    return false;
  std::optional<int64_t> largest = Largest().of(loop.getUpperBound());
  if (std::optional<int64_t> count = getMaxTripCount(loop))
    largest = std::min(*count, largest.value_or(*count));
  if (!largest)
    return false;
  most = *largest;
  findWork();
  auto visit = [&](Operation *op) {
    return op == loop || addOp(op) ? WalkResult::advance()
                                   : WalkResult::interrupt();
  };
  // What one block of threads does soon is not worth more of them.
  if (most <= 1 || work <= kFewIterations / most ||
      loop.walk(visit).wasInterrupted() || !fitsSharedMemory())
    return false;
  for (const Access &write : accesses) {
    if (!write.isWrite || sums.contains(write.root))
      continue;
    BufferPlace place = findPlace(write.root);
    if (llvm::any_of(accesses, [&](const Access &other) {
          return other.root != write.root &&
                 mayShareBytes(findPlace(other.root), place);
        }))
      return false;
    auto isOwn = [&](const Rows &rows) {
      return llvm::all_of(accesses, [&](const Access &other) {
        return other.root != write.root || llvm::is_contained(other.rows, rows);
      });
    };
    if (llvm::any_of(write.rows, isOwn))
      continue;
    if (!isSum(write.root))
      return false;
    sums.insert(write.root);
  }
  return true;
}

/// Moves a buffer, with its views, to another space of memory.
static void setMemorySpace(Value buffer, Attribute space) {
  auto type = cast<MemRefType>(buffer.getType());
  buffer.setType(MemRefType::get(type.getShape(), type.getElementType(),
                                 type.getLayout(), space));
  for (Operation *user : buffer.getUsers())
    if (auto view = dyn_cast<ViewLikeOpInterface>(user))
      setMemorySpace(view.getViewDest(), space);
}

void RowLoop::shareTemporaries() {
  auto space = gpu::AddressSpaceAttr::get(
      loop.getContext(), gpu::GPUDialect::getWorkgroupAddressSpace());
  for (memref::AllocOp alloc : temporaries)
    setMemorySpace(alloc, space);
}

void RowLoop::mark() {
  Builder builder(loop.getContext());
  shareTemporaries();
  loop->setAttr(kParallelAttr, builder.getUnitAttr());
  loop->setAttr(kMostIterationsAttr, builder.getI64IntegerAttr(most));
}

//===----------------------------------------------------------------------===//
// Chunks
//===----------------------------------------------------------------------===//

bool RowLoop::isDivisible() {
  // Each chunk has something to do; what they find is no large array.
  constexpr int64_t kLeastWork = 2048, kMostChunks = 264, kFewest = 4,
                    kMostElements = 1 << 22;
  numChunks =
      std::min<int64_t>(most / llvm::divideCeil(kLeastWork, work), kMostChunks);
  for (Value sum : sums) {
    int64_t elements = cast<MemRefType>(sum.getType()).getNumElements();
    if (elements == 0)
      return false;
    numChunks = std::min(numChunks, kMostElements / elements);
  }
  return numChunks >= kFewest;
}

/// Adds what chunks have found, along the first dimension, to `result`.
static void addChunks(OpBuilder &builder, Location loc, Value found,
                      Value result) {
  int64_t rank = cast<MemRefType>(result.getType()).getRank();
  MLIRContext *context = builder.getContext();
  AffineMap all = AffineMap::getMultiDimIdentityMap(rank + 1, context);
  SmallVector<utils::IteratorType> kinds(rank + 1,
                                         utils::IteratorType::parallel);
  kinds.front() = utils::IteratorType::reduction;
  linalg::GenericOp::create(
      builder, loc, found, result, ArrayRef{all, all.dropResult(0)}, kinds,
      [&](OpBuilder &body, Location loc, ValueRange elements) {
        Value sum = arith::AddFOp::create(body, loc, elements[1], elements[0],
                                          arith::FastMathFlags::reassoc);
        linalg::YieldOp::create(body, loc, sum);
      });
}

/// Replaces the loop by one over chunks, each of which goes through some
/// iterations and has sums of its own.
void RowLoop::divide() {
  shareTemporaries();
  OpBuilder builder(loop);
  Location loc = loop.getLoc();
  auto index = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(builder, loc, value);
  };
  auto zeroOf = [&](Type type) -> Value {
    return arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type));
  };
  auto allocate = [&](ArrayRef<int64_t> shape, Type element) -> Value {
    return memref::AllocOp::create(builder, loc,
                                   MemRefType::get(shape, element));
  };
  SmallVector<Value> found, numbers;
  for (Value sum : sums) {
    auto type = cast<MemRefType>(sum.getType());
    SmallVector<int64_t> shape = {numChunks};
    llvm::append_range(shape, type.getShape());
    found.push_back(allocate(shape, type.getElementType()));
    linalg::FillOp::create(builder, loc, zeroOf(type.getElementType()),
                           found.back());
  }
  SmallVector<Value> zeros;
  for (Type type : loop.getResultTypes()) {
    numbers.push_back(allocate({numChunks}, type));
    zeros.push_back(zeroOf(type));
  }
  auto chunks =
      scf::ForOp::create(builder, loc, index(0), index(numChunks), index(1));
  chunks->setAttr(kParallelAttr, builder.getUnitAttr());
  builder.setInsertionPointToStart(chunks.getBody());
  // In each chunk, so that the host does not have to know the number of rows.
  Value count =
      arith::MaxSIOp::create(builder, loc, loop.getUpperBound(), index(0));
  Value length = arith::DivUIOp::create(
      builder, loc,
      arith::AddIOp::create(builder, loc, count, index(numChunks - 1)),
      index(numChunks));
  Value chunk = chunks.getInductionVar();
  Value begin = arith::MulIOp::create(builder, loc, chunk, length);
  Value end = arith::MinSIOp::create(
      builder, loc, arith::AddIOp::create(builder, loc, begin, length), count);
  auto rows =
      scf::ForOp::create(builder, loc, begin, end, loop.getStep(), zeros);
  for (auto [number, sum] : llvm::zip_equal(numbers, rows.getResults()))
    memref::StoreOp::create(builder, loc, sum, number, chunk);
  builder.setInsertionPoint(rows);
  for (auto [part, sum] : llvm::zip_equal(found, sums)) {
    auto type = cast<MemRefType>(part.getType());
    SmallVector<OpFoldResult> offsets(type.getRank(), builder.getIndexAttr(0)),
        sizes = getAsIndexOpFoldResult(builder.getContext(), type.getShape()),
        strides(type.getRank(), builder.getIndexAttr(1));
    offsets[0] = chunk;
    sizes[0] = builder.getIndexAttr(1);
    auto shown = cast<MemRefType>(memref::SubViewOp::inferRankReducedResultType(
        type.getShape().drop_front(), type, offsets, sizes, strides));
    Value own = memref::SubViewOp::create(builder, loc, shown, part, offsets,
                                          sizes, strides);
    Value(sum).replaceUsesWithIf(own, [&](OpOperand &use) {
      return loop->isProperAncestor(use.getOwner());
    });
  }
  rows.getRegion().takeBody(loop.getRegion());
  builder.setInsertionPointAfter(chunks);
  for (auto [part, sum] : llvm::zip_equal(found, sums))
    addChunks(builder, loc, part, sum);
  for (auto [number, result, init] :
       llvm::zip_equal(numbers, loop.getResults(), loop.getInitArgs())) {
    Value total = allocate({}, result.getType());
    linalg::FillOp::create(builder, loc, zeroOf(result.getType()), total);
    addChunks(builder, loc, number, total);
    Value sum = memref::LoadOp::create(builder, loc, total);
    result.replaceAllUsesWith(
        arith::AddFOp::create(builder, loc, init, sum).getResult());
  }
  loop.erase();
}

void mlir::grad::markRowLoops(func::FuncOp function) {
  function.walk<WalkOrder::PreOrder>([](scf::ForOp loop) {
    RowLoop rows(loop);
    if (!rows.isParallel() || (rows.hasSums() && !rows.isDivisible()))
      return WalkResult::advance();
    if (rows.hasSums())
      rows.divide();
    else
      rows.mark();
    return WalkResult::skip();
  });
}
