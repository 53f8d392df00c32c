//===- ControlFlow.cpp - Gives upstream loops and branches their rules ----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/ControlFlow.h"
#include "dialect/Models.h"

using namespace mlir;
using namespace mlir::grad;

void grad::registerControlFlowModels(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, arith::ArithDialect *) {
    arith::SelectOp::attachInterface<
        Linearize<arith::SelectOp, linearizeSelect>,
        Transpose<arith::SelectOp, transposeSelect>,
        Batch<arith::SelectOp, batchSelect>>(*context);
  });
  registry.addExtension(+[](MLIRContext *context, scf::SCFDialect *) {
    scf::ForOp::attachInterface<Linearize<scf::ForOp, linearizeFor>,
                                Transpose<scf::ForOp, transposeFor>,
                                Batch<scf::ForOp, batchFor>>(*context);
    scf::WhileOp::attachInterface<Linearize<scf::WhileOp, linearizeWhile>,
                                  Batch<scf::WhileOp, batchWhile>>(*context);
    scf::ExecuteRegionOp::attachInterface<
        Linearize<scf::ExecuteRegionOp, linearizeRegion>,
        Transpose<scf::ExecuteRegionOp, transposeBranch>,
        Batch<scf::ExecuteRegionOp, batchBranch>>(*context);
    scf::IfOp::attachInterface<Linearize<scf::IfOp, linearizeBranch>,
                               Transpose<scf::IfOp, transposeBranch>,
                               Batch<scf::IfOp, batchBranch>>(*context);
    scf::IndexSwitchOp::attachInterface<
        Linearize<scf::IndexSwitchOp, linearizeBranch>,
        Transpose<scf::IndexSwitchOp, transposeBranch>,
        Batch<scf::IndexSwitchOp, batchBranch>>(*context);
  });
}
