//===- BundleFormat.h - Files with compiled programs ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A bundle is a header, a table of sections, and the sections. Numbers are
// little-endian, and everything is aligned as C aligns it. Each program has
//
//   Program    a record, then its arrays (arguments, constants, results), its
//              checks, the dimensions of all arrays, and a text of strings that
//              end in null bytes
//   Code       object files for x86-64, one for each level of the CPU (the
//              x86-64 psABI calls them x86-64-v2, -v3, -v4); the best one that
//              this CPU can run is loaded
//   DeviceCode a program for GPUs, one block of bytes (DeviceProgram.h)
//   Constants  the elements of its constants, each at a multiple of 64 bytes
//
// Of code for CPUs and for GPUs there is at least one; both take the same
// arguments and constants. The bundle may have a section Structure, JSON for
// who knows pytrees: how arrays make up what Python functions take and return.
// Without it, each program takes its arrays by position. The writer is
// BundleWriter.cpp.
//
// Sizes may be others in each call. Such a size is an argument of the program,
// a number, and results of such sizes have their number beside them. If it has
// a largest value, there is room for so many: shapes are the largest ones. If
// not, what a call needs is computed of the room (OpenSizes.h) that is rounded
// up from its numbers of rows: extents, and the bytes of temporaries, are some,
// and some for each part of it.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_BUNDLEFORMAT_H
#define GRADOPT_RUNTIME_BUNDLEFORMAT_H

#include <cstdint>

namespace gradopt::bundle {

inline constexpr char kMagic[8] = {'G', 'R', 'A', 'D', 'O', 'P', 'T', '\x1a'};
inline constexpr uint32_t kVersion = 3;
inline constexpr uint64_t kAlignment = 64;
/// More arguments, constants or results than this do not go on a stack.
inline constexpr uint32_t kMaxArrays = 1 << 14;
inline constexpr uint32_t kMaxRank = 64;

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t numSections;
  uint64_t fileSize;
  uint8_t sha256[32]; ///< Of all bytes behind the header.
  uint64_t numPrograms;
};
static_assert(sizeof(Header) == 64);

enum SectionKind : uint32_t {
  Program = 1,
  Code = 2,
  Constants = 3,
  Structure = 4,
  DeviceCode = 5
};

struct Section {
  uint32_t kind;
  uint32_t program;
  uint32_t level; ///< Of code: 2, 3 or 4.
  uint32_t unused;
  uint64_t offset; ///< From the beginning of the file; a multiple of 64.
  uint64_t size;
};
static_assert(sizeof(Section) == 32);

struct ProgramRecord {
  uint64_t arenaBytes; ///< On the CPU, or if it has no code for it, on a GPU.
  uint64_t arenaBytesPerPart; ///< So many more for each part of the room.
  int64_t leastRoom;          ///< Of each call, where it has one.
  uint32_t name;              ///< A place in the text, as are the other names.
  uint32_t numArguments, numConstants, numResults, numChecks;
  uint32_t numExtents, textSize;
  uint32_t unused;
};
static_assert(sizeof(ProgramRecord) == 56);

struct ArrayRecord {
  uint32_t name;
  uint32_t dtype; ///< A gradopt_dtype.
  uint32_t rank;
  uint32_t firstExtent;
  /// Of a constant: where it begins in the section. Of a result: the number of
  /// the argument that it is in the memory of, or -1.
  int64_t place;
};
static_assert(sizeof(ArrayRecord) == 24);

/// What is said of each dimension. All of the first are in one block, as shapes
/// of the C API, then all of the second, and of the third.
enum DimensionField : uint32_t {
  Extent,       ///< How many elements there are along it, or at most.
  ExtentOfPart, ///< So many more for each part of the room.
  SizeOfCall,   ///< The number of the argument, or of the result, that is the
                ///< size in a call; -1 where it is the same in each.
  NumDimensionFields
};

/// No size of a call, and no extent, is larger.
inline constexpr int64_t kMostElements = int64_t(1) << 48;
/// An extent has no more for each part of the room.
inline constexpr int64_t kMostOfPart = int64_t(1) << 27;

/// Programs with checks have two more results, numbers: that of the first check
/// that failed, counted from 1, or 0, and the value that failed it.
struct CheckRecord {
  uint32_t message; ///< `{value}` in it stands for the value.
  uint32_t error;   ///< The Python exception.
  uint32_t file;
  uint32_t line;
};
static_assert(sizeof(CheckRecord) == 16);

} // namespace gradopt::bundle

#endif // GRADOPT_RUNTIME_BUNDLEFORMAT_H
