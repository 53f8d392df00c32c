//===- Targets.cpp - Functions that compiled code calls -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compiled code owns nothing: no memory, no locks. So a failure leaves it by
// longjmp, from wherever it is, and no loop goes on with results that are not
// there. Each run has a frame; runs lie in each other where a target runs
// compiled code itself.
//
//===----------------------------------------------------------------------===//

#include "runtime/Targets.h"
#include "runtime/RuntimeError.h"

#include <csetjmp>

namespace gradopt::runtime {
namespace {

struct Frame {
  Targets targets;
  Frame *outer;
  std::jmp_buf end;
};

thread_local Frame *innermost = nullptr;

struct Failure {
  size_t target = 0;
  int32_t status = 0;
};

thread_local Failure lastFailure;

[[noreturn]] void endRun(RunEnd end, int64_t target, int32_t status) {
  lastFailure = {static_cast<size_t>(target), status};
  std::longjmp(innermost->end, static_cast<int>(end));
}

} // namespace

RunEnd runWithTargets(Entry entry, void **buffers, Targets targets,
                      int32_t &status) {
  Frame frame{targets, innermost, {}};
  innermost = &frame;
  // The signal mask is nobody's business here.
  int end = _setjmp(frame.end);
  if (end == 0)
    status = entry(buffers);
  innermost = frame.outer;
  return static_cast<RunEnd>(end);
}

gradopt_status reportEnd(RunEnd end, size_t numTargets) {
  if (end == RunEnd::Returned)
    return GRADOPT_OK;
  if (end == RunEnd::NoTarget)
    return fail(GRADOPT_INVALID_ARGUMENT,
                "the code calls target %zu, but its caller set %zu",
                lastFailure.target, numTargets);
  return fail(GRADOPT_TARGET_ERROR, "target %zu returned status %d",
              lastFailure.target, lastFailure.status);
}

} // namespace gradopt::runtime

using gradopt::runtime::endRun;
using gradopt::runtime::innermost;
using gradopt::runtime::lastFailure;
using gradopt::runtime::RunEnd;
using gradopt::runtime::Targets;

size_t gradopt_failed_target(int32_t *status) {
  if (status)
    *status = lastFailure.status;
  return lastFailure.target;
}

void gradopt_call_target(int64_t number, const gradopt_buffer *inputs,
                         int64_t num_inputs, const gradopt_buffer *outputs,
                         int64_t num_outputs) {
  Targets targets = innermost->targets;
  if (number < 0 || static_cast<size_t>(number) >= targets.size)
    endRun(RunEnd::NoTarget, number, 0);
  const gradopt_target &target = targets.data[number];
  int32_t status = target.function
                       ? target.function(inputs, outputs)
                       : target.callback(target.state, inputs, num_inputs,
                                         outputs, num_outputs);
  if (status != 0)
    endRun(RunEnd::TargetFailed, number, status);
}
