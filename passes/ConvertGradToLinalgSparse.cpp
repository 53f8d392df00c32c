//===- ConvertGradToLinalgSparse.cpp - Products with sparse matrices ------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Where rows are summed, an element of the result is a linalg.generic's, whose
/// body goes through the row. On the CPU other products are loops over the
/// rows; several columns are summed side by side, in registers. On a device,
/// whose threads write to places of their own, an element of a product with the
/// transpose looks for what is in its column.
///
//===----------------------------------------------------------------------===//

#include "passes/ConvertGradToLinalg.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::grad;

static Value constantIndex(OpBuilder &builder, Location loc, int64_t value) {
  return arith::ConstantIndexOp::create(builder, loc, value);
}

/// The next term of a sum of products. Terms keep their order: rows are short
/// or scattered, and vectors of them would cost more than they save.
static Value addProduct(OpBuilder &builder, Location loc, Value sum, Value lhs,
                        Value rhs) {
  using arith::FastMathFlags;
  Value product =
      multiplyNumbers(builder, loc, lhs, rhs, FastMathFlags::contract);
  return addNumbers(builder, loc, sum, product, FastMathFlags::contract);
}

namespace {

/// Where the elements of a sparse matrix are, as numbers of the program.
class Places {
public:
  Places(Value indices, Value pointers, int64_t columns)
      : indices(indices), pointers(pointers), columns(columns),
        count(sizeOf(indices)), rows(sizeOf(pointers) - 1) {}

  /// The column of element `k`.
  Value columnOf(OpBuilder &builder, Location loc, Value k) const {
    return read(builder, loc, indices, k, columns - 1);
  }

  /// Where row `i` begins, or the one before it ends.
  Value beginOf(OpBuilder &builder, Location loc, Value i) const {
    return read(builder, loc, pointers, i, count);
  }

  /// Calls `body` on the elements of row `i` with what was summed before.
  scf::ValueVector
  forRow(OpBuilder &builder, Location loc, Value i, ValueRange state,
         function_ref<scf::ValueVector(OpBuilder &, Location, Value k,
                                       ValueRange state)>
             body) const {
    Value one = constantIndex(builder, loc, 1);
    Value next = arith::AddIOp::create(builder, loc, i, one);
    auto loop = scf::ForOp::create(
        builder, loc, beginOf(builder, loc, i), beginOf(builder, loc, next),
        one, state,
        [&](OpBuilder &builder, Location loc, Value k, ValueRange state) {
          scf::YieldOp::create(builder, loc, body(builder, loc, k, state));
        });
    return loop.getResults();
  }

  /// The sum of terms of the elements of row `i`, which `add` adds to a sum.
  /// Four sums at a time, so that none waits for the one before.
  Value sumRow(OpBuilder &builder, Location loc, Value i, Value zero,
               function_ref<Value(OpBuilder &, Location, Value k, Value sum)>
                   add) const {
    constexpr int64_t kSums = 4;
    auto constant = [&](int64_t value) {
      return constantIndex(builder, loc, value);
    };
    Value one = constant(1);
    Value begin = beginOf(builder, loc, i);
    Value end =
        beginOf(builder, loc, arith::AddIOp::create(builder, loc, i, one));
    end = arith::MaxUIOp::create(builder, loc, begin, end);
    Value whole = arith::AndIOp::create(
        builder, loc, arith::SubIOp::create(builder, loc, end, begin),
        constant(-kSums));
    whole = arith::AddIOp::create(builder, loc, begin, whole);
    auto groups = scf::ForOp::create(
        builder, loc, begin, whole, constant(kSums),
        SmallVector<Value>(kSums, zero),
        [&](OpBuilder &builder, Location loc, Value k, ValueRange sums) {
          SmallVector<Value> next;
          for (auto [offset, sum] : llvm::enumerate(sums)) {
            Value at = arith::AddIOp::create(
                builder, loc, k, constantIndex(builder, loc, offset));
            next.push_back(add(builder, loc, at, sum));
          }
          scf::YieldOp::create(builder, loc, next);
        });
    ValueRange sums = groups.getResults();
    auto sumOf = [&](Value a, Value b) {
      return addNumbers(builder, loc, a, b);
    };
    Value sum = sumOf(sumOf(sums[0], sums[1]), sumOf(sums[2], sums[3]));
    auto rest = scf::ForOp::create(
        builder, loc, whole, end, one, sum,
        [&](OpBuilder &builder, Location loc, Value k, ValueRange sum) {
          scf::YieldOp::create(builder, loc, add(builder, loc, k, sum[0]));
        });
    return rest.getResult(0);
  }

  /// The row of element `k`, which a binary search finds.
  Value rowOf(OpBuilder &builder, Location loc, Value k) const {
    Value zero = constantIndex(builder, loc, 0),
          one = constantIndex(builder, loc, 1);
    Value last = constantIndex(builder, loc, rows - 1);
    auto search = scf::ForOp::create(
        builder, loc, zero,
        constantIndex(builder, loc, llvm::Log2_64_Ceil(rows)), one,
        ValueRange{zero, last},
        [&](OpBuilder &builder, Location loc, Value, ValueRange state) {
          // The row is one from state[0] to state[1].
          Value middle = arith::ShRUIOp::create(
              builder, loc,
              arith::AddIOp::create(builder, loc, state[0], state[1]), one);
          Value next = arith::AddIOp::create(builder, loc, middle, one);
          Value end = beginOf(builder, loc,
                              arith::MinSIOp::create(builder, loc, next, last));
          Value isBehind = arith::AndIOp::create(
              builder, loc,
              arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sle,
                                    end, k),
              arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt,
                                    middle, last));
          Value begin =
              arith::SelectOp::create(builder, loc, isBehind, next, state[0]);
          Value stop =
              arith::SelectOp::create(builder, loc, isBehind, state[1], middle);
          scf::YieldOp::create(builder, loc, ValueRange{begin, stop});
        });
    return search.getResult(0);
  }

  int64_t getRows() const { return rows; }
  int64_t getCount() const { return count; }

private:
  static int64_t sizeOf(Value vector) {
    return cast<RankedTensorType>(vector.getType()).getDimSize(0);
  }

  /// Element `at` as an index from 0 to `last`; what is negative is large.
  static Value read(OpBuilder &builder, Location loc, Value from, Value at,
                    int64_t last) {
    Value number = tensor::ExtractOp::create(builder, loc, from, at);
    number = arith::IndexCastUIOp::create(builder, loc, builder.getIndexType(),
                                          number);
    return arith::MinUIOp::create(builder, loc, number,
                                  constantIndex(builder, loc, last));
  }

  Value indices, pointers;
  int64_t columns, count, rows;
};

/// A vector, or a matrix, of which a vector is the one column.
struct Dense {
  explicit Dense(Value value)
      : value(value), type(cast<RankedTensorType>(value.getType())) {}

  int64_t width() const { return type.getRank() == 1 ? 1 : type.getDimSize(1); }

  /// The indices of an element.
  SmallVector<Value> at(Value row, Value column) const {
    SmallVector<Value> place{row};
    if (type.getRank() == 2)
      place.push_back(column);
    return place;
  }
  Value read(OpBuilder &builder, Location loc, Value row, Value column) const {
    return tensor::ExtractOp::create(builder, loc, value, at(row, column));
  }

  Value value;
  RankedTensorType type;
};

/// A loop from 0 to `size` that carries a tensor or number.
template <typename Body>
Value loopOver(OpBuilder &builder, Location loc, int64_t size, Value carried,
               Body body) {
  auto loop = scf::ForOp::create(
      builder, loc, constantIndex(builder, loc, 0),
      constantIndex(builder, loc, size), constantIndex(builder, loc, 1),
      carried,
      [&](OpBuilder &builder, Location loc, Value i, ValueRange state) {
        scf::YieldOp::create(builder, loc, body(builder, loc, i, state[0]));
      });
  return loop.getResult(0);
}

/// grad.sparse_dot => linalg.generic, or loops over the rows.
class LowerSparseDot : public OpRewritePattern<SparseDotOp> {
public:
  LowerSparseDot(MLIRContext *context, bool forDevice)
      : OpRewritePattern(context), forDevice(forDevice) {}

  LogicalResult matchAndRewrite(SparseDotOp op,
                                PatternRewriter &rewriter) const override {
    if (hasNoElements(op.getData()) || hasNoElements(op.getX())) {
      rewriter.replaceOp(op, filled(rewriter, op.getLoc(), op.getType(), 0));
      return success();
    }
    Places places(op.getIndices(), op.getPointers(), op.getColumns());
    Value result;
    if (op.getTransposed())
      result = forDevice ? transposeOnDevice(rewriter, op, places)
                         : transposeInOrder(rewriter, op, places);
    else if (forDevice || Dense(op.getX()).width() == 1)
      result = sumRows(rewriter, op, places);
    else
      result = sumRowsOfMany(rewriter, op, places);
    rewriter.replaceOp(op, result);
    return success();
  }

private:
  /// How many columns are summed at once: numbers that fit into registers.
  static constexpr int64_t kSideBySide = 8;

  static Value zeroOf(OpBuilder &builder, SparseDotOp op) {
    return numberOf(builder, op.getLoc(), op.getType().getElementType(), 0);
  }

  /// An element of the result, from its row and column.
  using Element = function_ref<Value(OpBuilder &, Location, Value, Value)>;
  static Value byElements(OpBuilder &builder, SparseDotOp op, Element element) {
    Location loc = op.getLoc();
    RankedTensorType type = op.getType();
    auto generic = linalg::GenericOp::create(
        builder, loc, TypeRange(type), ValueRange(),
        ValueRange(emptyLike(builder, loc, type)),
        builder.getMultiDimIdentityMap(type.getRank()),
        iterators(type.getRank()),
        [&](OpBuilder &builder, Location loc, ValueRange) {
          Value i = linalg::IndexOp::create(builder, loc, 0), c;
          if (type.getRank() == 2)
            c = linalg::IndexOp::create(builder, loc, 1);
          linalg::YieldOp::create(builder, loc, element(builder, loc, i, c));
        });
    return generic.getResult(0);
  }

  /// Adds element `k` of the matrix, times the one of x in this row and column,
  /// to a sum.
  static Value addTerm(OpBuilder &builder, Location loc, SparseDotOp op,
                       Value k, Value row, Value column, Value sum) {
    Value element = tensor::ExtractOp::create(builder, loc, op.getData(), k);
    return addProduct(builder, loc, sum, element,
                      Dense(op.getX()).read(builder, loc, row, column));
  }

  static Value sumRows(OpBuilder &builder, SparseDotOp op,
                       const Places &places) {
    Value zero = zeroOf(builder, op);
    return byElements(
        builder, op, [&](OpBuilder &builder, Location loc, Value i, Value c) {
          auto add = [&](OpBuilder &builder, Location loc, Value k, Value sum) {
            Value row = places.columnOf(builder, loc, k);
            return addTerm(builder, loc, op, k, row, c, sum);
          };
          return places.sumRow(builder, loc, i, zero, add);
        });
  }

  /// Loops over rows and groups of columns, each of which goes through the row.
  static Value sumRowsOfMany(OpBuilder &builder, SparseDotOp op,
                             const Places &places) {
    Location loc = op.getLoc();
    Dense x(op.getX());
    int64_t width = x.width(), groups = width / kSideBySide;
    Value zero = zeroOf(builder, op);
    // `count` columns from `first` on.
    auto sumGroup = [&](OpBuilder &builder, Location loc, Value i, Value first,
                        int64_t count, Value result) {
      SmallVector<Value> columns;
      for (int64_t c = 0; c < count; ++c)
        columns.push_back(arith::AddIOp::create(
            builder, loc, first, constantIndex(builder, loc, c)));
      scf::ValueVector sums = places.forRow(
          builder, loc, i, SmallVector<Value>(count, zero),
          [&](OpBuilder &builder, Location loc, Value k, ValueRange sums) {
            Value element =
                tensor::ExtractOp::create(builder, loc, op.getData(), k);
            Value row = places.columnOf(builder, loc, k);
            scf::ValueVector next;
            for (auto [sum, c] : llvm::zip_equal(sums, columns))
              next.push_back(addProduct(builder, loc, sum, element,
                                        x.read(builder, loc, row, c)));
            return next;
          });
      for (auto [sum, c] : llvm::zip_equal(sums, columns))
        result = tensor::InsertOp::create(builder, loc, sum, result,
                                          ValueRange{i, c});
      return result;
    };
    return loopOver(
        builder, loc, places.getRows(), emptyLike(builder, loc, op.getType()),
        [&](OpBuilder &builder, Location loc, Value i, Value result) {
          if (groups > 0)
            result = loopOver(
                builder, loc, groups, result,
                [&](OpBuilder &builder, Location loc, Value g, Value result) {
                  Value first = arith::MulIOp::create(
                      builder, loc, g,
                      constantIndex(builder, loc, kSideBySide));
                  return sumGroup(builder, loc, i, first, kSideBySide, result);
                });
          if (int64_t rest = width % kSideBySide)
            result = sumGroup(builder, loc, i,
                              constantIndex(builder, loc, groups * kSideBySide),
                              rest, result);
          return result;
        });
  }

  /// Each row, times its element of x, added to the columns in its turn.
  static Value transposeInOrder(OpBuilder &builder, SparseDotOp op,
                                const Places &places) {
    Dense x(op.getX()), result(op.getResult());
    auto addRow = [&](OpBuilder &builder, Location loc, Value i, Value sums) {
      auto add = [&](OpBuilder &builder, Location loc, Value k,
                     ValueRange state) -> scf::ValueVector {
        Value element =
            tensor::ExtractOp::create(builder, loc, op.getData(), k);
        Value column = places.columnOf(builder, loc, k);
        auto addTo = [&](OpBuilder &builder, Location loc, Value c,
                         Value sums) -> Value {
          SmallVector<Value> at = result.at(column, c);
          Value sum = tensor::ExtractOp::create(builder, loc, sums, at);
          sum = addProduct(builder, loc, sum, element,
                           x.read(builder, loc, i, c));
          return tensor::InsertOp::create(builder, loc, sum, sums, at);
        };
        if (x.type.getRank() == 1)
          return {addTo(builder, loc, {}, state[0])};
        return {loopOver(builder, loc, x.width(), state[0], addTo)};
      };
      return places.forRow(builder, loc, i, sums, add)[0];
    };
    Location loc = op.getLoc();
    return loopOver(builder, loc, places.getRows(),
                    filled(builder, loc, op.getType(), 0), addRow);
  }

  /// Each column, from the elements that are in it.
  static Value transposeOnDevice(OpBuilder &builder, SparseDotOp op,
                                 const Places &places) {
    Value zero = zeroOf(builder, op);
    return byElements(
        builder, op, [&](OpBuilder &builder, Location loc, Value j, Value c) {
          auto addIfThere = [&](OpBuilder &builder, Location loc, Value k,
                                Value sum) -> Value {
            Value isThere =
                arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                      places.columnOf(builder, loc, k), j);
            auto choice = scf::IfOp::create(
                builder, loc, isThere,
                [&](OpBuilder &builder, Location loc) {
                  Value row = places.rowOf(builder, loc, k);
                  scf::YieldOp::create(
                      builder, loc, addTerm(builder, loc, op, k, row, c, sum));
                },
                [&](OpBuilder &builder, Location loc) {
                  scf::YieldOp::create(builder, loc, sum);
                });
            return choice.getResult(0);
          };
          return loopOver(builder, loc, places.getCount(), zero, addIfThere);
        });
  }

  bool forDevice;
};

/// grad.sampled_dot => loops over rows and their elements; on a device, a
/// linalg.generic whose body finds the row of an element.
class LowerSampledDot : public OpRewritePattern<SampledDotOp> {
public:
  LowerSampledDot(MLIRContext *context, bool forDevice)
      : OpRewritePattern(context), forDevice(forDevice) {}

  LogicalResult matchAndRewrite(SampledDotOp op,
                                PatternRewriter &rewriter) const override {
    if (hasNoElements(op.getLhs()) || hasNoElements(op.getRhs())) {
      rewriter.replaceOp(op, filled(rewriter, op.getLoc(), op.getType(), 0));
      return success();
    }
    Location loc = op.getLoc();
    RankedTensorType type = op.getType();
    Places places(op.getIndices(), op.getPointers(),
                  cast<RankedTensorType>(op.getRhs().getType()).getDimSize(0));
    if (!forDevice) {
      auto insert = [&](OpBuilder &builder, Location loc, Value i, Value k,
                        Value result) -> Value {
        Value sum = product(builder, op, i, places.columnOf(builder, loc, k));
        return tensor::InsertOp::create(builder, loc, sum, result, k);
      };
      Value result = loopOver(
          rewriter, loc, places.getRows(), filled(rewriter, loc, type, 0),
          [&](OpBuilder &builder, Location loc, Value i, Value result) {
            return places.forRow(builder, loc, i, result,
                                 [&](OpBuilder &builder, Location loc, Value k,
                                     ValueRange state) -> scf::ValueVector {
                                   return {
                                       insert(builder, loc, i, k, state[0])};
                                 })[0];
          });
      rewriter.replaceOp(op, result);
      return success();
    }
    auto generic = linalg::GenericOp::create(
        rewriter, loc, TypeRange(type), ValueRange(),
        ValueRange(emptyLike(rewriter, loc, type)),
        rewriter.getMultiDimIdentityMap(1), iterators(1),
        [&](OpBuilder &builder, Location loc, ValueRange) {
          Value k = linalg::IndexOp::create(builder, loc, 0);
          Value sum = product(builder, op, places.rowOf(builder, loc, k),
                              places.columnOf(builder, loc, k));
          linalg::YieldOp::create(builder, loc, sum);
        });
    rewriter.replaceOp(op, generic);
    return success();
  }

private:
  /// The product of row `i` of lhs and row `j` of rhs.
  static Value product(OpBuilder &builder, SampledDotOp op, Value i, Value j) {
    Location loc = op.getLoc();
    Dense lhs(op.getLhs()), rhs(op.getRhs());
    if (lhs.type.getRank() == 1)
      return multiplyNumbers(builder, loc, lhs.read(builder, loc, i, {}),
                             rhs.read(builder, loc, j, {}));
    Value zero = numberOf(builder, loc, op.getType().getElementType(), 0);
    return loopOver(builder, loc, lhs.width(), zero,
                    [&](OpBuilder &builder, Location loc, Value c, Value sum) {
                      return addProduct(builder, loc, sum,
                                        lhs.read(builder, loc, i, c),
                                        rhs.read(builder, loc, j, c));
                    });
  }

  bool forDevice;
};

} // namespace

void mlir::grad::populateSparseToLinalg(RewritePatternSet &patterns,
                                        bool forDevice) {
  patterns.add<LowerSparseDot, LowerSampledDot>(patterns.getContext(),
                                                forDevice);
}
