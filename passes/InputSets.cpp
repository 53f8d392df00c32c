//===- InputSets.cpp - Sets of inputs that elements depend on -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/InputSets.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/xxhash.h"

using namespace mlir::grad;

using Id = InputSets::Id;

/// Runs that may be stored, 1 GiB. Then sets become the shortest run around
/// them: more than is needed, but not less.
static constexpr size_t kMostRuns = size_t(1) << 27;

/// Unions that are remembered.
static constexpr size_t kMostUnions = size_t(1) << 22;

InputSets::InputSets(int64_t inputs) {
  pool.reserve(inputs);
  begins = {0, 0};
  begins.reserve(inputs + 2);
  for (int64_t i = 0; i < inputs; ++i) {
    pool.push_back({uint32_t(i), uint32_t(i + 1)});
    begins.push_back(pool.size());
  }
  // Sets of one input, and the empty one, are found by their numbers.
  before.resize(inputs + 1, kEmpty);
}

int64_t InputSets::size(Id set) const {
  int64_t total = 0;
  for (Run run : runs(set))
    total += run.end - run.begin;
  return total;
}

Id InputSets::store(llvm::ArrayRef<Run> all) {
  if (all.empty())
    return kEmpty;
  Run whole{all.front().begin, all.back().end};
  if (pool.size() + all.size() > kMostRuns)
    all = whole;
  if (all.size() == 1 && whole.end - whole.begin == 1)
    return single(whole.begin);
  uint64_t hash = llvm::xxh3_64bits(llvm::ArrayRef<uint8_t>(
      reinterpret_cast<const uint8_t *>(all.data()), all.size() * sizeof(Run)));
  // Two keys are the map's own.
  hash >>= 1;
  Id &last = newest.try_emplace(hash, kEmpty).first->second;
  for (Id id = last; id != kEmpty; id = before[id])
    if (runs(id) == all)
      return id;
  Id id = begins.size() - 1;
  pool.insert(pool.end(), all.begin(), all.end());
  begins.push_back(pool.size());
  before.push_back(last);
  last = id;
  return id;
}

Id InputSets::unite(Id a, Id b) {
  if (a == b || b == kEmpty)
    return a;
  if (a == kEmpty)
    return b;
  if (a > b)
    std::swap(a, b);
  uint64_t key = uint64_t(a) << 32 | b;
  if (auto known = unions.find(key); known != unions.end())
    return known->second;
  merged.clear();
  auto add = [&](Run run) {
    if (!merged.empty() && run.begin <= merged.back().end)
      merged.back().end = std::max(merged.back().end, run.end);
    else
      merged.push_back(run);
  };
  llvm::ArrayRef<Run> left = runs(a), right = runs(b);
  while (!left.empty() || !right.empty()) {
    bool fromLeft = right.empty() ||
                    (!left.empty() && left.front().begin < right.front().begin);
    llvm::ArrayRef<Run> &from = fromLeft ? left : right;
    add(from.front());
    from = from.drop_front();
  }
  if (unions.size() > kMostUnions)
    unions.clear();
  Id result = store(merged);
  unions[key] = result;
  return result;
}

Id InputSets::unite(llvm::SmallVectorImpl<Id> &sets) {
  llvm::sort(sets);
  sets.erase(llvm::unique(sets), sets.end());
  if (sets.size() <= 2)
    return sets.empty() ? kEmpty : unite(sets.front(), sets.back());
  merged.clear();
  for (Id set : sets)
    llvm::append_range(merged, runs(set));
  llvm::sort(merged, [](Run a, Run b) { return a.begin < b.begin; });
  size_t last = 0;
  for (Run run : llvm::drop_begin(merged)) {
    if (run.begin <= merged[last].end)
      merged[last].end = std::max(merged[last].end, run.end);
    else
      merged[++last] = run;
  }
  merged.truncate(last + 1);
  return store(merged);
}
