//===- Positions.h - What is known of integers ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Integers of a program, as sums of induction variables and of others of which
// less is known, and the inequalities that hold between these. What follows
// from them is decided over the rationals, so it is true, but not all that is
// true is found.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_POSITIONS_H
#define GRADOPT_DIALECT_POSITIONS_H

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

#include <optional>

namespace mlir::grad {

struct Part;

class Positions {
public:
  /// Of which run of some code a value is.
  enum class Iteration { This, Other };
  /// When another iteration of a loop runs.
  enum class Order { Earlier, Later };

  /// A constant and multiples of variables, by their number.
  struct Sum {
    int64_t constant = 0;
    SmallVector<int64_t, 8> factors;
  };

  /// Of integers as they are at one time; those inside of `twice` may be of
  /// other iterations of the loops there.
  explicit Positions(Operation *twice = nullptr) : twice(twice) {}
  /// Of integers in two iterations of a loop.
  Positions(scf::ForOp loop, Order order);

  /// An index, an integer, or a tensor of one.
  Sum get(Value value, Iteration iteration = Iteration::This);
  /// An integer between 0 and `most`.
  Sum createUnknown(int64_t most);

  void addAtLeast(const Sum &lhs, const Sum &rhs);
  bool isAtLeast(const Sum &lhs, const Sum &rhs) const;
  /// Whether there are no such integers at all.
  bool isImpossible() const;

  /// Takes as given that the ops of a block, which runs, access what is there:
  /// their positions are within bounds, but for those of ops that clamp them.
  void addAccesses(Block &block);
  std::optional<int64_t> getMaximum(const Sum &sum) const;

private:
  Sum derive(Value value, Iteration iteration);
  Sum createVariable();
  std::optional<bool> decide(Value condition, Iteration iteration);

  Operation *twice;
  unsigned variables = 0, depth = 0;
  DenseMap<std::pair<Value, unsigned>, Sum> known;
  SmallVector<Sum> positive; ///< What is 0 or more.
  DenseSet<Block *> accessed;
};

Positions::Sum operator+(const Positions::Sum &lhs, const Positions::Sum &rhs);
Positions::Sum operator-(const Positions::Sum &lhs, const Positions::Sum &rhs);
Positions::Sum operator+(const Positions::Sum &lhs, int64_t rhs);

/// Whether two parts, of arrays of one shape, have no element in common, where
/// both are accessed in one iteration of the loops around them.
bool areApart(const Part &a, const Part &b);

/// Whether a part of `size` elements from `offset` on, an integer, is one of a
/// dimension of `extent`, without being moved.
bool isWithin(Value offset, int64_t size, int64_t extent);

/// Notes how many iterations loops in `root` have at most, where that follows
/// from bounds of loops around them or from what they access. Loops that update
/// arrays (Updates.h) can store what they overwrite then, and need not keep the
/// arrays. Other loops in loops are left alone: they would store something for
/// each of their iterations, and now keep what they start from.
void boundLoops(Operation *root);

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_POSITIONS_H
