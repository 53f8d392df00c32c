//===- ChooseLayouts.cpp - In which order arrays are stored ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-choose-layouts`. Loops over the last dimension of an array, as NumPy
/// programs of tridiagonal systems have them, `p[1:-1, j] = ... p[1:-1, j -
/// 1]`, go through memory in strides: each element is in a cache line of its
/// own, and none is computed beside others. Such an array is stored with
/// another dimension as the innermost one.
///
///  1. *Arrays*: loops, branches, updates and slices of whole arrays pass one
///     on; so does what only changes the dimensions in front, as stacks of
///     arrays do. All of these values have one layout.
///  2. *Costs*: cache lines that parts of the array are in, in all iterations,
///     and copies to and from the layout where other ops make the array or
///     read it as a whole.
///  3. The values get other types, and offsets of slices and updates are
///     exchanged.
///
/// Invariant: an op that is not one of these sees the value it had before.
///
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "passes/LoopAccesses.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/SmallVectorExtras.h"
#include "llvm/ADT/TypeSwitch.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADCHOOSELAYOUTS
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

/// Smaller arrays are left as they are.
static constexpr int64_t kLeastElements = 512;
/// So often a loop runs of which nothing is known.
static constexpr double kUnknownTrips = 16;
static constexpr int64_t kLineElements = 8;
/// Accesses to an element that a copy from one layout to another takes as long
/// as, and how much better a layout has to be.
static constexpr double kCopy = 1.5, kBetter = 0.75;
/// Of long programs no more is looked at, so that it stays quick.
static constexpr size_t kMostValues = 512;

//===----------------------------------------------------------------------===//
// Parts
//===----------------------------------------------------------------------===//

static ArrayRef<int64_t> shapeOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape();
}

/// The elements, if all are one constant.
static SplatElementsAttr getSplatElements(Value value) {
  SplatElementsAttr splat;
  matchPattern(value, m_Constant(&splat));
  return splat;
}

/// How often a place of the program is run, in one run of the program.
static double countRuns(Operation *op) {
  double runs = 1;
  while ((op = op->getParentOp())) {
    if (auto loop = dyn_cast<scf::ForOp>(op)) {
      std::optional<APInt> trips = loop.getStaticTripCount();
      runs *= trips ? trips->getSExtValue() : kUnknownTrips;
    } else if (isa<scf::WhileOp>(op)) {
      runs *= kUnknownTrips;
    }
  }
  return runs;
}

/// Whether elements stay in their order when the dimensions of a tensor are
/// exchanged.
static bool isReshape(ArrayRef<int64_t> permutation, ArrayRef<int64_t> shape) {
  return llvm::is_sorted(llvm::filter_to_vector(
      permutation, [&](int64_t dimension) { return shape[dimension] != 1; }));
}

/// `value` with the dimensions in another order.
static Value reorder(OpBuilder &builder, Value value,
                     ArrayRef<int64_t> permutation) {
  ArrayRef<int64_t> shape = shapeOf(value);
  if (!isReshape(permutation, shape))
    return TransposeOp::create(builder, value.getLoc(), value, permutation);
  SmallVector<int64_t> other = llvm::map_to_vector(
      permutation, [&](int64_t dimension) { return shape[dimension]; });
  return ReshapeOp::create(builder, value.getLoc(), value, other);
}

//===----------------------------------------------------------------------===//
// Arrays
//===----------------------------------------------------------------------===//

namespace {

/// All values that are one array, or a stack of such arrays: the last `rank`
/// dimensions are exchanged, for all in the same way.
class LaidOutArray {
public:
  LaidOutArray(Value first, int64_t rank) : rank(rank) {
    add(first);
    while (!worklist.empty())
      visit(worklist.pop_back_val());
  }

  ArrayRef<Value> getValues() const { return values.getArrayRef(); }

  /// Finds the best layout; whether it is better than that of NumPy.
  bool choose();
  void apply();

private:
  void add(Value value) {
    if (values.insert(value))
      worklist.push_back(value);
  }
  void visit(Value value);
  bool addOrigin(Value value);
  void addUse(OpOperand &use);

  bool isWhole(Operation *op) const {
    return shapeOf(getPart(op)).take_back(rank) ==
           shapeOf(op->getOperand(0)).take_back(rank);
  }
  bool keepsLast(ReshapeOp op) const {
    ArrayRef<int64_t> from = shapeOf(op.getX()), to = shapeOf(op.getResult());
    return int64_t(from.size()) >= rank && int64_t(to.size()) >= rank &&
           from.take_back(rank) == to.take_back(rank);
  }
  /// Whether another op does not make the value, so that its type can change.
  bool isPassedOn(Value value) const {
    return values.contains(value) && !made.contains(value);
  }
  bool isInside(OpOperand &use) const;
  bool isPartAccess(Operation *op) const {
    return (isSlice(op) ||
            (isPartUpdate(op) && isPassedOn(op->getResult(0)))) &&
           !isWhole(op);
  }

  void countNeighbours(ArrayRef<Operation *> accesses);
  double countLines(Operation *access, ArrayRef<int64_t> order) const;
  double countCopies() const;
  SmallVector<int64_t> getPermutation(int64_t fullRank) const;
  SmallVector<int64_t> getInverse(int64_t fullRank) const;
  Type exchange(Type type) const;
  Value createMade(Value value) const;
  void exchangeOffsets(Operation *op) const;

  int64_t rank;
  SetVector<Value> values;
  DenseSet<Value> made; ///< Of them, those that another op makes.
  SmallVector<Value> worklist;
  SmallVector<int64_t> order; ///< Of the last dimensions.
  /// How many indices single elements have that an iteration of a loop
  /// accesses, by its body and the dimension, which counts from the first of
  /// the last.
  DenseMap<std::pair<Block *, int64_t>, int64_t> neighbours;
};

} // namespace

/// Adds what the value is another version of; false if another op makes it.
bool LaidOutArray::addOrigin(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    auto loop = dyn_cast<scf::ForOp>(argument.getOwner()->getParentOp());
    if (!loop || argument == loop.getInductionVar())
      return false;
    add(loop.getTiedLoopResult(argument));
    return true;
  }
  auto result = cast<OpResult>(value);
  return llvm::TypeSwitch<Operation *, bool>(result.getOwner())
      .Case([&](scf::ForOp op) {
        unsigned number = result.getResultNumber();
        add(op.getInitArgs()[number]);
        add(op.getRegionIterArg(number));
        add(op.getYieldedValues()[number]);
        return true;
      })
      .Case([&](scf::IfOp op) {
        for (Region *region : op.getRegions())
          add(cast<scf::YieldOp>(region->front().getTerminator())
                  .getResults()[result.getResultNumber()]);
        return true;
      })
      .Case<UpdateSliceOp, DynamicUpdateSliceOp, AddSliceOp, DynamicAddSliceOp>(
          [&](auto op) {
            add(op.getX());
            if (isWhole(op))
              add(op.getUpdate());
            return true;
          })
      .Case<SliceOp, DynamicSliceOp>([&](auto op) {
        if (int64_t(shapeOf(op.getX()).size()) < rank || !isWhole(op))
          return false;
        add(op.getX());
        return true;
      })
      .Case([&](ReshapeOp op) {
        if (!keepsLast(op))
          return false;
        add(op.getX());
        return true;
      })
      .Default([](Operation *) { return false; });
}

/// Adds what the use makes of the array, if it is a version of it.
void LaidOutArray::addUse(OpOperand &use) {
  Operation *op = use.getOwner();
  llvm::TypeSwitch<Operation *>(op)
      .Case([&](scf::ForOp loop) {
        if (BlockArgument argument = loop.getTiedLoopRegionIterArg(&use))
          add(argument);
      })
      .Case([&](scf::YieldOp) {
        if (isa<scf::ForOp, scf::IfOp>(op->getParentOp()))
          add(op->getParentOp()->getResult(use.getOperandNumber()));
      })
      .Case<UpdateSliceOp, DynamicUpdateSliceOp, AddSliceOp, DynamicAddSliceOp>(
          [&](auto) {
            if (use.getOperandNumber() == 0 ||
                (use.getOperandNumber() == 1 && isWhole(op)))
              add(op->getResult(0));
          })
      .Case<SliceOp, DynamicSliceOp>([&](auto) {
        if (use.getOperandNumber() == 0 && isWhole(op))
          add(op->getResult(0));
      })
      .Case([&](ReshapeOp reshape) {
        if (keepsLast(reshape))
          add(op->getResult(0));
      });
}

void LaidOutArray::visit(Value value) {
  if (values.size() > kMostValues)
    return;
  if (!addOrigin(value))
    made.insert(value);
  for (OpOperand &use : value.getUses())
    // What else is done with a value that others make is no matter of this one.
    if (!made.contains(value) || isSlice(use.getOwner()))
      addUse(use);
}

/// Whether the use is one of those that pass the array on or access parts.
bool LaidOutArray::isInside(OpOperand &use) const {
  Operation *op = use.getOwner();
  unsigned number = use.getOperandNumber();
  return llvm::TypeSwitch<Operation *, bool>(op)
      .Case([&](scf::ForOp loop) {
        BlockArgument argument = loop.getTiedLoopRegionIterArg(&use);
        return argument && isPassedOn(argument);
      })
      .Case([&](scf::YieldOp) {
        return isa<scf::ForOp, scf::IfOp>(op->getParentOp()) &&
               isPassedOn(op->getParentOp()->getResult(number));
      })
      .Case<UpdateSliceOp, DynamicUpdateSliceOp, AddSliceOp, DynamicAddSliceOp>(
          [&](auto) {
            return (number == 0 || (number == 1 && isWhole(op))) &&
                   isPassedOn(op->getResult(0));
          })
      .Case<SliceOp, DynamicSliceOp>([&](auto) {
        return number == 0 && (!isWhole(op) || isPassedOn(op->getResult(0)));
      })
      .Case([&](ReshapeOp reshape) {
        return keepsLast(reshape) && isPassedOn(op->getResult(0));
      })
      .Default([](Operation *) { return false; });
}

//===----------------------------------------------------------------------===//
// Costs
//===----------------------------------------------------------------------===//

void LaidOutArray::countNeighbours(ArrayRef<Operation *> accesses) {
  DenseMap<std::pair<Block *, int64_t>, DenseSet<Value>> indices;
  for (Operation *access : accesses)
    if (findDirection(access))
      for (auto [d, index] :
           llvm::enumerate(getIndices(access).take_back(rank)))
        indices[{access->getBlock(), d}].insert(index);
  for (const auto &[place, values] : indices)
    neighbours[place] = values.size();
}

/// How many cache lines the part is in that is read or written; more if it has
/// to be transposed for the other ops.
double LaidOutArray::countLines(Operation *access,
                                ArrayRef<int64_t> order) const {
  Value part = getPart(access);
  ArrayRef<int64_t> sizes = shapeOf(part).take_back(rank);
  double elements = cast<RankedTensorType>(part.getType()).getNumElements();
  double inner = std::clamp<int64_t>(sizes[order.back()], 1, kLineElements);
  int64_t before = shapeOf(part).size() - rank;
  if (std::optional<Direction> direction = findDirection(access))
    inner = direction->dimension - before == order.back()
                ? kLineElements
                : std::clamp<int64_t>(
                      neighbours.lookup({access->getBlock(), order.back()}), 1,
                      kLineElements);
  return countRuns(access) * elements *
         (1 / inner + (isReshape(order, sizes) ? 0 : kCopy));
}

/// What it takes to bring values into the layout and back.
double LaidOutArray::countCopies() const {
  double cost = 0;
  for (Value value : values) {
    double elements = cast<RankedTensorType>(value.getType()).getNumElements();
    Operation *def = value.getDefiningOp();
    if (made.contains(value)) {
      if (def && (isa<tensor::EmptyOp>(def) || getSplatElements(value)))
        continue;
    } else if (llvm::all_of(value.getUses(),
                            [&](OpOperand &use) { return isInside(use); })) {
      continue;
    }
    Operation *place = def ? def : &value.getParentBlock()->front();
    cost += countRuns(place) * elements * kCopy;
  }
  return cost;
}

bool LaidOutArray::choose() {
  if (values.size() > kMostValues)
    return false;
  SmallVector<Operation *> accesses;
  for (Value value : values)
    for (OpOperand &use : value.getUses())
      if (use.getOperandNumber() == 0 && isPartAccess(use.getOwner()))
        accesses.push_back(use.getOwner());
  countNeighbours(accesses);
  SmallVector<int64_t> identity = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  auto count = [&](ArrayRef<int64_t> order) {
    double lines = 0;
    for (Operation *access : accesses)
      lines += countLines(access, order);
    return lines;
  };
  double least = count(identity) * kBetter - countCopies();
  // Those behind the innermost dimension go in front, so that the others are in
  // the order in which parts have them.
  for (int64_t inner = rank - 1; inner-- > 0;) {
    SmallVector<int64_t> other = identity;
    std::rotate(other.begin(), other.begin() + inner + 1, other.end());
    if (double lines = count(other); lines < least) {
      least = lines;
      order = other;
    }
  }
  return !order.empty();
}

//===----------------------------------------------------------------------===//
// Another layout
//===----------------------------------------------------------------------===//

/// Which dimension of a value comes in each place.
SmallVector<int64_t> LaidOutArray::getPermutation(int64_t fullRank) const {
  SmallVector<int64_t> permutation =
      llvm::to_vector(llvm::seq<int64_t>(0, fullRank));
  for (auto [i, dimension] : llvm::enumerate(order))
    permutation[fullRank - rank + i] = fullRank - rank + dimension;
  return permutation;
}

SmallVector<int64_t> LaidOutArray::getInverse(int64_t fullRank) const {
  SmallVector<int64_t> inverse(fullRank);
  for (auto [i, dimension] : llvm::enumerate(getPermutation(fullRank)))
    inverse[dimension] = i;
  return inverse;
}

template <typename Range>
static auto permute(const Range &range, ArrayRef<int64_t> permutation) {
  return llvm::map_to_vector(permutation, [&](int64_t i) { return range[i]; });
}

Type LaidOutArray::exchange(Type type) const {
  auto tensor = cast<RankedTensorType>(type);
  return tensor.clone(
      permute(tensor.getShape(), getPermutation(tensor.getRank())));
}

/// The value in the layout.
Value LaidOutArray::createMade(Value value) const {
  OpBuilder builder(value.getContext());
  builder.setInsertionPointAfterValue(value);
  auto type = cast<RankedTensorType>(exchange(value.getType()));
  if (value.getDefiningOp<tensor::EmptyOp>())
    return tensor::EmptyOp::create(builder, value.getLoc(), type.getShape(),
                                   type.getElementType());
  if (SplatElementsAttr splat = getSplatElements(value))
    return ConstantOp::create(builder, value.getLoc(), type,
                              splat.resizeSplat(type));
  return TransposeOp::create(builder, value.getLoc(), value,
                             getPermutation(type.getRank()));
}

/// Exchanges the dimensions of what the op accesses.
void LaidOutArray::exchangeOffsets(Operation *op) const {
  SmallVector<int64_t> permutation =
      getPermutation(shapeOf(op->getOperand(0)).size());
  auto exchangeIndices = [&](auto op) {
    op.getIndicesMutable().assign(permute(op.getIndices(), permutation));
  };
  auto exchangeStrides = [&](auto op) {
    op.setOffsets(permute(op.getOffsets(), permutation));
    op.setStrides(permute(op.getStrides(), permutation));
  };
  llvm::TypeSwitch<Operation *>(op)
      .Case([&](SliceOp op) {
        exchangeStrides(op);
        op.setSizes(permute(op.getSizes(), permutation));
      })
      .Case([&](DynamicSliceOp op) {
        exchangeIndices(op);
        op.setSizes(permute(op.getSizes(), permutation));
      })
      .Case<UpdateSliceOp, AddSliceOp>(exchangeStrides)
      .Case<DynamicUpdateSliceOp, DynamicAddSliceOp>(exchangeIndices);
}

void LaidOutArray::apply() {
  SmallVector<std::pair<OpOperand *, Value>> entries; ///< Uses of what is made.
  SmallVector<std::pair<Value, SmallVector<OpOperand *>>> exits;
  SetVector<Operation *> parts, wholes;
  for (Value value : values) {
    SmallVector<OpOperand *> outside;
    for (OpOperand &use : value.getUses()) {
      Operation *op = use.getOwner();
      if (!isInside(use)) {
        outside.push_back(&use);
        continue;
      }
      if (made.contains(value))
        entries.push_back({&use, value});
      if (isPartAccess(op))
        parts.insert(op);
      else if (isSlice(op) || isPartUpdate(op) || isa<ReshapeOp>(op))
        wholes.insert(op);
    }
    if (!made.contains(value) && !outside.empty())
      exits.push_back({value, outside});
  }

  DenseMap<Value, Value> exchanged;
  for (auto [use, value] : entries) {
    Value &other = exchanged[value];
    if (!other)
      other = createMade(value);
    use->set(other);
  }
  for (Value value : values)
    if (!made.contains(value))
      value.setType(exchange(value.getType()));

  for (Operation *op : wholes)
    if (auto reshape = dyn_cast<ReshapeOp>(op))
      reshape.setShape(shapeOf(reshape.getResult()));
    else
      exchangeOffsets(op);
  for (Operation *op : parts) {
    exchangeOffsets(op);
    OpBuilder builder(op);
    Value part = getPart(op);
    int64_t fullRank = shapeOf(part).size();
    if (isPartUpdate(op)) {
      op->setOperand(1, reorder(builder, part, getPermutation(fullRank)));
      continue;
    }
    part.setType(exchange(part.getType()));
    builder.setInsertionPointAfter(op);
    Value back = reorder(builder, part, getInverse(fullRank));
    part.replaceAllUsesExcept(back, back.getDefiningOp());
  }
  for (auto &[value, uses] : exits) {
    OpBuilder builder(value.getContext());
    builder.setInsertionPointAfterValue(value);
    Value back = TransposeOp::create(builder, value.getLoc(), value,
                                     getInverse(shapeOf(value).size()));
    for (OpOperand *use : uses)
      use->set(back);
  }
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {

struct GradChooseLayouts
    : grad::impl::GradChooseLayoutsBase<GradChooseLayouts> {
  using GradChooseLayoutsBase::GradChooseLayoutsBase;

  void runOnOperation() override {
    SmallVector<std::pair<Value, int64_t>> strided;
    getOperation().walk([&](Operation *op) {
      if (std::optional<int64_t> rank = findStridedRank(op))
        strided.push_back(
            {isSlice(op) ? op->getOperand(0) : op->getResult(0), *rank});
    });
    DenseSet<Value> seen;
    for (auto [value, rank] : strided) {
      if (seen.contains(value))
        continue;
      LaidOutArray array(value, rank);
      seen.insert(array.getValues().begin(), array.getValues().end());
      if (!array.choose())
        continue;
      array.apply();
      ++numExchanged;
    }
  }

private:
  /// Of an access in a loop that goes along another dimension than the last
  /// one: the number of dimensions from the first one that it goes along.
  static std::optional<int64_t> findStridedRank(Operation *op) {
    if ((!isSlice(op) && !isPartUpdate(op)) ||
        !op->getParentOfType<LoopLikeOpInterface>())
      return std::nullopt;
    ArrayRef<int64_t> sizes = shapeOf(getPart(op));
    auto type = cast<RankedTensorType>(op->getOperand(0).getType());
    if (sizes.empty() || sizes.back() != 1 || !type.hasStaticShape() ||
        type.getShape().back() == 1 || type.getNumElements() < kLeastElements)
      return std::nullopt;
    int64_t rank = sizes.size();
    if (std::optional<Direction> direction = findDirection(op))
      return direction->dimension + 1 < rank
                 ? std::optional(rank - direction->dimension)
                 : std::nullopt;
    const auto *first =
        llvm::find_if(sizes, [](int64_t size) { return size > 1; });
    if (first == sizes.end())
      return std::nullopt;
    return sizes.end() - first;
  }
};

} // namespace
