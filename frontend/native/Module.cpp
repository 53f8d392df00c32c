//===- Module.cpp - The Python module gradopt._gradopt --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#define GRADOPT_IMPORT_NUMPY
#include "Bundle.h"
#include "CodeLookup.h"
#include "DeviceArray.h"
#include "DeviceExchange.h"
#include "DeviceExecutable.h"
#include "Devices.h"
#include "Dispatcher.h"
#include "Donation.h"
#include "Executable.h"
#include "Runnable.h"
#include "Specialization.h"

#include "runtime/BusySection.h"
#include "runtime/OpenSizes.h"
#include "runtime/Tapes.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>

namespace nb = nanobind;
using namespace gradopt::native;

static void check(gradopt_status status) {
  if (status == GRADOPT_OK)
    return;
  setExecutionError();
  throw nb::python_error();
}

static void bindRuntime(nb::module_ &module) {
  module.attr("TAPE_BYTES") = gradopt::kTapeBytes;
  module.def(
      "set_blas",
      [](const std::string &path) { check(gradopt_set_blas(path.c_str())); },
      nb::arg("path"), "Loads the BLAS library at a path.");
  module.def("blas_path", &gradopt_blas_path,
             "Path given to the last successful set_blas, or None.");
  module.def(
      "set_blas_threads",
      [](int count) { check(gradopt_set_blas_threads(count)); },
      nb::arg("count"), "Limits the threads of the loaded BLAS.");
  module.def("alloc_count", &gradopt_alloc_count,
             "Heap allocations made by calls of compiled code so far.");
  module.def("arena_bytes", &gradopt_arena_bytes,
             "Bytes of the arenas that programs share.");
  module.def("staged_copy_count", &stagedCopyCount,
             "Arguments that had to be copied so far.");
}

static void bindOpenSizes(nb::module_ &module) {
  module.attr("OPEN_SIZE") = gradopt::kOpenSize;
  module.attr("ROOM_PARTS") = gradopt::kRoomParts;
  module.def(
      "open_size",
      [](int64_t number) -> std::optional<std::pair<int64_t, int64_t>> {
        auto size = gradopt::findOpenSize(number);
        if (!size)
          return std::nullopt;
        return std::pair(size->parts, size->more);
      },
      nb::arg("number"),
      "How many parts of the room a number stands for, and how much more.");
  module.def("is_open_size", &gradopt::isOpen, nb::arg("number"),
             "Whether a number is no size that is known.");
  module.def(
      "open_size_at",
      [](int64_t number, int64_t room) {
        auto size = gradopt::findOpenSize(number);
        return size ? size->at(room) : number;
      },
      nb::arg("number"), nb::arg("room"), "A size in a call of such a room.");
  module.def("find_room", &gradopt::findRoom, nb::arg("rows"), nb::arg("least"),
             "How many rows there is room for.");
  module.def(
      "open_arena_at",
      [](int64_t arena, int64_t room) {
        return gradopt::OpenArena(arena).at(room);
      },
      nb::arg("arena"), nb::arg("room"),
      "Bytes of temporaries in a call of such a room.");
}

NB_MODULE(_gradopt, module) {
  module.doc() = "Native core of gradopt: executables and the call path.";
  if (PyArray_ImportNumPyAPI() < 0)
    throw nb::python_error();
  // Threads that run until the process ends keep what they use.
  nb::set_leak_warnings(false);
  nb::module_::import_("atexit").attr("register")(
      nb::cpp_function(&gradopt::runtime::stopSectionsAtExit));
  bindCodeLookup(module);
  bindRuntime(module);
  bindOpenSizes(module);
  bindDonation(module);
  bindRunnable(module);
  bindExecutable(module);
  bindBundle(module);
  bindDevices(module);
  bindDeviceArray(module);
  bindDeviceExchange(module);
  bindDeviceExecutable(module);
  bindSpecialization(module);
  bindDispatcher(module);
}
