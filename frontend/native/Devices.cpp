//===- Devices.cpp - The CUDA devices of this machine ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Devices.h"
#include "DeviceMemory.h"
#include "Gil.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

namespace nb = nanobind;

namespace gradopt::native {

/// Runs `body` without the GIL; throws a DeviceError if it fails.
template <typename Body> static void check(const std::string &what, Body body) {
  gradopt_status status;
  {
    GilRelease release;
    status = body();
  }
  if (status == GRADOPT_OK)
    return;
  setDeviceError(what);
  throw nb::python_error();
}

static int32_t deviceCount() {
  int32_t count = 0;
  // Looking for the driver takes a while.
  check("looking for CUDA devices",
        [&] { return gradopt_cuda_device_count(&count); });
  return count;
}

static gradopt_cuda_device_info deviceInfo(int32_t device) {
  gradopt_cuda_device_info info = {};
  check("looking for CUDA device " + std::to_string(device),
        [&] { return gradopt_cuda_get_device_info(device, &info); });
  return info;
}

static std::vector<std::string> libraryProblems(int32_t device) {
  std::vector<std::string> problems;
  for (auto library :
       {GRADOPT_CUDA_BLAS, GRADOPT_CUDA_FOURIER, GRADOPT_CUDA_SOLVER}) {
    char words[512] = {};
    check("looking for CUDA device " + std::to_string(device), [&] {
      return gradopt_cuda_library_problem(device, library, words,
                                          sizeof(words));
    });
    if (*words)
      problems.push_back(words);
  }
  return problems;
}

void bindDevices(nb::module_ &module) {
  using Info = gradopt_cuda_device_info;
  nb::class_<Info>(module, "DeviceInfo",
                   "A CUDA device, as its driver describes it.")
      .def_prop_ro("name", [](const Info &info) { return nb::str(info.name); })
      .def_ro("chip", &Info::chip)
      .def_ro("driver_version", &Info::driver_version)
      .def_ro("num_multiprocessors", &Info::num_multiprocessors)
      .def_prop_ro("is_emulated",
                   [](const Info &info) { return info.is_emulated != 0; })
      .def_ro("memory_bytes", &Info::memory_bytes);
  module.def("device_count", &deviceCount, "The number of CUDA devices.");
  module.def("device_info", &deviceInfo, nb::arg("device"),
             "What there is to know of a device.");
  module.def("lingering_count", &lingeringCount,
             "Arrays of others that nobody has any more, but work may use.");
  module.def(
      "set_driver",
      [](const std::string &path) {
        check("choosing a CUDA driver",
              [&] { return gradopt_cuda_set_driver(path.c_str()); });
      },
      nb::arg("path"),
      "Uses the driver library at a path; before the first use of a device.");
  module.def(
      "set_cublas",
      [](const std::string &path) {
        check("choosing cuBLAS",
              [&] { return gradopt_cuda_set_blas(path.c_str()); });
      },
      nb::arg("path"),
      "Uses the cuBLAS at a path; before the first program is loaded.");
  module.def(
      "set_cufft",
      [](const std::string &path) {
        check("choosing cuFFT",
              [&] { return gradopt_cuda_set_fourier(path.c_str()); });
      },
      nb::arg("path"),
      "Uses the cuFFT at a path; before the first program is loaded.");
  module.def(
      "set_cusolver",
      [](const std::string &path) {
        check("choosing cuSOLVER",
              [&] { return gradopt_cuda_set_solver(path.c_str()); });
      },
      nb::arg("path"),
      "Uses the cuSOLVER at a path; before the first program is loaded.");
  module.def("library_problems", &libraryProblems, nb::arg("device"),
             "Why programs on a device do without libraries, if they do.");
}

} // namespace gradopt::native
