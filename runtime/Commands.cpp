//===- Commands.cpp - Running lists of commands ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Nothing but the C library is needed here: a list has to run where there is no
// compiler. A kernel may leave by longjmp (see Targets.cpp), so that nothing is
// to be done after it.
//
//===----------------------------------------------------------------------===//

#include "runtime/CommandTimes.h"
#include "runtime/HostBuffers.h"

#include <cstdlib>
#include <cstring>

static_assert(sizeof(void *) == sizeof(int64_t), "a word holds an address");
static_assert(sizeof(gradopt_commands) == 40 && sizeof(gradopt_operand) == 16 &&
                  sizeof(gradopt_command) == 8,
              "the format has no padding");

using gradopt::runtime::HostBufferType;

namespace {

int64_t address(const void *pointer) {
  return static_cast<int64_t>(reinterpret_cast<uintptr_t>(pointer));
}

template <typename T> T *pointer(int64_t word) {
  return reinterpret_cast<T *>(static_cast<uintptr_t>(word));
}

template <typename T> T number(int64_t word) {
  T value;
  memcpy(&value, &word, sizeof(T));
  return value;
}

/// Sums wrap, as those of compiled code do.
int64_t sum(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) +
                              static_cast<uint64_t>(b));
}

int64_t product(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) *
                              static_cast<uint64_t>(b));
}

/// With elements of `parts` numbers.
template <typename T>
void multiply(const int64_t *o,
              void (*gemm)(int64_t, int64_t, int64_t, int64_t, int64_t,
                           const T *, int64_t, const T *, int64_t, T *, int64_t,
                           T),
              int64_t parts = 1) {
  auto bytes = parts * static_cast<int64_t>(sizeof(T));
  auto at = [bytes](int64_t first, int64_t number, int64_t distance) {
    return pointer<T>(sum(first, product(product(number, distance), bytes)));
  };
  for (int64_t i = 0; i < o[12]; ++i)
    gemm(o[0], o[1], o[2], o[3], o[4], at(o[5], i, o[13]), o[6],
         at(o[7], i, o[14]), o[8], at(o[9], i, o[15]), o[10], number<T>(o[11]));
}

/// Loads a number of 1, 2, 4 or 8 bytes.
int64_t load(const void *from, int64_t bytes) {
  int64_t word = 0;
  memcpy(&word, from, static_cast<size_t>(bytes));
  return word;
}

/// The commands begin behind the sizes of the constants and the buffers.
const char *commandsOf(const gradopt_commands *table) {
  return reinterpret_cast<const char *>(gradopt_buffer_sizes(table) + 1 +
                                        table->num_buffers);
}

thread_local const gradopt::runtime::TimedCommands *timed = nullptr;

/// Adds up what commands take, from the beginning of one to that of the next.
struct Stopwatch {
  explicit Stopwatch(gradopt_command_time *times) : times(times) {}

  void begin(size_t place) {
    uint64_t now = gradopt_ticks();
    // The clocks of two cores may differ by a little.
    if (current && now > since)
      current->ticks += now - since;
    current = &times[place];
    ++current->runs;
    since = now;
  }

  gradopt_command_time *times;
  gradopt_command_time *current = nullptr;
  uint64_t since = 0;
};

/// What it costs not to time anything.
struct NoStopwatch {
  void begin(size_t) {}
};

template <typename Watch>
int32_t runCommands(const gradopt_commands *table,
                    const gradopt_kernel *kernels, const void *constants,
                    void *const *buffers, Watch watch) {
  char *arena = static_cast<char *>(buffers[table->num_buffers - 1]);
  auto *words = reinterpret_cast<int64_t *>(arena + table->frame);
  words[GRADOPT_WORD_ZERO] = 0;
  words[GRADOPT_WORD_FRAME] = address(words);
  words[GRADOPT_WORD_CONSTANTS] = address(constants);
  memcpy(words + GRADOPT_WORD_BUFFERS, buffers,
         table->num_buffers * sizeof(void *));
  int64_t *values = words + table->num_words;

  const char *first = commandsOf(table);
  const char *next = first;
  while (true) {
    auto *command = reinterpret_cast<const gradopt_command *>(next);
    auto *operand = reinterpret_cast<const gradopt_operand *>(command + 1);
    uint32_t count = command->num_operands;
    watch.begin(size_t(next - first) / sizeof(int64_t));
    next = reinterpret_cast<const char *>(operand + count);
    for (uint32_t i = 0; i < count; ++i)
      values[i] = sum(sum(words[operand[i].base], words[operand[i].index]),
                      operand[i].offset);
    switch (command->opcode) {
    case GRADOPT_LAUNCH:
      kernels[command->target](values);
      break;
    case GRADOPT_GEMM_F64:
      multiply<double>(values, gradopt_gemm_f64);
      break;
    case GRADOPT_GEMM_F32:
      multiply<float>(values, gradopt_gemm_f32);
      break;
    case GRADOPT_GEMM_C128:
      multiply<double>(values, gradopt_gemm_c128, /*parts=*/2);
      break;
    case GRADOPT_GEMM_C64:
      multiply<float>(values, gradopt_gemm_c64, /*parts=*/2);
      break;
    case GRADOPT_COPY:
      memcpy(pointer<void>(values[0]), pointer<const void>(values[1]),
             static_cast<size_t>(values[2]));
      break;
    case GRADOPT_SET:
      memcpy(words + command->target, values, count * sizeof(int64_t));
      break;
    case GRADOPT_MULTIPLY_ADD:
      words[command->target] = sum(values[0], product(values[1], values[2]));
      break;
    case GRADOPT_BRANCH_LESS:
      if (values[0] < values[1])
        next = first + size_t(command->target) * sizeof(int64_t);
      break;
    case GRADOPT_BRANCH_EQUAL:
      if (values[0] == values[1])
        next = first + size_t(command->target) * sizeof(int64_t);
      break;
    case GRADOPT_READ:
      words[command->target] = load(pointer<const void>(values[0]), values[1]);
      break;
    case GRADOPT_MINIMUM:
      words[command->target] = values[0] < values[1] ? values[0] : values[1];
      break;
    case GRADOPT_MAXIMUM:
      words[command->target] = values[0] < values[1] ? values[1] : values[0];
      break;
    default: // GRADOPT_END
      return 0;
    }
  }
}

} // namespace

int32_t gradopt_run_commands(const gradopt_commands *table,
                             const gradopt_kernel *kernels,
                             const void *constants, void *const *buffers) {
  if (table->magic != GRADOPT_COMMANDS_MAGIC ||
      table->version != GRADOPT_COMMANDS_VERSION)
    return 1;
  if (timed && timed->table == table)
    return runCommands(table, kernels, constants, buffers,
                       Stopwatch(timed->times));
  return runCommands(table, kernels, constants, buffers, NoStopwatch());
}

uint64_t gradopt_ticks(void) { return __builtin_ia32_rdtsc(); }

const gradopt::runtime::TimedCommands *
gradopt::runtime::setTimedCommands(const TimedCommands *commands) {
  const TimedCommands *before = timed;
  timed = commands;
  return before;
}

size_t gradopt::runtime::countPlaces(const gradopt_commands *table) {
  const char *end = reinterpret_cast<const char *>(table) + table->bytes;
  return size_t(end - ::commandsOf(table)) / sizeof(int64_t);
}

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

namespace {

/// The operands that a command has: at least, at most.
struct Arity {
  uint32_t least, most;
};

bool findArity(uint16_t opcode, Arity &arity) {
  switch (opcode) {
  case GRADOPT_END:
    arity = {0, 0};
    return true;
  case GRADOPT_LAUNCH:
    arity = {0, UINT16_MAX};
    return true;
  case GRADOPT_HOST_CALL:
    arity = {2, UINT16_MAX};
    return true;
  case GRADOPT_GEMM_F64:
  case GRADOPT_GEMM_F32:
  case GRADOPT_GEMM_C128:
  case GRADOPT_GEMM_C64:
  case GRADOPT_GEMM_F16:
  case GRADOPT_GEMM_BF16:
    arity = {16, 16};
    return true;
  case GRADOPT_HAS_LIBRARY:
    arity = {0, 0};
    return true;
  case GRADOPT_COPY:
  case GRADOPT_MULTIPLY_ADD:
    arity = {3, 3};
    return true;
  case GRADOPT_SET:
    arity = {1, UINT16_MAX};
    return true;
  case GRADOPT_BRANCH_LESS:
  case GRADOPT_BRANCH_EQUAL:
  case GRADOPT_READ:
  case GRADOPT_MINIMUM:
  case GRADOPT_MAXIMUM:
    arity = {2, 2};
    return true;
  default:
    return false;
  }
}

bool isBranch(uint16_t opcode) {
  return opcode == GRADOPT_BRANCH_LESS || opcode == GRADOPT_BRANCH_EQUAL;
}

/// Where the commands are run.
enum class Place { Cpu, Device };

bool isNumber(const gradopt_operand &operand) {
  return operand.base == GRADOPT_WORD_ZERO &&
         operand.index == GRADOPT_WORD_ZERO;
}

class Checker {
public:
  Checker(const gradopt_commands *table, size_t size, Place place)
      : table(table), begin(reinterpret_cast<const char *>(table)),
        end(begin + size), first(commandsOf(table)), place(place) {}

  /// Null, or what is wrong with the command at `position`.
  const char *check(size_t numKernels);

  const char *position = nullptr;

private:
  const char *checkCommand(size_t numKernels) const;
  const char *checkOperand(const gradopt_operand &operand) const;
  const char *checkRead(const gradopt_operand *operands) const;
  const char *checkHostCall(const gradopt_operand *operands,
                            uint32_t count) const;
  bool isRoom(uint32_t word) const;
  bool isOutside(const gradopt_operand &address, int64_t bytes) const;
  const char *checkTarget(const gradopt_command &command,
                          size_t numKernels) const;
  size_t unit(const char *at) const { return (at - first) / sizeof(int64_t); }

  uint32_t firstRegister() const {
    return GRADOPT_WORD_BUFFERS + table->num_buffers;
  }
  const gradopt_command &command() const {
    return *reinterpret_cast<const gradopt_command *>(position);
  }
  const char *behind() const {
    return position + sizeof(gradopt_command) +
           command().num_operands * sizeof(gradopt_operand);
  }

  const gradopt_commands *table;
  const char *begin, *end, *first;
  Place place;
};

const char *Checker::check(size_t numKernels) {
  position = first;
  bool ended = false;
  while (position != end) {
    if (const char *problem = checkCommand(numKernels))
      return problem;
    ended = command().opcode == GRADOPT_END;
    position = behind();
  }
  if (!ended)
    return "expected an end behind the last command";

  // One bit for each unit that a command begins at.
  auto *begins = static_cast<unsigned char *>(calloc(unit(end) / 8 + 1, 1));
  if (!begins)
    return "out of memory";
  for (position = first; position != end; position = behind())
    begins[unit(position) / 8] |= 1u << unit(position) % 8;
  const char *problem = nullptr;
  for (position = first; position != end && !problem;) {
    uint32_t target = command().target;
    if (isBranch(command().opcode) &&
        (target >= unit(end) || !(begins[target / 8] >> target % 8 & 1)))
      problem = "expected a branch to a command";
    else
      position = behind();
  }
  free(begins);
  return problem;
}

const char *Checker::checkCommand(size_t numKernels) const {
  if (size_t(end - position) < sizeof(gradopt_command))
    return "incomplete command";
  Arity arity;
  if (!findArity(command().opcode, arity))
    return "unknown command";
  uint32_t count = command().num_operands;
  if (count < arity.least || count > arity.most)
    return "wrong number of operands";
  if (count > table->max_operands)
    return "more operands than the table states";
  if (size_t(end - position) - sizeof(gradopt_command) <
      count * sizeof(gradopt_operand))
    return "incomplete operands";
  auto *operands = reinterpret_cast<const gradopt_operand *>(
      position + sizeof(gradopt_command));
  for (uint32_t i = 0; i < count; ++i)
    if (const char *problem = checkOperand(operands[i]))
      return problem;
  if (command().opcode == GRADOPT_READ)
    if (const char *problem = checkRead(operands))
      return problem;
  if (command().opcode == GRADOPT_HOST_CALL)
    if (const char *problem = checkHostCall(operands, count))
      return problem;
  return checkTarget(command(), numKernels);
}

const char *Checker::checkRead(const gradopt_operand *operands) const {
  int64_t bytes = operands[1].offset;
  if (!isNumber(operands[1]) ||
      (bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8))
    return "expected to read 1, 2, 4 or 8 bytes";
  return isOutside(operands[0], bytes) ? "address outside of its buffer"
                                       : nullptr;
}

/// Whether a word is not the address of a buffer, but the number of parts that
/// the room of a call has.
bool Checker::isRoom(uint32_t word) const {
  uint32_t last = GRADOPT_WORD_BUFFERS + table->num_buffers - 1;
  return place == Place::Device && table->num_buffers > 1 && word == last - 1 &&
         gradopt_buffer_sizes(table)[word - GRADOPT_WORD_CONSTANTS] ==
             GRADOPT_NUMBER_SIZE;
}

/// Whether so many bytes from an address that is known are not all in its
/// buffer.
bool Checker::isOutside(const gradopt_operand &address, int64_t bytes) const {
  auto [base, index, offset] = address;
  return index == GRADOPT_WORD_ZERO && base >= GRADOPT_WORD_CONSTANTS &&
         base < firstRegister() &&
         (isRoom(base) ||
          gradopt_buffer_sizes(table)[base - GRADOPT_WORD_CONSTANTS] - offset <
              bytes);
}

/// What the buffers of a call have to be like is known to the function alone.
const char *Checker::checkHostCall(const gradopt_operand *operands,
                                   uint32_t count) const {
  if (!isNumber(operands[0]) || !isNumber(operands[1]))
    return "expected numbers";
  int64_t numBuffers = 0;
  for (uint32_t i = 2; i < count; ++numBuffers) {
    HostBufferType type;
    uint32_t next = i + 1;
    auto take = [&](int64_t &number) {
      if (next >= count || !isNumber(operands[next]))
        return false;
      number = operands[next++].offset;
      return true;
    };
    if (!type.read(take))
      return "expected a type and a shape";
    if (isOutside(operands[i], type.bytes))
      return "address outside of its buffer";
    i = next;
  }
  int64_t numInputs = operands[1].offset;
  return numInputs < 0 || numInputs > numBuffers ? "wrong number of inputs"
                                                 : nullptr;
}

const char *Checker::checkOperand(const gradopt_operand &operand) const {
  if (operand.base >= table->num_words || operand.index >= table->num_words)
    return "operand is no word";
  if (place == Place::Device && operand.base == GRADOPT_WORD_FRAME)
    return "a device has no words";
  uint32_t base = operand.base;
  if (operand.index != GRADOPT_WORD_ZERO)
    return operand.index < firstRegister() ? "expected a register as index"
                                           : nullptr;
  if (base == GRADOPT_WORD_FRAME) {
    int64_t word = operand.offset / int64_t(sizeof(int64_t));
    if (operand.offset % int64_t(sizeof(int64_t)) != 0 ||
        word < firstRegister() || word >= table->num_words)
      return "expected the address of a register";
  } else if (base >= GRADOPT_WORD_CONSTANTS && base < firstRegister()) {
    int64_t size = gradopt_buffer_sizes(table)[base - GRADOPT_WORD_CONSTANTS];
    if (!isRoom(base) && (operand.offset < 0 || operand.offset > size))
      return "address outside of its buffer";
  }
  return nullptr;
}

const char *Checker::checkTarget(const gradopt_command &command,
                                 size_t numKernels) const {
  uint64_t written = 0;
  switch (command.opcode) {
  case GRADOPT_LAUNCH:
    return command.target < numKernels ? nullptr : "no such kernel";
  case GRADOPT_GEMM_F64:
  case GRADOPT_GEMM_F32:
    return place == Place::Cpu || command.target < numKernels
               ? nullptr
               : "no such kernel";
  case GRADOPT_GEMM_F16:
  case GRADOPT_GEMM_BF16:
    if (place == Place::Cpu)
      return "product of narrow floats";
    return command.target < numKernels ? nullptr : "no such kernel";
  case GRADOPT_GEMM_C128:
  case GRADOPT_GEMM_C64:
    return place == Place::Cpu ? nullptr : "product of complex matrices";
  case GRADOPT_HOST_CALL:
    if (place == Place::Cpu)
      return "call of the host";
    return command.target < GRADOPT_NUM_HOST_FUNCTIONS ? nullptr
                                                       : "no such function";
  case GRADOPT_HAS_LIBRARY:
    if (place == Place::Cpu)
      return "question for a library";
    written = 1;
    break;
  case GRADOPT_SET:
    written = command.num_operands;
    break;
  case GRADOPT_MULTIPLY_ADD:
  case GRADOPT_READ:
  case GRADOPT_MINIMUM:
  case GRADOPT_MAXIMUM:
    written = 1;
    break;
  default:
    return nullptr;
  }
  if (command.target < firstRegister() ||
      command.target + written > table->num_words)
    return "expected to write registers";
  return nullptr;
}

/// Null, or why the words do not fit where they have to lie.
const char *checkFrame(const gradopt_commands *table, Place place) {
  uint64_t units = table->bytes / sizeof(int64_t);
  if (place == Place::Device) {
    if (table->frame != 0)
      return "a device has no words";
    // A register that nothing writes is of no use, nor is place for more
    // operands than there are.
    return table->num_words > units || table->max_operands > units
               ? "more words than commands"
               : nullptr;
  }
  uint64_t arena = gradopt_buffer_sizes(table)[table->num_buffers];
  uint64_t frame =
      (uint64_t(table->num_words) + table->max_operands) * sizeof(int64_t);
  if (table->frame % sizeof(int64_t) != 0 || table->frame > arena ||
      frame > arena - table->frame)
    return "the words do not fit in the arena";
  return nullptr;
}

const char *checkTable(const void *bytes, size_t size, size_t numKernels,
                       Place place, size_t *where) {
  if (where)
    *where = 0;
  if (size < sizeof(gradopt_commands) || size % sizeof(int64_t) != 0 ||
      reinterpret_cast<uintptr_t>(bytes) % sizeof(int64_t) != 0)
    return "no table of commands";
  auto *table = static_cast<const gradopt_commands *>(bytes);
  if (table->magic != GRADOPT_COMMANDS_MAGIC)
    return "no table of commands";
  if (table->version != GRADOPT_COMMANDS_VERSION)
    return "table of another version";
  if (table->bytes != size)
    return "wrong size of the table";
  if (table->num_kernels != numKernels)
    return "wrong number of kernels";
  uint64_t rest = (size - sizeof(gradopt_commands)) / sizeof(int64_t);
  if (table->num_buffers == 0 || 1 + uint64_t(table->num_buffers) > rest)
    return "wrong number of buffers";
  if (table->num_words < GRADOPT_WORD_BUFFERS + uint64_t(table->num_buffers))
    return "too few words";
  const int64_t *sizes = gradopt_buffer_sizes(table);
  for (uint32_t i = 0; i <= table->num_buffers; ++i)
    if (sizes[i] < 0)
      return "negative size of a buffer";
  if (const char *problem = checkFrame(table, place))
    return problem;
  Checker checker(table, size, place);
  const char *problem = checker.check(numKernels);
  if (problem && where)
    *where = checker.position - static_cast<const char *>(bytes);
  return problem;
}

} // namespace

const char *gradopt_check_commands(const void *bytes, size_t size,
                                   size_t numKernels, size_t *where) {
  return checkTable(bytes, size, numKernels, Place::Cpu, where);
}

const char *gradopt_check_device_commands(const void *bytes, size_t size,
                                          size_t numKernels, size_t *where) {
  return checkTable(bytes, size, numKernels, Place::Device, where);
}
