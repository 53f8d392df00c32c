//===- Work.cpp - Streams, events and graphs of the emulator --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/emulator/Work.h"

#include <algorithm>
#include <set>

namespace gradopt::emulator {
namespace {

uint64_t count = 0;

void perform(Work &work) {
  for (const Action &action : work.actions) {
    // A context with an error does nothing more.
    if (work.context->error.code != CUDA_SUCCESS)
      return;
    log("  " + action.words);
    work.context->error = action.run();
  }
}

} // namespace

WorkPtr enqueue(CUstream stream, std::vector<Action> actions) {
  if (stream->graph) {
    for (Action &action : actions)
      stream->graph->actions.push_back(std::move(action));
    return nullptr;
  }
  auto work = std::make_shared<Work>();
  work->number = ++count;
  work->context = stream->context;
  work->actions = std::move(actions);
  auto waitForLast = [&](CUstream other) {
    if (other->last && !other->last->isDone)
      work->after.push_back(other->last);
  };
  waitForLast(stream);
  CUcontext context = stream->context;
  if (stream == context->legacy) {
    for (CUstream other : context->streams)
      if (other->isBlocking)
        waitForLast(other);
  } else if (stream->isBlocking) {
    waitForLast(context->legacy);
  }
  stream->last = work;
  return work;
}

WorkPtr enqueue(CUstream stream, Action action) {
  std::vector<Action> actions;
  actions.push_back(std::move(action));
  return enqueue(stream, std::move(actions));
}

void waitFor(CUstream stream, const WorkPtr &work) {
  if (!work || work->isDone)
    return;
  if (WorkPtr mine = enqueue(stream, std::vector<Action>()))
    mine->after.push_back(work);
}

void complete(const WorkPtr &last) {
  if (!last || last->isDone)
    return;
  // What was put on a stream earlier never waits for what came later.
  auto isEarlier = [](const WorkPtr &a, const WorkPtr &b) {
    return a->number < b->number;
  };
  std::set<WorkPtr, decltype(isEarlier)> needed(isEarlier);
  std::vector<WorkPtr> toVisit{last};
  while (!toVisit.empty()) {
    WorkPtr next = toVisit.back();
    toVisit.pop_back();
    if (next->isDone || !needed.insert(next).second)
      continue;
    toVisit.insert(toVisit.end(), next->after.begin(), next->after.end());
  }
  for (const WorkPtr &next : needed) {
    perform(*next);
    next->isDone = true;
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    next->time = int64_t(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
    next->actions.clear();
    next->after.clear();
  }
}

CUresult synchronize(CUstream stream) {
  complete(stream->last);
  if (stream == stream->context->legacy)
    for (CUstream other : stream->context->streams)
      if (other->isBlocking)
        complete(other->last);
  return stream->context->error.code;
}

CUresult synchronize(CUcontext context) {
  for (CUstream stream : context->streams)
    complete(stream->last);
  return context->error.code;
}

} // namespace gradopt::emulator
