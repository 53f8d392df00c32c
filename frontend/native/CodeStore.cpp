//===- CodeStore.cpp - Object code that is kept between processes ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One file for each program, under the SHA-256 of the program, the machine and
// the compiler:
//
//   the SHA-256 of the rest, the arena's size (8 bytes), the object file
//
// LLVM's pruneCache() removes those that were not used for longest; it looks at
// the times of access, and at names that begin as here.
//
//===----------------------------------------------------------------------===//

#include "CodeStore.h"

#include "runtime/Codegen.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/CachePruning.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/SHA256.h"

#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace gradopt::native {

static constexpr uint64_t kMaxBytes = uint64_t(1) << 30;
static constexpr std::chrono::hours kMaxAge(24 * 90);
static constexpr size_t kDigestSize = 32;

static std::string digest(llvm::ArrayRef<llvm::StringRef> parts) {
  llvm::SHA256 hash;
  for (llvm::StringRef part : parts)
    hash.update(part);
  auto bytes = hash.final();
  return std::string(bytes.begin(), bytes.end());
}

/// What tells the library that `address` is in from one with other contents.
static std::string libraryOf(const void *address) {
  Dl_info info;
  struct stat status;
  if (!dladdr(address, &info) || stat(info.dli_fname, &status) != 0)
    return "?";
  return llvm::join(
      llvm::ArrayRef<std::string>{info.dli_fname,
                                  std::to_string(status.st_size),
                                  std::to_string(status.st_mtim.tv_sec),
                                  std::to_string(status.st_mtim.tv_nsec)},
      " ");
}

/// All that object code depends on beside its program.
static const std::string &compilerIdentity() {
  static const std::string &identity = *[] {
    const mlir::grad::CodeTarget &host = mlir::grad::CodeTarget::host();
    const void *ours = reinterpret_cast<const void *>(&mlir::grad::emitObject);
    const void *llvms = reinterpret_cast<const void *>(&llvm::pruneCache);
    return new std::string(llvm::join(
        llvm::ArrayRef<std::string>{"1", LLVM_VERSION_STRING, host.triple,
                                    host.cpu, host.features, libraryOf(ours),
                                    libraryOf(llvms)},
        "\n"));
  }();
  return identity;
}

static std::string fileName(const std::string &program) {
  return "llvmcache-" + llvm::toHex(digest({program, compilerIdentity()}),
                                    /*LowerCase=*/true);
}

namespace {

/// A file that is closed at the end of a scope.
struct File {
  explicit File(int descriptor) : descriptor(descriptor) {}
  ~File() {
    if (descriptor >= 0)
      close(descriptor);
  }
  File(const File &) = delete;

  bool read(char *data, size_t size) const {
    while (size) {
      ssize_t count = ::read(descriptor, data, size);
      if (count < 0 && errno == EINTR)
        continue;
      if (count <= 0)
        return false;
      data += count;
      size -= size_t(count);
    }
    return true;
  }

  bool write(llvm::StringRef data) const {
    while (!data.empty()) {
      ssize_t count = ::write(descriptor, data.data(), data.size());
      if (count < 0 && errno == EINTR)
        continue;
      if (count < 0)
        return false;
      data = data.drop_front(size_t(count));
    }
    return true;
  }

  const int descriptor;
};

} // namespace

CodeStore::~CodeStore() { close(directory); }

std::unique_ptr<CodeStore> CodeStore::open(const std::string &path,
                                           std::string &message) {
  if (llvm::sys::fs::create_directories(path, /*IgnoreExisting=*/true,
                                        llvm::sys::fs::owner_all))
    return nullptr;
  int directory = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0)
    return nullptr;
  std::unique_ptr<CodeStore> store(new CodeStore(directory, path));
  struct stat status;
  if (fstat(directory, &status) != 0)
    return nullptr;
  if (status.st_uid != geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH))) {
    message = "the cache " + path +
              " is not used: expected a directory that only its owner, this "
              "user, can write to";
    return nullptr;
  }
  return store;
}

std::shared_ptr<const ObjectCode>
CodeStore::find(const std::string &program) const {
  std::string name = fileName(program);
  File file(openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status;
  if (file.descriptor < 0 || fstat(file.descriptor, &status) != 0 ||
      status.st_uid != geteuid())
    return nullptr;
  std::string content(size_t(status.st_size), '\0');
  auto made = std::make_shared<ObjectCode>();
  size_t head = kDigestSize + sizeof(made->arenaBytes);
  bool isWhole = content.size() > head &&
                 file.read(content.data(), content.size()) &&
                 digest({llvm::StringRef(content).drop_front(kDigestSize)}) ==
                     content.substr(0, kDigestSize);
  if (!isWhole) {
    unlinkat(directory, name.c_str(), 0);
    return nullptr;
  }
  std::memcpy(&made->arenaBytes, content.data() + kDigestSize,
              sizeof(made->arenaBytes));
  made->object = content.substr(head);
  // It was used, which file systems do not always note.
  const timespec times[] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
  futimens(file.descriptor, times);
  return made;
}

void CodeStore::add(const std::string &program, const ObjectCode &code) const {
  llvm::StringRef size(reinterpret_cast<const char *>(&code.arenaBytes),
                       sizeof(code.arenaBytes));
  std::string name = fileName(program);
  std::string temporary = name + "." + std::to_string(getpid()) + "." +
                          llvm::utohexstr(reinterpret_cast<uintptr_t>(&code));
  {
    File file(openat(directory, temporary.c_str(),
                     O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                     S_IRUSR | S_IWUSR));
    if (file.descriptor < 0)
      return;
    if (!file.write(digest({size, code.object})) || !file.write(size) ||
        !file.write(code.object) ||
        renameat(directory, temporary.c_str(), directory, name.c_str()) != 0) {
      unlinkat(directory, temporary.c_str(), 0);
      return;
    }
  }
  llvm::CachePruningPolicy policy;
  policy.Interval = std::chrono::seconds(60);
  policy.Expiration = kMaxAge;
  policy.MaxSizeBytes = kMaxBytes;
  llvm::pruneCache(path, policy);
}

} // namespace gradopt::native
