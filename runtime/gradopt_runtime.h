/*===- gradopt_runtime.h - Loading and running compiled code -----*- C -*-===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* The C API of the gradopt runtime. No function aborts or throws: those that *|
|* can fail return a gradopt_status, and gradopt_last_error() then explains   *|
|* the failure to the calling thread. All functions are thread-safe; a module *|
|* may be called by any number of threads at once.                            *|
|*                                                                            *|
|* Compiled code has one entry, `int32_t gradopt_main(void **buffers)`.       *|
|* `buffers` holds pointers to the arguments, then the results, then the      *|
|* arena: row-major arrays aligned to their elements. Arguments are only      *|
|* read, but those that were compiled to be overwritten with a result, which  *|
|* has no place of its own then. No two buffers overlap that one of is        *|
|* written.                                                                   *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef GRADOPT_RUNTIME_H
#define GRADOPT_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#define GRADOPT_EXPORT __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

typedef enum gradopt_status {
  GRADOPT_OK = 0,
  GRADOPT_INVALID_ARGUMENT = 1, /* a null pointer, a bad size ...            */
  GRADOPT_INVALID_OBJECT = 2,   /* not an object file for this machine       */
  GRADOPT_MISSING_SYMBOL = 3,   /* an unresolved symbol or no such entry     */
  GRADOPT_OUT_OF_MEMORY = 4,
  GRADOPT_LIBRARY_ERROR = 5,  /* a library cannot be loaded or is unsuitable  */
  GRADOPT_CODE_ERROR = 6,     /* compiled code reported a failure             */
  GRADOPT_TARGET_ERROR = 7,   /* a function that compiled code called failed  */
  GRADOPT_INVALID_BUNDLE = 8, /* not a bundle, damaged, or for other machines */
  GRADOPT_CHECK_FAILED =
      9, /* a check of the program, such as an index's bounds */
  GRADOPT_NO_DEVICE = 10,   /* no GPU, or no driver that can be used */
  GRADOPT_DEVICE_ERROR = 11 /* what the driver of the GPU was asked failed */
} gradopt_status;

/* Why the last failing call of this thread failed; "" if none did. Valid until
   the thread's next failing call. */
GRADOPT_EXPORT const char *gradopt_last_error(void);

/*===----------------------------------------------------------------------===*\
|* Modules                                                                    *|
\*===----------------------------------------------------------------------===*/

typedef struct gradopt_module gradopt_module;

/* Links an object file into the process and finds `entry` (null: gradopt_main).
   The object may use the C library, libm and the functions of this header.
   Each call of the module gets an arena of at least `arena_bytes` bytes. The
   bytes of the object are not needed afterwards. */
GRADOPT_EXPORT gradopt_status gradopt_module_load(const void *object,
                                                  size_t size,
                                                  const char *entry,
                                                  size_t arena_bytes,
                                                  gradopt_module **out);

/* Frees the code, and arenas that only it needed. No call may be running. Null
   is allowed. */
GRADOPT_EXPORT void gradopt_module_unload(gradopt_module *module);

/* The number of bytes a call of the module needs as its arena. */
GRADOPT_EXPORT size_t gradopt_module_arena_bytes(const gradopt_module *module);

/* From now on a call needs an arena of so many bytes, if it needed fewer: what
   it needs depends on sizes that it gets. */
GRADOPT_EXPORT void gradopt_module_enlarge_arena(gradopt_module *module,
                                                 size_t arena_bytes);

/* Runs the code. `buffers` has one slot more than arguments and results: the
   call puts the arena at `buffers[arena_slot]`. */
GRADOPT_EXPORT gradopt_status gradopt_call(gradopt_module *module,
                                           void **buffers, size_t arena_slot);

/*===----------------------------------------------------------------------===*\
|* Times                                                                      *|
\*===----------------------------------------------------------------------===*/

/* The clock of the CPU, which runs at one rate. */
GRADOPT_EXPORT uint64_t gradopt_ticks(void);

typedef struct gradopt_command_time {
  uint64_t runs;
  uint64_t ticks; /* all runs together */
} gradopt_command_time;

/* A module that is a list of commands has a command at some of so many places;
   0 if it is not a list. */
GRADOPT_EXPORT size_t gradopt_module_num_places(const gradopt_module *module);

/* As gradopt_call, and adds what each command took to the time at its place.
   `times` has gradopt_module_num_places() elements. */
GRADOPT_EXPORT gradopt_status gradopt_call_timed(gradopt_module *module,
                                                 void **buffers,
                                                 size_t arena_slot,
                                                 gradopt_command_time *times);

/*===----------------------------------------------------------------------===*\
|* Functions that compiled code calls                                         *|
\*===----------------------------------------------------------------------===*/

typedef enum gradopt_dtype {
  GRADOPT_BOOL = 0, /* a byte, 0 or 1 */
  GRADOPT_I8 = 1,
  GRADOPT_I16 = 2,
  GRADOPT_I32 = 3,
  GRADOPT_I64 = 4,
  GRADOPT_F32 = 5,
  GRADOPT_F64 = 6,
  GRADOPT_U8 = 7,
  GRADOPT_U16 = 8,
  GRADOPT_U32 = 9,
  GRADOPT_U64 = 10,
  GRADOPT_C64 = 11,  /* two floats, the real part first */
  GRADOPT_C128 = 12, /* two doubles */
  GRADOPT_F16 = 13,  /* IEEE 754's binary16 */
  GRADOPT_BF16 = 14  /* the upper half of a float */
} gradopt_dtype;

/* Complex numbers, as C99, C++ and NumPy have them in memory. */
typedef struct gradopt_complex64 {
  float re, im;
} gradopt_complex64;
typedef struct gradopt_complex128 {
  double re, im;
} gradopt_complex128;

/* A row-major array, aligned to its elements, or to their parts. */
typedef struct gradopt_buffer {
  void *data;
  const int64_t *shape; /* `rank` numbers */
  int32_t rank;
  int32_t dtype; /* a gradopt_dtype */
} gradopt_buffer;

/* What `gradopt.custom_call` names: a function of arrays. It reads the inputs,
   writes all elements of the outputs, which overlap nothing, and keeps no
   pointer. It returns 0, or a number of its own choice if it failed; the call
   of the program then ends there. It may run on any thread, on several at
   once, and more often or less often than the program says: its results depend
   on nothing but its inputs. */
typedef int32_t (*gradopt_function)(const gradopt_buffer *inputs,
                                    const gradopt_buffer *outputs);

/* The same for who has to know more: `state` is that of the target. */
typedef int32_t (*gradopt_callback)(void *state, const gradopt_buffer *inputs,
                                    int64_t num_inputs,
                                    const gradopt_buffer *outputs,
                                    int64_t num_outputs);

/* A function that code calls by its number; one of the two is null. */
typedef struct gradopt_target {
  gradopt_function function;
  gradopt_callback callback;
  void *state;
} gradopt_target;

/* Says which functions the module calls. To be done before its first call; the
   array is copied. */
GRADOPT_EXPORT gradopt_status gradopt_module_set_targets(
    gradopt_module *module, const gradopt_target *targets, size_t count);

/* After GRADOPT_TARGET_ERROR: the number of the target that failed this
   thread's call, and what it returned. */
GRADOPT_EXPORT size_t gradopt_failed_target(int32_t *status);

/* Calls target number `target` of the module that is running. Does not return
   if it fails. Called by compiled code. */
GRADOPT_EXPORT void gradopt_call_target(int64_t target,
                                        const gradopt_buffer *inputs,
                                        int64_t num_inputs,
                                        const gradopt_buffer *outputs,
                                        int64_t num_outputs);

/*===----------------------------------------------------------------------===*\
|* Bundles                                                                    *|
\*===----------------------------------------------------------------------===*/

/* A file of compiled programs, as `gradopt.save` writes it. */
typedef struct gradopt_bundle gradopt_bundle;
typedef struct gradopt_program gradopt_program;

typedef struct gradopt_array_info {
  const char *name; /* how the caller of the Python function reaches it */
  int32_t dtype;    /* a gradopt_dtype */
  int32_t rank;
  const int64_t *shape; /* `rank` numbers */
  size_t bytes;
  /* Of a result: the number of the argument in whose memory it is computed, or
     -1. */
  int64_t reused;
  /* For each dimension: how many more elements there are along it for each 32nd
     of the room of a call (see gradopt_program_room); 0 if there are always as
     many. */
  const int64_t *extents_of_part;
  /* For each dimension: -1, or the number of the argument, and for a result of
     the result, that is the size along it in a call. An argument has as many
     rows as that says. Along other dimensions, and of a result, `shape` says
     what there is memory for, of which the first elements count. */
  const int64_t *sizes;
} gradopt_array_info;

/* Opens a bundle and loads its programs. Nothing of it is run before all of the
   file was checked. What is given out below lives until it is closed. */
GRADOPT_EXPORT gradopt_status gradopt_bundle_open(const char *path,
                                                  gradopt_bundle **out);

/* No call may be running. Null is allowed. */
GRADOPT_EXPORT void gradopt_bundle_close(gradopt_bundle *bundle);

GRADOPT_EXPORT size_t gradopt_bundle_num_programs(const gradopt_bundle *bundle);

/* Null if there are not so many. */
GRADOPT_EXPORT gradopt_program *gradopt_bundle_program(gradopt_bundle *bundle,
                                                       size_t number);

/* The first program of this name; null if there is none. */
GRADOPT_EXPORT gradopt_program *gradopt_bundle_find(gradopt_bundle *bundle,
                                                    const char *name);

/* JSON: how arguments and results make up Python objects. */
GRADOPT_EXPORT const char *
gradopt_bundle_structure(const gradopt_bundle *bundle, size_t *size);

GRADOPT_EXPORT const char *gradopt_program_name(const gradopt_program *program);
GRADOPT_EXPORT size_t
gradopt_program_num_arguments(const gradopt_program *program);
GRADOPT_EXPORT size_t
gradopt_program_num_results(const gradopt_program *program);

/* Null if there are not so many. */
GRADOPT_EXPORT const gradopt_array_info *
gradopt_program_argument(const gradopt_program *program, size_t number);
GRADOPT_EXPORT const gradopt_array_info *
gradopt_program_result(const gradopt_program *program, size_t number);

/* Where arguments have any number of rows, what a call needs memory for follows
   from the room that it has for them: this many, for the arguments at these
   addresses, of which those that are sizes are read, and no others. 0 where all
   sizes are known, or have a largest value. Fails where one is larger. */
GRADOPT_EXPORT gradopt_status gradopt_program_room(
    const gradopt_program *program, void *const *arguments, int64_t *room);

/* How many elements there is memory for along a dimension of an array in a call
   with this room: shape[d] + room / 32 * extents_of_part[d]. -1 if there cannot
   be so many. */
GRADOPT_EXPORT int64_t gradopt_array_extent(const gradopt_array_info *array,
                                            int32_t dimension, int64_t room);

/* The bytes of an array in such a call; SIZE_MAX if there cannot be so many.
   `bytes` are those for no rows. */
GRADOPT_EXPORT size_t gradopt_array_bytes(const gradopt_array_info *array,
                                          int64_t room);

/* Bytes of temporaries of such a call. SIZE_MAX if there cannot be so many. */
GRADOPT_EXPORT size_t
gradopt_program_arena_bytes(const gradopt_program *program, int64_t room);

/* Whether it has code for this CPU. If not, it has code for GPUs. */
GRADOPT_EXPORT int32_t
gradopt_program_has_cpu_code(const gradopt_program *program);

/* Calls the program with the addresses of all arguments and results: row-major
   arrays on the host, aligned to their elements. A result that reuses an
   argument is written there, and its address is not looked at. Without code for
   this CPU, it runs on the first GPU, and the arrays are copied.
   gradopt_program_call_cuda() takes those on a GPU. */
GRADOPT_EXPORT gradopt_status gradopt_program_call(gradopt_program *program,
                                                   void *const *arguments,
                                                   void *const *results);

/* After GRADOPT_CHECK_FAILED: the Python exception that this thread's call
   would have raised. */
GRADOPT_EXPORT const char *gradopt_failed_check(void);

/*===----------------------------------------------------------------------===*\
|* Memory                                                                     *|
\*===----------------------------------------------------------------------===*/

/* Heap allocations made by calls of compiled code so far: the arenas that are
   too large for the stack. Constant while calls repeat. */
GRADOPT_EXPORT uint64_t gradopt_alloc_count(void);

/* The bytes of all these arenas. Modules share them: there are at most as many
   as calls ever ran at the same time. */
GRADOPT_EXPORT size_t gradopt_arena_bytes(void);

/*===----------------------------------------------------------------------===*\
|* Matrix products                                                            *|
\*===----------------------------------------------------------------------===*/

/* Loads the library at `path`, which has the CBLAS interface with 32-bit
   integers, perhaps under the prefix "scipy_". Without a library products run
   in a plain loop. */
GRADOPT_EXPORT gradopt_status gradopt_set_blas(const char *path);

/* The path of the loaded library, or null. */
GRADOPT_EXPORT const char *gradopt_blas_path(void);

/* Limits the threads of the loaded library, where it can be asked to. */
GRADOPT_EXPORT gradopt_status gradopt_set_blas_threads(int count);

/* C = op(A) op(B) + beta C, row-major; op transposes if the flag is not 0.
   op(A) is m x k, op(B) is k x n, C is m x n and overlaps neither A nor B. C is
   not read if beta is 0. Called by compiled code. */
GRADOPT_EXPORT void gradopt_gemm_f64(int64_t transa, int64_t transb, int64_t m,
                                     int64_t n, int64_t k, const double *a,
                                     int64_t lda, const double *b, int64_t ldb,
                                     double *c, int64_t ldc, double beta);
GRADOPT_EXPORT void gradopt_gemm_f32(int64_t transa, int64_t transb, int64_t m,
                                     int64_t n, int64_t k, const float *a,
                                     int64_t lda, const float *b, int64_t ldb,
                                     float *c, int64_t ldc, float beta);

/* The same of complex matrices, whose elements are real parts followed by
   imaginary ones; leading dimensions count elements. Nothing is conjugated. */
GRADOPT_EXPORT void gradopt_gemm_c128(int64_t transa, int64_t transb, int64_t m,
                                      int64_t n, int64_t k, const double *a,
                                      int64_t lda, const double *b, int64_t ldb,
                                      double *c, int64_t ldc, double beta);
GRADOPT_EXPORT void gradopt_gemm_c64(int64_t transa, int64_t transb, int64_t m,
                                     int64_t n, int64_t k, const float *a,
                                     int64_t lda, const float *b, int64_t ldb,
                                     float *c, int64_t ldc, float beta);

#ifdef __cplusplus
}
#endif

#endif /* GRADOPT_RUNTIME_H */
