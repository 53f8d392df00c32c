//===- CodeCache.h - Object code of programs that were compiled -*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_CODECACHE_H
#define GRADOPT_NATIVE_CODECACHE_H

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

namespace gradopt::native {

struct ObjectCode {
  std::string object;
  size_t arenaBytes = 0;
};

/// Object code by program, the least recently used dropped first. Programs are
/// traced anew more often than they differ: `grad` of a lambda in a loop, each
/// call of `jvp`, several threads at once.
///
/// Its lock is held in busy sections only, and never while a thread waits.
class CodeCache {
public:
  /// Somebody who is at work on a program.
  class Maker {
  public:
    virtual ~Maker() = default;
    /// Whether its code can still be hoped for.
    virtual bool isWorking() const = 0;
    /// Waits for the end of the work, but not for long.
    virtual void waitBriefly() = 0;
  };

  /// The one of the process, which the extension `_gradopt` makes and shares
  /// with `_compiler`; never destroyed.
  static CodeCache *shared;

  /// The code for `key` if there is any, else whoever is at work on it. If that
  /// is nobody, `self` is from now on.
  std::shared_ptr<const ObjectCode> find(const std::string &key,
                                         const std::shared_ptr<Maker> &self,
                                         std::shared_ptr<Maker> &maker);

  /// The code for `key`, whoever made it; null if there is none.
  std::shared_ptr<const ObjectCode> find(const std::string &key);

  /// There is code for `key` now, or none if it is null, and `self` is no
  /// longer at work on it.
  void finish(const std::string &key, const Maker *self,
              std::shared_ptr<const ObjectCode> code);

  size_t bytes();
  void setLimit(size_t bytes);

private:
  struct Entry {
    std::string key;
    std::shared_ptr<const ObjectCode> code;
  };

  std::shared_ptr<const ObjectCode> findLocked(const std::string &key);
  void shrink();

  std::mutex mutex;
  /// The least recently used first.
  std::list<Entry> entries;
  std::unordered_map<std::string, std::list<Entry>::iterator> index;
  std::unordered_map<std::string, std::shared_ptr<Maker>> makers;
  size_t total = 0, limit = size_t(32) << 20;
};

/// The Python capsule with `CodeCache::shared`, by its full name.
constexpr const char *kCodeCacheCapsule = "gradopt._gradopt._code_cache";

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_CODECACHE_H
