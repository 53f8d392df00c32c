//===- GradDialect.cpp - Registration of the grad dialect -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "dialect/CanonicalPatterns.h"
#include "dialect/Foreign.h"
#include "dialect/GradSpectra.h"
#include "dialect/Models.h"
#include "dialect/Rules.h"
#include "dialect/SpecialFunction.h"
#include "mlir/Dialect/Complex/IR/Complex.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/InliningUtils.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::grad;

#include "dialect/GradDialect.cpp.inc"
#include "dialect/GradInterfaces.cpp.inc"
#include "dialect/GradTypeInterfaces.cpp.inc"

namespace {
/// Functions of this dialect may be inlined anywhere.
struct GradInliner : DialectInlinerInterface {
  using DialectInlinerInterface::DialectInlinerInterface;

  bool isLegalToInline(Operation *, Region *, bool, IRMapping &) const final {
    return true;
  }
  bool isLegalToInline(Region *, Region *, bool, IRMapping &) const final {
    return true;
  }
};
} // namespace

void GradDialect::initialize() {
  attachTangentTypes(getContext());
  addInterfaces<GradInliner, CanonicalPatterns>();
  addOperations<
#define GET_OP_LIST
#include "dialect/GradOps.cpp.inc"
      >();
  addSpecialFunctions(*this);
  addSpectra(*this);
}

void grad::registerGradDialect(DialectRegistry &registry) {
  registry.insert<GradDialect>();
  registerForeignCallBufferization(registry);
  registerBatchingModels(registry);
  registerControlFlowModels(registry);
  registerElementwiseModels(registry);
  registerLinalgModels(registry);
  registerTensorModels(registry);
}

Operation *GradDialect::materializeConstant(OpBuilder &builder, Attribute value,
                                            Type type, Location loc) {
  auto elements = dyn_cast<ElementsAttr>(value);
  if (!elements || elements.getType() != type)
    return nullptr;
  return ConstantOp::create(builder, loc, elements);
}

Value grad::createSplat(OpBuilder &builder, Location loc, RankedTensorType type,
                        double number) {
  Type element = type.getElementType();
  Attribute scalar;
  if (auto complex = dyn_cast<ComplexType>(element)) {
    Type part = complex.getElementType();
    scalar = builder.getArrayAttr(
        {builder.getFloatAttr(part, number), builder.getFloatAttr(part, 0)});
  } else if (isa<FloatType>(element))
    scalar = builder.getFloatAttr(element, number);
  else
    scalar = builder.getIntegerAttr(element, static_cast<int64_t>(number));
  return ConstantOp::create(
      builder, loc, DenseElementsAttr::get(cast<ShapedType>(type), scalar));
}

bool grad::isRepresentable(Type type) {
  constexpr int64_t kMaxElements = int64_t(1) << 48;
  auto tensor = cast<RankedTensorType>(type);
  if (llvm::is_contained(tensor.getShape(), 0))
    return !tensor.getEncoding();
  int64_t count = 1;
  for (int64_t size : tensor.getShape())
    if (!ShapedType::isDynamic(size) &&
        (llvm::MulOverflow(count, size, count) || count > kMaxElements))
      return false;
  return !tensor.getEncoding();
}

std::optional<int64_t> grad::countElements(Value value) {
  auto type = dyn_cast<ShapedType>(value.getType());
  if (!type || !type.hasStaticShape())
    return std::nullopt;
  return type.getNumElements();
}

std::optional<double> grad::getSplat(Value value) {
  Attribute scalar;
  if (!matchPattern(value, m_Constant(&scalar)))
    return std::nullopt;
  if (auto elements = dyn_cast<DenseElementsAttr>(scalar)) {
    if (!elements.isSplat())
      return std::nullopt;
    scalar = elements.getSplatValue<Attribute>();
  }
  if (auto real = dyn_cast<FloatAttr>(scalar))
    return real.getValueAsDouble();
  if (auto integer = dyn_cast<IntegerAttr>(scalar))
    return integer.getType().isUnsignedInteger()
               ? static_cast<double>(integer.getValue().getZExtValue())
               : static_cast<double>(integer.getValue().getSExtValue());
  return std::nullopt;
}

bool grad::isZero(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (!isa<BroadcastOp, ReshapeOp, ConvertOp>(op))
      break;
    value = op->getOperand(0);
  }
  DenseElementsAttr elements;
  if (matchPattern(value, m_Constant(&elements)) && elements.isSplat() &&
      isa<ComplexType>(elements.getElementType())) {
    auto number = elements.getSplatValue<std::complex<APFloat>>();
    return number.real().isZero() && number.imag().isZero();
  }
  ArrayAttr parts;
  if (matchPattern(value, m_Constant(&parts)))
    return llvm::all_of(parts.getAsRange<FloatAttr>(), [](FloatAttr part) {
      return part.getValue().isZero();
    });
  return getSplat(value) == 0.0;
}
