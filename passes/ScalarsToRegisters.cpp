//===- ScalarsToRegisters.cpp - Scalars in loops without memory -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-scalars-to-registers`, on linalg on tensors. A tensor without
/// dimensions would become a buffer of one element, and a recurrence of scalars
/// would run through memory. Four steps:
///
///  1. What loops carry and branches yield of such tensors becomes scalars.
///  2. In loops and branches, operations on tensors of one element become
///     operations on scalars.
///  3. Elements that are read or written through slices of one element are
///     accessed directly.
///  4. In long blocks, elements are read where they are needed.
///
/// Code outside of loops and branches runs once and stays as it is.
///
//===----------------------------------------------------------------------===//

#include "dialect/DeadOps.h"
#include "dialect/Rules.h"
#include "dialect/Stacks.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADSCALARSTOREGISTERS
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

/// Whether `value` is a tensor without dimensions.
static bool isZeroDim(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getRank() == 0 && !type.getEncoding();
}

static Value toTensor(OpBuilder &builder, Location loc, Value scalar,
                      ArrayRef<int64_t> shape = {}) {
  return tensor::FromElementsOp::create(
      builder, loc, RankedTensorType::get(shape, scalar.getType()), scalar);
}

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

static bool hasOneElement(Value tensor) { return countElements(tensor) == 1; }

/// Whether `value` is a tensor of one element, and nothing else.
static bool isOneElement(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && !type.getEncoding() && type.hasStaticShape() &&
         type.getNumElements() == 1;
}

/// Looks through reshapes of one element.
static Value skipReshapes(Value tensor) {
  while (Operation *op = tensor.getDefiningOp()) {
    if (!isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp, tensor::CastOp>(
            op) ||
        !hasOneElement(op->getOperand(0)))
      break;
    tensor = op->getOperand(0);
  }
  return tensor;
}

static SmallVector<Value> offsetsOf(OpBuilder &builder,
                                    OffsetSizeAndStrideOpInterface slice) {
  return getValueOrCreateConstantIndexOp(builder, slice.getLoc(),
                                         slice.getMixedOffsets());
}

/// extract of a slice of one element => extract of the element.
static void readElement(tensor::ExtractOp op) {
  if (!hasOneElement(op.getTensor()))
    return;
  Value source = skipReshapes(op.getTensor());
  OpBuilder builder(op);
  SmallVector<Value> position;
  if (auto slice = source.getDefiningOp<tensor::ExtractSliceOp>()) {
    source = slice.getSource();
    position = offsetsOf(builder, slice);
  } else if (source != op.getTensor()) {
    int64_t rank = cast<RankedTensorType>(source.getType()).getRank();
    position = SmallVector<Value>(
        rank, arith::ConstantIndexOp::create(builder, op.getLoc(), 0));
  } else {
    return;
  }
  op.getTensorMutable().assign(source);
  op.getIndicesMutable().assign(position);
}

namespace {

struct GradScalarsToRegisters
    : grad::impl::GradScalarsToRegistersBase<GradScalarsToRegisters> {
  using GradScalarsToRegistersBase::GradScalarsToRegistersBase;

  void runOnOperation() override;

private:
  Value toScalar(Value tensor);
  void pass(Operation *op);
  /// Whether `value` is a tensor that becomes a scalar where it is carried.
  bool isCarried(Value value) const {
    return isZeroDim(value) &&
           !(forDevice && isa<ComplexType>(getElementTypeOrSelf(value)));
  }
  void carryScalars(Operation *op);
  bool computeScalars(linalg::GenericOp op);
  void fillScalar(linalg::FillOp op);
  void replace(Operation *op, ValueRange results);

  /// Elements of tensors without dimensions that have been read.
  llvm::DenseMap<Value, Value> scalars;
};

} // namespace

/// The one element of `tensor`. It is read where the tensor is made, not in
/// every iteration of a loop that comes later.
Value GradScalarsToRegisters::toScalar(Value tensor) {
  if (auto made = skipReshapes(tensor).getDefiningOp<tensor::FromElementsOp>())
    return made.getElements().front();
  Value &scalar = scalars[tensor];
  if (!scalar) {
    OpBuilder builder(tensor.getContext());
    builder.setInsertionPointAfterValue(tensor);
    SmallVector<Value> position(
        cast<RankedTensorType>(tensor.getType()).getRank());
    for (Value &place : position)
      place = arith::ConstantIndexOp::create(builder, tensor.getLoc(), 0);
    auto read =
        tensor::ExtractOp::create(builder, tensor.getLoc(), tensor, position);
    readElement(read);
    scalar = read;
  }
  return scalar;
}

void GradScalarsToRegisters::replace(Operation *op, ValueRange results) {
  for (Value result : op->getResults())
    scalars.erase(result);
  op->replaceAllUsesWith(results);
  op->erase();
}

//===----------------------------------------------------------------------===//
// Loops and branches
//===----------------------------------------------------------------------===//

static bool isControlFlow(Operation *op) {
  return isa<scf::ForOp, scf::WhileOp, scf::IfOp, scf::IndexSwitchOp,
             scf::ExecuteRegionOp>(op);
}

/// Turns `value`, an argument of a block or a result, into a scalar, and gives
/// its users a tensor of it, made at the insertion point of `builder`.
static void becomeScalar(OpBuilder &builder, Value value) {
  value.setType(getElementTypeOrSelf(value));
  Value tensor = toTensor(builder, value.getLoc(), value);
  value.replaceAllUsesExcept(tensor, tensor.getDefiningOp());
}

/// Gives `op` scalars for operands that are tensors without dimensions.
void GradScalarsToRegisters::pass(Operation *op) {
  for (OpOperand &operand : op->getOpOperands())
    if (isCarried(operand.get()))
      operand.set(toScalar(operand.get()));
}

/// Lets `op` take, pass on and return scalars for tensors without dimensions.
/// These are in the same places of operands, arguments, terminators and
/// results.
void GradScalarsToRegisters::carryScalars(Operation *op) {
  OpBuilder builder(op);
  pass(op);
  for (Region &region : op->getRegions())
    for (Block &block : region) {
      builder.setInsertionPointToStart(&block);
      for (BlockArgument argument : block.getArguments())
        if (isCarried(argument))
          becomeScalar(builder, argument);
      if (isa<scf::YieldOp, scf::ConditionOp>(block.getTerminator()))
        pass(block.getTerminator());
    }
  builder.setInsertionPointAfter(op);
  for (OpResult result : op->getResults())
    if (isCarried(result))
      becomeScalar(builder, result);
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

/// An operation on tensors of one element => its body.
bool GradScalarsToRegisters::computeScalars(linalg::GenericOp op) {
  if (!op.hasPureTensorSemantics() || op.hasIndexSemantics() ||
      !llvm::all_of(op->getOperands(), [](Value operand) {
        return !isa<ShapedType>(operand.getType()) || isOneElement(operand);
      }))
    return false;
  OpBuilder builder(op);
  IRMapping mapping;
  for (OpOperand &operand : op->getOpOperands()) {
    BlockArgument element = op.getMatchingBlockArgument(&operand);
    if (!element.use_empty())
      mapping.map(element, isa<ShapedType>(operand.get().getType())
                               ? toScalar(operand.get())
                               : operand.get());
  }
  for (Operation &nested : op.getBody()->without_terminator())
    builder.clone(nested, mapping);
  SmallVector<Value> results;
  for (auto [result, yielded] : llvm::zip_equal(
           op.getResults(), op.getBody()->getTerminator()->getOperands()))
    results.push_back(toTensor(builder, op.getLoc(),
                               mapping.lookupOrDefault(yielded),
                               cast<ShapedType>(result.getType()).getShape()));
  replace(op, results);
  return true;
}

/// fill of a tensor without dimensions => the scalar.
void GradScalarsToRegisters::fillScalar(linalg::FillOp op) {
  if (!op.hasPureTensorSemantics() || !isZeroDim(op.output()))
    return;
  OpBuilder builder(op);
  replace(op, toTensor(builder, op.getLoc(), op.value()));
}

/// The body of an operation with loops reads the scalar that a tensor without
/// dimensions was made of, not the tensor.
static void captureScalars(linalg::GenericOp op) {
  if (!op.hasPureTensorSemantics())
    return;
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  llvm::BitVector captured(op.getBody()->getNumArguments());
  for (OpOperand *input : op.getDpsInputOperands()) {
    auto made = input->get().getDefiningOp<tensor::FromElementsOp>();
    BlockArgument element = op.getMatchingBlockArgument(input);
    if (made && isZeroDim(made)) {
      element.replaceAllUsesWith(made.getElements().front());
      captured.set(element.getArgNumber());
    } else {
      inputs.push_back(input->get());
      maps.push_back(op.getMatchingIndexingMap(input));
    }
  }
  if (captured.none())
    return;
  for (OpOperand &init : op.getDpsInitsMutable())
    maps.push_back(op.getMatchingIndexingMap(&init));
  op.getBody()->eraseArguments(captured);
  op.getInputsMutable().assign(inputs);
  op.setIndexingMapsAttr(Builder(op.getContext()).getAffineMapArrayAttr(maps));
}

/// insert_slice of a scalar, of one element of a tensor, or of a number that
/// fills one => insert of it.
static void writeElement(tensor::InsertSliceOp op) {
  Value source = skipReshapes(op.getSource());
  if (!hasOneElement(source))
    return;
  OpBuilder builder(op);
  Value element;
  if (auto made = source.getDefiningOp<tensor::FromElementsOp>()) {
    element = made.getElements().front();
  } else if (auto fill = source.getDefiningOp<linalg::FillOp>();
             fill &&
             fill.value().getType() == getElementTypeOrSelf(op.getDest())) {
    element = fill.value();
  } else if (auto slice = source.getDefiningOp<tensor::ExtractSliceOp>()) {
    // Read here, and not behind what is written to the tensor until then.
    OpBuilder before(slice);
    element = tensor::ExtractOp::create(
        before, slice.getLoc(), slice.getSource(), offsetsOf(before, slice));
  } else {
    return;
  }
  Value inserted = tensor::InsertOp::create(
      builder, op.getLoc(), element, op.getDest(), offsetsOf(builder, op));
  op.replaceAllUsesWith(inserted);
  op.erase();
}

/// Reads elements of arrays that nobody updates where a long block needs them,
/// and not all at its beginning: too many would be alive at once.
static void readLate(Block &block) {
  if (block.getOperations().size() < kLongBlock)
    return;
  DenseMap<Operation *, unsigned> places;
  for (auto [i, op] : llvm::enumerate(block))
    places[&op] = i;
  DenseMap<Value, bool> onlyRead;
  SmallVector<tensor::ExtractOp> reads(block.getOps<tensor::ExtractOp>());
  for (tensor::ExtractOp read : reads) {
    Value array = read.getTensor();
    auto [isOnlyRead, isNew] = onlyRead.try_emplace(array);
    if (isNew)
      isOnlyRead->second =
          llvm::all_of(array.getUsers(), llvm::IsaPred<tensor::ExtractOp>);
    Operation *first = nullptr;
    for (Operation *user : read->getUsers()) {
      user = block.findAncestorOpInBlock(*user);
      if (!first || places.lookup(user) < places.lookup(first))
        first = user;
    }
    if (first && isOnlyRead->second)
      read->moveBefore(first);
  }
}

void GradScalarsToRegisters::runOnOperation() {
  scalars.clear();
  SmallVector<Operation *> ops;
  auto collect = [&](llvm::function_ref<bool(Operation *)> isWanted) {
    ops.clear();
    getOperation().walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (isWanted(op))
        ops.push_back(op);
    });
  };
  collect(isControlFlow);
  for (Operation *op : ops)
    carryScalars(op);
  collect([](Operation *op) { return isControlFlow(op->getParentOp()); });
  for (Operation *op : ops) {
    if (auto fill = dyn_cast<linalg::FillOp>(op))
      fillScalar(fill);
    else if (auto generic = dyn_cast<linalg::GenericOp>(op);
             generic && !computeScalars(generic))
      captureScalars(generic);
    else if (auto read = dyn_cast<tensor::ExtractOp>(op))
      readElement(read);
    else if (auto write = dyn_cast<tensor::InsertSliceOp>(op))
      writeElement(write);
  }
  if (ops.empty())
    return;
  eraseDeadOps(getOperation());
  getOperation().walk([](Block *block) { readLate(*block); });
}
