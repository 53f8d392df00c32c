//===- ControlFlow.cpp - Gives upstream loops and branches their rules ----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/ControlFlow.h"
#include "dialect/GradDialect.h"

using namespace mlir;
using namespace mlir::grad;

namespace {

template <typename Op, auto rule>
struct Linearize
    : LinearizeOpInterface::ExternalModel<Linearize<Op, rule>, Op> {
  LogicalResult linearize(Operation *op, LinearizeContext &context) const {
    return rule(cast<Op>(op), context);
  }
};

template <typename Op, auto rule>
struct Transpose
    : TransposeOpInterface::ExternalModel<Transpose<Op, rule>, Op> {
  LogicalResult transpose(Operation *op, TransposeContext &context) const {
    return rule(cast<Op>(op), context);
  }
};

} // namespace

void grad::registerGradDialect(DialectRegistry &registry) {
  registry.insert<GradDialect>();
  registry.addExtension(+[](MLIRContext *context, arith::ArithDialect *) {
    arith::SelectOp::attachInterface<
        Linearize<arith::SelectOp, linearizeSelect>,
        Transpose<arith::SelectOp, transposeSelect>>(*context);
  });
  registry.addExtension(+[](MLIRContext *context, scf::SCFDialect *) {
    scf::ForOp::attachInterface<Linearize<scf::ForOp, linearizeFor>,
                                Transpose<scf::ForOp, transposeFor>>(*context);
    scf::WhileOp::attachInterface<Linearize<scf::WhileOp, linearizeWhile>>(
        *context);
    scf::IfOp::attachInterface<Linearize<scf::IfOp, linearizeBranch>,
                               Transpose<scf::IfOp, transposeBranch>>(*context);
    scf::IndexSwitchOp::attachInterface<
        Linearize<scf::IndexSwitchOp, linearizeBranch>,
        Transpose<scf::IndexSwitchOp, transposeBranch>>(*context);
  });
}
