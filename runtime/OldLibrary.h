//===- OldLibrary.h - Functions under their old versions --------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A library is bound to the newest version of each function that the C library
// has where it is linked. These moved in glibc 2.34; under the version that
// they had before, they are found by older ones, too.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_OLDLIBRARY_H
#define GRADOPT_RUNTIME_OLDLIBRARY_H

__asm__(".symver dlopen,dlopen@GLIBC_2.2.5");
__asm__(".symver dlsym,dlsym@GLIBC_2.2.5");
__asm__(".symver dlclose,dlclose@GLIBC_2.2.5");
__asm__(".symver dladdr,dladdr@GLIBC_2.2.5");
__asm__(".symver dlerror,dlerror@GLIBC_2.2.5");

#endif // GRADOPT_RUNTIME_OLDLIBRARY_H
