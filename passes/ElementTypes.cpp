//===- ElementTypes.cpp - Types of elements in memory ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/ElementTypes.h"

#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;
using namespace mlir::grad;

std::optional<gradopt_dtype> mlir::grad::findDtype(Type element,
                                                   bool isUnsigned) {
  if (auto complex = dyn_cast<ComplexType>(element)) {
    if (complex.getElementType().isF64())
      return GRADOPT_C128;
    if (complex.getElementType().isF32())
      return GRADOPT_C64;
    return std::nullopt;
  }
  if (element.isF64())
    return GRADOPT_F64;
  if (element.isF32())
    return GRADOPT_F32;
  if (element.isF16())
    return GRADOPT_F16;
  if (element.isBF16())
    return GRADOPT_BF16;
  if (element.isIndex())
    return GRADOPT_I64;
  if (!element.isSignlessInteger() && !element.isUnsignedInteger())
    return std::nullopt;
  isUnsigned |= element.isUnsignedInteger();
  switch (element.getIntOrFloatBitWidth()) {
  case 1:
    return GRADOPT_BOOL;
  case 8:
    return isUnsigned ? GRADOPT_U8 : GRADOPT_I8;
  case 16:
    return isUnsigned ? GRADOPT_U16 : GRADOPT_I16;
  case 32:
    return isUnsigned ? GRADOPT_U32 : GRADOPT_I32;
  case 64:
    return isUnsigned ? GRADOPT_U64 : GRADOPT_I64;
  }
  return std::nullopt;
}
