//===- DeviceAssembler.cpp - Machine code of GPUs -------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/DeviceAssembler.h"
#include "runtime/DeviceProgram.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"

#include <cstring>
#include <vector>

using llvm::StringRef;

namespace mlir::grad {
namespace {

/// A file that is gone with the object.
class TemporaryFile {
public:
  explicit TemporaryFile(StringRef suffix) {
    error = llvm::sys::fs::createTemporaryFile("gradopt", suffix, path);
    remover.setFile(path, /*deleteIt=*/!error);
  }

  std::string read() const {
    auto buffer = llvm::MemoryBuffer::getFile(path);
    return buffer ? (*buffer)->getBuffer().str() : std::string();
  }

  std::error_code error;
  llvm::SmallString<128> path;

private:
  llvm::FileRemover remover;
};

llvm::Expected<std::string> assemble(StringRef ptx, uint32_t chip,
                                     const std::string &assembler) {
  TemporaryFile source("ptx"), object("cubin"), words("txt");
  for (const TemporaryFile *file : {&source, &object, &words})
    if (file->error)
      return llvm::createStringError(file->error, "cannot make a file");
  {
    std::error_code error;
    llvm::raw_fd_ostream stream(source.path, error);
    stream << ptx;
    stream.close();
    if (error || stream.has_error())
      return llvm::createStringError(error, "cannot write " + source.path);
  }
  std::string arch = "-arch=sm_" + std::to_string(chip), message;
  std::optional<StringRef> redirects[] = {StringRef(), words.path.str(),
                                          words.path.str()};
  int status = llvm::sys::ExecuteAndWait(
      assembler, {assembler, arch, source.path, "-o", object.path},
      /*Env=*/std::nullopt, redirects, /*SecondsToWait=*/0, /*MemoryLimit=*/0,
      &message);
  if (status != 0)
    return llvm::createStringError(assembler + " failed for sm_" +
                                   llvm::Twine(chip) + ": " + message +
                                   words.read());
  return object.read();
}

} // namespace

llvm::Expected<std::string> assembleDeviceProgram(StringRef program,
                                                  StringRef assembler) {
  auto path = llvm::sys::findProgramByName(assembler);
  if (!path)
    return llvm::createStringError(path.getError(), "there is no " + assembler);
  std::string bytes = program.str();
  gradopt_device_program header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  std::vector<gradopt_device_image> images(header.num_images);
  size_t tableBytes = header.num_images * sizeof(images[0]);
  if (tableBytes)
    std::memcpy(images.data(), &bytes[header.images], tableBytes);
  auto append = [&](const void *data, size_t size) {
    bytes.resize(llvm::alignTo(bytes.size(), 8));
    uint64_t offset = bytes.size();
    bytes.append(static_cast<const char *>(data), size);
    return offset;
  };
  for (size_t i = 0; i < header.num_images; ++i) {
    gradopt_device_image image = images[i];
    if (image.kind != GRADOPT_IMAGE_PTX)
      continue;
    // Without the null byte.
    auto code = assemble(program.substr(image.offset, image.bytes - 1),
                         image.chip, *path);
    if (!code)
      return code.takeError();
    images.push_back({image.chip, GRADOPT_IMAGE_CUBIN,
                      append(code->data(), code->size()), code->size()});
  }
  // The table that was there stays, and nothing refers to it.
  header.num_images = images.size();
  header.images = append(images.data(), images.size() * sizeof(images[0]));
  bytes.resize(llvm::alignTo(bytes.size(), 8));
  header.bytes = bytes.size();
  std::memcpy(bytes.data(), &header, sizeof(header));
  return bytes;
}

} // namespace mlir::grad
