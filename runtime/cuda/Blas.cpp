//===- Blas.cpp - Matrix products by cuBLAS -------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// cuBLAS is used if it can be loaded, and its absence is no error. A handle is
// used by one call at a time. It gets a workspace of the stream's own: the one
// that it has by itself is shared by streams, and allocated when it pleases.
//
// For cuBLAS matrices lie column by column. Ours, which lie row by row, are
// their transposes, and C^T = op(B)^T op(A)^T.
//
//===----------------------------------------------------------------------===//

#include "runtime/cuda/Blas.h"
#include "runtime/OldLibrary.h"
#include "runtime/RuntimeError.h"

#include <cstring>

using gradopt::runtime::fail;

namespace gradopt::cuda {

namespace {

struct Functions {
#define GRADOPT_POINTER(name, parameters)                                      \
  cublasStatus_t(*name) parameters = nullptr;
  GRADOPT_BLAS_FUNCTIONS(GRADOPT_POINTER)
#undef GRADOPT_POINTER
} functions;

bool open(void *handle) {
  bool complete = true;
#define GRADOPT_FIND(name, parameters)                                         \
  complete &= findFunction(handle, #name, functions.name);
  GRADOPT_BLAS_FUNCTIONS(GRADOPT_FIND)
#undef GRADOPT_FIND
  return complete;
}

const char *nameOf(cublasStatus_t status) {
  switch (status) {
#define GRADOPT_NAME(name)                                                     \
  case name:                                                                   \
    return #name
    GRADOPT_NAME(CUBLAS_STATUS_NOT_INITIALIZED);
    GRADOPT_NAME(CUBLAS_STATUS_ALLOC_FAILED);
    GRADOPT_NAME(CUBLAS_STATUS_INVALID_VALUE);
    GRADOPT_NAME(CUBLAS_STATUS_ARCH_MISMATCH);
    GRADOPT_NAME(CUBLAS_STATUS_EXECUTION_FAILED);
    GRADOPT_NAME(CUBLAS_STATUS_INTERNAL_ERROR);
    GRADOPT_NAME(CUBLAS_STATUS_NOT_SUPPORTED);
#undef GRADOPT_NAME
  default:
    return "an unknown status";
  }
}

LibraryResult create(void *made) {
  cublasStatus_t status =
      functions.cublasCreate_v2(static_cast<cublasHandle_t *>(made));
  return LibraryResult::of(
      status, nameOf(status), CUBLAS_STATUS_ALLOC_FAILED,
      {CUBLAS_STATUS_NOT_INITIALIZED, CUBLAS_STATUS_INTERNAL_ERROR});
}

template <typename T> T number(int64_t word) {
  T value;
  std::memcpy(&value, &word, sizeof(T));
  return value;
}

/// The operands of a command by their names.
struct Product {
  explicit Product(const int64_t *p)
      : transa(p[0] != 0), transb(p[1] != 0), m(p[2]), n(p[3]), k(p[4]),
        a(p[5]), lda(p[6]), b(p[7]), ldb(p[8]), c(p[9]), ldc(p[10]),
        beta(p[11]), count(p[12]), stridea(p[13]), strideb(p[14]),
        stridec(p[15]) {}

  bool isEmpty() const { return m <= 0 || n <= 0 || count <= 0; }

  /// Whether cuBLAS takes it: it wants rows that are long enough.
  bool isOrdinary() const {
    return k > 0 && lda >= (transa ? m : k) && ldb >= (transb ? k : n) &&
           ldc >= n;
  }

  bool transa, transb;
  int64_t m, n, k, a, lda, b, ldb, c, ldc, beta;
  int64_t count, stridea, strideb, stridec;
};

} // namespace

Blas::~Blas() { device.blas.giveBack(taken); }

/// A handle, which somebody has to give back; null if there can be none.
gradopt_status Blas::takeHandle(Device &device, CUstream stream,
                                LibraryHandle *&handle) {
  handle = nullptr;
  return blasLibrary.find(device.driver,
                          {{"libcublas.so.13", 13000}, {"libcublas.so.12", 0}},
                          open)
             ? device.blas.take(device, {"cublasCreate_v2", create}, stream,
                                handle)
             : GRADOPT_OK;
}

gradopt_status Blas::find(Device &device, bool &isThere) {
  LibraryHandle *handle;
  gradopt_status status = takeHandle(device, device.loader, handle);
  isThere = handle != nullptr;
  device.blas.giveBack(handle);
  return status;
}

/// Gets a handle for the stream, unless there is one; false if the library
/// cannot be used, or `status` is an error.
bool Blas::prepare(gradopt_status &status) {
  status = GRADOPT_OK;
  if (taken)
    return true;
  LibraryHandle *found;
  status = takeHandle(device, stream, found);
  if (!found)
    return false;
  taken = found;
  size_t bytes = 0;
  status = device.reserveWorkspace(lane, stream, bytes);
  if (status != GRADOPT_OK)
    return false;
  cublasStatus_t error = functions.cublasSetStream_v2(handle(), stream);
  // To set the stream is to forget the workspace.
  if (error == CUBLAS_STATUS_SUCCESS)
    error = functions.cublasSetWorkspace_v2(
        handle(), reinterpret_cast<void *>(lane.workspace), bytes);
  if (error != CUBLAS_STATUS_SUCCESS)
    status = fail(GRADOPT_DEVICE_ERROR,
                  "cuBLAS cannot use a stream of cuda:%d: it returned %s (%d)",
                  device.number, nameOf(error), error);
  return status == GRADOPT_OK;
}

gradopt_status Blas::isThere(bool &answer) {
  gradopt_status status;
  answer = prepare(status);
  return status;
}

static cublasOperation_t operation(bool transposes) {
  return transposes ? CUBLAS_OP_T : CUBLAS_OP_N;
}

template <typename T, typename Gemm, typename BatchedGemm>
cublasStatus_t Blas::run(Gemm gemm, BatchedGemm batchedGemm,
                         const int64_t *parameters) const {
  Product p(parameters);
  T one = 1, beta = number<T>(p.beta);
  auto *a = reinterpret_cast<const T *>(p.a);
  auto *b = reinterpret_cast<const T *>(p.b);
  auto *c = reinterpret_cast<T *>(p.c);
  if (p.count == 1)
    return gemm(handle(), operation(p.transb), operation(p.transa), p.n, p.m,
                p.k, &one, b, p.ldb, a, p.lda, &beta, c, p.ldc);
  return batchedGemm(handle(), operation(p.transb), operation(p.transa), p.n,
                     p.m, p.k, &one, b, p.ldb, p.strideb, a, p.lda, p.stridea,
                     &beta, c, p.ldc, p.stridec, p.count);
}

cublasStatus_t Blas::runNarrow(cudaDataType_t type,
                               const int64_t *parameters) const {
  Product p(parameters);
  float one = 1, beta = number<float>(p.beta);
  auto *a = reinterpret_cast<const void *>(p.a);
  auto *b = reinterpret_cast<const void *>(p.b);
  auto *c = reinterpret_cast<void *>(p.c);
  if (p.count == 1)
    return functions.cublasGemmEx_64(
        handle(), operation(p.transb), operation(p.transa), p.n, p.m, p.k, &one,
        b, type, p.ldb, a, type, p.lda, &beta, c, CUDA_R_32F, p.ldc,
        CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
  return functions.cublasGemmStridedBatchedEx_64(
      handle(), operation(p.transb), operation(p.transa), p.n, p.m, p.k, &one,
      b, type, p.ldb, p.strideb, a, type, p.lda, p.stridea, &beta, c,
      CUDA_R_32F, p.ldc, p.stridec, p.count, CUBLAS_COMPUTE_32F,
      CUBLAS_GEMM_DEFAULT);
}

gradopt_status Blas::multiply(gradopt_opcode opcode, const int64_t *parameters,
                              bool &isDone) {
  Product product(parameters);
  isDone = product.isEmpty();
  if (isDone || !product.isOrdinary())
    return GRADOPT_OK;
  gradopt_status status;
  if (!prepare(status))
    return status;
  cublasStatus_t error;
  if (opcode == GRADOPT_GEMM_F64)
    error = run<double>(functions.cublasDgemm_v2_64,
                        functions.cublasDgemmStridedBatched_64, parameters);
  else if (opcode == GRADOPT_GEMM_F32)
    error = run<float>(functions.cublasSgemm_v2_64,
                       functions.cublasSgemmStridedBatched_64, parameters);
  else
    error = runNarrow(opcode == GRADOPT_GEMM_F16 ? CUDA_R_16F : CUDA_R_16BF,
                      parameters);
  isDone = error == CUBLAS_STATUS_SUCCESS;
  if (isDone)
    return GRADOPT_OK;
  return fail(
      GRADOPT_DEVICE_ERROR,
      "a product of matrices of %lld x %lld and %lld x %lld on cuda:%d "
      "failed: cuBLAS returned %s (%d)",
      static_cast<long long>(product.m), static_cast<long long>(product.k),
      static_cast<long long>(product.k), static_cast<long long>(product.n),
      device.number, nameOf(error), error);
}

template <typename T, typename Trsm>
cublasStatus_t Blas::runSystems(Trsm trsm,
                                const TriangularSystems &systems) const {
  // Ours are transposed: x op(A) is op(A)^T x^T, and lower is upper.
  T one = 1;
  int64_t n = systems.isLeft ? systems.rows : systems.columns;
  auto *a = reinterpret_cast<const T *>(systems.a);
  auto *x = reinterpret_cast<T *>(systems.x);
  cublasStatus_t error = CUBLAS_STATUS_SUCCESS;
  for (int64_t i = 0; i < systems.count && error == CUBLAS_STATUS_SUCCESS; ++i)
    error =
        trsm(handle(), systems.isLeft ? CUBLAS_SIDE_RIGHT : CUBLAS_SIDE_LEFT,
             systems.isLower ? CUBLAS_FILL_MODE_UPPER : CUBLAS_FILL_MODE_LOWER,
             operation(systems.isTransposed),
             systems.isUnit ? CUBLAS_DIAG_UNIT : CUBLAS_DIAG_NON_UNIT,
             systems.columns, systems.rows, &one, a + i * n * n, n,
             x + i * systems.rows * systems.columns, systems.columns);
  return error;
}

gradopt_status Blas::solve(const TriangularSystems &systems) {
  gradopt_status status;
  if (!prepare(status))
    return status != GRADOPT_OK
               ? status
               : fail(GRADOPT_DEVICE_ERROR, "cuBLAS cannot be used on cuda:%d",
                      device.number);
  cublasStatus_t error =
      systems.isDouble
          ? runSystems<double>(functions.cublasDtrsm_v2_64, systems)
          : runSystems<float>(functions.cublasStrsm_v2_64, systems);
  return error == CUBLAS_STATUS_SUCCESS
             ? GRADOPT_OK
             : fail(GRADOPT_DEVICE_ERROR,
                    "a triangular system of %lld x %lld unknowns on cuda:%d "
                    "failed: cuBLAS returned %s (%d)",
                    static_cast<long long>(systems.rows),
                    static_cast<long long>(systems.columns), device.number,
                    nameOf(error), error);
}

} // namespace gradopt::cuda
