//===- ResolveOpenSizes.cpp - Numbers for sizes become sizes of the call --===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-resolve-open-sizes`, on buffers, when memory is planned. A program for
/// all sizes was compiled with a number that stands for how many rows there is
/// room for (runtime/OpenSizes.h), in the shapes of its types and in what was
/// computed of these. Here the room of the call takes its place:
///
///  1. The room is computed where the function begins, of the sizes among its
///     arguments, as the caller does who has to provide the memory. For a
///     device, where sizes are in its memory, the caller says of how many parts
///     the room is: a number is the last argument but the arena.
///  2. What goes over all rows that there is room for becomes a loop over some
///     of them at once, so that their number is no part of types.
///     What sorts gets buffers of as many rows as there is room for.
///  3. Constants of which the room is a part are computed.
///  4. Views of the arena begin where the buffers before them end.
///
/// Shapes of types keep the number, of which nobody computes any more; strides
/// and offsets that are made of it become unknown ones. Anything else is
/// refused, and code for such a program is compiled for sizes with a bound.
///
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "passes/BufferPlace.h"
#include "passes/BufferSize.h"
#include "passes/Kernels.h"
#include "passes/Passes.h"
#include "runtime/OpenSizes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

#include <map>

namespace mlir::grad {
#define GEN_PASS_DEF_GRADRESOLVEOPENSIZES
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;
using gradopt::findOpenSize;
using gradopt::isOpen;
using gradopt::OpenSize;

/// The open dimension of a shape; none if all sizes are known.
static std::optional<size_t> findOpenDim(ArrayRef<int64_t> shape) {
  const int64_t *found = llvm::find_if(shape, isOpen);
  if (found == shape.end())
    return std::nullopt;
  return found - shape.begin();
}

static MemRefType openType(Type type) {
  auto buffer = dyn_cast<MemRefType>(type);
  return buffer && findOpenDim(buffer.getShape()) ? buffer : MemRefType();
}

/// The arena of a function whose memory is planned.
static Value findArena(func::FuncOp func) {
  return func->hasAttr("grad.arena_bytes") ? func.getArguments().back()
                                           : Value();
}

/// Whether there is one open size in the shape of a buffer.
static bool hasOneOpenDim(MemRefType type) {
  size_t dim = *findOpenDim(type.getShape());
  return findOpenSize(type.getDimSize(dim)) &&
         llvm::none_of(type.getShape().drop_front(dim + 1), isOpen);
}

/// The type of a buffer, in which numbers that depend on how many rows there
/// are are not known.
static MemRefType withUnknownStrides(MemRefType type) {
  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(type.getStridesAndOffset(strides, offset)))
    return type;
  bool isKnown = true;
  auto forget = [&](int64_t &number) {
    if (ShapedType::isDynamic(number) || !isOpen(number))
      return;
    number = ShapedType::kDynamic;
    isKnown = false;
  };
  forget(offset);
  llvm::for_each(strides, forget);
  if (isKnown)
    return type;
  return MemRefType::Builder(type).setLayout(
      StridedLayoutAttr::get(type.getContext(), offset, strides));
}

/// Whether addresses in a buffer do not depend on how many rows there are.
static bool hasKnownStrides(MemRefType type) {
  return withUnknownStrides(type) == type;
}

namespace {

struct GradResolveOpenSizes
    : grad::impl::GradResolveOpenSizesBase<GradResolveOpenSizes> {
  using GradResolveOpenSizesBase::GradResolveOpenSizesBase;

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    auto numbers =
        func->getAttrOfType<DenseI64ArrayAttr>(gradopt::kOpenSizesAttr);
    if (!numbers || func.isExternal())
      return;
    if (failed(makeLoops(func)))
      return signalPassFailure();
    if (!forDevice)
      passSizes(func);
    if (failed(check(func)) || failed(computeRoom(func, numbers.asArrayRef())))
      return signalPassFailure();
    moveViews(func);
    forgetStrides(func);
    shrinkArena(func);
    replaceConstants(func);
  }

private:
  scf::ForOp createLoop(OpBuilder &builder, Operation *op, int64_t size,
                        int64_t step, bool areApart);
  LogicalResult makeLoops(func::FuncOp func);
  FailureOr<linalg::LinalgOp> makeLoop(linalg::LinalgOp op, unsigned dim);
  LogicalResult makeLoop(memref::CopyOp op);
  void passSizes(func::FuncOp func);
  LogicalResult check(func::FuncOp func);
  LogicalResult computeRoom(func::FuncOp func, ArrayRef<int64_t> numbers);
  LogicalResult computeRoomOfSizes(func::FuncOp func, OpBuilder &builder,
                                   ArrayRef<int64_t> numbers);
  void takeRoom(func::FuncOp func, OpBuilder &builder);
  int64_t findLeast();
  void moveViews(func::FuncOp func);
  void forgetStrides(func::FuncOp func);
  void computeStrides(Value buffer);
  void shrinkArena(func::FuncOp func);
  void replaceConstants(func::FuncOp func);
  Value compute(OpBuilder &builder, Location loc, int64_t parts, int64_t more);

  /// Indices: the room, and a part of it, unless that has to be computed.
  Value room, part;
  std::map<std::pair<int64_t, int64_t>, Value> computed;
};

} // namespace

//===----------------------------------------------------------------------===//
// Loops over rows
//===----------------------------------------------------------------------===//

/// How many rows are gone through at once.
static int64_t findStep(OpenSize size) {
  bool isWhole = size.parts % gradopt::kRoomParts == 0 && size.more == 0;
  return isWhole ? gradopt::kRoomStep : 1;
}

/// `size` rows of a buffer from `row` on.
static Value takeRows(OpBuilder &builder, Location loc, Value buffer,
                      size_t dim, Value row, int64_t size) {
  auto type = cast<MemRefType>(buffer.getType());
  SmallVector<OpFoldResult> offsets(type.getRank(), builder.getIndexAttr(0)),
      strides(type.getRank(), builder.getIndexAttr(1)), sizes;
  for (int64_t extent : type.getShape())
    sizes.push_back(builder.getIndexAttr(extent));
  offsets[dim] = row;
  sizes[dim] = builder.getIndexAttr(size);
  return memref::SubViewOp::create(builder, loc, buffer, offsets, sizes,
                                   strides);
}

/// A loop over rows in the place of `op`. If it writes others in each
/// iteration, a device does many at once, but in such a loop.
scf::ForOp GradResolveOpenSizes::createLoop(OpBuilder &builder, Operation *op,
                                            int64_t size, int64_t step,
                                            bool areApart) {
  Location loc = op->getLoc();
  auto index = [&](int64_t value) {
    return arith::ConstantIndexOp::create(builder, loc, value);
  };
  auto loop =
      scf::ForOp::create(builder, loc, index(0), index(size), index(step));
  bool isInParallel = false;
  for (Operation *parent = op->getParentOp(); parent;
       parent = parent->getParentOp())
    isInParallel |= parent->hasAttr(kParallelAttr);
  if (!forDevice || !areApart || isInParallel)
    return loop;
  loop->setAttr(kParallelAttr, builder.getUnitAttr());
  loop->setAttr(kMostIterationsAttr,
                builder.getI64IntegerAttr(llvm::divideCeil(size, step)));
  return loop;
}

/// op over all rows => for (rows) op over some rows
FailureOr<linalg::LinalgOp> GradResolveOpenSizes::makeLoop(linalg::LinalgOp op,
                                                           unsigned dim) {
  int64_t size = op.getStaticLoopRanges()[dim];
  std::optional<OpenSize> open = findOpenSize(size);
  if (!open)
    return op.emitOpError("expected sizes that are known or made of the room, "
                          "but got ")
           << size;
  int64_t step = findStep(*open);
  OpBuilder builder(op);
  Location loc = op.getLoc();
  auto dps = cast<DestinationStyleOpInterface>(op.getOperation());
  bool areApart =
      llvm::all_of(dps.getDpsInitsMutable(), [&](OpOperand &result) {
        return op.getMatchingIndexingMap(&result).isFunctionOfDim(dim);
      });
  auto loop = createLoop(builder, op, size, step, areApart);
  builder.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> operands;
  for (OpOperand &operand : op->getOpOperands()) {
    Value part = operand.get();
    AffineMap map = op.getMatchingIndexingMap(&operand);
    for (auto [position, expr] : llvm::enumerate(map.getResults())) {
      if (!expr.isFunctionOfDim(dim))
        continue;
      if (!isa<AffineDimExpr>(expr) || !isa<MemRefType>(part.getType()))
        return op.emitOpError("expected rows one by one, but got ")
               << AffineMapAttr::get(map);
      part =
          takeRows(builder, loc, part, position, loop.getInductionVar(), step);
    }
    operands.push_back(part);
  }
  auto some = cast<linalg::LinalgOp>(
      mlir::clone(builder, op, op->getResultTypes(), operands));
  some->walk([&](linalg::IndexOp index) {
    if (index.getDim() != dim)
      return;
    builder.setInsertionPointAfter(index);
    auto row =
        arith::AddIOp::create(builder, loc, index, loop.getInductionVar());
    index.getResult().replaceAllUsesExcept(row, row);
  });
  op.erase();
  ++numLoops;
  return some;
}

/// copy of all rows => for (rows) copy of some rows
LogicalResult GradResolveOpenSizes::makeLoop(memref::CopyOp op) {
  auto type = cast<MemRefType>(op.getSource().getType());
  size_t dim = *findOpenDim(type.getShape());
  std::optional<OpenSize> open = findOpenSize(type.getDimSize(dim));
  if (!open)
    return op.emitOpError("expected sizes that are known or made of the room, "
                          "but got ")
           << type;
  OpBuilder builder(op);
  Location loc = op.getLoc();
  int64_t step = findStep(*open);
  auto loop = createLoop(builder, op, type.getDimSize(dim), step,
                         /*areApart=*/true);
  builder.setInsertionPointToStart(loop.getBody());
  Value row = loop.getInductionVar();
  memref::CopyOp::create(
      builder, loc, takeRows(builder, loc, op.getSource(), dim, row, step),
      takeRows(builder, loc, op.getTarget(), dim, row, step));
  op.erase();
  ++numLoops;
  return success();
}

LogicalResult GradResolveOpenSizes::makeLoops(func::FuncOp func) {
  SmallVector<Operation *> all;
  func.walk([&](Operation *op) {
    if (isa<linalg::LinalgOp, memref::CopyOp>(op) &&
        llvm::any_of(op->getOperandTypes(), openType))
      all.push_back(op);
  });
  for (Operation *op : all) {
    if (auto copy = dyn_cast<memref::CopyOp>(op)) {
      if (failed(makeLoop(copy)))
        return failure();
      continue;
    }
    auto some = cast<linalg::LinalgOp>(op);
    while (std::optional<size_t> dim =
               findOpenDim(some.getStaticLoopRanges())) {
      FailureOr<linalg::LinalgOp> next = makeLoop(some, *dim);
      if (failed(next))
        return failure();
      some = *next;
    }
  }
  return success();
}

/// sort of all rows => sort of memref<?x...>
void GradResolveOpenSizes::passSizes(func::FuncOp func) {
  func.walk([](SortIntoOp op) {
    OpBuilder builder(op);
    Location loc = op.getLoc();
    for (OpOperand &operand : op->getOpOperands()) {
      MemRefType type = openType(operand.get().getType());
      if (!type || !hasOneOpenDim(type) || !hasKnownStrides(type) ||
          !type.getLayout().isIdentity())
        continue;
      size_t dim = *findOpenDim(type.getShape());
      SmallVector<OpFoldResult> offsets(type.getRank(),
                                        builder.getIndexAttr(0)),
          strides(type.getRank(), builder.getIndexAttr(1)), sizes;
      for (int64_t extent : type.getShape())
        sizes.push_back(builder.getIndexAttr(extent));
      sizes[dim] =
          arith::ConstantIndexOp::create(builder, loc, type.getDimSize(dim))
              .getResult();
      SmallVector<int64_t> shape(type.getShape());
      shape[dim] = ShapedType::kDynamic;
      auto rows = MemRefType::get(shape, type.getElementType());
      operand.set(memref::SubViewOp::create(builder, loc, rows, operand.get(),
                                            offsets, sizes, strides));
    }
  });
}

//===----------------------------------------------------------------------===//
// What is refused
//===----------------------------------------------------------------------===//

/// Whether a part of some known rows lies within any room.
static bool isInAnyRoom(memref::SubViewOp op, int64_t least) {
  ArrayRef<int64_t> shape = op.getSourceType().getShape();
  std::optional<size_t> dim = findOpenDim(shape);
  if (!dim)
    return true;
  int64_t offset = op.getStaticOffsets()[*dim],
          size = op.getStaticSizes()[*dim],
          stride = op.getStaticStrides()[*dim];
  if (stride != 1)
    return false;
  // All rows of what sorts.
  if (ShapedType::isDynamic(size))
    return offset == 0 &&
           llvm::all_of(op->getUsers(), llvm::IsaPred<SortIntoOp>);
  if (isOpen(size))
    return !isOpen(offset);
  return size + (ShapedType::isDynamic(offset) ? 0 : offset) <= least;
}

/// The least room of a call.
int64_t GradResolveOpenSizes::findLeast() {
  auto stated =
      getOperation()->getAttrOfType<IntegerAttr>(gradopt::kLeastRoomAttr);
  return gradopt::findRoom(0, stated ? stated.getInt() : 0);
}

LogicalResult GradResolveOpenSizes::check(func::FuncOp func) {
  int64_t least = findLeast();
  Value arena = findArena(func);
  auto refuse = [](Operation *op, Type type) {
    op->emitOpError("expected what works on some rows of an array, but got ")
        << type;
    return WalkResult::interrupt();
  };
  WalkResult result = func.walk([&](Operation *op) {
    if (op == func)
      return WalkResult::advance();
    if (isa<affine::AffineApplyOp, affine::AffineMinOp, affine::AffineMaxOp>(
            op)) {
      bool isKnown = true;
      cast<AffineMapAttr>(op->getAttr("map"))
          .getValue()
          .walkExprs([&](AffineExpr expr) {
            auto constant = dyn_cast<AffineConstantExpr>(expr);
            isKnown &= !constant || !isOpen(std::abs(constant.getValue()));
          });
      if (!isKnown)
        return refuse(op, op->getResult(0).getType());
    }
    for (Value value :
         llvm::concat<Value>(SmallVector<Value>(op->getOperands()),
                             SmallVector<Value>(op->getResults()))) {
      Type type = value.getType();
      MemRefType open = openType(type);
      if (!open || value == arena)
        continue;
      if (!isa<memref::ViewOp, memref::SubViewOp, memref::LoadOp,
               memref::StoreOp, memref::CollapseShapeOp, memref::ExpandShapeOp,
               scf::ForOp, scf::WhileOp, scf::IfOp, scf::IndexSwitchOp,
               scf::YieldOp, scf::ConditionOp, arith::SelectOp>(op) ||
          !hasOneOpenDim(open) ||
          (isa<memref::CollapseShapeOp, memref::ExpandShapeOp>(op) &&
           !hasKnownStrides(open)))
        return refuse(op, type);
    }
    auto part = dyn_cast<memref::SubViewOp>(op);
    if (part && !isInAnyRoom(part, least))
      return refuse(op, part.getType());
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

//===----------------------------------------------------------------------===//
// The room
//===----------------------------------------------------------------------===//

LogicalResult GradResolveOpenSizes::computeRoom(func::FuncOp func,
                                                ArrayRef<int64_t> numbers) {
  computed.clear();
  part = Value();
  OpBuilder builder = OpBuilder::atBlockBegin(&func.getBody().front());
  if (!forDevice)
    return computeRoomOfSizes(func, builder, numbers);
  takeRoom(func, builder);
  return success();
}

void GradResolveOpenSizes::takeRoom(func::FuncOp func, OpBuilder &builder) {
  Location loc = func.getLoc();
  unsigned place = func.getNumArguments() - (findArena(func) ? 1 : 0);
  (void)func.insertArgument(place, builder.getIndexType(), {}, loc);
  part = func.getArgument(place);
  room = arith::MulIOp::create(
      builder, loc, part,
      arith::ConstantIndexOp::create(builder, loc, gradopt::kRoomParts));
}

LogicalResult
GradResolveOpenSizes::computeRoomOfSizes(func::FuncOp func, OpBuilder &builder,
                                         ArrayRef<int64_t> numbers) {
  Location loc = func.getLoc();
  auto index = [&](int64_t value) {
    return arith::ConstantIndexOp::create(builder, loc, value);
  };
  Value most = index(findLeast());
  for (int64_t number : numbers) {
    auto type = number < 0 || number >= int64_t(func.getNumArguments())
                    ? MemRefType()
                    : dyn_cast<MemRefType>(
                          func.getArgument(unsigned(number)).getType());
    if (!type || type.getRank() != 0 || !type.getElementType().isInteger(64))
      return func.emitOpError("expected ")
             << gradopt::kOpenSizesAttr
             << " to name arguments that are integers, but got " << number;
    Value size = memref::LoadOp::create(builder, loc,
                                        func.getArgument(unsigned(number)));
    size =
        arith::IndexCastOp::create(builder, loc, builder.getIndexType(), size);
    most = arith::MaxSIOp::create(builder, loc, most, size);
  }
  Value step = index(gradopt::kRoomStep);
  Value steps = arith::DivUIOp::create(
      builder, loc,
      arith::AddIOp::create(builder, loc, most, index(gradopt::kRoomStep - 1)),
      step);
  room = arith::MulIOp::create(builder, loc, steps, step);
  return success();
}

/// So many parts of the room and `more`, where the room is known.
Value GradResolveOpenSizes::compute(OpBuilder &builder, Location loc,
                                    int64_t parts, int64_t more) {
  Value &known = computed[{parts, more}];
  if (known)
    return known;
  builder.setInsertionPointAfterValue(room);
  auto index = [&](int64_t value) {
    return arith::ConstantIndexOp::create(builder, loc, value);
  };
  bool isWhole = parts % gradopt::kRoomParts == 0;
  if (isWhole)
    parts /= gradopt::kRoomParts;
  known = room;
  if (!isWhole)
    known = part ? part
                 : arith::DivUIOp::create(builder, loc, known,
                                          index(gradopt::kRoomParts));
  if (parts != 1)
    known = arith::MulIOp::create(builder, loc, known, index(parts));
  if (more != 0)
    known = arith::AddIOp::create(builder, loc, known, index(more));
  return known;
}

void GradResolveOpenSizes::moveViews(func::FuncOp func) {
  OpBuilder builder(func.getContext());
  func.walk([&](memref::ViewOp view) {
    std::optional<int64_t> shift = getConstantIntValue(view.getByteShift());
    if (!shift || *shift < gradopt::OpenArena::kUnit)
      return;
    gradopt::OpenArena before(*shift);
    // Where it lies among others is known as before.
    if (std::optional<int64_t> size = getByteSize(view.getType()))
      view->setAttr(kBytesAttr,
                    builder.getDenseI64ArrayAttr({*shift, *shift + *size}));
    view.getByteShiftMutable().assign(
        compute(builder, view.getLoc(), before.perPart, before.known));
  });
}

/// Gives a buffer that begins in the arena, or is the caller's, the strides
/// that it has in the call.
void GradResolveOpenSizes::computeStrides(Value buffer) {
  auto type = cast<MemRefType>(buffer.getType());
  if (hasKnownStrides(type))
    return;
  Location loc = buffer.getLoc();
  OpBuilder builder(buffer.getContext());
  size_t dim = *findOpenDim(type.getShape());
  OpenSize open = *findOpenSize(type.getDimSize(dim));
  Value size = compute(builder, loc, open.parts, open.more);
  builder.setInsertionPointAfterValue(isa<BlockArgument>(buffer) ? size
                                                                 : buffer);
  SmallVector<OpFoldResult> sizes, strides(type.getRank());
  for (int64_t extent : type.getShape())
    sizes.push_back(builder.getIndexAttr(extent));
  int64_t step = 1;
  for (int64_t d = type.getRank() - 1; d >= 0; --d) {
    strides[d] = builder.getIndexAttr(step);
    if (d < int64_t(dim))
      strides[d] = arith::MulIOp::create(
                       builder, loc, size,
                       arith::ConstantIndexOp::create(builder, loc, step))
                       .getResult();
    if (d != int64_t(dim))
      step *= type.getDimSize(d);
  }
  auto shown = memref::ReinterpretCastOp::create(
      builder, loc, withUnknownStrides(type), buffer, builder.getIndexAttr(0),
      sizes, strides);
  buffer.replaceAllUsesExcept(shown, shown);
}

/// Parts of buffers have the strides of these.
void GradResolveOpenSizes::forgetStrides(func::FuncOp func) {
  SmallVector<Value> buffers;
  for (BlockArgument argument : func.getArguments())
    if (openType(argument.getType()) && argument != findArena(func))
      buffers.push_back(argument);
  func.walk([&](memref::ViewOp view) {
    if (openType(view.getType()))
      buffers.push_back(view);
  });
  llvm::for_each(buffers, [&](Value buffer) { computeStrides(buffer); });
  auto forget = [](Value value) {
    if (auto type = dyn_cast<MemRefType>(value.getType()))
      value.setType(withUnknownStrides(type));
  };
  func.walk([&](Operation *op) {
    if (op == func || isa<memref::ViewOp>(op))
      return;
    llvm::for_each(op->getResults(), forget);
    for (Region &region : op->getRegions())
      for (Block &block : region)
        llvm::for_each(block.getArguments(), forget);
  });
}

/// The type of the arena says what there is in each call.
void GradResolveOpenSizes::shrinkArena(func::FuncOp func) {
  Value arena = findArena(func);
  if (!arena)
    return;
  auto type = cast<MemRefType>(arena.getType());
  gradopt::OpenArena bytes(type.getDimSize(0));
  arena.setType(MemRefType::Builder(type).setShape({bytes.at(findLeast())}));
  func.setType(FunctionType::get(func.getContext(),
                                 func.getBody().front().getArgumentTypes(),
                                 func.getResultTypes()));
}

void GradResolveOpenSizes::replaceConstants(func::FuncOp func) {
  OpBuilder builder(func.getContext());
  SmallVector<arith::ConstantOp> constants;
  func.walk([&](arith::ConstantOp op) {
    if (op.getType().isIndex() || op.getType().isInteger(64))
      constants.push_back(op);
  });
  for (arith::ConstantOp op : constants) {
    std::optional<OpenSize> open =
        findOpenSize(cast<IntegerAttr>(op.getValue()).getInt());
    if (!open || op->use_empty())
      continue;
    Value value = compute(builder, op.getLoc(), open->parts, open->more);
    if (!op.getType().isIndex()) {
      builder.setInsertionPointAfterValue(value);
      value =
          arith::IndexCastOp::create(builder, op.getLoc(), op.getType(), value);
    }
    op.getResult().replaceAllUsesWith(value);
    op.erase();
  }
}
