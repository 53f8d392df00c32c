//===- Kernels.cpp - Parts of a program as functions ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Kernels.h"
#include "passes/BufferPlace.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace mlir::grad;

//===----------------------------------------------------------------------===//
// Analysis
//===----------------------------------------------------------------------===//

/// Whether `user` accepts a view of another static layout as well.
static bool takesAnyLayout(Operation *user) {
  return isa<linalg::LinalgOp, memref::LoadOp, memref::StoreOp, memref::CopyOp>(
      user);
}

/// The strides and the offset of a type, of which only the latter may be
/// dynamic, and of which all extents are known.
static std::optional<std::pair<SmallVector<int64_t>, int64_t>>
getLayout(MemRefType type) {
  SmallVector<int64_t> strides;
  int64_t offset;
  if (!type.hasStaticShape() ||
      failed(type.getStridesAndOffset(strides, offset)) ||
      llvm::any_of(strides, ShapedType::isDynamic))
    return std::nullopt;
  return std::make_pair(std::move(strides), offset);
}

namespace {

class Analysis {
public:
  Analysis(Kernel &kernel, bool forDevice)
      : kernel(kernel), forDevice(forDevice),
        inside(llvm::from_range, kernel.ops) {}

  LogicalResult run() {
    llvm::SetVector<Value> captured;
    for (Operation *op : kernel.ops) {
      captured.insert_range(op->getOperands());
      getUsedValuesDefinedAbove(op->getRegions(), captured);
      op->walk([&](Operation *user) {
        if (!takesAnyLayout(user))
          asTheyAre.insert_range(user->getOperands());
      });
    }
    for (Value value : captured)
      if (failed(capture(value)))
        return failure();
    return findResults();
  }

private:
  LogicalResult capture(Value value);
  LogicalResult captureBuffer(Value value, MemRefType type);
  LogicalResult findResults();

  bool isNumber(Type type) const {
    return type.isIntOrIndexOrFloat() || (forDevice && isa<ComplexType>(type));
  }

  Kernel &kernel;
  bool forDevice;
  llvm::SmallPtrSet<Operation *, 8> inside;
  /// What an op would not accept with another layout.
  llvm::DenseSet<Value> asTheyAre;
};

} // namespace

LogicalResult Analysis::capture(Value value) {
  Operation *def = value.getDefiningOp();
  if (def && inside.contains(def))
    return success();
  if (def && def->hasTrait<OpTrait::ConstantLike>()) {
    kernel.copied.insert(def);
    return success();
  }
  if (auto type = dyn_cast<MemRefType>(value.getType()))
    return captureBuffer(value, type);
  if (!isNumber(value.getType()))
    return failure();
  kernel.scalars.insert(value);
  return success();
}

LogicalResult Analysis::captureBuffer(Value value, MemRefType type) {
  auto layout = getLayout(type);
  Value root = findPointer(value);
  auto rootType = dyn_cast<MemRefType>(root.getType());
  if (layout && rootType && rootType.getLayout().isIdentity() &&
      rootType.hasStaticShape() &&
      rootType.getMemorySpace() == type.getMemorySpace()) {
    if (root == value) {
      kernel.buffers.insert(root);
      return success();
    }
    if (!asTheyAre.contains(value)) {
      kernel.buffers.insert(root);
      kernel.views.push_back({value, root, layout->first, layout->second});
      return success();
    }
  }
  Operation *def = value.getDefiningOp();
  if (isa_and_nonnull<ViewLikeOpInterface>(def)) {
    for (Value operand : def->getOperands()) {
      // Its type follows from that of the operand.
      asTheyAre.insert(operand);
      llvm::erase_if(kernel.views, [&](const Kernel::View &view) {
        return view.value == operand;
      });
      if (failed(capture(operand)))
        return failure();
    }
    kernel.copied.insert(def);
    return success();
  }
  if (!layout || ShapedType::isDynamic(layout->second))
    return failure();
  kernel.buffers.insert(value);
  return success();
}

LogicalResult Analysis::findResults() {
  Block *block = kernel.ops.front()->getBlock();
  auto isOutside = [&](Operation *user) {
    Operation *ancestor = block->findAncestorOpInBlock(*user);
    return !ancestor || !inside.contains(ancestor) ||
           kernel.shared.contains(ancestor);
  };
  for (Operation *op : kernel.ops) {
    if (kernel.shared.contains(op))
      continue;
    for (Value result : op->getResults()) {
      if (llvm::none_of(result.getUsers(), isOutside))
        continue;
      auto type = dyn_cast<MemRefType>(result.getType());
      if (type ? !type.hasStaticShape() || !type.getLayout().isIdentity()
               : !isNumber(result.getType()))
        return failure();
      kernel.results.push_back(result);
    }
  }
  return success();
}

std::optional<Kernel> mlir::grad::analyzeKernel(ArrayRef<Operation *> ops,
                                                ArrayRef<Operation *> shared,
                                                bool forDevice) {
  Kernel kernel;
  kernel.ops = llvm::to_vector(ops);
  kernel.shared.insert_range(shared);
  if (failed(Analysis(kernel, forDevice).run()))
    return std::nullopt;
  return kernel;
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

/// Writes `kernel` as a function.
static func::FuncOp createFunction(OpBuilder &builder, const Kernel &kernel) {
  Location loc = kernel.ops.back()->getLoc();
  SmallVector<Type> types;
  for (Value buffer : kernel.buffers)
    types.push_back(buffer.getType());
  types.append(kernel.views.size(), builder.getIndexType());
  for (Value scalar : kernel.scalars)
    types.push_back(scalar.getType());
  auto function = func::FuncOp::create(
      builder, loc, "kernel",
      builder.getFunctionType(types, ValueRange(kernel.results).getTypes()));
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
  for (const Kernel::View &view : kernel.views) {
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
  for (Operation *op : kernel.copied)
    inside.clone(*op, mapping);
  for (Operation *op : kernel.ops)
    inside.clone(*op, mapping);
  func::ReturnOp::create(inside, loc,
                         llvm::map_to_vector(kernel.results, [&](Value result) {
                           return mapping.lookup(result);
                         }));
  return function;
}

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

func::FuncOp KernelFunctions::get(const Kernel &kernel) {
  func::FuncOp function = createFunction(builder, kernel);
  auto &similar = byHash[hashOf(function)];
  auto equal = llvm::find_if(
      similar, [&](func::FuncOp other) { return areEqual(function, other); });
  if (equal != similar.end()) {
    function.erase();
    return *equal;
  }
  similar.push_back(function);
  functions.push_back(function);
  return function;
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

void mlir::grad::replaceByCall(const Kernel &kernel, func::FuncOp function) {
  Operation *last = kernel.ops.back();
  Location loc = last->getLoc();
  OpBuilder builder(last);
  SmallVector<Value> operands = llvm::to_vector(kernel.buffers);
  for (const Kernel::View &view : kernel.views) {
    if (ShapedType::isDynamic(view.offset))
      operands.push_back(
          memref::ExtractStridedMetadataOp::create(builder, loc, view.value)
              .getOffset());
    else
      operands.push_back(
          arith::ConstantIndexOp::create(builder, loc, view.offset));
  }
  llvm::append_range(operands, kernel.scalars);
  auto call = func::CallOp::create(builder, loc, function, operands);
  // What is shared uses results of the call.
  for (Operation *op : kernel.ops)
    if (kernel.shared.contains(op))
      op->moveBefore(last);
  for (auto [result, value] :
       llvm::zip_equal(kernel.results, call.getResults()))
    Value(result).replaceAllUsesWith(value);
  for (Operation *op : llvm::reverse(kernel.ops))
    if (!kernel.shared.contains(op))
      op->erase();
}
