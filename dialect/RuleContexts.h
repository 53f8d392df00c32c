//===- RuleContexts.h - What the rules of ops work with ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The objects that the methods of LinearizeOpInterface, TransposeOpInterface
// and BatchOpInterface get. Null values are symbolic zeros, on the way in and
// on the way out.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_RULECONTEXTS_H
#define GRADOPT_DIALECT_RULECONTEXTS_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

namespace mlir::grad {

/// For a tangent rule.
class LinearizeContext {
public:
  /// `primal` and `linear` may be one builder: tangents beside primal values.
  LinearizeContext(OpBuilder &primal, OpBuilder &linear)
      : primal(primal), linear(linear) {}
  virtual ~LinearizeContext() = default;

  /// For code that does not depend on tangents, such as coefficients. Stands
  /// behind the op.
  OpBuilder &primal;
  /// For code that is linear in the tangents.
  OpBuilder &linear;

  /// Whether tangents stand beside primal values: nothing is transposed later.
  bool isForward() const { return &primal == &linear; }

  Value getTangent(Value value) const { return tangents.lookup(value); }
  void setTangent(Value value, Value tangent) {
    if (tangent)
      tangents[value] = tangent;
  }

  /// The tangents of what is to be replaced, which forgets them, and those of
  /// what takes its place: null for symbolic zeros.
  SmallVector<Value> takeTangents(ValueRange values) {
    SmallVector<Value> taken;
    for (Value value : values) {
      taken.push_back(getTangent(value));
      tangents.erase(value);
    }
    return taken;
  }
  void setTangents(ValueRange values, ArrayRef<Value> taken) {
    for (auto [tangent, value] : llvm::zip_first(taken, values))
      setTangent(value, tangent);
  }

  /// Linearizes the ops of `block` where they stand. The tangents of its
  /// arguments are set before, those of the terminator's operands are there to
  /// be read afterwards.
  virtual LogicalResult linearizeBlock(Block &block) = 0;

  /// Whether a derivative has to follow the value: the answer for a value that
  /// has no tangent yet, such as one that a loop carries.
  virtual bool isActive(Value value) const = 0;

  /// A context for code of scalars in the region of an op: tangents stand
  /// beside primal values, where `builder` stands, and all values are active.
  virtual std::unique_ptr<LinearizeContext>
  inForwardMode(OpBuilder &builder) = 0;

  /// The body of a function, which ends with a return. The code that is being
  /// linearized need not stand in the module that has the function.
  virtual FailureOr<Block *> getBody(FlatSymbolRefAttr function) = 0;

private:
  DenseMap<Value, Value> tangents;
};

/// For a transpose rule.
class TransposeContext {
public:
  explicit TransposeContext(OpBuilder &builder) : builder(builder) {}
  virtual ~TransposeContext() = default;

  /// For the code that computes cotangents.
  OpBuilder &builder;

  /// Whether the value depends on what the code is transposed in. Others are
  /// coefficients and have no cotangent.
  bool isLinear(Value value) const { return linear.contains(value); }
  void setLinear(Value value) { linear.insert(value); }
  /// Whether the op, or an op in its regions, uses a linear value.
  bool usesLinear(Operation &op) const;
  /// Whether all of `values` may be parts of a linear function: a constant part
  /// other than zero may not.
  bool areTerms(ValueRange values) const;

  Value getCotangent(Value value) const { return cotangents.lookup(value); }
  /// Replaces what the cotangent of a linear value is so far.
  void setCotangent(Value value, Value cotangent) {
    cotangents[value] = cotangent;
  }
  /// Adds `cotangent` to that of `value`, unless `value` is a coefficient.
  void addCotangent(Value value, Value cotangent);
  /// For an op whose operand contributes to a part of `value` only: replaces
  /// the cotangent so far, zeros at first, by what `add` makes of it. The sum
  /// of many parts is built in one buffer that way.
  void updateCotangent(Value value, function_ref<Value(Value sum)> add);

  /// Marks what is linear in the block, given that its arguments are marked.
  virtual void markLinear(Block &block) = 0;
  /// Transposes the ops of `block` from the last to the first. The cotangents
  /// of the terminator's operands are added before, those of the arguments are
  /// there to be read afterwards.
  virtual LogicalResult transposeBlock(Block &block) = 0;

  /// An error that says more of why a rule fails than that the op is not
  /// linear, which is said otherwise.
  virtual InFlightDiagnostic emitOpError(Operation *op) = 0;

private:
  DenseSet<Value> linear;
  DenseMap<Value, Value> cotangents;
};

/// For a batching rule. Code that works on one element of a batch is written
/// anew for all of them, with the batch as the first dimension of each value
/// that differs from element to element.
class BatchContext {
public:
  BatchContext(OpBuilder &builder, int64_t size)
      : builder(builder), size(size) {}
  virtual ~BatchContext() = default;

  /// For the batched code.
  OpBuilder &builder;
  /// The number of elements of the batch.
  const int64_t size;

  bool isBatched(Value value) const { return batched.contains(value); }
  /// What `value` became: batched, or the same for all elements.
  Value get(Value value) const { return values.lookupOrDefault(value); }
  /// What `value` became, repeated if it is the same for all elements.
  Value getBatched(Value value);
  /// The type of `value` with the batch as its first dimension.
  Type getBatchedType(Value value) const;

  void setBatched(Value value, Value result) {
    values.map(value, result);
    batched.insert(value);
  }
  /// A block may be looked at again, with other arguments.
  void setUnbatched(Value value, Value result) {
    values.map(value, result);
    batched.erase(value);
  }

  /// Whether the op, or an op in its regions, uses a batched value.
  bool usesBatched(Operation *op) const;
  /// Creates what the ops of `block`, without the terminator, become. What its
  /// arguments are is set before, what the terminator's operands are is there
  /// to be read afterwards.
  virtual LogicalResult batchBlock(Block &block) = 0;

  /// What a result of a batched function is: whatever it became, batched in any
  /// case, or the sum over the batch.
  enum class Form { Any, Batched, Sum };
  /// A function made of another one, and which of its results are batched.
  struct BatchedFunction {
    FlatSymbolRefAttr symbol;
    SmallVector<bool> isBatched;
  };
  /// Makes the function for arguments of which some are batched. `forms` is for
  /// the first results, the others have any form.
  virtual FailureOr<BatchedFunction> batchFunction(FlatSymbolRefAttr function,
                                                   ArrayRef<bool> isBatched,
                                                   ArrayRef<Form> forms) = 0;

protected:
  IRMapping values;

private:
  DenseSet<Value> batched;
};

/// The tangent rule of an op that is linear in all float operands: the op
/// itself on the tangents, with zeros for the symbolic ones.
LogicalResult linearizeByItself(Operation *op, LinearizeContext &context);

/// Whether there is a tensor of many values of the type.
bool hasBatches(Type type);

/// The batching rule of an op whose dimensions correspond, in all operands and
/// results: the op itself, on batched operands.
LogicalResult batchByItself(Operation *op, BatchContext &context);

/// The batching rule of any op without effects: a loop over the elements, with
/// copies of the op that `adjust` may change. Fails if there is no tensor of
/// many of its results.
LogicalResult batchOneByOne(
    Operation *op, BatchContext &context,
    function_ref<void(Operation *copy)> adjust = [](Operation *) {});

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_RULECONTEXTS_H
