//===- SpecializationTable.cpp - Signatures and their code ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SpecializationTable.h"

#include <algorithm>
#include <iterator>

namespace nb = nanobind;

namespace gradopt::native {

nb::object SpecializationTable::find(const Signature &signature) {
  if (last && last->signature.isIdentical(signature)) {
    last->lastUse = ++clock;
    return last->specialization;
  }
  Entry *found = nullptr;
  nb::object specialization;
  uint64_t hash = signature.getHash();
  ++lookups;
  // The size is read again in each step: a comparison may have added entries,
  // which then at worst hide one.
  for (size_t i = hash;; ++i) {
    Entry *entry = buckets[i & (buckets.size() - 1)];
    if (!entry)
      break;
    int equal = entry->signature.getHash() == hash
                    ? entry->signature.equals(signature)
                    : 0;
    if (equal > 0) {
      found = entry;
      found->lastUse = ++clock;
      specialization = found->specialization;
    }
    if (equal)
      break;
  }
  // An entry that is retired is none that a call may find.
  last = retired.empty() ? found : nullptr;
  if (--lookups == 0 && !retired.empty()) {
    // What goes with an entry may run Python code that comes back here.
    std::vector<OwnedEntry> dropped = std::exchange(retired, {});
  }
  return specialization;
}

void SpecializationTable::place(Entry *entry) {
  size_t i = entry->signature.getHash();
  while (buckets[i & (buckets.size() - 1)])
    ++i;
  buckets[i & (buckets.size() - 1)] = entry;
}

SpecializationTable::OwnedEntry SpecializationTable::evict() {
  auto oldest = std::min_element(entries.begin(), entries.end(),
                                 [](const OwnedEntry &a, const OwnedEntry &b) {
                                   return a->lastUse < b->lastUse;
                                 });
  OwnedEntry entry = std::move(*oldest);
  entries.erase(oldest);
  return entry;
}

void SpecializationTable::insert(const Signature &signature,
                                 nb::object specialization, uint64_t since) {
  if (find(signature).is_valid() || PyErr_Occurred() || since != age)
    return;
  last = nullptr;
  std::vector<OwnedEntry> dropped;
  while (entries.size() >= limit)
    (lookups ? retired : dropped).push_back(evict());
  entries.push_back(
      std::make_unique<Entry>(signature, std::move(specialization)));
  entries.back()->lastUse = ++clock;
  size_t size = buckets.size();
  while (2 * entries.size() > size)
    size *= 2;
  buckets.assign(size, nullptr);
  for (const OwnedEntry &entry : entries)
    place(entry.get());
}

void SpecializationTable::clear() {
  ++age;
  last = nullptr;
  std::vector<OwnedEntry> dropped = std::exchange(entries, {});
  buckets.assign(buckets.size(), nullptr);
  if (lookups)
    std::move(dropped.begin(), dropped.end(), std::back_inserter(retired));
}

nb::object SpecializationTable::values() const {
  nb::object list = nb::steal(PyList_New(0));
  for (const OwnedEntry &entry : entries)
    if (!list.is_valid() ||
        PyList_Append(list.ptr(), entry->specialization.ptr()) < 0)
      return nb::object();
  return list;
}

int SpecializationTable::traverse(visitproc visit, void *arg) const {
  for (const std::vector<OwnedEntry> *group : {&entries, &retired})
    for (const OwnedEntry &entry : *group) {
      Py_VISIT(entry->specialization.ptr());
      if (int status = entry->signature.traverse(visit, arg))
        return status;
    }
  return 0;
}

} // namespace gradopt::native
