//===- StorePruning.cpp - Dropping what was not used for long -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The time when a file was used is its time of access, which the store sets.
// Other processes may do the same in the same directory: what one of them finds
// gone was removed by another.
//
//===----------------------------------------------------------------------===//

#include "StorePruning.h"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <dirent.h>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace gradopt::native {
namespace {

constexpr time_t kInterval = 60, kLongestUnused = time_t(90) * 24 * 60 * 60;

/// Removing a file takes some ten microseconds.
constexpr size_t kMostOldFiles = 256;

struct StoredFile {
  std::string name;
  timespec used;
  off_t size;

  bool operator<(const StoredFile &other) const {
    return used.tv_sec != other.used.tv_sec ? used.tv_sec < other.used.tv_sec
                                            : used.tv_nsec < other.used.tv_nsec;
  }
};

/// Calls `visit` with the name of each entry, until it returns false.
template <typename Visit> void forEachEntry(int directory, Visit visit) {
  // A descriptor of its own: the place in a directory belongs to what is open.
  int descriptor =
      openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (descriptor < 0)
    return;
  DIR *stream = fdopendir(descriptor);
  if (!stream) {
    close(descriptor);
    return;
  }
  while (const dirent *entry = readdir(stream))
    if (!visit(entry->d_name))
      break;
  closedir(stream);
}

/// Whether the last time was so long ago that it is to be done again, which is
/// noted.
bool isDue(int directory) {
  // What is no file is not waited for.
  int descriptor =
      openat(directory, ".pruned",
             O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
             S_IRUSR | S_IWUSR);
  if (descriptor < 0)
    return false;
  struct stat status;
  bool isDue = false;
  if (fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) &&
      status.st_uid == geteuid()) {
    time_t now = time(nullptr);
    // A file without bytes was made just now, and a time to come is a mistake.
    isDue = status.st_size == 0 || status.st_mtim.tv_sec > now ||
            status.st_mtim.tv_sec + kInterval < now;
  }
  if (isDue && pwrite(descriptor, "\n", 1, 0) < 0)
    isDue = false;
  close(descriptor);
  return isDue;
}

/// There were 64 parts, of which the first 16 are still used.
bool isOldPart(const char *name) {
  return std::strlen(name) == 2 && name[0] >= '1' && name[0] <= '3' &&
         std::strchr("0123456789abcdef", name[1]);
}

/// Removes at most so many files of a part of the store, and the part if it had
/// no more. Returns how many.
size_t removePart(int directory, const char *part, size_t most) {
  int descriptor =
      openat(directory, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (descriptor < 0)
    return 0;
  std::vector<std::string> names;
  forEachEntry(descriptor, [&](const char *name) {
    if (std::strcmp(name, ".") != 0 && std::strcmp(name, "..") != 0)
      names.emplace_back(name);
    return names.size() < most;
  });
  for (const std::string &name : names)
    unlinkat(descriptor, name.c_str(), 0);
  close(descriptor);
  unlinkat(directory, part, AT_REMOVEDIR);
  return names.size();
}

} // namespace

bool pruneDirectory(int directory, off_t limit) {
  if (!isDue(directory))
    return false;
  std::vector<StoredFile> files;
  off_t total = 0;
  forEachEntry(directory, [&](const char *name) {
    struct stat status;
    if (*name != '.' &&
        fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
      files.push_back({name, status.st_atim, status.st_size});
      total += status.st_size;
    }
    return true;
  });
  std::sort(files.begin(), files.end());
  time_t oldest = time(nullptr) - kLongestUnused;
  for (size_t i = 0; i + 1 < files.size(); ++i) {
    if (total <= limit && files[i].used.tv_sec >= oldest)
      break;
    unlinkat(directory, files[i].name.c_str(), 0);
    total -= files[i].size;
  }
  return true;
}

void pruneOldLayout(int directory) {
  constexpr char kPrefix[] = "llvmcache";
  // What is removed while entries are read may let others be left out.
  std::vector<std::string> names, parts;
  forEachEntry(directory, [&](const char *name) {
    if (std::strncmp(name, kPrefix, sizeof(kPrefix) - 1) == 0)
      names.emplace_back(name);
    else if (isOldPart(name))
      parts.emplace_back(name);
    return names.size() < kMostOldFiles;
  });
  for (const std::string &name : names)
    unlinkat(directory, name.c_str(), 0);
  size_t most = kMostOldFiles - names.size();
  for (const std::string &part : parts)
    if (most)
      most -= removePart(directory, part.c_str(), most);
}

} // namespace gradopt::native
