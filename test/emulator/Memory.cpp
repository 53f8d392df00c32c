//===- Memory.cpp - Memory of emulated devices ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/emulator/Memory.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

namespace gradopt::emulator {
namespace {

constexpr unsigned kThreadBits = 11, kTimeShift = 12;
constexpr uint64_t kMany = (1u << kThreadBits) - 1;
constexpr uint64_t kOthers = 1u << kThreadBits;
constexpr size_t kWord = 4;

/// Address space that costs nothing until it is touched.
char *reserveSpace(size_t bytes) {
  void *space = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (space == MAP_FAILED)
    abort();
  return static_cast<char *>(space);
}

void fill(uintptr_t begin, uintptr_t end, unsigned char with) {
  memset(reinterpret_cast<void *>(begin), with, end - begin);
}

bool isFilled(uintptr_t begin, uintptr_t end, unsigned char with) {
  auto *first = reinterpret_cast<const unsigned char *>(begin);
  auto *last = reinterpret_cast<const unsigned char *>(end);
  return std::all_of(first, last, [&](unsigned char c) { return c == with; });
}

uint64_t timeOf(uint64_t word) { return word >> kTimeShift; }
uint64_t threadOf(uint64_t word) { return word & kMany; }

/// Whether the access that `word` tells of is not ordered with one of `moment`,
/// where accesses before `since` do not matter.
bool races(uint64_t word, uint64_t since, const Moment &moment) {
  uint64_t time = timeOf(word);
  if (time < since)
    return false;
  return time < moment.block || (word & kOthers) ||
         (time == moment.now && threadOf(word) != moment.thread);
}

std::string describeRace(uint64_t word, const Moment &moment, bool wrote) {
  std::string who;
  if (timeOf(word) < moment.block || (word & kOthers))
    who = "a thread of another block";
  else if (threadOf(word) == kMany)
    who = "several threads of the block";
  else
    who = "thread " + std::to_string(threadOf(word)) + " of the block";
  return "a race: " + who + (wrote ? " wrote" : " read") +
         " it, with no barrier between";
}

std::string describeOutside(const Allocation *allocation, uintptr_t address,
                            size_t bytes) {
  if (!allocation)
    return "which is no memory of a device";
  if (!allocation->isLive)
    return "which is freed, or not yet allocated on the stream";
  std::string what = allocation->isShared ? "shared memory" : "an allocation";
  what += " of " + std::to_string(allocation->end - allocation->begin);
  if (address < allocation->begin)
    return std::to_string(allocation->begin - address) +
           " bytes before the beginning of " + what;
  return std::to_string(address + bytes - allocation->end) +
         " bytes beyond the end of " + what;
}

} // namespace

Memory &Memory::get() {
  // Never destroyed: work may still be under way when the process ends.
  static Memory *memory = new Memory;
  return *memory;
}

Memory::Memory() {
  constexpr size_t bytes = kMaxDevices * kDeviceRange;
  base = reinterpret_cast<uintptr_t>(reserveSpace(bytes));
  pages = reinterpret_cast<Page *>(reserveSpace(bytes / kPage * sizeof(Page)));
}

size_t Memory::pagesFor(size_t bytes) {
  return (bytes + 2 * kRedZone + kPage - 1) / kPage;
}

Allocation *Memory::reserve(int device, size_t bytes) {
  if (bytes > kDeviceRange / 2)
    return nullptr;
  size_t count = pagesFor(bytes);
  auto &free = idle[device][count];
  Allocation *allocation = nullptr;
  if (!free.empty()) {
    allocation = free.back();
    free.pop_back();
  } else {
    if (used[device] + count > kDeviceRange / kPage)
      return nullptr;
    allocation = new Allocation;
    allocation->begin =
        base + device * kDeviceRange + used[device] * kPage + kRedZone;
    allocation->device = device;
    allocation->pages = count;
    used[device] += count;
    Page *first = pageOf(allocation->begin);
    for (size_t i = 0; i < count; ++i)
      first[i].allocation = allocation;
  }
  allocation->bytes = bytes;
  return allocation;
}

void Memory::release(Allocation *allocation) {
  idle[allocation->device][allocation->pages].push_back(allocation);
}

void Memory::begin(Allocation *allocation, size_t bytes) {
  allocation->end = allocation->begin + bytes;
  uintptr_t first = allocation->firstByte();
  fill(first, allocation->begin, kRed);
  fill(allocation->begin, allocation->end, kGarbage);
  fill(allocation->end, first + allocation->pages * kPage, kRed);
  allocation->isLive = true;
}

bool Memory::end(Allocation *allocation) {
  uintptr_t first = allocation->firstByte();
  size_t bytes = allocation->pages * kPage;
  bool intact = isFilled(first, allocation->begin, kRed) &&
                isFilled(allocation->end, first + bytes, kRed);
  allocation->isLive = false;
  fill(allocation->begin, allocation->end, kGarbage);
  Page *page = pageOf(allocation->begin);
  for (size_t i = 0; i < allocation->pages; ++i) {
    std::free(page[i].accesses);
    page[i].accesses = nullptr;
    page[i].isInBytes = false;
  }
  return intact;
}

Allocation *Memory::find(uintptr_t address) const {
  return isDevice(address) ? pageOf(address)->allocation : nullptr;
}

std::string Memory::checkRange(uintptr_t address, size_t bytes,
                               int device) const {
  const Allocation *allocation = find(address);
  if (!allocation || !allocation->isLive || address < allocation->begin ||
      address > allocation->end || bytes > allocation->end - address)
    return describeOutside(allocation, address, bytes);
  if (allocation->device != device)
    return "which is memory of device " + std::to_string(allocation->device);
  return "";
}

/// Makes place for what is known of a page.
void Memory::prepare(Page &page, bool inBytes) {
  size_t count = inBytes ? kPage : kPage / kWord;
  auto *fresh = static_cast<Access *>(calloc(count, sizeof(Access)));
  if (page.accesses && inBytes)
    for (size_t i = 0; i < count; ++i)
      fresh[i] = page.accesses[i / kWord];
  std::free(page.accesses);
  page.accesses = fresh;
  page.isInBytes = inBytes;
}

template <bool isStore>
bool Memory::access(uintptr_t address, size_t bytes, int device,
                    const Moment &moment, std::string *problem) {
  Allocation *allocation = find(address);
  if (!allocation || !allocation->isLive || address < allocation->begin ||
      address > allocation->end || bytes > allocation->end - address ||
      allocation->device != device) {
    if (problem)
      *problem = checkRange(address, bytes, device);
    return false;
  }
  // Blocks have shared memory of their own.
  uint64_t since = allocation->isShared ? moment.block : moment.launch;
  uint64_t mine = moment.now << kTimeShift | moment.thread;
  for (uintptr_t at = address, end = address + bytes; at != end;) {
    Page &page = *pageOf(at);
    bool inBytes = page.isInBytes || (at | (end - at)) % kWord != 0;
    if (!page.accesses || inBytes != page.isInBytes)
      prepare(page, inBytes);
    size_t step = inBytes ? 1 : kWord;
    Access *next = page.accesses + at % kPage / step;
    uintptr_t last = std::min(end, (at / kPage + 1) * kPage);
    for (; at != last; at += step, ++next) {
      if (next->write != mine && races(next->write, since, moment)) {
        if (problem)
          *problem = describeRace(next->write, moment, true);
        return false;
      }
      if (isStore) {
        if (next->read != mine && races(next->read, since, moment)) {
          if (problem)
            *problem = describeRace(next->read, moment, false);
          return false;
        }
        next->write = mine;
        continue;
      }
      uint64_t read = next->read;
      if (read == mine)
        continue;
      uint64_t time = timeOf(read);
      uint64_t others = read & kOthers;
      if (time < since)
        others = 0;
      else if (time < moment.block)
        others = kOthers;
      bool many = time == moment.now && threadOf(read) != moment.thread;
      next->read = (many ? mine | kMany : mine) | others;
    }
  }
  return true;
}

template bool Memory::access<false>(uintptr_t, size_t, int, const Moment &,
                                    std::string *);
template bool Memory::access<true>(uintptr_t, size_t, int, const Moment &,
                                   std::string *);

} // namespace gradopt::emulator
