//===- Loader.cpp - Linking object code into the process ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// JITLink places an object file in memory. Each module lives in a JITDylib of
// its own, so that modules cannot see each other's symbols and can be freed one
// by one. An object finds, in this order: functions of the runtime, functions
// of the process (the C library), functions of libm.
//
//===----------------------------------------------------------------------===//

#include "runtime/Arena.h"
#include "runtime/BusySection.h"
#include "runtime/Interface.h"
#include "runtime/RuntimeError.h"
#include "runtime/Targets.h"

#include "llvm/ExecutionEngine/JITLink/JITLinkMemoryManager.h"
#include "llvm/ExecutionEngine/Orc/AbsoluteSymbols.h"
#include "llvm/ExecutionEngine/Orc/Core.h"
#include "llvm/ExecutionEngine/Orc/ExecutionUtils.h"
#include "llvm/ExecutionEngine/Orc/ObjectLinkingLayer.h"
#include "llvm/ExecutionEngine/Orc/SelfExecutorProcessControl.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/TargetParser/Host.h"

#include <atomic>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

using namespace llvm;
using gradopt::runtime::Arena;
using gradopt::runtime::ArenaPool;
using gradopt::runtime::BusySection;
using gradopt::runtime::Entry;
using gradopt::runtime::fail;
using gradopt::runtime::runWithTargets;

/// Arenas of at most so many bytes are on the stack of the call: to share one
/// takes as long as a program that needs no more.
static constexpr size_t kStackArena = 2048;

struct gradopt_module {
  gradopt_module(Entry entry, orc::JITDylib &code, size_t arenaBytes)
      : entry(entry), code(code), arenaBytes(arenaBytes) {
    if (arenaBytes > kStackArena)
      ArenaPool::get().addProgram(arenaBytes);
  }
  ~gradopt_module() {
    if (arenaBytes > kStackArena)
      ArenaPool::get().removeProgram(arenaBytes);
  }

  Entry entry;
  orc::JITDylib &code;
  size_t arenaBytes;
  std::vector<gradopt_target> targets;
};

namespace {

/// The process-wide linker.
class ProcessLinker {
public:
  /// The instance, made on first use. It lives as long as the process: code may
  /// still run in other threads when static objects are destroyed.
  static Expected<ProcessLinker &> get() {
    static ProcessLinker *instance = nullptr;
    static std::mutex mutex;
    std::lock_guard<std::mutex> lock(mutex);
    if (!instance) {
      auto created = create();
      if (!created)
        return created.takeError();
      instance = created->release();
    }
    return *instance;
  }

  /// Links `object` and looks `entry` up. Failures of JITLink itself are
  /// reported beside the lookup's error: both go into the result.
  Expected<std::pair<Entry, orc::JITDylib *>> load(MemoryBufferRef object,
                                                   StringRef entry);

  void unload(orc::JITDylib &code) {
    consumeError(session.removeJITDylib(code));
  }

private:
  explicit ProcessLinker(std::unique_ptr<orc::ExecutorProcessControl> control)
      : session(std::move(control)), layer(session) {}

  static Expected<std::unique_ptr<ProcessLinker>> create();
  Error addLibraries(orc::JITDylib &code);

  orc::ExecutionSession session;
  orc::ObjectLinkingLayer layer;
  orc::SymbolMap runtimeSymbols;
  std::atomic<uint64_t> count = 0;
};

/// What JITLink reported while this thread was loading a module.
thread_local std::string linkReport;

Expected<std::unique_ptr<ProcessLinker>> ProcessLinker::create() {
  auto control = orc::SelfExecutorProcessControl::Create(
      nullptr, std::make_unique<orc::InPlaceTaskDispatcher>());
  if (!control)
    return control.takeError();
  std::unique_ptr<ProcessLinker> linker(new ProcessLinker(std::move(*control)));
  linker->session.setErrorReporter([](Error error) {
    if (!linkReport.empty())
      linkReport += "; ";
    linkReport += toString(std::move(error));
  });
  auto define = [&](StringRef name, auto *function) {
    linker->runtimeSymbols[linker->session.intern(name)] = {
        orc::ExecutorAddr::fromPtr(function),
        JITSymbolFlags::Exported | JITSymbolFlags::Callable};
  };
  define("gradopt_gemm_f64", &gradopt_gemm_f64);
  define("gradopt_gemm_f32", &gradopt_gemm_f32);
  define("gradopt_call_target", &gradopt_call_target);
  return linker;
}

Error ProcessLinker::addLibraries(orc::JITDylib &code) {
  if (Error error = code.define(orc::absoluteSymbols(runtimeSymbols)))
    return error;
  auto process = orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(
      /*GlobalPrefix=*/'\0');
  if (!process)
    return process.takeError();
  auto math = orc::DynamicLibrarySearchGenerator::Load("libm.so.6",
                                                       /*GlobalPrefix=*/'\0');
  if (!math)
    return math.takeError();
  code.addGenerator(std::move(*process));
  code.addGenerator(std::move(*math));
  return Error::success();
}

Expected<std::pair<Entry, orc::JITDylib *>>
ProcessLinker::load(MemoryBufferRef object, StringRef entry) {
  linkReport.clear();
  orc::JITDylib &code = session.createBareJITDylib(
      "gradopt." + std::to_string(count.fetch_add(1)));
  auto discard = [&](Error error) {
    unload(code);
    std::string message = toString(std::move(error));
    if (!linkReport.empty())
      message += ": " + std::exchange(linkReport, {});
    return createStringError(message);
  };
  if (Error error = addLibraries(code))
    return discard(std::move(error));
  if (Error error = layer.add(
          code, MemoryBuffer::getMemBufferCopy(object.getBuffer(),
                                               object.getBufferIdentifier())))
    return discard(std::move(error));
  auto symbol = session.lookup({&code}, session.intern(entry));
  if (!symbol)
    return discard(symbol.takeError());
  return std::make_pair(symbol->toPtr<Entry>(), &code);
}

/// Rejects what is not an object file for this machine, before JITLink sees it.
Error checkObject(MemoryBufferRef buffer) {
  auto object = object::ObjectFile::createObjectFile(buffer);
  if (!object)
    return object.takeError();
  Triple host(sys::getProcessTriple());
  if ((*object)->getArch() != host.getArch() ||
      !(*object)->isRelocatableObject())
    return createStringError("not a relocatable object file for " +
                             host.getArchName());
  return Error::success();
}

} // namespace

gradopt_status gradopt_module_load(const void *object, size_t size,
                                   const char *entry, size_t arena_bytes,
                                   gradopt_module **out) {
  if (!object || !out)
    return fail(GRADOPT_INVALID_ARGUMENT,
                "gradopt_module_load: null object or result pointer");
  *out = nullptr;
  if (!entry)
    entry = gradopt::kEntryName;
  MemoryBufferRef buffer(StringRef(static_cast<const char *>(object), size),
                         "gradopt-module");
  if (Error error = checkObject(buffer))
    return fail(GRADOPT_INVALID_OBJECT,
                "invalid object code: " + toString(std::move(error)));
  BusySection section;
  auto linker = ProcessLinker::get();
  if (!linker)
    return fail(GRADOPT_LIBRARY_ERROR,
                "cannot start the linker: " + toString(linker.takeError()));
  auto loaded = linker->load(buffer, entry);
  if (!loaded)
    return fail(GRADOPT_MISSING_SYMBOL,
                "cannot link object code: " + toString(loaded.takeError()));
  *out = new (std::nothrow)
      gradopt_module(loaded->first, *loaded->second, arena_bytes);
  if (!*out) {
    linker->unload(*loaded->second);
    return fail(GRADOPT_OUT_OF_MEMORY, "out of memory");
  }
  return GRADOPT_OK;
}

void gradopt_module_unload(gradopt_module *module) {
  if (!module)
    return;
  BusySection section;
  auto linker = ProcessLinker::get();
  if (linker)
    linker->unload(module->code);
  else
    consumeError(linker.takeError());
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
