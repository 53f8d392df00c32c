//===- CommandText.cpp - Tables of commands to be read --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/CommandList.h"
#include "runtime/Commands.h"

#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::grad;

static const char *getProductName(unsigned opcode) {
  switch (opcode) {
  case GRADOPT_GEMM_F64:
    return "gemm f64 ";
  case GRADOPT_GEMM_F32:
    return "gemm f32 ";
  case GRADOPT_GEMM_F16:
    return "gemm f16 ";
  case GRADOPT_GEMM_BF16:
    return "gemm bf16 ";
  case GRADOPT_GEMM_C128:
    return "gemm c128 ";
  default:
    return "gemm c64 ";
  }
}

static const char *getHostFunctionName(unsigned function) {
  switch (static_cast<gradopt_host_function>(function)) {
  case GRADOPT_HOST_TARGET:
    return "target ";
  case GRADOPT_HOST_LAPACK:
    return "lapack ";
  case GRADOPT_HOST_SORT:
    return "sort ";
  case GRADOPT_HOST_FOURIER:
    return "fourier ";
  }
  return "";
}

namespace {

class Describer {
public:
  explicit Describer(const CommandTable &table) : table(table) {
    memcpy(&header, table.words.data(), sizeof(header));
    size_t begin =
        sizeof(header) / sizeof(int64_t) + 1 + size_t(header.num_buffers);
    commands = ArrayRef(table.words).drop_front(begin);
  }

  void describe(llvm::function_ref<void(Location, StringRef)> tell) const;

private:
  /// Whether kernels run on a device. There, products have kernels, too.
  bool isForDevice() const {
    return !table.kernels.empty() && isa<ArrayAttr>(table.kernels.front());
  }

  void printCommand(llvm::raw_ostream &stream, const gradopt_command &command,
                    ArrayRef<gradopt_operand> operands) const;
  void printKernel(llvm::raw_ostream &stream, Attribute kernel) const;
  void printOperands(llvm::raw_ostream &stream,
                     ArrayRef<gradopt_operand> operands) const;
  void printOperand(llvm::raw_ostream &stream,
                    const gradopt_operand &operand) const;
  void printWord(llvm::raw_ostream &stream, uint32_t word) const;

  const CommandTable &table;
  gradopt_commands header;
  ArrayRef<int64_t> commands;
};

} // namespace

void Describer::printWord(llvm::raw_ostream &stream, uint32_t word) const {
  uint32_t firstRegister = GRADOPT_WORD_BUFFERS + header.num_buffers;
  if (word >= firstRegister)
    stream << 'r' << word - firstRegister;
  else if (word + 1 == firstRegister)
    stream << "arena";
  else if (word >= GRADOPT_WORD_BUFFERS)
    stream << "buffer" << word - GRADOPT_WORD_BUFFERS;
  else
    stream << "constants";
}

void Describer::printOperand(llvm::raw_ostream &stream,
                             const gradopt_operand &operand) const {
  if (operand.base == GRADOPT_WORD_FRAME) {
    stream << '&';
    printWord(stream, operand.offset / sizeof(int64_t));
    return;
  }
  bool isFirst = true;
  auto separate = [&] {
    if (!isFirst)
      stream << " + ";
    isFirst = false;
  };
  for (uint32_t word : {operand.base, operand.index})
    if (word != GRADOPT_WORD_ZERO) {
      separate();
      printWord(stream, word);
    }
  if (isFirst || operand.offset != 0) {
    separate();
    stream << operand.offset;
  }
}

void Describer::printOperands(llvm::raw_ostream &stream,
                              ArrayRef<gradopt_operand> operands) const {
  llvm::interleaveComma(operands, stream, [&](const gradopt_operand &operand) {
    printOperand(stream, operand);
  });
}

/// A symbol, for a device with its blocks and the threads of each.
void Describer::printKernel(llvm::raw_ostream &stream, Attribute kernel) const {
  if (!isForDevice()) {
    stream << kernel;
    return;
  }
  DeviceKernel device = DeviceKernel::from(kernel);
  stream << SymbolRefAttr::get(device.name) << '<' << device.numBlocks << " x "
         << device.numThreads << '>';
}

void Describer::printCommand(llvm::raw_ostream &stream,
                             const gradopt_command &command,
                             ArrayRef<gradopt_operand> operands) const {
  auto printComparison = [&](StringRef relation) {
    stream << "go to " << command.target << " if ";
    printOperand(stream, operands[0]);
    stream << relation;
    printOperand(stream, operands[1]);
  };
  switch (static_cast<gradopt_opcode>(command.opcode)) {
  case GRADOPT_END:
    stream << "end";
    break;
  case GRADOPT_LAUNCH:
    stream << "launch ";
    printKernel(stream, table.kernels[command.target]);
    stream << '(';
    printOperands(stream, operands);
    stream << ')';
    break;
  case GRADOPT_GEMM_F64:
  case GRADOPT_GEMM_F32:
  case GRADOPT_GEMM_C128:
  case GRADOPT_GEMM_C64:
  case GRADOPT_GEMM_F16:
  case GRADOPT_GEMM_BF16:
    stream << getProductName(command.opcode);
    if (isForDevice()) {
      stream << "or ";
      printKernel(stream, table.kernels[command.target]);
    }
    stream << '(';
    printOperands(stream, operands);
    stream << ')';
    break;
  case GRADOPT_HOST_CALL:
    stream << "call " << getHostFunctionName(command.target) << '(';
    printOperands(stream, operands);
    stream << ')';
    break;
  case GRADOPT_COPY:
    stream << "copy (";
    printOperands(stream, operands);
    stream << ')';
    break;
  case GRADOPT_SET:
    printWord(stream, command.target);
    stream << (operands.size() == 1 ? " = " : ", ... = ");
    printOperands(stream, operands);
    break;
  case GRADOPT_MULTIPLY_ADD:
    printWord(stream, command.target);
    stream << " = ";
    printOperand(stream, operands[0]);
    stream << " + ";
    printOperand(stream, operands[1]);
    stream << " * ";
    printOperand(stream, operands[2]);
    break;
  case GRADOPT_BRANCH_LESS:
    printComparison(" < ");
    break;
  case GRADOPT_BRANCH_EQUAL:
    printComparison(" == ");
    break;
  case GRADOPT_HAS_LIBRARY:
    printWord(stream, command.target);
    stream << " = has library";
    break;
  case GRADOPT_READ:
  case GRADOPT_MINIMUM:
  case GRADOPT_MAXIMUM:
    printWord(stream, command.target);
    stream << (command.opcode == GRADOPT_READ      ? " = read ("
               : command.opcode == GRADOPT_MINIMUM ? " = minimum ("
                                                   : " = maximum (");
    printOperands(stream, operands);
    stream << ')';
    break;
  }
}

void Describer::describe(
    llvm::function_ref<void(Location, StringRef)> tell) const {
  size_t position = 0;
  for (Location loc : table.locations) {
    auto *command =
        reinterpret_cast<const gradopt_command *>(&commands[position]);
    ArrayRef operands(reinterpret_cast<const gradopt_operand *>(command + 1),
                      command->num_operands);
    std::string text;
    llvm::raw_string_ostream stream(text);
    stream << position << ": ";
    printCommand(stream, *command, operands);
    tell(loc, text);
    position += 1 + 2 * operands.size();
  }
}

void mlir::grad::describeCommands(
    const CommandTable &table,
    llvm::function_ref<void(Location, StringRef)> tell) {
  Describer(table).describe(tell);
}
