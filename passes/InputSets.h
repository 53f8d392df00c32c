//===- InputSets.h - Sets of inputs that elements depend on -----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A set is a number; equal sets have one number. So what many elements depend
// on in the same way is stored once, and a union that was formed before is
// looked up. A set is stored as runs of consecutive inputs: bands and whole
// arrays take no more than a few words.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_INPUTSETS_H
#define GRADOPT_PASSES_INPUTSETS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"

#include <cstdint>
#include <vector>

namespace mlir::grad {

class InputSets {
public:
  using Id = uint32_t;
  /// The inputs from `begin` to `end`, without `end`.
  struct Run {
    uint32_t begin, end;
    bool operator==(const Run &other) const {
      return begin == other.begin && end == other.end;
    }
  };

  static constexpr Id kEmpty = 0;

  /// There are `inputs` inputs, fewer than 2^31.
  explicit InputSets(int64_t inputs);

  /// The set of one input.
  Id single(int64_t input) const { return input + 1; }
  Id unite(Id a, Id b);
  /// The union of all; may reorder them.
  Id unite(llvm::SmallVectorImpl<Id> &sets);

  llvm::ArrayRef<Run> runs(Id set) const {
    return llvm::ArrayRef<Run>(pool).slice(begins[set],
                                           begins[set + 1] - begins[set]);
  }
  /// Number of inputs in it.
  int64_t size(Id set) const;

private:
  Id store(llvm::ArrayRef<Run> runs);

  std::vector<Run> pool;
  /// Where the runs of each set begin, and where those of the last one end.
  std::vector<size_t> begins;
  /// The newest set with a hash, and for each set the one before it.
  llvm::DenseMap<uint64_t, Id> newest;
  std::vector<Id> before;
  llvm::DenseMap<uint64_t, Id> unions;
  llvm::SmallVector<Run> merged;
};

} // namespace mlir::grad

#endif // GRADOPT_PASSES_INPUTSETS_H
