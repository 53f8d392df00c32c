//===- CommandEncoder.h - Makes lists of commands ---------------*- C++ -*-===//
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

#ifndef GRADOPT_PASSES_COMMANDENCODER_H
#define GRADOPT_PASSES_COMMANDENCODER_H

#include "passes/CommandList.h"
#include "runtime/Commands.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/MapVector.h"

namespace mlir::grad {

/// Numbers that are whole words, so that sums wrap as words do.
inline bool isWord(Type type) { return type.isIndex() || type.isInteger(64); }

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

class CommandEncoder {
public:
  explicit CommandEncoder(func::FuncOp list) : list(list) {}

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
    explicit Scope(CommandEncoder &encoder)
        : encoder(encoder), size(encoder.order.size()) {}
    ~Scope() {
      while (encoder.order.size() > size)
        encoder.multiples.erase(encoder.order.pop_back_val());
    }
    CommandEncoder &encoder;
    size_t size;
  };
};

} // namespace mlir::grad

#endif // GRADOPT_PASSES_COMMANDENCODER_H
