//===- RequestDerivative.cpp - Ask for the derivative of a function -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Adds a function that consists of a `grad.vjp` or `grad.jvp`. Whatever is
// wrong with the options is reported here, at the function or the module.
//
//===----------------------------------------------------------------------===//

#include "dialect/Rules.h"
#include "passes/Passes.h"

#include "llvm/ADT/SmallVectorExtras.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADREQUESTDERIVATIVE
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

using Positions = SmallVector<int64_t>;

namespace {

enum class Mode { Gradient, Reverse, Forward };

struct GradRequestDerivative
    : grad::impl::GradRequestDerivativeBase<GradRequestDerivative> {
  using GradRequestDerivativeBase::GradRequestDerivativeBase;

  void runOnOperation() override {
    if (failed(request()))
      signalPassFailure();
  }

private:
  LogicalResult request();
};

} // namespace

static SmallVector<Type> pick(ArrayRef<Type> types,
                              ArrayRef<int64_t> positions) {
  return llvm::map_to_vector(positions, [&](int64_t i) { return types[i]; });
}

/// The entries of the option `name`, or all that have derivatives if there are
/// none. `part` says what of the function they are.
static FailureOr<Positions> choose(func::FuncOp function, StringRef name,
                                   StringRef part, ArrayRef<int64_t> chosen,
                                   ArrayRef<Type> types) {
  Positions positions(chosen);
  int64_t count = types.size();
  if (positions.empty())
    for (auto [i, type] : llvm::enumerate(types))
      if (isDifferentiable(type))
        positions.push_back(i);
  if (positions.empty())
    return function.emitOpError("expected ")
           << part << "s that are floats of 32 or 64 bits, or tensors of these "
           << "of static shape, but got (" << types << ")";
  llvm::SmallDenseSet<int64_t> seen;
  for (int64_t i : positions) {
    if (i < 0 || i >= count)
      return function.emitOpError("expected `")
             << name << "` in [0, " << count << "), but got " << i;
    if (!seen.insert(i).second)
      return function.emitOpError("expected distinct entries of `")
             << name << "`, but got " << i << " twice";
    if (!isDifferentiable(types[i]))
      return function.emitOpError("expected `")
             << name << "` to name " << part << "s that are floats of 32 or 64 "
             << "bits, or tensors of these of static shape, but " << part
             << " #" << i << " has type " << types[i];
  }
  return positions;
}

/// The number one, of a type that is a float or a tensor without dimensions.
static Value createOne(OpBuilder &builder, Location loc, Type type) {
  if (auto tensor = dyn_cast<RankedTensorType>(type))
    return createSplat(builder, loc, tensor, 1);
  return arith::ConstantOp::create(builder, loc, builder.getFloatAttr(type, 1));
}

LogicalResult GradRequestDerivative::request() {
  ModuleOp module = getOperation();
  std::optional<Mode> kind = llvm::StringSwitch<std::optional<Mode>>(mode)
                                 .Case("gradient", Mode::Gradient)
                                 .Case("reverse", Mode::Reverse)
                                 .Case("forward", Mode::Forward)
                                 .Default(std::nullopt);
  if (!kind)
    return module.emitOpError("expected `mode` to be gradient, reverse or "
                              "forward, but got '")
           << mode << "'";
  SymbolTable symbols(module);
  auto callee = symbols.lookup<func::FuncOp>(function);
  if (!callee)
    return module.emitOpError("expected `function` to name a func.func, but "
                              "got '")
           << function << "'";
  std::string added = name.empty() ? function + "_" + mode : name;
  if (symbols.lookup(added))
    return module.emitOpError("expected a name that is not taken for the new "
                              "function, but got '")
           << added << "'; choose another one by `name`";

  ArrayRef<Type> inputs = callee.getArgumentTypes(),
                 outputs = callee.getResultTypes();
  auto checkNoMemory = [&](StringRef part,
                           ArrayRef<Type> types) -> LogicalResult {
    for (auto [i, type] : llvm::enumerate(types))
      if (isa<BaseMemRefType>(type))
        return callee.emitOpError("expected ")
               << part << "s that are no memory, but " << part << " #" << i
               << " has type " << type
               << "; differentiate before bufferization";
    return success();
  };
  if (failed(checkNoMemory("argument", inputs)) ||
      failed(checkNoMemory("result", outputs)))
    return failure();
  FailureOr<Positions> in = choose(callee, "wrt", "argument", wrt, inputs);
  if (failed(in))
    return failure();
  FailureOr<Positions> out = choose(callee, "of", "result", of, outputs);
  if (failed(out))
    return failure();
  if (*kind == Mode::Gradient) {
    auto isScalar = [](Type type) {
      auto tensor = dyn_cast<RankedTensorType>(type);
      return !tensor || tensor.getRank() == 0;
    };
    if (out->size() != 1 || !isScalar(outputs[out->front()]))
      return callee.emitOpError("expected one result to differentiate, a float "
                                "or a tensor without dimensions, but got (")
             << pick(outputs, *out)
             << "); name one by `of`, or choose mode=reverse";
  }

  OpBuilder builder(callee->getContext());
  builder.setInsertionPointAfter(callee);
  Location loc = callee.getLoc();
  bool isForward = *kind == Mode::Forward;
  SmallVector<Type> seeds = isForward ? pick(inputs, *in) : pick(outputs, *out);
  SmallVector<Type> arguments(inputs), results(outputs);
  if (*kind != Mode::Gradient)
    llvm::append_range(arguments, seeds);
  llvm::append_range(results,
                     isForward ? pick(outputs, *out) : pick(inputs, *in));
  auto derivative = func::FuncOp::create(
      builder, loc, added, builder.getFunctionType(arguments, results));
  builder.setInsertionPointToStart(derivative.addEntryBlock());
  ValueRange all = derivative.getArguments();
  SmallVector<Value> directions(all.drop_front(inputs.size()));
  if (*kind == Mode::Gradient)
    directions.push_back(createOne(builder, loc, seeds.front()));
  Operation *request;
  if (isForward)
    request =
        JvpOp::create(builder, loc, results, callee.getSymName(),
                      all.take_front(inputs.size()), directions, *in, *out);
  else
    request =
        VjpOp::create(builder, loc, results, callee.getSymName(),
                      all.take_front(inputs.size()), directions, *in, *out);
  func::ReturnOp::create(builder, loc, request->getResults());
  return success();
}
