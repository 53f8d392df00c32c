//===- CustomDerivatives.cpp - Derivatives that functions bring along -----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The rules of grad.custom are functions, whose bodies take the place of the
// op. With `vjp`, the tangents are those of a linear function that is only
// known by its transpose, `bwd`: a grad.transposed of it, in either mode. It is
// transposed once more in reverse mode, which gives `bwd` itself. With `jvp`,
// what depends on tangents becomes linear code, the rest primal code.
//
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "dialect/Uses.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SmallVectorExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace mlir::grad;

/// Appends copies of the ops of `body`, the arguments of which are mapped, and
/// returns what it returns.
static SmallVector<Value> cloneBody(OpBuilder &builder, Block &body,
                                    IRMapping &values) {
  for (Operation &op : body.without_terminator())
    builder.clone(op, values);
  return llvm::map_to_vector(
      body.getTerminator()->getOperands(),
      [&](Value value) { return values.lookupOrDefault(value); });
}

/// Replaces `op` by `outputs`, each of them a value of its own: a tangent
/// belongs to one result, and to nothing that it happens to be equal to.
static SmallVector<Value> replaceByDistinct(CustomOp op, OpBuilder &builder,
                                            ArrayRef<Value> outputs) {
  DenseSet<Value> taken(op->operand_begin(), op->operand_end());
  SmallVector<Value> distinct;
  for (Value output : outputs) {
    if (!taken.insert(output).second && isDifferentiable(output.getType()))
      output = ReshapeOp::create(
          builder, op.getLoc(), output,
          cast<RankedTensorType>(output.getType()).getShape());
    distinct.push_back(output);
  }
  op->replaceAllUsesWith(distinct);
  op->erase();
  return distinct;
}

static SmallVector<Value> onlyDifferentiable(ValueRange values) {
  return llvm::filter_to_vector(
      values, [](Value value) { return isDifferentiable(value.getType()); });
}

static LogicalResult linearizeByVjp(CustomOp op, LinearizeContext &context) {
  FailureOr<Block *> fwd = context.getBody(op.getFwdAttr());
  FailureOr<Block *> bwd = context.getBody(op.getBwdAttr());
  if (failed(fwd) || failed(bwd))
    return failure();
  Location loc = op.getLoc();
  OpBuilder here(op);
  IRMapping values;
  values.map((*fwd)->getArguments(), op.getOperands());
  SmallVector<Value> returned = cloneBody(here, **fwd, values);
  ArrayRef<Value> residuals = ArrayRef(returned).drop_front(op.getNumResults());

  SmallVector<Value> tangents;
  SmallVector<int64_t> active;
  for (auto [i, input] : llvm::enumerate(onlyDifferentiable(op.getInputs())))
    if (Value tangent = context.getTangent(input)) {
      tangents.push_back(tangent);
      active.push_back(i);
    }
  SmallVector<Value> results = onlyDifferentiable(op.getOutputs());
  std::string reason = llvm::formatv("forward mode transposes the bwd rule of "
                                     "@{0}, which has no jvp rule",
                                     op.getCallee());
  auto transposed = TransposedOp::create(
      context.linear, loc, TypeRange(ValueRange(results)), tangents,
      context.isForward() ? here.getStringAttr(reason) : StringAttr());
  Block &region = transposed.getBody().emplaceBlock();
  SmallVector<Value> arguments(residuals);
  for (Value result : results)
    arguments.push_back(region.addArgument(result.getType(), loc));
  llvm::append_range(arguments, op.getCaptures());
  IRMapping inRegion;
  inRegion.map((*bwd)->getArguments(), arguments);
  auto builder = OpBuilder::atBlockEnd(&region);
  SmallVector<Value> cotangents = cloneBody(builder, **bwd, inRegion);
  YieldOp::create(builder, loc, llvm::map_to_vector(active, [&](int64_t i) {
                    return cotangents[i];
                  }));

  SmallVector<Value> outputs = replaceByDistinct(
      op, here, ArrayRef(returned).take_front(op.getNumResults()));
  for (auto [output, tangent] :
       llvm::zip_equal(onlyDifferentiable(outputs), transposed.getOutputs()))
    context.setTangent(output, tangent);
  return success();
}

namespace {

/// Copies the body of a tangent rule, with symbolic zeros for some tangents.
class TangentRule {
public:
  TangentRule(CustomOp op, Block &body, LinearizeContext &context)
      : op(op), body(body), context(context), here(op) {}

  LogicalResult apply() {
    mapArguments();
    ValueRange returned = body.getTerminator()->getOperands();
    ValueRange results = returned.take_front(op.getNumResults());
    collectNeeded(results);
    for (Operation &nested : body.without_terminator())
      copy(nested);
    for (auto [i, value] : llvm::enumerate(returned)) {
      bool isTangent = i >= results.size();
      // A loop may compute both where tangents stand beside primal values.
      bool isResult = context.isForward() && joint.contains(value);
      if (!isTangent && linear.contains(value) && !isResult)
        return op.emitOpError("expected results of the rule that do not depend "
                              "on tangents, but result #")
               << i << " does";
      if (isTangent && !linear.contains(value) && !isZero(value))
        return op.emitOpError("expected tangents that are linear in those of "
                              "the inputs, but result #")
               << i << " of the rule does not depend on them";
    }
    OpBuilder &builder = context.isForward() ? context.primal : here;
    SmallVector<Value> outputs = replaceByDistinct(
        op, builder, llvm::map_to_vector(results, [&](Value value) {
          return values.lookupOrDefault(value);
        }));
    for (auto [output, tangent] : llvm::zip_equal(
             onlyDifferentiable(outputs), returned.drop_front(outputs.size())))
      if (linear.contains(tangent) && !zeros.contains(tangent))
        context.setTangent(output, values.lookup(tangent));
    return success();
  }

private:
  void mapArguments() {
    auto arguments = body.getArguments();
    values.map(arguments.take_front(op.getInputs().size()), op.getInputs());
    values.map(arguments.take_back(op.getCaptures().size()), op.getCaptures());
    auto tangents = arguments.drop_front(op.getInputs().size())
                        .drop_back(op.getCaptures().size());
    for (auto [input, argument] :
         llvm::zip_equal(onlyDifferentiable(op.getInputs()), tangents)) {
      linear.insert(argument);
      if (Value tangent = context.getTangent(input))
        values.map(argument, tangent);
      else
        zeros.insert(argument);
    }
  }

  /// Finds the ops that results are computed by.
  void collectNeeded(ValueRange results) {
    DenseSet<Value> wanted(results.begin(), results.end());
    for (Operation &nested : llvm::reverse(body.without_terminator()))
      if (llvm::any_of(nested.getResults(),
                       [&](Value value) { return wanted.contains(value); })) {
        needed.insert(&nested);
        forEachUsed(&nested, [&](Value value) { wanted.insert(value); });
      }
  }

  void copy(Operation &nested) {
    bool isLinear = false, isNonzero = false, isJoint = true;
    forEachUsed(&nested, [&](Value value) {
      isLinear |= linear.contains(value);
      isJoint &= !linear.contains(value) || joint.contains(value);
      isNonzero |= linear.contains(value) && !zeros.contains(value);
    });
    if (!isLinear) {
      (needed.contains(&nested) ? here : context.primal).clone(nested, values);
      return;
    }
    linear.insert_range(nested.getResults());
    if (nested.getNumRegions() || isJoint)
      joint.insert_range(nested.getResults());
    if (!isNonzero && vanishes(nested)) {
      zeros.insert_range(nested.getResults());
      return;
    }
    if (isa<AddOp, SubtractOp>(nested) && copyTerm(nested))
      return;
    forEachUsed(&nested, [&](Value value) {
      if (zeros.contains(value) && !values.contains(value))
        values.map(value, createZero(context.primal, nested.getLoc(),
                                     value.getType()));
    });
    context.linear.clone(nested, values);
  }

  /// Of a sum or difference in which one term is a symbolic zero, the other.
  bool copyTerm(Operation &sum) {
    Value lhs = sum.getOperand(0), rhs = sum.getOperand(1);
    bool isLeft = zeros.contains(rhs);
    if (!isLeft && !zeros.contains(lhs))
      return false;
    Value term = isLeft ? lhs : rhs;
    Value mapped = values.lookupOrDefault(term);
    if (!isLeft && isa<SubtractOp>(sum))
      mapped = NegativeOp::create(linear.contains(term) ? context.linear
                                                        : context.primal,
                                  sum.getLoc(), mapped);
    values.map(sum.getResult(0), mapped);
    if (!linear.contains(term))
      linear.erase(sum.getResult(0));
    return true;
  }

  /// Whether the results are zero, given that all operands that depend on
  /// tangents are.
  bool vanishes(Operation &nested) const {
    if (nested.getNumRegions())
      return false;
    if (isa<MultiplyOp, DotGeneralOp, CorrelateOp, ConvolutionOp>(nested))
      return true;
    if (auto quotient = dyn_cast<DivideOp>(nested))
      return !linear.contains(quotient.getRhs());
    return isa<TransposeOpInterface>(nested) &&
           llvm::all_of(nested.getOperands(), [&](Value value) {
             return linear.contains(value) || isZero(value) ||
                    !isDifferentiable(value.getType());
           });
  }

  CustomOp op;
  Block &body;
  LinearizeContext &context;
  OpBuilder here;
  IRMapping values;
  /// Values of the rule that depend on tangents, and those among them that are
  /// symbolic zeros.
  DenseSet<Value> linear, zeros;
  /// Values that ops with regions compute from tangents and other values: any
  /// of them may be a tangent or a result.
  DenseSet<Value> joint;
  DenseSet<Operation *> needed;
};

} // namespace

LogicalResult CustomOp::linearize(LinearizeContext &context) {
  for (auto [i, capture] : llvm::enumerate(getCaptures()))
    if (context.getTangent(capture))
      return (emitOpError("expected captures of ")
              << getCalleeAttr()
              << " that do not depend on what is differentiated with respect "
                 "to, but capture #"
              << i << " does; make it an input")
                 .attachNote(capture.getLoc())
             << "captured value is here";
  if (getJvpAttr() && (context.isForward() || !getFwdAttr())) {
    FailureOr<Block *> body = context.getBody(getJvpAttr());
    if (failed(body))
      return failure();
    return TangentRule(*this, **body, context).apply();
  }
  if (getFwdAttr())
    return linearizeByVjp(*this, context);
  return emitOpError("has no derivative rule for ") << getCalleeAttr();
}

/// The function and its rules are batched one by one. What an input that is the
/// same for the whole batch gets for a cotangent is the sum over the batch.
LogicalResult CustomOp::batch(BatchContext &context) {
  using Form = BatchContext::Form;
  auto flags = [&](ValueRange values) {
    return llvm::map_to_vector(
        values, [&](Value value) { return context.isBatched(value); });
  };
  SmallVector<bool> arguments = flags(getOperands());
  SmallVector<bool> captures = flags(getCaptures());
  SmallVector<Value> inputs = onlyDifferentiable(getInputs());
  SmallVector<Form> results(getNumResults(), Form::Batched);
  FlatSymbolRefAttr fwd, bwd, jvp;
  auto callee = context.batchFunction(getCalleeAttr(), arguments, results);
  if (failed(callee))
    return failure();
  if (getFwdAttr()) {
    auto forward = context.batchFunction(getFwdAttr(), arguments, results);
    if (failed(forward))
      return failure();
    SmallVector<bool> taken(
        ArrayRef(forward->isBatched).drop_front(getNumResults()));
    taken.append(onlyDifferentiable(getOutputs()).size(), true);
    llvm::append_range(taken, captures);
    auto forms = llvm::map_to_vector(inputs, [&](Value input) {
      return context.isBatched(input) ? Form::Batched : Form::Sum;
    });
    auto backward = context.batchFunction(getBwdAttr(), taken, forms);
    if (failed(backward))
      return failure();
    fwd = forward->symbol;
    bwd = backward->symbol;
  }
  if (getJvpAttr()) {
    SmallVector<bool> taken = flags(getInputs());
    llvm::append_range(taken, flags(inputs));
    llvm::append_range(taken, captures);
    results.append(onlyDifferentiable(getOutputs()).size(), Form::Batched);
    auto rule = context.batchFunction(getJvpAttr(), taken, results);
    if (failed(rule))
      return failure();
    jvp = rule->symbol;
  }
  auto get = [&](Value value) { return context.get(value); };
  auto batched = CustomOp::create(
      context.builder, getLoc(),
      llvm::map_to_vector(getOutputs(),
                          [&](Value v) { return context.getBatchedType(v); }),
      callee->symbol, llvm::map_to_vector(getInputs(), get),
      llvm::map_to_vector(getCaptures(), get), fwd, bwd, jvp);
  for (auto [output, result] :
       llvm::zip_equal(getOutputs(), batched.getOutputs()))
    context.setBatched(output, result);
  return success();
}

LogicalResult TransposedOp::transpose(TransposeContext &context) {
  for (auto [i, tangent] : llvm::enumerate(getCotangents()))
    if (!context.isLinear(tangent) && !isZero(tangent))
      return context.emitOpError(*this)
             << "expected operands that depend on what is transposed in, but "
                "operand #"
             << i << " does not";
  Block &body = getBody().front();
  IRMapping values;
  for (auto [argument, result] :
       llvm::zip_equal(body.getArguments(), getOutputs())) {
    Value cotangent = context.getCotangent(result);
    values.map(argument, cotangent ? cotangent
                                   : createZero(context.builder, getLoc(),
                                                result.getType()));
  }
  SmallVector<Value> cotangents = cloneBody(context.builder, body, values);
  for (auto [tangent, cotangent] : llvm::zip_equal(getCotangents(), cotangents))
    if (!isZero(cotangent))
      context.addCotangent(tangent, cotangent);
  return success();
}
