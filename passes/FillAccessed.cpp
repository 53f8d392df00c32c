//===- FillAccessed.cpp - Arrays are filled as far as loops access them ---===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-fill-accessed`. What is as large as it can be, as it holds a number of
/// rows that is known at run time only, begins as one number in all places. If
/// loops access it only in parts, it is filled as far as they do:
///
///  1. *Accesses*: all that is made of the array by updates, loops and
///     branches, and where it is read and written.
///  2. *Ends*: a position is a sum of induction variables and of integers that
///     are known before. Each variable is replaced by where its loop begins or
///     ends, the innermost one first.
///  3. The largest end along each dimension is computed before the array is
///     filled, in a loop over what is before it.
///
/// Invariant: nothing reads what is not filled. An access of which no end is
/// found reaches to the end of the array.
///
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "dialect/Updates.h"
#include "passes/BufferSize.h"
#include "passes/IntegerSums.h"
#include "passes/Passes.h"
#include "runtime/OpenSizes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Dominance.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/ADT/TypeSwitch.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADFILLACCESSED
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

/// Less is filled at once.
static constexpr int64_t kFewBytes = 512;
/// More ends are not compared each time.
static constexpr size_t kMostSums = 16;

//===----------------------------------------------------------------------===//
// Ends
//===----------------------------------------------------------------------===//

/// The most that a sum is, in terms of what is known before `place`.
static std::optional<IntegerSum> findMost(IntegerSum sum, Operation *place,
                                          DominanceInfo &dominance) {
  while (true) {
    // The innermost loop, whose bounds depend on those around it.
    Value variable;
    scf::ForOp inner;
    for (auto [value, factor] : sum.terms) {
      if (dominance.properlyDominates(value, place))
        continue;
      auto argument = dyn_cast<BlockArgument>(value);
      auto loop = argument
                      ? dyn_cast<scf::ForOp>(argument.getOwner()->getParentOp())
                      : nullptr;
      if (!loop || value != loop.getInductionVar() || loop.getUnsignedCmp())
        return std::nullopt;
      if (!inner || inner->isProperAncestor(loop)) {
        inner = loop;
        variable = value;
      }
    }
    if (!inner)
      return sum;
    int64_t factor = sum.terms.lookup(variable);
    std::optional<IntegerSum> end =
        findSum(factor > 0 ? inner.getUpperBound() : inner.getLowerBound());
    if (!end)
      return std::nullopt;
    if (factor > 0)
      --end->constant;
    sum.terms.erase(variable);
    sum.add(*end, factor);
    if (!sum.isSmall())
      return std::nullopt;
  }
}

//===----------------------------------------------------------------------===//
// Accesses
//===----------------------------------------------------------------------===//

namespace {

/// Where an array is filled, and how far.
class Filling {
public:
  Filling(OpOperand &use, DominanceInfo &dominance)
      : use(use), place(use.getOwner()), dominance(dominance),
        initial(use.get().getDefiningOp<ConstantOp>()), type(initial.getType()),
        ends(type.getRank()) {}

  /// Whether all accesses are known, and some leave out a part of the array.
  bool find();
  /// Fills it so far.
  void fill();

private:
  /// Ends along a dimension: a constant, and sums; or that of the array.
  struct End {
    int64_t least = 0;
    SmallVector<IntegerSum> sums;
    bool isWhole = false;
  };

  bool follow(OpOperand &use);
  bool followUses(Value version);
  void addPart(const Part &part);
  bool addResult(OpOperand &use);
  void addEnd(unsigned dimension, std::optional<IntegerSum> sum);
  Value computeEnd(OpBuilder &builder, unsigned dimension);

  OpOperand &use;
  Operation *place;
  DominanceInfo &dominance;
  ConstantOp initial;
  RankedTensorType type;
  SmallVector<End> ends;
  llvm::SmallPtrSet<Value, 8> versions;
};

} // namespace

bool Filling::find() {
  // What is only read is not in memory at all.
  if ((!isUpdate(place) && !isa<scf::ForOp>(place)) || !follow(use))
    return false;
  return llvm::any_of(
      ends, [](const End &end) { return !end.isWhole && !end.sums.empty(); });
}

bool Filling::followUses(Value version) {
  if (!versions.insert(version).second)
    return true;
  return llvm::all_of(version.getUses(),
                      [&](OpOperand &next) { return follow(next); });
}

/// Notes what a use of the array accesses, and what is made of it there.
bool Filling::follow(OpOperand &use) {
  Operation *op = use.getOwner();
  if (isUpdate(op) && op->getNumResults() == 1) {
    std::optional<Part> part = getPartWritten(op);
    if (!part || use.getOperandNumber() != 0 ||
        llvm::count(op->getOperands(), use.get()) != 1)
      return false;
    addPart(*part);
    return followUses(op->getResult(0));
  }
  if (std::optional<Part> part = getPartRead(op)) {
    addPart(*part);
    return true;
  }
  if (auto loop = dyn_cast<scf::ForOp>(op)) {
    BlockArgument carried = loop.getTiedLoopRegionIterArg(&use);
    return carried && followUses(carried) &&
           followUses(loop.getTiedLoopResult(&use));
  }
  if (isa<scf::YieldOp>(op)) {
    Operation *parent = op->getParentOp();
    unsigned number = use.getOperandNumber();
    // What is known before it is filled is of this iteration.
    if (parent->isProperAncestor(place) && isa<LoopLikeOpInterface>(parent))
      return false;
    if (auto loop = dyn_cast<scf::ForOp>(parent))
      return followUses(loop.getRegionIterArgs()[number]) &&
             followUses(loop.getResult(number));
    return isa<scf::IfOp, scf::IndexSwitchOp>(parent) &&
           followUses(parent->getResult(number));
  }
  return isa<func::ReturnOp>(op) && addResult(use);
}

void Filling::addPart(const Part &part) {
  for (unsigned d = 0; d < ends.size(); ++d) {
    std::optional<IntegerSum> sum;
    if (auto offset = dyn_cast<Value>(part.offsets[d]))
      sum = findSum(offset);
    else if (auto number = getConstantIntValue(part.offsets[d]))
      sum = IntegerSum{*number, {}};
    if (sum)
      sum = findMost(*sum, place, dominance);
    // Where positions are clamped, negative ones are 0.
    ends[d].least = std::max(ends[d].least, part.sizes[d]);
    if (sum)
      sum->constant += part.sizes[d];
    addEnd(d, sum);
  }
}

/// The result that says how many elements another one has along a dimension.
static std::optional<unsigned> findCount(func::FuncOp function, unsigned result,
                                         unsigned dimension) {
  auto sizes =
      function->getAttrOfType<DenseI64ArrayAttr>(gradopt::kResultSizesAttr);
  for (size_t i = 0; sizes && i + 3 <= size_t(sizes.size()); i += 3)
    if (sizes[i] == result && sizes[i + 1] == dimension && sizes[i + 2] >= 0)
      return sizes[i + 2];
  return std::nullopt;
}

/// Of a result, as much is looked at as there are elements, if another one says
/// how many.
bool Filling::addResult(OpOperand &use) {
  Operation *op = use.getOwner();
  auto function = dyn_cast<func::FuncOp>(op->getParentOp());
  if (!function)
    return false;
  for (unsigned d = 0; d < ends.size(); ++d) {
    std::optional<unsigned> count =
        findCount(function, use.getOperandNumber(), d);
    std::optional<IntegerSum> sum;
    if (count && *count < op->getNumOperands())
      sum = findSum(op->getOperand(*count));
    addEnd(d, sum ? findMost(*sum, place, dominance) : std::nullopt);
  }
  return true;
}

void Filling::addEnd(unsigned dimension, std::optional<IntegerSum> sum) {
  End &end = ends[dimension];
  if (sum && sum->terms.empty())
    end.least = std::max(end.least, sum->constant);
  else if (sum && llvm::none_of(end.sums, [&](const IntegerSum &other) {
             return other.constant == sum->constant &&
                    llvm::equal(other.terms, sum->terms);
           }))
    end.sums.push_back(*sum);
  end.isWhole |= !sum || end.sums.size() > kMostSums ||
                 end.least >= type.getDimSize(dimension);
}

//===----------------------------------------------------------------------===//
// Filling
//===----------------------------------------------------------------------===//

/// A number of elements along the dimension, within the array.
Value Filling::computeEnd(OpBuilder &builder, unsigned dimension) {
  Location loc = place->getLoc();
  auto number = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(builder, loc, value);
  };
  auto read = [&](Value value) -> Value {
    if (isa<RankedTensorType>(value.getType()))
      value = tensor::ExtractOp::create(builder, loc, value);
    if (value.getType().isIndex())
      return value;
    return arith::IndexCastOp::create(builder, loc, builder.getIndexType(),
                                      value);
  };
  Value size = number(type.getDimSize(dimension));
  Value result = number(ends[dimension].least);
  for (const IntegerSum &sum : ends[dimension].sums) {
    Value end = number(sum.constant), isLarge;
    for (auto [value, factor] : sum.terms) {
      Value term = read(value);
      Value beyond = arith::CmpIOp::create(
          builder, loc, arith::CmpIPredicate::ugt,
          arith::AddIOp::create(builder, loc, term, number(kLargestInteger)),
          number(2 * kLargestInteger));
      isLarge = isLarge ? arith::OrIOp::create(builder, loc, isLarge, beyond)
                        : beyond;
      if (factor != 1)
        term = arith::MulIOp::create(builder, loc, term, number(factor));
      end = arith::AddIOp::create(builder, loc, end, term);
    }
    end = arith::SelectOp::create(builder, loc, isLarge, size, end);
    result = arith::MaxSIOp::create(builder, loc, result, end);
  }
  return arith::MinSIOp::create(builder, loc, result, size);
}

void Filling::fill() {
  OpBuilder builder(place);
  Location loc = place->getLoc();
  Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
  Value one = arith::ConstantIndexOp::create(builder, loc, 1);
  auto word = RankedTensorType::get({}, builder.getI64Type());
  SmallVector<Value> begin(type.getRank(), createSplat(builder, loc, word, 0));
  SmallVector<int64_t> shape(type.getShape());
  Value array =
      tensor::EmptyOp::create(builder, loc, shape, type.getElementType());
  auto isPart = [](const End &end) {
    return !end.isWhole && !end.sums.empty();
  };
  // From the first dimension to the last one that is filled in part, so that
  // what is filled one after the other lies so in memory.
  unsigned count = ends.size();
  while (!isPart(ends[count - 1]))
    --count;
  SmallVector<std::pair<unsigned, Value>> extents;
  for (unsigned d = 0; d < count; ++d) {
    Value extent =
        isPart(ends[d])
            ? computeEnd(builder, d)
            : arith::ConstantIndexOp::create(builder, loc, type.getDimSize(d));
    extents.push_back({d, extent});
    shape[d] = 1;
  }
  scf::ForOp outer;
  for (auto [d, extent] : extents) {
    auto loop = scf::ForOp::create(builder, loc, zero, extent, one, array);
    if (outer)
      scf::YieldOp::create(builder, loc, loop.getResults());
    else
      use.set(loop.getResult(0));
    outer = loop;
    builder.setInsertionPointToStart(loop.getBody());
    array = loop.getRegionIterArg(0);
    Value counter = arith::IndexCastOp::create(
        builder, loc, builder.getI64Type(), loop.getInductionVar());
    begin[d] = tensor::FromElementsOp::create(builder, loc, word, counter);
  }
  auto whole = cast<DenseElementsAttr>(initial.getValue());
  Value part = ConstantOp::create(
      builder, loc,
      whole.resizeSplat(RankedTensorType::get(shape, type.getElementType())));
  auto update = DynamicUpdateSliceOp::create(builder, loc, array, part, begin);
  update->setAttr(kInBounds, builder.getUnitAttr());
  scf::YieldOp::create(builder, loc, update.getResult());
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

static bool isLarge(RankedTensorType type) {
  std::optional<int64_t> bytes = getElementBytes(type.getElementType());
  return bytes && type.getRank() > 0 &&
         type.getNumElements() > kFewBytes / *bytes;
}

namespace {

struct GradFillAccessed : grad::impl::GradFillAccessedBase<GradFillAccessed> {
  using GradFillAccessedBase::GradFillAccessedBase;

  void runOnOperation() override {
    SmallVector<OpOperand *> uses;
    getOperation().walk([&](ConstantOp constant) {
      auto type = cast<RankedTensorType>(constant.getType());
      auto value = dyn_cast<DenseElementsAttr>(constant.getValue());
      if (value && value.isSplat() && isLarge(type))
        for (OpOperand &use : constant->getUses())
          uses.push_back(&use);
    });
    DominanceInfo &dominance = getAnalysis<DominanceInfo>();
    for (OpOperand *use : uses) {
      Filling filling(*use, dominance);
      if (!filling.find())
        continue;
      filling.fill();
      ++numFilled;
    }
  }
};

} // namespace
