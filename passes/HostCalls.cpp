//===- HostCalls.cpp - What calls of the host say to the runtime  ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/HostCalls.h"
#include "dialect/Foreign.h"
#include "dialect/GradDialect.h"
#include "runtime/Fourier.h"
#include "runtime/Lapack.h"
#include "runtime/Sorting.h"

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::grad;

/// The place of a name that a verifier has found in `names`.
template <size_t size>
static int64_t placeIn(const char *const (&names)[size], StringRef name) {
  return llvm::find(names, name) - names;
}

static HostCallee getCallee(CustomCallIntoOp op) {
  return {GRADOPT_HOST_TARGET, "gradopt_call_target",
          static_cast<int64_t>(op.getTarget()),
          op.getAreUnsigned().value_or(ArrayRef<bool>())};
}

static HostCallee getCallee(LapackIntoOp op) {
  namespace lapack = gradopt::runtime::lapack;
  auto routine = lapack::Routine(placeIn(lapack::kNames, op.getRoutine()));
  return {GRADOPT_HOST_LAPACK,
          "gradopt_lapack",
          lapack::encode(routine, op.getFlags()),
          {}};
}

static HostCallee getCallee(FourierIntoOp op) {
  namespace fourier = gradopt::runtime::fourier;
  return {GRADOPT_HOST_FOURIER,
          "gradopt_fourier",
          fourier::encode(
              fourier::Transform(placeIn(fourier::kNames, op.getTransform())),
              fourier::Norm(placeIn(fourier::kNorms, op.getNorm())),
              op.getForward(), op.getDimensions()),
          {}};
}

static HostCallee getCallee(SortIntoOp op) {
  using namespace gradopt::runtime::sorting;
  return {GRADOPT_HOST_SORT,
          "gradopt_sort",
          (op.getHasValues() ? HasValues : 0) |
              (op.getHasIndices() ? HasIndices : 0) |
              (op.getIsUnsigned() ? IsUnsigned : 0),
          {}};
}

HostCallee mlir::grad::getHostCallee(Operation *op) {
  assert(isHostCall(op) && "expected a call of the host");
  return llvm::TypeSwitch<Operation *, HostCallee>(op)
      .Case<CustomCallIntoOp, LapackIntoOp, FourierIntoOp>(
          [](auto call) { return getCallee(call); })
      .Default([](Operation *op) { return getCallee(cast<SortIntoOp>(op)); });
}
