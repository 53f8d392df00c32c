//===- Memory.h - Memory of emulated devices --------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// All memory of devices is in one range of addresses of the process, so that a
// page of it is found by its number. An allocation has pages of its own, with
// at least kRedZone bytes before and behind it.
//
// Who accessed a byte is told by two words, for the last writer and for the
// readers:
//
//   time << 12 | others << 11 | thread
//
// Time goes on with each block that begins and each barrier, so that two
// accesses of one block are ordered if their times differ; blocks are not
// ordered at all. `thread` is kMany if several threads read since the last
// barrier, and `others` says that other blocks of the launch have read before.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_TEST_EMULATOR_MEMORY_H
#define GRADOPT_TEST_EMULATOR_MEMORY_H

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace gradopt::emulator {

inline constexpr size_t kPage = 4096;
inline constexpr size_t kRedZone = 256;
inline constexpr int kMaxDevices = 8;
inline constexpr unsigned char kGarbage = 0xA5;
inline constexpr unsigned char kRed = 0xC3;

struct Allocation {
  /// Where it ends changes only when work on the device begins to use it.
  uintptr_t begin = 0, end = 0;
  size_t bytes = 0;
  int device = 0;
  /// Whether work on the device may use it now.
  bool isLive = false;
  /// Whether it is the shared memory of blocks.
  bool isShared = false;
  size_t pages = 0;

  uintptr_t firstByte() const { return begin - kRedZone; }
};

/// Who accessed a piece of memory.
struct Access {
  uint64_t write = 0, read = 0;
};

struct Page {
  Allocation *allocation = nullptr;
  /// For each four bytes, or for each byte; null if nobody has come yet.
  Access *accesses = nullptr;
  bool isInBytes = false;
};

/// When an access happens, and who does it.
struct Moment {
  uint64_t launch = 1, block = 1, now = 1;
  unsigned thread = 0;
};

class Memory {
public:
  static Memory &get();

  /// A place for so many bytes that nobody uses; null if there is none.
  /// What an allocation of so many bytes takes, with red zones.
  static size_t pagesFor(size_t bytes);
  Allocation *reserve(int device, size_t bytes);
  /// Gives it back.
  void release(Allocation *allocation);

  /// Lets a device use it: all of it is garbage now.
  void begin(Allocation *allocation, size_t bytes);
  /// Ends that; false if the bytes around it were written.
  bool end(Allocation *allocation);

  /// The allocation that an address belongs to, or null.
  Allocation *find(uintptr_t address) const;
  bool isDevice(uintptr_t address) const {
    return address - base < kMaxDevices * kDeviceRange;
  }

  /// Empty, or what is wrong with an access of work on a device.
  std::string checkRange(uintptr_t address, size_t bytes, int device) const;

  /// Whether a thread may access the bytes; from then on it has. If it may not,
  /// and `problem` is not null, that says why.
  template <bool isStore>
  bool access(uintptr_t address, size_t bytes, int device, const Moment &moment,
              std::string *problem);

private:
  static constexpr size_t kDeviceRange = size_t(1) << 35;

  Memory();
  Page *pageOf(uintptr_t address) const {
    return pages + (address - base) / kPage;
  }
  void prepare(Page &page, bool inBytes);

  uintptr_t base = 0;
  Page *pages = nullptr;
  size_t used[kMaxDevices] = {};
  std::map<size_t, std::vector<Allocation *>> idle[kMaxDevices];
};

} // namespace gradopt::emulator

#endif // GRADOPT_TEST_EMULATOR_MEMORY_H
