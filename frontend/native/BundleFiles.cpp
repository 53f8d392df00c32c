//===- BundleFiles.cpp - Writing bundles from Python ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BundleFiles.h"
#include "Gil.h"

#include "runtime/BundleWriter.h"
#include "runtime/DeviceAssembler.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

namespace nb = nanobind;
using namespace gradopt::bundle;

namespace gradopt::native {
namespace {

using Shape = std::vector<int64_t>;
/// Dimensions, and the numbers of the arguments or results that are their
/// sizes.
using Sizes = std::vector<std::pair<uint32_t, int64_t>>;
using Argument = std::tuple<std::string, uint32_t, Shape, Sizes>;
using Result = std::tuple<std::string, uint32_t, Shape, int64_t, Sizes>;
using Constant = std::tuple<uint32_t, Shape, nb::bytes>;
using CheckTuple = std::tuple<std::string, std::string, std::string, uint32_t>;
using CodeTuple = std::tuple<uint32_t, nb::bytes>;

llvm::StringRef view(const nb::bytes &bytes) {
  return llvm::StringRef(bytes.c_str(), bytes.size());
}

/// A program, and what its constants refer to.
struct BundleProgram {
  CompiledProgram program;
  std::vector<nb::bytes> elements;
};

BundleProgram *makeProgram(const std::string &name, uint64_t arenaBytes,
                           const std::vector<Argument> &arguments,
                           const std::vector<Constant> &constants,
                           const std::vector<Result> &results,
                           const std::vector<CheckTuple> &checks,
                           const std::vector<CodeTuple> &code,
                           const nb::bytes &deviceCode,
                           std::optional<int64_t> leastRoom) {
  auto made = std::make_unique<BundleProgram>();
  CompiledProgram &program = made->program;
  program.name = name;
  program.arenaBytes = arenaBytes;
  program.isOpen = leastRoom.has_value();
  program.leastRoom = leastRoom.value_or(0);
  auto check = [](const Sizes &sizes, size_t count) {
    for (auto [dim, number] : sizes)
      if (number < 0 || size_t(number) >= count)
        throw nb::value_error("a size has no such number");
  };
  for (auto &[path, dtype, shape, sizes] : arguments) {
    check(sizes, arguments.size());
    program.arguments.push_back({path, dtype, shape, -1, {}, sizes});
  }
  for (auto &[dtype, shape, elements] : constants) {
    made->elements.push_back(elements);
    program.constants.push_back({"constant", dtype, shape, -1, view(elements)});
  }
  for (auto &[path, dtype, shape, reused, sizes] : results) {
    check(sizes, results.size());
    if (reused < -1 || reused >= int64_t(arguments.size()))
      throw nb::value_error("a result is in the memory of no argument");
    program.results.push_back({path, dtype, shape, reused, {}, sizes});
  }
  for (auto &[message, error, file, line] : checks)
    program.checks.push_back({message, error, file, line});
  for (auto &[level, object] : code)
    program.code.push_back({level, view(object).str()});
  program.deviceCode = view(deviceCode).str();
  return made.release();
}

std::vector<CompiledProgram>
takePrograms(const std::vector<const BundleProgram *> &made) {
  std::vector<CompiledProgram> programs;
  for (const BundleProgram *program : made)
    programs.push_back(program->program);
  return programs;
}

void write(const nb::bytes &path, llvm::StringRef contents) {
  std::string name = view(path).str();
  std::error_code error;
  {
    GilRelease release;
    error = replaceFile(name, contents);
  }
  if (!error)
    return;
  errno = error.value();
  PyErr_SetFromErrnoWithFilename(PyExc_OSError, name.c_str());
  throw nb::python_error();
}

void writeBundle(const nb::bytes &path,
                 const std::vector<const BundleProgram *> &programs,
                 const std::string &structure) {
  auto contents = makeBundle(takePrograms(programs), structure);
  if (!contents)
    throw nb::value_error(llvm::toString(contents.takeError()).c_str());
  write(path, *contents);
}

void writeHeader(const nb::bytes &path, const std::string &bundle,
                 const std::vector<const BundleProgram *> &programs) {
  write(path, makeHeader(bundle, takePrograms(programs)));
}

nb::bytes assembleProgram(const nb::bytes &program,
                          const std::string &assembler) {
  llvm::Expected<std::string> assembled = std::string();
  {
    GilRelease release;
    assembled = mlir::grad::assembleDeviceProgram(view(program), assembler);
  }
  if (!assembled)
    throw nb::value_error(llvm::toString(assembled.takeError()).c_str());
  return nb::bytes(assembled->data(), assembled->size());
}

} // namespace

void bindBundleFiles(nb::module_ &module) {
  using nb::arg;
  nb::class_<BundleProgram>(module, "BundleProgram",
                            "A compiled program, to be written to a bundle.")
      .def(nb::new_(&makeProgram), arg("name"), arg("arena_bytes"),
           arg("arguments"), arg("constants"), arg("results"), arg("checks"),
           arg("code"), arg("device_code") = nb::bytes(""),
           arg("least_room") = nb::none());
  module.def("assemble", &assembleProgram, arg("program"), arg("assembler"),
             "A program for GPUs with machine code.");
  module.def("write_bundle", &writeBundle, arg("path"), arg("programs"),
             arg("structure"), "Writes a bundle.");
  module.def("write_header", &writeHeader, arg("path"), arg("bundle"),
             arg("programs"), "Writes a C header for a bundle.");
}

} // namespace gradopt::native
