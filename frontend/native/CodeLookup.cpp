//===- CodeLookup.cpp - Code of programs that are known -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CodeLookup.h"
#include "CodeStore.h"

#include "runtime/BusySection.h"

#include <nanobind/stl/string.h>

namespace nb = nanobind;
using gradopt::runtime::BusySection;

namespace gradopt::native {

static std::string toString(const nb::bytes &bytes) {
  return std::string(bytes.c_str(), bytes.size());
}

static nb::bytes toBytes(const std::string &text) {
  return nb::bytes(text.data(), text.size());
}

/// Where there is no store, whoever compiles says why.
static std::unique_ptr<CodeStore> openStore(const std::string &path) {
  std::string message;
  return path.empty() ? nullptr : CodeStore::open(path, message);
}

static nb::object findCode(const nb::bytes &program,
                           const std::string &storePath) {
  std::string key = toString(program);
  std::shared_ptr<const ObjectCode> code;
  {
    BusySection section;
    code = CodeCache::shared->find(key);
    if (!code) {
      if (auto store = openStore(storePath))
        code = store->find(key);
      if (code)
        CodeCache::shared->finish(key, /*self=*/nullptr, code);
    }
  }
  if (!code)
    return nb::none();
  return nb::make_tuple(toBytes(code->object), code->arenaBytes);
}

static nb::bytes readNotes(const std::string &storePath,
                           const std::string &name) {
  auto store = openStore(storePath);
  return toBytes(store ? store->notes(name) : "");
}

static void addNotes(const std::string &storePath, const std::string &name,
                     const nb::bytes &text) {
  if (auto store = openStore(storePath))
    store->addNotes(name, toString(text));
}

static size_t keptCodeBytes() {
  BusySection section;
  return CodeCache::shared->bytes();
}

static void setKeptCodeLimit(size_t bytes) {
  BusySection section;
  CodeCache::shared->setLimit(bytes);
}

void bindCodeLookup(nb::module_ &module) {
  using nb::arg;
  CodeCache::shared = new CodeCache;
  module.attr("_code_cache") =
      nb::capsule(CodeCache::shared, kCodeCacheCapsule);
  module.def("find_code", &findCode, arg("program"), arg("store"),
             "The object code of a program that was compiled before, and its "
             "arena's size; or None.");
  module.def("read_notes", &readNotes, arg("store"), arg("name"),
             "What was added to notes in a store.");
  module.def("add_notes", &addNotes, arg("store"), arg("name"), arg("text"),
             "Adds to notes in a store.");
  module.def("kept_code_bytes", &keptCodeBytes,
             "Bytes of the object code that is kept in memory.");
  module.def("set_kept_code_limit", &setKeptCodeLimit, arg("bytes"),
             "Keeps no more than so many bytes of object code in memory.");
}

} // namespace gradopt::native
