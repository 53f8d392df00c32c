//===- OutlineKernels.cpp - Equal loop nests of long programs, once -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-outline-kernels`, on planned memory. Code generation takes more than
/// linear time in the length of a function, and the steps of an unrolled loop
/// are the same code on other buffers. So each nest of a long or repetitive
/// program becomes a call of a private function, equal functions being one:
///
///  1. A kernel is a linalg op, a loop or a copy, with the fills right before
///     it of what it writes.
///  2. Its arguments are the buffers that it accesses, or that the views it
///     accesses belong to, then where these views begin, then other values.
///     Constants are part of it.
///  3. An argument is `noalias` unless the kernel has another one that may lie
///     in the same bytes.
///
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "passes/BufferPlace.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADOUTLINEKERNELS
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;
using linalg::LinalgOp;

namespace {

/// A view with static strides. The offset may be dynamic.
struct View {
  Value value, root;
  SmallVector<int64_t> strides;
  int64_t offset;
};

/// Adjacent ops that become one function.
struct Kernel {
  SmallVector<Operation *> ops;
  llvm::SetVector<Value> buffers; ///< None of them is a view of another one.
  SmallVector<View> views;        ///< Of these buffers.
  SmallVector<Value> scalars;
  SmallVector<Operation *> constants;
};

} // namespace

/// Whether `user` accepts a view of another static layout as well.
static bool takesAnyLayout(Operation *user) {
  return isa<LinalgOp, memref::LoadOp, memref::StoreOp, memref::CopyOp>(user);
}

static bool isNest(Operation *op) {
  if (auto linalgOp = dyn_cast<LinalgOp>(op))
    return linalgOp.hasPureBufferSemantics();
  return isa<scf::ForOp, memref::CopyOp>(op) && op->use_empty();
}

/// Sorts what `ops` use. Fails where a function could not get it.
static std::optional<Kernel> analyze(ArrayRef<Operation *> ops) {
  Kernel kernel;
  kernel.ops = llvm::to_vector(ops);
  llvm::SetVector<Value> captured;
  for (Operation *op : ops) {
    captured.insert_range(op->getOperands());
    getUsedValuesDefinedAbove(op->getRegions(), captured);
  }
  for (Value value : captured) {
    Operation *def = value.getDefiningOp();
    auto type = dyn_cast<MemRefType>(value.getType());
    if (def && def->hasTrait<OpTrait::ConstantLike>()) {
      kernel.constants.push_back(def);
    } else if (!type) {
      if (!value.getType().isIntOrIndexOrFloat())
        return std::nullopt;
      kernel.scalars.push_back(value);
    } else {
      Value root = findPointer(value);
      auto rootType = dyn_cast<MemRefType>(root.getType());
      int64_t offset;
      SmallVector<int64_t> strides;
      if (!rootType || !rootType.getLayout().isIdentity() ||
          rootType.getMemorySpace() != type.getMemorySpace() ||
          !rootType.hasStaticShape() || rootType.getNumElements() == 0 ||
          !type.hasStaticShape() || type.getNumElements() == 0 ||
          failed(type.getStridesAndOffset(strides, offset)) ||
          llvm::any_of(strides, ShapedType::isDynamic))
        return std::nullopt;
      kernel.buffers.insert(root);
      if (root == value)
        continue;
      for (Operation *user : value.getUsers())
        if (llvm::any_of(ops, [&](Operation *op) {
              return op->isAncestor(user) && !takesAnyLayout(user);
            }))
          return std::nullopt;
      kernel.views.push_back({value, root, strides, offset});
    }
  }
  bool callsOthers = llvm::any_of(ops, [](Operation *op) {
    return op
        ->walk([](Operation *nested) {
          return isa<func::CallOp, CustomCallIntoOp>(nested)
                     ? WalkResult::interrupt()
                     : WalkResult::advance();
        })
        .wasInterrupted();
  });
  if (callsOthers)
    return std::nullopt;
  return kernel;
}

/// The nests of `block`, each with the fills that belong to it.
static std::vector<Kernel> collectKernels(Block &block) {
  std::vector<Kernel> kernels;
  SmallVector<Operation *> fills;
  auto addKernel = [&](ArrayRef<Operation *> ops) {
    if (auto kernel = analyze(ops))
      kernels.push_back(std::move(*kernel));
  };
  auto flush = [&](Operation *nest) {
    // The last fills run with the nest if it updates what they write. Nothing
    // changes places: buffers may share memory.
    size_t numBefore = fills.size();
    if (auto destination = dyn_cast_or_null<DestinationStyleOpInterface>(nest))
      while (numBefore > 0 &&
             llvm::is_contained(destination.getDpsInits(),
                                fills[numBefore - 1]->getOperand(1)))
        --numBefore;
    for (Operation *fill : ArrayRef(fills).take_front(numBefore))
      addKernel(fill);
    SmallVector<Operation *> ops(ArrayRef(fills).drop_front(numBefore));
    fills.clear();
    if (!nest)
      return;
    ops.push_back(nest);
    addKernel(ops);
  };
  for (Operation &op : block) {
    if (isa<linalg::FillOp>(op) && isNest(&op))
      fills.push_back(&op);
    else if (isNest(&op))
      flush(&op);
    else if (!isMemoryEffectFree(&op))
      flush(nullptr);
  }
  return kernels;
}

/// Writes `kernel` as a function.
static func::FuncOp createFunction(OpBuilder &builder, const Kernel &kernel) {
  Location loc = kernel.ops.back()->getLoc();
  SmallVector<Type> types;
  for (Value buffer : kernel.buffers)
    types.push_back(buffer.getType());
  types.append(kernel.views.size(), builder.getIndexType());
  for (Value scalar : kernel.scalars)
    types.push_back(scalar.getType());
  auto function = func::FuncOp::create(builder, loc, "kernel",
                                       builder.getFunctionType(types, {}));
  function.setPrivate();
  // LLVM would inline what is called once, and have one long function again.
  function->setAttr("passthrough", builder.getStrArrayAttr({"noinline"}));
  Block *body = function.addEntryBlock();

  SmallVector<BufferPlace> places =
      llvm::map_to_vector(kernel.buffers, findPlace);
  for (unsigned i = 0, e = places.size(); i < e; ++i) {
    bool isAlone = llvm::none_of(llvm::seq(e), [&](unsigned other) {
      return other != i && mayShareBytes(places[i], places[other]);
    });
    if (isAlone && places[i].object)
      function.setArgAttr(i, LLVM::LLVMDialect::getNoAliasAttrName(),
                          builder.getUnitAttr());
  }

  OpBuilder inside = OpBuilder::atBlockBegin(body);
  IRMapping mapping;
  for (auto [i, buffer] : llvm::enumerate(kernel.buffers))
    mapping.map(buffer, body->getArgument(i));
  unsigned next = kernel.buffers.size();
  for (const View &view : kernel.views) {
    auto type = cast<MemRefType>(view.value.getType());
    SmallVector<OpFoldResult> sizes =
        getAsIndexOpFoldResult(builder.getContext(), type.getShape());
    auto anywhere = MemRefType::get(type.getShape(), type.getElementType(),
                                    StridedLayoutAttr::get(builder.getContext(),
                                                           ShapedType::kDynamic,
                                                           view.strides));
    Value moved = memref::ReinterpretCastOp::create(
        inside, view.value.getLoc(), anywhere, mapping.lookup(view.root),
        OpFoldResult(body->getArgument(next++)), sizes,
        getAsIndexOpFoldResult(builder.getContext(), view.strides));
    mapping.map(view.value, moved);
  }
  for (Value scalar : kernel.scalars)
    mapping.map(scalar, body->getArgument(next++));
  for (Operation *constant : kernel.constants)
    inside.clone(*constant, mapping);
  for (Operation *op : kernel.ops)
    inside.clone(*op, mapping);
  func::ReturnOp::create(inside, loc);
  return function;
}

/// Replaces `kernel` by a call of `function`.
static void createCall(const Kernel &kernel, func::FuncOp function) {
  Operation *last = kernel.ops.back();
  OpBuilder builder(last);
  SmallVector<Value> operands = llvm::to_vector(kernel.buffers);
  for (const View &view : kernel.views) {
    Location loc = last->getLoc();
    if (ShapedType::isDynamic(view.offset))
      operands.push_back(
          memref::ExtractStridedMetadataOp::create(builder, loc, view.value)
              .getOffset());
    else
      operands.push_back(
          arith::ConstantIndexOp::create(builder, loc, view.offset));
  }
  llvm::append_range(operands, kernel.scalars);
  func::CallOp::create(builder, last->getLoc(), function, operands);
  for (Operation *op : llvm::reverse(kernel.ops))
    op->erase();
}

//===----------------------------------------------------------------------===//
// Equality
//===----------------------------------------------------------------------===//

static llvm::hash_code hashOf(func::FuncOp function) {
  llvm::hash_code hash = hash_value(Type(function.getFunctionType()));
  function.getBody().walk([&](Operation *op) {
    hash = llvm::hash_combine(hash, op->getName(), op->getAttrDictionary());
  });
  return hash;
}

static bool areEqual(func::FuncOp a, func::FuncOp b) {
  return a.getFunctionType() == b.getFunctionType() &&
         a.getArgAttrsAttr() == b.getArgAttrsAttr() &&
         OperationEquivalence::isRegionEquivalentTo(
             &a.getBody(), &b.getBody(), OperationEquivalence::IgnoreLocations);
}

namespace {

struct GradOutlineKernels
    : grad::impl::GradOutlineKernelsBase<GradOutlineKernels> {
  using GradOutlineKernelsBase::GradOutlineKernelsBase;

  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    for (auto function : llvm::to_vector(getOperation().getOps<func::FuncOp>()))
      if (function.isPublic() && function->hasAttr("grad.arena_bytes") &&
          function.getBody().hasOneBlock() && function.getNumArguments() != 0)
        outline(function, symbols);
  }

private:
  void outline(func::FuncOp program, SymbolTable &symbols) {
    std::vector<Kernel> kernels = collectKernels(program.getBody().front());
    OpBuilder builder(&getContext());
    llvm::DenseMap<llvm::hash_code, SmallVector<func::FuncOp, 1>> byHash;
    SmallVector<func::FuncOp> functions, callees;
    for (const Kernel &kernel : kernels) {
      builder.clearInsertionPoint();
      func::FuncOp function = createFunction(builder, kernel);
      auto &similar = byHash[hashOf(function)];
      auto equal = llvm::find_if(similar, [&](func::FuncOp other) {
        return areEqual(function, other);
      });
      if (equal != similar.end()) {
        function.erase();
        callees.push_back(*equal);
        continue;
      }
      similar.push_back(function);
      functions.push_back(function);
      callees.push_back(function);
    }

    bool isLong = static_cast<int64_t>(kernels.size()) >= minNests;
    bool isRepetitive = kernels.size() >= 2 * functions.size();
    for (func::FuncOp function : functions)
      if (isLong || isRepetitive)
        symbols.insert(function);
      else
        function.erase();
    if (!isLong && !isRepetitive)
      return;
    for (auto [kernel, callee] : llvm::zip_equal(kernels, callees))
      createCall(kernel, callee);
    numCalls += kernels.size();
    numKernels += functions.size();
  }
};

} // namespace
