//===- Streams.cpp - Streams and graphs of the emulated driver ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/emulator/DriverState.h"

#include <algorithm>

using namespace gradopt::emulator;

//===----------------------------------------------------------------------===//
// Streams and events
//===----------------------------------------------------------------------===//

API cuStreamCreate(CUstream *stream, unsigned flags) {
  Call call("cuStreamCreate");
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  *stream = makeStream(currentContext(), !(flags & CU_STREAM_NON_BLOCKING));
  return CUDA_SUCCESS;
}

API cuStreamDestroy_v2(CUstream handle) {
  Call call("cuStreamDestroy_v2");
  CUstream stream;
  if (CUresult error = call.needStream(handle, stream); error != CUDA_SUCCESS)
    return error;
  // What is on it is still done, with what waits for it, or at the latest with
  // all of the device.
  CUcontext context = stream->context;
  waitFor(context->perThread, stream->last);
  auto &streams = context->streams;
  streams.erase(std::find(streams.begin(), streams.end(), stream));
  for (FreeLater &freed : context->freed)
    if (freed.stream == stream)
      freed.stream = nullptr;
  delete stream;
  return CUDA_SUCCESS;
}

API cuStreamSynchronize(CUstream handle) {
  Call call("cuStreamSynchronize");
  CUstream stream;
  if (CUresult error = call.needStream(handle, stream); error != CUDA_SUCCESS)
    return error;
  if (stream->graph) {
    stream->isInvalidated = true;
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  return synchronize(stream);
}

API cuStreamWaitEvent(CUstream handle, CUevent event, unsigned) {
  Call call("cuStreamWaitEvent");
  CUstream stream;
  if (CUresult error = call.needStream(handle, stream); error != CUDA_SUCCESS)
    return error;
  // A capture knows of nothing outside of it, and spreads over other streams by
  // events; that is more than is emulated.
  if (stream->graph ? event->captured != stream : event->captured != nullptr) {
    (stream->graph ? stream : event->captured)->isInvalidated = true;
    return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
  }
  waitFor(stream, event->work);
  return CUDA_SUCCESS;
}

API cuStreamGetId(CUstream handle, unsigned long long *id) {
  Call call("cuStreamGetId");
  CUstream stream;
  if (CUresult error = call.needStream(handle, stream); error != CUDA_SUCCESS)
    return error;
  *id = stream->id;
  return CUDA_SUCCESS;
}

API cuStreamGetCtx(CUstream handle, CUcontext *context) {
  Call call("cuStreamGetCtx");
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  CUstream stream = findStream(handle);
  if (!stream)
    return CUDA_ERROR_INVALID_HANDLE;
  *context = stream->context;
  return CUDA_SUCCESS;
}

API cuEventCreate(CUevent *event, unsigned flags) {
  Call call("cuEventCreate");
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  *event = new CUevent_st{currentContext(), flags, nullptr, nullptr};
  return CUDA_SUCCESS;
}

API cuEventRecord(CUevent event, CUstream handle) {
  Call call("cuEventRecord");
  CUstream stream;
  if (CUresult error = call.needStream(handle, stream); error != CUDA_SUCCESS)
    return error;
  if (event->context != stream->context)
    return CUDA_ERROR_INVALID_HANDLE;
  event->captured = stream->graph ? stream : nullptr;
  // Work of its own, since other streams may have to be waited for.
  event->work = enqueue(stream, std::vector<Action>());
  return CUDA_SUCCESS;
}

API cuEventQuery(CUevent event) {
  Call call("cuEventQuery");
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  if (event->captured) {
    event->captured->isInvalidated = true;
    return CUDA_ERROR_CAPTURED_EVENT;
  }
  bool isDone = !event->work || event->work->isDone;
  return isDone ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

API cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end) {
  Call call("cuEventElapsedTime");
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  for (CUevent event : {start, end}) {
    if ((event->flags & CU_EVENT_DISABLE_TIMING) || !event->work)
      return CUDA_ERROR_INVALID_HANDLE;
    if (!event->work->isDone)
      return CUDA_ERROR_NOT_READY;
  }
  *milliseconds = float(double(end->work->time - start->work->time) * 1e-6);
  return CUDA_SUCCESS;
}

API cuEventDestroy_v2(CUevent event) {
  Call call("cuEventDestroy_v2");
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  delete event;
  return CUDA_SUCCESS;
}

//===----------------------------------------------------------------------===//
// Graphs
//===----------------------------------------------------------------------===//

API cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus *status) {
  Call call("cuStreamIsCapturing");
  CUstream stream;
  if (CUresult error = call.needStream(handle, stream); error != CUDA_SUCCESS)
    return error;
  *status = !stream->graph          ? CU_STREAM_CAPTURE_STATUS_NONE
            : stream->isInvalidated ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                    : CU_STREAM_CAPTURE_STATUS_ACTIVE;
  return CUDA_SUCCESS;
}

API cuStreamBeginCapture_v2(CUstream handle, CUstreamCaptureMode mode) {
  Call call("cuStreamBeginCapture_v2");
  CUstream stream;
  if (CUresult error = call.needStream(handle, stream); error != CUDA_SUCCESS)
    return error;
  if (stream == currentContext()->legacy || stream->graph)
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  stream->graph = new CUgraph_st;
  stream->isInvalidated = false;
  stream->mode = mode;
  stream->capturer = std::this_thread::get_id();
  state.captured.push_back(stream);
  return CUDA_SUCCESS;
}

API cuStreamEndCapture(CUstream handle, CUgraph *graph) {
  Call call("cuStreamEndCapture");
  *graph = nullptr;
  CUstream stream = findStream(handle);
  if (!stream)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!stream->graph)
    return CUDA_ERROR_INVALID_VALUE;
  if (stream->mode != CU_STREAM_CAPTURE_MODE_RELAXED &&
      stream->capturer != std::this_thread::get_id())
    return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
  // It is over, whatever comes of it.
  CUgraph made = stream->graph;
  stream->graph = nullptr;
  state.captured.erase(
      std::find(state.captured.begin(), state.captured.end(), stream));
  CUresult error = stream->isInvalidated ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED
                                         : call.needContext();
  if (error == CUDA_SUCCESS)
    *graph = made;
  else
    delete made;
  return error;
}

API cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode) {
  Call call("cuThreadExchangeStreamCaptureMode");
  if (call.error != CUDA_SUCCESS)
    return call.error;
  std::swap(*mode, threadCaptureMode());
  return CUDA_SUCCESS;
}

API cuGraphInstantiateWithFlags(CUgraphExec *executable, CUgraph graph,
                                unsigned long long) {
  Call call("cuGraphInstantiateWithFlags",
            "nodes=" + std::to_string(graph->actions.size()));
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  *executable = new CUgraphExec_st{graph->actions};
  return CUDA_SUCCESS;
}

API cuGraphExecUpdate_v2(CUgraphExec executable, CUgraph graph,
                         CUgraphExecUpdateResultInfo *info) {
  Call call("cuGraphExecUpdate_v2");
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  bool same = executable->actions.size() == graph->actions.size();
  for (size_t i = 0; same && i < graph->actions.size(); ++i)
    same = executable->actions[i].kind == graph->actions[i].kind;
  *info = {same ? CU_GRAPH_EXEC_UPDATE_SUCCESS
                : CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED,
           nullptr, nullptr};
  if (!same)
    return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
  executable->actions = graph->actions;
  return CUDA_SUCCESS;
}

API cuGraphLaunch(CUgraphExec executable, CUstream handle) {
  Call call("cuGraphLaunch");
  CUstream stream;
  if (CUresult error = call.needStream(handle, stream); error != CUDA_SUCCESS)
    return error;
  enqueue(stream, executable->actions);
  return CUDA_SUCCESS;
}

API cuGraphDestroy(CUgraph graph) {
  Call call("cuGraphDestroy");
  delete graph;
  return call.error;
}

API cuGraphExecDestroy(CUgraphExec executable) {
  Call call("cuGraphExecDestroy");
  delete executable;
  return call.error;
}
