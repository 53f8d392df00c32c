//===- FactorKernel.cpp - Factorisations by threads of a GPU --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/FactorKernel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <limits>

using namespace mlir;
using namespace mlir::grad;
namespace lapack = gradopt::runtime::lapack;

//===----------------------------------------------------------------------===//
// Numbers
//===----------------------------------------------------------------------===//

namespace {

/// Arithmetic at the insertion point. Products are part of the sum that they
/// are subtracted from.
struct Arithmetic {
  RewriterBase &rewriter;
  Location loc;

  Value index(int64_t value) const {
    return arith::ConstantIndexOp::create(rewriter, loc, value);
  }
  Value i32(int64_t value) const {
    return arith::ConstantIntOp::create(rewriter, loc, value, 32);
  }
  Value number(Type type, double value) const {
    return arith::ConstantOp::create(rewriter, loc,
                                     rewriter.getFloatAttr(type, value));
  }
  Value plus(Value a, Value b) const {
    return arith::AddIOp::create(rewriter, loc, a, b);
  }
  Value minus(Value a, Value b) const {
    return arith::SubIOp::create(rewriter, loc, a, b);
  }
  /// sum - a * b
  Value minusProduct(Value sum, Value a, Value b) const {
    auto contract = arith::FastMathFlags::contract;
    Value product = arith::MulFOp::create(rewriter, loc, a, b, contract);
    return arith::SubFOp::create(rewriter, loc, sum, product, contract);
  }
  Value divide(Value a, Value b) const {
    return arith::DivFOp::create(rewriter, loc, a, b);
  }
  Value both(Value a, Value b) const {
    return arith::AndIOp::create(rewriter, loc, a, b);
  }
  Value select(Value condition, Value a, Value b) const {
    return arith::SelectOp::create(rewriter, loc, condition, a, b);
  }
  Value compare(arith::CmpIPredicate predicate, Value a, Value b) const {
    return arith::CmpIOp::create(rewriter, loc, predicate, a, b);
  }
  Value compare(arith::CmpFPredicate predicate, Value a, Value b) const {
    return arith::CmpFOp::create(rewriter, loc, predicate, a, b);
  }
  Value isEqual(Value a, Value b) const {
    return compare(arith::CmpIPredicate::eq, a, b);
  }
  Value isLess(Value a, Value b) const {
    return compare(arith::CmpIPredicate::slt, a, b);
  }
  /// `status`, or the number of `step` from one, if it fails as the first one.
  Value note(Value status, Value step, Value hasFailed) const {
    Value isFirst = both(hasFailed, isEqual(status, i32(0)));
    Value number =
        arith::IndexCastOp::create(rewriter, loc, rewriter.getI32Type(), step);
    return select(isFirst, plus(number, i32(1)), status);
  }
  /// Goes from `begin` to `end`, and returns what it carried.
  SmallVector<Value>
  carry(Value begin, Value end, ValueRange carried,
        llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) const {
    auto loop =
        scf::ForOp::create(rewriter, loc, begin, end, index(1), carried);
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPointToStart(loop.getBody());
    SmallVector<Value> next =
        body(loop.getInductionVar(), loop.getRegionIterArgs());
    // A loop that carries nothing has its end already.
    rewriter.setInsertionPointToEnd(loop.getBody());
    if (!carried.empty())
      scf::YieldOp::create(rewriter, loc, next);
    return llvm::to_vector_of<Value>(loop.getResults());
  }
};

} // namespace

Value FactorKernel::index(int64_t value) {
  return Arithmetic{*rewriter, op.getLoc()}.index(value);
}

void FactorKernel::wait() { gpu::BarrierOp::create(*rewriter, op.getLoc()); }

Value FactorKernel::load(Value from, ValueRange at) {
  SmallVector<Value> indices(matrix);
  llvm::append_range(indices, at);
  return memref::LoadOp::create(*rewriter, op.getLoc(), from, indices);
}

void FactorKernel::store(Value value, Value to, ValueRange at) {
  SmallVector<Value> indices(matrix);
  llvm::append_range(indices, at);
  memref::StoreOp::create(*rewriter, op.getLoc(), value, to, indices);
}

void FactorKernel::loop(Value begin, Value end,
                        llvm::function_ref<void(Value)> body) {
  auto loop = scf::ForOp::create(*rewriter, op.getLoc(), begin, end, index(1));
  OpBuilder::InsertionGuard guard(*rewriter);
  rewriter->setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

void FactorKernel::when(Value condition, llvm::function_ref<void()> body) {
  auto branch = scf::IfOp::create(*rewriter, op.getLoc(), condition);
  OpBuilder::InsertionGuard guard(*rewriter);
  rewriter->setInsertionPointToStart(branch.thenBlock());
  body();
}

//===----------------------------------------------------------------------===//
// What there is to do
//===----------------------------------------------------------------------===//

bool FactorKernel::isSolution() const {
  return routine == lapack::LuSolve || routine == lapack::TriangularSolve;
}

bool FactorKernel::has(int64_t flag) const {
  return (LapackIntoOp(op).getFlags() & flag) != 0;
}

std::optional<FactorKernel> FactorKernel::match(Operation *operation) {
  auto op = dyn_cast<LapackIntoOp>(operation);
  if (!op)
    return std::nullopt;
  auto routine = lapack::Routine(llvm::find(lapack::kNames, op.getRoutine()) -
                                 lapack::kNames);
  FactorKernel kernel(op, routine);
  if (routine != lapack::Cholesky && routine != lapack::Lu &&
      !kernel.isSolution())
    return std::nullopt;
  if (llvm::any_of(op->getOperandTypes(), [](Type type) {
        auto memory = dyn_cast<MemRefType>(type);
        return !memory || !memory.hasStaticShape();
      }))
    return std::nullopt;
  auto type = cast<MemRefType>(op.getInputs().front().getType());
  if (!type.getElementType().isF32() && !type.getElementType().isF64())
    return std::nullopt;
  ArrayRef<int64_t> shape = type.getShape();
  kernel.stack = shape.drop_back(2);
  kernel.numMatrices = ShapedType::getNumElements(kernel.stack);
  kernel.rows = shape.end()[-2];
  kernel.columns = shape.back();
  // All are stacks of as many, but for what LU factorisations work in.
  for (Value operand : op->getOperands().take_front(
           routine == lapack::Lu ? op->getNumOperands() - 1
                                 : op->getNumOperands())) {
    ArrayRef<int64_t> sizes = cast<MemRefType>(operand.getType()).getShape();
    if (sizes.size() < kernel.stack.size() ||
        sizes.take_front(kernel.stack.size()) != kernel.stack)
      return std::nullopt;
  }
  int64_t numThreads = kernel.numMatrices * kernel.getThreadsOfMatrix();
  if (kernel.rows == 0 || kernel.columns == 0 || numThreads == 0 ||
      std::max(kernel.rows, kernel.columns) > kMostRows ||
      kernel.getNumBlocks() > std::numeric_limits<int32_t>::max())
    return std::nullopt;
  return kernel;
}

int64_t FactorKernel::getThreadsOfMatrix() const {
  if (!isSolution())
    return llvm::PowerOf2Ceil(std::max(rows, columns));
  auto x = cast<MemRefType>(LapackIntoOp(op).getOuts().front().getType());
  bool isLeft = routine == lapack::LuSolve || has(lapack::IsLeft);
  return isLeft ? x.getShape().back() : x.getShape().end()[-2];
}

int64_t FactorKernel::getNumBlocks() const {
  return llvm::divideCeil(numMatrices * getThreadsOfMatrix(), kNumThreads);
}

void FactorKernel::write(RewriterBase &writer, const ThreadTeam &team) {
  rewriter = &writer;
  Location loc = op.getLoc();
  Arithmetic math{writer, loc};
  Value first =
      arith::MulIOp::create(writer, loc, team.block, index(team.numThreads));
  Value number = math.plus(first, team.thread);
  Value ofMatrix = index(getThreadsOfMatrix());
  place = arith::RemUIOp::create(writer, loc, number, ofMatrix);
  Value rest = arith::DivUIOp::create(writer, loc, number, ofMatrix);
  isInside = math.isLess(rest, index(numMatrices));
  // All threads have something to read, and wait for each other.
  rest = math.select(isInside, rest, index(numMatrices - 1));
  matrix.assign(stack.size(), Value());
  for (size_t d = stack.size(); d-- > 0;) {
    matrix[d] = arith::RemUIOp::create(writer, loc, rest, index(stack[d]));
    rest = arith::DivUIOp::create(writer, loc, rest, index(stack[d]));
  }
  if (routine == lapack::Cholesky)
    writeCholesky();
  else if (routine == lapack::Lu)
    writeLu();
  else
    when(isInside, [&] { writeSolution(); });
}

//===----------------------------------------------------------------------===//
// Factorisations
//===----------------------------------------------------------------------===//

/// Column by column: each thread calculates the element of its row, and, as all
/// others do, the one on the diagonal.
void FactorKernel::writeCholesky() {
  Arithmetic math{*rewriter, op.getLoc()};
  Value a = op.getInputs()[0], factor = op.getOuts()[0],
        status = op.getOuts()[1];
  Type type = getElementTypeOrSelf(a.getType());
  Value zero = index(0), size = index(rows);
  Value isMine = math.both(isInside, math.isLess(place, size));
  Value row = math.select(math.isLess(place, size), place, index(rows - 1));
  Value found =
      math.carry(zero, size, math.i32(0), [&](Value j, ValueRange carried) {
        SmallVector<Value> sums =
            math.carry(zero, j, {load(a, {j, j}), load(a, {row, j})},
                       [&](Value k, ValueRange sums) -> SmallVector<Value> {
                         Value other = load(factor, {j, k});
                         return {math.minusProduct(sums[0], other, other),
                                 math.minusProduct(
                                     sums[1], load(factor, {row, k}), other)};
                       });
        Value hasFailed = math.compare(arith::CmpFPredicate::ULE, sums[0],
                                       math.number(type, 0));
        Value root = math::SqrtOp::create(*rewriter, op.getLoc(), sums[0]);
        Value below = math.divide(sums[1], root);
        Value element =
            math.select(math.isLess(row, j), math.number(type, 0),
                        math.select(math.isEqual(row, j), root, below));
        when(isMine, [&] { store(element, factor, {row, j}); });
        wait();
        return SmallVector<Value>{math.note(carried[0], j, hasFailed)};
      })[0];
  when(math.both(isMine, math.isEqual(place, zero)),
       [&] { store(found, status, {}); });
  Value isNothing = math.compare(arith::CmpIPredicate::ne, found, math.i32(0));
  when(math.both(isMine, isNothing), [&] {
    loop(zero, size, [&](Value j) {
      store(math.number(type, std::numeric_limits<double>::quiet_NaN()), factor,
            {row, j});
    });
  });
}

/// Step by step: all threads of a matrix look for the pivot, each exchanges two
/// elements of its column, and then eliminates in its row.
void FactorKernel::writeLu() {
  Arithmetic math{*rewriter, op.getLoc()};
  Location loc = op.getLoc();
  Value a = op.getInputs()[0], factors = op.getOuts()[0],
        pivots = op.getOuts()[1], permutation = op.getOuts()[2],
        status = op.getOuts()[3];
  Type type = getElementTypeOrSelf(a.getType());
  Value zero = index(0), one = index(1), height = index(rows),
        width = index(columns), steps = index(std::min(rows, columns));
  Value hasRow = math.both(isInside, math.isLess(place, height));
  Value hasColumn = math.both(isInside, math.isLess(place, width));
  Value isFirst = math.both(isInside, math.isEqual(place, zero));
  auto cast = [&](Value number, Value memory) {
    return arith::IndexCastOp::create(
        *rewriter, loc, getElementTypeOrSelf(memory.getType()), number);
  };
  when(hasRow, [&] {
    loop(zero, width,
         [&](Value j) { store(load(a, {place, j}), factors, {place, j}); });
    store(cast(place, permutation), permutation, {place});
  });
  wait();
  auto sizeOf = [&](Value row, Value k) -> Value {
    return math::AbsFOp::create(*rewriter, loc, load(factors, {row, k}));
  };
  auto step = [&](Value k, ValueRange carried) -> SmallVector<Value> {
    Value next = math.plus(k, one);
    SmallVector<Value> best =
        math.carry(next, height, {sizeOf(k, k), k},
                   [&](Value i, ValueRange best) -> SmallVector<Value> {
                     Value size = sizeOf(i, k);
                     Value isLarger =
                         math.compare(arith::CmpFPredicate::OGT, size, best[0]);
                     return {math.select(isLarger, size, best[0]),
                             math.select(isLarger, i, best[1])};
                   });
    Value pivot = best[1];
    wait();
    auto exchange = [&](Value memory, ValueRange one, ValueRange other) {
      Value x = load(memory, one), y = load(memory, other);
      store(y, memory, one);
      store(x, memory, other);
    };
    when(hasColumn, [&] { exchange(factors, {k, place}, {pivot, place}); });
    when(isFirst, [&] {
      store(cast(pivot, pivots), pivots, {k});
      exchange(permutation, {k}, {pivot});
    });
    wait();
    Value isSingular =
        math.compare(arith::CmpFPredicate::OEQ, best[0], math.number(type, 0));
    Value isBelow = math.both(hasRow, math.isLess(k, place));
    Value hasPivot =
        math.compare(arith::CmpFPredicate::UNE, best[0], math.number(type, 0));
    when(math.both(isBelow, hasPivot), [&] {
      Value factor =
          math.divide(load(factors, {place, k}), load(factors, {k, k}));
      store(factor, factors, {place, k});
      loop(next, width, [&](Value j) {
        store(math.minusProduct(load(factors, {place, j}), factor,
                                load(factors, {k, j})),
              factors, {place, j});
      });
    });
    wait();
    return {math.note(carried[0], k, isSingular)};
  };
  Value found = math.carry(zero, steps, math.i32(0), step)[0];
  when(isFirst, [&] { store(found, status, {}); });
}

//===----------------------------------------------------------------------===//
// Solutions
//===----------------------------------------------------------------------===//

/// One column of a left solution. One row of a right one is that, too, with the
/// transpose of the matrix.
void FactorKernel::writeSolution() {
  Arithmetic math{*rewriter, op.getLoc()};
  Location loc = op.getLoc();
  bool isLu = routine == lapack::LuSolve;
  bool isLeft = isLu || has(lapack::IsLeft);
  Value a = op.getInputs().front(), x = op.getOuts().front(),
        given = op.getInputs().back();
  Value zero = index(0), last = index(rows - 1), size = index(rows);
  auto at = [&](Value i) -> SmallVector<Value> {
    return isLeft ? SmallVector<Value>{i, place} : SmallVector<Value>{place, i};
  };
  // Row i of the system is solved with those before, or behind it.
  auto solve = [&](Value from, bool transposed, bool isLower, bool isUnit) {
    auto element = [&](Value i, Value j) {
      return transposed ? load(a, {j, i}) : load(a, {i, j});
    };
    auto nth = [&](Value step) {
      return isLower ? step : math.minus(last, step);
    };
    loop(zero, size, [&](Value step) {
      Value i = nth(step);
      Value sum = math.carry(
          zero, step, load(from, at(i)),
          [&](Value before, ValueRange sum) -> SmallVector<Value> {
            Value k = nth(before);
            return {math.minusProduct(sum[0], element(i, k), load(x, at(k)))};
          })[0];
      store(isUnit ? sum : math.divide(sum, element(i, i)), x, at(i));
    });
  };
  bool transposed = has(lapack::IsTransposed);
  if (!isLu) {
    bool turned = transposed != !isLeft;
    return solve(given, turned, has(lapack::IsLower) != turned,
                 has(lapack::IsUnit));
  }
  auto exchangeRows = [&](bool backwards) {
    loop(zero, size, [&](Value step) {
      Value i = backwards ? math.minus(last, step) : step;
      Value pivot = arith::IndexCastOp::create(
          *rewriter, loc, rewriter->getIndexType(), load(op.getInputs()[1], i));
      // Of another's numbers, none leads out of x.
      pivot = arith::MaxSIOp::create(*rewriter, loc, pivot, zero);
      pivot = arith::MinSIOp::create(*rewriter, loc, pivot, last);
      Value one = load(x, at(i)), other = load(x, at(pivot));
      store(other, x, at(i));
      store(one, x, at(pivot));
    });
  };
  if (transposed) {
    solve(given, /*transposed=*/true, /*isLower=*/true, /*isUnit=*/false);
    solve(x, /*transposed=*/true, /*isLower=*/false, /*isUnit=*/true);
    return exchangeRows(/*backwards=*/true);
  }
  loop(zero, size, [&](Value i) { store(load(given, at(i)), x, at(i)); });
  exchangeRows(/*backwards=*/false);
  solve(x, /*transposed=*/false, /*isLower=*/true, /*isUnit=*/true);
  solve(x, /*transposed=*/false, /*isLower=*/false, /*isUnit=*/false);
}
