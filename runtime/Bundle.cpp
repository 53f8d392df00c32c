//===- Bundle.cpp - Opening and calling bundles ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The file is mapped, constants are used where they are. Its hash tells damage
// from what was written; everything else is checked all the same, since the
// writer may be another version.
//
//===----------------------------------------------------------------------===//

#include "runtime/Bundle.h"
#include "runtime/HostBuffers.h"
#include "runtime/Loader.h"
#include "runtime/RuntimeError.h"
#include "runtime/Sha256.h"

#include <alloca.h>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <initializer_list>
#include <sys/mman.h>
#include <unistd.h>

using gradopt::runtime::Array;
using gradopt::runtime::fail;
using gradopt::runtime::itemSize;
using namespace gradopt::bundle;

namespace {

/// Closes what it holds unless somebody takes it.
struct Descriptor {
  explicit Descriptor(int number) : number(number) {}
  ~Descriptor() {
    if (number >= 0)
      close(number);
  }
  const int number;
};

} // namespace

struct gradopt_bundle {
  ~gradopt_bundle() {
    for (gradopt_program &program : programs) {
      gradopt_module_unload(program.module);
      unloadFromDevices(program);
      std::free(program.arrays);
      std::free(program.most);
      std::free(program.constants);
    }
    if (file)
      munmap(file, size);
  }

  const char *bytes() const { return static_cast<const char *>(file); }

  void *file = nullptr;
  size_t size = 0;
  Array<gradopt_program> programs;
  const char *structure = nullptr;
  size_t structureSize = 0;
};

namespace {

class Opener {
public:
  Opener(const char *path, gradopt_bundle &bundle)
      : path(path), bundle(bundle) {}

  gradopt_status run() {
    gradopt_status status = map();
    if (status == GRADOPT_OK)
      status = checkHeader();
    if (status == GRADOPT_OK)
      status = checkSections();
    for (uint32_t i = 0; status == GRADOPT_OK && i < bundle.programs.size();
         ++i)
      status = readProgram(i);
    // All of the file is known to be right before any code is loaded.
    for (uint32_t i = 0; status == GRADOPT_OK && i < bundle.programs.size();
         ++i)
      status = readDeviceCode(i);
    for (uint32_t i = 0; status == GRADOPT_OK && i < bundle.programs.size();
         ++i)
      status = loadCode(i);
    return status;
  }

private:
  gradopt_status invalid(const char *what) {
    return fail(GRADOPT_INVALID_BUNDLE, "cannot load %s: %s", path, what);
  }
  gradopt_status outOfMemory() {
    return fail(GRADOPT_OUT_OF_MEMORY, "cannot load %s: out of memory", path);
  }

  const Header &header() const {
    return *static_cast<const Header *>(bundle.file);
  }
  const Section *sections() const {
    return reinterpret_cast<const Section *>(bundle.bytes() + sizeof(Header));
  }
  /// The only section of this kind of the program; null if there is not one.
  const Section *find(SectionKind kind, uint32_t program) const;

  gradopt_status map();
  gradopt_status checkHeader();
  gradopt_status checkSections();
  gradopt_status readProgram(uint32_t number);
  gradopt_status readArrays(uint32_t number, const ProgramRecord &record,
                            const ArrayRecord *arrays, const int64_t *extents);
  gradopt_status readSizes(gradopt_program &program, size_t i);
  gradopt_status readDeviceCode(uint32_t number);
  gradopt_status loadCode(uint32_t number);

  const char *path;
  gradopt_bundle &bundle;
};

/// Whether a result can be where an argument is.
bool isInMemoryOf(const gradopt_array_info &result,
                  const gradopt_array_info &argument) {
  bool isKnown = true;
  for (const gradopt_array_info *array : {&result, &argument})
    for (int32_t d = 0; d < array->rank; ++d)
      isKnown &= array->sizes[d] < 0 && array->extents_of_part[d] == 0;
  return isKnown && result.bytes == argument.bytes;
}

/// The bytes of an array where sizes without a largest value are those that
/// stand for them in the IR, which the sizes of commands are made of.
size_t bytesInCommands(const gradopt_array_info &array) {
  size_t bytes = itemSize(array.dtype);
  for (int32_t d = 0; d < array.rank; ++d)
    bytes *=
        size_t(array.shape[d] + array.extents_of_part[d] * gradopt::kOpenPart);
  return bytes;
}

/// The highest level of x86-64 that this CPU has.
uint32_t cpuLevel() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("x86-64-v4"))
    return 4;
  if (__builtin_cpu_supports("x86-64-v3"))
    return 3;
  return __builtin_cpu_supports("x86-64-v2") ? 2 : 1;
}

} // namespace

gradopt_status Opener::map() {
  // What is no file is not waited for, and has no bytes at a place.
  Descriptor file(open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  char byte;
  if (file.number < 0 || pread(file.number, &byte, 1, 0) < 0)
    return invalid(std::strerror(errno));
  off_t size = lseek(file.number, 0, SEEK_END);
  void *memory = MAP_FAILED;
  if (size > 0)
    memory = mmap(nullptr, size_t(size), PROT_READ, MAP_PRIVATE, file.number,
                  /*offset=*/0);
  if (size != 0 && memory == MAP_FAILED)
    return invalid(std::strerror(errno));
  if (size < off_t(sizeof(Header))) {
    if (size)
      munmap(memory, size_t(size));
    return invalid("it is not a bundle of gradopt");
  }
  bundle.file = memory;
  bundle.size = size_t(size);
  return GRADOPT_OK;
}

gradopt_status Opener::checkHeader() {
  if (std::memcmp(header().magic, kMagic, sizeof(kMagic)) != 0)
    return invalid("it is not a bundle of gradopt");
  if (header().version != kVersion)
    return fail(GRADOPT_INVALID_BUNDLE,
                "cannot load %s: expected version %u of the format, but got %u",
                path, kVersion, header().version);
  if (header().fileSize != bundle.size)
    return fail(GRADOPT_INVALID_BUNDLE,
                "cannot load %s: expected %llu bytes, but got %zu", path,
                static_cast<unsigned long long>(header().fileSize),
                bundle.size);
  uint8_t digest[gradopt::runtime::kSha256Size];
  gradopt::runtime::sha256(bundle.bytes() + sizeof(Header),
                           bundle.size - sizeof(Header), digest);
  if (std::memcmp(digest, header().sha256, sizeof(digest)) != 0)
    return invalid("it is damaged: its contents have another hash");
  return GRADOPT_OK;
}

gradopt_status Opener::checkSections() {
  uint64_t room = (bundle.size - sizeof(Header)) / sizeof(Section);
  if (header().numSections > room || header().numPrograms > room)
    return invalid("its table of sections is not in the file");
  for (uint32_t i = 0; i < header().numSections; ++i) {
    const Section &section = sections()[i];
    if (section.offset % kAlignment || section.offset > bundle.size ||
        section.size > bundle.size - section.offset)
      return invalid("a section is not in the file");
    if (section.kind == Structure) {
      bundle.structure = bundle.bytes() + section.offset;
      bundle.structureSize = section.size;
    }
  }
  if (!bundle.programs.allocate(header().numPrograms))
    return outOfMemory();
  return GRADOPT_OK;
}

const Section *Opener::find(SectionKind kind, uint32_t program) const {
  const Section *found = nullptr;
  for (uint32_t i = 0; i < header().numSections; ++i)
    if (sections()[i].kind == kind && sections()[i].program == program) {
      if (found)
        return nullptr;
      found = &sections()[i];
    }
  return found;
}

gradopt_status Opener::readProgram(uint32_t number) {
  const Section *section = find(Program, number);
  if (!section || section->size < sizeof(ProgramRecord))
    return invalid("a program has no record");
  const char *begin = bundle.bytes() + section->offset;
  auto &record = *reinterpret_cast<const ProgramRecord *>(begin);
  for (uint32_t count : {record.numArguments, record.numConstants,
                         record.numResults, record.numChecks})
    if (count > kMaxArrays)
      return invalid("a program has too many arrays");
  uint64_t numArrays =
      uint64_t(record.numArguments) + record.numConstants + record.numResults;
  auto *arrays = reinterpret_cast<const ArrayRecord *>(&record + 1);
  auto *checks = reinterpret_cast<const CheckRecord *>(arrays + numArrays);
  auto *extents = reinterpret_cast<const int64_t *>(checks + record.numChecks);
  auto *text = reinterpret_cast<const char *>(
      extents + uint64_t(NumDimensionFields) * record.numExtents);
  // None of the numbers is large enough for an overflow.
  if (uint64_t(text - begin) + record.textSize != section->size)
    return invalid("a record has another size");
  if (record.textSize == 0 || text[record.textSize - 1] != 0)
    return invalid("a text has no end");
  auto isText = [&](uint32_t place) { return place < record.textSize; };
  if (!isText(record.name))
    return invalid("a name is not in the text");

  gradopt_program &program = bundle.programs[number];
  program.name = text + record.name;
  program.text = text;
  program.arenaBytes = record.arenaBytes;
  program.arenaBytesPerPart = record.arenaBytesPerPart;
  program.leastRoom = record.leastRoom;
  program.numArguments = record.numArguments;
  program.numConstants = record.numConstants;
  program.numResults = record.numResults;
  program.checks = checks;
  program.numChecks = record.numChecks;
  for (uint32_t i = 0; i < record.numChecks; ++i)
    if (!isText(checks[i].message) || !isText(checks[i].error) ||
        !isText(checks[i].file))
      return invalid("a message is not in the text");
  for (uint64_t i = 0; i < numArrays; ++i)
    if (!isText(arrays[i].name) || arrays[i].rank > kMaxRank ||
        itemSize(arrays[i].dtype) == 0 ||
        uint64_t(arrays[i].firstExtent) + arrays[i].rank > record.numExtents)
      return invalid("an array is not described");
  return readArrays(number, record, arrays, extents);
}

gradopt_status Opener::readArrays(uint32_t number, const ProgramRecord &record,
                                  const ArrayRecord *arrays,
                                  const int64_t *extents) {
  gradopt_program &program = bundle.programs[number];
  size_t count = program.numArrays();
  program.arrays = static_cast<gradopt_array_info *>(
      std::calloc(count ? count : 1, sizeof(gradopt_array_info)));
  program.constants = static_cast<const void **>(std::calloc(
      program.numConstants ? program.numConstants : 1, sizeof(void *)));
  program.most = static_cast<int64_t *>(std::calloc(
      program.numArguments ? program.numArguments : 1, sizeof(int64_t)));
  if (!program.arrays || !program.constants || !program.most)
    return outOfMemory();
  for (size_t i = 0; i < program.numArguments; ++i)
    program.most[i] = -1;
  const Section *constants = find(Constants, number);
  if (record.numConstants && !constants)
    return invalid("a program has no constants");
  for (size_t i = 0; i < count; ++i) {
    const ArrayRecord &array = arrays[i];
    gradopt_array_info &info = program.arrays[i];
    const int64_t *shape = extents + array.firstExtent;
    info = {program.text + array.name,
            int32_t(array.dtype),
            int32_t(array.rank),
            shape,
            /*bytes=*/0,
            -1,
            shape + ExtentOfPart * uint64_t(record.numExtents),
            shape + SizeOfCall * uint64_t(record.numExtents)};
  }
  for (size_t i = 0; i < count; ++i)
    if (gradopt_status status = readSizes(program, i); status != GRADOPT_OK)
      return status;
  // Nothing of a call is larger than the address space, however large it is.
  constexpr int64_t kMostBytes = int64_t(1) << 47;
  if (program.isOpen &&
      (program.leastRoom < 0 || program.leastRoom > kMostElements ||
       program.arenaBytes > kMostBytes ||
       program.arenaBytesPerPart > kMostBytes))
    return invalid("the room of calls is not described");
  if (!program.isOpen && (program.leastRoom || program.arenaBytesPerPart))
    return invalid("there is room for no size");
  int64_t least = program.isOpen ? gradopt::findRoom(0, program.leastRoom) : 0;
  for (size_t i = 0; i < count; ++i) {
    const ArrayRecord &array = arrays[i];
    gradopt_array_info &info = program.arrays[i];
    info.bytes = gradopt_array_bytes(&info, least);
    if (info.bytes == SIZE_MAX)
      return invalid("an array is too large");
    if (i < program.numArguments)
      continue;
    if (i < program.numArguments + program.numConstants) {
      auto place = uint64_t(array.place);
      if (place % kAlignment || place > constants->size ||
          info.bytes > constants->size - place)
        return invalid("a constant is not in its section");
      program.constants[i - program.numArguments] =
          bundle.bytes() + constants->offset + place;
      continue;
    }
    if (array.place < -1 || array.place >= int64_t(program.numArguments) ||
        (array.place >= 0 && !isInMemoryOf(info, program.arrays[array.place])))
      return invalid("a result is in no argument's memory");
    info.reused = array.place;
  }
  return GRADOPT_OK;
}

/// Checks the sizes of calls among the extents of an array.
gradopt_status Opener::readSizes(gradopt_program &program, size_t i) {
  bool isArgument = i < program.numArguments;
  bool isResult = i >= program.numArguments + program.numConstants;
  const gradopt_array_info &info = program.arrays[i];
  const gradopt_array_info *numbers =
      isArgument ? program.arguments() : program.results();
  int64_t numNumbers =
      isArgument ? int64_t(program.numArguments) : int64_t(program.numResults);
  for (int32_t d = 0; d < info.rank; ++d) {
    int64_t extent = info.shape[d], ofPart = info.extents_of_part[d],
            size = info.sizes[d];
    if (extent >= kMostElements || extent < (ofPart ? -kMostElements : 0) ||
        ofPart < 0 || ofPart > kMostOfPart)
      return invalid("an extent is too large");
    bool hasSize = size >= 0 && size < numNumbers && (isArgument || isResult);
    if (size != -1 && (!hasSize || numbers[size].rank != 0 ||
                       numbers[size].dtype != GRADOPT_I64))
      return invalid("a size is no number");
    if (ofPart && !isResult && !(isArgument && hasSize))
      return invalid("an extent is computed of no size");
    if (!isArgument || !hasSize)
      continue;
    // Without a largest value it is a number of rows.
    if (ofPart && (d != 0 || extent != 0 || ofPart != gradopt::kRoomParts))
      return invalid("an argument has room for no number of rows");
    int64_t most = ofPart ? kMostElements : extent;
    if (program.most[size] >= 0 && program.most[size] != most)
      return invalid("a size has two largest values");
    program.most[size] = most;
    program.isOpen |= ofPart != 0;
  }
  return GRADOPT_OK;
}

gradopt_status Opener::readDeviceCode(uint32_t number) {
  gradopt_program &program = bundle.programs[number];
  for (uint32_t i = 0; i < header().numSections; ++i) {
    const Section &section = sections()[i];
    if (section.kind != DeviceCode || section.program != number)
      continue;
    if (program.deviceCode)
      return invalid("a program has code for GPUs twice");
    program.deviceCode = bundle.bytes() + section.offset;
    program.deviceCodeBytes = section.size;
  }
  return program.deviceCode ? checkDeviceCode(program) : GRADOPT_OK;
}

gradopt_status Opener::loadCode(uint32_t number) {
  gradopt_program &program = bundle.programs[number];
  const Section *best = nullptr;
  uint32_t least = UINT32_MAX, level = cpuLevel();
  for (uint32_t i = 0; i < header().numSections; ++i) {
    const Section &section = sections()[i];
    if (section.kind != Code || section.program != number)
      continue;
    least = section.level < least ? section.level : least;
    if (section.level <= level && (!best || section.level > best->level))
      best = &section;
  }
  if (!best && program.deviceCode)
    return GRADOPT_OK;
  if (!best && least == UINT32_MAX)
    return invalid("a program has no code");
  if (!best)
    return fail(GRADOPT_INVALID_BUNDLE,
                "cannot load %s: expected a CPU of level x86-64-v%u, but this "
                "one has x86-64-v%u",
                path, least, level);
  int64_t room = program.isOpen ? gradopt::findRoom(0, program.leastRoom) : 0;
  gradopt_status status =
      gradopt_module_load(bundle.bytes() + best->offset, best->size, nullptr,
                          program.arenaAt(room), &program.module);
  if (status != GRADOPT_OK)
    return status;
  const gradopt_commands *commands =
      gradopt::runtime::commandsOf(program.module);
  return !commands || program.fits(*commands, /*forDevice=*/false)
             ? GRADOPT_OK
             : invalid("its commands are for other arrays");
}

//===----------------------------------------------------------------------===//
// Programs
//===----------------------------------------------------------------------===//

bool gradopt_program::fits(const gradopt_commands &commands,
                           bool forDevice) const {
  const int64_t *sizes = gradopt_buffer_sizes(&commands) + 1;
  const int64_t *arena = sizes + commands.num_buffers - 1;
  auto takeNext = [&](size_t bytes) {
    return sizes < arena && uint64_t(*sizes++) == bytes;
  };
  bool fits = true;
  for (size_t i = 0; i < numArrays(); ++i)
    fits &= arrays[i].reused >= 0 || takeNext(bytesInCommands(arrays[i]));
  for (size_t i = 0; numChecks && i < kOutcomes; ++i)
    fits &= takeNext(sizeof(int64_t));
  if (forDevice && isOpen)
    fits &= takeNext(GRADOPT_NUMBER_SIZE);
  return fits && sizes == arena;
}

gradopt_status gradopt_program::findRoom(void *const *arguments,
                                         int64_t &room) const {
  int64_t rows = 0;
  for (size_t i = 0; i < numArguments; ++i) {
    if (most[i] < 0)
      continue;
    if (!arguments[i])
      return fail(GRADOPT_INVALID_ARGUMENT, "%s of %s is null", arrays[i].name,
                  name);
    int64_t size;
    std::memcpy(&size, arguments[i], sizeof(size));
    if (size < 0 || size > most[i])
      return fail(GRADOPT_INVALID_ARGUMENT,
                  "%s of %s is %lld, but it is at least 0 and at most %lld",
                  arrays[i].name, name, static_cast<long long>(size),
                  static_cast<long long>(most[i]));
    if (most[i] == kMostElements && size > rows)
      rows = size;
  }
  room = isOpen ? gradopt::findRoom(rows, leastRoom) : 0;
  if (arenaAt(room) == SIZE_MAX)
    return fail(GRADOPT_OUT_OF_MEMORY, "%s: out of memory", name);
  return GRADOPT_OK;
}

size_t gradopt_program::argumentBytes(size_t i, void *const *arguments) const {
  const gradopt_array_info &array = arrays[i];
  if (array.rank == 0 || array.sizes[0] < 0)
    return array.bytes;
  int64_t rows;
  std::memcpy(&rows, arguments[array.sizes[0]], sizeof(rows));
  size_t bytes = itemSize(array.dtype);
  bool isTooMuch = __builtin_mul_overflow(bytes, size_t(rows), &bytes);
  for (int32_t d = 1; d < array.rank; ++d)
    isTooMuch |= __builtin_mul_overflow(bytes, size_t(array.shape[d]), &bytes);
  return isTooMuch ? SIZE_MAX : bytes;
}

static thread_local const char *failedCheck = "";

gradopt_status gradopt_program::finish(const int64_t *outcome) const {
  int64_t number = outcome[0];
  if (number == 0)
    return GRADOPT_OK;
  if (number < 0 || uint64_t(number) > numChecks)
    return fail(GRADOPT_CODE_ERROR, "there is no check %lld",
                static_cast<long long>(number));
  const CheckRecord &check = checks[number - 1];
  failedCheck = text + check.error;
  const char *message = text + check.message;
  const char *mark = std::strstr(message, "{value}");
  size_t before = mark ? size_t(mark - message) : std::strlen(message);
  char value[24] = "";
  if (mark)
    std::snprintf(value, sizeof(value), "%lld",
                  static_cast<long long>(outcome[1]));
  const char *file = text + check.file;
  return fail(GRADOPT_CHECK_FAILED, *file ? "%.*s%s%s (%s:%u)" : "%.*s%s%s",
              int(before), message, value,
              mark ? mark + std::strlen("{value}") : "", file, check.line);
}

//===----------------------------------------------------------------------===//
// The C API
//===----------------------------------------------------------------------===//

gradopt_status gradopt_bundle_open(const char *path, gradopt_bundle **out) {
  if (!path || !out)
    return fail(GRADOPT_INVALID_ARGUMENT,
                "gradopt_bundle_open: null path or result pointer");
  *out = nullptr;
  void *memory = std::malloc(sizeof(gradopt_bundle));
  if (!memory)
    return fail(GRADOPT_OUT_OF_MEMORY, "out of memory");
  auto *bundle = new (memory) gradopt_bundle;
  gradopt_status status = Opener(path, *bundle).run();
  if (status != GRADOPT_OK) {
    gradopt_bundle_close(bundle);
    return status;
  }
  *out = bundle;
  return GRADOPT_OK;
}

void gradopt_bundle_close(gradopt_bundle *bundle) {
  if (!bundle)
    return;
  bundle->~gradopt_bundle();
  std::free(bundle);
}

size_t gradopt_bundle_num_programs(const gradopt_bundle *bundle) {
  return bundle->programs.size();
}

gradopt_program *gradopt_bundle_program(gradopt_bundle *bundle, size_t number) {
  return number < bundle->programs.size() ? &bundle->programs[number] : nullptr;
}

gradopt_program *gradopt_bundle_find(gradopt_bundle *bundle, const char *name) {
  for (gradopt_program &program : bundle->programs)
    if (std::strcmp(program.name, name) == 0)
      return &program;
  return nullptr;
}

const char *gradopt_bundle_structure(const gradopt_bundle *bundle,
                                     size_t *size) {
  *size = bundle->structureSize;
  return bundle->structure;
}

const char *gradopt_program_name(const gradopt_program *program) {
  return program->name;
}

size_t gradopt_program_num_arguments(const gradopt_program *program) {
  return program->numArguments;
}

size_t gradopt_program_num_results(const gradopt_program *program) {
  return program->numResults;
}

const gradopt_array_info *
gradopt_program_argument(const gradopt_program *program, size_t number) {
  return number < program->numArguments ? program->arguments() + number
                                        : nullptr;
}

const gradopt_array_info *gradopt_program_result(const gradopt_program *program,
                                                 size_t number) {
  return number < program->numResults ? program->results() + number : nullptr;
}

size_t gradopt_program_arena_bytes(const gradopt_program *program,
                                   int64_t room) {
  if (!program->isOpen)
    return program->arenaAt(0);
  // No call has more rows.
  return room > kMostElements
             ? SIZE_MAX
             : program->arenaAt(gradopt::findRoom(room, program->leastRoom));
}

gradopt_status gradopt_program_room(const gradopt_program *program,
                                    void *const *arguments, int64_t *room) {
  if (!program || !room || (!arguments && program->numArguments))
    return fail(GRADOPT_INVALID_ARGUMENT,
                "gradopt_program_room: null program, arguments or result");
  return program->findRoom(arguments, *room);
}

int64_t gradopt_array_extent(const gradopt_array_info *array, int32_t dimension,
                             int64_t room) {
  int64_t extent;
  if (__builtin_mul_overflow(array->extents_of_part[dimension],
                             room / gradopt::kRoomParts, &extent) ||
      __builtin_add_overflow(extent, array->shape[dimension], &extent) ||
      extent < 0)
    return -1;
  return extent;
}

size_t gradopt_array_bytes(const gradopt_array_info *array, int64_t room) {
  size_t product = itemSize(uint32_t(array->dtype));
  for (int32_t d = 0; d < array->rank; ++d) {
    int64_t extent = gradopt_array_extent(array, d, room);
    if (extent < 0 || __builtin_mul_overflow(product, size_t(extent), &product))
      return SIZE_MAX;
  }
  return product;
}

int32_t gradopt_program_has_cpu_code(const gradopt_program *program) {
  return program->module != nullptr;
}

const char *gradopt_failed_check(void) { return failedCheck; }

gradopt_status gradopt_program_call(gradopt_program *program,
                                    void *const *arguments,
                                    void *const *results) {
  if (!program || (!arguments && program->numArguments) ||
      (!results && program->numResults))
    return fail(GRADOPT_INVALID_ARGUMENT,
                "gradopt_program_call: null program, arguments or results");
  int64_t room;
  if (gradopt_status status = program->findRoom(arguments, room);
      status != GRADOPT_OK)
    return status;
  if (!program->module)
    return callOnDevice(*program, arguments, results, room);
  gradopt_module_enlarge_arena(program->module, program->arenaAt(room));
  int64_t outcome[kOutcomes] = {};
  size_t most = program->numArrays() + kOutcomes + 1;
  auto **buffers = static_cast<void **>(alloca(most * sizeof(void *)));
  size_t count = 0;
  for (size_t i = 0; i < program->numArguments; ++i)
    buffers[count++] = arguments[i];
  // Only arguments that are reused are written.
  for (size_t i = 0; i < program->numConstants; ++i)
    buffers[count++] = const_cast<void *>(program->constants[i]);
  for (size_t i = 0; i < program->numResults; ++i)
    if (program->results()[i].reused < 0)
      buffers[count++] = results[i];
  for (size_t i = 0; program->numChecks && i < kOutcomes; ++i)
    buffers[count++] = &outcome[i];
  gradopt_status status = gradopt_call(program->module, buffers, count);
  return status == GRADOPT_OK ? program->finish(outcome) : status;
}
