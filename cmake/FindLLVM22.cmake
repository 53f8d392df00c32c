# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Finds an installed, shared LLVM/MLIR 22 (MLIR_DIR picks one), or says in one
# message what to do.
list(APPEND CMAKE_PREFIX_PATH /usr/lib/llvm-22)
find_package(MLIR CONFIG QUIET)
if(NOT MLIR_FOUND)
  message(FATAL_ERROR "LLVM/MLIR 22 was not found: run 'make build', which "
    "installs it on Debian, or set MLIR_DIR to the lib/cmake/mlir folder of "
    "one.")
endif()
if(NOT LLVM_VERSION_MAJOR EQUAL 22)
  message(FATAL_ERROR "gradopt needs LLVM/MLIR 22, but MLIR_DIR=${MLIR_DIR} "
    "has ${LLVM_PACKAGE_VERSION}.")
endif()
if(NOT TARGET MLIR OR NOT TARGET LLVM)
  message(FATAL_ERROR "gradopt links the shared libraries MLIR and LLVM, which "
    "MLIR_DIR=${MLIR_DIR} lacks: build LLVM with LLVM_BUILD_LLVM_DYLIB=ON and "
    "MLIR_BUILD_MLIR_DYLIB=ON.")
endif()
message(STATUS "LLVM/MLIR ${LLVM_PACKAGE_VERSION} in ${LLVM_INSTALL_PREFIX}")

list(APPEND CMAKE_MODULE_PATH "${MLIR_CMAKE_DIR}" "${LLVM_CMAKE_DIR}")
include(TableGen)
include(AddLLVM)
include(AddMLIR)

# The rules for math functions are compiled to bitcode that LLVM 22 reads.
find_program(GRADOPT_CLANG NAMES clang-22 clang HINTS "${LLVM_TOOLS_BINARY_DIR}"
  NO_DEFAULT_PATH DOC "clang of the same LLVM release")
if(NOT GRADOPT_CLANG)
  message(FATAL_ERROR "clang 22 was not found in ${LLVM_TOOLS_BINARY_DIR}: "
    "install clang-22, or set GRADOPT_CLANG.")
endif()
