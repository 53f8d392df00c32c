//===- DeviceMemory.h - Memory of CUDA devices ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What happens on a device happens in the order of streams. Each piece of
// memory has one, its home: on it the contents were written, or were ready when
// they came here, and on it memory of ours is freed. Whoever uses the memory on
// another stream lets that wait for the home first, and the home waits for the
// other stream before the memory is freed. So nothing waits on the host, and a
// stream has to live as long as the arrays whose home it is or that were used
// on it.
//
// Memory of somebody else is given back at once if he goes on on its home. If
// he has streams that we do not know of, it lingers until all work is done.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_DEVICEMEMORY_H
#define GRADOPT_NATIVE_DEVICEMEMORY_H

#include "Numpy.h"

#include "runtime/gradopt_cuda.h"

#include <memory>
#include <string>
#include <vector>

namespace gradopt::native {

/// A stream of the driver's; null is the legacy default stream.
using Stream = void *;

/// Streams as other libraries number them: 1 is the legacy default stream, 2
/// that of the thread, the rest are handles. 0 is taken for 1.
Stream streamFromNumber(uintptr_t number);
uintptr_t streamToNumber(Stream stream);

/// Sets gradopt.errors.DeviceError: what was tried, and why it failed
/// according to the runtime.
void setDeviceError(const std::string &what);

class DeviceMemory {
public:
  /// New memory, to be used in the order of `stream`. Null if there is none,
  /// see gradopt_last_error().
  static std::shared_ptr<DeviceMemory> allocate(int32_t device, size_t bytes,
                                                Stream stream);

  /// Memory of somebody else, who keeps it as long as `owner` lives. `lingers`
  /// unless he reuses it in the order of `stream`.
  static std::shared_ptr<DeviceMemory> adopt(int32_t device, void *address,
                                             Stream stream,
                                             std::shared_ptr<void> owner,
                                             bool lingers);

  ~DeviceMemory();

  int32_t getDevice() const { return device; }
  void *getAddress() const { return address; }
  Stream getHome() const { return home; }
  /// The name of the program whose result it is; null if it is none.
  const std::string *getMaker() const { return maker.get(); }
  void setMaker(std::shared_ptr<const std::string> name) {
    maker = std::move(name);
  }

  /// Lets `stream` wait until the contents are there, and notes that it uses
  /// them. False if that failed, see gradopt_last_error().
  bool useOn(Stream stream);

  /// Notes that `stream` uses the contents, which are known to be there.
  void addUser(Stream stream);

  /// To be called when work that uses it is in `stream`: memory of somebody
  /// else is not to be reused before that is done. False if that failed.
  bool finishUseOn(Stream stream);

  /// Makes `stream` its home, where it is to be written to: that waits for all
  /// who used it. False if that failed.
  bool moveTo(Stream stream);

  /// Whether others may use it without our knowing: it is theirs, or they were
  /// given its address.
  bool isShared() const { return owner || exposed; }
  void expose() { exposed = true; }

private:
  DeviceMemory(int32_t device, void *address, Stream home,
               std::shared_ptr<void> owner, bool lingers)
      : device(device), lingers(lingers), address(address), home(home),
        owner(std::move(owner)) {}

  const int32_t device;
  const bool lingers;
  void *const address;
  Stream home;
  std::shared_ptr<void> owner;
  std::shared_ptr<const std::string> maker;
  bool exposed = false;
  /// Other streams that it was used on.
  std::vector<Stream> users;
};

/// Gives back what lingers and is not used any more.
void dropUnused();

/// The number of pieces of memory that linger.
size_t lingeringCount();

/// An owner that drops a reference in the end; it may do so without the GIL.
std::shared_ptr<void> ownerOf(PyObject *object);

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_DEVICEMEMORY_H
