/*===- gradopt_cuda.h - Running compiled code on NVIDIA GPUs ------*- C -*-===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* The part of the runtime's C API that needs a GPU and its driver, which is  *|
|* looked for when the first function is called. What gradopt_runtime.h says  *|
|* about errors and threads holds here as well. After GRADOPT_DEVICE_ERROR,   *|
|* gradopt_last_error() has the driver's own words; an error of a kernel is   *|
|* seen later than the call that launched it, and leaves the device unusable  *|
|* for the process. A child that was forked after the first use of a GPU      *|
|* cannot use one: each function says so.                                     *|
|*                                                                            *|
|* `device` counts from 0. `stream` is a CUstream of that device; null is the *|
|* legacy default stream. Work on a device is done in its primary context,    *|
|* which other libraries share; the context that is current for the calling   *|
|* thread stays so.                                                           *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef GRADOPT_CUDA_H
#define GRADOPT_CUDA_H

#include "gradopt_runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/*===----------------------------------------------------------------------===*\
|* Devices                                                                    *|
\*===----------------------------------------------------------------------===*/

/* The path of the driver library; null: libcuda.so.1. To be set before the
   first use of a device; the same path may be set again. */
GRADOPT_EXPORT gradopt_status gradopt_cuda_set_driver(const char *path);

/* The path of cuBLAS; null: libcublas.so.13 or .12, where the system finds it;
   "": none, matrix products are kernels of the program. To be set before the
   first product that a library computes; the same path may be set again. */
GRADOPT_EXPORT gradopt_status gradopt_cuda_set_blas(const char *path);

/* The same of cuFFT: libcufft.so.12 or .11. Without it, Fourier transforms are
   the host's. To be set before the first program with a transform is loaded. */
GRADOPT_EXPORT gradopt_status gradopt_cuda_set_fourier(const char *path);

/* The same of cuSOLVER: libcusolver.so.12 or .11. Without it, factorizations of
   matrices of more than 32 rows are the host's. */
GRADOPT_EXPORT gradopt_status gradopt_cuda_set_solver(const char *path);

typedef enum gradopt_cuda_library {
  GRADOPT_CUDA_BLAS,
  GRADOPT_CUDA_FOURIER,
  GRADOPT_CUDA_SOLVER
} gradopt_cuda_library;

/* Writes to `words` why programs on a device do without a library: it was
   looked for and cannot be used, or does not work there. Nothing if it works,
   or was not needed yet. At most `size` bytes are written, a null byte at the
   end of them. */
GRADOPT_EXPORT gradopt_status gradopt_cuda_library_problem(
    int32_t device, gradopt_cuda_library library, char *words, size_t size);

/* Fails with GRADOPT_NO_DEVICE if there is no usable driver or no device. */
GRADOPT_EXPORT gradopt_status gradopt_cuda_device_count(int32_t *count);

typedef struct gradopt_cuda_device_info {
  char name[128];
  int32_t chip;           /* the compute capability: 90 is 9.0 */
  int32_t driver_version; /* of CUDA: 12040 is 12.4 */
  int32_t num_multiprocessors;
  int32_t is_emulated; /* whether the driver runs object files on the host */
  uint64_t memory_bytes;
} gradopt_cuda_device_info;

GRADOPT_EXPORT gradopt_status
gradopt_cuda_get_device_info(int32_t device, gradopt_cuda_device_info *info);

/*===----------------------------------------------------------------------===*\
|* Programs                                                                   *|
\*===----------------------------------------------------------------------===*/

typedef struct gradopt_cuda_module gradopt_cuda_module;

/* Loads a program (DeviceProgram.h), of which everything is checked; its bytes
   are not needed afterwards. Equal programs of a device share what is loaded.
 */
GRADOPT_EXPORT gradopt_status
gradopt_cuda_module_load(const void *program, size_t size, int32_t device,
                         gradopt_cuda_module **out);

/* Waits for the device. No call of the module may be running. Null is allowed.
 */
GRADOPT_EXPORT void gradopt_cuda_module_unload(gradopt_cuda_module *module);

/* Runs the program, asynchronously unless it has to read numbers on its way,
   or calls functions of the host, such as those of LAPACK.
   `buffers` has the device addresses of all arguments, then of all results:
   row-major arrays that are aligned to GRADOPT_DEVICE_ALIGNMENT bytes, or less
   where the program needs no more. What is written does not overlap anything
   else. Behind them is, for a program for any number of rows, how many parts
   the room of the call has (Commands.h), in the place of an address.

   A program that is called again with the same buffers is captured as a graph
   and replayed. While `stream` is being captured by somebody else, the program
   becomes part of what is captured, unless it has to wait; the memory that it
   needs there is kept until the module is unloaded. */
GRADOPT_EXPORT gradopt_status gradopt_cuda_call(gradopt_cuda_module *module,
                                                void *const *buffers,
                                                size_t num_buffers,
                                                void *stream);

/* The same for a program that calls functions of its caller by their numbers,
   on copies of buffers in memory of the host. It returns when all is done, and
   fails with GRADOPT_TARGET_ERROR if one of them did (gradopt_failed_target());
   the results are not complete then. */
GRADOPT_EXPORT gradopt_status gradopt_cuda_call_with_targets(
    gradopt_cuda_module *module, void *const *buffers, size_t num_buffers,
    const gradopt_target *targets, size_t num_targets, void *stream);

/* Commands of the program are at some of so many places. */
GRADOPT_EXPORT size_t
gradopt_cuda_module_num_places(const gradopt_cuda_module *module);

/* As gradopt_cuda_call_with_targets(), but waits for the program, of which no
   graph is made, and adds what each command took, in nanoseconds, to the time
   at its place. `times` has gradopt_cuda_module_num_places() elements. */
GRADOPT_EXPORT gradopt_status gradopt_cuda_call_timed(
    gradopt_cuda_module *module, void *const *buffers, size_t num_buffers,
    const gradopt_target *targets, size_t num_targets, void *stream,
    gradopt_command_time *times, uint64_t *nanoseconds);

/*===----------------------------------------------------------------------===*\
|* Programs of bundles                                                        *|
\*===----------------------------------------------------------------------===*/

/* Whether a program of a bundle has code for GPUs. Which ones is looked at when
   it is loaded on one. */
GRADOPT_EXPORT int32_t
gradopt_program_has_cuda_code(const gradopt_program *program);

/* Loads the code and the constants on a device, which the first call does
   otherwise. Fails with GRADOPT_INVALID_BUNDLE if there is no code for GPUs,
   and with GRADOPT_INVALID_OBJECT if it is for others. The program is unloaded
   when its bundle is closed, which waits for the device. */
GRADOPT_EXPORT gradopt_status
gradopt_program_load_cuda(gradopt_program *program, int32_t device);

/* Calls the program with the device addresses of all arguments and results,
   row-major arrays aligned to 16 bytes; but arguments that are sizes of others
   are on the host, and are not looked at when the function has returned. A size
   that is larger than it may be is an error. A result that reuses an argument
   is written there, and its address is not looked at. What gradopt_cuda_call()
   says of graphs and waiting holds here; besides, a program with checks waits
   for their outcome. */
GRADOPT_EXPORT gradopt_status gradopt_program_call_cuda(
    gradopt_program *program, int32_t device, void *const *arguments,
    void *const *results, void *stream);

/*===----------------------------------------------------------------------===*\
|* Memory                                                                     *|
\*===----------------------------------------------------------------------===*/

/* Memory that may be used by what comes next on `stream`, from a pool that
   keeps what is freed. No bytes: null. */
GRADOPT_EXPORT gradopt_status gradopt_cuda_allocate(int32_t device,
                                                    size_t bytes, void *stream,
                                                    void **out);

/* Frees it when all that is on `stream` now is done. Null is allowed. */
GRADOPT_EXPORT gradopt_status gradopt_cuda_free(int32_t device, void *address,
                                                void *stream);

/* Copies, on `stream` of `device`; both addresses may be of the host or of any
   device. Memory of the host may be changed when the function has returned, and
   has been written by then if it is pageable. */
GRADOPT_EXPORT gradopt_status gradopt_cuda_copy(int32_t device, void *to,
                                                const void *from, size_t bytes,
                                                void *stream);

/* Copies the first elements of a row-major array on `device`, which has
   `shape`, to one that has `counts` elements along its dimensions and lies
   elsewhere on it. Fails with GRADOPT_INVALID_ARGUMENT where there are not so
   many. */
GRADOPT_EXPORT gradopt_status gradopt_cuda_copy_first(
    int32_t device, void *to, const void *from, size_t bytes_of_element,
    int32_t rank, const int64_t *shape, const int64_t *counts, void *stream);

/* Waits for all that is on `stream`. */
GRADOPT_EXPORT gradopt_status gradopt_cuda_synchronize(int32_t device,
                                                       void *stream);

/* Makes what comes next on `stream` wait for all that is on `other` now, which
   may be a stream of another device, unless it is null. If somebody captures
   `stream`, the function waits, since a graph cannot; what is captured on
   `other` alone is not waited for. */
GRADOPT_EXPORT gradopt_status gradopt_cuda_wait(int32_t device, void *stream,
                                                void *other);

/* Marks what is on `stream` now. Fails if somebody captures it. */
GRADOPT_EXPORT gradopt_status gradopt_cuda_mark(int32_t device, void *stream,
                                                void **mark);

/* Whether all that was marked is done; does not wait. The mark is gone if it
   is, and if the function fails. */
GRADOPT_EXPORT gradopt_status gradopt_cuda_is_done(int32_t device, void *mark,
                                                   int32_t *is_done);

/* The device that an address belongs to; -1: the host's. */
GRADOPT_EXPORT gradopt_status gradopt_cuda_pointer_device(const void *address,
                                                          int32_t *device);

#ifdef __cplusplus
}
#endif

#endif /* GRADOPT_CUDA_H */
