//===- Solver.cpp - Factorisations by cuSOLVER ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For cuSOLVER matrices lie column by column: the lower triangle of ours is an
// upper one. It leaves the other triangle as it is, and a matrix that it cannot
// factor in parts; programs make zeros and NaN of these
// (passes/ConvertGradToLinalgFactorizations.cpp).
//
//===----------------------------------------------------------------------===//

#include "runtime/cuda/Solver.h"
#include "runtime/HostBuffers.h"
#include "runtime/Lapack.h"
#include "runtime/Lock.h"
#include "runtime/OldLibrary.h"
#include "runtime/RuntimeError.h"
#include "runtime/cuda/Library.h"
#include "runtime/cuda/SolverApi.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <new>

using gradopt::runtime::fail;
using gradopt::runtime::HostBufferType;
using gradopt::runtime::Lock;
namespace lapack = gradopt::runtime::lapack;

namespace gradopt::cuda {
namespace {

struct Functions {
#define GRADOPT_POINTER(name, parameters)                                      \
  cusolverStatus_t(*name) parameters = nullptr;
  GRADOPT_SOLVER_FUNCTIONS(GRADOPT_POINTER)
#undef GRADOPT_POINTER
} functions;
OptionalLibrary library;

bool open(void *handle) {
  bool complete = true;
#define GRADOPT_FIND(name, parameters)                                         \
  complete &= findFunction(handle, #name, functions.name);
  GRADOPT_SOLVER_FUNCTIONS(GRADOPT_FIND)
#undef GRADOPT_FIND
  return complete;
}

const char *nameOf(cusolverStatus_t status) {
  switch (status) {
#define GRADOPT_NAME(name)                                                     \
  case name:                                                                   \
    return #name
    GRADOPT_NAME(CUSOLVER_STATUS_NOT_INITIALIZED);
    GRADOPT_NAME(CUSOLVER_STATUS_ALLOC_FAILED);
    GRADOPT_NAME(CUSOLVER_STATUS_INVALID_VALUE);
    GRADOPT_NAME(CUSOLVER_STATUS_ARCH_MISMATCH);
    GRADOPT_NAME(CUSOLVER_STATUS_EXECUTION_FAILED);
    GRADOPT_NAME(CUSOLVER_STATUS_INTERNAL_ERROR);
#undef GRADOPT_NAME
  default:
    return "an unknown status";
  }
}

/// The device's handle, which is used by the thread that holds the mutex; null
/// if the library cannot be used.
cusolverDnHandle_t getHandle(Device &device) {
  if (!library.find(device.driver,
                    {{"libcusolver.so.12", 13000}, {"libcusolver.so.11", 0}},
                    open))
    return nullptr;
  Lock lock(device.solverMutex);
  if (!device.solver && !device.hasNoSolver) {
    RelaxedCapture relaxed(device.driver);
    // It fails where the library is for another driver.
    device.hasNoSolver =
        functions.cusolverDnCreate(&device.solver) != CUSOLVER_STATUS_SUCCESS;
    if (device.hasNoSolver)
      device.solver = nullptr;
  }
  return device.solver;
}

} // namespace

struct Solver::Task {
  size_t place = 0;
  lapack::Routine routine = lapack::Cholesky;
  int64_t flags = 0;
  bool isDouble = false;
  int64_t count = 1;             ///< Of matrices.
  int64_t n = 0;                 ///< Rows and columns of the first one.
  int64_t rows = 0, columns = 0; ///< Of a solution.
  int lwork = 0;
  /// The operands that are addresses: of a matrix; of its factor and status, or
  /// of both sides of a system.
  size_t a = 0, b = 0, x = 0;
};

Solver::~Solver() { std::free(tasks); }

gradopt_status Solver::plan(size_t place, const gradopt_operand *operands,
                            size_t count, bool &isPlanned) {
  isPlanned = false;
  if (numTasks == capacity) {
    size_t more = capacity ? 2 * capacity : 8;
    void *grown = std::realloc(tasks, more * sizeof(Task));
    if (!grown)
      return fail(GRADOPT_OUT_OF_MEMORY, "out of memory");
    tasks = static_cast<Task *>(grown);
    capacity = more;
  }
  auto &task = *new (tasks + numTasks) Task;
  task.place = place;
  task.routine = lapack::Routine(operands[0].offset & 255);
  task.flags = operands[0].offset >> 8;
  if (task.routine != lapack::Cholesky &&
      task.routine != lapack::TriangularSolve)
    return GRADOPT_OK;
  size_t next = 2, *addresses[] = {&task.a, &task.b, &task.x};
  // A factorisation has a matrix, its factor and a status.
  int numBuffers = 3;
  for (int buffer = 0; buffer < numBuffers; ++buffer) {
    *addresses[buffer] = next++;
    HostBufferType type;
    size_t extents = next + 2;
    bool isValid = type.read([&](int64_t &number) {
      if (next >= count)
        return false;
      number = operands[next++].offset;
      return true;
    });
    bool isStatus = task.routine == lapack::Cholesky && buffer == 2;
    if (!isValid || (!isStatus && type.rank < 2) ||
        (buffer == 0 && type.dtype != GRADOPT_F32 && type.dtype != GRADOPT_F64))
      return GRADOPT_OK;
    if (buffer == 0) {
      task.isDouble = type.dtype == GRADOPT_F64;
      for (int d = 0; d < type.rank - 2; ++d)
        task.count *= operands[extents + size_t(d)].offset;
    }
    if (!isStatus) {
      size_t last = extents + size_t(type.rank) - 1;
      task.rows = operands[last - 1].offset;
      task.columns = operands[last].offset;
      if (buffer == 0)
        task.n = task.columns;
    }
  }
  if (task.count == 0 || task.rows == 0 || task.columns == 0)
    return GRADOPT_OK;
  gradopt_status status = GRADOPT_OK;
  if (task.routine == lapack::Cholesky)
    status = planCholesky(task, isPlanned);
  else
    status = Blas::find(device, isPlanned);
  numTasks += isPlanned;
  return status;
}

gradopt_status Solver::planCholesky(Task &task, bool &isPlanned) {
  cusolverDnHandle_t handle =
      task.n <= std::numeric_limits<int>::max() ? getHandle(device) : nullptr;
  if (!handle)
    return GRADOPT_OK;
  auto n = int(task.n);
  Lock lock(device.solverMutex);
  cusolverStatus_t status =
      task.isDouble
          ? functions.cusolverDnDpotrf_bufferSize(
                handle, CUBLAS_FILL_MODE_UPPER, n, nullptr, n, &task.lwork)
          : functions.cusolverDnSpotrf_bufferSize(
                handle, CUBLAS_FILL_MODE_UPPER, n, nullptr, n, &task.lwork);
  if (status != CUSOLVER_STATUS_SUCCESS)
    return fail(GRADOPT_DEVICE_ERROR,
                "cannot prepare the factorization of a matrix of %d x %d on "
                "cuda:%d: cuSOLVER returned %s (%d)",
                n, n, device.number, nameOf(status), status);
  size_t item = task.isDouble ? sizeof(double) : sizeof(float);
  workBytes = std::max(workBytes, size_t(task.lwork) * item);
  isPlanned = true;
  return GRADOPT_OK;
}

const Solver::Task *Solver::find(size_t place) const {
  const Task *end = tasks + numTasks;
  const Task *found = std::lower_bound(
      static_cast<const Task *>(tasks), end, place,
      [](const Task &each, size_t place) { return each.place < place; });
  return found != end && found->place == place ? found : nullptr;
}

gradopt_status Solver::run(const Task &task, const Lane &lane, CUstream stream,
                           Blas &blas, const int64_t *values) const {
  bool isSystem = task.routine == lapack::TriangularSolve;
  int64_t from = values[isSystem ? task.b : task.a],
          to = values[isSystem ? task.x : task.b];
  int64_t item = task.isDouble ? sizeof(double) : sizeof(float),
          elements = task.rows * task.columns;
  CUresult error =
      device.driver.cuMemcpyAsync(CUdeviceptr(to), CUdeviceptr(from),
                                  size_t(task.count * elements * item), stream);
  if (error != CUDA_SUCCESS)
    return failed(device.driver, error, "cannot copy on cuda:%d",
                  device.number);
  if (isSystem) {
    TriangularSystems systems = {task.isDouble,
                                 bool(task.flags & lapack::IsLeft),
                                 bool(task.flags & lapack::IsLower),
                                 bool(task.flags & lapack::IsTransposed),
                                 bool(task.flags & lapack::IsUnit),
                                 task.rows,
                                 task.columns,
                                 task.count,
                                 values[task.a],
                                 to};
    return blas.solve(systems);
  }
  auto n = int(task.n);
  auto *status = reinterpret_cast<int *>(values[task.x]);
  Lock lock(device.solverMutex);
  cusolverStatus_t result =
      functions.cusolverDnSetStream(device.solver, stream);
  for (int64_t i = 0; i < task.count && result == CUSOLVER_STATUS_SUCCESS;
       ++i) {
    int64_t matrix = to + i * elements * item;
    if (task.isDouble)
      result = functions.cusolverDnDpotrf(
          device.solver, CUBLAS_FILL_MODE_UPPER, n,
          reinterpret_cast<double *>(matrix), n,
          reinterpret_cast<double *>(lane.transformMemory), task.lwork,
          status + i);
    else
      result = functions.cusolverDnSpotrf(
          device.solver, CUBLAS_FILL_MODE_UPPER, n,
          reinterpret_cast<float *>(matrix), n,
          reinterpret_cast<float *>(lane.transformMemory), task.lwork,
          status + i);
  }
  return result == CUSOLVER_STATUS_SUCCESS
             ? GRADOPT_OK
             : fail(GRADOPT_DEVICE_ERROR,
                    "the factorization of a matrix of %d x %d failed on "
                    "cuda:%d: cuSOLVER returned %s (%d)",
                    n, n, device.number, nameOf(result), result);
}

} // namespace gradopt::cuda

gradopt_status gradopt_cuda_set_solver(const char *path) {
  return gradopt::cuda::library.choose(path, "gradopt_cuda_set_solver");
}
