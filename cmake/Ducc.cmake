# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ducc_headers: what Fourier transforms are compiled from.
set(ducc_folder "${PROJECT_BINARY_DIR}/ducc0")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  "${PROJECT_SOURCE_DIR}/tools/ducc.py")
execute_process(
  COMMAND "${Python_EXECUTABLE}" "${PROJECT_SOURCE_DIR}/tools/ducc.py" "${ducc_folder}"
  ERROR_VARIABLE ducc_error RESULT_VARIABLE ducc_result)
if(NOT ducc_result EQUAL 0)
  message(FATAL_ERROR "The headers of ducc0 are missing. ${ducc_error}")
endif()
add_library(ducc_headers INTERFACE)
target_include_directories(ducc_headers SYSTEM INTERFACE "${ducc_folder}")
# Threads are for the programs that call it.
target_compile_definitions(ducc_headers INTERFACE DUCC0_NO_LOWLEVEL_THREADING)
install(FILES "${ducc_folder}/ducc0-LICENSE.txt"
  DESTINATION "${GRADOPT_PACKAGE_INSTALL_DIR}")
