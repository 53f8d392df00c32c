//===- TangentTypes.cpp - Tangents of types of other dialects -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tensors of floats and complex numbers, and these, are their own tangents.
// What accumulates cotangents asks these models and names no op.
//
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "dialect/Stacks.h"
#include "dialect/Uses.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Complex/IR/Complex.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::grad;

namespace {

struct TensorTangent
    : TangentTypeInterface::ExternalModel<TensorTangent, RankedTensorType> {
  Type getTangentType(Type type) const {
    auto tensor = cast<RankedTensorType>(type);
    // Numbers by themselves are of other dialects, which know no wider ones.
    bool isKnown =
        tensor.hasStaticShape() && isRepresentable(type) &&
        (isNarrowFloat(type) || isDifferentiable(tensor.getElementType()));
    return isKnown ? type : Type();
  }
  Value createZero(Type type, OpBuilder &builder, Location loc) const {
    return createSplat(builder, loc, cast<RankedTensorType>(type), 0);
  }
  Value createSum(Type, OpBuilder &builder, Location loc, Value lhs,
                  Value rhs) const {
    Type element = typeOf(lhs).getElementType();
    if (!isNarrowFloat(element))
      return AddOp::create(builder, loc, lhs, rhs);
    auto widen = [&](Value term) {
      return convertDirection(builder, loc, term, builder.getF32Type());
    };
    Value sum = AddOp::create(builder, loc, widen(lhs), widen(rhs));
    return ConvertOp::create(builder, loc, sum, element);
  }
};

template <typename FloatType>
struct FloatTangent
    : TangentTypeInterface::ExternalModel<FloatTangent<FloatType>, FloatType> {
  Type getTangentType(Type type) const { return type; }
  Value createZero(Type type, OpBuilder &builder, Location loc) const {
    return arith::ConstantOp::create(builder, loc,
                                     builder.getFloatAttr(type, 0));
  }
  Value createSum(Type, OpBuilder &builder, Location loc, Value lhs,
                  Value rhs) const {
    return arith::AddFOp::create(builder, loc, lhs, rhs);
  }
};

struct ComplexTangent
    : TangentTypeInterface::ExternalModel<ComplexTangent, ComplexType> {
  Type getTangentType(Type type) const {
    Type part = cast<ComplexType>(type).getElementType();
    return part.isF32() || part.isF64() ? type : Type();
  }
  Value createZero(Type type, OpBuilder &builder, Location loc) const {
    auto complex = cast<ComplexType>(type);
    Attribute zero = builder.getFloatAttr(complex.getElementType(), 0);
    return complex::ConstantOp::create(builder, loc, complex,
                                       builder.getArrayAttr({zero, zero}));
  }
  Value createSum(Type, OpBuilder &builder, Location loc, Value lhs,
                  Value rhs) const {
    return complex::AddOp::create(builder, loc, lhs, rhs);
  }
};

} // namespace

void grad::attachTangentTypes(MLIRContext *context) {
  RankedTensorType::attachInterface<TensorTangent>(*context);
  ComplexType::attachInterface<ComplexTangent>(*context);
  Float32Type::attachInterface<FloatTangent<Float32Type>>(*context);
  Float64Type::attachInterface<FloatTangent<Float64Type>>(*context);
}

bool grad::isNarrowFloat(Type type) {
  return isa<Float16Type, BFloat16Type>(getElementTypeOrSelf(type));
}

bool grad::isDifferentiable(Type type) {
  auto tangent = dyn_cast<TangentTypeInterface>(type);
  return tangent && tangent.getTangentType();
}

Value grad::convertDirection(OpBuilder &builder, Location loc, Value direction,
                             Type element) {
  if (auto rounded = direction.getDefiningOp<ConvertOp>())
    if (isNarrowFloat(rounded.getDtype()) &&
        typeOf(rounded.getX()).getElementType() == element)
      return rounded.getX();
  return ConvertOp::create(builder, loc, direction, element);
}

Value grad::createZero(OpBuilder &builder, Location loc, Type type) {
  return cast<TangentTypeInterface>(type).createZero(builder, loc);
}

Value grad::createSum(OpBuilder &builder, Location loc, Value lhs, Value rhs) {
  return cast<TangentTypeInterface>(lhs.getType())
      .createSum(builder, loc, lhs, rhs);
}

bool TransposeContext::areTerms(ValueRange values) const {
  // What is undefined may be zeros.
  return llvm::all_of(values, [&](Value v) {
    return isLinear(v) || isZero(v) || v.getDefiningOp<tensor::EmptyOp>();
  });
}

bool TransposeContext::usesLinear(Operation &op) const {
  return usesAny(&op, [&](Value v) { return isLinear(v); });
}

void TransposeContext::addCotangent(Value value, Value cotangent) {
  if (!cotangent || !isLinear(value))
    return;
  Value &sum = cotangents[value];
  sum =
      sum ? createSum(builder, cotangent.getLoc(), sum, cotangent) : cotangent;
}

void TransposeContext::updateCotangent(Value value,
                                       function_ref<Value(Value sum)> add) {
  if (!isLinear(value))
    return;
  Value &sum = cotangents[value];
  sum = add(sum ? sum : createZeroTangent(builder, value));
}
