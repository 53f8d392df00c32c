//===- DeviceMemory.cpp - Memory of CUDA devices --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DeviceMemory.h"
#include "Gil.h"

#include <algorithm>
#include <deque>
#include <mutex>

namespace nb = nanobind;

namespace gradopt::native {

static constexpr uintptr_t kLegacyStream = 1;

Stream streamFromNumber(uintptr_t number) {
  return number == kLegacyStream ? nullptr : reinterpret_cast<Stream>(number);
}

uintptr_t streamToNumber(Stream stream) {
  return stream ? reinterpret_cast<uintptr_t>(stream) : kLegacyStream;
}

void setDeviceError(const std::string &what) {
  std::string text = what + ": " + gradopt_last_error();
  nb::object message = nb::steal(
      PyUnicode_DecodeUTF8(text.data(), Py_ssize_t(text.size()), "replace"));
  if (!message.is_valid())
    return;
  nb::object errors = nb::steal(
      callPython([] { return PyImport_ImportModule("gradopt.errors"); }));
  if (!errors.is_valid())
    return;
  nb::object type =
      nb::steal(PyObject_GetAttrString(errors.ptr(), "DeviceError"));
  if (type.is_valid())
    PyErr_SetObject(type.ptr(), message.ptr());
}

std::shared_ptr<DeviceMemory>
DeviceMemory::allocate(int32_t device, size_t bytes, Stream stream) {
  void *address = nullptr;
  if (bytes &&
      gradopt_cuda_allocate(device, bytes, stream, &address) != GRADOPT_OK)
    return nullptr;
  return std::shared_ptr<DeviceMemory>(
      new DeviceMemory(device, address, stream, nullptr, /*lingers=*/false));
}

std::shared_ptr<DeviceMemory> DeviceMemory::adopt(int32_t device, void *address,
                                                  Stream stream,
                                                  std::shared_ptr<void> owner,
                                                  bool lingers) {
  return std::shared_ptr<DeviceMemory>(
      new DeviceMemory(device, address, stream, std::move(owner), lingers));
}

namespace {

/// Memory of somebody else that work may be using.
struct Lingering {
  std::shared_ptr<void> owner;
  int32_t device;
  /// Of the runtime.
  std::vector<void *> marks;

  bool isUsed() {
    while (!marks.empty()) {
      int32_t done = 0;
      // A failure loses the mark, too.
      if (gradopt_cuda_is_done(device, marks.back(), &done) == GRADOPT_OK &&
          !done)
        return true;
      marks.pop_back();
    }
    return false;
  }
};

std::mutex lingeringMutex;
/// Oldest first.
std::deque<Lingering> &lingering = *new std::deque<Lingering>;

} // namespace

void dropUnused() {
  std::vector<Lingering> dropped;
  std::lock_guard<std::mutex> lock(lingeringMutex);
  // Those behind one that is still used are mostly used as well.
  while (!lingering.empty() && !lingering.front().isUsed()) {
    dropped.push_back(std::move(lingering.front()));
    lingering.pop_front();
  }
}

size_t lingeringCount() {
  std::lock_guard<std::mutex> lock(lingeringMutex);
  return lingering.size();
}

DeviceMemory::~DeviceMemory() {
  if (!address)
    return;
  // Nobody can be told of a failure. Where there is one, the device is lost.
  if (lingers) {
    users.push_back(home);
    Lingering kept{std::move(owner), device, {}};
    for (Stream user : users) {
      void *mark = nullptr;
      if (gradopt_cuda_mark(device, user, &mark) == GRADOPT_OK)
        kept.marks.push_back(mark);
    }
    std::lock_guard<std::mutex> lock(lingeringMutex);
    lingering.push_back(std::move(kept));
    return;
  }
  for (Stream user : users)
    (void)gradopt_cuda_wait(device, home, user);
  if (!owner)
    (void)gradopt_cuda_free(device, address, home);
}

void DeviceMemory::addUser(Stream stream) {
  if (stream != home &&
      std::find(users.begin(), users.end(), stream) == users.end())
    users.push_back(stream);
}

bool DeviceMemory::useOn(Stream stream) {
  addUser(stream);
  return stream == home ||
         gradopt_cuda_wait(device, stream, home) == GRADOPT_OK;
}

bool DeviceMemory::finishUseOn(Stream stream) {
  return !owner || stream == home ||
         gradopt_cuda_wait(device, home, stream) == GRADOPT_OK;
}

bool DeviceMemory::moveTo(Stream stream) {
  users.push_back(home);
  for (Stream user : users)
    if (user != stream && gradopt_cuda_wait(device, stream, user) != GRADOPT_OK)
      return false;
  users.clear();
  home = stream;
  return true;
}

std::shared_ptr<void> ownerOf(PyObject *object) {
  return {Py_NewRef(object), [](void *kept) {
            // The memory goes with the process.
            if (!Py_IsInitialized())
              return;
            PyGILState_STATE state =
                callPython([] { return PyGILState_Ensure(); });
            Py_DECREF(static_cast<PyObject *>(kept));
            PyGILState_Release(state);
          }};
}

} // namespace gradopt::native
