//===- IntegerSums.cpp - Integers as sums of others -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/IntegerSums.h"

#include "dialect/GradDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::grad;

// Sums are of few integers, by factors of less.
static constexpr int64_t kLargestFactor = int64_t(1) << 20;
static constexpr unsigned kMostTerms = 16;
static constexpr unsigned kDeepest = 64, kMostSteps = 256;

void IntegerSum::add(const IntegerSum &other, int64_t factor) {
  constant += factor * other.constant;
  for (auto [value, times] : other.terms)
    terms[value] += factor * times;
  terms.remove_if([](const auto &term) { return term.second == 0; });
}

bool IntegerSum::isSmall() const {
  return std::abs(constant) < kLargestInteger && terms.size() <= kMostTerms &&
         llvm::all_of(
             terms,
             [](const auto &term) {
               return std::abs(term.second) < kLargestFactor;
             });
}

/// In all, no more than `kMostSteps` values are looked at: one may be reached
/// in many ways.
static std::optional<IntegerSum> findSum(Value value, unsigned depth,
                                         unsigned &steps) {
  auto isInteger = [](Value value) {
    auto tensor = dyn_cast<RankedTensorType>(value.getType());
    Type type = tensor ? tensor.getElementType() : value.getType();
    return (type.isIndex() || type.isSignlessInteger(64)) &&
           (!tensor || tensor.getRank() == 0);
  };
  if (!isInteger(value) || depth > kDeepest || steps++ > kMostSteps)
    return std::nullopt;
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant)))
    return constant.isSignedIntN(31)
               ? std::optional(IntegerSum{constant.getSExtValue(), {}})
               : std::nullopt;
  IntegerSum self;
  self.terms[value] = 1;
  Operation *op = value.getDefiningOp();
  if (!op)
    return self;
  auto combine = [&](int64_t factor) -> std::optional<IntegerSum> {
    std::optional<IntegerSum> lhs =
                                  findSum(op->getOperand(0), depth + 1, steps),
                              rhs =
                                  findSum(op->getOperand(1), depth + 1, steps);
    if (!lhs || !rhs)
      return std::nullopt;
    lhs->add(*rhs, factor);
    return lhs;
  };
  auto multiply = [&]() -> std::optional<IntegerSum> {
    std::optional<IntegerSum> lhs =
                                  findSum(op->getOperand(0), depth + 1, steps),
                              rhs =
                                  findSum(op->getOperand(1), depth + 1, steps);
    if (!lhs || !rhs)
      return std::nullopt;
    if (!rhs->terms.empty())
      std::swap(lhs, rhs);
    if (!rhs->terms.empty() || std::abs(rhs->constant) >= kLargestFactor)
      return self;
    IntegerSum product;
    product.add(*lhs, rhs->constant);
    return product;
  };
  auto found =
      llvm::TypeSwitch<Operation *, std::optional<IntegerSum>>(op)
          .Case<AddOp, arith::AddIOp>([&](auto) { return combine(1); })
          .Case<SubtractOp, arith::SubIOp>([&](auto) { return combine(-1); })
          .Case<MultiplyOp, arith::MulIOp>([&](auto) { return multiply(); })
          .Case<ReshapeOp, arith::IndexCastOp, tensor::FromElementsOp,
                tensor::ExtractOp>([&](auto) -> std::optional<IntegerSum> {
            if (!isInteger(op->getOperand(0)))
              return self;
            return findSum(op->getOperand(0), depth + 1, steps);
          })
          .Default([&](Operation *) { return self; });
  return found && found->isSmall() ? found : std::nullopt;
}

std::optional<IntegerSum> mlir::grad::findSum(Value value) {
  unsigned steps = 0;
  return ::findSum(value, 0, steps);
}

std::optional<int64_t> mlir::grad::findDifference(Value a, Value b) {
  if (a == b)
    return 0;
  std::optional<IntegerSum> sum = findSum(a), other = findSum(b);
  if (!sum || !other)
    return std::nullopt;
  sum->add(*other, -1);
  return sum->terms.empty() ? std::optional(sum->constant) : std::nullopt;
}
