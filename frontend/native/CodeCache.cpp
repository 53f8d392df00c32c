//===- CodeCache.cpp - Object code of programs that were compiled ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CodeCache.h"

namespace gradopt::native {

CodeCache *CodeCache::shared = nullptr;

std::shared_ptr<const ObjectCode> CodeCache::find(const std::string &key) {
  std::lock_guard<std::mutex> lock(mutex);
  return findLocked(key);
}

std::shared_ptr<const ObjectCode>
CodeCache::findLocked(const std::string &key) {
  auto found = index.find(key);
  if (found == index.end())
    return nullptr;
  entries.splice(entries.end(), entries, found->second);
  return found->second->code;
}

std::shared_ptr<const ObjectCode>
CodeCache::find(const std::string &key, const std::shared_ptr<Maker> &self,
                std::shared_ptr<Maker> &maker) {
  std::lock_guard<std::mutex> lock(mutex);
  if (auto code = findLocked(key))
    return code;
  std::shared_ptr<Maker> &current = makers[key];
  if (!current || !current->isWorking())
    current = self;
  maker = current;
  return nullptr;
}

void CodeCache::finish(const std::string &key, const Maker *self,
                       std::shared_ptr<const ObjectCode> code) {
  std::lock_guard<std::mutex> lock(mutex);
  auto maker = makers.find(key);
  if (maker != makers.end() && maker->second.get() == self)
    makers.erase(maker);
  if (!code || index.count(key))
    return;
  total += code->object.size();
  entries.push_back({key, std::move(code)});
  index[key] = std::prev(entries.end());
  shrink();
}

void CodeCache::shrink() {
  while (total > limit) {
    total -= entries.front().code->object.size();
    index.erase(entries.front().key);
    entries.pop_front();
  }
}

size_t CodeCache::bytes() {
  std::lock_guard<std::mutex> lock(mutex);
  return total;
}

void CodeCache::setLimit(size_t bytes) {
  std::lock_guard<std::mutex> lock(mutex);
  limit = bytes;
  shrink();
}

} // namespace gradopt::native
