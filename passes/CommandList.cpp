//===- CommandList.cpp - Programs as lists of commands --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Values of a list are sums of words, with factors: a buffer is a word and an
/// offset, a view of it at position %i of a loop is that and a multiple of the
/// register of %i. What an operand cannot express, two words and an offset, is
/// calculated by commands before, once in a block.
///
/// Each number and buffer that a kernel returns or a loop carries has a
/// register of its own.
///
//===----------------------------------------------------------------------===//

#include "passes/CommandList.h"
#include "dialect/Foreign.h"
#include "passes/BufferSize.h"
#include "passes/ElementTypes.h"
#include "passes/HostCalls.h"
#include "runtime/Commands.h"
#include "runtime/Interface.h"
#include "runtime/OpenSizes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Utils/MemRefUtils.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

#include <limits>

using namespace mlir;
using namespace mlir::grad;

//===----------------------------------------------------------------------===//
// What is in a list
//===----------------------------------------------------------------------===//

/// Numbers that are whole words, so that sums wrap as words do.
static bool isWord(Type type) { return type.isIndex() || type.isInteger(64); }

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
  return isProduct(op);
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
// Encoding
//===----------------------------------------------------------------------===//

namespace {

/// A sum of multiples of words and a constant.
struct Sum {
  llvm::SmallMapVector<uint32_t, int64_t, 2> terms;
  int64_t constant = 0;

  static Sum ofWord(uint32_t word) {
    Sum sum;
    sum.terms[word] = 1;
    return sum;
  }
  static Sum ofConstant(int64_t constant) {
    Sum sum;
    sum.constant = constant;
    return sum;
  }
  /// Adds `other` so many times.
  void add(const Sum &other, int64_t factor = 1) {
    for (auto [word, coefficient] : other.terms)
      terms[word] += coefficient * factor;
    constant += other.constant * factor;
  }
};

class Encoder {
public:
  explicit Encoder(func::FuncOp list) : list(list) {}

  FailureOr<CommandTable> encode(int64_t frame);

private:
  // Values.
  FailureOr<Sum> evaluate(Value value);
  FailureOr<Sum> evaluate(OpFoldResult value);
  FailureOr<Sum> evaluateNumber(Operation *op, Value value);
  FailureOr<Sum> evaluatePointer(Value buffer);
  FailureOr<Sum> evaluateOffset(Value buffer);
  FailureOr<Sum> evaluateAddress(Value buffer);
  FailureOr<Sum> evaluateGlobal(memref::GetGlobalOp op);
  /// Makes an operand of a sum, with commands for what is too much for one.
  gradopt_operand makeOperand(Location loc, const Sum &sum);
  FailureOr<SmallVector<gradopt_operand>> makeOperands(Location loc,
                                                       ValueRange values);

  // Words.
  uint32_t addWords(size_t count) {
    uint32_t first = numWords;
    numWords += count;
    return first;
  }
  /// Gives `values` registers in a row, and returns the first one.
  FailureOr<uint32_t> addRegisters(ValueRange values);

  // Commands.
  size_t emit(Location loc, gradopt_opcode opcode, uint32_t target,
              ArrayRef<gradopt_operand> operands);
  size_t emitJump(Location loc);
  /// Lets the branch that was emitted there go to the next command.
  void land(size_t branch);
  uint32_t here() const { return commands.size(); }

  LogicalResult encodeBlock(Block &block);
  LogicalResult encodeOp(Operation &op);
  LogicalResult encodeCall(func::CallOp op);
  LogicalResult encodeLaunch(gpu::LaunchFuncOp op);
  LogicalResult encodeRead(memref::LoadOp op);
  LogicalResult encodeHostCall(Operation *op);
  bool isScratch(Value out);
  LogicalResult encodeExtremum(Operation *op, gradopt_opcode opcode);
  uint32_t getKernel(Attribute kernel);
  LogicalResult encodeCopy(memref::CopyOp op);
  LogicalResult encodeFor(scf::ForOp op);
  LogicalResult encodeWhile(scf::WhileOp op);
  LogicalResult encodeIf(scf::IfOp op);
  LogicalResult encodeSwitch(scf::IndexSwitchOp op);
  LogicalResult encodeCase(Region &region, uint32_t results);
  LogicalResult assign(Location loc, uint32_t first, ValueRange values);

  func::FuncOp list;
  CommandTable table;
  std::vector<int64_t> commands;
  uint32_t numWords = 0, numBuffers = 0, maxOperands = 0;
  bool isTooLong = false;
  std::optional<bool> onlyPartsAreUsed; ///< Of the arena.
  llvm::DenseMap<Value, uint32_t> wordOf;
  llvm::DenseMap<Attribute, uint32_t> kernelOf;
  llvm::DenseMap<Attribute, int64_t> globalOffsets;
  /// A multiple of a word.
  using Multiple = std::pair<uint32_t, int64_t>;
  /// Registers of those that this block calculated, or one around it.
  llvm::DenseMap<Multiple, uint32_t> multiples;
  SmallVector<Multiple> order;

  /// What is calculated meanwhile is not known afterwards.
  struct Scope {
    explicit Scope(Encoder &encoder)
        : encoder(encoder), size(encoder.order.size()) {}
    ~Scope() {
      while (encoder.order.size() > size)
        encoder.multiples.erase(encoder.order.pop_back_val());
    }
    Encoder &encoder;
    size_t size;
  };
};

} // namespace

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

FailureOr<Sum> Encoder::evaluate(OpFoldResult value) {
  if (std::optional<int64_t> constant = getConstantIntValue(value))
    return Sum::ofConstant(*constant);
  return evaluate(cast<Value>(value));
}

FailureOr<Sum> Encoder::evaluate(Value value) {
  if (isa<MemRefType>(value.getType()))
    return evaluatePointer(value);
  if (auto it = wordOf.find(value); it != wordOf.end())
    return Sum::ofWord(it->second);
  Attribute constant;
  if (matchPattern(value, m_Constant(&constant))) {
    if (auto integer = dyn_cast<IntegerAttr>(constant))
      return Sum::ofConstant(isWord(integer.getType())
                                 ? integer.getValue().getSExtValue()
                                 : integer.getValue().getZExtValue());
    if (auto number = dyn_cast<FloatAttr>(constant))
      return Sum::ofConstant(static_cast<int64_t>(
          number.getValue().bitcastToAPInt().getZExtValue()));
    return failure();
  }
  if (Operation *op = value.getDefiningOp())
    return evaluateNumber(op, value);
  return failure();
}

FailureOr<Sum> Encoder::evaluateNumber(Operation *op, Value value) {
  if (auto pointer = dyn_cast<memref::ExtractAlignedPointerAsIndexOp>(op))
    return evaluatePointer(pointer.getSource());
  if (auto metadata = dyn_cast<memref::ExtractStridedMetadataOp>(op))
    return value == metadata.getOffset() ? evaluateOffset(metadata.getSource())
                                         : FailureOr<Sum>(failure());
  if (!isAddress(op))
    return failure();
  FailureOr<Sum> first = evaluate(op->getOperand(0));
  if (failed(first) || isa<arith::IndexCastOp>(op))
    return first;
  FailureOr<Sum> second = evaluate(op->getOperand(1));
  if (failed(second))
    return failure();
  Sum sum;
  if (!isa<arith::MulIOp>(op)) {
    sum = std::move(*first);
    sum.add(*second, isa<arith::SubIOp>(op) ? -1 : 1);
  } else if (second->terms.empty()) {
    sum.add(*first, second->constant);
  } else if (first->terms.empty()) {
    sum.add(*second, first->constant);
  } else {
    return failure();
  }
  return sum;
}

/// The pointer that code has of `buffer`, to which the offset of its type is
/// added in an access.
FailureOr<Sum> Encoder::evaluatePointer(Value buffer) {
  if (auto it = wordOf.find(buffer); it != wordOf.end())
    return Sum::ofWord(it->second);
  if (auto global = buffer.getDefiningOp<memref::GetGlobalOp>())
    return evaluateGlobal(global);
  auto view = buffer.getDefiningOp<ViewLikeOpInterface>();
  if (!view || !isa<MemRefType>(view.getViewSource().getType()))
    return failure();
  FailureOr<Sum> pointer = evaluatePointer(view.getViewSource());
  auto bytes = dyn_cast<memref::ViewOp>(view.getOperation());
  if (failed(pointer) || !bytes)
    return pointer;
  FailureOr<Sum> shift = evaluate(bytes.getByteShift());
  if (failed(shift))
    return failure();
  pointer->add(*shift);
  return pointer;
}

FailureOr<Sum> Encoder::evaluateOffset(Value buffer) {
  auto type = cast<MemRefType>(buffer.getType());
  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(type.getStridesAndOffset(strides, offset)))
    return failure();
  if (!ShapedType::isDynamic(offset))
    return Sum::ofConstant(offset);
  Operation *def = buffer.getDefiningOp();
  if (auto cast = dyn_cast_or_null<memref::ReinterpretCastOp>(def))
    return evaluate(cast.getMixedOffsets().front());
  auto view = dyn_cast_or_null<ViewLikeOpInterface>(def);
  if (!view || !isa<MemRefType>(view.getViewSource().getType()) ||
      wordOf.contains(buffer))
    return failure();
  FailureOr<Sum> sum = evaluateOffset(view.getViewSource());
  auto part = dyn_cast<memref::SubViewOp>(def);
  if (failed(sum) || !part)
    return sum;
  auto [sourceStrides, sourceOffset] =
      part.getSourceType().getStridesAndOffset();
  for (auto [position, stride] :
       llvm::zip_equal(part.getMixedOffsets(), sourceStrides)) {
    FailureOr<Sum> steps = evaluate(position);
    if (failed(steps) || ShapedType::isDynamic(stride))
      return failure();
    sum->add(*steps, stride);
  }
  return sum;
}

FailureOr<Sum> Encoder::evaluateAddress(Value buffer) {
  FailureOr<Sum> address = evaluatePointer(buffer);
  FailureOr<Sum> offset = evaluateOffset(buffer);
  std::optional<int64_t> size =
      getElementBytes(cast<MemRefType>(buffer.getType()).getElementType());
  if (failed(address) || failed(offset) || !size)
    return failure();
  address->add(*offset, *size);
  return address;
}

/// Puts the value of a global to the constants.
FailureOr<Sum> Encoder::evaluateGlobal(memref::GetGlobalOp op) {
  auto [it, isNew] = globalOffsets.try_emplace(op.getNameAttr(), 0);
  if (isNew) {
    auto global = SymbolTable::lookupNearestSymbolFrom<memref::GlobalOp>(
        op, op.getNameAttr());
    auto value = dyn_cast_or_null<DenseElementsAttr>(
        global && global.getConstant() ? global.getInitialValueAttr()
                                       : Attribute());
    if (!value)
      return failure();
    table.constants.resize(
        llvm::alignTo(table.constants.size(), gradopt::kArenaAlignment));
    it->second = table.constants.size();
    if (value.getElementType().isInteger(1)) {
      for (bool element : value.getValues<bool>())
        table.constants.push_back(element);
    } else {
      ArrayRef<char> raw = value.getRawData();
      int64_t copies = value.isSplat() ? value.getNumElements() : 1;
      for (int64_t i = 0; i < copies; ++i)
        table.constants.insert(table.constants.end(), raw.begin(), raw.end());
    }
  }
  Sum sum = Sum::ofWord(GRADOPT_WORD_CONSTANTS);
  sum.constant = it->second;
  return sum;
}

gradopt_operand Encoder::makeOperand(Location loc, const Sum &sum) {
  SmallVector<uint32_t, 2> words;
  for (auto [word, factor] : sum.terms) {
    if (factor == 0)
      continue;
    if (factor == 1) {
      words.push_back(word);
      continue;
    }
    auto [it, isNew] = multiples.try_emplace(Multiple(word, factor), 0);
    if (isNew) {
      it->second = addWords(1);
      order.emplace_back(word, factor);
      emit(loc, GRADOPT_MULTIPLY_ADD, it->second,
           {{0, 0, 0}, {word, 0, 0}, {0, 0, factor}});
    }
    words.push_back(it->second);
  }
  // Buffers have lower numbers than registers.
  llvm::sort(words);
  while (words.size() > 2) {
    uint32_t last = words.pop_back_val();
    uint32_t first = words.pop_back_val();
    uint32_t both = addWords(1);
    emit(loc, GRADOPT_SET, both, {{first, last, 0}});
    words.push_back(both);
  }
  words.resize(2, GRADOPT_WORD_ZERO);
  return {words[0], words[1], sum.constant};
}

FailureOr<SmallVector<gradopt_operand>>
Encoder::makeOperands(Location loc, ValueRange values) {
  SmallVector<gradopt_operand> operands;
  for (Value value : values) {
    FailureOr<Sum> sum = evaluate(value);
    if (failed(sum))
      return failure();
    operands.push_back(makeOperand(loc, *sum));
  }
  return operands;
}

FailureOr<uint32_t> Encoder::addRegisters(ValueRange values) {
  uint32_t first = addWords(values.size());
  for (auto [i, value] : llvm::enumerate(values)) {
    auto type = dyn_cast<MemRefType>(value.getType());
    if (type ? !type.hasStaticShape() : !value.getType().isIntOrIndexOrFloat())
      return failure();
    if (!type && !value.getType().isIndex() &&
        value.getType().getIntOrFloatBitWidth() > 64)
      return failure();
    wordOf[value] = first + i;
  }
  return first;
}

//===----------------------------------------------------------------------===//
// Commands
//===----------------------------------------------------------------------===//

size_t Encoder::emit(Location loc, gradopt_opcode opcode, uint32_t target,
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

size_t Encoder::emitJump(Location loc) {
  return emit(loc, GRADOPT_BRANCH_EQUAL, 0, {{0, 0, 0}, {0, 0, 0}});
}

void Encoder::land(size_t branch) {
  gradopt_command command;
  memcpy(&command, &commands[branch], sizeof(command));
  command.target = here();
  memcpy(&commands[branch], &command, sizeof(command));
}

LogicalResult Encoder::assign(Location loc, uint32_t first, ValueRange values) {
  if (values.empty())
    return success();
  auto operands = makeOperands(loc, values);
  if (failed(operands))
    return failure();
  emit(loc, GRADOPT_SET, first, *operands);
  return success();
}

/// All but the terminator, which is for whoever knows where it leads.
LogicalResult Encoder::encodeBlock(Block &block) {
  for (Operation &op : block.without_terminator())
    if (!isAddress(&op) && failed(encodeOp(op)))
      return failure();
  return success();
}

LogicalResult Encoder::encodeOp(Operation &op) {
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

LogicalResult Encoder::encodeCall(func::CallOp op) {
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
  auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(
      op, op.getCalleeAttr());
  if (!callee || callee.isExternal())
    return failure();
  auto results = addRegisters(op.getResults());
  if (failed(results))
    return failure();
  for (unsigned i = 0; i < op.getNumResults(); ++i)
    operands->push_back(
        {GRADOPT_WORD_FRAME, GRADOPT_WORD_ZERO,
         static_cast<int64_t>((*results + i) * sizeof(int64_t))});
  emit(op.getLoc(), GRADOPT_LAUNCH, getKernel(op.getCalleeAttr()), *operands);
  return success();
}

uint32_t Encoder::getKernel(Attribute kernel) {
  auto [it, isNew] = kernelOf.try_emplace(kernel, table.kernels.size());
  if (isNew)
    table.kernels.push_back(kernel);
  return it->second;
}

/// A kernel of a device is known with the size of its grid.
LogicalResult Encoder::encodeLaunch(gpu::LaunchFuncOp op) {
  auto operands = makeOperands(op.getLoc(), op.getKernelOperands());
  std::optional<DeviceKernel> kernel = DeviceKernel::of(op);
  if (failed(operands) || !kernel)
    return failure();
  emit(op.getLoc(), GRADOPT_LAUNCH, getKernel(kernel->toAttribute()),
       *operands);
  return success();
}

/// A number that the list needs and a kernel has stored.
LogicalResult Encoder::encodeRead(memref::LoadOp op) {
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
bool Encoder::isScratch(Value out) {
  Value arena = list.getArguments().back();
  auto view = out.getDefiningOp<memref::ViewOp>();
  if (!view || view.getSource() != arena || !out.hasOneUse())
    return false;
  if (!onlyPartsAreUsed)
    onlyPartsAreUsed =
        llvm::all_of(arena.getUsers(), llvm::IsaPred<memref::ViewOp>);
  return *onlyPartsAreUsed;
}

LogicalResult Encoder::encodeHostCall(Operation *op) {
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

LogicalResult Encoder::encodeExtremum(Operation *op, gradopt_opcode opcode) {
  auto operands = makeOperands(op->getLoc(), op->getOperands());
  auto place = addRegisters(op->getResults());
  if (failed(operands) || failed(place))
    return failure();
  emit(op->getLoc(), opcode, *place, *operands);
  return success();
}

LogicalResult Encoder::encodeCopy(memref::CopyOp op) {
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

LogicalResult Encoder::encodeFor(scf::ForOp op) {
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

LogicalResult Encoder::encodeWhile(scf::WhileOp op) {
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
LogicalResult Encoder::encodeCase(Region &region, uint32_t results) {
  if (region.empty())
    return success();
  Scope scope(*this);
  Operation *yield = region.front().getTerminator();
  if (failed(encodeBlock(region.front())))
    return failure();
  return assign(yield->getLoc(), results, yield->getOperands());
}

LogicalResult Encoder::encodeIf(scf::IfOp op) {
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

LogicalResult Encoder::encodeSwitch(scf::IndexSwitchOp op) {
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

FailureOr<CommandTable> Encoder::encode(int64_t frame) {
  numBuffers = list.getNumArguments();
  addWords(GRADOPT_WORD_BUFFERS);
  if (failed(addRegisters(list.getArguments())))
    return failure();
  SmallVector<int64_t> sizes;
  for (BlockArgument argument : list.getArguments()) {
    auto type = dyn_cast<MemRefType>(argument.getType());
    std::optional<int64_t> size = type ? getByteSize(type) : std::nullopt;
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
  return Encoder(list).encode(frame);
}

int64_t mlir::grad::growArena(func::FuncOp list, int64_t bytes) {
  Builder builder(list.getContext());
  auto planned = list->getAttrOfType<IntegerAttr>("grad.arena_bytes").getInt();
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
  list->setAttr("grad.arena_bytes",
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
