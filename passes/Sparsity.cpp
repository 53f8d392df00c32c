//===- Sparsity.cpp - Which inputs elements of results depend on ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Sparsity.h"
#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "passes/Activity.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::grad;

using Set = Elements::Set;
using State = SparsityAnalysis::State;

/// What iterations one by one may cost, in elements: some seconds.
static constexpr int64_t kMostWork = int64_t(1) << 29;

/// Steps in which a loop that runs any number of times is followed precisely.
static constexpr int kMostSteps = 8;

void SparsityAnalysis::set(Value value, Elements elements) {
  // What has no tangents depends on nothing.
  if (!Activity::mayCarryTangent(value))
    elements.sets = nullptr;
  if (elements.sets && elements.sets->empty())
    elements.sets = nullptr;
  if (elements.numbers && elements.numbers->empty())
    elements.numbers = nullptr;
  values[value] = std::move(elements);
}

Elements SparsityAnalysis::take(OpOperand &operand) {
  Operation *op = operand.getOwner();
  Value value = operand.get();
  bool isLast = llvm::is_contained(dying(op), value) &&
                llvm::count(op->getOperands(), value) == 1;
  return isLast ? std::move(values[value]) : get(value);
}

static Elements uniform(Set set) {
  Elements elements;
  if (set != InputSets::kEmpty)
    elements.sets = std::make_shared<std::vector<Set>>(1, set);
  return elements;
}

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

ArrayRef<Value> SparsityAnalysis::dying(Operation *op) {
  Block *block = op->getBlock();
  auto inserted = lastUses.try_emplace(block);
  DenseMap<Operation *, SmallVector<Value, 2>> &last = inserted.first->second;
  if (inserted.second) {
    DenseSet<Value> seen;
    for (Operation &other : llvm::reverse(*block))
      other.walk([&](Operation *nested) {
        for (Value operand : nested->getOperands())
          if (operand.getParentBlock() == block && seen.insert(operand).second)
            last[&other].push_back(operand);
      });
  }
  auto found = last.find(op);
  return found == last.end() ? ArrayRef<Value>() : found->second;
}

State SparsityAnalysis::run(Block &block, State arguments) {
  for (auto [argument, elements] :
       llvm::zip_equal(block.getArguments(), arguments))
    set(argument, std::move(elements));
  arguments.clear();
  for (Operation &op : block.without_terminator()) {
    visit(&op);
    for (Value value : dying(&op))
      values.erase(value);
  }
  State yielded;
  for (Value operand : block.getTerminator()->getOperands())
    yielded.push_back(values[operand]);
  // Others may be changed in place as soon as nobody holds them.
  for (Value value : dying(block.getTerminator()))
    values.erase(value);
  return yielded;
}

Set SparsityAnalysis::usedBy(Operation *op) {
  SmallVector<Set> all;
  auto add = [&](Value value) {
    if (const Elements &elements = values[value]; elements.sets)
      llvm::append_range(all, *elements.sets);
    count(all.size());
  };
  for (Value operand : op->getOperands())
    add(operand);
  SetVector<Value> above;
  getUsedValuesDefinedAbove(op->getRegions(), above);
  for (Value value : above)
    add(value);
  return inputSets.unite(all);
}

void SparsityAnalysis::visit(Operation *op) {
  count(1);
  if (isa<scf::ForOp>(op))
    return visitFor(op);
  if (isa<scf::WhileOp>(op))
    return visitWhile(op);
  if (isa<scf::IfOp, scf::IndexSwitchOp, scf::ExecuteRegionOp>(op))
    return visitBranches(op);
  if (op->getNumRegions() == 0 && applySparsityRule(op, *this))
    return;
  bool isConstant = op->hasTrait<OpTrait::grad::LocallyConstant>();
  Elements all = isConstant ? Elements() : uniform(usedBy(op));
  for (Value result : op->getResults())
    set(result, all);
}

//===----------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------===//

/// Number of elements, 1 of a scalar.
static int64_t sizeOf(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.hasStaticShape() ? tensor.getNumElements() : 1;
}

bool SparsityAnalysis::join(Elements &into, const Elements &other) {
  bool changed = false;
  if (into.numbers && (!other.numbers || (into.numbers != other.numbers &&
                                          *into.numbers != *other.numbers))) {
    into.numbers = nullptr;
    changed = true;
  }
  if (into.sets == other.sets || !other.sets)
    return changed;
  if (!into.sets) {
    into.sets = other.sets;
    return true;
  }
  int64_t size = std::max(into.sets->size(), other.sets->size());
  count(size);
  auto joined = std::make_shared<std::vector<Set>>(size);
  bool grows = false;
  for (int64_t i = 0; i < size; ++i) {
    Set before = into.set(i);
    (*joined)[i] = inputSets.unite(before, other.set(i));
    grows |= (*joined)[i] != before;
  }
  if (grows)
    into.sets = std::move(joined);
  return changed || grows;
}

bool SparsityAnalysis::iterate(
    State &state, function_ref<std::optional<bool>(State &)> step) {
  int64_t before = work;
  while (true) {
    std::optional<bool> goesOn = step(state);
    if (!goesOn || work - before > kMostWork)
      return false;
    if (!*goesOn)
      return true;
  }
}

void SparsityAnalysis::settle(Operation *op, State &state,
                              function_ref<State(State)> step) {
  // All that is used is in one of these.
  Set all = usedBy(op);
  // Integers that change are unknown.
  for (int i = 0;; ++i) {
    State next = step(state);
    bool changed = false;
    for (auto [into, other] : llvm::zip_equal(state, next))
      changed |= join(into, other);
    if (!changed)
      return;
    if (i >= kMostSteps)
      for (Elements &elements : state)
        elements = uniform(all);
  }
}

void SparsityAnalysis::visitFor(Operation *op) {
  auto loop = cast<scf::ForOp>(op);
  auto take = [&] {
    State state;
    for (Value init : loop.getInitArgs())
      state.push_back(values[init]);
    return state;
  };
  auto bound = [&](Value value) { return values[value].number(); };
  std::optional<int64_t> lower = bound(loop.getLowerBound()),
                         upper = bound(loop.getUpperBound()),
                         stride = bound(loop.getStep());
  Block &body = *loop.getBody();
  auto runBody = [&](std::optional<int64_t> index, State state) {
    Elements counter;
    if (index)
      counter.numbers = std::make_shared<std::vector<int64_t>>(1, *index);
    state.insert(state.begin(), counter);
    return run(body, std::move(state));
  };
  State state = take();
  bool isDone = false;
  if (lower && upper && stride && *stride > 0) {
    int64_t index = *lower;
    isDone = iterate(state, [&](State &current) -> std::optional<bool> {
      if (index >= *upper)
        return false;
      current = runBody(index, std::move(current));
      index += *stride;
      return true;
    });
  }
  if (!isDone) {
    state = take();
    settle(op, state, [&](State current) {
      return runBody(std::nullopt, std::move(current));
    });
  }
  for (auto [result, elements] : llvm::zip_equal(op->getResults(), state))
    set(result, std::move(elements));
}

void SparsityAnalysis::visitWhile(Operation *op) {
  auto loop = cast<scf::WhileOp>(op);
  auto take = [&] {
    State state;
    for (Value init : loop.getInits())
      state.push_back(values[init]);
    return state;
  };
  Block &before = *loop.getBeforeBody(), &after = *loop.getAfterBody();
  State state = take(), passed;
  bool isDone = iterate(state, [&](State &current) -> std::optional<bool> {
    passed = run(before, std::move(current));
    std::optional<int64_t> goesOn = passed.front().number();
    passed.erase(passed.begin());
    if (!goesOn)
      return std::nullopt;
    if (*goesOn)
      current = run(after, std::move(passed));
    return *goesOn != 0;
  });
  if (!isDone) {
    state = take();
    passed.clear();
    settle(op, state, [&](State current) {
      State next = run(before, std::move(current));
      next.erase(next.begin());
      if (passed.empty())
        passed = next;
      for (auto [into, other] : llvm::zip_equal(passed, next))
        join(into, other);
      return run(after, std::move(next));
    });
  }
  for (auto [result, elements] : llvm::zip_equal(op->getResults(), passed))
    set(result, std::move(elements));
}

void SparsityAnalysis::visitBranches(Operation *op) {
  SmallVector<Region *> taken;
  for (Region &region : op->getRegions())
    if (!region.empty())
      taken.push_back(&region);
  std::optional<int64_t> choice;
  if (!isa<scf::ExecuteRegionOp>(op))
    choice = values[op->getOperand(0)].number();
  if (choice && isa<scf::IfOp>(op) && op->getNumResults() > 0)
    taken = {&op->getRegion(*choice ? 0 : 1)};
  if (auto cases = dyn_cast<scf::IndexSwitchOp>(op); cases && choice) {
    auto found = llvm::find(cases.getCases(), *choice);
    taken = {found == cases.getCases().end()
                 ? &cases.getDefaultRegion()
                 : &cases.getCaseRegions()[found - cases.getCases().begin()]};
  }
  State state;
  for (Region *region : taken) {
    State other = run(region->front(), {});
    if (state.empty()) {
      state = std::move(other);
      continue;
    }
    for (auto [into, from] : llvm::zip_equal(state, other))
      join(into, from);
  }
  for (auto [result, elements] : llvm::zip_equal(op->getResults(), state))
    set(result, std::move(elements));
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

FailureOr<SparsityPattern>
mlir::grad::findSparsity(func::FuncOp function, ArrayRef<int64_t> wrt,
                         ArrayRef<int64_t> of, const KnownArguments &known) {
  if (!function.getBody().hasOneBlock())
    return function.emitOpError("expected a body of one block");
  auto check = [&](StringRef option, StringRef part, ArrayRef<int64_t> numbers,
                   ArrayRef<Type> types) -> LogicalResult {
    for (int64_t i : numbers) {
      if (i < 0 || size_t(i) >= types.size())
        return function.emitOpError("expected `")
               << option << "` in [0, " << types.size() << "), but got " << i;
      if (!isDifferentiable(types[i]))
        return function.emitOpError("expected `")
               << option << "` to name " << part
               << "s that have derivatives, but " << part << " #" << i
               << " has type " << types[i];
    }
    return success();
  };
  ArrayRef<Type> inputs = function.getArgumentTypes(),
                 outputs = function.getResultTypes();
  if (failed(check("wrt", "argument", wrt, inputs)) ||
      failed(check("of", "result", of, outputs)))
    return failure();
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  SparsityPattern pattern;
  for (int64_t i : wrt)
    pattern.columns += sizeOf(inputs[i]);
  for (int64_t i : of)
    pattern.rows += sizeOf(outputs[i]);
  if (pattern.columns >= kMost || pattern.rows >= kMost)
    return function.emitOpError("expected fewer than 2^31 inputs and results, "
                                "but got ")
           << pattern.columns << " and " << pattern.rows;

  SparsityAnalysis analysis(pattern.columns);
  State arguments(inputs.size());
  int64_t first = 0;
  for (int64_t i : wrt) {
    auto sets = std::make_shared<std::vector<Set>>(sizeOf(inputs[i]));
    for (Set &set : *sets)
      set = analysis.sets().single(first++);
    arguments[i].sets = std::move(sets);
  }
  for (const auto &[i, numbers] : known)
    if (size_t(i) < inputs.size() &&
        int64_t(numbers.size()) == sizeOf(inputs[i]))
      arguments[i].numbers = std::make_shared<std::vector<int64_t>>(numbers);
  State results = analysis.run(function.front(), std::move(arguments));

  pattern.offsets.reserve(pattern.rows + 1);
  int64_t total = 0;
  for (int64_t o : of)
    for (int64_t i = 0; i < sizeOf(outputs[o]); ++i)
      total += analysis.sets().size(results[o].set(i));
  if (total > kMost)
    return function.emitOpError("expected a pattern of at most 2^31 elements, "
                                "but got ")
           << total << " in " << pattern.rows << " x " << pattern.columns;
  pattern.indices.reserve(total);
  for (int64_t o : of)
    for (int64_t i = 0; i < sizeOf(outputs[o]); ++i) {
      for (InputSets::Run run : analysis.sets().runs(results[o].set(i)))
        for (uint32_t j = run.begin; j < run.end; ++j)
          pattern.indices.push_back(j);
      pattern.offsets.push_back(pattern.indices.size());
    }
  return pattern;
}
