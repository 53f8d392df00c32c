//===- GradOpsFunctions.cpp - Verification of calls and requests ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/SmallBitVector.h"

using namespace mlir;
using namespace mlir::grad;

using Types = SmallVectorImpl<Type>;
using Shape = SmallVector<int64_t>;

/// The function that `op` names, after checking its operand types.
static FunctionOpInterface checkCallee(Operation *op, FlatSymbolRefAttr callee,
                                       ValueRange inputs,
                                       SymbolTableCollection &symbols) {
  auto function =
      symbols.lookupNearestSymbolFrom<FunctionOpInterface>(op, callee);
  if (!function) {
    op->emitOpError("expected the symbol of a function, but got ") << callee;
    return nullptr;
  }
  if (TypeRange(function.getArgumentTypes()) != TypeRange(inputs)) {
    (op->emitOpError("expected inputs of types (")
     << function.getArgumentTypes() << "), but got (" << inputs.getTypes()
     << ")")
            .attachNote(function->getLoc())
        << "callee is here";
    return nullptr;
  }
  return function;
}

static LogicalResult checkResults(Operation *op, ArrayRef<Type> expected) {
  if (TypeRange(op->getResultTypes()) == TypeRange(expected))
    return success();
  return op->emitOpError("expected results of types (")
         << expected << "), but got (" << op->getResultTypes() << ")";
}

/// Appends the types at `indices`, which must be in range, distinct and
/// differentiable.
static LogicalResult appendTypes(Operation *op, StringRef name,
                                 ArrayRef<Type> from, ArrayRef<int64_t> indices,
                                 Types &to) {
  llvm::SmallBitVector seen(from.size());
  for (int64_t i : indices) {
    if (i < 0 || i >= static_cast<int64_t>(from.size()))
      return op->emitOpError("expected entries of `")
             << name << "` in [0, " << from.size() << "), but got " << i;
    if (seen.test(i))
      return op->emitOpError("expected distinct entries of `")
             << name << "`, but got " << i << " twice";
    if (!isDifferentiable(from[i]))
      return op->emitOpError("expected entries of `")
             << name << "` to name tensors of floats, but " << i << " has type "
             << from[i];
    seen.set(i);
    to.push_back(from[i]);
  }
  return success();
}

static LogicalResult checkTypes(Operation *op, StringRef name,
                                ArrayRef<Type> expected, ValueRange actual) {
  if (TypeRange(actual) == TypeRange(expected))
    return success();
  return op->emitOpError("expected ")
         << name << " of types (" << expected << "), but got ("
         << actual.getTypes() << ")";
}

LogicalResult CallOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto function = checkCallee(*this, getCalleeAttr(), getInputs(), symbols);
  return success(function &&
                 succeeded(checkResults(*this, function.getResultTypes())));
}

LogicalResult VjpOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto function = checkCallee(*this, getCalleeAttr(), getInputs(), symbols);
  if (!function)
    return failure();
  SmallVector<Type> results(function.getResultTypes()), cotangents;
  if (failed(appendTypes(*this, "of", function.getResultTypes(), getOf(),
                         cotangents)) ||
      failed(appendTypes(*this, "wrt", function.getArgumentTypes(), getWrt(),
                         results)) ||
      failed(checkTypes(*this, "cotangents", cotangents, getCotangents())))
    return failure();
  return checkResults(*this, results);
}

LogicalResult JvpOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto function = checkCallee(*this, getCalleeAttr(), getInputs(), symbols);
  if (!function)
    return failure();
  SmallVector<Type> results(function.getResultTypes()), tangents;
  if (failed(appendTypes(*this, "wrt", function.getArgumentTypes(), getWrt(),
                         tangents)) ||
      failed(appendTypes(*this, "of", function.getResultTypes(), getOf(),
                         results)) ||
      failed(checkTypes(*this, "tangents", tangents, getTangents())))
    return failure();
  return checkResults(*this, results);
}

static void appendDifferentiable(TypeRange from, SmallVectorImpl<Type> &to) {
  llvm::copy_if(from, std::back_inserter(to), isDifferentiable);
}

/// The function that the rule `name` of `op` refers to, after checking that it
/// takes `inputs`.
static FunctionOpInterface checkRule(CustomOp op, StringRef name,
                                     FlatSymbolRefAttr symbol,
                                     ArrayRef<Type> inputs,
                                     SymbolTableCollection &symbols) {
  auto function =
      symbols.lookupNearestSymbolFrom<FunctionOpInterface>(op, symbol);
  if (!function) {
    op.emitOpError("expected `")
        << name << "` to be the symbol of a function, but got " << symbol;
    return nullptr;
  }
  if (TypeRange(function.getArgumentTypes()) != TypeRange(inputs)) {
    (op.emitOpError("expected `")
     << name << "` to take (" << inputs << "), but it takes ("
     << function.getArgumentTypes() << ")")
            .attachNote(function->getLoc())
        << "rule is here";
    return nullptr;
  }
  return function;
}

static LogicalResult checkRuleResults(CustomOp op, StringRef name,
                                      FunctionOpInterface rule,
                                      ArrayRef<Type> expected, bool isPrefix) {
  ArrayRef<Type> actual = rule.getResultTypes();
  if (isPrefix ? actual.take_front(expected.size()) == expected
               : actual == expected)
    return success();
  (op.emitOpError("expected `")
   << name << "` to return (" << expected << (isPrefix ? ", residuals" : "")
   << "), but it returns (" << actual << ")")
          .attachNote(rule->getLoc())
      << "rule is here";
  return failure();
}

LogicalResult CustomOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto function = checkCallee(*this, getCalleeAttr(), getOperands(), symbols);
  if (!function || failed(checkResults(*this, function.getResultTypes())))
    return failure();
  if (bool(getFwdAttr()) != bool(getBwdAttr()))
    return emitOpError("expected `fwd` and `bwd` together, but got `")
           << (getFwdAttr() ? "fwd" : "bwd") << "` alone";
  SmallVector<Type> outputs(getResultTypes());
  if (getFwdAttr()) {
    SmallVector<Type> inputs(getOperandTypes());
    auto fwd = checkRule(*this, "fwd", getFwdAttr(), inputs, symbols);
    if (!fwd || failed(checkRuleResults(*this, "fwd", fwd, outputs,
                                        /*isPrefix=*/true)))
      return failure();
    SmallVector<Type> arguments(
        fwd.getResultTypes().drop_front(outputs.size()));
    appendDifferentiable(outputs, arguments);
    llvm::append_range(arguments, getCaptures().getTypes());
    auto bwd = checkRule(*this, "bwd", getBwdAttr(), arguments, symbols);
    SmallVector<Type> cotangents;
    appendDifferentiable(getInputs().getTypes(), cotangents);
    if (!bwd || failed(checkRuleResults(*this, "bwd", bwd, cotangents,
                                        /*isPrefix=*/false)))
      return failure();
  }
  if (!getJvpAttr())
    return success();
  SmallVector<Type> arguments(getInputs().getTypes());
  appendDifferentiable(getInputs().getTypes(), arguments);
  llvm::append_range(arguments, getCaptures().getTypes());
  auto jvp = checkRule(*this, "jvp", getJvpAttr(), arguments, symbols);
  appendDifferentiable(getResultTypes(), outputs);
  return success(jvp && succeeded(checkRuleResults(*this, "jvp", jvp, outputs,
                                                   /*isPrefix=*/false)));
}

/// A tensor of `type` alone, of which many are a tensor of one dimension more;
/// null if there is none.
static RankedTensorType asTensor(Type type) {
  if (!hasBatches(type))
    return {};
  if (auto tensor = dyn_cast<RankedTensorType>(type))
    return tensor;
  if (type.isIndex())
    type = IntegerType::get(type.getContext(), 64);
  return RankedTensorType::get({}, type);
}

/// `types` with a dimension of `size` put in, or taken out, at each axis.
static LogicalResult moveAxes(VmapOp op, StringRef name, TypeRange types,
                              ArrayRef<int64_t> axes, bool isInput,
                              SmallVectorImpl<Type> &moved) {
  if (axes.size() != types.size())
    return op.emitOpError("expected an entry of `")
           << name << "` for each of " << types.size()
           << (isInput ? " inputs" : " results") << ", but got " << axes.size();
  auto size = static_cast<int64_t>(op.getSize());
  for (auto [i, type, axis] : llvm::enumerate(types, axes)) {
    if (axis == VmapOp::kNone) {
      moved.push_back(type);
      continue;
    }
    RankedTensorType tensor = asTensor(type);
    if (!tensor)
      return op.emitOpError("expected entry ")
             << i << " of `" << name << "` to be `none`, as there are no "
             << "tensors of many " << type;
    int64_t end = tensor.getRank() + (isInput ? 0 : 1);
    if (axis < 0 || axis >= end)
      return op.emitOpError("expected entry ")
             << i << " of `" << name << "` to be `none` or in [0, " << end
             << "), but got " << axis;
    Shape shape(tensor.getShape());
    if (!isInput) {
      shape.insert(shape.begin() + axis, size);
    } else {
      if (shape[axis] != size)
        return op.emitOpError("expected dimension ")
               << axis << " of input " << i << " to have size " << size
               << ", but got " << type;
      shape.erase(shape.begin() + axis);
    }
    moved.push_back(tensor.clone(shape));
  }
  return success();
}

LogicalResult VmapOp::verifySymbolUses(SymbolTableCollection &symbols) {
  if (static_cast<int64_t>(getSize()) < 0)
    return emitOpError("expected a size of at least 0, but got ")
           << static_cast<int64_t>(getSize());
  auto function = symbols.lookupNearestSymbolFrom<FunctionOpInterface>(
      *this, getCalleeAttr());
  if (!function)
    return emitOpError("expected the symbol of a function, but got ")
           << getCalleeAttr();
  SmallVector<Type> slices, results;
  if (failed(moveAxes(*this, "in_axes", getInputs().getTypes(), getInAxes(),
                      /*isInput=*/true, slices)))
    return failure();
  // A slice without dimensions may be a scalar.
  ArrayRef<Type> taken = function.getArgumentTypes();
  bool areTaken = taken.size() == slices.size();
  for (size_t i = 0; areTaken && i < slices.size(); ++i)
    areTaken = slices[i] == taken[i] ||
               (getInAxes()[i] != kNone && slices[i] == asTensor(taken[i]));
  if (!areTaken) {
    (emitOpError("expected slices of types (")
     << taken << "), but got (" << slices << ")")
            .attachNote(function->getLoc())
        << "callee is here";
    return failure();
  }
  if (failed(moveAxes(*this, "out_axes", function.getResultTypes(),
                      getOutAxes(), /*isInput=*/false, results)))
    return failure();
  return checkResults(*this, results);
}

LogicalResult TransposedOp::verify() {
  Block &body = getBody().front();
  auto yield = dyn_cast<YieldOp>(body.getTerminator());
  if (!yield)
    return emitOpError("expected a region that ends with grad.yield");
  if (TypeRange(body.getArgumentTypes()) != TypeRange(getResultTypes()))
    return emitOpError(
               "expected results of the types of the region's arguments, (")
           << body.getArgumentTypes() << "), but got (" << getResultTypes()
           << ")";
  if (TypeRange(yield.getTangents()) != TypeRange(getCotangents()))
    return emitOpError(
               "expected cotangents of the types that the region yields, (")
           << yield.getTangents().getTypes() << "), but got ("
           << getCotangents().getTypes() << ")";
  return success();
}
