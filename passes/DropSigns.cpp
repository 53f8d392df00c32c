//===- DropSigns.cpp - Integers lose their sign ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/DropSigns.h"
#include "dialect/GradDialect.h"

#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/IR/DialectResourceBlobManager.h"

using namespace mlir;
using namespace mlir::grad;

static constexpr StringLiteral kUnsigned = "grad.unsigned";

/// Whether it is one of the types of this dialect; numbers by themselves are of
/// other dialects, and stay as they are.
static bool isUnsigned(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getElementType().isUnsignedInteger();
}

/// The type without sign; the type itself where it has none.
static Type withoutSign(Type type) {
  if (!isUnsigned(type))
    return type;
  auto tensor = cast<RankedTensorType>(type);
  return tensor.clone(IntegerType::get(
      type.getContext(), tensor.getElementType().getIntOrFloatBitWidth()));
}

/// A constant's attribute of the same bits; null where there is nothing to do.
static Attribute withoutSign(ElementsAttr elements) {
  auto type = dyn_cast_or_null<RankedTensorType>(elements ? elements.getType()
                                                          : ShapedType());
  if (!type || !isUnsigned(type))
    return {};
  auto plain = cast<RankedTensorType>(withoutSign(type));
  if (auto dense = dyn_cast<DenseElementsAttr>(elements))
    return dense.bitcast(plain.getElementType());
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(elements))
    return DenseResourceElementsAttr::get(plain, resource.getRawHandle());
  return {};
}

void mlir::grad::dropSigns(FunctionOpInterface function) {
  auto drop = [](Value value) { value.setType(withoutSign(value.getType())); };
  bool isUsed = false;
  function->walk([&](Operation *op) {
    if (!isa_and_nonnull<GradDialect>(op->getDialect()))
      return;
    SmallVector<bool> areUnsigned = llvm::map_to_vector(
        llvm::concat<Type>(SmallVector<Type>(op->getOperandTypes()),
                           SmallVector<Type>(op->getResultTypes())),
        isUnsigned);
    if (!llvm::is_contained(areUnsigned, true))
      return;
    isUsed = true;
    op->setAttr(kUnsigned,
                DenseBoolArrayAttr::get(op->getContext(), areUnsigned));
  });
  // What is passed on may have any type.
  if (!isUsed)
    return;
  function->walk([&](Operation *op) {
    llvm::for_each(op->getResults(), drop);
    for (Region &region : op->getRegions())
      for (Block &block : region)
        llvm::for_each(block.getArguments(), drop);
    for (NamedAttribute attribute : op->getAttrs())
      if (Attribute plain =
              withoutSign(dyn_cast<ElementsAttr>(attribute.getValue())))
        op->setAttr(attribute.getName(), plain);
  });
  auto plain = [](ArrayRef<Type> types) {
    return llvm::map_to_vector(types,
                               [](Type type) { return withoutSign(type); });
  };
  function.setType(function.cloneTypeWith(plain(function.getArgumentTypes()),
                                          plain(function.getResultTypes())));
}

bool mlir::grad::hadUnsignedOperands(Operation *op) {
  auto areUnsigned = op->getAttrOfType<DenseBoolArrayAttr>(kUnsigned);
  return areUnsigned &&
         llvm::is_contained(
             areUnsigned.asArrayRef().take_front(op->getNumOperands()), true);
}

DenseBoolArrayAttr mlir::grad::getUnsignedArrays(Operation *call) {
  return call->getAttrOfType<DenseBoolArrayAttr>(kUnsigned);
}
