/*===- gradopt_emulator.h - An emulator of CUDA's driver ----------*- C -*-===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* A library in place of libcuda.so.1, with the functions of it that the      *|
|* runtime uses (runtime/cuda/DriverApi.h), and a cuBLAS. Its devices are the *|
|* host: a module is an object file for x86-64, and a kernel is a function of *|
|* it, `void kernel(const int64_t *parameters)`, that is run once for each    *|
|* thread. Blocks run one after the other, the threads of one as fibers.      *|
|*                                                                            *|
|* It is made to find faults:                                                 *|
|*                                                                            *|
|*  - Work on streams is done as late as it may be, namely when somebody      *|
|*    waits for it. So what is not waited for is missing.                     *|
|*  - Memory is full of garbage at first, and again when it was freed.        *|
|*  - Each access of a kernel has to be in bounds of memory that is           *|
|*    allocated, and must not race with one of another thread.                *|
|*  - A barrier or shuffle that not all threads reach is an error.            *|
|*                                                                            *|
|* An error of a kernel is one of the driver's that stick to a context; the   *|
|* words of cuGetErrorString say which thread did what.                       *|
|*                                                                            *|
|* Environment variables, read by cuInit:                                     *|
|*   GRADOPT_EMULATOR=record      modules are PTX; kernels do nothing         *|
|*   GRADOPT_EMULATOR_CHIPS       of the devices: "90,90"                     *|
|*   GRADOPT_EMULATOR_DRIVER      version of CUDA: 12040                      *|
|*   GRADOPT_EMULATOR_MEMORY      bytes of a device: 4294967296               *|
|*   GRADOPT_EMULATOR_FAIL        "function:error:calls before", as below     *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef GRADOPT_EMULATOR_H
#define GRADOPT_EMULATOR_H

#include <stdint.h>

#define GRADOPT_EMULATOR_EXPORT __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

/*===----------------------------------------------------------------------===*\
|* For kernels                                                                *|
\*===----------------------------------------------------------------------===*/

/* Of the one dimension that grids and blocks have. */
int32_t gradopt_emulated_thread(void);
int32_t gradopt_emulated_block(void);
int32_t gradopt_emulated_num_threads(void);
int32_t gradopt_emulated_num_blocks(void);

/* Waits for all threads of the block, and orders their accesses. */
void gradopt_emulated_barrier(void);

/* The value that another of the 32 threads of the warp brings, all of which
   have to come: thread `lane ^ operand` (kind 0), `lane + operand` (1),
   `lane - operand` (2) or `operand` (3); the own one if there is no such
   thread. */
int64_t gradopt_emulated_shuffle(int64_t value, int32_t operand, int32_t kind);

/* What `mma.sync.m8n8k4` does with numbers of 64 bits: all 32 threads of a warp
   come, bring an element of a matrix of 8 rows and 4 columns and one of a
   matrix of 4 rows and 8 columns, and get two elements, side by side, of their
   product, added to `c0` and `c1`. Thread `t` brings row `t / 4` and column `t
   % 4` of the first matrix, row `t % 4` and column `t / 4` of the second one,
   and gets row `t / 4` and columns from `t % 4 * 2` on of the result. */
struct gradopt_emulated_pair {
  double first, second;
};
struct gradopt_emulated_pair gradopt_emulated_multiply(double a, double b,
                                                       double c0, double c1);

/* What `mma.sync.m16n8k16` does with float16, or bfloat16 if `is_brain`, and
   sums of float32: all 32 threads of a warp come. Words hold two registers of
   32 bits, the first one in the low bits. In its four registers of the first
   matrix, of 16 rows and 16 columns, thread `t` brings columns `t % 4 * 2` and
   the next one of rows `t / 4` and `t / 4 + 8`, then the same 8 columns on; in
   its two of the second matrix, of 16 rows and 8 columns, rows `t % 4 * 2` and
   the next one of column `t / 4`, then the same 8 rows on. It gets columns `t %
   4 * 2` and the next one of rows `t / 4` and `t / 4 + 8`. How a tensor core
   rounds its sums is not specified: here, they are rounded once. */
struct gradopt_emulated_words {
  int64_t first, second;
};
struct gradopt_emulated_words
gradopt_emulated_multiply_narrow(int64_t a01, int64_t a23, int64_t b01,
                                 int64_t c01, int64_t c23, int32_t is_brain);

/* The shared memory of the block, aligned to 256 bytes. All threads ask for the
   same number of bytes, at most 48 KiB. */
void *gradopt_emulated_shared(int64_t bytes);

/* To be called before each access to global or shared memory. The address is a
   multiple of `bytes`, or of 16, if that is a power of two. */
void gradopt_emulated_load(const void *address, int64_t bytes);
void gradopt_emulated_store(const void *address, int64_t bytes);

/*===----------------------------------------------------------------------===*\
|* For tests                                                                  *|
\*===----------------------------------------------------------------------===*/

/* Whether modules are object files of the host. The runtime tells by this
   function that a driver is an emulator. */
GRADOPT_EMULATOR_EXPORT int32_t gradopt_emulator_runs_objects(void);

/* Forgets the log, and writes it from now on or not. */
GRADOPT_EMULATOR_EXPORT void gradopt_emulator_record(int32_t on);

/* One line for each call of the driver, and, indented, for each piece of work
   that is done on a device. Valid until the next call of this thread. */
GRADOPT_EMULATOR_EXPORT const char *gradopt_emulator_log(void);

/* Lets a call of a function of the driver fail, after `skip` others. */
GRADOPT_EMULATOR_EXPORT void gradopt_emulator_fail(const char *function,
                                                   int32_t error, int32_t skip);

/* Forgets failures to come and errors of devices, which otherwise only a new
   process does. */
GRADOPT_EMULATOR_EXPORT void gradopt_emulator_recover(void);

/* Bytes of a device that are allocated, and how many there are at most. */
GRADOPT_EMULATOR_EXPORT uint64_t gradopt_emulator_bytes_in_use(int32_t device);
GRADOPT_EMULATOR_EXPORT void gradopt_emulator_set_memory(uint64_t bytes);

#ifdef __cplusplus
}
#endif

#endif /* GRADOPT_EMULATOR_H */
