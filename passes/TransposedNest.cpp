//===- TransposedNest.cpp - Nests that read across rows -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/TransposedNest.h"
#include "passes/BufferSize.h"
#include "passes/OperandPlaces.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::grad;
using linalg::LinalgOp;

/// A square of iterations has this many along each side; a block goes through
/// it in parts of some rows.
static constexpr int64_t kSide = 32;
static constexpr int64_t kPartRows = TransposedNest::kNumThreads / kSide;
/// One more, so that a column is not in one bank of the memory.
static constexpr int64_t kPitch = kSide + 1;

//===----------------------------------------------------------------------===//
// Analysis
//===----------------------------------------------------------------------===//

std::optional<TransposedNest> TransposedNest::match(LinalgOp op) {
  // Enough for some blocks.
  constexpr int64_t kFewIterations = 1 << 14;
  TransposedNest nest(op);
  if (op.getNumParallelLoops() != op.getNumLoops() ||
      ThreadedNest(op).getNumIterations() < kFewIterations ||
      !nest.chooseLoops())
    return std::nullopt;
  return nest;
}

static bool isLinear(AffineMap map) {
  bool isLinear = true;
  map.walkExprs([&](AffineExpr expr) {
    AffineExprKind kind = expr.getKind();
    isLinear &= kind != AffineExprKind::Mod &&
                kind != AffineExprKind::FloorDiv &&
                kind != AffineExprKind::CeilDiv;
  });
  return isLinear;
}

/// Chooses the loop that all outputs are contiguous in, and one that inputs are
/// contiguous in which are far from it in the first.
bool TransposedNest::chooseLoops() {
  constexpr int64_t kShort = 16, kMostBytes = 48 << 10;
  if (!llvm::all_of(op.getIndexingMapsArray(), isLinear))
    return false;
  auto isContiguous = [&](OpOperand &operand, unsigned loop) {
    return getStride(op, operand, loop) == 1;
  };
  auto loops = llvm::seq<unsigned>(0, sizes.size());
  auto written = llvm::find_if(loops, [&](unsigned loop) {
    return sizes[loop] >= kShort &&
           llvm::all_of(op.getDpsInitsMutable(), [&](OpOperand &output) {
             return isContiguous(output, loop);
           });
  });
  if (written == loops.end())
    return false;
  row = *written;
  int64_t bytes = 0;
  for (OpOperand *input : op.getDpsInputOperands()) {
    auto type = dyn_cast<MemRefType>(input->get().getType());
    if (!type || op.getMatchingBlockArgument(input).use_empty() ||
        std::abs(getStride(op, *input, row)) <= 1)
      continue;
    auto read = llvm::find_if(loops, [&](unsigned loop) {
      return loop != row && sizes[loop] >= kShort && isContiguous(*input, loop);
    });
    if (read == loops.end() || (!across.empty() && *read != column))
      continue;
    column = *read;
    // Of the square alone: the other loops have one iteration of a block.
    bytes +=
        kSide * kPitch * getElementBytes(type.getElementType()).value_or(8);
    if (bytes > kMostBytes)
      return false;
    across.push_back(input);
  }
  return !across.empty();
}

int64_t TransposedNest::getNumTiles(unsigned loop) const {
  return loop == row || loop == column ? llvm::divideCeil(sizes[loop], kSide)
                                       : sizes[loop];
}

int64_t TransposedNest::getNumBlocks() const {
  int64_t count = 1;
  for (unsigned loop = 0, e = sizes.size(); loop < e; ++loop)
    count *= getNumTiles(loop);
  return count;
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

Value TransposedNest::index(int64_t value) {
  return arith::ConstantIndexOp::create(*rewriter, op.getLoc(), value);
}

void TransposedNest::forEachPart(unsigned fast,
                                 llvm::function_ref<void(Value, Value)> body) {
  Location loc = op.getLoc();
  auto add = [&](Value a, Value b) -> Value {
    return arith::AddIOp::create(*rewriter, loc, a, b);
  };
  Value side = index(kSide);
  Value fastPlace = arith::RemUIOp::create(*rewriter, loc, thread, side);
  Value slowFirst = arith::DivUIOp::create(*rewriter, loc, thread, side);
  // No loop, so that all parts are loaded before the first is used.
  for (int64_t part = 0; part < kSide; part += kPartRows) {
    OpBuilder::InsertionGuard guard(*rewriter);
    Value slowPlace = add(slowFirst, index(part));
    Value inRow = fast == row ? fastPlace : slowPlace;
    Value inColumn = fast == row ? slowPlace : fastPlace;
    position[row] = add(firstInRow, inRow);
    position[column] = add(firstInColumn, inColumn);
    Value isInside;
    for (unsigned loop : {row, column}) {
      if (sizes[loop] % kSide == 0)
        continue;
      Value isBelow =
          arith::CmpIOp::create(*rewriter, loc, arith::CmpIPredicate::ult,
                                position[loop], index(sizes[loop]));
      isInside = isInside
                     ? arith::AndIOp::create(*rewriter, loc, isInside, isBelow)
                           .getResult()
                     : isBelow;
    }
    if (isInside) {
      auto inside = scf::IfOp::create(*rewriter, loc, isInside);
      rewriter->setInsertionPointToStart(inside.thenBlock());
    }
    body(inRow, inColumn);
  }
}

void TransposedNest::write(RewriterBase &rewriter, const ThreadTeam &team,
                           ArrayRef<Value> inits) {
  this->rewriter = &rewriter;
  thread = team.thread;
  Location loc = op.getLoc();
  Value linear = team.block;
  position.assign(sizes.size(), Value());
  for (unsigned loop = sizes.size(); loop-- > 0;) {
    Value count = index(getNumTiles(loop));
    position[loop] = arith::RemUIOp::create(rewriter, loc, linear, count);
    linear = arith::DivUIOp::create(rewriter, loc, linear, count);
  }
  auto scale = [&](Value tile) -> Value {
    return arith::MulIOp::create(rewriter, loc, tile, index(kSide));
  };
  firstInRow = scale(position[row]);
  firstInColumn = scale(position[column]);

  auto space = gpu::AddressSpaceAttr::get(
      op.getContext(), gpu::GPUDialect::getWorkgroupAddressSpace());
  SmallVector<Value> squares;
  for (OpOperand *input : across) {
    auto type =
        MemRefType::get(kSide * kPitch, getElementTypeOrSelf(input->get()),
                        MemRefLayoutAttrInterface(), space);
    gpu::GPUFuncOp kernel = team.kernel;
    squares.push_back(kernel.addWorkgroupAttribution(type, loc));
  }
  auto placeInSquare = [&](Value inRow, Value inColumn) -> Value {
    Value first = arith::MulIOp::create(rewriter, loc, inRow, index(kPitch));
    return arith::AddIOp::create(rewriter, loc, first, inColumn);
  };
  forEachPart(column, [&](Value inRow, Value inColumn) {
    Value place = placeInSquare(inRow, inColumn);
    for (auto [input, square] : llvm::zip_equal(across, squares)) {
      Value element = memref::LoadOp::create(
          rewriter, loc, input->get(), getPlace(rewriter, op, input, position));
      memref::StoreOp::create(rewriter, loc, element, square, place);
    }
  });
  gpu::BarrierOp::create(rewriter, loc);
  forEachPart(row, [&](Value inRow, Value inColumn) {
    Value place = placeInSquare(inRow, inColumn);
    SmallVector<Value> results = writeIteration(
        rewriter, op, position, [&](OpOperand &operand) -> Value {
          if (auto *it = llvm::find(across, &operand); it != across.end())
            return memref::LoadOp::create(rewriter, loc,
                                          squares[it - across.begin()], place);
          Value init =
              op.isDpsInit(&operand)
                  ? inits[operand.getOperandNumber() - op.getNumDpsInputs()]
                  : Value();
          if (init || !isa<MemRefType>(operand.get().getType()))
            return init ? init : operand.get();
          return memref::LoadOp::create(
              rewriter, loc, operand.get(),
              getPlace(rewriter, op, &operand, position));
        });
    for (auto [value, output] :
         llvm::zip_equal(results, op.getDpsInitsMutable()))
      memref::StoreOp::create(rewriter, loc, value, output.get(),
                              getPlace(rewriter, op, &output, position));
  });
}
