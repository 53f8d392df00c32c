//===- BundleWriter.cpp - Writing bundles ---------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/BundleWriter.h"
#include "runtime/BundleFormat.h"
#include "runtime/OpenSizes.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/SHA256.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <random>
#include <unistd.h>

using llvm::ArrayRef;
using llvm::StringRef;

namespace gradopt::bundle {

int64_t NamedArray::sizeAlong(size_t dim) const {
  for (auto [own, number] : sizes)
    if (own == dim)
      return number;
  return -1;
}

namespace {

template <typename T> void append(std::string &bytes, const T &value) {
  bytes.append(reinterpret_cast<const char *>(&value), sizeof(T));
}

void align(std::string &bytes) {
  bytes.resize(llvm::alignTo(bytes.size(), kAlignment));
}

/// Strings in one block.
class Text {
public:
  uint32_t place(StringRef text) {
    auto [it, isNew] = places.try_emplace(text, contents.size());
    if (isNew) {
      contents += text;
      std::replace(contents.begin() + it->second, contents.end(), '\0', ' ');
      contents += '\0';
    }
    return it->second;
  }

  std::string contents;

private:
  llvm::StringMap<uint32_t> places;
};

/// The record of a program, and its constants.
class RecordWriter {
public:
  explicit RecordWriter(const CompiledProgram &program) : program(program) {}

  std::string write();

  std::string constants;

private:
  void addArray(const NamedArray &array, int64_t place) {
    append(arrays,
           ArrayRecord{text.place(array.name), array.dtype,
                       uint32_t(array.shape.size()), numExtents, place});
    for (auto [dim, extent] : llvm::enumerate(array.shape)) {
      OpenSize open{0, extent};
      if (std::optional<OpenSize> found =
              program.isOpen ? findOpenSize(extent) : std::nullopt)
        open = *found;
      append(dimensions[Extent], open.more);
      append(dimensions[ExtentOfPart], open.parts);
      append(dimensions[SizeOfCall], array.sizeAlong(dim));
    }
    numExtents += array.shape.size();
  }

  const CompiledProgram &program;
  Text text;
  std::string arrays, dimensions[NumDimensionFields];
  uint32_t numExtents = 0;
};

std::string RecordWriter::write() {
  ProgramRecord record = {};
  record.arenaBytes = program.arenaBytes;
  if (program.isOpen) {
    OpenArena arena(int64_t(program.arenaBytes));
    record.arenaBytes = arena.known;
    record.arenaBytesPerPart = arena.perPart;
    record.leastRoom = program.leastRoom;
  }
  record.name = text.place(program.name);
  record.numArguments = program.arguments.size();
  record.numConstants = program.constants.size();
  record.numResults = program.results.size();
  record.numChecks = program.checks.size();
  for (const NamedArray &array : program.arguments)
    addArray(array, -1);
  for (const NamedArray &array : program.constants) {
    align(constants);
    addArray(array, constants.size());
    constants += array.elements;
  }
  for (const NamedArray &array : program.results)
    addArray(array, array.reused);
  std::string checks;
  for (const NamedCheck &check : program.checks)
    append(checks,
           CheckRecord{text.place(check.message), text.place(check.error),
                       text.place(check.file), check.line});
  record.numExtents = numExtents;
  record.textSize = text.contents.size();
  std::string bytes;
  append(bytes, record);
  bytes += arrays + checks;
  for (const std::string &field : dimensions)
    bytes += field;
  return bytes + text.contents;
}

/// A file name beside `path` that nothing else has.
std::string temporaryName(const std::string &path) {
  size_t slash = path.rfind('/');
  size_t name = slash == std::string::npos ? 0 : slash + 1;
  std::random_device random;
  char suffix[20];
  std::snprintf(suffix, sizeof(suffix), ".%08x%08x", random(), random());
  return path.substr(0, name) + '.' + path.substr(name) + suffix;
}

bool writeAll(int file, StringRef contents) {
  while (!contents.empty()) {
    ssize_t written = write(file, contents.data(), contents.size());
    if (written < 0 && errno != EINTR)
      return false;
    contents = contents.drop_front(std::max<ssize_t>(written, 0));
  }
  return true;
}

} // namespace

llvm::Expected<std::string> makeBundle(ArrayRef<CompiledProgram> programs,
                                       StringRef structure) {
  std::vector<std::pair<Section, std::string>> sections;
  auto add = [&](SectionKind kind, uint32_t program, std::string contents,
                 uint32_t level = 0) {
    sections.push_back(
        {{kind, program, level, 0, 0, contents.size()}, std::move(contents)});
  };
  for (auto [number, program] : llvm::enumerate(programs)) {
    for (auto *arrays :
         {&program.arguments, &program.constants, &program.results}) {
      if (arrays->size() > kMaxArrays)
        return llvm::createStringError(
            "%s has %zu arrays of a kind; a bundle has at most %u",
            program.name.c_str(), arrays->size(), kMaxArrays);
      for (const NamedArray &array : *arrays)
        if (array.shape.size() > kMaxRank)
          return llvm::createStringError(
              "%s has more than %u dimensions, which a bundle cannot have",
              array.name.c_str(), kMaxRank);
    }
    RecordWriter record(program);
    add(Program, number, record.write());
    for (const LevelCode &code : program.code)
      add(Code, number, code.object, code.level);
    if (!program.deviceCode.empty())
      add(DeviceCode, number, program.deviceCode);
    if (!program.constants.empty())
      add(Constants, number, std::move(record.constants));
  }
  if (!structure.empty())
    add(Structure, 0, structure.str());

  std::string bytes(sizeof(Header) + sections.size() * sizeof(Section), '\0');
  for (auto [i, item] : llvm::enumerate(sections)) {
    auto &[section, contents] = item;
    align(bytes);
    section.offset = bytes.size();
    bytes += contents;
    std::memcpy(&bytes[sizeof(Header) + i * sizeof(Section)], &section,
                sizeof(section));
  }
  Header header = {};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.version = kVersion;
  header.numSections = sections.size();
  header.fileSize = bytes.size();
  header.numPrograms = programs.size();
  auto digest = llvm::SHA256::hash(
      llvm::arrayRefFromStringRef(StringRef(bytes).drop_front(sizeof(Header))));
  std::memcpy(header.sha256, digest.data(), sizeof(header.sha256));
  std::memcpy(bytes.data(), &header, sizeof(header));
  return bytes;
}

std::error_code replaceFile(const std::string &path, StringRef contents) {
  std::string temporary = temporaryName(path);
  int file =
      open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file < 0)
    return std::error_code(errno, std::generic_category());
  bool isWritten = writeAll(file, contents) && fsync(file) == 0;
  int error = isWritten ? 0 : errno;
  if (close(file) != 0 && !error)
    error = errno;
  if (!error && rename(temporary.c_str(), path.c_str()) != 0)
    error = errno;
  if (error)
    unlink(temporary.c_str());
  return std::error_code(error, std::generic_category());
}

} // namespace gradopt::bundle
