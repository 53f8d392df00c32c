//===- CommandTimes.h - What commands take ----------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_COMMANDTIMES_H
#define GRADOPT_RUNTIME_COMMANDTIMES_H

#include "runtime/Commands.h"

#include <cstddef>

namespace gradopt::runtime {

/// A list of commands whose runs in this thread are timed.
struct TimedCommands {
  const gradopt_commands *table;
  /// One for each place of a command, in units of 8 bytes from the first one.
  gradopt_command_time *times;
};

/// Times runs of a list from now on, or of none if it is null; returns what was
/// timed before.
const TimedCommands *setTimedCommands(const TimedCommands *commands);

/// The number of places in a list.
size_t countPlaces(const gradopt_commands *table);

} // namespace gradopt::runtime

#endif // GRADOPT_RUNTIME_COMMANDTIMES_H
