//===- Loader.cpp - Loading and calling modules ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Arena.h"
#include "runtime/BusySection.h"
#include "runtime/Interface.h"
#include "runtime/ObjectCode.h"
#include "runtime/RuntimeError.h"
#include "runtime/Targets.h"

#include <memory>
#include <new>
#include <vector>

using gradopt::runtime::Arena;
using gradopt::runtime::ArenaPool;
using gradopt::runtime::BusySection;
using gradopt::runtime::Entry;
using gradopt::runtime::fail;
using gradopt::runtime::ObjectCode;
using gradopt::runtime::runWithTargets;

/// Arenas of at most so many bytes are on the stack of the call: to share one
/// takes as long as a program that needs no more.
static constexpr size_t kStackArena = 2048;

struct gradopt_module {
  explicit gradopt_module(size_t arenaBytes) : arenaBytes(arenaBytes) {
    if (arenaBytes > kStackArena)
      ArenaPool::get().addProgram(arenaBytes);
  }
  ~gradopt_module() {
    if (arenaBytes > kStackArena)
      ArenaPool::get().removeProgram(arenaBytes);
  }

  ObjectCode code;
  Entry entry = nullptr;
  size_t arenaBytes;
  std::vector<gradopt_target> targets;
};

gradopt_status gradopt_module_load(const void *object, size_t size,
                                   const char *entry, size_t arena_bytes,
                                   gradopt_module **out) {
  if (!object || !out)
    return fail(GRADOPT_INVALID_ARGUMENT,
                "gradopt_module_load: null object or result pointer");
  *out = nullptr;
  BusySection section;
  std::unique_ptr<gradopt_module> made(new (std::nothrow)
                                           gradopt_module(arena_bytes));
  if (!made)
    return fail(GRADOPT_OUT_OF_MEMORY, "out of memory");
  gradopt_status status =
      made->code.link({static_cast<const char *>(object), size},
                      entry ? entry : gradopt::kEntryName);
  if (status != GRADOPT_OK)
    return status;
  made->entry = reinterpret_cast<Entry>(made->code.getEntry());
  *out = made.release();
  return GRADOPT_OK;
}

void gradopt_module_unload(gradopt_module *module) {
  BusySection section;
  delete module;
}

size_t gradopt_module_arena_bytes(const gradopt_module *module) {
  return module->arenaBytes;
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
                  "gradopt_module_set_targets: target " + std::to_string(i) +
                      " is not one function");
  module->targets.assign(targets, targets + count);
  return GRADOPT_OK;
}

gradopt_status gradopt_call(gradopt_module *module, void **buffers,
                            size_t arena_slot) {
  if (!module || !buffers)
    return fail(GRADOPT_INVALID_ARGUMENT, "gradopt_call: null module/buffers");
  Arena arena;
  alignas(gradopt::kArenaAlignment) char small[kStackArena];
  if (module->arenaBytes <= kStackArena) {
    buffers[arena_slot] = small;
  } else {
    arena = ArenaPool::get().acquire(module->arenaBytes);
    if (!arena.memory)
      return fail(GRADOPT_OUT_OF_MEMORY,
                  "cannot allocate an arena of " +
                      std::to_string(module->arenaBytes) + " bytes");
    buffers[arena_slot] = arena.memory;
  }
  bool failed = false;
  int32_t status =
      module->targets.empty()
          ? module->entry(buffers)
          : runWithTargets(module->entry, buffers, module->targets, failed);
  if (arena.memory)
    ArenaPool::get().release(arena);
  if (failed)
    return fail(GRADOPT_TARGET_ERROR,
                "target " + std::to_string(gradopt_failed_target(&status)) +
                    " returned status " + std::to_string(status));
  if (status != 0)
    return fail(GRADOPT_CODE_ERROR,
                "compiled code returned status " + std::to_string(status));
  return GRADOPT_OK;
}
