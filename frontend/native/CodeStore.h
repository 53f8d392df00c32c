//===- CodeStore.h - Object code that is kept between processes -*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_CODESTORE_H
#define GRADOPT_NATIVE_CODESTORE_H

#include "CodeCache.h"

#include <initializer_list>
#include <memory>
#include <string>
#include <utility>

namespace gradopt::native {

/// A directory with the object code of programs, for this machine and this
/// version of this package. Processes may use it at the same time: a file
/// appears under its name when it is complete. What is damaged is not there.
///
/// Its code is run, so it is used only if nobody but the user, and root, can
/// have written it.
class CodeStore {
public:
  CodeStore(const CodeStore &) = delete;
  CodeStore &operator=(const CodeStore &) = delete;
  ~CodeStore();

  /// Opens the directory, and makes it if it is not there. Without a store,
  /// `message` says why.
  static std::unique_ptr<CodeStore> open(const std::string &path,
                                         std::string &message);

  /// The code of the program with this SHA-256; null if it is not there.
  std::shared_ptr<const ObjectCode> find(const std::string &program) const;

  /// Keeps the code for as long as the libraries that made it stay as they are,
  /// which is told by addresses in them. Without room for it, or a right to,
  /// nothing happens. Of what was kept before, some that was not used for long
  /// is dropped.
  void add(const std::string &program, const ObjectCode &code,
           std::initializer_list<const void *> libraries) const;

  /// What was added under a name; a process that was killed may have added a
  /// part.
  std::string notes(const std::string &name) const;
  void addNotes(const std::string &name, const std::string &text) const;

private:
  struct Place;
  Place placeOf(const char *kind, const std::string &name,
                bool makesBucket) const;

  CodeStore(int directory, std::string identity)
      : directory(directory), identity(std::move(identity)) {}

  const int directory;
  const std::string identity;
};

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_CODESTORE_H
