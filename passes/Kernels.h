//===- Kernels.h - Parts of a program as functions --------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A kernel is made of adjacent ops on planned memory. Its arguments are the
/// buffers that it accesses, or that the views it accesses belong to, then
/// where these views begin, then other values. Constants, and views that
/// nothing but themselves will do for, are part of it. An argument is `noalias`
/// unless the kernel has another one that may lie in the same bytes.
///
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_KERNELS_H
#define GRADOPT_PASSES_KERNELS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::grad {

/// Of a loop whose iterations may run at once.
inline constexpr llvm::StringLiteral kParallelAttr = "grad.parallel";
/// Of such a loop: how many of the outermost loops of each linalg op in it are
/// for the rows of a block, of which it has several of the last loop only.
inline constexpr llvm::StringLiteral kRowLoopsAttr = "grad.row_loops";

/// Of such a loop, if the call alone tells how many iterations it has: how many
/// there are at most.
inline constexpr llvm::StringLiteral kMostIterationsAttr =
    "grad.most_iterations";

/// Adjacent ops that become one function.
struct Kernel {
  /// A view with static strides. The offset may be dynamic.
  struct View {
    Value value, root;
    SmallVector<int64_t> strides;
    int64_t offset;
  };

  SmallVector<Operation *> ops;
  /// Those of them that others need, too: they stay behind the call.
  llvm::SmallPtrSet<Operation *, 4> shared;

  llvm::SetVector<Value> buffers; ///< None of them is a view of another one.
  SmallVector<View> views;        ///< Of these buffers.
  llvm::SetVector<Value> scalars;
  /// Constants and views, each behind what it uses.
  llvm::SetVector<Operation *> copied;
  /// What others use: numbers and buffers.
  SmallVector<Value> results;
};

/// Sorts what `ops` use and what others use of them; `shared` are those of them
/// that stay. Fails where a function could not get or return it. Complex
/// numbers a kernel of a device can: it does so through memory.
std::optional<Kernel> analyzeKernel(ArrayRef<Operation *> ops,
                                    ArrayRef<Operation *> shared,
                                    bool forDevice);

/// Functions of kernels, equal ones once.
class KernelFunctions {
public:
  explicit KernelFunctions(MLIRContext *context) : builder(context) {}

  /// The function of `kernel`, which may be in no module yet.
  func::FuncOp get(const Kernel &kernel);

  /// In the order in which they were made.
  ArrayRef<func::FuncOp> getAll() const { return functions; }

private:
  OpBuilder builder;
  llvm::DenseMap<llvm::hash_code, SmallVector<func::FuncOp, 1>> byHash;
  SmallVector<func::FuncOp> functions;
};

/// Replaces `kernel` by a call of `function`. Of kernels that use the results
/// of others, the last one comes first.
void replaceByCall(const Kernel &kernel, func::FuncOp function);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_KERNELS_H
