//===- Plugin.cpp - gradopt as a plugin of mlir-opt -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The entry points that `mlir-opt --load-dialect-plugin=libGradOpt.so` and
// `--load-pass-plugin=libGradOpt.so` look for.
//
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "passes/Passes.h"
#include "passes/Pipelines.h"

#include "mlir/Tools/Plugins/DialectPlugin.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/Compiler.h"

using namespace mlir;

/// Registers passes and pipelines once, also when both plugins are loaded.
static void registerOnce() {
  [[maybe_unused]] static const bool registered = [] {
    grad::registerGradPasses();
    grad::registerGradPipelines();
    return true;
  }();
}

extern "C" LLVM_ATTRIBUTE_WEAK ::mlir::DialectPluginLibraryInfo
mlirGetDialectPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "gradopt", LLVM_VERSION_STRING,
          [](DialectRegistry *registry) {
            grad::registerGradDialect(*registry);
            registerOnce();
          }};
}

extern "C" LLVM_ATTRIBUTE_WEAK ::mlir::PassPluginLibraryInfo
mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "gradopt", LLVM_VERSION_STRING,
          [] { registerOnce(); }};
}
