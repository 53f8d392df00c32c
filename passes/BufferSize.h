//===- BufferSize.h - How many bytes a buffer takes -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_BUFFERSIZE_H
#define GRADOPT_PASSES_BUFFERSIZE_H

#include "mlir/IR/BuiltinTypes.h"

#include <optional>

namespace mlir::grad {

/// The bytes from one element of `type` to the next in memory; none if no
/// buffer of such elements can be planned for. Bools are bytes.
std::optional<int64_t> getElementBytes(Type type);

/// The bytes of a buffer of contiguous elements; none if its shape is not
/// static, its elements have no known size or no address space could hold it.
std::optional<int64_t> getByteSize(MemRefType type);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_BUFFERSIZE_H
