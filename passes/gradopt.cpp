//===- gradopt.cpp - mlir-opt with the grad dialect -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "passes/Passes.h"
#include "passes/Pipelines.h"

#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  mlir::grad::registerGradDialect(registry);

  mlir::registerAllPasses();
  mlir::grad::registerGradPasses();
  mlir::grad::registerGradPipelines();

  return mlir::asMainReturnCode(mlir::MlirOptMain(
      argc, argv,
      "gradopt: differentiate NumPy-like tensor programs and compile them\n",
      registry));
}
