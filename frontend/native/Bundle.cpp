//===- Bundle.cpp - Bundles on the call path ------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Bundle.h"
#include "DeviceExecutable.h"
#include "Executable.h"
#include "Gil.h"

#include <nanobind/stl/string.h>

#include <cstring>
#include <memory>

namespace nb = nanobind;

namespace gradopt::native {
namespace {

/// The C++ part of a Python `Bundle`.
class Bundle {
public:
  explicit Bundle(nb::bytes path) {
    gradopt_bundle *opened = nullptr;
    gradopt_status status;
    {
      GilRelease release;
      status = gradopt_bundle_open(path.c_str(), &opened);
    }
    if (status != GRADOPT_OK) {
      setExecutionError();
      throw nb::python_error();
    }
    bundle.reset(opened);
  }

  gradopt_bundle *get() const { return bundle.get(); }

  gradopt_program *program(size_t number) const {
    gradopt_program *found = gradopt_bundle_program(bundle.get(), number);
    if (!found)
      throw nb::index_error("the bundle has no such program");
    return found;
  }

private:
  struct Close {
    void operator()(gradopt_bundle *bundle) const {
      gradopt_bundle_close(bundle);
    }
  };

  std::unique_ptr<gradopt_bundle, Close> bundle;
};

/// Text of a file, which may be anything.
nb::object decode(const char *text) {
  nb::object decoded = nb::steal(
      PyUnicode_DecodeUTF8(text, Py_ssize_t(std::strlen(text)), "replace"));
  if (!decoded.is_valid())
    throw nb::python_error();
  return decoded;
}

nb::object describe(const gradopt_array_info &info) {
  nb::list shape, ofPart, sizes;
  for (int32_t d = 0; d < info.rank; ++d) {
    shape.append(info.shape[d]);
    ofPart.append(info.extents_of_part[d]);
    sizes.append(info.sizes[d]);
  }
  return nb::make_tuple(decode(info.name), info.dtype, nb::tuple(shape),
                        info.reused, nb::tuple(ofPart), nb::tuple(sizes));
}

nb::object describeProgram(const Bundle &self, size_t number) {
  const gradopt_program *program = self.program(number);
  nb::list arguments, results;
  for (size_t i = 0; i < gradopt_program_num_arguments(program); ++i)
    arguments.append(describe(*gradopt_program_argument(program, i)));
  for (size_t i = 0; i < gradopt_program_num_results(program); ++i)
    results.append(describe(*gradopt_program_result(program, i)));
  return nb::make_tuple(decode(gradopt_program_name(program)), arguments,
                        results);
}

nb::object structure(const Bundle &self) {
  size_t size;
  const char *text = gradopt_bundle_structure(self.get(), &size);
  return text ? nb::bytes(text, size) : nb::object(nb::none());
}

nb::object makeExecutable(nb::handle self, size_t number, nb::object report) {
  gradopt_program *program = nb::cast<const Bundle &>(self).program(number);
  return nb::cast(new Executable(program, nb::borrow(self), std::move(report)),
                  nb::rv_policy::take_ownership);
}

nb::object makeDeviceExecutable(nb::handle self, size_t number, int32_t device,
                                nb::object report, const std::string &name,
                                nb::handle known) {
  gradopt_program *program = nb::cast<const Bundle &>(self).program(number);
  return nb::cast(new DeviceExecutable(program, device, nb::borrow(self),
                                       std::move(report), name, known),
                  nb::rv_policy::take_ownership);
}

} // namespace

void bindBundle(nb::module_ &module) {
  nb::class_<Bundle>(module, "Bundle", "An open bundle.")
      .def(nb::init<nb::bytes>(), nb::arg("path"))
      .def_prop_ro("structure", &structure)
      .def("__len__",
           [](const Bundle &self) {
             return gradopt_bundle_num_programs(self.get());
           })
      .def("describe", &describeProgram, nb::arg("number"))
      .def("arena_bytes",
           [](const Bundle &self, size_t number) {
             return gradopt_program_arena_bytes(self.program(number),
                                                /*room=*/0);
           })
      .def("has_cpu_code",
           [](const Bundle &self, size_t number) {
             return gradopt_program_has_cpu_code(self.program(number)) != 0;
           })
      .def("has_cuda_code",
           [](const Bundle &self, size_t number) {
             return gradopt_program_has_cuda_code(self.program(number)) != 0;
           })
      .def("executable", &makeExecutable, nb::arg("number"), nb::arg("report"))
      .def("device_executable", &makeDeviceExecutable, nb::arg("number"),
           nb::arg("device"), nb::arg("report"), nb::arg("name"),
           nb::arg("known") = nb::tuple());
}

} // namespace gradopt::native
