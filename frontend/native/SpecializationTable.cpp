//===- SpecializationTable.cpp - Signatures and their code ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SpecializationTable.h"

namespace gradopt::native {

const SpecializationTable::Entry *
SpecializationTable::find(const Signature &signature) const {
  // The size is read again in each step: a comparison may have added entries,
  // which then at worst hide one.
  for (size_t i = signature.getHash();; ++i) {
    const Entry *entry = buckets[i & (buckets.size() - 1)];
    if (!entry)
      return nullptr;
    int equal = entry->signature.equals(signature);
    if (equal)
      return equal > 0 ? entry : nullptr;
  }
}

void SpecializationTable::place(Entry *entry) {
  size_t i = entry->signature.getHash();
  while (buckets[i & (buckets.size() - 1)])
    ++i;
  buckets[i & (buckets.size() - 1)] = entry;
}

const SpecializationTable::Entry *
SpecializationTable::insert(const Signature &signature,
                            nanobind::object specialization) {
  entries.push_back(
      std::make_unique<Entry>(signature, std::move(specialization)));
  if (2 * entries.size() > buckets.size()) {
    buckets.assign(2 * buckets.size(), nullptr);
    for (const std::unique_ptr<Entry> &entry : entries)
      place(entry.get());
  } else {
    place(entries.back().get());
  }
  return entries.back().get();
}

int SpecializationTable::traverse(visitproc visit, void *arg) const {
  for (const std::unique_ptr<Entry> &entry : entries) {
    Py_VISIT(entry->specialization.ptr());
    if (int status = entry->signature.traverse(visit, arg))
      return status;
  }
  return 0;
}

} // namespace gradopt::native
