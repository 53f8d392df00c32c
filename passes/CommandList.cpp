//===- CommandList.cpp - Programs as lists of commands --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Foreign.h"
#include "passes/BufferSize.h"
#include "passes/CommandEncoder.h"
#include "passes/ElementTypes.h"
#include "passes/HostCalls.h"
#include "runtime/Interface.h"
#include "runtime/OpenSizes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/Utils/MemRefUtils.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

#include <limits>

using namespace mlir;
using namespace mlir::grad;

//===----------------------------------------------------------------------===//
// What is in a list
//===----------------------------------------------------------------------===//

bool mlir::grad::isAddress(Operation *op) {
  if (op->hasTrait<OpTrait::ConstantLike>() ||
      isa<ViewLikeOpInterface, memref::GetGlobalOp,
          memref::ExtractAlignedPointerAsIndexOp,
          memref::ExtractStridedMetadataOp>(op))
    return true;
  if (op->getNumResults() != 1 || !isWord(op->getResult(0).getType()))
    return false;
  if (isa<arith::MulIOp>(op))
    return llvm::any_of(op->getOperands(), [](Value operand) {
      return matchPattern(operand, m_Constant());
    });
  return isa<arith::AddIOp, arith::SubIOp>(op) ||
         (isa<arith::IndexCastOp>(op) && isWord(op->getOperand(0).getType()));
}

static std::optional<gradopt_opcode> getProduct(Operation *op) {
  auto call = dyn_cast<func::CallOp>(op);
  if (!call)
    return std::nullopt;
  return llvm::StringSwitch<std::optional<gradopt_opcode>>(call.getCallee())
      .Cases({"gradopt_gemm_f64", "gradopt_gemm_batched_f64"}, GRADOPT_GEMM_F64)
      .Cases({"gradopt_gemm_f32", "gradopt_gemm_batched_f32"}, GRADOPT_GEMM_F32)
      .Case("gradopt_gemm_batched_f16", GRADOPT_GEMM_F16)
      .Case("gradopt_gemm_batched_bf16", GRADOPT_GEMM_BF16)
      .Case("gradopt_gemm_c128", GRADOPT_GEMM_C128)
      .Case("gradopt_gemm_c64", GRADOPT_GEMM_C64)
      .Default(std::nullopt);
}

bool mlir::grad::isProduct(Operation *op) { return getProduct(op).has_value(); }

static bool isBatchedProduct(func::CallOp call) {
  return call.getCallee().starts_with("gradopt_gemm_batched_");
}

static bool asksForLibrary(Operation *op) {
  auto call = dyn_cast<func::CallOp>(op);
  return call && call.getCallee() == kHasLibraryName;
}

bool mlir::grad::isCommand(Operation *op) {
  if (isa<arith::MinSIOp, arith::MaxSIOp>(op))
    return isWord(op->getResult(0).getType());
  if (auto copy = dyn_cast<memref::CopyOp>(op)) {
    auto isBlock = [](Value buffer) {
      auto type = dyn_cast<MemRefType>(buffer.getType());
      return type && memref::isStaticShapeAndContiguousRowMajor(type);
    };
    return isBlock(copy.getSource()) && isBlock(copy.getTarget());
  }
  return isProduct(op) || asksForLibrary(op);
}

bool mlir::grad::isControlFlow(Operation *op) {
  return isa<scf::ForOp, scf::WhileOp, scf::IfOp, scf::IndexSwitchOp>(op);
}

std::optional<DeviceKernel> DeviceKernel::of(gpu::LaunchFuncOp op) {
  std::optional<int64_t> grid = getConstantIntValue(op.getGridSizeX());
  std::optional<int64_t> block = getConstantIntValue(op.getBlockSizeX());
  if (!grid || !block)
    return std::nullopt;
  return DeviceKernel{op.getKernelName(), *grid, *block};
}

Attribute DeviceKernel::toAttribute() const {
  Builder builder(name.getContext());
  return builder.getArrayAttr({name, builder.getI64IntegerAttr(numBlocks),
                               builder.getI64IntegerAttr(numThreads)});
}

DeviceKernel DeviceKernel::from(Attribute attribute) {
  auto parts = cast<ArrayAttr>(attribute);
  return {cast<StringAttr>(parts[0]), cast<IntegerAttr>(parts[1]).getInt(),
          cast<IntegerAttr>(parts[2]).getInt()};
}

//===----------------------------------------------------------------------===//
// Commands
//===----------------------------------------------------------------------===//

size_t CommandEncoder::emit(Location loc, gradopt_opcode opcode,
                            uint32_t target,
                            ArrayRef<gradopt_operand> operands) {
  size_t position = commands.size();
  if (operands.size() > std::numeric_limits<uint16_t>::max())
    isTooLong = true;
  table.locations.push_back(loc);
  gradopt_command command = {static_cast<uint16_t>(opcode),
                             static_cast<uint16_t>(operands.size()), target};
  auto append = [&](const auto &part) {
    size_t at = commands.size();
    commands.resize(at + sizeof(part) / sizeof(int64_t));
    memcpy(&commands[at], &part, sizeof(part));
  };
  append(command);
  for (const gradopt_operand &operand : operands)
    append(operand);
  maxOperands = std::max<uint32_t>(maxOperands, operands.size());
  return position;
}

size_t CommandEncoder::emitJump(Location loc) {
  return emit(loc, GRADOPT_BRANCH_EQUAL, 0, {{0, 0, 0}, {0, 0, 0}});
}

void CommandEncoder::land(size_t branch) {
  gradopt_command command;
  memcpy(&command, &commands[branch], sizeof(command));
  command.target = here();
  memcpy(&commands[branch], &command, sizeof(command));
}

LogicalResult CommandEncoder::assign(Location loc, uint32_t first,
                                     ValueRange values) {
  if (values.empty())
    return success();
  auto operands = makeOperands(loc, values);
  if (failed(operands))
    return failure();
  emit(loc, GRADOPT_SET, first, *operands);
  return success();
}

/// All but the terminator, which is for whoever knows where it leads.
LogicalResult CommandEncoder::encodeBlock(Block &block) {
  for (Operation &op : block.without_terminator())
    if (!isAddress(&op) && failed(encodeOp(op)))
      return failure();
  return success();
}

LogicalResult CommandEncoder::encodeOp(Operation &op) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(&op)
      .Case([&](func::CallOp op) { return encodeCall(op); })
      .Case([&](gpu::LaunchFuncOp op) { return encodeLaunch(op); })
      .Case([&](memref::LoadOp op) { return encodeRead(op); })
      .Case([&](arith::MinSIOp op) {
        return encodeExtremum(op, GRADOPT_MINIMUM);
      })
      .Case([&](arith::MaxSIOp op) {
        return encodeExtremum(op, GRADOPT_MAXIMUM);
      })
      .Case([&](memref::CopyOp op) { return encodeCopy(op); })
      .Case([&](scf::ForOp op) { return encodeFor(op); })
      .Case([&](scf::WhileOp op) { return encodeWhile(op); })
      .Case([&](scf::IfOp op) { return encodeIf(op); })
      .Case([&](scf::IndexSwitchOp op) { return encodeSwitch(op); })
      .Default([&](Operation *op) {
        return isHostCall(op) ? encodeHostCall(op) : failure();
      });
}

LogicalResult CommandEncoder::encodeCall(func::CallOp op) {
  auto operands = makeOperands(op.getLoc(), op.getOperands());
  if (failed(operands))
    return failure();
  if (std::optional<gradopt_opcode> product = getProduct(op)) {
    if (!isBatchedProduct(op))
      operands->append({{0, 0, 1}, {0, 0, 0}, {0, 0, 0}, {0, 0, 0}});
    Attribute kernel = op->getAttr(kKernelAttr);
    emit(op.getLoc(), *product, kernel ? getKernel(kernel) : 0, *operands);
    return success();
  }
  auto results = addRegisters(op.getResults());
  if (failed(results))
    return failure();
  if (asksForLibrary(op)) {
    emit(op.getLoc(), GRADOPT_HAS_LIBRARY, *results, {});
    return success();
  }
  auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(
      op, op.getCalleeAttr());
  if (!callee || callee.isExternal())
    return failure();
  for (unsigned i = 0; i < op.getNumResults(); ++i)
    operands->push_back(
        {GRADOPT_WORD_FRAME, GRADOPT_WORD_ZERO,
         static_cast<int64_t>((*results + i) * sizeof(int64_t))});
  emit(op.getLoc(), GRADOPT_LAUNCH, getKernel(op.getCalleeAttr()), *operands);
  return success();
}

uint32_t CommandEncoder::getKernel(Attribute kernel) {
  auto [it, isNew] = kernelOf.try_emplace(kernel, table.kernels.size());
  if (isNew)
    table.kernels.push_back(kernel);
  return it->second;
}

/// A kernel of a device is known with the size of its grid.
LogicalResult CommandEncoder::encodeLaunch(gpu::LaunchFuncOp op) {
  auto operands = makeOperands(op.getLoc(), op.getKernelOperands());
  std::optional<DeviceKernel> kernel = DeviceKernel::of(op);
  if (failed(operands) || !kernel)
    return failure();
  emit(op.getLoc(), GRADOPT_LAUNCH, getKernel(kernel->toAttribute()),
       *operands);
  return success();
}

/// A number that the list needs and a kernel has stored.
LogicalResult CommandEncoder::encodeRead(memref::LoadOp op) {
  std::optional<int64_t> size = getElementBytes(op.getType());
  FailureOr<Sum> address = evaluateAddress(op.getMemRef());
  auto place = addRegisters(op.getResult());
  if (!op.getIndices().empty() || !size || failed(address) || failed(place))
    return failure();
  emit(op.getLoc(), GRADOPT_READ, *place,
       {makeOperand(op.getLoc(), *address), {0, 0, *size}});
  return success();
}

/// Whether nobody reads what a call of the host leaves in `out`: it is a part
/// of the arena, of which nothing but parts are in use.
bool CommandEncoder::isScratch(Value out) {
  Value arena = list.getArguments().back();
  auto view = out.getDefiningOp<memref::ViewOp>();
  if (!view || view.getSource() != arena || !out.hasOneUse())
    return false;
  if (!onlyPartsAreUsed)
    onlyPartsAreUsed =
        llvm::all_of(arena.getUsers(), llvm::IsaPred<memref::ViewOp>);
  return *onlyPartsAreUsed;
}

LogicalResult CommandEncoder::encodeHostCall(Operation *op) {
  HostCallee callee = getHostCallee(op);
  auto numOuts = cast<DestinationStyleOpInterface>(op).getNumDpsInits();
  int64_t numInputs = op->getNumOperands() - numOuts;
  auto number = [](int64_t value) { return gradopt_operand{0, 0, value}; };
  SmallVector<gradopt_operand> operands = {number(callee.number),
                                           number(numInputs)};
  for (auto [i, buffer] : llvm::enumerate(op->getOperands())) {
    auto type = dyn_cast<MemRefType>(buffer.getType());
    if (!type || !type.hasStaticShape() ||
        type.getRank() > GRADOPT_HOST_MAX_RANK)
      return failure();
    FailureOr<Sum> address = evaluateAddress(buffer);
    std::optional<gradopt_dtype> dtype =
        findDtype(type.getElementType(), callee.isUnsigned(i));
    if (failed(address) || !dtype)
      return failure();
    int32_t kind = *dtype;
    if (int64_t(i) >= numInputs && isScratch(buffer))
      kind |= GRADOPT_HOST_SCRATCH;
    operands.push_back(makeOperand(op->getLoc(), *address));
    operands.push_back(number(kind));
    operands.push_back(number(type.getRank()));
    llvm::append_range(operands, llvm::map_range(type.getShape(), number));
  }
  emit(op->getLoc(), GRADOPT_HOST_CALL, callee.kind, operands);
  return success();
}

LogicalResult CommandEncoder::encodeExtremum(Operation *op,
                                             gradopt_opcode opcode) {
  auto operands = makeOperands(op->getLoc(), op->getOperands());
  auto place = addRegisters(op->getResults());
  if (failed(operands) || failed(place))
    return failure();
  emit(op->getLoc(), opcode, *place, *operands);
  return success();
}

LogicalResult CommandEncoder::encodeCopy(memref::CopyOp op) {
  if (!isCommand(op))
    return failure();
  FailureOr<Sum> to = evaluateAddress(op.getTarget());
  FailureOr<Sum> from = evaluateAddress(op.getSource());
  auto type = cast<MemRefType>(op.getSource().getType());
  std::optional<int64_t> size = getElementBytes(type.getElementType());
  if (failed(to) || failed(from) || !size)
    return failure();
  gradopt_operand target = makeOperand(op.getLoc(), *to);
  gradopt_operand source = makeOperand(op.getLoc(), *from);
  emit(op.getLoc(), GRADOPT_COPY, 0,
       {target, source, {0, 0, type.getNumElements() * *size}});
  return success();
}

//===----------------------------------------------------------------------===//
// Loops and branches
//===----------------------------------------------------------------------===//

LogicalResult CommandEncoder::encodeFor(scf::ForOp op) {
  Location loc = op.getLoc();
  if (op.getUnsignedCmp() || !isWord(op.getInductionVar().getType()))
    return failure();
  auto bounds = makeOperands(loc, {op.getLowerBound(), op.getUpperBound()});
  FailureOr<Sum> step = evaluate(op.getStep());
  auto first = addRegisters(op.getBody()->getArguments());
  if (failed(bounds) || failed(step) || failed(first))
    return failure();
  auto setState = [&](const gradopt_operand &position, ValueRange values) {
    auto operands = makeOperands(loc, values);
    if (failed(operands))
      return failure();
    operands->insert(operands->begin(), position);
    emit(loc, GRADOPT_SET, *first, *operands);
    return success();
  };
  if (failed(setState((*bounds)[0], op.getInitArgs())))
    return failure();
  size_t enter = emit(loc, GRADOPT_BRANCH_LESS, 0, *bounds);
  size_t skip = emitJump(loc);
  land(enter);
  uint32_t body = here();
  Scope scope(*this);
  if (failed(encodeBlock(*op.getBody())))
    return failure();
  step->add(Sum::ofWord(*first));
  gradopt_operand next = makeOperand(loc, *step);
  if (failed(setState(next, op.getYieldedValues())))
    return failure();
  emit(loc, GRADOPT_BRANCH_LESS, body, {{*first, 0, 0}, (*bounds)[1]});
  land(skip);
  for (auto [i, result] : llvm::enumerate(op.getResults()))
    wordOf[result] = *first + 1 + i;
  return success();
}

LogicalResult CommandEncoder::encodeWhile(scf::WhileOp op) {
  Location loc = op.getLoc();
  auto before = addRegisters(op.getBeforeArguments());
  auto results = addRegisters(op.getResults());
  if (failed(before) || failed(results) ||
      failed(assign(loc, *before, op.getInits())))
    return failure();
  for (auto [i, argument] : llvm::enumerate(op.getAfterArguments()))
    wordOf[argument] = *results + i;
  uint32_t begin = here();
  Scope scope(*this);
  if (failed(encodeBlock(*op.getBeforeBody())))
    return failure();
  scf::ConditionOp condition = op.getConditionOp();
  auto flag = makeOperands(loc, condition.getCondition());
  if (failed(flag) || failed(assign(loc, *results, condition.getArgs())))
    return failure();
  size_t leave = emit(loc, GRADOPT_BRANCH_EQUAL, 0, {flag->front(), {0, 0, 0}});
  if (failed(encodeBlock(*op.getAfterBody())) ||
      failed(assign(loc, *before, op.getYieldOp().getOperands())))
    return failure();
  emit(loc, GRADOPT_BRANCH_EQUAL, begin, {{0, 0, 0}, {0, 0, 0}});
  land(leave);
  return success();
}

/// One of several regions, of which each leaves its results in the same
/// registers.
LogicalResult CommandEncoder::encodeCase(Region &region, uint32_t results) {
  if (region.empty())
    return success();
  Scope scope(*this);
  Operation *yield = region.front().getTerminator();
  if (failed(encodeBlock(region.front())))
    return failure();
  return assign(yield->getLoc(), results, yield->getOperands());
}

LogicalResult CommandEncoder::encodeIf(scf::IfOp op) {
  Location loc = op.getLoc();
  auto flag = makeOperands(loc, op.getCondition());
  auto results = addRegisters(op.getResults());
  if (failed(flag) || failed(results))
    return failure();
  size_t otherwise =
      emit(loc, GRADOPT_BRANCH_EQUAL, 0, {flag->front(), {0, 0, 0}});
  if (failed(encodeCase(op.getThenRegion(), *results)))
    return failure();
  if (op.getElseRegion().empty()) {
    land(otherwise);
    return success();
  }
  size_t end = emitJump(loc);
  land(otherwise);
  if (failed(encodeCase(op.getElseRegion(), *results)))
    return failure();
  land(end);
  return success();
}

LogicalResult CommandEncoder::encodeSwitch(scf::IndexSwitchOp op) {
  Location loc = op.getLoc();
  auto flag = makeOperands(loc, op.getArg());
  auto results = addRegisters(op.getResults());
  if (failed(flag) || failed(results))
    return failure();
  SmallVector<size_t> branches, ends;
  for (int64_t value : op.getCases())
    branches.push_back(
        emit(loc, GRADOPT_BRANCH_EQUAL, 0, {flag->front(), {0, 0, value}}));
  if (failed(encodeCase(op.getDefaultRegion(), *results)))
    return failure();
  for (auto [branch, region] : llvm::zip_equal(branches, op.getCaseRegions())) {
    ends.push_back(emitJump(loc));
    land(branch);
    if (failed(encodeCase(region, *results)))
      return failure();
  }
  for (size_t end : ends)
    land(end);
  return success();
}

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

FailureOr<CommandTable> CommandEncoder::encode(int64_t frame) {
  numBuffers = list.getNumArguments();
  addWords(GRADOPT_WORD_BUFFERS);
  if (failed(addRegisters(list.getArguments())))
    return failure();
  SmallVector<int64_t> sizes;
  for (BlockArgument argument : list.getArguments()) {
    auto type = dyn_cast<MemRefType>(argument.getType());
    std::optional<int64_t> size = type ? getByteSize(type) : std::nullopt;
    if (argument.getType().isIndex())
      size = GRADOPT_NUMBER_SIZE;
    if (!size)
      return failure();
    sizes.push_back(*size);
  }
  Block &body = list.getBody().front();
  if (list.getNumResults() != 0 || failed(encodeBlock(body)) || isTooLong)
    return failure();
  emit(body.getTerminator()->getLoc(), GRADOPT_END, 0, {});

  gradopt_commands header = {};
  size_t headerWords = sizeof(header) / sizeof(int64_t);
  header.magic = GRADOPT_COMMANDS_MAGIC;
  header.version = GRADOPT_COMMANDS_VERSION;
  header.bytes =
      (headerWords + 1 + sizes.size() + commands.size()) * sizeof(int64_t);
  header.frame = frame;
  header.num_words = numWords;
  header.num_buffers = numBuffers;
  header.num_kernels = table.kernels.size();
  header.max_operands = maxOperands;
  table.words.resize(headerWords);
  memcpy(table.words.data(), &header, sizeof(header));
  table.words.push_back(table.constants.size());
  llvm::append_range(table.words, sizes);
  llvm::append_range(table.words, commands);
  table.frameBytes =
      (int64_t(numWords) + maxOperands) * int64_t(sizeof(int64_t));
  return std::move(table);
}

FailureOr<CommandTable> mlir::grad::encodeCommands(func::FuncOp list,
                                                   int64_t frame) {
  return CommandEncoder(list).encode(frame);
}

int64_t mlir::grad::growArena(func::FuncOp list, int64_t bytes) {
  Builder builder(list.getContext());
  auto planned = list->getAttrOfType<IntegerAttr>(kArenaBytesAttr).getInt();
  BlockArgument arena = list.getArguments().back();
  auto type = cast<MemRefType>(arena.getType());
  OpBuilder atStart = OpBuilder::atBlockBegin(arena.getOwner());
  // Where the arena ends that grows with open sizes is known in the call only:
  // there, all that it has moves.
  bool isOpen = list->hasAttr(gradopt::kOpenSizesAttr);
  int64_t moved = isOpen ? llvm::alignTo(bytes, gradopt::kArenaAlignment) : 0,
          begin = isOpen ? 0 : llvm::alignTo(planned, gradopt::kArenaAlignment),
          size = isOpen ? type.getDimSize(0) + moved : begin + bytes;
  arena.setType(MemRefType::get({size}, builder.getI8Type()));
  // Kernels that get all of it do not get what is new.
  Value part, distance;
  for (OpOperand &use : llvm::make_early_inc_range(arena.getUses())) {
    if (!distance)
      distance = arith::ConstantIndexOp::create(atStart, arena.getLoc(), moved);
    if (auto view = dyn_cast<memref::ViewOp>(use.getOwner()); view && isOpen) {
      OpBuilder before(view);
      view.getByteShiftMutable().assign(before.createOrFold<arith::AddIOp>(
          view.getLoc(), view.getByteShift(), distance));
    }
    if (!isa<func::CallOp>(use.getOwner()))
      continue;
    if (!part)
      part = memref::ViewOp::create(atStart, arena.getLoc(), type, arena,
                                    distance, ValueRange());
    use.set(part);
  }
  list.setType(builder.getFunctionType(list.getBody().getArgumentTypes(), {}));
  list->setAttr(kArenaBytesAttr,
                builder.getI64IntegerAttr(isOpen ? planned + moved : size));
  return begin;
}

void mlir::grad::reserveFrame(func::FuncOp list) {
  FailureOr<CommandTable> table = encodeCommands(list, 0);
  if (failed(table))
    return;
  int64_t frame = growArena(list, table->frameBytes);
  // Where buffers have moved, addresses are computed of more.
  if (FailureOr<CommandTable> moved = encodeCommands(list, frame);
      list->hasAttr(gradopt::kOpenSizesAttr) && succeeded(moved) &&
      moved->frameBytes > table->frameBytes)
    frame = growArena(list, moved->frameBytes);
  list->setAttr(
      kFrameAttr,
      IntegerAttr::get(IntegerType::get(list.getContext(), 64), frame));
}
