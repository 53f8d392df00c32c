//===- Program.cpp - Programs for a GPU, checked --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/cuda/Program.h"
#include "runtime/OpenSizes.h"
#include "runtime/RuntimeError.h"
#include "runtime/cuda/Device.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <elf.h>

using gradopt::runtime::fail;

namespace gradopt::cuda {
namespace {

constexpr uint64_t kUnit = sizeof(int64_t);
constexpr uint32_t kMaxBlock = 1024;
constexpr uint64_t kMaxName = 4096;
constexpr const char *kOutOfMemory = "out of memory";

/// Copies a table out of bytes that may be aligned to nothing.
template <typename T>
const char *copyTable(const char *from, uint64_t count,
                      runtime::Array<T> &table) {
  if (!table.allocate(count))
    return kOutOfMemory;
  if (count)
    std::memcpy(table.begin(), from, count * sizeof(T));
  return nullptr;
}

/// Whether an ELF file says that its tables are in so many bytes.
bool isElf(const char *bytes, uint64_t size) {
  Elf64_Ehdr header;
  if (size < sizeof(header))
    return false;
  std::memcpy(&header, bytes, sizeof(header));
  auto holds = [&](uint64_t offset, uint64_t count, uint64_t entry) {
    return offset <= size && count * entry <= size - offset;
  };
  return std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 &&
         header.e_ident[EI_CLASS] == ELFCLASS64 &&
         holds(header.e_shoff, header.e_shnum, header.e_shentsize) &&
         holds(header.e_phoff, header.e_phnum, header.e_phentsize);
}

/// Whether a null byte ends, within `size` bytes, a name of ASCII's letters and
/// signs.
bool isName(const char *name, uint64_t size) {
  uint64_t length = 0;
  while (length < size && name[length] > ' ' && name[length] <= '~')
    ++length;
  return length > 0 && length < size && name[length] == 0;
}

/// Text that is made piece by piece, and cut where it is too long.
struct Text {
  char words[400] = {};
  size_t length = 0;

  void add(const char *format, unsigned number) {
    int added =
        std::snprintf(words + length, sizeof(words) - length, format, number);
    length = std::min(length + size_t(added), sizeof(words) - 1);
  }
};

} // namespace

bool Program::holds(uint64_t offset, uint64_t size) const {
  return offset % kUnit == 0 && offset <= header.bytes &&
         size <= header.bytes - offset;
}

gradopt_status Program::read(const void *data, size_t size) {
  bytes = static_cast<const char *>(data);
  const char *problem = check(size);
  if (problem == kOutOfMemory)
    return fail(GRADOPT_OUT_OF_MEMORY, "%s", problem);
  if (problem)
    return fail(GRADOPT_INVALID_OBJECT, "invalid program for a GPU: %s",
                problem);
  return GRADOPT_OK;
}

const char *Program::check(size_t size) {
  if (size < sizeof(header))
    return "it is incomplete";
  std::memcpy(&header, bytes, sizeof(header));
  if (header.magic != GRADOPT_DEVICE_PROGRAM_MAGIC)
    return "it does not begin like one";
  if (header.version != GRADOPT_DEVICE_PROGRAM_VERSION)
    return "it is of another version";
  if (header.bytes != size)
    return "it is of another size than it says";
  if (!holds(header.table, header.table_bytes) ||
      !holds(header.constants, header.constants_bytes))
    return "a part is not inside of it";
  for (auto step :
       {&Program::checkKernels, &Program::checkImages, &Program::checkTable})
    if (const char *problem = (this->*step)())
      return problem;
  return nullptr;
}

const char *Program::checkKernels() {
  constexpr uint64_t unit = sizeof(gradopt_device_kernel);
  if (header.num_kernels > header.bytes / unit ||
      !holds(header.kernels, header.num_kernels * unit))
    return "the table of kernels is not inside of it";
  if (const char *problem =
          copyTable(at(header.kernels), header.num_kernels, kernels))
    return problem;
  uint64_t length = 0;
  for (const gradopt_device_kernel &kernel : kernels) {
    if (kernel.name >= header.bytes ||
        !isName(at(kernel.name),
                std::min(header.bytes - kernel.name, kMaxName)))
      return "a kernel has no name that can be printed";
    if (kernel.grid == 0 || kernel.grid > INT32_MAX || kernel.block == 0 ||
        kernel.block > kMaxBlock)
      return "a kernel has no threads, or more than there can be";
    length += std::strlen(at(kernel.name)) + 1;
  }
  if (!names.allocate(length))
    return kOutOfMemory;
  char *next = names.begin();
  for (gradopt_device_kernel &kernel : kernels) {
    size_t size = std::strlen(at(kernel.name)) + 1;
    std::memcpy(next, at(kernel.name), size);
    kernel.name = uint64_t(next - names.begin());
    next += size;
  }
  return nullptr;
}

const char *Program::checkImages() {
  constexpr uint64_t unit = sizeof(gradopt_device_image);
  if (header.num_images > header.bytes / unit ||
      !holds(header.images, header.num_images * unit))
    return "the table of images is not inside of it";
  if (const char *problem =
          copyTable(at(header.images), header.num_images, images))
    return problem;
  for (const gradopt_device_image &image : images) {
    if (!holds(image.offset, image.bytes))
      return "an image is not inside of it";
    const char *begin = at(image.offset);
    switch (image.kind) {
    case GRADOPT_IMAGE_PTX:
      if (image.bytes == 0 || begin[image.bytes - 1] != 0)
        return "PTX does not end";
      break;
    case GRADOPT_IMAGE_CUBIN:
    case GRADOPT_IMAGE_HOST:
      if (!isElf(begin, image.bytes))
        return "machine code is not complete";
      break;
    default:
      return "an image is of an unknown kind";
    }
  }
  return nullptr;
}

const char *Program::checkTable() {
  if (const char *problem =
          copyTable(at(header.table), header.table_bytes / kUnit, table))
    return problem;
  // The table is whole words, or it is not valid.
  if (const char *problem = gradopt_check_device_commands(
          table.begin(), header.table_bytes, header.num_kernels, nullptr))
    return problem;
  auto *sizes = reinterpret_cast<const int64_t *>(&commands() + 1);
  if (uint64_t(sizes[0]) > header.constants_bytes)
    return "there are less constants than the commands use";
  uint32_t numBuffers = commands().num_buffers;
  bool hasNumber =
      numBuffers > 1 && sizes[numBuffers - 1] == GRADOPT_NUMBER_SIZE;
  if (isOpen() != hasNumber || header.least_room % kRoomStep != 0 ||
      (!isOpen() && header.arena_bytes_per_part != 0))
    return "there is no such room";
  if (uint64_t(sizes[numBuffers]) > arenaAt(header.least_room / kRoomParts))
    return "the arena is smaller than the commands use";
  return nullptr;
}

size_t Program::arenaAt(uint64_t parts) const {
  uint64_t bytes;
  if (__builtin_mul_overflow(header.arena_bytes_per_part, parts, &bytes) ||
      __builtin_add_overflow(bytes, header.arena_bytes, &bytes))
    return SIZE_MAX;
  return bytes;
}

gradopt_status Program::choose(const Device &device,
                               gradopt_device_image &best) const {
  bool found = false;
  auto take = [&](const gradopt_device_image &image) {
    best = image;
    found = true;
  };
  auto chip = uint32_t(device.chip);
  for (const gradopt_device_image &image : images) {
    bool isFirst = !found;
    if (device.driver.isEmulator) {
      if (image.kind == GRADOPT_IMAGE_HOST && isFirst)
        take(image);
    } else if (image.kind == GRADOPT_IMAGE_CUBIN) {
      if (image.chip == chip)
        take(image);
    } else if (image.kind == GRADOPT_IMAGE_PTX && image.chip <= chip) {
      if (isFirst || (best.kind == GRADOPT_IMAGE_PTX && best.chip < image.chip))
        take(image);
    }
  }
  if (found)
    return GRADOPT_OK;
  Text forms;
  for (const gradopt_device_image &image : images) {
    if (forms.length)
      forms.add(", ", 0);
    if (image.kind == GRADOPT_IMAGE_HOST)
      forms.add("an emulator", 0);
    else if (image.kind == GRADOPT_IMAGE_CUBIN)
      forms.add("sm_%u", image.chip);
    else
      forms.add("sm_%u and later", image.chip);
  }
  return fail(GRADOPT_INVALID_OBJECT,
              "needed a program for cuda:%d (%s), which is %ssm_%d, but this "
              "one is for %s",
              device.number, device.name,
              device.driver.isEmulator ? "an emulator of " : "", device.chip,
              forms.length ? forms.words : "nothing");
}

} // namespace gradopt::cuda
