//===- MatrixProductKernel.cpp - Matrix products on a GPU -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The parameters are those of a command; each block calculates a tile of a
/// result (ProductTile.h).
///
//===----------------------------------------------------------------------===//

#include "passes/MatrixProductKernel.h"
#include "dialect/Rules.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::grad;

Type MatrixProduct::getSum() const {
  return isNarrowFloat(element) ? Float32Type::get(element.getContext())
                                : element;
}

std::string MatrixProduct::getName() const {
  return ("gemm_" + Twine(element.isBF16() ? "bf" : "f") +
          Twine(element.getIntOrFloatBitWidth()) + "_" +
          (transposesA ? "t" : "n") + (transposesB ? "t" : "n") + "_" +
          Twine(shape.rows) + "x" + Twine(shape.columns))
      .str();
}

namespace {

/// The operands of a command.
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
  Beta,
  Count,
  StrideA,
  StrideB,
  StrideC
};

class Writer {
public:
  Writer(OpBuilder &builder, Location loc, const MatrixProduct &product,
         gpu::GPUFuncOp kernel)
      : builder(builder), loc(loc), product(product), kernel(kernel) {}

  void write();

private:
  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(builder, loc, value);
  }
  Value multiply(Value a, Value b) {
    return arith::MulIOp::create(builder, loc, a, b);
  }
  Value toIndex(Parameter parameter) {
    return arith::IndexCastOp::create(builder, loc, builder.getIndexType(),
                                      kernel.getArgument(parameter));
  }

  Value divide(Value a, Value b) {
    return arith::DivUIOp::create(builder, loc, a, b);
  }
  Value remainder(Value a, Value b) {
    return arith::RemUIOp::create(builder, loc, a, b);
  }
  Value countTiles(Value size, int64_t side) {
    Value last = arith::AddIOp::create(builder, loc, size, index(side - 1));
    return divide(last, index(side));
  }

  /// The elements of a matrix with rows, or columns, of `length`: that one of a
  /// batch that the block is for.
  Value getElements(Parameter pointer, Parameter stride, Value leading,
                    Value length);
  /// What is multiplied of `count` rows or columns. If they are `isStrided`,
  /// each is contiguous.
  ProductFactor createFactor(Parameter pointer, Parameter leading,
                             Parameter stride, Value count, Value depth,
                             bool isStrided);
  /// Stores a sum of products, or adds it to what there is.
  void store(Value elements, Value at, Value sum);

  OpBuilder &builder;
  Location loc;
  const MatrixProduct &product;
  gpu::GPUFuncOp kernel;
  Value number; ///< Of the product in a batch.
};

} // namespace

Value Writer::getElements(Parameter pointer, Parameter stride, Value leading,
                          Value length) {
  Value matrix = kernel.getArgument(pointer);
  auto type = MemRefType::get(
      ShapedType::kDynamic, getElementTypeOrSelf(matrix),
      StridedLayoutAttr::get(builder.getContext(), ShapedType::kDynamic, {1}));
  return memref::ReinterpretCastOp::create(
      builder, loc, type, matrix,
      OpFoldResult(multiply(number, toIndex(stride))),
      {OpFoldResult(multiply(length, leading))},
      {OpFoldResult(builder.getIndexAttr(1))});
}

ProductFactor Writer::createFactor(Parameter pointer, Parameter leading,
                                   Parameter stride, Value count, Value depth,
                                   bool isStrided) {
  Value distance = toIndex(leading);
  auto far = [this, distance](Value at) { return multiply(at, distance); };
  auto near = [](Value at) { return at; };
  ProductFactor factor;
  factor.elements =
      getElements(pointer, stride, distance, isStrided ? count : depth);
  factor.count = count;
  factor.isContiguousAlongSum = isStrided;
  if (isStrided) {
    factor.placeOf = far;
    factor.placeAlongSum = near;
  } else {
    factor.placeOf = near;
    factor.placeAlongSum = far;
  }
  return factor;
}

void Writer::store(Value elements, Value at, Value sum) {
  Value beta = kernel.getArgument(Beta);
  Value zero = arith::ConstantOp::create(builder, loc,
                                         builder.getZeroAttr(product.getSum()));
  Value isAdded = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::UNE,
                                        beta, zero);
  // What is not added may be anything, NaN too.
  auto before = scf::IfOp::create(builder, loc, product.getSum(), isAdded,
                                  /*withElseRegion=*/true);
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(before.thenBlock());
    Value old = memref::LoadOp::create(builder, loc, elements, at);
    scf::YieldOp::create(
        builder, loc,
        arith::MulFOp::create(builder, loc, beta, old).getResult());
    builder.setInsertionPointToStart(before.elseBlock());
    scf::YieldOp::create(builder, loc, zero);
  }
  sum = arith::AddFOp::create(builder, loc, before.getResult(0), sum);
  memref::StoreOp::create(builder, loc, sum, elements, at);
}

void Writer::write() {
  builder.setInsertionPointToStart(&kernel.getBody().front());
  Value thread =
      gpu::ThreadIdOp::create(builder, loc, gpu::Dimension::x,
                              builder.getIndexAttr(TileShape::kNumThreads));
  Value block = gpu::BlockIdOp::create(builder, loc, gpu::Dimension::x);

  Value m = toIndex(M), n = toIndex(N), k = toIndex(K);
  const TileShape &shape = product.shape;
  Value across = countTiles(n, shape.columns);
  Value tiles = multiply(countTiles(m, shape.rows), across);
  number = divide(block, tiles);
  Value tile = remainder(block, tiles);
  Value row = multiply(divide(tile, across), index(shape.rows));
  Value column = multiply(remainder(tile, across), index(shape.columns));
  ProductFactor a = createFactor(A, LdA, StrideA, m, k, !product.transposesA);
  ProductFactor b = createFactor(B, LdB, StrideB, n, k, product.transposesB);
  Value distance = toIndex(LdC);
  Value result = getElements(C, StrideC, distance, m);
  ProductTile(builder, loc, kernel, thread, product.element, product.getSum(),
              shape)
      .write(a, b, row, column, index(0), k,
             [&](Value atRow, Value atColumn, Value sum) {
               Value at = arith::AddIOp::create(
                   builder, loc, multiply(atRow, distance), atColumn);
               store(result, at, sum);
             });
  gpu::ReturnOp::create(builder, loc);
}

gpu::GPUFuncOp MatrixProduct::createKernel(OpBuilder &builder,
                                           Location loc) const {
  Type integer = builder.getI64Type();
  Type matrix = MemRefType::get(1, element);
  Type result = MemRefType::get(1, getSum());
  auto type = builder.getFunctionType(
      {integer, integer, integer, integer, integer, matrix, integer, matrix,
       integer, result, integer, getSum(), integer, integer, integer, integer},
      {});
  auto kernel = gpu::GPUFuncOp::create(builder, loc, getName(), type);
  kernel->setAttr(gpu::GPUDialect::getKernelFuncAttrName(),
                  builder.getUnitAttr());
  for (unsigned parameter : {A, B, C})
    kernel.setArgAttr(parameter, LLVM::LLVMDialect::getNoAliasAttrName(),
                      builder.getUnitAttr());
  kernel.setKnownBlockSizeAttr(builder.getDenseI32ArrayAttr(
      {static_cast<int32_t>(TileShape::kNumThreads), 1, 1}));
  // Sizes that are known at run time alone take more registers: of f32, those
  // of one block.
  if (isNarrowFloat(element))
    kernel->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(),
                    builder.getI32IntegerAttr(shape.getNumBlocks(element)));
  OpBuilder::InsertionGuard guard(builder);
  Writer(builder, loc, *this, kernel).write();
  return kernel;
}
