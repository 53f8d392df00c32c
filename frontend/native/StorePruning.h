//===- StorePruning.h - Dropping what was not used for long -----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_STOREPRUNING_H
#define GRADOPT_NATIVE_STOREPRUNING_H

#include <sys/types.h>

namespace gradopt::native {

/// Removes files of a directory, those first that were not used for longest,
/// until the others are of `limit` bytes or fewer, and what was not used for
/// three months. What was used last stays, however large it is. Does so once a
/// minute, whoever asks; returns whether it did. Files whose names begin with a
/// dot are no part of it.
bool pruneDirectory(int directory, off_t limit);

/// Removes some files of earlier versions, which lay in the store itself or in
/// more directories than there are.
void pruneOldLayout(int directory);

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_STOREPRUNING_H
