//===- Codegen.cpp - From the LLVM dialect to machine code ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// translate -> link the needed math functions -> internalize -> always-inline
// -> default<O2> -> hide long sums and divide long blocks -> link the needed
// special functions -> emit. Both kinds of functions are ordinary LLVM bitcode
// embedded in this library. Inlining the math functions before the loop
// vectorizer runs is what makes exp, tanh, ... vector code. The special
// functions are long, and were optimised when this library was built: they are
// code to emit, and no more.
//
//===----------------------------------------------------------------------===//

#include "runtime/Codegen.h"
#include "runtime/HalfConversions.h"
#include "runtime/Interface.h"
#include "runtime/LongBlocks.h"
#include "runtime/LongSums.h"
#include "runtime/PtxComparisons.h"
#include "runtime/math/VectorForms.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Operation.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"

#include "llvm/Analysis/CGSCCPassManager.h"
#include "llvm/Analysis/LoopAnalysisManager.h"
#include "llvm/Analysis/LoopInfo.h"
#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/DiagnosticPrinter.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/OptBisect.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Linker/Linker.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/Transforms/IPO/AlwaysInliner.h"
#include "llvm/Transforms/IPO/Internalize.h"

#include <utility>

// Bitcode of the scalar math functions, compiled when this library was built.
extern "C" const unsigned char gradopt_math_bitcode[];
extern "C" const size_t gradopt_math_bitcode_size;
extern "C" const unsigned char gradopt_device_math_bitcode[];
extern "C" const size_t gradopt_device_math_bitcode_size;
extern "C" const unsigned char gradopt_special_bitcode[];
extern "C" const size_t gradopt_special_bitcode_size;

namespace mlir::grad {
namespace {

const llvm::StringRef kHostEntries[] = {gradopt::kEntryName};

/// Functions that the math bitcode may define start with this.
constexpr llvm::StringLiteral kRuntimePrefix = "gradopt_";

llvm::Error codegenError(const llvm::Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
}

/// Keeps LLVM's errors, which the default handler prints before it exits, and
/// passes its warnings on to MLIR.
struct DiagnosticForwarder final : llvm::DiagnosticHandler {
  DiagnosticForwarder(mlir::Location location, std::string &errors)
      : location(location), errors(errors) {}

  bool handleDiagnostics(const llvm::DiagnosticInfo &info) override {
    std::string message;
    llvm::raw_string_ostream stream(message);
    llvm::DiagnosticPrinterRawOStream printer(stream);
    info.print(printer);
    if (info.getSeverity() == llvm::DS_Error)
      errors += (errors.empty() ? "" : "; ") + message;
    else if (info.getSeverity() == llvm::DS_Warning)
      mlir::emitWarning(location, message);
    return true;
  }

  mlir::Location location;
  std::string &errors;
};

/// Looks for cancellation before each optional pass of the code generator.
struct CheckpointGate final : llvm::OptPassGate {
  explicit CheckpointGate(llvm::function_ref<bool()> checkpoint)
      : checkpoint(checkpoint) {}

  bool isEnabled() const override { return true; }
  bool shouldRunPass(llvm::StringRef, llvm::StringRef) const override {
    return checkpoint();
  }

  llvm::function_ref<bool()> checkpoint;
};

unsigned widestVector(const llvm::StringMap<bool> &features) {
  auto has = [&](llvm::StringRef name) { return features.lookup(name); };
  if (has("avx512f"))
    return 512;
  if (has("avx"))
    return 256;
  return 128;
}

/// A module on its way from the LLVM dialect to machine code.
class Compilation {
public:
  Compilation(mlir::Operation *source, const CodeTarget &target,
              const CodegenObserver &observer,
              llvm::ArrayRef<llvm::StringRef> entries = kHostEntries)
      : source(source), target(target), observer(observer), entries(entries),
        gate(observer.checkpoint) {
    context.setDiagnosticHandler(
        std::make_unique<DiagnosticForwarder>(source->getLoc(), errors));
    context.setOptPassGate(gate);
  }

  /// Everything up to and including the optimisation of the LLVM IR.
  llvm::Error prepare();

  /// Runs the code generator; the module is spent afterwards.
  llvm::Error emit(llvm::CodeGenFileType type, llvm::raw_pwrite_stream &out);

  const llvm::Module &getModule() const { return *module; }

private:
  llvm::Error createTargetMachine();
  /// Whether the module calls functions of the runtime that it has not.
  bool needsFunctions() const;
  /// Links what is needed of the bitcode `size` bytes from `data`.
  llvm::Error linkFunctions(const unsigned char *data, size_t size,
                            const char *name);
  llvm::Error linkMathFunctions();
  llvm::Error linkSpecialFunctions();
  void internalize();
  void setTargetAttributes();
  void optimize();

  /// Turns what the collector received since the last call into an error.
  llvm::Error takeErrors(const llvm::Twine &step) {
    if (errors.empty())
      return llvm::Error::success();
    return codegenError(step + ": " + std::exchange(errors, {}));
  }

  mlir::Operation *source;
  const CodeTarget &target;
  const CodegenObserver &observer;
  llvm::ArrayRef<llvm::StringRef> entries;
  std::string errors;
  CheckpointGate gate;
  llvm::LLVMContext context;
  std::unique_ptr<llvm::TargetMachine> machine;
  std::unique_ptr<llvm::Module> module;
};

llvm::Error Compilation::createTargetMachine() {
  llvm::Triple triple(target.triple);
  std::string message;
  const llvm::Target *generator =
      llvm::TargetRegistry::lookupTarget(triple, message);
  if (!generator)
    return codegenError("no code generator for this machine: " + message);
  machine.reset(generator->createTargetMachine(
      triple, target.cpu, target.features, llvm::TargetOptions(),
      llvm::Reloc::PIC_,
      target.isGpu() ? std::nullopt : std::optional(llvm::CodeModel::Small),
      target.isForChecks ? llvm::CodeGenOptLevel::Less
                         : llvm::CodeGenOptLevel::Default));
  if (!machine)
    return codegenError("cannot create a target machine for " + target.triple);
  return llvm::Error::success();
}

llvm::Error Compilation::prepare() {
  observer.beginStep("translate");
  if (llvm::Error error = createTargetMachine())
    return error;

  mlir::DialectRegistry registry;
  registerCodegenTranslations(registry);
  source->getContext()->appendDialectRegistry(registry);
  // From it follow the alignments of loads and stores.
  source->setAttr(mlir::LLVM::LLVMDialect::getDataLayoutAttrName(),
                  mlir::StringAttr::get(
                      source->getContext(),
                      machine->createDataLayout().getStringRepresentation()));
  module = mlir::translateModuleToLLVMIR(source, context, "gradopt");
  if (!module)
    return codegenError("cannot translate the module to LLVM IR");
  module->setTargetTriple(machine->getTargetTriple());

  for (llvm::StringRef name : entries) {
    const llvm::Function *entry = module->getFunction(name);
    if (!entry || entry->isDeclaration())
      return codegenError("the module does not define `" + name + "`");
  }

  if (llvm::Error error = linkMathFunctions())
    return error;
  internalize();
  setTargetAttributes();
  if (!target.isGpu() && !machine->getMCSubtargetInfo()->checkFeatures("+f16c"))
    expandHalfConversions(*module);

  std::string message;
  llvm::raw_string_ostream stream(message);
  if (llvm::verifyModule(*module, &stream))
    return codegenError("invalid LLVM IR: " + message);

  optimize();
  if (llvm::Error error = takeErrors("optimisation failed"))
    return error;
  return linkSpecialFunctions();
}

void Compilation::internalize() {
  llvm::internalizeModule(*module, [&](const llvm::GlobalValue &value) {
    return llvm::is_contained(entries, value.getName()) ||
           gradopt::isOfCommands(value.getName());
  });
}

bool Compilation::needsFunctions() const {
  return llvm::any_of(*module, [](const llvm::Function &function) {
    return function.isDeclaration() &&
           function.getName().starts_with(kRuntimePrefix);
  });
}

llvm::Error Compilation::linkFunctions(const unsigned char *data, size_t size,
                                       const char *name) {
  llvm::StringRef bitcode(reinterpret_cast<const char *>(data), size);
  auto library =
      llvm::getLazyBitcodeModule(llvm::MemoryBufferRef(bitcode, name), context);
  if (!library)
    return library.takeError();
  // Those of headers, which call functions once to no purpose.
  if (llvm::GlobalVariable *constructors =
          (*library)->getNamedGlobal("llvm.global_ctors"))
    constructors->eraseFromParent();
  // The functions are portable C; they take the target of their caller.
  (*library)->setDataLayout(module->getDataLayout());
  (*library)->setTargetTriple(module->getTargetTriple());
  if (llvm::Linker::linkModules(*module, std::move(*library),
                                llvm::Linker::Flags::LinkOnlyNeeded)) {
    if (llvm::Error error = takeErrors("cannot link the math functions"))
      return error;
    return codegenError("cannot link the math functions");
  }
  return llvm::Error::success();
}

llvm::Error Compilation::linkMathFunctions() {
  if (!needsFunctions())
    return llvm::Error::success();
  if (llvm::Error error =
          target.isGpu()
              ? linkFunctions(gradopt_device_math_bitcode,
                              gradopt_device_math_bitcode_size, "gradopt-math")
              : linkFunctions(gradopt_math_bitcode, gradopt_math_bitcode_size,
                              "gradopt-math"))
    return error;
  if (!target.isGpu())
    declareVectorForms(*module);
  return llvm::Error::success();
}

llvm::Error Compilation::linkSpecialFunctions() {
  // Kernels find nothing outside of them, emulated ones neither.
  bool isProgram = entries.data() == kHostEntries;
  if (!needsFunctions() || (isProgram && target.hasSpecialFunctions))
    return llvm::Error::success();
  if (llvm::Error error =
          linkFunctions(gradopt_special_bitcode, gradopt_special_bitcode_size,
                        "gradopt-special"))
    return error;
  internalize();
  setTargetAttributes();
  return llvm::Error::success();
}

/// Without instructions for masks, a rest with a mask would be tests and
/// branches.
static void dropMasks(llvm::Function &function) {
  for (llvm::BasicBlock &block : function)
    if (llvm::MDNode *loop =
            block.getTerminator()->getMetadata(llvm::LLVMContext::MD_loop);
        loop && llvm::findOptionMDForLoopID(
                    loop, "llvm.loop.vectorize.predicate.enable"))
      block.getTerminator()->setMetadata(llvm::LLVMContext::MD_loop, nullptr);
}

void Compilation::setTargetAttributes() {
  std::string width = std::to_string(target.vectorWidth);
  for (llvm::Function &function : *module) {
    if (function.isDeclaration())
      continue;
    if (target.vectorWidth < 256)
      dropMasks(function);
    for (llvm::StringRef kind : {"tune-cpu", "min-legal-vector-width"})
      function.removeFnAttr(kind);
    function.addFnAttr("target-cpu", target.cpu);
    function.addFnAttr("target-features", target.features);
    function.addFnAttr("prefer-vector-width", width);
    // Where reciprocals are allowed: the estimate of 1 / sqrt(x) is NaN at 0
    // and at infinity.
    function.addFnAttr("reciprocal-estimates", "!sqrtf,!vec-sqrtf");
    // Nothing unwinds through compiled code: no tables, smaller objects.
    function.addFnAttr(llvm::Attribute::NoUnwind);
    function.removeFnAttr(llvm::Attribute::UWTable);
  }
}

void Compilation::optimize() {
  observer.beginStep("optimize");
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager callGraph;
  llvm::ModuleAnalysisManager modules;
  llvm::PassInstrumentationCallbacks callbacks;
  callbacks.registerShouldRunOptionalPassCallback(
      [&](llvm::StringRef pass, const llvm::Any &ir) {
        return gate.checkpoint() && !isTooSlow(pass, ir);
      });
  llvm::PassBuilder builder(machine.get(), llvm::PipelineTuningOptions(),
                            std::nullopt, &callbacks);
  keepLongLoops(builder);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(callGraph);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, callGraph, modules);

  llvm::ModulePassManager passes;
  passes.addPass(llvm::AlwaysInlinerPass(/*InsertLifetime=*/false));
  passes.addPass(builder.buildPerModuleDefaultPipeline(
      target.isForChecks ? llvm::OptimizationLevel::O1
                         : llvm::OptimizationLevel::O2));
  if (!target.isGpu())
    addVectorFormPasses(passes);
  passes.run(*module, modules);
  if (target.isGpu()) {
    spellOutComparisons(*module);
  } else {
    moveBrainAsIntegers(*module);
    hideLongSums(*module);
    divideLongBlocks(*module);
  }
}

llvm::Error Compilation::emit(llvm::CodeGenFileType type,
                              llvm::raw_pwrite_stream &out) {
  observer.beginStep("emit");
  llvm::legacy::PassManager passes;
  if (machine->addPassesToEmitFile(passes, out, /*DwoOut=*/nullptr, type,
                                   /*DisableVerify=*/true))
    return codegenError("the code generator cannot emit this kind of file");
  passes.run(*module);
  return takeErrors("code generation failed");
}

} // namespace

/// What x86-64-v3 has, which libGradOptSpecial is compiled for, beyond its
/// predecessor, by the names of LLVM.
constexpr llvm::StringRef kLevel3[] = {"avx",  "avx2", "bmi",   "bmi2",
                                       "f16c", "fma",  "lzcnt", "movbe"};

const CodeTarget &CodeTarget::host() {
  static const CodeTarget host = [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
    std::vector<std::string> list;
    for (const auto &feature : features)
      list.push_back((feature.second ? "+" : "-") + feature.first().str());
    llvm::sort(list);
    bool isLevel3 = llvm::all_of(
        kLevel3, [&](llvm::StringRef name) { return features.lookup(name); });
    return CodeTarget{llvm::sys::getProcessTriple(),
                      llvm::sys::getHostCPUName().str(), llvm::join(list, ","),
                      widestVector(features), isLevel3};
  }();
  return host;
}

const CodeTarget *CodeTarget::level(llvm::StringRef name) {
  const std::string &triple = host().triple;
  static const CodeTarget levels[] = {{triple, "x86-64-v2", "", 128},
                                      {triple, "x86-64-v3", "", 256},
                                      {triple, "x86-64-v4", "", 512}};
  if (llvm::Triple(triple).getArch() != llvm::Triple::x86_64)
    return nullptr;
  for (const CodeTarget &level : levels)
    if (level.cpu == name)
      return &level;
  return nullptr;
}

std::optional<CodeTarget> CodeTarget::gpu(llvm::StringRef chip) {
  unsigned version;
  llvm::StringRef digits = chip;
  if (!digits.consume_front("sm_") || digits.getAsInteger(10, version) ||
      version < 70 || version > 121)
    return std::nullopt;
  static const bool isInitialized = [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    return true;
  }();
  (void)isInitialized;
  // The oldest form of PTX that has the chip, and what code uses.
  llvm::StringRef features = version >= 100  ? "+ptx86"
                             : version >= 89 ? "+ptx78"
                                             : "+ptx74";
  return CodeTarget{"nvptx64-nvidia-cuda", chip.str(), features.str(), 128};
}

bool CodeTarget::isGpu() const { return llvm::Triple(triple).isNVPTX(); }

void registerCodegenTranslations(mlir::DialectRegistry &registry) {
  mlir::registerBuiltinDialectTranslation(registry);
  mlir::registerLLVMDialectTranslation(registry);
  mlir::registerGPUDialectTranslation(registry);
  mlir::registerNVVMDialectTranslation(registry);
}

llvm::Expected<llvm::SmallVector<char, 0>>
emitObject(mlir::Operation *module, const CodeTarget &target,
           const CodegenObserver &observer,
           llvm::ArrayRef<llvm::StringRef> entries) {
  if (entries.empty())
    entries = kHostEntries;
  Compilation compilation(module, target, observer, entries);
  if (llvm::Error error = compilation.prepare())
    return std::move(error);
  llvm::SmallVector<char, 0> object;
  llvm::raw_svector_ostream stream(object);
  if (llvm::Error error =
          compilation.emit(llvm::CodeGenFileType::ObjectFile, stream))
    return std::move(error);
  return object;
}

llvm::Expected<std::string> emitLLVMIR(mlir::Operation *module,
                                       const CodeTarget &target,
                                       const CodegenObserver &observer) {
  Compilation compilation(module, target, observer);
  if (llvm::Error error = compilation.prepare())
    return std::move(error);
  std::string text;
  llvm::raw_string_ostream stream(text);
  compilation.getModule().print(stream, /*AAW=*/nullptr);
  return text;
}

static llvm::Expected<std::string> emitText(Compilation &compilation) {
  if (llvm::Error error = compilation.prepare())
    return std::move(error);
  llvm::SmallVector<char, 0> text;
  llvm::raw_svector_ostream stream(text);
  if (llvm::Error error =
          compilation.emit(llvm::CodeGenFileType::AssemblyFile, stream))
    return std::move(error);
  return std::string(text.begin(), text.end());
}

llvm::Expected<std::string> emitAssembly(mlir::Operation *module,
                                         const CodeTarget &target,
                                         const CodegenObserver &observer) {
  Compilation compilation(module, target, observer);
  return emitText(compilation);
}

llvm::Expected<std::string> emitPtx(mlir::Operation *module,
                                    const CodeTarget &target,
                                    const CodegenObserver &observer,
                                    llvm::ArrayRef<llvm::StringRef> entries) {
  Compilation compilation(module, target, observer, entries);
  return emitText(compilation);
}

} // namespace mlir::grad
