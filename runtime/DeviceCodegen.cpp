//===- DeviceCodegen.cpp - Programs for a GPU -----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/DeviceCodegen.h"
#include "passes/CommandList.h"
#include "runtime/Commands.h"
#include "runtime/DeviceProgram.h"
#include "runtime/Interface.h"
#include "runtime/OpenSizes.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/MathExtras.h"

#include <vector>

namespace mlir::grad {
namespace {

constexpr llvm::StringLiteral kEmulator = "emulated";

/// What stage "nvvm" is made of.
struct DeviceModule {
  std::vector<char> table, constants;
  SmallVector<DeviceKernel> kernels;
  llvm::SetVector<llvm::StringRef> names;
  /// The kernels of a GPU; null if there are none.
  gpu::GPUModuleOp gpuModule;
  /// Where sizes are open: what the arena has, and the least room.
  std::optional<gradopt::OpenArena> openArena;
  int64_t leastRoom = 0;
};

llvm::Error deviceError(const llvm::Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
}

llvm::Expected<DeviceModule> analyze(Operation *op) {
  auto module = cast<ModuleOp>(op);
  auto commands = module.lookupSymbol<LLVM::GlobalOp>(gradopt::kCommandsName);
  auto kernels =
      commands ? commands->getAttrOfType<ArrayAttr>(kKernelsAttr) : ArrayAttr();
  if (!kernels)
    return deviceError("the module is no list of commands");
  auto bytesOf = [](LLVM::GlobalOp global) {
    auto value = cast<DenseElementsAttr>(global.getValueAttr());
    ArrayRef<char> raw = value.getRawData();
    std::vector<char> bytes;
    // Where all are equal, there is one.
    for (int64_t i = 0, e = value.isSplat() ? value.getNumElements() : 1; i < e;
         ++i)
      bytes.insert(bytes.end(), raw.begin(), raw.end());
    return bytes;
  };
  DeviceModule result;
  result.table = bytesOf(commands);
  if (auto constants =
          module.lookupSymbol<LLVM::GlobalOp>(gradopt::kConstantsName))
    result.constants = bytesOf(constants);
  for (Attribute kernel : kernels) {
    if (!isa<ArrayAttr>(kernel))
      return deviceError("the kernels are not for a device");
    result.kernels.push_back(DeviceKernel::from(kernel));
    result.names.insert(result.kernels.back().name.getValue());
  }
  for (auto gpuModule : module.getOps<gpu::GPUModuleOp>())
    result.gpuModule = gpuModule;
  if (auto arena = commands->getAttrOfType<IntegerAttr>(kArenaBytesAttr)) {
    auto least = commands->getAttrOfType<IntegerAttr>(gradopt::kLeastRoomAttr);
    result.openArena.emplace(arena.getInt());
    result.leastRoom = gradopt::findRoom(0, least ? least.getInt() : 0);
  }
  return result;
}

/// Appends parts of a program, each at a multiple of 8 bytes.
class Writer {
public:
  uint64_t append(const void *data, size_t size) {
    bytes.resize(llvm::alignTo(bytes.size(), 8));
    uint64_t offset = bytes.size();
    auto *begin = static_cast<const char *>(data);
    bytes.append(begin, begin + size);
    return offset;
  }
  /// With a null byte behind it.
  uint64_t append(llvm::StringRef text) {
    uint64_t offset = append(text.data(), text.size());
    bytes.push_back('\0');
    return offset;
  }

  llvm::SmallVector<char, 0> bytes;
};

llvm::Error appendImages(Operation *module, const DeviceModule &parts,
                         llvm::StringRef chips, const CodegenObserver &observer,
                         Writer &writer,
                         SmallVectorImpl<gradopt_device_image> &images) {
  ArrayRef<llvm::StringRef> names = parts.names.getArrayRef();
  if (names.empty())
    return llvm::Error::success();
  if (chips == kEmulator) {
    CodeTarget target = CodeTarget::host();
    target.isForChecks = true;
    auto object = emitObject(module, target, observer, names);
    if (!object)
      return object.takeError();
    images.push_back({0, GRADOPT_IMAGE_HOST,
                      writer.append(object->data(), object->size()),
                      object->size()});
    return llvm::Error::success();
  }
  for (llvm::StringRef name : llvm::split(chips, ',')) {
    auto ptx = emitDevicePtx(module, name, observer);
    if (!ptx)
      return ptx.takeError();
    uint32_t number = 0;
    name.drop_front(strlen("sm_")).getAsInteger(10, number);
    images.push_back(
        {number, GRADOPT_IMAGE_PTX, writer.append(*ptx), ptx->size() + 1});
  }
  return llvm::Error::success();
}

} // namespace

bool areDeviceChips(llvm::StringRef chips) {
  return chips == kEmulator ||
         llvm::all_of(llvm::split(chips, ','), [](llvm::StringRef chip) {
           return CodeTarget::gpu(chip).has_value();
         });
}

llvm::Expected<std::string> emitDevicePtx(Operation *module,
                                          llvm::StringRef chip,
                                          const CodegenObserver &observer) {
  auto parts = analyze(module);
  if (!parts)
    return parts.takeError();
  std::optional<CodeTarget> target = CodeTarget::gpu(chip);
  if (!target)
    return deviceError("there is no PTX for `" + chip + "`");
  if (!parts->gpuModule)
    return std::string("// The program launches no kernels.\n");
  return emitPtx(parts->gpuModule, *target, observer,
                 parts->names.getArrayRef());
}

llvm::Expected<llvm::SmallVector<char, 0>>
emitDeviceProgram(Operation *module, llvm::StringRef chips,
                  const CodegenObserver &observer) {
  auto parts = analyze(module);
  if (!parts)
    return parts.takeError();
  gradopt_commands commands;
  memcpy(&commands, parts->table.data(), sizeof(commands));
  int64_t arenaBytes;
  memcpy(&arenaBytes,
         parts->table.data() + sizeof(commands) +
             commands.num_buffers * sizeof(int64_t),
         sizeof(arenaBytes));

  Writer writer;
  gradopt_device_program header = {};
  writer.append(&header, sizeof(header));
  header.magic = GRADOPT_DEVICE_PROGRAM_MAGIC;
  header.version = GRADOPT_DEVICE_PROGRAM_VERSION;
  header.arena_bytes = arenaBytes;
  if (parts->openArena) {
    header.arena_bytes = parts->openArena->known;
    header.arena_bytes_per_part = parts->openArena->perPart;
    header.least_room = parts->leastRoom;
  }
  header.table = writer.append(parts->table.data(), parts->table.size());
  header.table_bytes = parts->table.size();
  header.constants =
      writer.append(parts->constants.data(), parts->constants.size());
  header.constants_bytes = parts->constants.size();

  llvm::StringMap<uint64_t> names;
  for (llvm::StringRef name : parts->names)
    names[name] = writer.append(name);
  SmallVector<gradopt_device_kernel> kernels;
  for (const DeviceKernel &kernel : parts->kernels)
    kernels.push_back({names[kernel.name.getValue()],
                       static_cast<uint32_t>(kernel.numBlocks),
                       static_cast<uint32_t>(kernel.numThreads)});
  header.kernels =
      writer.append(kernels.data(), kernels.size() * sizeof(kernels[0]));
  header.num_kernels = kernels.size();

  SmallVector<gradopt_device_image, 2> images;
  if (llvm::Error error =
          appendImages(module, *parts, chips, observer, writer, images))
    return std::move(error);
  header.images =
      writer.append(images.data(), images.size() * sizeof(images[0]));
  header.num_images = images.size();
  writer.bytes.resize(llvm::alignTo(writer.bytes.size(), 8));
  header.bytes = writer.bytes.size();
  memcpy(writer.bytes.data(), &header, sizeof(header));
  return std::move(writer.bytes);
}

} // namespace mlir::grad
