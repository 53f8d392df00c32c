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
#include "runtime/OldLibrary.h"
#include "runtime/RuntimeError.h"

#include <algorithm>
#include <cstring>
#include <limits>

using gradopt::runtime::fail;
using gradopt::runtime::HostBufferType;

namespace gradopt::cuda {
namespace {

struct Functions {
#define GRADOPT_POINTER(name, parameters)                                      \
  cusolverStatus_t(*name) parameters = nullptr;
  GRADOPT_SOLVER_FUNCTIONS(GRADOPT_POINTER)
#undef GRADOPT_POINTER
} functions;

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

LibraryResult create(void *made) {
  cusolverStatus_t status =
      functions.cusolverDnCreate(static_cast<cusolverDnHandle_t *>(made));
  return LibraryResult::of(
      status, nameOf(status), CUSOLVER_STATUS_ALLOC_FAILED,
      {CUSOLVER_STATUS_NOT_INITIALIZED, CUSOLVER_STATUS_INTERNAL_ERROR});
}

cusolverDnHandle_t handleOf(const LibraryHandle &handle) {
  return static_cast<cusolverDnHandle_t>(handle.handle);
}

/// An operand that is an address, and its type.
struct Buffer {
  size_t address = 0;
  HostBufferType type;
  int64_t extents[GRADOPT_HOST_MAX_RANK] = {};

  /// Reads it from where `next` is among the operands, and goes on. False if
  /// they have none there.
  bool read(const gradopt_operand *operands, size_t count, size_t &next) {
    address = next++;
    size_t first = next + 2;
    if (!type.read([&](int64_t &number) {
          if (next >= count)
            return false;
          number = operands[next++].offset;
          return true;
        }))
      return false;
    for (int32_t d = 0; d < type.rank; ++d)
      extents[d] = operands[first + size_t(d)].offset;
    return true;
  }

  bool isFloat() const {
    return type.dtype == GRADOPT_F32 || type.dtype == GRADOPT_F64;
  }
  int64_t rows() const { return extents[type.rank - 2]; }
  int64_t columns() const { return extents[type.rank - 1]; }

  /// Whether it is a stack of matrices of the same type, as many as `other` is.
  bool isStackAs(const Buffer &other) const {
    return type.dtype == other.type.dtype && type.rank == other.type.rank &&
           std::equal(extents, extents + type.rank - 2, other.extents);
  }
};

/// Whether operands are what the documentation of a routine says
/// (runtime/Lapack.h).
bool areOperandsOf(const Solver::Task &task, const Buffer *buffers) {
  const Buffer &a = buffers[0], &b = buffers[1], &x = buffers[2];
  if (!a.isFloat() || a.type.rank < 2 || a.rows() != a.columns() ||
      !b.isStackAs(a))
    return false;
  if (task.routine == lapack::Cholesky)
    return b.rows() == a.rows() && b.columns() == a.columns() &&
           x.type.dtype == GRADOPT_I32 && x.type.rank == a.type.rank - 2 &&
           std::equal(x.extents, x.extents + x.type.rank, a.extents);
  int64_t n = task.flags & lapack::IsLeft ? b.rows() : b.columns();
  return n == a.rows() && x.isStackAs(b) && x.rows() == b.rows() &&
         x.columns() == b.columns();
}

} // namespace

gradopt_status Solver::plan(size_t place, const gradopt_operand *operands,
                            size_t count, bool &isPlanned) {
  isPlanned = false;
  Task task;
  task.routine = lapack::Routine(operands[0].offset & 255);
  task.flags = operands[0].offset >> 8;
  if (task.routine != lapack::Cholesky &&
      task.routine != lapack::TriangularSolve)
    return GRADOPT_OK;
  Buffer buffers[3];
  // Behind the number of the routine, and of its inputs.
  size_t next = 2;
  for (size_t i = 0; i < 3; ++i) {
    if (!buffers[i].read(operands, count, next))
      return GRADOPT_OK;
    task.addresses[i] = buffers[i].address;
  }
  const Buffer &result = buffers[1];
  if (!areOperandsOf(task, buffers) || result.type.bytes == 0)
    return GRADOPT_OK;
  task.isDouble = result.type.dtype == GRADOPT_F64;
  for (int32_t d = 0; d < result.type.rank - 2; ++d)
    task.count *= result.extents[d];
  task.rows = result.rows();
  task.columns = result.columns();
  gradopt_status status = task.routine == lapack::Cholesky
                              ? planCholesky(task, isPlanned)
                              : Blas::find(device, isPlanned);
  return status == GRADOPT_OK && isPlanned ? tasks.add(place, task) : status;
}

/// A handle, which somebody has to give back; null if there can be none.
gradopt_status Solver::takeHandle(CUstream stream,
                                  LibraryHandle *&handle) const {
  handle = nullptr;
  return solverLibrary.find(
             device.driver,
             {{"libcusolver.so.12", 13000}, {"libcusolver.so.11", 0}}, open)
             ? device.solver.take(device, {"cusolverDnCreate", create}, stream,
                                  handle)
             : GRADOPT_OK;
}

gradopt_status Solver::planCholesky(Task &task, bool &isPlanned) {
  if (task.columns > std::numeric_limits<int>::max())
    return GRADOPT_OK;
  LibraryHandle *taken;
  gradopt_status got = takeHandle(device.loader, taken);
  if (!taken)
    return got;
  cusolverDnHandle_t handle = handleOf(*taken);
  auto n = int(task.columns);
  cusolverStatus_t status =
      task.isDouble
          ? functions.cusolverDnDpotrf_bufferSize(
                handle, CUBLAS_FILL_MODE_UPPER, n, nullptr, n, &task.lwork)
          : functions.cusolverDnSpotrf_bufferSize(
                handle, CUBLAS_FILL_MODE_UPPER, n, nullptr, n, &task.lwork);
  device.solver.giveBack(taken);
  if (status != CUSOLVER_STATUS_SUCCESS)
    return fail(GRADOPT_DEVICE_ERROR,
                "cannot prepare the factorization of a matrix of %d x %d on "
                "cuda:%d: cuSOLVER returned %s (%d)",
                n, n, device.number, nameOf(status), status);
  size_t item = task.isDouble ? sizeof(double) : sizeof(float);
  workBytes = std::max(workBytes, size_t(task.lwork) * item);
  needsHandle = true;
  isPlanned = true;
  return GRADOPT_OK;
}

gradopt_status Solver::prepare(Lane &lane, CUstream stream) const {
  if (!needsHandle || lane.solver)
    return GRADOPT_OK;
  gradopt_status status = takeHandle(stream, lane.solver);
  if (status != GRADOPT_OK || lane.solver)
    return status;
  char words[256];
  device.solver.describe(words, sizeof(words));
  return fail(GRADOPT_DEVICE_ERROR, "%s", words);
}

gradopt_status Solver::run(const Task &task, const Lane &lane, CUstream stream,
                           Blas &blas, const int64_t *values) const {
  bool isSystem = task.routine == lapack::TriangularSolve;
  int64_t a = values[task.addresses[0]], b = values[task.addresses[1]],
          x = values[task.addresses[2]];
  // What is overwritten by the result, and where that is to be.
  int64_t from = isSystem ? b : a, to = isSystem ? x : b;
  size_t item = task.isDouble ? sizeof(double) : sizeof(float),
         elements = size_t(task.count * task.rows * task.columns);
  CUresult error = device.driver.cuMemcpyAsync(
      CUdeviceptr(to), CUdeviceptr(from), elements * item, stream);
  if (error != CUDA_SUCCESS)
    return failed(device.driver, error, "cannot copy on cuda:%d",
                  device.number);
  if (!isSystem)
    return factor(task, lane, stream, to, reinterpret_cast<int *>(x));
  return blas.solve({task.isDouble, bool(task.flags & lapack::IsLeft),
                     bool(task.flags & lapack::IsLower),
                     bool(task.flags & lapack::IsTransposed),
                     bool(task.flags & lapack::IsUnit), task.rows, task.columns,
                     task.count, a, to});
}

template <typename T, typename Potrf>
static cusolverStatus_t factorAll(Potrf potrf, cusolverDnHandle_t handle,
                                  const Solver::Task &task, int64_t matrices,
                                  CUdeviceptr work, int *statuses) {
  auto n = int(task.columns);
  auto *matrix = reinterpret_cast<T *>(matrices);
  cusolverStatus_t result = CUSOLVER_STATUS_SUCCESS;
  for (int64_t i = 0; i < task.count && result == CUSOLVER_STATUS_SUCCESS; ++i)
    result = potrf(handle, CUBLAS_FILL_MODE_UPPER, n,
                   matrix + i * task.rows * task.columns, n,
                   reinterpret_cast<T *>(work), task.lwork, statuses + i);
  return result;
}

gradopt_status Solver::factor(const Task &task, const Lane &lane,
                              CUstream stream, int64_t matrices,
                              int *statuses) const {
  cusolverDnHandle_t handle = handleOf(*lane.solver);
  cusolverStatus_t result = functions.cusolverDnSetStream(handle, stream);
  if (result == CUSOLVER_STATUS_SUCCESS)
    result = task.isDouble
                 ? factorAll<double>(functions.cusolverDnDpotrf, handle, task,
                                     matrices, lane.libraryMemory, statuses)
                 : factorAll<float>(functions.cusolverDnSpotrf, handle, task,
                                    matrices, lane.libraryMemory, statuses);
  auto n = int(task.columns);
  return result == CUSOLVER_STATUS_SUCCESS
             ? GRADOPT_OK
             : fail(GRADOPT_DEVICE_ERROR,
                    "the factorization of a matrix of %d x %d failed on "
                    "cuda:%d: cuSOLVER returned %s (%d)",
                    n, n, device.number, nameOf(result), result);
}

} // namespace gradopt::cuda
