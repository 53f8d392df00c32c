//===- BundleHeader.cpp - C headers for bundles ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A function with typed parameters for each program. What the user calls
// `p['w']` is `p_w` there.
//
//===----------------------------------------------------------------------===//

#include "runtime/BundleWriter.h"
#include "runtime/OpenSizes.h"
#include "runtime/gradopt_runtime.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/raw_ostream.h"

using llvm::ArrayRef;
using llvm::StringRef;

namespace gradopt::bundle {
namespace {

/// Words of C and C++, and those that the functions use themselves.
constexpr StringRef kTaken =
    "alignas alignof and and_eq asm auto bitand bitor bool break case catch "
    "char class co_await co_return co_yield compl concept const const_cast "
    "consteval constexpr constinit continue decltype default delete do double "
    "dynamic_cast else enum explicit export extern false float for friend goto "
    "if inline int long mutable namespace new noexcept not not_eq nullptr "
    "operator or or_eq private protected public register reinterpret_cast "
    "requires restrict return short signed sizeof static static_assert "
    "static_cast struct switch template this thread_local throw true try "
    "typedef typeid typename union unsigned using virtual void volatile "
    "wchar_t while xor xor_eq arguments results bundle device stream room";

StringRef typeOf(const NamedArray &array) {
  switch (array.dtype) {
  case GRADOPT_BOOL:
  case GRADOPT_U8:
    return "uint8_t";
  case GRADOPT_I8:
    return "int8_t";
  case GRADOPT_I16:
    return "int16_t";
  case GRADOPT_I32:
    return "int32_t";
  case GRADOPT_I64:
    return "int64_t";
  case GRADOPT_U16:
  case GRADOPT_F16:
  case GRADOPT_BF16:
    return "uint16_t";
  case GRADOPT_U32:
    return "uint32_t";
  case GRADOPT_U64:
    return "uint64_t";
  case GRADOPT_F32:
    return "float";
  case GRADOPT_C64:
    return "gradopt_complex64";
  case GRADOPT_C128:
    return "gradopt_complex128";
  }
  return "double";
}

/// Names that differ from each other.
class Names {
public:
  Names() {
    llvm::SmallVector<StringRef> words;
    kTaken.split(words, ' ');
    for (StringRef word : words)
      taken.insert(word);
  }

  std::string take(StringRef path) {
    std::string base;
    for (char c : path)
      if (llvm::isAlnum(c) || c == '_')
        base += c;
      else if (!StringRef(base).ends_with("_"))
        base += '_';
    base = StringRef(base).trim('_').str();
    if (base.empty())
      base = "value";
    if (llvm::isDigit(base[0]))
      base.insert(0, "_");
    std::string name = base;
    for (unsigned number = 2; !taken.insert(name).second; ++number)
      name = base + "_" + std::to_string(number);
    return name;
  }

private:
  llvm::StringSet<> taken;
};

/// What can stand in a comment.
std::string inComment(StringRef text) {
  std::string result = text.str();
  for (size_t at; (at = result.find("*/")) != std::string::npos;)
    result.erase(at, 2);
  std::replace(result.begin(), result.end(), '\n', ' ');
  return result;
}

/// An extent, where the room of a call may be a part of it.
std::string inTermsOfRoom(int64_t extent, bool isOpen) {
  std::optional<OpenSize> open =
      isOpen ? findOpenSize(extent) : std::optional<OpenSize>();
  if (!open)
    return std::to_string(extent);
  bool isWhole = open->parts % kRoomParts == 0;
  int64_t times = isWhole ? open->parts / kRoomParts : open->parts;
  std::string text = isWhole ? "room" : "room / " + std::to_string(kRoomParts);
  if (times != 1)
    text += " * " + std::to_string(times);
  if (open->more)
    text += (open->more < 0 ? " - " : " + ") +
            std::to_string(open->more < 0 ? -open->more : open->more);
  return text;
}

class FunctionPrinter {
public:
  FunctionPrinter(llvm::raw_ostream &stream, const CompiledProgram &program)
      : stream(stream), program(program),
        isSize(program.arguments.size(), false) {
    for (const NamedArray &array : program.arguments)
      for (auto [dim, number] : array.sizes)
        isSize[number] = true;
    for (auto [array, isSize] : llvm::zip_equal(program.arguments, isSize)) {
      StringRef name = array.name;
      if (isSize)
        name.consume_front("the size ");
      arguments.push_back(names.take(name));
    }
    for (const NamedArray &array : program.results)
      results.push_back(names.take(array.name));
  }

  /// A function for arrays on the host, and one for those on a GPU.
  void print(StringRef name, size_t number);
  void printForDevice(StringRef name, size_t number);
  /// A function for the room of a call.
  void printRoom(StringRef name, size_t number);

private:
  void printReused();
  void printParameters(StringRef name);
  void printArrays();
  void printParameter(const NamedArray &array, StringRef name, bool isConst,
                      bool isArgument);

  llvm::raw_ostream &stream;
  const CompiledProgram &program;
  Names names;
  std::vector<std::string> arguments, results;
  /// Whether an argument is the size of others.
  std::vector<bool> isSize;
};

void FunctionPrinter::printParameter(const NamedArray &array, StringRef name,
                                     bool isConst, bool isArgument) {
  stream << ",\n    " << (isConst ? "const " : "") << typeOf(array) << " *"
         << name << " /* " << inComment(array.name) << ", shape (";
  // Sizes of arguments are arguments, and those of results are results.
  ArrayRef<std::string> numbers = isArgument ? arguments : results;
  std::string counts;
  llvm::interleaveComma(llvm::enumerate(array.shape), stream, [&](auto item) {
    auto [dim, extent] = item;
    int64_t size = array.sizeAlong(dim);
    if (isArgument && size >= 0 && dim == 0) {
      stream << numbers[size];
      return;
    }
    stream << inTermsOfRoom(extent, program.isOpen);
    if (size >= 0)
      counts += ", the first " + numbers[size] + " along dimension " +
                std::to_string(dim);
  });
  stream << ')' << counts << " */";
}

void FunctionPrinter::printReused() {
  bool isFirst = true;
  for (const NamedArray &result : program.results) {
    if (result.reused < 0)
      continue;
    if (isFirst)
      stream << "/* Results in the memory of arguments:\n";
    isFirst = false;
    stream << "   " << inComment(result.name) << " is written to "
           << arguments[result.reused] << '\n';
  }
  if (!isFirst)
    stream << "*/\n";
}

void FunctionPrinter::printParameters(StringRef name) {
  printReused();
  stream << "static inline gradopt_status " << name
         << "(\n    gradopt_bundle *bundle";
  for (auto [i, array] : llvm::enumerate(program.arguments)) {
    bool isWritten =
        llvm::any_of(program.results, [i = i](const NamedArray &result) {
          return result.reused == int64_t(i);
        });
    if (isSize[i])
      stream << ",\n    int64_t " << arguments[i];
    else
      printParameter(array, arguments[i], /*isConst=*/!isWritten,
                     /*isArgument=*/true);
  }
  for (auto [array, own] : llvm::zip_equal(program.results, results))
    if (array.reused < 0)
      printParameter(array, own, /*isConst=*/false, /*isArgument=*/false);
}

void FunctionPrinter::printArrays() {
  stream << ") {\n  void *arguments[] = {";
  llvm::interleaveComma(
      llvm::zip_equal(arguments, isSize), stream, [&](auto pair) {
        auto [argument, isSize] = pair;
        stream << "(void *)" << (isSize ? "&" : "") << argument;
      });
  stream << (arguments.empty() ? "0" : "") << "};\n  void *results[] = {";
  llvm::interleaveComma(
      llvm::zip_equal(program.results, results), stream, [&](auto pair) {
        auto &[array, own] = pair;
        stream << (array.reused < 0 ? own : arguments[array.reused]);
      });
  stream << (results.empty() ? "0" : "") << "};\n";
}

void FunctionPrinter::print(StringRef name, size_t number) {
  printParameters(name);
  printArrays();
  stream << "  return gradopt_program_call(gradopt_bundle_program(bundle, "
         << number << "), arguments,\n                              results);\n"
         << "}\n\n";
}

void FunctionPrinter::printForDevice(StringRef name, size_t number) {
  printParameters(name);
  stream << ",\n    int32_t device, void *stream";
  printArrays();
  stream
      << "  return gradopt_program_call_cuda(gradopt_bundle_program(bundle, "
      << number
      << "), device,\n                                   arguments, results, "
         "stream);\n}\n\n";
}

void FunctionPrinter::printRoom(StringRef name, size_t number) {
  stream << "/* The `room` in shapes. */\nstatic inline gradopt_status " << name
         << "(\n    gradopt_bundle *bundle";
  for (auto [argument, isSize] : llvm::zip_equal(arguments, isSize))
    if (isSize)
      stream << ", int64_t " << argument;
  stream << ", int64_t *room) {\n  void *arguments[] = {";
  llvm::interleaveComma(llvm::zip_equal(arguments, isSize), stream,
                        [&](auto pair) {
                          auto [argument, isSize] = pair;
                          stream << (isSize ? "&" + argument : "0");
                        });
  stream << "};\n  return gradopt_program_room(gradopt_bundle_program(bundle, "
         << number << "), arguments,\n                              room);\n"
         << "}\n\n";
}

} // namespace

std::string makeHeader(StringRef name,
                       llvm::ArrayRef<CompiledProgram> programs) {
  std::string guard;
  for (char c : name)
    guard += llvm::isAlnum(c) ? llvm::toUpper(c) : '_';
  if (llvm::isDigit(guard.front()))
    guard.insert(0, "_");
  guard += "_H";
  bool isForDevice = llvm::any_of(programs, [](const CompiledProgram &program) {
    return !program.deviceCode.empty();
  });
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << "/* Made by gradopt: the functions of " << inComment(name) << R"(.

     gradopt_bundle *bundle;
     if (gradopt_bundle_open(path, &bundle) != GRADOPT_OK)
       puts(gradopt_last_error());

   Arrays are row-major, and overlap nowhere.)"
         << (isForDevice ? R"( Those of the functions `..._cuda` are on
   a GPU, aligned to 16 bytes; the call is queued on a stream of the driver's.)"
                         : "")
         << " */\n#ifndef " << guard << "\n#define " << guard
         << "\n\n#include \""
         << (isForDevice ? "gradopt_cuda.h" : "gradopt_runtime.h") << "\"\n\n";
  Names names;
  for (auto [number, program] : llvm::enumerate(programs)) {
    FunctionPrinter printer(stream, program);
    printer.print(names.take(program.name), number);
    if (program.isOpen)
      printer.printRoom(names.take(program.name + "_room"), number);
    if (!program.deviceCode.empty())
      printer.printForDevice(names.take(program.name + "_cuda"), number);
  }
  stream << "#endif\n";
  return text;
}

} // namespace gradopt::bundle
