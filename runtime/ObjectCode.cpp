//===- ObjectCode.cpp - Linking object files into the process -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A linker for what LLVM makes of a program: one relocatable, position-
// independent ELF file for x86-64 (System V ABI, AMD64 supplement). All of it
// goes into one mapping, so that relative addresses fit:
//
//   code        the file's, then a jump for each function from outside
//   constants   the file's, then the addresses that code loads (its GOT)
//   data        what may be written
//
//===----------------------------------------------------------------------===//

#include "runtime/ObjectCode.h"
#include "runtime/Array.h"
#include "runtime/Interface.h"
#include "runtime/RuntimeError.h"

#include <cstring>
#include <elf.h>
#include <limits>
#include <sys/mman.h>
#include <unistd.h>

#ifndef __x86_64__
#error "objects are linked for x86-64 only"
#endif

namespace gradopt::runtime {
namespace {

/// `jmp *offset(%rip)`, padded.
constexpr unsigned char kJump[] = {0xff, 0x25, 0, 0, 0, 0, 0x66, 0x90};
constexpr size_t kJumpOffset = 2, kJumpEnd = 6;
constexpr size_t kAddressSize = sizeof(uint64_t);

/// Files beyond this cannot be addressed relatively.
constexpr size_t kMaxSize = size_t(1) << 30;

enum Segment : unsigned { Code, Constants, Data, NumSegments, NotLoaded };

struct Section {
  Elf64_Shdr header;
  const char *name = "";
  Segment segment = NotLoaded;
  /// From the beginning of the mapping.
  size_t place = 0;
};

struct Symbol {
  Elf64_Sym entry;
  const char *name;
  /// Where the address stands and where the jump to it is, in the mapping; 0 if
  /// nobody asked for them.
  size_t addressPlace = 0, jumpPlace = 0;
  bool isUsed = false, needsAddress = false, needsJump = false;
  uint64_t value = 0;

  bool isOutside() const { return entry.st_shndx == SHN_UNDEF; }
};

gradopt_status invalid(const char *what) {
  return fail(GRADOPT_INVALID_OBJECT, "invalid object code: %s", what);
}

gradopt_status outOfMemory() {
  return fail(GRADOPT_OUT_OF_MEMORY, "no memory to link object code");
}

/// A string in a table of strings that end in null bytes.
const char *stringAt(std::string_view table, uint64_t offset) {
  if (offset >= table.size() ||
      !std::memchr(table.data() + offset, 0, table.size() - offset))
    return "";
  return table.data() + offset;
}

} // namespace

/// Links one file.
class Linker {
public:
  Linker(std::string_view file, ObjectCode &result)
      : file(file), result(result) {}

  gradopt_status run() {
    for (auto step :
         {&Linker::readSections, &Linker::readSymbols, &Linker::readRelocations,
          &Linker::map, &Linker::resolveSymbols, &Linker::relocate,
          &Linker::findCommands})
      if (gradopt_status status = (this->*step)(); status != GRADOPT_OK)
        return status;
    return protect();
  }

  /// Calls `visit(name, address)` for each function of the file.
  template <typename Visitor> void visitFunctions(Visitor visit) const {
    for (const Symbol &symbol : symbols)
      if (!symbol.isOutside() &&
          ELF64_ST_TYPE(symbol.entry.st_info) == STT_FUNC)
        visit(symbol.name, reinterpret_cast<void *>(symbol.value));
  }

private:
  /// Reads element `index` of a table at `offset`; false if it is not there.
  template <typename T> bool read(uint64_t offset, uint64_t index, T &out) {
    if (offset > file.size() ||
        index >= (file.size() - offset) / sizeof(T)) // Cannot overflow.
      return false;
    std::memcpy(&out, file.data() + offset + index * sizeof(T), sizeof(T));
    return true;
  }

  /// The contents of a section; false if they are not in the file.
  bool contentsOf(const Elf64_Shdr &header, std::string_view &contents) {
    if (header.sh_offset > file.size() ||
        header.sh_size > file.size() - header.sh_offset)
      return false;
    contents = {file.data() + header.sh_offset, size_t(header.sh_size)};
    return true;
  }

  gradopt_status readSections();
  gradopt_status readSymbols();
  gradopt_status readRelocations();
  /// Whether it has the relocations of a section that is loaded.
  bool isLoadedTable(const Section &table) const;
  gradopt_status map();
  gradopt_status resolveSymbols();
  gradopt_status relocate();
  gradopt_status apply(const Section &section, const Elf64_Rela &relocation);
  gradopt_status findCommands();
  /// A constant that the file defines; empty if it does not.
  std::string_view findConstant(const char *name) const;
  gradopt_status protect();

  uint64_t addressOf(size_t place) const {
    return reinterpret_cast<uint64_t>(result.memory + place);
  }
  template <typename T> void store(size_t place, T value) {
    std::memcpy(result.memory + place, &value, sizeof(T));
  }

  std::string_view file;
  ObjectCode &result;
  Array<Section> sections;
  Array<Symbol> symbols;
  size_t segmentBegin[NumSegments + 1] = {};
};

gradopt_status Linker::readSections() {
  Elf64_Ehdr header;
  if (!read(0, 0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
    return invalid("not an ELF file");
  if (header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_type != ET_REL ||
      header.e_machine != EM_X86_64)
    return invalid("not a relocatable object file for x86-64");
  Section names;
  if (header.e_shentsize != sizeof(Elf64_Shdr) ||
      !read(header.e_shoff, header.e_shstrndx, names.header))
    return invalid("the table of sections is not in the file");
  std::string_view nameTable;
  if (!contentsOf(names.header, nameTable))
    return invalid("the names of sections are not in the file");
  if (!sections.allocate(header.e_shnum))
    return outOfMemory();
  for (size_t i = 0; i < sections.size(); ++i) {
    Section &section = sections[i];
    if (!read(header.e_shoff, i, section.header))
      return invalid("the table of sections is not in the file");
    section.name = stringAt(nameTable, section.header.sh_name);
    uint64_t flags = section.header.sh_flags;
    unsigned type = section.header.sh_type;
    std::string_view contents;
    if (type != SHT_NOBITS && !contentsOf(section.header, contents))
      return invalid("a section is not in the file");
    // Nothing is ever thrown through compiled code.
    if (!(flags & SHF_ALLOC) || type == SHT_NOTE ||
        std::strcmp(section.name, ".eh_frame") == 0)
      continue;
    if ((flags & SHF_TLS) || type == SHT_INIT_ARRAY || type == SHT_FINI_ARRAY)
      return fail(GRADOPT_INVALID_OBJECT,
                  "invalid object code: sections like %s are not loaded",
                  section.name);
    section.segment = (flags & SHF_EXECINSTR) ? Code
                      : (flags & SHF_WRITE)   ? Data
                                              : Constants;
  }
  return GRADOPT_OK;
}

gradopt_status Linker::readSymbols() {
  for (const Section &section : sections) {
    if (section.header.sh_type != SHT_SYMTAB)
      continue;
    std::string_view names;
    if (symbols.size() || section.header.sh_link >= sections.size() ||
        !contentsOf(sections[section.header.sh_link].header, names))
      return invalid("expected one table of symbols, with their names");
    if (!symbols.allocate(section.header.sh_size / sizeof(Elf64_Sym)))
      return outOfMemory();
    for (size_t i = 0; i < symbols.size(); ++i) {
      Symbol &symbol = symbols[i];
      if (!read(section.header.sh_offset, i, symbol.entry))
        return invalid("the table of symbols is not in the file");
      symbol.name = stringAt(names, symbol.entry.st_name);
      unsigned index = symbol.entry.st_shndx;
      if (index >= sections.size() && index != SHN_ABS)
        return fail(GRADOPT_INVALID_OBJECT,
                    "invalid object code: symbol %s is in no section",
                    symbol.name);
    }
  }
  return GRADOPT_OK;
}

bool Linker::isLoadedTable(const Section &table) const {
  return table.header.sh_type == SHT_RELA &&
         table.header.sh_info < sections.size() &&
         sections[table.header.sh_info].segment != NotLoaded;
}

gradopt_status Linker::readRelocations() {
  for (const Section &table : sections) {
    if (table.header.sh_type == SHT_REL)
      return invalid("expected relocations with addends");
    if (!isLoadedTable(table))
      continue;
    uint64_t count = table.header.sh_size / sizeof(Elf64_Rela);
    for (uint64_t i = 0; i < count; ++i) {
      Elf64_Rela relocation;
      if (!read(table.header.sh_offset, i, relocation) ||
          ELF64_R_SYM(relocation.r_info) >= symbols.size())
        return invalid("a relocation is not in the file, or of no symbol");
      Symbol &symbol = symbols[ELF64_R_SYM(relocation.r_info)];
      symbol.isUsed = true;
      switch (ELF64_R_TYPE(relocation.r_info)) {
      case R_X86_64_GOTPCREL:
      case R_X86_64_GOTPCRELX:
      case R_X86_64_REX_GOTPCRELX:
        symbol.needsAddress = true;
        break;
      case R_X86_64_PLT32:
        symbol.needsJump |= symbol.isOutside();
        symbol.needsAddress |= symbol.isOutside();
        break;
      }
    }
  }
  return GRADOPT_OK;
}

/// Gives everything its place, and copies what is in the file.
gradopt_status Linker::map() {
  auto align = [](size_t place, uint64_t to) {
    return (place + to - 1) / to * to;
  };
  size_t page = size_t(sysconf(_SC_PAGESIZE));
  size_t end = 0;
  for (unsigned segment = 0; segment < NumSegments; ++segment) {
    end = align(end, page);
    segmentBegin[segment] = end;
    for (Section &section : sections) {
      if (section.segment != segment)
        continue;
      uint64_t alignment = section.header.sh_addralign;
      alignment = alignment ? alignment : 1;
      if ((alignment & (alignment - 1)) || alignment > page ||
          section.header.sh_size > kMaxSize)
        return invalid("expected sections that are less aligned, and smaller");
      section.place = align(end, alignment);
      end = section.place + section.header.sh_size;
      if (end > kMaxSize)
        return invalid("it is too large");
    }
    end = align(end, kAddressSize);
    for (Symbol &symbol : symbols) {
      if (segment == Code && symbol.needsJump) {
        symbol.jumpPlace = end;
        end += sizeof(kJump);
      } else if (segment == Constants && symbol.needsAddress) {
        symbol.addressPlace = end;
        end += kAddressSize;
      }
    }
  }
  end = align(end, page);
  segmentBegin[NumSegments] = end;
  if (end == 0)
    return invalid("it is empty");
  void *memory = mmap(nullptr, end, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return outOfMemory();
  result.memory = static_cast<char *>(memory);
  result.size = end;
  for (const Section &section : sections) {
    std::string_view contents;
    if (section.segment != NotLoaded && section.header.sh_type != SHT_NOBITS &&
        contentsOf(section.header, contents))
      std::memcpy(result.memory + section.place, contents.data(),
                  contents.size());
  }
  return GRADOPT_OK;
}

gradopt_status Linker::resolveSymbols() {
  for (Symbol &symbol : symbols) {
    if (symbol.entry.st_shndx == SHN_ABS) {
      symbol.value = symbol.entry.st_value;
    } else if (!symbol.isOutside()) {
      symbol.value = addressOf(sections[symbol.entry.st_shndx].place +
                               symbol.entry.st_value);
    } else if (symbol.isUsed) {
      const char *hint = "";
      void *address = findOutsideFunction(symbol.name, hint);
      if (!address && ELF64_ST_BIND(symbol.entry.st_info) != STB_WEAK)
        return fail(GRADOPT_MISSING_SYMBOL,
                    "cannot link object code: there is no %s%s", symbol.name,
                    hint);
      symbol.value = reinterpret_cast<uint64_t>(address);
      result.needsTargets |=
          std::strcmp(symbol.name, "gradopt_call_target") == 0;
      result.runsCommands |=
          std::strcmp(symbol.name, "gradopt_run_commands") == 0;
    }
    if (symbol.needsAddress)
      store(symbol.addressPlace, symbol.value);
    if (symbol.needsJump) {
      std::memcpy(result.memory + symbol.jumpPlace, kJump, sizeof(kJump));
      // Both are in one mapping, which is small enough.
      store(symbol.jumpPlace + kJumpOffset,
            int32_t(int64_t(symbol.addressPlace) -
                    int64_t(symbol.jumpPlace + kJumpEnd)));
    }
  }
  return GRADOPT_OK;
}

gradopt_status Linker::relocate() {
  for (const Section &table : sections) {
    if (!isLoadedTable(table))
      continue;
    for (uint64_t i = 0; i < table.header.sh_size / sizeof(Elf64_Rela); ++i) {
      Elf64_Rela relocation;
      read(table.header.sh_offset, i, relocation);
      gradopt_status status = apply(sections[table.header.sh_info], relocation);
      if (status != GRADOPT_OK)
        return status;
    }
  }
  return GRADOPT_OK;
}

gradopt_status Linker::apply(const Section &section,
                             const Elf64_Rela &relocation) {
  const Symbol &symbol = symbols[ELF64_R_SYM(relocation.r_info)];
  unsigned type = ELF64_R_TYPE(relocation.r_info);
  if (type == R_X86_64_NONE)
    return GRADOPT_OK;
  size_t width = type == R_X86_64_64 || type == R_X86_64_PC64 ? 8 : 4;
  if (section.header.sh_size < width ||
      relocation.r_offset > section.header.sh_size - width)
    return invalid("a relocation is outside of its section");
  if (!symbol.isOutside() && symbol.entry.st_shndx != SHN_ABS &&
      sections[symbol.entry.st_shndx].segment == NotLoaded)
    return invalid("it refers to a section that is not loaded");
  size_t place = section.place + relocation.r_offset;
  uint64_t target = symbol.value + uint64_t(relocation.r_addend);
  switch (type) {
  case R_X86_64_PLT32:
    if (symbol.needsJump)
      target = addressOf(symbol.jumpPlace) + uint64_t(relocation.r_addend);
    break;
  case R_X86_64_GOTPCREL:
  case R_X86_64_GOTPCRELX:
  case R_X86_64_REX_GOTPCRELX:
    target = addressOf(symbol.addressPlace) + uint64_t(relocation.r_addend);
    break;
  case R_X86_64_64:
    break;
  case R_X86_64_PC64:
  case R_X86_64_PC32:
    if (!symbol.isOutside())
      break;
    [[fallthrough]];
  default:
    return fail(GRADOPT_INVALID_OBJECT,
                "invalid object code: relocation %u of %s is not of "
                "position-independent code",
                type, symbol.name);
  }
  if (type == R_X86_64_64) {
    store(place, target);
    return GRADOPT_OK;
  }
  auto relative = int64_t(target - addressOf(place));
  if (width == 8) {
    store(place, relative);
    return GRADOPT_OK;
  }
  if (relative < std::numeric_limits<int32_t>::min() ||
      relative > std::numeric_limits<int32_t>::max())
    return invalid("a relative address is out of range");
  store(place, int32_t(relative));
  return GRADOPT_OK;
}

std::string_view Linker::findConstant(const char *name) const {
  for (const Symbol &symbol : symbols) {
    unsigned index = symbol.entry.st_shndx;
    if (std::strcmp(symbol.name, name) != 0 || symbol.isOutside() ||
        index >= sections.size() || sections[index].segment == NotLoaded)
      continue;
    const Elf64_Shdr &section = sections[index].header;
    if (symbol.entry.st_value <= section.sh_size &&
        symbol.entry.st_size <= section.sh_size - symbol.entry.st_value)
      return {reinterpret_cast<const char *>(symbol.value),
              size_t(symbol.entry.st_size)};
  }
  return {};
}

gradopt_status Linker::findCommands() {
  result.commands = {findConstant(gradopt::kCommandsName),
                     findConstant(gradopt::kKernelsName),
                     findConstant(gradopt::kConstantsName)};
  result.codeSize = segmentBegin[Code + 1] - segmentBegin[Code];
  return GRADOPT_OK;
}

gradopt_status Linker::protect() {
  const int protection[] = {PROT_READ | PROT_EXEC, PROT_READ};
  for (unsigned segment : {Code, Constants}) {
    size_t size = segmentBegin[segment + 1] - segmentBegin[segment];
    if (size && mprotect(result.memory + segmentBegin[segment], size,
                         protection[segment]) != 0)
      return fail(GRADOPT_LIBRARY_ERROR,
                  "the system allows no memory to become executable");
  }
  return GRADOPT_OK;
}

ObjectCode::~ObjectCode() {
  if (memory)
    munmap(memory, size);
}

gradopt_status ObjectCode::link(std::string_view file, const char *entry) {
  Linker linker(file, *this);
  if (gradopt_status status = linker.run(); status != GRADOPT_OK)
    return status;
  linker.visitFunctions([&](const char *name, void *address) {
    if (std::strcmp(name, entry) == 0)
      this->entry = address;
  });
  if (!this->entry)
    return fail(GRADOPT_MISSING_SYMBOL,
                "cannot link object code: it has no function %s", entry);
  return GRADOPT_OK;
}

gradopt_status ObjectCode::linkAll(std::string_view file, void *state,
                                   FunctionVisitor visit) {
  Linker linker(file, *this);
  if (gradopt_status status = linker.run(); status != GRADOPT_OK)
    return status;
  linker.visitFunctions(
      [&](const char *name, void *address) { visit(state, name, address); });
  return GRADOPT_OK;
}

} // namespace gradopt::runtime
