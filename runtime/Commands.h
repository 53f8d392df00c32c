/*===- Commands.h - Programs as lists of commands -----------------*- C -*-===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/
/*
 * A long program is a list of commands, which the runtime goes through: calls
 * of kernels, which are native functions, matrix products, copies, and
 * branches. This header is where the format is defined, for the compiler that
 * writes lists and for the interpreter that runs them.
 *
 * A program works on words of 64 bits:
 *
 *   0                     zero
 *   1                     the address of word 0
 *   2                     the address of the constants
 *   3 ...                 the addresses of the buffers: arguments, results,
 *                         and the arena, which is the last one
 *   3 + num_buffers ...   registers: numbers and addresses. A number that is
 *                         narrower than a word lies in its first bytes, the
 *                         others being zero
 *
 * They lie in the arena, `frame` bytes from its beginning, with the values of
 * operands of one command behind them. An operand is the sum of two words and
 * an offset: a number, a register, the address of a register, or an address in
 * a buffer that is known or was calculated.
 *
 * On a device the commands are run by the host, which launches what works on
 * the memory of the device. The words lie on the host, wherever a call has
 * them: a table for a device has no frame (0), and no operand is the address of
 * a register or of the words. The addresses of constants and buffers are those
 * of the device.
 *
 * Where sizes are known in the call only (runtime/OpenSizes.h), the last buffer
 * of a table for a device but the arena is no address: it is the number of
 * parts that the room has, and its size is GRADOPT_NUMBER_SIZE.
 *
 * A table is the header, `gradopt_commands`; the size in bytes of the constants
 * and of each buffer; then the commands, each a `gradopt_command` with its
 * operands right behind it. All is in the byte order of the machine.
 */

#ifndef GRADOPT_COMMANDS_H
#define GRADOPT_COMMANDS_H

#include "runtime/gradopt_runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

#define GRADOPT_COMMANDS_MAGIC 0x53444d43u /* "CMDS" */
#define GRADOPT_COMMANDS_VERSION 5u

/* In the place of the size of a buffer, where there is a number. */
#define GRADOPT_NUMBER_SIZE INT64_MAX

enum {
  GRADOPT_WORD_ZERO = 0,
  GRADOPT_WORD_FRAME = 1,
  GRADOPT_WORD_CONSTANTS = 2,
  GRADOPT_WORD_BUFFERS = 3
};

typedef struct gradopt_commands {
  uint32_t magic, version;
  uint64_t bytes; /* of the whole table */
  uint64_t frame; /* where the words begin in the arena */
  uint32_t num_words;
  uint32_t num_buffers; /* the arena included */
  uint32_t num_kernels;
  uint32_t max_operands; /* of one command */
} gradopt_commands;

/* The sizes of the constants and of each buffer, in bytes. */
static inline const int64_t *
gradopt_buffer_sizes(const gradopt_commands *table) {
  return (const int64_t *)(table + 1);
}

/* words[base] + words[index] + offset */
typedef struct gradopt_operand {
  uint32_t base, index;
  int64_t offset;
} gradopt_operand;

typedef enum gradopt_opcode {
  /* The run is over. */
  GRADOPT_END = 0,
  /* Calls kernel `target` with the values of the operands. On a device, they
     are its parameters, each a word. */
  GRADOPT_LAUNCH = 1,
  /* gradopt_gemm_f64 or gradopt_gemm_f32, for one product after the other: the
     twelve parameters of the first one in order; the number of products; from
     each to the next one, how many elements further A, B and C are. None
     depends on the C of another one. On a device, what kernel `target` does if
     there is no library for it. */
  GRADOPT_GEMM_F64 = 2,
  GRADOPT_GEMM_F32 = 3,
  /* To an address, from an address, so many bytes. They do not overlap. */
  GRADOPT_COPY = 4,
  /* Writes the operands to words `target`, `target` + 1, ..., all at once. */
  GRADOPT_SET = 5,
  /* words[target] = first + second * third */
  GRADOPT_MULTIPLY_ADD = 6,
  /* Goes on at command `target`, counted in units of 8 bytes from the first
     one, if the first operand is less than the second one, or equal to it. */
  GRADOPT_BRANCH_LESS = 7,
  GRADOPT_BRANCH_EQUAL = 8,
  /* Loads into word `target`, from an address, so many bytes: 1, 2, 4 or 8. On
     a device, all commands before it are waited for. */
  GRADOPT_READ = 9,
  /* words[target] = the lesser, or the greater, of two signed numbers */
  GRADOPT_MINIMUM = 10,
  GRADOPT_MAXIMUM = 11,
  /* The same as GRADOPT_GEMM_F64, with gradopt_gemm_c128 or gradopt_gemm_c64;
     not on a device. */
  GRADOPT_GEMM_C128 = 12,
  GRADOPT_GEMM_C64 = 13,
  /* The same as GRADOPT_GEMM_F32, of A and B in f16 or bf16; only on a device.
   */
  GRADOPT_GEMM_F16 = 14,
  GRADOPT_GEMM_BF16 = 15,
  /* Only on a device: calls `target`, a gradopt_host_function, on copies of
     buffers in memory of the host, as compiled code calls it on those of the
     CPU. The operands are the number that it gets, how many of the buffers are
     inputs, and for each buffer its address, gradopt_dtype, rank and extents;
     the other ones are its outs. All of them but addresses are known.
     Everything before the call is waited for, unless a library for the device
     does the same. */
  GRADOPT_HOST_CALL = 16,
  /* Only on a device: words[target] = 1 if a library does products of matrices,
     else 0. It is the same in all of a call, and no product is tried. */
  GRADOPT_HAS_LIBRARY = 17
} gradopt_opcode;

typedef enum gradopt_host_function {
  GRADOPT_HOST_TARGET = 0, /* gradopt_call_target */
  GRADOPT_HOST_LAPACK = 1,
  GRADOPT_HOST_SORT = 2,
  GRADOPT_HOST_FOURIER = 3
} gradopt_host_function;
#define GRADOPT_NUM_HOST_FUNCTIONS 4u

/* Added to the dtype of an out that is memory to work in: nobody reads what the
   call leaves there, and it is not copied back. */
#define GRADOPT_HOST_SCRATCH 0x100

/* What a buffer of a host call may have at most. */
#define GRADOPT_HOST_MAX_RANK 64

typedef struct gradopt_command {
  uint16_t opcode;
  uint16_t num_operands;
  uint32_t target;
} gradopt_command;

/* A kernel gets the values of its operands: addresses, numbers, and the
   addresses of the registers that its results go to. */
typedef void (*gradopt_kernel)(const int64_t *values);

/* Runs a table that is known to be valid. `buffers` are those of gradopt_call,
   the arena included. Returns 0, or 1 if the table is of another version.
   Called by compiled code. */
GRADOPT_EXPORT int32_t gradopt_run_commands(const gradopt_commands *table,
                                            const gradopt_kernel *kernels,
                                            const void *constants,
                                            void *const *buffers);

/* Whether `size` bytes are a table that runs with `num_kernels` kernels, with
   buffers of the sizes that it states: each command is complete and known,
   reads words that there are, writes registers only, begins in bounds where it
   accesses a buffer at a fixed place, and branches to a command. What a kernel
   does is not known, and neither are addresses that are calculated. Returns
   null, or what is wrong; then `where`, if it is not null, is the distance of
   the command from the beginning, in bytes. */
GRADOPT_EXPORT const char *gradopt_check_commands(const void *bytes,
                                                  size_t size,
                                                  size_t num_kernels,
                                                  size_t *where);

/* The same for a table that is run on a device. */
GRADOPT_EXPORT const char *gradopt_check_device_commands(const void *bytes,
                                                         size_t size,
                                                         size_t num_kernels,
                                                         size_t *where);

#ifdef __cplusplus
}
#endif

#endif /* GRADOPT_COMMANDS_H */
