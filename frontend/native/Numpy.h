//===- Numpy.h - The C API of Python and NumPy ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Includes both in the way that several source files can share NumPy's table of
// functions: Module.cpp defines GRADOPT_IMPORT_NUMPY and fills the table.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_NUMPY_H
#define GRADOPT_NATIVE_NUMPY_H

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_2_0_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL gradopt_numpy_api
#ifndef GRADOPT_IMPORT_NUMPY
#define NO_IMPORT_ARRAY
#endif

#include <nanobind/nanobind.h>

#include <numpy/arrayobject.h>
#include <numpy/arrayscalars.h>

#endif // GRADOPT_NATIVE_NUMPY_H
