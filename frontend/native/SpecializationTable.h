//===- SpecializationTable.h - Signatures and their code --------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_SPECIALIZATIONTABLE_H
#define GRADOPT_NATIVE_SPECIALIZATIONTABLE_H

#include "Signature.h"
#include "Specialization.h"

namespace gradopt::native {

/// A hash table with open addressing, protected by the GIL. Entries are only
/// added, so that a lookup may run Python code that adds more of them.
class SpecializationTable {
public:
  struct Entry {
    Entry(const Signature &signature, nanobind::object specialization)
        : signature(signature), specialization(std::move(specialization)) {
      code = nanobind::inst_ptr<Specialization>(this->specialization);
    }

    StoredSignature signature;
    nanobind::object specialization;
    const Specialization *code;
  };

  /// The entry of an equal signature, or null. May set a Python error.
  const Entry *find(const Signature &signature) const;

  const Entry *insert(const Signature &signature,
                      nanobind::object specialization);

  llvm::ArrayRef<std::unique_ptr<Entry>> getEntries() const { return entries; }

  int traverse(visitproc visit, void *arg) const;

private:
  void place(Entry *entry);

  /// Oldest first.
  std::vector<std::unique_ptr<Entry>> entries;
  /// A power of two, at most half full.
  std::vector<Entry *> buckets = std::vector<Entry *>(8);
};

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_SPECIALIZATIONTABLE_H
