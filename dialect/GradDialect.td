//===- GradDialect.td - The grad dialect: definition and types -*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAD_DIALECT_TD
#define GRAD_DIALECT_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"

def Grad_Dialect : Dialect {
  let name = "grad";
  let cppNamespace = "::mlir::grad";
  let summary = "NumPy-like tensor operations that know their derivatives";
  let description = [{
    Value-semantic operations on ranked tensors of statically known shape. Where
    it says so, some dimensions may have a size that is known at run time, until
    `grad-expand-sizes`.
    Every operation infers its result type, there is no implicit broadcasting
    and no implicit conversion between element types: the producer of the IR
    writes `grad.broadcast` and `grad.convert`. A 0-d tensor is a scalar.

    Elementwise operations carry the mnemonic of the NumPy ufunc they compute
    and declare their partial derivatives beside their scalar lowering.
    Requests for derivatives and maps, `grad.vjp`, `grad.jvp` and `grad.vmap`,
    refer to functions by symbol and are expanded by `grad-expand-requests`.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::complex::ComplexDialect"];
  let hasConstantMaterializer = 1;
  let useDefaultAttributePrinterParser = 0;
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

// Integers without a sign of their own (i8) are signed numbers, those of ui8 and
// so on unsigned ones. The types say it, not the ops, so that a sign cannot be
// forgotten; from linalg on, ops say it, as those of arith do.

// Narrow floats (f16, bf16) are a form of storage: grad-widen-floats lets f32
// calculate. What has no form in f32 takes wide floats only.

defvar Grad_WideFloats = [F32, F64];
defvar Grad_Floats = !listconcat([F16, BF16], Grad_WideFloats);
defvar Grad_Integers = [I8, I16, I32, I64, UI8, UI16, UI32, UI64];
defvar Grad_Complexes = [Complex<F32>, Complex<F64>];
defvar Grad_Reals = !listconcat(Grad_Floats, Grad_Integers);
defvar Grad_Numbers = !listconcat(Grad_Reals, Grad_Complexes);

def Grad_Real : AnyTypeOf<Grad_Reals, "float or integer">;
def Grad_Element
    : AnyTypeOf<!listconcat(Grad_Numbers, [I1]),
                "float, integer, complex number of f32 or f64, or bool">;

/// A tensor that memory can hold row by row.
class Grad_TensorOf<list<Type> elements, string names>
    : ConfinedType<StaticShapeTensorOf<elements>,
                   [CPred<"::mlir::grad::isRepresentable($_self)">],
                   "statically shaped tensor of " # names #
                   ", without encoding, of at most 2^48 elements">;

/// The same, or one with dimensions whose size is known at run time.
class Grad_SizedTensorOf<list<Type> elements, string names>
    : ConfinedType<RankedTensorOf<elements>,
                   [CPred<"::mlir::grad::isRepresentable($_self)">],
                   "ranked tensor of " # names #
                   ", without encoding, of at most 2^48 elements">;

def Grad_Tensor : Grad_TensorOf<!listconcat(Grad_Numbers, [I1]),
                                "floats, complex numbers, integers or bools">;
def Grad_NumberTensor : Grad_TensorOf<Grad_Numbers,
                                      "floats, complex numbers or integers">;
/// Numbers that have an order.
def Grad_RealTensor : Grad_TensorOf<Grad_Reals, "floats or integers">;
/// Numbers that have derivatives.
def Grad_InexactTensor : Grad_TensorOf<!listconcat(Grad_Floats, Grad_Complexes),
                                       "floats or complex numbers">;
def Grad_WideInexactTensor
    : Grad_TensorOf<!listconcat(Grad_WideFloats, Grad_Complexes),
                    "f32, f64 or complex numbers">;
def Grad_WideFloatTensor : Grad_TensorOf<Grad_WideFloats, "f32 or f64">;
def Grad_FloatTensor : Grad_TensorOf<Grad_Floats, "floats">;
def Grad_ComplexTensor : Grad_TensorOf<Grad_Complexes, "complex numbers">;
def Grad_IntegerTensor : Grad_TensorOf<Grad_Integers, "integers">;
def Grad_BoolTensor : Grad_TensorOf<[I1], "bools">;

def Grad_SizedTensor
    : Grad_SizedTensorOf<!listconcat(Grad_Numbers, [I1]),
                         "floats, complex numbers, integers or bools">;
def Grad_SizedNumberTensor
    : Grad_SizedTensorOf<Grad_Numbers, "floats, complex numbers or integers">;
def Grad_SizedRealTensor : Grad_SizedTensorOf<Grad_Reals, "floats or integers">;
def Grad_SizedOrderedTensor
    : Grad_SizedTensorOf<!listconcat(Grad_Reals, [I1]), "floats, integers or bools">;
def Grad_SizedInexactTensor
    : Grad_SizedTensorOf<!listconcat(Grad_Floats, Grad_Complexes),
                         "floats or complex numbers">;
def Grad_SizedComplexTensor : Grad_SizedTensorOf<Grad_Complexes, "complex numbers">;
def Grad_SizedWideFloatTensor : Grad_SizedTensorOf<Grad_WideFloats, "f32 or f64">;
def Grad_SizedFloatTensor : Grad_SizedTensorOf<Grad_Floats, "floats">;
def Grad_SizedIntegerTensor : Grad_SizedTensorOf<Grad_Integers, "integers">;
def Grad_SizedBoolTensor : Grad_SizedTensorOf<[I1], "bools">;

/// What functions of other front ends take and return. What is differentiated
/// has a type with tangents; the rest is passed on.
def Grad_Value : Type<CPred<"!::llvm::isa<::mlir::BaseMemRefType>($_self)">,
                      "value that is no memory">;
/// A tangent or cotangent.
def Grad_Direction : AnyTypeOf<!listconcat([Grad_InexactTensor], Grad_Floats)>;

def Grad_IndexTensor : Grad_TensorOf<[I64], "i64">;
def Grad_SizedIndexTensor : Grad_SizedTensorOf<[I64], "i64">;
def Grad_KeyTensor : Grad_TensorOf<[I32], "i32">;

/// A position along a dimension: a 0-d tensor of i64.
def Grad_Index
    : Type<CPred<"$_self == ::mlir::RankedTensorType::get({}, "
                 "::mlir::IntegerType::get($_self.getContext(), 64))">,
           "0-d tensor of i64">,
      BuildableType<"::mlir::RankedTensorType::get({}, $_builder.getI64Type())">;

#endif // GRAD_DIALECT_TD
