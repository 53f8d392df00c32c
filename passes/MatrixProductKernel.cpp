//===- MatrixProductKernel.cpp - Matrix products on a GPU -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Each block calculates a tile of the result, step by step along the sum. For
/// a step, its threads load a tile of both matrices to shared memory, so that
/// neighbours load neighbouring elements; then each adds to a square of results
/// in its registers.
///
//===----------------------------------------------------------------------===//

#include "passes/MatrixProductKernel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::grad;

static constexpr int64_t kTile = 64;  ///< Rows and columns of a block.
static constexpr int64_t kDepth = 16; ///< Of a step.
static constexpr int64_t kSquare = 4; ///< Rows and columns of a thread.
static constexpr int64_t kAcross = kTile / kSquare; ///< Threads for a row.
static_assert(kAcross * kAcross == MatrixProduct::kNumThreads);

int64_t MatrixProduct::getNumBlocks(int64_t rows, int64_t columns) {
  return llvm::divideCeil(rows, kTile) * llvm::divideCeil(columns, kTile);
}

std::string MatrixProduct::getName() const {
  return ("gemm_f" + Twine(element.getIntOrFloatBitWidth()) + "_" +
          (transposesA ? "t" : "n") + (transposesB ? "t" : "n"))
      .str();
}

namespace {

/// The parameters of `gradopt_gemm_f64`.
enum Parameter : unsigned {
  TransA,
  TransB,
  M,
  N,
  K,
  A,
  LdA,
  B,
  LdB,
  C,
  LdC,
  Beta
};

class Writer {
public:
  Writer(OpBuilder &builder, Location loc, const MatrixProduct &product,
         gpu::GPUFuncOp kernel)
      : builder(builder), loc(loc), product(product), kernel(kernel) {}

  void write();

private:
  /// A matrix in memory, of any size.
  struct Matrix {
    Value elements;
    Value rowStride, columnStride;
    Value rows, columns;
    bool isTransposed; ///< Neighbours are in a column.
  };

  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(builder, loc, value);
  }
  Value add(Value a, Value b) {
    return arith::AddIOp::create(builder, loc, a, b);
  }
  Value multiply(Value a, Value b) {
    return arith::MulIOp::create(builder, loc, a, b);
  }
  Value isLess(Value a, Value b) {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, a, b);
  }
  Value toIndex(Parameter parameter) {
    return arith::IndexCastOp::create(builder, loc, builder.getIndexType(),
                                      kernel.getArgument(parameter));
  }
  Value zero() {
    return arith::ConstantOp::create(builder, loc,
                                     builder.getZeroAttr(product.element));
  }

  Matrix createMatrix(Parameter pointer, Parameter stride, Value rows,
                      Value columns, bool isTransposed);
  Value place(const Matrix &matrix, Value row, Value column) {
    return add(multiply(row, matrix.rowStride),
               multiply(column, matrix.columnStride));
  }
  void loadTile(const Matrix &matrix, Value row, Value column, int64_t rows,
                int64_t columns, Value tile, bool columnsFirst);
  SmallVector<Value> writeStep(Value tileA, Value tileB, ValueRange sums);
  void storeSums(const Matrix &result, Value row, Value column,
                 ValueRange sums);

  OpBuilder &builder;
  Location loc;
  const MatrixProduct &product;
  gpu::GPUFuncOp kernel;
  Value thread, threadRow, threadColumn;
};

} // namespace

Writer::Matrix Writer::createMatrix(Parameter pointer, Parameter stride,
                                    Value rows, Value columns,
                                    bool isTransposed) {
  Value one = index(1);
  Value leading = toIndex(stride);
  auto type =
      MemRefType::get(ShapedType::kDynamic, product.element,
                      StridedLayoutAttr::get(builder.getContext(), 0, {1}));
  Value size =
      isTransposed ? multiply(columns, leading) : multiply(rows, leading);
  Value elements = memref::ReinterpretCastOp::create(
      builder, loc, type, kernel.getArgument(pointer),
      OpFoldResult(builder.getIndexAttr(0)), {OpFoldResult(size)},
      {OpFoldResult(builder.getIndexAttr(1))});
  return {elements,
          isTransposed ? one : leading,
          isTransposed ? leading : one,
          rows,
          columns,
          isTransposed};
}

/// Loads a tile, beginning at a row and column, to shared memory, where it is
/// stored by rows, or by columns. What is outside of the matrix is zero.
void Writer::loadTile(const Matrix &matrix, Value row, Value column,
                      int64_t rows, int64_t columns, Value tile,
                      bool columnsFirst) {
  for (int64_t first = 0; first < rows * columns;
       first += MatrixProduct::kNumThreads) {
    Value number = add(thread, index(first));
    Value inner = index(matrix.isTransposed ? rows : columns);
    Value slow = arith::DivUIOp::create(builder, loc, number, inner);
    Value fast = arith::RemUIOp::create(builder, loc, number, inner);
    Value r = matrix.isTransposed ? fast : slow;
    Value c = matrix.isTransposed ? slow : fast;
    Value atRow = add(row, r), atColumn = add(column, c);
    Value isInside =
        arith::AndIOp::create(builder, loc, isLess(atRow, matrix.rows),
                              isLess(atColumn, matrix.columns));
    auto inside = scf::IfOp::create(builder, loc, product.element, isInside,
                                    /*withElseRegion=*/true);
    {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(inside.thenBlock());
      Value element = memref::LoadOp::create(builder, loc, matrix.elements,
                                             place(matrix, atRow, atColumn));
      scf::YieldOp::create(builder, loc, element);
      builder.setInsertionPointToStart(inside.elseBlock());
      scf::YieldOp::create(builder, loc, zero());
    }
    SmallVector<Value> at = {r, c};
    if (columnsFirst)
      std::swap(at[0], at[1]);
    memref::StoreOp::create(builder, loc, inside.getResult(0), tile, at);
  }
}

/// Adds the products of a step to `sums`, by rows. Without a loop, which LLVM
/// would leave as it is.
SmallVector<Value> Writer::writeStep(Value tileA, Value tileB,
                                     ValueRange sums) {
  SmallVector<Value> next(sums);
  for (int64_t depth = 0; depth < kDepth; ++depth) {
    auto load = [&](Value tile, Value first) {
      return llvm::map_to_vector(llvm::seq(kSquare), [&](int64_t i) -> Value {
        // Far from each other, so that neighbours read neighbouring elements.
        return memref::LoadOp::create(
            builder, loc, tile,
            ValueRange{index(depth), add(first, index(i * kAcross))});
      });
    };
    SmallVector<Value> a = load(tileA, threadRow);
    SmallVector<Value> b = load(tileB, threadColumn);
    for (int64_t i = 0; i < kSquare; ++i)
      for (int64_t j = 0; j < kSquare; ++j) {
        auto contract = arith::FastMathFlags::contract;
        Value summand =
            arith::MulFOp::create(builder, loc, a[i], b[j], contract);
        Value &sum = next[i * kSquare + j];
        sum = arith::AddFOp::create(builder, loc, sum, summand, contract);
      }
  }
  return next;
}

void Writer::storeSums(const Matrix &result, Value row, Value column,
                       ValueRange sums) {
  Value beta = kernel.getArgument(Beta);
  Value isAdded = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::UNE,
                                        beta, zero());
  for (int64_t i = 0; i < kSquare; ++i)
    for (int64_t j = 0; j < kSquare; ++j) {
      Value atRow = add(row, add(threadRow, index(i * kAcross)));
      Value atColumn = add(column, add(threadColumn, index(j * kAcross)));
      Value isInside =
          arith::AndIOp::create(builder, loc, isLess(atRow, result.rows),
                                isLess(atColumn, result.columns));
      auto inside = scf::IfOp::create(builder, loc, isInside);
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(inside.thenBlock());
      Value at = place(result, atRow, atColumn);
      // What is not added may be anything, NaN too.
      auto before = scf::IfOp::create(builder, loc, product.element, isAdded,
                                      /*withElseRegion=*/true);
      {
        OpBuilder::InsertionGuard nested(builder);
        builder.setInsertionPointToStart(before.thenBlock());
        Value old = memref::LoadOp::create(builder, loc, result.elements, at);
        scf::YieldOp::create(
            builder, loc,
            arith::MulFOp::create(builder, loc, beta, old).getResult());
        builder.setInsertionPointToStart(before.elseBlock());
        scf::YieldOp::create(builder, loc, zero());
      }
      Value sum = arith::AddFOp::create(builder, loc, before.getResult(0),
                                        sums[i * kSquare + j]);
      memref::StoreOp::create(builder, loc, sum, result.elements, at);
    }
}

void Writer::write() {
  builder.setInsertionPointToStart(&kernel.getBody().front());
  thread =
      gpu::ThreadIdOp::create(builder, loc, gpu::Dimension::x,
                              builder.getIndexAttr(MatrixProduct::kNumThreads));
  Value block = gpu::BlockIdOp::create(builder, loc, gpu::Dimension::x);
  threadRow = arith::DivUIOp::create(builder, loc, thread, index(kAcross));
  threadColumn = arith::RemUIOp::create(builder, loc, thread, index(kAcross));

  Value m = toIndex(M), n = toIndex(N), k = toIndex(K);
  Matrix a = createMatrix(A, LdA, m, k, product.transposesA);
  Matrix b = createMatrix(B, LdB, k, n, product.transposesB);
  Matrix c = createMatrix(C, LdC, m, n, /*isTransposed=*/false);
  Value across = arith::DivUIOp::create(builder, loc, add(n, index(kTile - 1)),
                                        index(kTile));
  Value row = multiply(arith::DivUIOp::create(builder, loc, block, across),
                       index(kTile));
  Value column = multiply(arith::RemUIOp::create(builder, loc, block, across),
                          index(kTile));

  auto space = gpu::AddressSpaceAttr::get(
      builder.getContext(), gpu::GPUDialect::getWorkgroupAddressSpace());
  // Rows of one element more are in different banks.
  auto tileType = MemRefType::get({kDepth, kTile + 1}, product.element,
                                  MemRefLayoutAttrInterface(), space);
  Value tileA = kernel.addWorkgroupAttribution(tileType, loc);
  Value tileB = kernel.addWorkgroupAttribution(tileType, loc);

  SmallVector<Value> sums(kSquare * kSquare, zero());
  auto steps =
      scf::ForOp::create(builder, loc, index(0), k, index(kDepth), sums);
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(steps.getBody());
    Value step = steps.getInductionVar();
    loadTile(a, row, step, kTile, kDepth, tileA, /*columnsFirst=*/true);
    loadTile(b, step, column, kDepth, kTile, tileB, /*columnsFirst=*/false);
    gpu::BarrierOp::create(builder, loc);
    SmallVector<Value> next =
        writeStep(tileA, tileB, steps.getRegionIterArgs());
    gpu::BarrierOp::create(builder, loc);
    scf::YieldOp::create(builder, loc, next);
  }
  storeSums(c, row, column, steps.getResults());
  gpu::ReturnOp::create(builder, loc);
}

gpu::GPUFuncOp MatrixProduct::createKernel(OpBuilder &builder,
                                           Location loc) const {
  Type integer = builder.getI64Type();
  Type matrix = MemRefType::get(1, element);
  auto type = builder.getFunctionType({integer, integer, integer, integer,
                                       integer, matrix, integer, matrix,
                                       integer, matrix, integer, element},
                                      {});
  auto kernel = gpu::GPUFuncOp::create(builder, loc, getName(), type);
  kernel->setAttr(gpu::GPUDialect::getKernelFuncAttrName(),
                  builder.getUnitAttr());
  for (unsigned parameter : {A, B, C})
    kernel.setArgAttr(parameter, LLVM::LLVMDialect::getNoAliasAttrName(),
                      builder.getUnitAttr());
  kernel.setKnownBlockSizeAttr(
      builder.getDenseI32ArrayAttr({static_cast<int32_t>(kNumThreads), 1, 1}));
  OpBuilder::InsertionGuard guard(builder);
  Writer(builder, loc, *this, kernel).write();
  return kernel;
}
