//===- Sparsity.h - Which inputs elements of results depend on --*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The pattern of a Jacobian, from the program: a function is run on sets of
// inputs instead of numbers. Each element of a value has the set of those
// elements of the inputs that its derivative may depend on. Where an op leads
// is a rule of its kind (SparsityRules.cpp); results of an op without a rule
// depend on all operands. Integers that are known, such as indices, are
// calculated beside.
//
// Loops run iteration by iteration while that is cheap and what they branch on
// is known; else until the sets do not grow any more, with unknown integers.
//
// A set may be larger than it has to be, never smaller. Elements that are zero
// for reasons of arithmetic alone, as in `0 * x`, are in the pattern.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_SPARSITY_H
#define GRADOPT_PASSES_SPARSITY_H

#include "passes/Coloring.h"
#include "passes/InputSets.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <map>
#include <memory>
#include <optional>

namespace mlir::grad {

/// What is known of the elements of a value, or of a scalar.
struct Elements {
  using Set = InputSets::Id;
  template <typename T> using Each = std::shared_ptr<std::vector<T>>;

  /// One for each element, in row-major order, or one for all; null for none.
  Each<Set> sets;
  /// Integers and bools, in the same manner; null if they are unknown.
  Each<int64_t> numbers;

  Set set(int64_t i) const {
    return !sets ? InputSets::kEmpty : (*sets)[sets->size() == 1 ? 0 : i];
  }
  int64_t number(int64_t i) const {
    return (*numbers)[numbers->size() == 1 ? 0 : i];
  }
  std::optional<int64_t> number() const {
    if (!numbers || numbers->empty())
      return std::nullopt;
    return numbers->front();
  }
};

/// Numbers of arguments that are known before the program runs, in row-major
/// order.
using KnownArguments = std::map<int64_t, std::vector<int64_t>>;

/// The pattern of the derivatives of the results `of` in the arguments `wrt`,
/// both flattened and one behind the other. The function has no requests and
/// calls. Fails, with an error at the function, if there is no such argument or
/// result, or if the pattern does not fit into 2^31 elements.
FailureOr<SparsityPattern> findSparsity(func::FuncOp function,
                                        ArrayRef<int64_t> wrt,
                                        ArrayRef<int64_t> of,
                                        const KnownArguments &known = {});

/// The interpreter of one function.
class SparsityAnalysis {
public:
  explicit SparsityAnalysis(int64_t inputs) : inputSets(inputs) {}

  using State = SmallVector<Elements>;

  /// What the terminator of a block gets if the arguments are these.
  State run(Block &block, State arguments);

  Elements get(Value value) const { return values.lookup(value); }
  /// The same of an operand, for a rule that changes it: if it is not used any
  /// more, nobody else holds it.
  Elements take(OpOperand &operand);
  void set(Value value, Elements elements);

  InputSets &sets() { return inputSets; }
  /// Adds to the work that was done, in elements.
  void count(int64_t elements) { work += elements; }

private:
  void visit(Operation *op);
  void visitFor(Operation *op);
  void visitWhile(Operation *op);
  void visitBranches(Operation *op);

  /// Runs `step` from a state to the next one, while it gives any, and as long
  /// as it is cheap. False if that was given up.
  bool iterate(State &state, function_ref<std::optional<bool>(State &)> step);
  /// The same for any number of iterations: a state that holds before and
  /// behind each of them. `above` has all that the loop uses.
  void settle(Operation *op, State &state, function_ref<State(State)> step);
  /// Adds what another path leads to; whether that is something new.
  bool join(Elements &into, const Elements &other);
  /// What an op may have seen: all that it and the ops in it use.
  Elements::Set usedBy(Operation *op);
  /// The values that no op behind this one uses.
  ArrayRef<Value> dying(Operation *op);

  InputSets inputSets;
  DenseMap<Value, Elements> values;
  DenseMap<Block *, DenseMap<Operation *, SmallVector<Value, 2>>> lastUses;
  int64_t work = 0;
};

/// Sets what is known of the results of an op without regions, by its rule;
/// false if there is no rule.
bool applySparsityRule(Operation *op, SparsityAnalysis &analysis);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_SPARSITY_H
