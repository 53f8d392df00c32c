//===- Epilogue.h - What is calculated of a product at once -----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The epilogue of a product is an elementwise op on buffers that follows it
/// and alone reads what it writes: a bias that is added, an activation, a
/// conversion to a narrow type. On a device, a kernel that calculates the
/// product can do it with sums that are still in registers.
///
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_EPILOGUE_H
#define GRADOPT_PASSES_EPILOGUE_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace mlir::grad {

/// Of an op that belongs to the kernel of the product in front of it.
inline constexpr llvm::StringLiteral kEpilogueAttr = "grad.epilogue";

/// The epilogue of `product`, which may be done before all of the product is
/// there: nothing that it writes is read by the product. Null if there is none.
linalg::LinalgOp findEpilogue(linalg::LinalgOp product);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_EPILOGUE_H
