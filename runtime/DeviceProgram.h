/*===- DeviceProgram.h - Programs for a GPU, as bytes -------------*- C -*-===*\
|*                                                                            *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/
/*
 * What the compiler makes of a program for a GPU: kernels, in one or several
 * forms, and the list of commands that launches them (Commands.h). All of it is
 * one block of bytes that can be written to a file. It is little-endian; what
 * the header refers to lies at offsets from the beginning that are multiples of
 * 8.
 */

#ifndef GRADOPT_DEVICEPROGRAM_H
#define GRADOPT_DEVICEPROGRAM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GRADOPT_DEVICE_PROGRAM_MAGIC 0x56454447u /* "GDEV" */
#define GRADOPT_DEVICE_PROGRAM_VERSION 2u

/* What addresses of the arena, of constants and of buffers are multiples of. */
#define GRADOPT_DEVICE_ALIGNMENT 256u

typedef struct gradopt_device_program {
  uint32_t magic, version;
  uint64_t bytes;                      /* of all of it */
  uint64_t arena_bytes;                /* device memory of one call; 0: none */
  uint64_t table, table_bytes;         /* a table of Commands.h */
  uint64_t constants, constants_bytes; /* copied to the device when loaded */
  uint64_t kernels, num_kernels;       /* gradopt_device_kernel[] */
  uint64_t images, num_images;         /* gradopt_device_image[] */
  /* Of code for any number of rows (runtime/OpenSizes.h), whose last buffer but
     the arena is how many parts the room has: so many more bytes of the arena
     for each of them, and the room that a call has at least. 0, and 0, where
     all sizes are known. */
  uint64_t arena_bytes_per_part, least_room;
} gradopt_device_program;

/* A function of the images. All of its parameters are words of 64 bits, and
   there are as many as operands of the commands that launch it. */
typedef struct gradopt_device_kernel {
  uint64_t name; /* offset of a string that ends in a null byte */
  uint32_t grid; /* blocks, and threads of one; both in one dimension */
  uint32_t block;
} gradopt_device_kernel;

typedef enum gradopt_device_image_kind {
  GRADOPT_IMAGE_PTX = 0,   /* text that ends in a null byte */
  GRADOPT_IMAGE_CUBIN = 1, /* machine code of one chip */
  GRADOPT_IMAGE_HOST = 2   /* an object file for an emulator on the host */
} gradopt_device_image_kind;

/* All kernels in one form. Which one a device gets: machine code of exactly its
   chip, else the text for the highest chip that is not above its own. */
typedef struct gradopt_device_image {
  uint32_t chip; /* 80, 90, ...: the compute capability; 0: an emulator's */
  uint32_t kind; /* a gradopt_device_image_kind */
  uint64_t offset, bytes;
} gradopt_device_image;

#ifdef __cplusplus
}
#endif

#endif /* GRADOPT_DEVICEPROGRAM_H */
