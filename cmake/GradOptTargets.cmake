# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Options and places that all targets of gradopt share.

# Where things lie, in the build tree as in an installed wheel:
#   <package>/libGradOpt.so, <package>/_gradopt.*.so, <package>/_compiler.*.so  and  bin/gradopt
set(GRADOPT_PACKAGE_BINARY_DIR "${CMAKE_BINARY_DIR}/python/gradopt")
set(GRADOPT_PACKAGE_INSTALL_DIR gradopt)

find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module NumPy)
execute_process(
  COMMAND "${Python_EXECUTABLE}" -c
    "import sysconfig; print(sysconfig.get_path('scripts'))"
  OUTPUT_VARIABLE scripts_dir OUTPUT_STRIP_TRAILING_WHITESPACE)
cmake_path(RELATIVE_PATH Python_SITEARCH BASE_DIRECTORY "${scripts_dir}"
  OUTPUT_VARIABLE site_packages_from_bin)
if(SKBUILD)
  set(GRADOPT_SCRIPTS_INSTALL_DIR "${SKBUILD_SCRIPTS_DIR}")
else()
  # Installed by hand, the prefix is the site-packages folder.
  cmake_path(RELATIVE_PATH scripts_dir BASE_DIRECTORY "${Python_SITEARCH}"
    OUTPUT_VARIABLE GRADOPT_SCRIPTS_INSTALL_DIR)
endif()
set(CMAKE_BUILD_WITH_INSTALL_RPATH ON)
set(CMAKE_INSTALL_RPATH
  "$ORIGIN"
  "$ORIGIN/../mlir/_mlir_libs"
  "$ORIGIN/../python/gradopt"
  "$ORIGIN/${site_packages_from_bin}/gradopt"
  "${LLVM_LIBRARY_DIR}")
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_program(GRADOPT_CCACHE ccache)
if(GRADOPT_CCACHE)
  # What ccache asks for to cache compilations with a precompiled header.
  set(CMAKE_C_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env
    CCACHE_SLOPPINESS=pch_defines,time_macros "${GRADOPT_CCACHE}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_C_COMPILER_LAUNCHER}")
  add_compile_options(
    "$<$<COMPILE_LANG_AND_ID:CXX,Clang>:SHELL:-Xclang -fno-pch-timestamp>")
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL Clang AND EXISTS "${LLVM_TOOLS_BINARY_DIR}/ld.lld")
  add_link_options("--ld-path=${LLVM_TOOLS_BINARY_DIR}/ld.lld")
endif()

add_library(gradopt_warnings INTERFACE)
target_compile_options(gradopt_warnings INTERFACE -Wall -Wextra -Werror)

# For code that runs beside Python and in many threads: the runtime and the
# extension. LLVM is not instrumented, and so neither is what is made of its
# headers for the most part.
set(GRADOPT_SANITIZE "" CACHE STRING "Sanitizers: address,undefined or thread")
add_library(gradopt_sanitizers INTERFACE)
if(GRADOPT_SANITIZE)
  set(sanitizer_flags -fsanitize=${GRADOPT_SANITIZE} -shared-libsan)
  if(GRADOPT_SANITIZE MATCHES undefined)
    # Machine code that was loaded has no types to check.
    list(APPEND sanitizer_flags -fno-sanitize=function,vptr
      -fno-sanitize-recover=undefined)
  endif()
  target_compile_options(gradopt_sanitizers INTERFACE
    ${sanitizer_flags} -g -fno-omit-frame-pointer)
  target_link_options(gradopt_sanitizers INTERFACE ${sanitizer_flags})
endif()

# For code that uses LLVM's or MLIR's headers.
add_library(gradopt_llvm INTERFACE)
target_compile_features(gradopt_llvm INTERFACE cxx_std_17)
target_include_directories(gradopt_llvm INTERFACE "${PROJECT_SOURCE_DIR}")
# Generated code is not ours to keep free of warnings.
target_include_directories(gradopt_llvm SYSTEM INTERFACE
  "${PROJECT_BINARY_DIR}" ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
separate_arguments(llvm_definitions NATIVE_COMMAND "${LLVM_DEFINITIONS}")
target_compile_definitions(gradopt_llvm INTERFACE ${llvm_definitions})
if(NOT LLVM_ENABLE_RTTI)
  target_compile_options(gradopt_llvm INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti>)
endif()
target_link_libraries(gradopt_llvm INTERFACE LLVM)

add_library(gradopt_no_exceptions INTERFACE)
target_compile_options(gradopt_no_exceptions INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions>)

# gradopt_tablegen(<output> <generator flags>...) runs mlir-tblgen on
# LLVM_TARGET_DEFINITIONS. A macro, since mlir_tablegen sets TABLEGEN_OUTPUT in
# its caller.
macro(gradopt_tablegen output)
  mlir_tablegen(${output} ${ARGN} EXTRA_INCLUDES ${MLIR_INCLUDE_DIRS})
endmacro()

# gradopt_embed_bitcode(<target> <symbol> SOURCES <c files> [OPTIONS <flags>])
#
# Compiles C sources with LLVM's own clang to one bitcode file and links its
# bytes into <target> as `const unsigned char <symbol>[]` and
# `const size_t <symbol>_size`.
function(gradopt_embed_bitcode target symbol)
  cmake_parse_arguments(ARG "" "" "SOURCES;OPTIONS" ${ARGN})
  set(modules)
  file(MAKE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/${symbol}")
  foreach(source IN LISTS ARG_SOURCES)
    cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}")
    cmake_path(GET source STEM stem)
    set(module "${CMAKE_CURRENT_BINARY_DIR}/${symbol}/${stem}.bc")
    add_custom_command(OUTPUT "${module}"
      COMMAND "${GRADOPT_CLANG}" -c -emit-llvm -MD -MF "${module}.d"
              -Wall -Wextra -Werror ${ARG_OPTIONS} "${source}" -o "${module}"
      DEPENDS "${source}"
      DEPFILE "${module}.d"
      COMMENT "Compiling ${stem} to bitcode"
      VERBATIM)
    list(APPEND modules "${module}")
  endforeach()
  set(bitcode "${CMAKE_CURRENT_BINARY_DIR}/${symbol}.bc")
  add_custom_command(OUTPUT "${bitcode}"
    COMMAND "${LLVM_TOOLS_BINARY_DIR}/llvm-link" ${modules} -o "${bitcode}"
    DEPENDS ${modules}
    COMMENT "Linking ${symbol}.bc"
    VERBATIM)
  set(source "${CMAKE_CURRENT_BINARY_DIR}/${symbol}.c")
  configure_file("${PROJECT_SOURCE_DIR}/cmake/EmbedFile.c.in" "${source}" @ONLY)
  # Properties of sources are those of a directory: that of the target counts.
  set_source_files_properties("${source}" TARGET_DIRECTORY ${target}
    PROPERTIES OBJECT_DEPENDS "${bitcode}")
  target_sources(${target} PRIVATE "${source}")
  # The object's dependency and the rule meet in one directory or through this.
  add_custom_target(${target}-${symbol} DEPENDS "${bitcode}")
  add_dependencies(${target} ${target}-${symbol})
endfunction()
