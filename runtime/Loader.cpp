//===- Loader.cpp - Loading and calling modules ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Loader.h"
#include "runtime/Arena.h"
#include "runtime/BusySection.h"
#include "runtime/CommandTimes.h"
#include "runtime/Interface.h"
#include "runtime/ObjectCode.h"
#include "runtime/RuntimeError.h"
#include "runtime/Tapes.h"
#include "runtime/Targets.h"

#include <cstdlib>
#include <cstring>
#include <new>

using gradopt::kTapeBytes;
using gradopt::runtime::Arena;
using gradopt::runtime::ArenaPool;
using gradopt::runtime::ArenaUser;
using gradopt::runtime::BusySection;
using gradopt::runtime::commandsOf;
using gradopt::runtime::countPlaces;
using gradopt::runtime::Entry;
using gradopt::runtime::fail;
using gradopt::runtime::memoryOfMachine;
using gradopt::runtime::ObjectCode;
using gradopt::runtime::RunEnd;
using gradopt::runtime::runWithTargets;
using gradopt::runtime::setTimedCommands;
using gradopt::runtime::Targets;
using gradopt::runtime::TimedCommands;

/// A process has about so many bytes of addresses.
static constexpr size_t kAddresses = size_t(1) << 47;

/// Arenas of at most so many bytes are on the stack of the call: to share one
/// takes as long as a program that needs no more.
static constexpr size_t kStackArena = 2048;

struct gradopt_module {
  explicit gradopt_module(size_t arenaBytes) : arena{arenaBytes} {
    if (arenaBytes > kStackArena)
      ArenaPool::get().add(arena);
  }
  ~gradopt_module() {
    if (arena.isAdded)
      ArenaPool::get().remove(arena);
    std::free(targets);
  }

  /// What a call needs now.
  size_t arenaBytes() const {
    return arena.bytes.load(std::memory_order_relaxed);
  }

  ObjectCode code;
  Entry entry = nullptr;
  ArenaUser arena;
  gradopt_target *targets = nullptr;
  size_t numTargets = 0;
};

const gradopt_commands *
gradopt::runtime::commandsOf(const gradopt_module *module) {
  const ObjectCode::Commands *commands = module->code.getCommands();
  return commands ? reinterpret_cast<const gradopt_commands *>(
                        commands->table.data())
                  : nullptr;
}

/// Whether the commands of the code, if it has some, can be gone through with
/// an arena of so many bytes.
static gradopt_status checkCommands(const ObjectCode &code, size_t arenaBytes) {
  const ObjectCode::Commands *commands = code.getCommands();
  if (!commands)
    return GRADOPT_OK;
  auto invalid = [](const char *what) {
    return fail(GRADOPT_INVALID_OBJECT, "invalid object code: %s", what);
  };
  std::string_view bytes = commands->table, kernels = commands->kernels;
  size_t numKernels = kernels.size() / sizeof(uint64_t), where;
  if (const char *problem = gradopt_check_commands(bytes.data(), bytes.size(),
                                                   numKernels, &where))
    return fail(GRADOPT_INVALID_OBJECT,
                "invalid object code: in its table of commands, at byte %zu: "
                "%s",
                where, problem);
  auto *table = reinterpret_cast<const gradopt_commands *>(bytes.data());
  const int64_t *sizes = gradopt_buffer_sizes(table);
  if (sizes[0] != int64_t(commands->constants.size()))
    return invalid("its commands are for other constants");
  if (uint64_t(sizes[table->num_buffers]) > arenaBytes)
    return invalid("its commands need a larger arena");
  for (size_t i = 0; i < numKernels; ++i) {
    uint64_t address;
    std::memcpy(&address, kernels.data() + i * sizeof(address),
                sizeof(address));
    if (!code.isCode(address))
      return invalid("a kernel of its commands is no function");
  }
  return GRADOPT_OK;
}

static void destroy(gradopt_module *module) {
  module->~gradopt_module();
  std::free(module);
}

gradopt_status gradopt_module_load(const void *object, size_t size,
                                   const char *entry, size_t arena_bytes,
                                   gradopt_module **out) {
  if (!object || !out)
    return fail(GRADOPT_INVALID_ARGUMENT,
                "gradopt_module_load: null object or result pointer");
  *out = nullptr;
  size_t present = memoryOfMachine();
  if (arena_bytes >= size_t(kTapeBytes) && present >= size_t(kTapeBytes))
    return fail(GRADOPT_OUT_OF_MEMORY,
                "a loop keeps what it needs of each iteration, for which there "
                "are addresses for %zu bytes, but the machine has memory for "
                "%zu: it has to be compiled with another checkpoint policy",
                size_t(kTapeBytes), present);
  BusySection section;
  void *memory = std::malloc(sizeof(gradopt_module));
  if (!memory)
    return fail(GRADOPT_OUT_OF_MEMORY, "out of memory");
  auto *made = new (memory) gradopt_module(arena_bytes);
  gradopt_status status =
      made->code.link({static_cast<const char *>(object), size},
                      entry ? entry : gradopt::kEntryName);
  if (status == GRADOPT_OK)
    status = checkCommands(made->code, arena_bytes);
  if (status != GRADOPT_OK) {
    destroy(made);
    return status;
  }
  made->entry = reinterpret_cast<Entry>(made->code.getEntry());
  *out = made;
  return GRADOPT_OK;
}

void gradopt_module_unload(gradopt_module *module) {
  if (!module)
    return;
  BusySection section;
  destroy(module);
}

size_t gradopt_module_arena_bytes(const gradopt_module *module) {
  return module->arenaBytes();
}

void gradopt_module_enlarge_arena(gradopt_module *module, size_t arena_bytes) {
  if (arena_bytes > module->arenaBytes())
    ArenaPool::get().enlarge(module->arena, arena_bytes);
}

gradopt_status gradopt_module_set_targets(gradopt_module *module,
                                          const gradopt_target *targets,
                                          size_t count) {
  if (!module || (!targets && count))
    return fail(GRADOPT_INVALID_ARGUMENT,
                "gradopt_module_set_targets: null module/targets");
  for (size_t i = 0; i < count; ++i)
    if (!targets[i].function == !targets[i].callback)
      return fail(GRADOPT_INVALID_ARGUMENT,
                  "gradopt_module_set_targets: target %zu is not one function",
                  i);
  auto *copy = static_cast<gradopt_target *>(
      std::calloc(count ? count : 1, sizeof(gradopt_target)));
  if (!copy)
    return fail(GRADOPT_OUT_OF_MEMORY, "out of memory");
  if (count)
    std::memcpy(copy, targets, count * sizeof(gradopt_target));
  std::free(module->targets);
  module->targets = copy;
  module->numTargets = count;
  return GRADOPT_OK;
}

gradopt_status gradopt_call(gradopt_module *module, void **buffers,
                            size_t arena_slot) {
  if (!module || !buffers)
    return fail(GRADOPT_INVALID_ARGUMENT, "gradopt_call: null module/buffers");
  Arena arena;
  alignas(gradopt::kArenaAlignment) char small[kStackArena];
  size_t bytes = module->arenaBytes();
  if (bytes > kStackArena) {
    arena = ArenaPool::get().acquire(bytes);
    if (!arena.memory)
      return fail(GRADOPT_OUT_OF_MEMORY,
                  "cannot allocate an arena of %zu bytes%s", bytes,
                  bytes < size_t(kTapeBytes) ? ""
                  : bytes < kAddresses
                      ? ", most of which are addresses for what loops keep: "
                        "is there a limit on the process (ulimit -v, "
                        "vm.overcommit_memory=2)?"
                      : ", most of which are addresses for what loops keep: "
                        "a process does not have so many; let some of the "
                        "loops have another policy than checkpoint=\"all\"");
    buffers[arena_slot] = arena.memory;
  } else {
    buffers[arena_slot] = small;
  }
  int32_t status = 0;
  RunEnd end = RunEnd::Returned;
  if (module->code.callsTargets())
    end = runWithTargets(module->entry, buffers,
                         Targets{module->targets, module->numTargets}, status);
  else
    status = module->entry(buffers);
  if (arena.memory)
    ArenaPool::get().release(arena);
  if (end != RunEnd::Returned)
    return reportEnd(end, module->numTargets);
  if (status != 0)
    return fail(GRADOPT_CODE_ERROR, "compiled code returned status %d", status);
  return GRADOPT_OK;
}

size_t gradopt_module_num_places(const gradopt_module *module) {
  const gradopt_commands *commands = commandsOf(module);
  return commands ? countPlaces(commands) : 0;
}

gradopt_status gradopt_call_timed(gradopt_module *module, void **buffers,
                                  size_t arena_slot,
                                  gradopt_command_time *times) {
  if (!module || !times || !commandsOf(module))
    return fail(GRADOPT_INVALID_ARGUMENT,
                "gradopt_call_timed: null times, or no list of commands");
  TimedCommands commands = {commandsOf(module), times};
  const TimedCommands *before = setTimedCommands(&commands);
  gradopt_status status = gradopt_call(module, buffers, arena_slot);
  setTimedCommands(before);
  return status;
}
