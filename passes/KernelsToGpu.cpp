//===- KernelsToGpu.cpp - Kernels of lists become kernels of a GPU --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-kernels-to-gpu`. Kernels of lists of commands become kernels of a GPU,
/// whose bodies KernelWriter.h writes, and calls of them launches. What is
/// added up in two kernels lies in the arena.
///
//===----------------------------------------------------------------------===//

#include "dialect/DeadOps.h"
#include "passes/BufferPlace.h"
#include "passes/BufferSize.h"
#include "passes/CommandList.h"
#include "passes/KernelWriter.h"
#include "passes/Kernels.h"
#include "passes/MatrixProductKernel.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Utils/MemRefUtils.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "llvm/ADT/SmallBitVector.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADKERNELSTOGPU
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

static constexpr llvm::StringLiteral kModuleName = "kernels";

/// What a thread loads or stores at most at once.
static constexpr int64_t kVectorBytes = 16;

NamedAttribute mlir::grad::getKernelAlignment(MLIRContext *context) {
  return {LLVM::LLVMDialect::getAlignAttrName(),
          Builder(context).getI64IntegerAttr(kVectorBytes)};
}

/// Whether `buffer`, in a list, is known to begin at a multiple of
/// `kVectorBytes`, as arguments, results, constants and the arena do.
static bool isAligned(Value buffer) {
  BufferPlace place = findPlace(buffer);
  if (!place.object)
    return false;
  return !buffer.getDefiningOp<ViewLikeOpInterface>() ||
         (place.bytes && place.bytes->first % kVectorBytes == 0);
}

/// Notes which buffers are aligned in all calls of `function`.
static void setAlignment(func::FuncOp function, ArrayRef<func::CallOp> calls) {
  for (unsigned i = 0, e = function.getNumArguments(); i < e; ++i)
    if (isa<MemRefType>(function.getArgumentTypes()[i]) &&
        llvm::all_of(calls, [&](func::CallOp call) {
          return isAligned(call.getOperand(i));
        })) {
      NamedAttribute attr = getKernelAlignment(function.getContext());
      function.setArgAttr(i, attr.getName(), attr.getValue());
    }
}

/// LLVM takes it that a barrier leaves what `noalias` parameters point to as it
/// is. Where threads wait, that is true only of what none of them writes.
static void dropNoAlias(gpu::GPUFuncOp kernel) {
  auto isBarrier = [](gpu::BarrierOp) { return WalkResult::interrupt(); };
  if (!kernel.walk(isBarrier).wasInterrupted())
    return;
  llvm::SmallBitVector isWritten(kernel.getNumArguments());
  kernel.walk([&](memref::StoreOp store) {
    Value buffer =
        memref::skipViewLikeOps(cast<MemrefValue>(store.getMemref()));
    auto argument = dyn_cast<BlockArgument>(buffer);
    if (!argument || argument.getOwner() != &kernel.getBody().front())
      isWritten.set(); // One that a loop or branch has chosen.
    else if (argument.getArgNumber() < isWritten.size())
      isWritten.set(argument.getArgNumber());
  });
  for (unsigned i : isWritten.set_bits())
    kernel.removeArgAttr(i, LLVM::LLVMDialect::getNoAliasAttrName());
}

namespace {

struct GradKernelsToGpu : grad::impl::GradKernelsToGpuBase<GradKernelsToGpu> {
  void runOnOperation() override;

private:
  /// What is launched in the place of a call.
  struct Launch {
    gpu::GPUFuncOp kernel;
    int64_t numBlocks, numThreads;
  };
  struct Launches {
    SmallVector<Launch, 2> kernels;
    SmallVector<MemRefType> scratchTypes;
  };

  FailureOr<Launches> createKernels(func::FuncOp function, OpBuilder &builder);
  FailureOr<Launch> write(KernelWriter &writer, gpu::GPUFuncOp kernel);
  /// Makes room for what kernels add up, and returns where it is in the arena.
  int64_t reserveScratch(func::FuncOp list, ArrayRef<Launches> launches);
  void launch(func::CallOp call, const Launches &launches, Value arena,
              int64_t scratch);
  /// Says which kernel calculates the product `call` where there is no library.
  void createProduct(func::CallOp call, gpu::GPUModuleOp kernels);
};

} // namespace

FailureOr<GradKernelsToGpu::Launch>
GradKernelsToGpu::write(KernelWriter &writer, gpu::GPUFuncOp kernel) {
  if (failed(writer.write()))
    return failure();
  eraseDeadOps(kernel);
  dropNoAlias(kernel);
  auto sizes = [&](int64_t size) {
    return DenseI32ArrayAttr::get(&getContext(),
                                  {static_cast<int32_t>(size), 1, 1});
  };
  kernel.setKnownBlockSizeAttr(sizes(writer.getNumThreads()));
  kernel.setKnownGridSizeAttr(sizes(writer.getNumBlocks()));
  return Launch{kernel, writer.getNumBlocks(), writer.getNumThreads()};
}

FailureOr<GradKernelsToGpu::Launches>
GradKernelsToGpu::createKernels(func::FuncOp function, OpBuilder &builder) {
  if (!function.getBody().hasOneBlock() || function.getNumResults() != 0)
    return function.emitOpError(
        "expected a kernel of one block, without results");
  auto kernel =
      gpu::GPUFuncOp::create(builder, function.getLoc(), function.getName(),
                             function.getFunctionType());
  kernel->setAttr(gpu::GPUDialect::getKernelFuncAttrName(),
                  builder.getUnitAttr());
  if (ArrayAttr attrs = function.getArgAttrsAttr())
    kernel.setArgAttrsAttr(attrs);
  kernel.getBody().takeBody(function.getBody());
  Operation *terminator = kernel.getBody().front().getTerminator();
  OpBuilder atEnd(terminator);
  gpu::ReturnOp::create(atEnd, terminator->getLoc());
  terminator->erase();

  KernelWriter writer(kernel);
  Launches result;
  gpu::GPUFuncOp second = writer.divide();
  FailureOr<Launch> first = write(writer, kernel);
  if (failed(first))
    return failure();
  result.kernels.push_back(*first);
  result.scratchTypes = llvm::to_vector(writer.getScratchTypes());
  if (second) {
    KernelWriter secondWriter(second, writer);
    FailureOr<Launch> last = write(secondWriter, second);
    if (failed(last))
      return failure();
    result.kernels.push_back(*last);
  }
  return result;
}

static int64_t getScratchBytes(ArrayRef<MemRefType> types) {
  int64_t bytes = 0;
  for (MemRefType type : types)
    bytes +=
        llvm::alignTo(getByteSize(type).value_or(0), gradopt::kArenaAlignment);
  return bytes;
}

int64_t GradKernelsToGpu::reserveScratch(func::FuncOp list,
                                         ArrayRef<Launches> launches) {
  int64_t most = 0;
  for (const Launches &kernels : launches)
    most = std::max(most, getScratchBytes(kernels.scratchTypes));
  return most == 0 ? 0 : growArena(list, most);
}

void GradKernelsToGpu::launch(func::CallOp call, const Launches &launches,
                              Value arena, int64_t scratch) {
  OpBuilder builder(call);
  Location loc = call.getLoc();
  auto number = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(builder, loc, value);
  };
  SmallVector<Value> operands(call.getOperands());
  for (MemRefType type : launches.scratchTypes) {
    operands.push_back(memref::ViewOp::create(builder, loc, type, arena,
                                              number(scratch), ValueRange()));
    scratch += getScratchBytes(type);
  }
  Value one = number(1);
  for (const Launch &launch : launches.kernels)
    gpu::LaunchFuncOp::create(builder, loc, launch.kernel,
                              {number(launch.numBlocks), one, one},
                              {number(launch.numThreads), one, one},
                              /*dynamicSharedMemorySize=*/Value(), operands);
  call.erase();
}

void GradKernelsToGpu::createProduct(func::CallOp call,
                                     gpu::GPUModuleOp kernels) {
  auto constant = [&](unsigned operand) {
    return getConstantIntValue(call.getOperand(operand)).value_or(1);
  };
  Type sum = call.getOperand(11).getType(), element = sum;
  if (call.getCallee().ends_with("_bf16"))
    element = BFloat16Type::get(&getContext());
  else if (call.getCallee().ends_with("_f16"))
    element = Float16Type::get(&getContext());
  int64_t rows = constant(2), columns = constant(3);
  MatrixProduct product{element, constant(0) != 0, constant(1) != 0,
                        TileShape::choose(element, rows, columns)};
  std::string name = product.getName();
  if (!kernels.lookupSymbol(name)) {
    OpBuilder builder = OpBuilder::atBlockEnd(kernels.getBody());
    product.createKernel(builder, kernels.getLoc());
  }
  Builder builder(&getContext());
  constexpr unsigned kCount = 12;
  int64_t count = call.getNumOperands() > kCount ? constant(kCount) : 1;
  DeviceKernel kernel = {builder.getStringAttr(name),
                         count * product.shape.getNumTiles(rows, columns),
                         TileShape::kNumThreads};
  call->setAttr(kKernelAttr, kernel.toAttribute());
}

void GradKernelsToGpu::runOnOperation() {
  ModuleOp module = getOperation();
  SymbolTable symbols(module);
  llvm::MapVector<Operation *, SmallVector<func::CallOp>> calls, callsOf;
  SmallVector<func::CallOp> products;
  llvm::MapVector<Operation *, Launches> launches;
  for (auto list : module.getOps<func::FuncOp>()) {
    if (list->hasAttr("grad.tape_bytes")) {
      list.emitError(
          "a loop with checkpoint=\"all\" and an unknown number of "
          "iterations takes memory as it runs, which code for devices "
          "cannot: leave the policy out, or use another one");
      return signalPassFailure();
    }
    if (list->hasAttr(kFrameAttr))
      list.walk([&](func::CallOp call) {
        if (isProduct(call)) {
          products.push_back(call);
          return;
        }
        auto function = symbols.lookup<func::FuncOp>(call.getCallee());
        if (!function || function.isExternal())
          return;
        calls[list].push_back(call);
        callsOf[function].push_back(call);
        launches[function];
      });
  }
  if (launches.empty() && products.empty())
    return;
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  auto kernels =
      gpu::GPUModuleOp::create(builder, module.getLoc(), kModuleName);
  symbols.insert(kernels);
  module->setAttr(gpu::GPUDialect::getContainerModuleAttrName(),
                  builder.getUnitAttr());
  builder.setInsertionPointToEnd(kernels.getBody());
  for (auto &[function, created] : launches) {
    setAlignment(cast<func::FuncOp>(function), callsOf[function]);
    FailureOr<Launches> result =
        createKernels(cast<func::FuncOp>(function), builder);
    if (failed(result))
      return signalPassFailure();
    created = std::move(*result);
  }
  for (auto &[list, listCalls] : calls) {
    SmallVector<Launches> used =
        llvm::map_to_vector(listCalls, [&](func::CallOp call) {
          return launches[symbols.lookup(call.getCallee())];
        });
    auto function = cast<func::FuncOp>(list);
    int64_t scratch = reserveScratch(function, used);
    for (auto [call, kernels] : llvm::zip_equal(listCalls, used))
      launch(call, kernels, function.getArguments().back(), scratch);
  }
  for (auto &[function, created] : launches)
    symbols.erase(function);
  for (func::CallOp product : products)
    createProduct(product, kernels);
}
