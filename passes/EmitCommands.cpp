//===- EmitCommands.cpp - Lists of commands as data -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-emit-commands`: of a function that is a list of commands, only a table
/// is left (runtime/Commands.h), its constants, and the names of its kernels,
/// for `grad-emit-entry`. No code is generated for it.
///
//===----------------------------------------------------------------------===//

#include "passes/CommandList.h"
#include "passes/Passes.h"
#include "runtime/Interface.h"
#include "runtime/OpenSizes.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADEMITCOMMANDS
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

/// A constant of the module that the loader finds.
template <typename T>
static LLVM::GlobalOp createTable(OpBuilder &builder, Location loc,
                                  StringRef name, ArrayRef<T> elements,
                                  uint64_t alignment) {
  Type type = builder.getIntegerType(8 * sizeof(T));
  auto count = static_cast<int64_t>(elements.size());
  auto value = DenseElementsAttr::getFromRawBuffer(
      RankedTensorType::get(count, type),
      ArrayRef(reinterpret_cast<const char *>(elements.data()),
               count * sizeof(T)));
  auto global = LLVM::GlobalOp::create(
      builder, loc, LLVM::LLVMArrayType::get(type, count), /*isConstant=*/true,
      LLVM::Linkage::External, name, value, alignment, /*addrSpace=*/0,
      /*dsoLocal=*/true);
  global.setVisibility_(LLVM::Visibility::Hidden);
  return global;
}

namespace {

struct GradEmitCommands : grad::impl::GradEmitCommandsBase<GradEmitCommands> {
  using GradEmitCommandsBase::GradEmitCommandsBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto list = module.lookupSymbol<func::FuncOp>(function);
    auto frame = list ? list->getAttrOfType<IntegerAttr>(kFrameAttr) : nullptr;
    if (!frame)
      return;
    FailureOr<CommandTable> table = encodeCommands(list, frame.getInt());
    if (failed(table)) {
      list.emitOpError("expected a list of commands");
      return signalPassFailure();
    }
    if (remarks)
      describeCommands(*table, [](Location loc, StringRef text) {
        emitRemark(loc) << text;
      });
    OpBuilder builder(list);
    Location loc = list.getLoc();
    LLVM::GlobalOp commands = createTable<int64_t>(
        builder, loc, gradopt::kCommandsName, table->words, 8);
    // What the arena has in each call, which the table does not tell.
    if (list->hasAttr(gradopt::kOpenSizesAttr))
      for (StringRef name :
           {StringRef(kArenaBytesAttr), StringRef(gradopt::kLeastRoomAttr)})
        if (Attribute value = list->getAttr(name))
          commands->setAttr(name, value);
    commands->setAttr(kKernelsAttr,
                      builder.getArrayAttr(SmallVector<Attribute>(
                          table->kernels.begin(), table->kernels.end())));
    if (!table->constants.empty())
      createTable<char>(builder, loc, gradopt::kConstantsName, table->constants,
                        gradopt::kArenaAlignment);
    list.erase();
  }
};

} // namespace
