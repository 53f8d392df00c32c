//===- Compilation.cpp - Compiling in a thread of its own -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Compilation.h"
#include "CodeCache.h"
#include "CodeStore.h"

#include "dialect/GradDialect.h"
#include "passes/Pipelines.h"
#include "passes/Sparsity.h"
#include "runtime/BusySection.h"
#include "runtime/DeviceCodegen.h"

#include "mlir/IR/Action.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/Parser/Parser.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <functional>
#include <mutex>
#include <optional>
#include <pthread.h>

using gradopt::runtime::BusySection;
using gradopt::runtime::forkGeneration;

namespace gradopt::native {
namespace {

std::atomic<unsigned> compiled = 0;

/// Code generation recurses deeply in long blocks of code.
constexpr size_t kStackBytes = size_t(64) << 20;

constexpr const char *kReading = "grad";

/// What follows the last stage.
constexpr llvm::StringLiteral kGenerated[] = {"llvm_ir", "assembly", "object"};

/// What is found out about a program of stage "adjoint".
constexpr llvm::StringLiteral kSparsity = "sparsity";

//===----------------------------------------------------------------------===//
// Contexts
//===----------------------------------------------------------------------===//

/// MLIR contexts, each used by one compilation at a time. They are kept for a
/// few compilations, since it takes a millisecond to load the dialects, but not
/// for ever, since a context only grows. None outlives a fork in the child: a
/// thread clears what its contexts and dialects cache for it when it ends, in
/// no section, and may hold their locks as another one forks.
class ContextPool {
public:
  struct Item {
    std::unique_ptr<mlir::MLIRContext> context;
    unsigned uses = 0;
    unsigned generation = forkGeneration();
  };

  static ContextPool &get() {
    static ContextPool &pool = *new ContextPool;
    return pool;
  }

  Item take() {
    {
      std::lock_guard<std::mutex> lock(mutex);
      while (!idle.empty()) {
        Item item = std::move(idle.back());
        idle.pop_back();
        if (item.generation == forkGeneration())
          return item;
        // To destroy it would take the same locks.
        (void)item.context.release();
      }
    }
    Item item;
    item.context = std::make_unique<mlir::MLIRContext>(
        registry, mlir::MLIRContext::Threading::DISABLED);
    return item;
  }

  void giveBack(Item item, size_t programBytes) {
    if (++item.uses >= kMostUses || programBytes > kLargestProgram)
      return;
    std::lock_guard<std::mutex> lock(mutex);
    if (idle.size() < kMostIdle)
      idle.push_back(std::move(item));
  }

private:
  static constexpr unsigned kMostUses = 64, kMostIdle = 4;
  static constexpr size_t kLargestProgram = size_t(64) << 10;

  ContextPool() {
    mlir::registerAllDialects(registry);
    mlir::registerAllExtensions(registry);
    mlir::grad::registerCodegenTranslations(registry);
    mlir::grad::registerGradDialect(registry);
  }

  mlir::DialectRegistry registry;
  std::mutex mutex;
  std::vector<Item> idle;
};

std::string print(mlir::ModuleOp module, mlir::OpPrintingFlags flags = {}) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module->print(stream, flags);
  return text;
}

} // namespace

//===----------------------------------------------------------------------===//
// Work
//===----------------------------------------------------------------------===//

/// The compilation, shared by its thread and whoever waits for it.
class Compilation::Work : public CodeCache::Maker {
public:
  Work(CompilationRequest request,
       std::shared_ptr<const mlir::grad::LoweringOptions> options)
      : request(std::move(request)), options(std::move(options)),
        generation(forkGeneration()) {}

  /// Runs `work` in a thread of its own; in this one if there is none to be
  /// had.
  static void start(std::shared_ptr<Work> work);

  /// Called once: waits for the end of the thread, or lets it run on its own.
  void join();
  void detach();

  bool isWorking() const override {
    return !done && !cancelled && generation == forkGeneration();
  }
  void waitBriefly() override { wait(0.02); }
  bool wait(double seconds);

  const CompilationRequest request;
  const std::shared_ptr<const mlir::grad::LoweringOptions> options;
  /// The process that the thread belongs to.
  const unsigned generation;
  std::atomic<bool> cancelled = false, done = false;
  std::atomic<const char *> step = kReading;
  CompilationResult result;

private:
  void run(const std::shared_ptr<Work> &self);
  void compile(const std::shared_ptr<Work> &self, mlir::MLIRContext &context);
  void makeObject(const std::shared_ptr<Work> &self, mlir::ModuleOp module);
  /// Brings the module to the stage; false if that failed.
  bool lower(mlir::ModuleOp module, llvm::StringRef stage);
  llvm::StringRef lastStage() const {
    return mlir::grad::getStageNames(options->isForDevice()).back();
  }
  /// Write LLVM IR, assembly, object code or a program for a device; false if
  /// that failed.
  template <typename Emit> bool generate(mlir::ModuleOp module, Emit emit);
  template <typename Emit>
  bool generateForDevice(mlir::ModuleOp module, Emit emit);
  bool generateObject(mlir::ModuleOp module);
  void findSparsity(mlir::ModuleOp module);
  template <typename Output> bool take(llvm::Expected<Output> output);
  bool fail(std::string message) {
    result.error = std::move(message);
    return false;
  }
  void beginStep(const char *name) {
    endStep();
    step = name;
  }
  void endStep() {
    auto now = std::chrono::steady_clock::now();
    std::chrono::duration<double> seconds = now - stepBegin;
    result.seconds.emplace_back(step, seconds.count());
    stepBegin = now;
  }
  /// Between two steps: whether to go on.
  bool checkpoint() {
    BusySection::yield();
    return !cancelled;
  }

  mlir::grad::CodegenObserver observer() {
    return {checkpointFunction, beginStepFunction};
  }

  /// For whoever keeps no more than a reference to them.
  const std::function<bool()> checkpointFunction = [this] {
    return checkpoint();
  };
  const std::function<void(const char *)> beginStepFunction =
      [this](const char *name) { beginStep(name); };

  std::chrono::steady_clock::time_point stepBegin =
      std::chrono::steady_clock::now();
  std::optional<BusySection> section;
  /// What there is to join or detach.
  std::optional<pthread_t> thread;
  std::mutex mutex;
  std::condition_variable finished;
};

void Compilation::Work::start(std::shared_ptr<Work> work) {
  auto *shared = new std::shared_ptr<Work>(work);
  auto body = [](void *argument) -> void * {
    std::unique_ptr<std::shared_ptr<Work>> work(
        static_cast<std::shared_ptr<Work> *>(argument));
    (*work)->run(*work);
    return nullptr;
  };
  // Signals are for the threads of Python.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  pthread_t thread;
  if (pthread_create(&thread, &attributes, body, shared) == 0)
    work->thread = thread;
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!work->thread)
    body(shared);
}

void Compilation::Work::join() {
  if (thread)
    pthread_join(*std::exchange(thread, std::nullopt), nullptr);
}

void Compilation::Work::detach() {
  if (thread)
    pthread_detach(*std::exchange(thread, std::nullopt));
}

bool Compilation::Work::wait(double seconds) {
  if (done)
    return true;
  std::unique_lock<std::mutex> lock(mutex);
  return finished.wait_for(lock, std::chrono::duration<double>(seconds),
                           [&] { return done.load(); });
}

void Compilation::Work::run(const std::shared_ptr<Work> &self) {
  section.emplace();
  auto item = ContextPool::get().take();
  mlir::MLIRContext &context = *item.context;
  {
    DiagnosticCollector collector(&context);
    // What is skipped makes the result worthless, and the rest quick.
    context.registerActionHandler([this](llvm::function_ref<void()> action,
                                         const mlir::tracing::Action &) {
      if (checkpoint())
        action();
    });
    compile(self, context);
    endStep();
    context.registerActionHandler(nullptr);
    result.diagnostics = collector.take();
  }
  ContextPool::get().giveBack(std::move(item), request.program.size());
  section.reset();
  std::lock_guard<std::mutex> lock(mutex);
  done = true;
  finished.notify_all();
}

void Compilation::Work::compile(const std::shared_ptr<Work> &self,
                                mlir::MLIRContext &context) {
  auto module = mlir::parseSourceString<mlir::ModuleOp>(
      request.program, mlir::ParserConfig(&context));
  if (!module) {
    fail("the program cannot be read");
    return;
  }
  if (request.target == "object") {
    makeObject(self, *module);
    return;
  }
  if (request.target == kSparsity) {
    findSparsity(*module);
    return;
  }
  bool generates = llvm::is_contained(kGenerated, request.target);
  if (!lower(*module, generates ? lastStage() : request.target))
    return;
  if (request.target == "llvm_ir") {
    generate(*module, mlir::grad::emitLLVMIR);
  } else if (request.target == "assembly" && options->isForDevice()) {
    generateForDevice(*module, mlir::grad::emitDevicePtx);
  } else if (request.target == "assembly") {
    generate(*module, mlir::grad::emitAssembly);
  } else {
    mlir::OpPrintingFlags flags;
    flags.elideLargeElementsAttrs(64);
    flags.enableDebugInfo(request.locations);
    result.output = print(*module, flags);
  }
}

/// The pattern of `main`, and its colors, as `Sparsity` of the front end reads
/// them: numbers of 64 bits, then indices and colors of 32 bits.
void Compilation::Work::findSparsity(mlir::ModuleOp module) {
  if (!lower(module, "adjoint"))
    return;
  beginStep(kSparsity.data());
  mlir::PassManager passes(module.getContext());
  mlir::grad::buildSimplification(passes);
  if (mlir::failed(passes.run(module))) {
    fail("the passes of sparsity failed");
    return;
  }
  auto main = module.lookupSymbol<mlir::func::FuncOp>("main");
  auto found =
      mlir::grad::findSparsity(main, request.wrt, request.of, request.known);
  if (mlir::failed(found)) {
    fail("the pattern of derivatives was not found");
    return;
  }
  mlir::grad::SparsityPattern &pattern = *found;
  if (request.isSymmetric)
    pattern = pattern.symmetrized();
  mlir::grad::Compression compression =
      request.isSymmetric ? mlir::grad::compressSymmetric(pattern)
                          : mlir::grad::compress(pattern);
  const int64_t header[] = {pattern.rows,
                            pattern.columns,
                            int64_t(pattern.indices.size()),
                            int64_t(compression.direction),
                            int64_t(compression.colorCount),
                            int64_t(compression.colors.size())};
  auto write = [&](const auto &numbers) {
    result.output.append(reinterpret_cast<const char *>(std::data(numbers)),
                         std::size(numbers) * sizeof(*std::data(numbers)));
  };
  write(header);
  write(pattern.offsets);
  write(compression.sources);
  write(pattern.indices);
  write(compression.colors);
}

/// Keeps the code.
static void addTo(const CodeStore &store, const std::string &key,
                  const ObjectCode &code) {
  // In this extension, in libGradOpt, in libMLIR and in libLLVM.
  store.add(key, code,
            {reinterpret_cast<const void *>(&addTo),
             reinterpret_cast<const void *>(&mlir::grad::emitObject),
             reinterpret_cast<const void *>(&mlir::verify),
             reinterpret_cast<const void *>(&llvm::errs)});
}

void Compilation::Work::makeObject(const std::shared_ptr<Work> &self,
                                   mlir::ModuleOp module) {
  // Remarks are made anew each time.
  if (options->planRemarks || options->commandRemarks) {
    if (lower(module, lastStage()) && generateObject(module))
      compiled.fetch_add(1);
    return;
  }
  const std::string &key = request.key;
  CodeCache &cache = *CodeCache::shared;
  std::shared_ptr<const ObjectCode> code;
  std::shared_ptr<Maker> maker;
  while (!key.empty() && !(code = cache.find(key, self, maker)) &&
         maker != self) {
    section.reset();
    maker->waitBriefly();
    section.emplace();
    if (cancelled)
      return;
  }
  std::unique_ptr<CodeStore> store;
  if (!code && !key.empty() && !request.store.empty()) {
    store = CodeStore::open(request.store, result.storeMessage);
    if (store)
      code = store->find(key);
  }
  if (!code && lower(module, lastStage()) && generateObject(module)) {
    compiled.fetch_add(1);
    code = std::make_shared<const ObjectCode>(
        ObjectCode{std::move(result.output), result.arenaBytes});
    if (store)
      addTo(*store, key, *code);
  }
  if (maker == self)
    cache.finish(key, this, code);
  if (code) {
    result.output = code->object;
    result.arenaBytes = code->arenaBytes;
  }
}

bool Compilation::Work::lower(mlir::ModuleOp module, llvm::StringRef target) {
  bool reached = request.source == "grad";
  if (target == request.source)
    return true;
  for (llvm::StringRef stage :
       mlir::grad::getStageNames(options->isForDevice())) {
    if (!reached) {
      reached = stage == request.source;
      continue;
    }
    beginStep(stage.data());
    mlir::PassManager passes(module.getContext());
    mlir::grad::buildStagePipeline(passes, stage, *options);
    if (mlir::failed(passes.run(module)))
      return fail("the passes of stage " + stage.str() + " failed");
    if (!checkpoint())
      return fail("cancelled");
    if (stage == "bufferized") {
      result.arenaBytes = mlir::grad::getArenaBytes(module);
      result.tapeBytes = mlir::grad::getTapeBytes(module);
    }
    if (stage == target)
      break;
  }
  return true;
}

template <typename Output>
bool Compilation::Work::take(llvm::Expected<Output> output) {
  if (!output)
    return fail(llvm::toString(output.takeError()));
  if (!checkpoint())
    return fail("cancelled");
  result.output.assign(output->begin(), output->end());
  return true;
}

template <typename Emit>
bool Compilation::Work::generate(mlir::ModuleOp module, Emit emit) {
  const mlir::grad::CodeTarget &target =
      request.cpu.empty() ? mlir::grad::CodeTarget::host()
                          : *mlir::grad::CodeTarget::level(request.cpu);
  return take(emit(module, target, observer()));
}

template <typename Emit>
bool Compilation::Work::generateForDevice(mlir::ModuleOp module, Emit emit) {
  return take(emit(module, options->chip, observer()));
}

bool Compilation::Work::generateObject(mlir::ModuleOp module) {
  if (options->isForDevice())
    return generateForDevice(module, mlir::grad::emitDeviceProgram);
  return generate(module, [](auto &&...arguments) {
    return mlir::grad::emitObject(arguments...);
  });
}

//===----------------------------------------------------------------------===//
// Compilation
//===----------------------------------------------------------------------===//

std::unique_ptr<Compilation> Compilation::start(CompilationRequest request,
                                                std::string &message) {
  auto options = std::make_shared<mlir::grad::LoweringOptions>();
  llvm::raw_string_ostream stream(message);
  if (mlir::failed(options->parseFromString(request.options, stream)))
    return nullptr;
  if (!request.chip.empty())
    options->chip = request.chip;
  bool isForDevice = options->isForDevice();
  auto stages = mlir::grad::getStageNames(isForDevice);
  auto isKnown = [&](llvm::StringRef name) {
    return name == "grad" || llvm::is_contained(stages, name);
  };
  auto place = [&](llvm::StringRef name) {
    return name == "grad" ? -1 : llvm::find(stages, name) - stages.begin();
  };
  if (!isKnown(request.source))
    message = "no such stage: " + request.source;
  else if (!isKnown(request.target) && request.target != kSparsity &&
           (!llvm::is_contained(kGenerated, request.target) ||
            (isForDevice && request.target == "llvm_ir")))
    message = "no such stage: " + request.target;
  else if (place(request.source) > place(request.target))
    message = "stage " + request.target + " comes before " + request.source;
  else if (!request.cpu.empty() && !mlir::grad::CodeTarget::level(request.cpu))
    message = "no such CPU: " + request.cpu;
  else if (isForDevice && !mlir::grad::areDeviceChips(options->chip))
    message = "no such GPU: " + options->chip;
  if (!message.empty())
    return nullptr;
  if (request.fastMath)
    options->fastMath = true;
  auto work = std::make_shared<Work>(std::move(request), std::move(options));
  Work::start(work);
  return std::unique_ptr<Compilation>(new Compilation(std::move(work)));
}

Compilation::~Compilation() {
  work->cancelled = true;
  if (work->generation == forkGeneration())
    work->detach();
}

bool Compilation::wait(double seconds) {
  if (!work->done && work->generation != forkGeneration()) {
    // The thread was left behind in the parent.
    work = std::make_shared<Work>(work->request, work->options);
    Work::start(work);
  }
  if (!work->wait(seconds))
    return false;
  // Its last traces go with it, for whoever counts allocations or threads.
  if (work->generation == forkGeneration())
    work->join();
  return true;
}

const CompilationResult &Compilation::result() const { return work->result; }

const char *Compilation::stage() const { return work->step; }

unsigned programsCompiled() { return compiled; }

} // namespace gradopt::native
