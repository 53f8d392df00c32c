//===- Positions.cpp - What is known of integers --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Positions.h"

#include "dialect/ControlFlow.h"
#include "dialect/GradDialect.h"
#include "dialect/Updates.h"

#include "mlir/Analysis/Presburger/Simplex.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::grad;
using Sum = Positions::Sum;

// Larger numbers are not followed, so that nothing here overflows, and neither
// do the integers of which something is found.
static constexpr int64_t kLargest = int64_t(1) << 31;
static constexpr int64_t kLargestFactor = int64_t(1) << 20;
static constexpr unsigned kDeepest = 64;
// No more is taken from what blocks access, so that it stays quick to decide.
static constexpr size_t kMostFacts = 128;

//===----------------------------------------------------------------------===//
// Sums
//===----------------------------------------------------------------------===//

static Sum combine(const Sum &lhs, const Sum &rhs, int64_t times) {
  Sum sum = lhs;
  sum.constant += times * rhs.constant;
  sum.factors.resize(std::max(lhs.factors.size(), rhs.factors.size()));
  for (auto [i, factor] : llvm::enumerate(rhs.factors))
    sum.factors[i] += times * factor;
  return sum;
}

Sum grad::operator+(const Sum &lhs, const Sum &rhs) {
  return combine(lhs, rhs, 1);
}
Sum grad::operator-(const Sum &lhs, const Sum &rhs) {
  return combine(lhs, rhs, -1);
}
Sum grad::operator+(const Sum &lhs, int64_t rhs) {
  return combine(lhs, Sum{rhs, {}}, 1);
}

/// Whether all numbers in the sum are small.
static bool isSmall(const Sum &sum) {
  return std::abs(sum.constant) < kLargest &&
         llvm::all_of(
             sum.factors,
             [](int64_t factor) { return std::abs(factor) < kLargestFactor; });
}

static std::optional<int64_t> getConstant(const Sum &sum) {
  if (llvm::any_of(sum.factors, [](int64_t factor) { return factor != 0; }))
    return std::nullopt;
  return sum.constant;
}

//===----------------------------------------------------------------------===//
// Inequalities
//===----------------------------------------------------------------------===//

static presburger::Simplex createSimplex(unsigned variables,
                                         ArrayRef<Sum> positive) {
  presburger::Simplex simplex(variables);
  for (const Sum &sum : positive) {
    SmallVector<DynamicAPInt> row(sum.factors.begin(), sum.factors.end());
    row.resize(variables);
    row.emplace_back(sum.constant);
    simplex.addInequality(row);
  }
  return simplex;
}

void Positions::addAtLeast(const Sum &lhs, const Sum &rhs) {
  positive.push_back(lhs - rhs);
}

bool Positions::isAtLeast(const Sum &lhs, const Sum &rhs) const {
  Sum less = rhs - lhs + -1;
  if (std::optional<int64_t> constant = getConstant(less))
    return *constant < 0;
  SmallVector<Sum> both = positive;
  both.push_back(less);
  return createSimplex(variables, both).isEmpty();
}

bool Positions::isImpossible() const {
  return createSimplex(variables, positive).isEmpty();
}

std::optional<int64_t> Positions::getMaximum(const Sum &sum) const {
  if (std::optional<int64_t> constant = getConstant(sum))
    return constant;
  presburger::Simplex simplex = createSimplex(variables, positive);
  SmallVector<DynamicAPInt> row(sum.factors.begin(), sum.factors.end());
  row.resize(variables);
  row.emplace_back(sum.constant);
  if (simplex.isEmpty())
    return std::nullopt;
  presburger::MaybeOptimum<presburger::Fraction> most =
      simplex.computeOptimum(presburger::Simplex::Direction::Up, row);
  if (!most.isBounded())
    return std::nullopt;
  DynamicAPInt number = floor(most.getBoundedOptimum());
  if (abs(number) >= DynamicAPInt(kLargest))
    return std::nullopt;
  return int64fromDynamicAPInt(number);
}

//===----------------------------------------------------------------------===//
// Integers of the program
//===----------------------------------------------------------------------===//

Positions::Positions(scf::ForOp loop, Order order) : twice(loop) {
  Sum now = get(loop.getInductionVar());
  Sum then = get(loop.getInductionVar(), Iteration::Other);
  Sum step = get(loop.getStep());
  if (order == Order::Later)
    addAtLeast(then, now + step);
  else
    addAtLeast(now, then + step);
}

Sum Positions::createVariable() {
  Sum sum;
  sum.factors.resize(++variables);
  sum.factors.back() = 1;
  return sum;
}

Sum Positions::createUnknown(int64_t most) {
  Sum sum = createVariable();
  addAtLeast(sum, Sum());
  addAtLeast(Sum{most, {}}, sum);
  return sum;
}

Sum Positions::get(Value value, Iteration iteration) {
  Region *region = value.getParentRegion();
  bool isOther = iteration == Iteration::Other && twice && region &&
                 twice->isAncestor(region->getParentOp());
  auto key = std::pair(value, unsigned(isOther));
  if (auto found = known.find(key); found != known.end())
    return found->second;
  ++depth;
  Sum sum = derive(value, isOther ? Iteration::Other : Iteration::This);
  --depth;
  if (!isSmall(sum))
    sum = createVariable();
  known[key] = sum;
  return sum;
}

std::optional<bool> Positions::decide(Value condition, Iteration iteration) {
  using Predicate = arith::CmpIPredicate;
  Operation *op = condition.getDefiningOp();
  if (!op || op->getNumOperands() != 2 ||
      !getElementTypeOrSelf(op->getOperand(0)).isSignlessIntOrIndex())
    return std::nullopt;
  auto predicate = llvm::TypeSwitch<Operation *, std::optional<Predicate>>(op)
                       .Case([](LessOp) { return Predicate::slt; })
                       .Case([](LessEqualOp) { return Predicate::sle; })
                       .Case([](GreaterOp) { return Predicate::sgt; })
                       .Case([](GreaterEqualOp) { return Predicate::sge; })
                       .Case([](arith::CmpIOp op) { return op.getPredicate(); })
                       .Default(std::nullopt);
  if (!predicate)
    return std::nullopt;
  Sum lhs = get(op->getOperand(0), iteration);
  Sum rhs = get(op->getOperand(1), iteration);
  if (*predicate == Predicate::slt || *predicate == Predicate::sge) {
    bool onLess = *predicate == Predicate::slt;
    if (isAtLeast(lhs, rhs))
      return !onLess;
    if (isAtLeast(rhs, lhs + 1))
      return onLess;
  }
  if (*predicate == Predicate::sle || *predicate == Predicate::sgt) {
    bool onMore = *predicate == Predicate::sgt;
    if (isAtLeast(rhs, lhs))
      return !onMore;
    if (isAtLeast(lhs, rhs + 1))
      return onMore;
  }
  return std::nullopt;
}

/// Whether the value is one integer, of a type in which none wraps around that
/// is followed here.
static bool isInteger(Value value) {
  Type type = getElementTypeOrSelf(value);
  auto tensor = dyn_cast<RankedTensorType>(value.getType());
  return (type.isIndex() || type.isSignlessInteger(64)) &&
         (!tensor || (tensor.hasStaticShape() && tensor.getNumElements() == 1));
}

Sum Positions::derive(Value value, Iteration iteration) {
  if (!isInteger(value) || depth > kDeepest)
    return createVariable();
  auto number = [&](Value operand) { return get(operand, iteration); };
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant)))
    return constant.isSignedIntN(31) ? Sum{constant.getSExtValue(), {}}
                                     : createVariable();

  if (auto argument = dyn_cast<BlockArgument>(value)) {
    Sum sum = createVariable();
    auto loop =
        dyn_cast_or_null<scf::ForOp>(argument.getOwner()->getParentOp());
    if (!loop || argument != loop.getInductionVar() || loop.getUnsignedCmp())
      return sum;
    addAtLeast(sum, number(loop.getLowerBound()));
    addAtLeast(number(loop.getUpperBound()), sum + 1);
    return sum;
  }

  auto passOn = [&](Value operand) {
    return isInteger(operand) ? number(operand) : createVariable();
  };
  auto times = [&](Value lhs, Value rhs) {
    Sum one = number(lhs), other = number(rhs);
    if (std::optional<int64_t> factor = getConstant(other))
      return combine(Sum(), one, *factor);
    if (std::optional<int64_t> factor = getConstant(one))
      return combine(Sum(), other, *factor);
    return createVariable();
  };
  auto select = [&](Value condition, Value onTrue, Value onFalse) {
    std::optional<bool> is = decide(condition, iteration);
    return is ? number(*is ? onTrue : onFalse) : createVariable();
  };
  auto least = [&](Value lhs, Value rhs) {
    Sum sum = createVariable();
    addAtLeast(number(lhs), sum);
    addAtLeast(number(rhs), sum);
    return sum;
  };
  auto most = [&](Value lhs, Value rhs) {
    Sum sum = createVariable();
    addAtLeast(sum, number(lhs));
    addAtLeast(sum, number(rhs));
    return sum;
  };
  return llvm::TypeSwitch<Operation *, Sum>(value.getDefiningOp())
      .Case<AddOp, arith::AddIOp>([&](auto op) {
        return number(op->getOperand(0)) + number(op->getOperand(1));
      })
      .Case<SubtractOp, arith::SubIOp>([&](auto op) {
        return number(op->getOperand(0)) - number(op->getOperand(1));
      })
      .Case([&](NegativeOp op) { return Sum() - number(op->getOperand(0)); })
      .Case<MultiplyOp, arith::MulIOp>(
          [&](auto op) { return times(op->getOperand(0), op->getOperand(1)); })
      .Case<MinimumOp, arith::MinSIOp>(
          [&](auto op) { return least(op->getOperand(0), op->getOperand(1)); })
      .Case<MaximumOp, arith::MaxSIOp>(
          [&](auto op) { return most(op->getOperand(0), op->getOperand(1)); })
      .Case<SelectOp, arith::SelectOp>([&](auto op) {
        return select(op->getOperand(0), op->getOperand(1), op->getOperand(2));
      })
      .Case<ReshapeOp, arith::IndexCastOp, tensor::FromElementsOp,
            tensor::ExtractOp>(
          [&](auto op) { return passOn(op->getOperand(0)); })
      .Default([&](Operation *) { return createVariable(); });
}

//===----------------------------------------------------------------------===//
// Accesses
//===----------------------------------------------------------------------===//

void Positions::addAccesses(Block &block) {
  auto addPart = [&](const Part &part) {
    ArrayRef<int64_t> shape =
        cast<RankedTensorType>(part.array.getType()).getShape();
    for (auto [extent, offset, size] :
         llvm::zip_equal(shape, part.offsets, part.sizes)) {
      auto value = dyn_cast<Value>(offset);
      if (!value || size == 0 || ShapedType::isDynamic(extent))
        continue;
      addAtLeast(get(value), Sum());
      addAtLeast(Sum{extent - size, {}}, get(value));
    }
  };
  if (!accessed.insert(&block).second)
    return;
  for (Operation &op : block) {
    if (positive.size() > kMostFacts)
      return;
    for (std::optional<Part> part : {getPartRead(&op), getPartWritten(&op)})
      if (part && !part->isClamped)
        addPart(*part);
    // An inner loop has a first iteration, if it has any.
    auto loop = dyn_cast<scf::ForOp>(op);
    if (loop && !loop.getUnsignedCmp() &&
        isAtLeast(get(loop.getUpperBound()), get(loop.getLowerBound()) + 1))
      addAccesses(*loop.getBody());
  }
}

bool grad::areApart(const Part &a, const Part &b) {
  ArrayRef<int64_t> shape =
      cast<RankedTensorType>(a.array.getType()).getShape();
  for (size_t d = 0; d < shape.size(); ++d) {
    Positions positions;
    auto find = [&](const Part &part) {
      OpFoldResult offset = part.offsets[d];
      if (auto value = dyn_cast<Value>(offset))
        return positions.get(value);
      return Sum{*getConstantIntValue(offset), {}};
    };
    // Positions are within the array, or else moved.
    auto isKnown = [&](const Part &part, const Sum &begin) {
      Sum last{shape[d] - part.sizes[d], {}};
      if (part.isClamped)
        return positions.isAtLeast(begin, Sum()) &&
               positions.isAtLeast(last, begin);
      positions.addAtLeast(begin, Sum());
      positions.addAtLeast(last, begin);
      return true;
    };
    Sum begin = find(a), other = find(b);
    if (isKnown(b, other) && isKnown(a, begin) &&
        (positions.isAtLeast(begin, other + b.sizes[d]) ||
         positions.isAtLeast(other, begin + a.sizes[d])))
      return true;
  }
  return false;
}

bool grad::isWithin(Value offset, int64_t size, int64_t extent) {
  Positions positions;
  Sum begin = positions.get(offset);
  return positions.isAtLeast(begin, Sum()) &&
         positions.isAtLeast(Sum{extent - size, {}}, begin);
}

//===----------------------------------------------------------------------===//
// Numbers of iterations
//===----------------------------------------------------------------------===//

/// How many iterations a loop of constant step has at most, by what it accesses
/// in the last one or in the first one, if it has any.
static std::optional<int64_t> findMaxTripCount(scf::ForOp loop, int64_t step) {
  auto find = [&](bool inLast) -> std::optional<int64_t> {
    Positions positions;
    Sum begin = positions.get(loop.getLowerBound());
    Sum end = positions.get(loop.getUpperBound());
    Sum here = positions.get(loop.getInductionVar());
    if (inLast)
      positions.addAtLeast(here + step, end);
    else
      positions.addAtLeast(begin, here);
    positions.addAccesses(*loop.getBody());
    for (Operation *op = loop; Block *block = op->getBlock();
         op = block->getParentOp())
      positions.addAccesses(*block);
    std::optional<int64_t> most = positions.getMaximum(end - begin);
    if (!most)
      return std::nullopt;
    return llvm::divideCeil(std::max<int64_t>(*most, 0), step);
  };
  std::optional<int64_t> last = find(true), first = find(false);
  return last && first ? std::min(*last, *first) : last ? last : first;
}

void grad::boundLoops(Operation *root) {
  // Inner loops first: whether a loop updates an array depends on them.
  root->walk([](scf::ForOp loop) {
    auto updates = [&](auto pair) {
      auto [before, after] = pair;
      return findVersions(before, after).size() > 1;
    };
    auto isOutermost = [&] {
      return !loop->getParentOfType<LoopLikeOpInterface>();
    };
    APInt step;
    if (getMaxTripCount(loop) || loop.getUnsignedCmp() ||
        !matchPattern(loop.getStep(), m_ConstantInt(&step)) ||
        !step.isStrictlyPositive() || !step.isSignedIntN(31) ||
        (!isOutermost() &&
         llvm::none_of(
             llvm::zip_equal(loop.getRegionIterArgs(), loop.getYieldedValues()),
             updates)))
      return;
    if (std::optional<int64_t> most =
            findMaxTripCount(loop, step.getSExtValue()))
      setMaxTripCount(loop, *most);
  });
}
