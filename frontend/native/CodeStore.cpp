//===- CodeStore.cpp - Object code that is kept between processes ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One file for each program, under the SHA-256 of the program, the machine and
// the version of the dialect, in one of 16 directories, as its first bits say:
//
//   the SHA-256 of the rest, the arena's size and the size of what follows
//   (8 bytes each), the libraries that made it, the object file
//
// Nothing here needs LLVM, which a process that finds all of its code does not
// load. So the version of LLVM is among the libraries.
//
// Each of these directories has its part of all bytes that are kept, so whoever
// adds a file looks at no more than the files beside it, some 4,000 if the
// store is full. A part is some times as large as the largest programs, which
// would drive out all others.
//
//===----------------------------------------------------------------------===//

#include "CodeStore.h"
#include "StorePruning.h"

#include "runtime/Sha256.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace gradopt::native {

static constexpr size_t kDigestSize = runtime::kSha256Size;
/// Kinds of files.
static constexpr const char *kCode = "code-", *kNotes = "notes-";

/// Bytes of the whole store, and in how many directories they are.
static constexpr off_t kMostBytes = off_t(1) << 30;
static constexpr unsigned kNumBuckets = 16;

/// Notes of more bytes are begun anew.
static constexpr off_t kMostNotes = off_t(1) << 20;

static std::string digest(const char *data, size_t size) {
  uint8_t bytes[kDigestSize];
  runtime::sha256(data, size, bytes);
  return std::string(bytes, bytes + kDigestSize);
}

static std::string digest(const std::string &data) {
  return digest(data.data(), data.size());
}

//===----------------------------------------------------------------------===//
// What code depends on
//===----------------------------------------------------------------------===//

/// What tells a file from one with other contents, and its path; a line.
static std::string versionOf(const std::string &path) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0)
    return "? " + path + "\n";
  return std::to_string(status.st_size) + " " +
         std::to_string(status.st_mtim.tv_sec) + " " +
         std::to_string(status.st_mtim.tv_nsec) + " " + path + "\n";
}

/// The file that an address is in; empty if that is not known.
static std::string fileOf(const void *address) {
  Dl_info info;
  return dladdr(address, &info) ? info.dli_fname : "";
}

/// Whether the files of these lines are as they were.
static bool areUnchanged(const std::string &lines) {
  for (size_t begin = 0; begin < lines.size();) {
    size_t end = lines.find('\n', begin) + 1;
    size_t path = begin;
    for (int field = 0; field < 3; ++field)
      path = lines.find(' ', path) + 1;
    if (end == 0 || path == 0 || path >= end)
      return false;
    std::string line = lines.substr(begin, end - begin);
    if (versionOf(lines.substr(path, end - 1 - path)) != line)
      return false;
    begin = end;
  }
  return true;
}

/// What the kernel says of the first CPU that makes a difference to code; empty
/// if it says nothing.
static std::string describeCpu() {
  FILE *file = std::fopen("/proc/cpuinfo", "re");
  if (!file)
    return "";
  std::string text;
  char *line = nullptr;
  size_t room = 0;
  while (getline(&line, &room, file) > 1)
    for (const char *field :
         {"vendor_id", "cpu family", "model", "stepping", "flags"})
      if (std::strncmp(line, field, std::strlen(field)) == 0)
        text += line;
  std::free(line);
  std::fclose(file);
  return text;
}

/// The machine and the version of the dialect; empty if they are not known.
static const std::string &thisIdentity() {
  static const std::string &identity = *[] {
    auto *text = new std::string;
    std::string cpu = describeCpu();
    std::string self = fileOf(reinterpret_cast<const void *>(&thisIdentity));
    size_t name = self.rfind('/') + 1;
    if (!cpu.empty() && name)
      *text = "2\n" + cpu + versionOf(self.substr(0, name) + "libGradOpt.so");
    return text;
  }();
  return identity;
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

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

  bool write(const std::string &text) const {
    const char *data = text.data();
    for (size_t size = text.size(); size;) {
      ssize_t count = ::write(descriptor, data, size);
      if (count < 0 && errno == EINTR)
        continue;
      if (count < 0)
        return false;
      data += count;
      size -= size_t(count);
    }
    return true;
  }

  /// Its size, if it is a file of this user; else negative.
  off_t ownSize() const {
    struct stat status;
    if (descriptor < 0 || fstat(descriptor, &status) != 0 ||
        !S_ISREG(status.st_mode) || status.st_uid != geteuid())
      return -1;
    return status.st_size;
  }

  const int descriptor;
};

/// Makes a directory, and those that it is in.
bool makeDirectories(const std::string &path) {
  if (mkdir(path.c_str(), S_IRWXU) == 0 || errno == EEXIST)
    return true;
  size_t name = path.rfind('/');
  return errno == ENOENT && name != std::string::npos && name > 0 &&
         makeDirectories(path.substr(0, name)) &&
         (mkdir(path.c_str(), S_IRWXU) == 0 || errno == EEXIST);
}

std::string bytesOf(uint64_t number) {
  return std::string(reinterpret_cast<const char *>(&number), sizeof(number));
}

uint64_t numberAt(const std::string &bytes, size_t offset) {
  uint64_t number;
  std::memcpy(&number, bytes.data() + offset, sizeof(number));
  return number;
}

/// Two digits.
std::string hexadecimal(uint8_t byte) {
  constexpr char kDigits[] = "0123456789abcdef";
  return {kDigits[byte >> 4], kDigits[byte & 15]};
}

/// Whether a directory is this user's, and nobody else can write to it.
bool isOwn(int directory) {
  struct stat status;
  return fstat(directory, &status) == 0 && status.st_uid == geteuid() &&
         !(status.st_mode & (S_IWGRP | S_IWOTH));
}

} // namespace

CodeStore::~CodeStore() { close(directory); }

std::unique_ptr<CodeStore> CodeStore::open(const std::string &path,
                                           std::string &message) {
  auto refuse = [&](const char *why) {
    message = "the cache " + path + " is not used: " + why;
    return nullptr;
  };
  if (thisIdentity().empty())
    return refuse("nothing tells this machine and version from others");
  if (!makeDirectories(path))
    return refuse(std::strerror(errno));
  int directory = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0)
    return refuse(std::strerror(errno));
  std::unique_ptr<CodeStore> store(new CodeStore(directory, thisIdentity()));
  if (isOwn(directory))
    return store;
  return refuse("expected a directory that only its owner, this user, can "
                "write to");
}

/// A directory of the store, and the name of a file in it, which may be there.
struct CodeStore::Place {
  Place(int bucket, std::string name) : bucket(bucket), name(std::move(name)) {}

  File open(int flags) const { return openAs(name, flags); }
  File openAs(const std::string &other, int flags) const {
    // What is no file is not waited for.
    flags |= O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    return File(bucket.descriptor < 0 ? -1
                                      : openat(bucket.descriptor, other.c_str(),
                                               flags, S_IRUSR | S_IWUSR));
  }

  const File bucket;
  const std::string name;
};

CodeStore::Place CodeStore::placeOf(const char *kind, const std::string &name,
                                    bool makesBucket) const {
  std::string text = digest(name + identity);
  std::string bucket = hexadecimal(uint8_t(text[0]) % kNumBuckets);
  if (makesBucket)
    mkdirat(directory, bucket.c_str(), S_IRWXU);
  int descriptor = openat(directory, bucket.c_str(),
                          O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (descriptor >= 0 && !isOwn(descriptor)) {
    close(descriptor);
    descriptor = -1;
  }
  std::string file = kind;
  for (char byte : text)
    file += hexadecimal(uint8_t(byte));
  return Place(descriptor, std::move(file));
}

std::shared_ptr<const ObjectCode>
CodeStore::find(const std::string &program) const {
  Place place = placeOf(kCode, program, /*makesBucket=*/false);
  File file = place.open(O_RDONLY);
  off_t size = file.ownSize();
  if (size < 0)
    return nullptr;
  std::string content(size_t(size), '\0');
  size_t head = kDigestSize + 2 * sizeof(uint64_t);
  bool isWhole =
      content.size() > head && file.read(content.data(), content.size()) &&
      digest(content.data() + kDigestSize, content.size() - kDigestSize) ==
          content.substr(0, kDigestSize);
  if (!isWhole) {
    unlinkat(place.bucket.descriptor, place.name.c_str(), 0);
    return nullptr;
  }
  auto made = std::make_shared<ObjectCode>();
  made->arenaBytes = numberAt(content, kDigestSize);
  size_t lines = numberAt(content, kDigestSize + sizeof(uint64_t));
  if (lines > content.size() - head ||
      !areUnchanged(content.substr(head, lines)))
    return nullptr;
  made->object = content.substr(head + lines);
  // It was used, which file systems do not always note.
  const timespec times[] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
  futimens(file.descriptor, times);
  return made;
}

void CodeStore::add(const std::string &program, const ObjectCode &code,
                    std::initializer_list<const void *> libraries) const {
  std::string lines;
  for (const void *address : libraries)
    lines += versionOf(fileOf(address));
  std::string rest =
      bytesOf(code.arenaBytes) + bytesOf(lines.size()) + lines + code.object;
  Place place = placeOf(kCode, program, /*makesBucket=*/true);
  int bucket = place.bucket.descriptor;
  std::string temporary = place.name + "." + std::to_string(getpid()) + "." +
                          std::to_string(reinterpret_cast<uintptr_t>(&code));
  {
    File file = place.openAs(temporary, O_WRONLY | O_CREAT | O_EXCL);
    if (file.descriptor < 0)
      return;
    if (!file.write(digest(rest)) || !file.write(rest) ||
        renameat(bucket, temporary.c_str(), bucket, place.name.c_str()) != 0)
      unlinkat(bucket, temporary.c_str(), 0);
  }
  if (pruneDirectory(bucket, kMostBytes / kNumBuckets))
    pruneOldLayout(directory);
}

std::string CodeStore::notes(const std::string &name) const {
  File file = placeOf(kNotes, name, /*makesBucket=*/false).open(O_RDONLY);
  off_t size = file.ownSize();
  std::string text(size_t(std::max(size, off_t(0))), '\0');
  return file.read(text.data(), text.size()) ? text : "";
}

void CodeStore::addNotes(const std::string &name,
                         const std::string &text) const {
  File file = placeOf(kNotes, name, /*makesBucket=*/true)
                  .open(O_WRONLY | O_APPEND | O_CREAT);
  off_t size = file.ownSize();
  if (size < 0 || (size > kMostNotes && ftruncate(file.descriptor, 0) != 0))
    return;
  file.write(text);
}

} // namespace gradopt::native
