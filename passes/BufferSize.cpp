//===- BufferSize.cpp - How many bytes a buffer takes ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/BufferSize.h"

#include "mlir/Interfaces/DataLayoutInterfaces.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

/// No address space is larger. Sums of a few thousand sizes do not overflow.
static constexpr int64_t kMaxBytes = int64_t(1) << 48;

std::optional<int64_t> mlir::grad::getElementBytes(Type type) {
  Type scalar = type;
  if (auto vector = dyn_cast<VectorType>(type); vector && !vector.isScalable())
    scalar = vector.getElementType();
  else if (auto complex = dyn_cast<ComplexType>(type))
    scalar = complex.getElementType();
  // Here LLVM and MLIR agree on sizes.
  unsigned width = scalar.isIntOrFloat() ? scalar.getIntOrFloatBitWidth() : 64;
  if (!scalar.isIntOrIndexOrFloat() || width == 0 ||
      (width > 64 && isa<IntegerType>(scalar) && !llvm::isPowerOf2_32(width)))
    return std::nullopt;
  DataLayout layout;
  return llvm::alignTo(layout.getTypeSize(type).getFixedValue(),
                       layout.getTypeABIAlignment(type));
}

std::optional<int64_t> mlir::grad::getByteSize(MemRefType type) {
  std::optional<int64_t> size = getElementBytes(type.getElementType());
  if (!size || !type.hasStaticShape())
    return std::nullopt;
  if (llvm::is_contained(type.getShape(), 0))
    return 0;
  for (int64_t extent : type.getShape())
    if (llvm::MulOverflow(*size, extent, *size) || *size > kMaxBytes)
      return std::nullopt;
  return size;
}
