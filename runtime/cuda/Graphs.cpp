//===- Graphs.cpp - Calls that are replayed -------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/cuda/Graphs.h"

#include <cstdlib>
#include <cstring>

namespace gradopt::cuda {

Graphs::~Graphs() {
  for (Entry &entry : entries)
    std::free(entry.buffers);
}

Graphs::Entry *Graphs::find(uint64_t lane, void *const *buffers,
                            size_t numBuffers) {
  for (Entry &entry : entries)
    if (entry.lane == lane &&
        (numBuffers == 0 || std::memcmp(entry.buffers, buffers,
                                        numBuffers * sizeof(void *)) == 0)) {
      entry.lastUse = ++uses;
      return &entry;
    }
  return nullptr;
}

void Graphs::add(uint64_t lane, void *const *buffers, size_t numBuffers) {
  Entry *oldest = &entries[0];
  for (Entry &entry : entries)
    if (entry.lastUse < oldest->lastUse)
      oldest = &entry;
  if (!oldest->buffers) {
    oldest->buffers = static_cast<void **>(
        std::calloc(numBuffers ? numBuffers : 1, sizeof(void *)));
    if (!oldest->buffers)
      return;
  }
  if (numBuffers)
    std::memcpy(oldest->buffers, buffers, numBuffers * sizeof(void *));
  oldest->lane = lane;
  oldest->lastUse = ++uses;
  oldest->isCaptured = false;
}

CUresult Graphs::capture(const Driver &driver, Entry &entry, CUgraph graph) {
  CUresult error = CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
  if (entry.executable) {
    CUgraphExecUpdateResultInfo info = {};
    error = driver.cuGraphExecUpdate_v2(entry.executable, graph, &info);
    if (error != CUDA_SUCCESS) {
      driver.cuGraphExecDestroy(entry.executable);
      entry.executable = nullptr;
    }
  }
  if (error != CUDA_SUCCESS)
    error = driver.cuGraphInstantiateWithFlags(&entry.executable, graph, 0);
  if (error != CUDA_SUCCESS)
    entry.executable = nullptr;
  entry.isCaptured = error == CUDA_SUCCESS;
  driver.cuGraphDestroy(graph);
  return error;
}

void Graphs::clear(const Driver &driver) {
  for (Entry &entry : entries)
    if (entry.executable)
      driver.cuGraphExecDestroy(entry.executable);
}

} // namespace gradopt::cuda
