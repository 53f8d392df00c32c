//===- ConvertGradToLinalgRandom.cpp - Random bits to linalg --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The part of `convert-grad-to-linalg` for `grad.random_bits`: one
/// `linalg.generic` without state, whose body is the block cipher, unrolled. So
/// it vectorizes, and fuses with what makes floats of the bits.
///
//===----------------------------------------------------------------------===//

#include "passes/ConvertGradToLinalg.h"

#include "mlir/Dialect/Utils/IndexingUtils.h"

using namespace mlir;
using namespace mlir::grad;

namespace {

/// Integer arithmetic in the body of a generic.
struct Words {
  OpBuilder &builder;
  Location loc;

  template <typename Op> Value op(Value lhs, Value rhs) {
    return Op::create(builder, loc, lhs, rhs);
  }
  template <typename Op> Value op(Value lhs, uint64_t rhs) {
    auto constant = arith::ConstantOp::create(
        builder, loc,
        builder.getIntegerAttr(
            lhs.getType(), APInt(lhs.getType().getIntOrFloatBitWidth(), rhs)));
    return op<Op>(lhs, constant.getResult());
  }
  Value narrow(Value wide) {
    return arith::TruncIOp::create(builder, loc, builder.getI32Type(), wide);
  }
  Value widen(Value narrow) {
    return arith::ExtUIOp::create(builder, loc, builder.getI64Type(), narrow);
  }
  Value rotateLeft(Value x, unsigned count) {
    return op<arith::OrIOp>(op<arith::ShLIOp>(x, count),
                            op<arith::ShRUIOp>(x, 32 - count));
  }
};

/// The two words that Threefry-2x32-20 makes of the words of a counter.
std::pair<Value, Value> threefry(Words words, ArrayRef<Value> key, Value upper,
                                 Value lower) {
  // Of Skein 1.3, as Salmon et al. give them.
  constexpr uint64_t kParity = 0x1BD11BDA;
  constexpr unsigned kRotations[8] = {13, 15, 26, 6, 17, 29, 16, 24};
  constexpr unsigned kRounds = 20;
  Value keys[3] = {key[0], key[1],
                   words.op<arith::XOrIOp>(
                       words.op<arith::XOrIOp>(key[0], key[1]), kParity)};
  Value x = words.op<arith::AddIOp>(upper, keys[0]);
  Value y = words.op<arith::AddIOp>(lower, keys[1]);
  for (unsigned round = 0; round < kRounds; ++round) {
    x = words.op<arith::AddIOp>(x, y);
    y = words.op<arith::XOrIOp>(words.rotateLeft(y, kRotations[round % 8]), x);
    if (round % 4 != 3)
      continue;
    unsigned number = round / 4 + 1;
    x = words.op<arith::AddIOp>(x, keys[number % 3]);
    y = words.op<arith::AddIOp>(
        words.op<arith::AddIOp>(y, keys[(number + 1) % 3]), number);
  }
  return {x, y};
}

/// grad.random_bits => linalg.generic of the words of the keys and the
/// counters.
struct LowerRandomBits : OpRewritePattern<RandomBitsOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(RandomBitsOp op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto type = cast<RankedTensorType>(op.getType());
    auto first = cast<RankedTensorType>(op.getFirst().getType());
    int64_t batch = first.getRank(), rank = type.getRank();

    SmallVector<Value> inputs{keyWord(rewriter, op, 0),
                              keyWord(rewriter, op, 1), op.getFirst()};
    AffineMap ofBatch = projection(
        getContext(), rank, llvm::to_vector(llvm::seq<int64_t>(0, batch)));
    SmallVector<AffineMap> maps(3, ofBatch);
    maps.push_back(rewriter.getMultiDimIdentityMap(rank));
    auto generic = linalg::GenericOp::create(
        rewriter, loc, TypeRange(type), inputs,
        ValueRange(emptyLike(rewriter, loc, type)), maps, iterators(rank),
        [&](OpBuilder &builder, Location loc, ValueRange elements) {
          Words words{builder, loc};
          Value counter = elements[2];
          for (auto [place, stride] :
               llvm::enumerate(computeStrides(op.getShape()))) {
            Value index = arith::IndexCastOp::create(
                builder, loc, builder.getI64Type(),
                linalg::IndexOp::create(builder, loc, batch + place));
            if (stride != 1)
              index = words.op<arith::MulIOp>(index, stride);
            counter = words.op<arith::AddIOp>(counter, index);
          }
          auto [x, y] =
              threefry(words, {elements[0], elements[1]},
                       words.narrow(words.op<arith::ShRUIOp>(counter, 32)),
                       words.narrow(counter));
          linalg::YieldOp::create(builder, loc, joined(words, op, x, y));
        });
    rewriter.replaceOp(op, generic);
    return success();
  }

private:
  /// Word `number` of each key.
  static Value keyWord(OpBuilder &builder, RandomBitsOp op, int64_t number) {
    auto first = cast<RankedTensorType>(op.getFirst().getType());
    SmallVector<OpFoldResult> offsets(first.getRank(), builder.getIndexAttr(0)),
        sizes = getAsIndexOpFoldResult(builder.getContext(), first.getShape()),
        strides(first.getRank() + 1, builder.getIndexAttr(1));
    offsets.push_back(builder.getIndexAttr(number));
    sizes.push_back(builder.getIndexAttr(1));
    return tensor::ExtractSliceOp::create(
        builder, op.getLoc(), first.clone(builder.getI32Type()), op.getKeys(),
        offsets, sizes, strides);
  }

  /// The upper bits of an element that is made of two words.
  static Value joined(Words words, RandomBitsOp op, Value x, Value y) {
    unsigned width = op.getDtype().getIntOrFloatBitWidth();
    Value element =
        width == 64
            ? words.op<arith::OrIOp>(
                  words.op<arith::ShLIOp>(words.widen(x), 32), words.widen(y))
            : words.op<arith::XOrIOp>(x, y);
    unsigned dropped = width - op.getBits();
    return dropped == 0 ? element : words.op<arith::ShRUIOp>(element, dropped);
  }
};

} // namespace

void mlir::grad::populateRandomToLinalg(RewritePatternSet &patterns) {
  patterns.add<LowerRandomBits>(patterns.getContext());
}
