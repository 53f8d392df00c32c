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

/// A hash table with open addressing, protected by the GIL. A lookup may run
/// Python code that adds entries, and the least recently used one gives way to
/// a new one where there are too many.
class SpecializationTable {
public:
  /// At most so many entries; 1 or more.
  void setLimit(size_t number) { limit = number; }

  /// The specialization for an equal signature, or nothing. May set a Python
  /// error.
  nanobind::object find(const Signature &signature);

  /// Adds one, unless there is one for an equal signature, or the table was
  /// cleared since its age was `since`. May set a Python error.
  void insert(const Signature &signature, nanobind::object specialization,
              uint64_t since);

  /// How often it was cleared.
  uint64_t getAge() const { return age; }

  void clear();

  size_t size() const { return entries.size(); }

  /// All specializations, oldest first. May set a Python error.
  nanobind::object values() const;

  int traverse(visitproc visit, void *arg) const;

private:
  struct Entry {
    Entry(const Signature &signature, nanobind::object specialization)
        : signature(signature), specialization(std::move(specialization)) {}

    StoredSignature signature;
    nanobind::object specialization;
    uint64_t lastUse = 0;
  };
  using OwnedEntry = std::unique_ptr<Entry>;

  void place(Entry *entry);
  /// Takes the least recently used entry out.
  OwnedEntry evict();

  size_t limit = 1;
  /// Oldest first.
  std::vector<OwnedEntry> entries;
  /// A power of two, at most half full.
  std::vector<Entry *> buckets = std::vector<Entry *>(8);
  uint64_t clock = 0, age = 0;
  /// What the last lookup found: most calls are like the one before.
  Entry *last = nullptr;
  /// Lookups that have not come to their end, and entries that they may look
  /// at although they were taken out.
  unsigned lookups = 0;
  std::vector<OwnedEntry> retired;
};

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_SPECIALIZATIONTABLE_H
