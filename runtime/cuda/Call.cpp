//===- Call.cpp - Calls of programs on a GPU ------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/CommandTimes.h"
#include "runtime/Lock.h"
#include "runtime/OpenSizes.h"
#include "runtime/RuntimeError.h"
#include "runtime/cuda/Interpreter.h"

using namespace gradopt::cuda;
using gradopt::runtime::fail;
using gradopt::runtime::Lock;
namespace runtime = gradopt::runtime;

namespace {

/// A graph of less than this is not faster than what it does; one of more takes
/// too much memory.
constexpr size_t kMinActions = 2, kMaxActions = 1 << 14;

/// The device's lane for a stream, while the object lives.
class LaneOf {
public:
  LaneOf(Device &device, CUstream stream) : device(device) {
    status = device.acquire(stream, lane);
  }
  ~LaneOf() {
    if (status == GRADOPT_OK)
      device.release(*lane);
  }
  LaneOf(const LaneOf &) = delete;
  LaneOf &operator=(const LaneOf &) = delete;

  gradopt_status status;
  Lane *lane = nullptr;

private:
  Device &device;
};

class ProgramCall {
public:
  ProgramCall(gradopt_cuda_module &module, void *const *buffers,
              runtime::Targets targets, CUstream stream, Timer *timer = nullptr)
      : module(module), device(module.device), driver(device.driver),
        buffers(buffers), targets(targets), stream(stream), timer(timer) {}

  gradopt_status run();

private:
  gradopt_status runOn(Lane &lane);
  gradopt_status runCaptured();
  gradopt_status runAlone();
  gradopt_status prepare(Lane &lane);
  bool replay(Lane &lane, gradopt_status &status);
  CUgraph capture(Lane &lane);

  gradopt_cuda_module &module;
  Device &device;
  const Driver &driver;
  void *const *buffers;
  runtime::Targets targets;
  CUstream stream;
  /// Times single commands, for which none of them is in a graph.
  Timer *timer;
};

gradopt_status ProgramCall::run() {
  InContext context(device);
  if (context.error != CUDA_SUCCESS)
    return failed(driver, context.error, "cannot use cuda:%d", device.number);
  if (isCaptured(driver, stream))
    return runCaptured();
  if (module.callsTargets())
    return runAlone();
  LaneOf of(device, stream);
  if (of.status != GRADOPT_OK)
    return of.status;
  if (gradopt_status status = prepare(*of.lane); status != GRADOPT_OK)
    return status;
  gradopt_status status;
  return replay(*of.lane, status) ? status : runOn(*of.lane);
}

/// Gets what the commands need beside their buffers.
gradopt_status ProgramCall::prepare(Lane &lane) {
  const Program &program = module.program;
  uint64_t parts = program.isOpen()
                       ? uint64_t(uintptr_t(buffers[module.numBuffers() - 1]))
                       : 0;
  gradopt_status status =
      device.reserveArena(lane, program.arenaAt(parts), stream);
  if (status == GRADOPT_OK)
    status = device.reserveWords(lane, size_t(program.commands().num_words) +
                                           program.commands().max_operands);
  if (status == GRADOPT_OK)
    status = device.reserveLibraryMemory(lane, module.libraryBytes(), stream);
  if (status == GRADOPT_OK)
    status = module.solver.prepare(lane, stream);
  if (status == GRADOPT_OK && module.waits)
    status = device.reservePinned(lane);
  if (status == GRADOPT_OK)
    status = device.reserveStaging(lane, module.stagingBytes, stream);
  return status;
}

/// Runs the commands, and remembers the call.
gradopt_status ProgramCall::runOn(Lane &lane) {
  size_t numActions;
  gradopt_status status =
      runCommands(module, lane, buffers, targets, stream, numActions, timer);
  if (status != GRADOPT_OK || module.waits || timer)
    return status;
  Lock lock(module.graphs.mutex);
  if (numActions < kMinActions || numActions > kMaxActions)
    module.graphs.isOff = true;
  if (!module.graphs.isOff &&
      !module.graphs.find(lane.version, buffers, module.numBuffers()))
    module.graphs.add(lane.version, buffers, module.numBuffers());
  return GRADOPT_OK;
}

/// Launches the graph of this call, if there was a call like it before.
bool ProgramCall::replay(Lane &lane, gradopt_status &status) {
  if (module.waits || timer)
    return false;
  Lock lock(module.graphs.mutex);
  if (module.graphs.isOff)
    return false;
  Graphs::Entry *entry =
      module.graphs.find(lane.version, buffers, module.numBuffers());
  if (!entry)
    return false;
  if (!entry->isCaptured) {
    CUgraph graph = capture(lane);
    // What cannot be captured can still be run.
    if (!graph ||
        module.graphs.capture(driver, *entry, graph) != CUDA_SUCCESS) {
      module.graphs.isOff = true;
      return false;
    }
  }
  CUresult error = driver.cuGraphLaunch(entry->executable, stream);
  status = error == CUDA_SUCCESS
               ? GRADOPT_OK
               : failed(driver, error, "cannot launch a graph on cuda:%d",
                        device.number);
  return true;
}

CUgraph ProgramCall::capture(Lane &lane) {
  if (device.reserveCaptureStream(lane) != GRADOPT_OK ||
      driver.cuStreamBeginCapture_v2(lane.captureStream,
                                     CU_STREAM_CAPTURE_MODE_THREAD_LOCAL) !=
          CUDA_SUCCESS)
    return nullptr;
  size_t numActions;
  gradopt_status status = runCommands(module, lane, buffers, targets,
                                      lane.captureStream, numActions);
  CUgraph graph = nullptr;
  CUresult error = driver.cuStreamEndCapture(lane.captureStream, &graph);
  if (status == GRADOPT_OK && error == CUDA_SUCCESS)
    return graph;
  if (graph)
    driver.cuGraphDestroy(graph);
  return nullptr;
}

/// Becomes part of what somebody captures, with memory that is kept for it.
gradopt_status ProgramCall::runCaptured() {
  if (timer)
    return fail(GRADOPT_DEVICE_ERROR,
                "the program is timed, and cannot be captured as part of a "
                "graph");
  if (module.waits)
    return fail(GRADOPT_DEVICE_ERROR,
                "the program reads numbers from the GPU on its way, or calls "
                "functions of the host, and cannot be captured as part of a "
                "graph");
  RelaxedCapture relaxed(driver);
  Lane *lane = device.makeLane();
  if (!lane)
    return fail(GRADOPT_OUT_OF_MEMORY, "out of memory");
  lane->isDetached = true;
  {
    Lock lock(module.graphs.mutex);
    lane->next = module.detached;
    module.detached = lane;
  }
  if (gradopt_status status = prepare(*lane); status != GRADOPT_OK)
    return status;
  size_t numActions;
  return runCommands(module, *lane, buffers, targets, stream, numActions);
}

/// Calls targets, which may call programs on the same stream, or wait for
/// threads that do: no lane of the stream is held meanwhile. The memory that is
/// used instead is nobody's again when the call is done.
gradopt_status ProgramCall::runAlone() {
  Lane *lane;
  {
    Lock lock(module.graphs.mutex);
    lane = module.idle;
    if (lane)
      module.idle = lane->next;
  }
  if (!lane)
    lane = device.makeLane();
  if (!lane)
    return fail(GRADOPT_OUT_OF_MEMORY, "out of memory");
  size_t numActions;
  gradopt_status status = prepare(*lane);
  if (status == GRADOPT_OK)
    status =
        runCommands(module, *lane, buffers, targets, stream, numActions, timer);
  CUresult error = driver.cuStreamSynchronize(stream);
  if (error != CUDA_SUCCESS && status == GRADOPT_OK)
    status = failed(driver, error, "cannot use cuda:%d", device.number);
  Lock lock(module.graphs.mutex);
  lane->next = module.idle;
  module.idle = lane;
  return status;
}

} // namespace

gradopt_status gradopt_cuda_call(gradopt_cuda_module *module,
                                 void *const *buffers, size_t num_buffers,
                                 void *stream) {
  return gradopt_cuda_call_with_targets(module, buffers, num_buffers, nullptr,
                                        0, stream);
}

/// Whether a call can be made.
static gradopt_status check(const gradopt_cuda_module *module,
                            void *const *buffers, size_t numBuffers,
                            const Driver *&driver) {
  if (gradopt_status status = Driver::get(driver); status != GRADOPT_OK)
    return status;
  if (!module || (!buffers && numBuffers))
    return fail(GRADOPT_INVALID_ARGUMENT,
                "gradopt_cuda_call: null module or buffers");
  if (numBuffers != module->numBuffers())
    return fail(GRADOPT_INVALID_ARGUMENT,
                "gradopt_cuda_call: expected %zu buffers, but got %zu",
                module->numBuffers(), numBuffers);
  const Program &program = module->program;
  if (program.isOpen() && uintptr_t(buffers[numBuffers - 1]) <
                              program.header.least_room / gradopt::kRoomParts)
    return fail(GRADOPT_INVALID_ARGUMENT,
                "gradopt_cuda_call: there is room for too few rows");
  return GRADOPT_OK;
}

gradopt_status gradopt_cuda_call_with_targets(
    gradopt_cuda_module *module, void *const *buffers, size_t num_buffers,
    const gradopt_target *targets, size_t num_targets, void *stream) {
  const Driver *driver;
  gradopt_status status = check(module, buffers, num_buffers, driver);
  return status == GRADOPT_OK
             ? ProgramCall(*module, buffers, {targets, num_targets},
                           static_cast<CUstream>(stream))
                   .run()
             : status;
}

size_t gradopt_cuda_module_num_places(const gradopt_cuda_module *module) {
  return module ? runtime::countPlaces(&module->program.commands()) : 0;
}

gradopt_status gradopt_cuda_call_timed(gradopt_cuda_module *module,
                                       void *const *buffers, size_t num_buffers,
                                       const gradopt_target *targets,
                                       size_t num_targets, void *stream,
                                       gradopt_command_time *times,
                                       uint64_t *nanoseconds) {
  const Driver *driver;
  gradopt_status status = check(module, buffers, num_buffers, driver);
  if (status != GRADOPT_OK)
    return status;
  if (!times || !nanoseconds)
    return fail(GRADOPT_INVALID_ARGUMENT,
                "gradopt_cuda_call_timed: null times");
  InContext context(module->device);
  if (context.error != CUDA_SUCCESS)
    return failed(*driver, context.error, "cannot use cuda:%d",
                  module->device.number);
  // Its events are the context's.
  Timer timer(*driver, static_cast<CUstream>(stream), times);
  status = ProgramCall(*module, buffers, {targets, num_targets},
                       static_cast<CUstream>(stream), &timer)
               .run();
  *nanoseconds = timer.total;
  return status;
}
