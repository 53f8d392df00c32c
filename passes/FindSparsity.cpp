//===- FindSparsity.cpp - Where a Jacobian may be other than zero ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Attaches the pattern, and the colors, to the function.
//
//===----------------------------------------------------------------------===//

#include "dialect/Rules.h"
#include "passes/Passes.h"
#include "passes/Sparsity.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADFINDSPARSITY
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

namespace {

struct GradFindSparsity : grad::impl::GradFindSparsityBase<GradFindSparsity> {
  using GradFindSparsityBase::GradFindSparsityBase;

  void runOnOperation() override {
    if (failed(find()))
      signalPassFailure();
  }

private:
  LogicalResult find();
};

} // namespace

/// The positions that an option names, or those of all types with derivatives.
static SmallVector<int64_t> choose(ArrayRef<int64_t> named,
                                   ArrayRef<Type> types) {
  SmallVector<int64_t> chosen(named);
  if (chosen.empty())
    for (auto [i, type] : llvm::enumerate(types))
      if (isDifferentiable(type))
        chosen.push_back(i);
  return chosen;
}

LogicalResult GradFindSparsity::find() {
  func::FuncOp function = getOperation();
  if (!coloring.empty() && coloring != "jacobian" && coloring != "hessian")
    return function.emitOpError("expected `coloring` to be jacobian or "
                                "hessian, but got '")
           << coloring << "'";
  FailureOr<SparsityPattern> pattern =
      findSparsity(function, choose(wrt, function.getArgumentTypes()),
                   choose(of, function.getResultTypes()));
  if (failed(pattern))
    return failure();
  bool isSymmetric = coloring == "hessian";
  if (isSymmetric && pattern->rows != pattern->columns)
    return function.emitOpError("expected a square matrix for `coloring` = "
                                "hessian, but got ")
           << pattern->rows << " x " << pattern->columns;
  if (isSymmetric)
    *pattern = pattern->symmetrized();

  Builder builder(&getContext());
  NamedAttrList found;
  found.append("shape",
               builder.getDenseI64ArrayAttr({pattern->rows, pattern->columns}));
  found.append("offsets", builder.getDenseI64ArrayAttr(pattern->offsets));
  found.append("indices", builder.getDenseI32ArrayAttr(pattern->indices));
  if (!coloring.empty()) {
    Compression compression =
        isSymmetric ? compressSymmetric(*pattern) : compress(*pattern);
    bool byRows = compression.direction == Compression::Rows;
    found.append(byRows ? "row_colors" : "column_colors",
                 builder.getDenseI32ArrayAttr(compression.colors));
    found.append("sources", builder.getDenseI64ArrayAttr(compression.sources));
  }
  function->setAttr("grad.sparsity", found.getDictionary(&getContext()));
  return success();
}
