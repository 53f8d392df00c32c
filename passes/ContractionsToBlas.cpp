//===- ContractionsToBlas.cpp - Matrix products on buffers to BLAS calls --===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-contractions-to-blas`. For each contraction of buffers of f32, f64
/// or complex numbers of these, for a device of f16 or bf16 to f32, too:
///
///  1. The loops are grouped by the operands that they walk (batch, m, n, k).
///  2. Each operand gets a leading dimension and a transposition flag, from
///     strides, so that views and transposes need no copy. A result with
///     transposed layout swaps the roles of the operands. Rows that are not
///     equally far from each other are divided: some loops become loops of the
///     batch, in which the other operand stays the same.
///  3. Batch loops become scf.for around the call; for a device, those of them
///     that are one loop in all operands a number of products of the call.
///  4. For a device, a product with an epilogue (Epilogue.h) becomes the call
///     and the epilogue where there is a library, and one kernel of both where
///     there is none, which the run tells.
///
/// Invariant: a fill with zeros is dropped only if nothing accesses the bytes
/// of the result between it and the product, through whichever buffer.
///
//===----------------------------------------------------------------------===//

#include "dialect/Rules.h"
#include "passes/BufferPlace.h"
#include "passes/BufferSize.h"
#include "passes/CommandList.h"
#include "passes/ContractionLayout.h"
#include "passes/Epilogue.h"
#include "passes/Kernels.h"
#include "passes/Passes.h"
#include "passes/TensorProduct.h"
#include "passes/TiledNest.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADCONTRACTIONSTOBLAS
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

//===----------------------------------------------------------------------===//
// Matching
//===----------------------------------------------------------------------===//

namespace {

/// One operand of a product.
struct Operand {
  Value buffer;
  SmallVector<int64_t> strides; ///< By loop.
  MatrixLayout layout;
};

struct MatrixProduct {
  Contraction loops;
  Operand lhs, rhs, result;
};

/// Products one after the other, and how far the elements of each operand are
/// from those of the next one.
struct Batch {
  int64_t size = 1;
  int64_t lhs = 0, rhs = 0, result = 0;
};

} // namespace

/// The strides of a buffer, all static; nothing for other values.
static std::optional<SmallVector<int64_t>> staticStrides(Value buffer) {
  auto type = dyn_cast<MemRefType>(buffer.getType());
  if (!type || !type.hasStaticShape())
    return std::nullopt;
  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(type.getStridesAndOffset(strides, offset)) ||
      llvm::is_contained(strides, ShapedType::kDynamic))
    return std::nullopt;
  return strides;
}

/// Sorts the loops of `group` from the largest stride to the smallest.
static void sortByStride(SmallVectorImpl<int64_t> &group,
                         ArrayRef<int64_t> strides) {
  llvm::stable_sort(
      group, [&](int64_t a, int64_t b) { return strides[a] > strides[b]; });
}

/// Finds the layouts of `product`, and swaps its operands if the result is
/// transposed; false if there are none.
static bool findLayouts(MatrixProduct &product) {
  Contraction &loops = product.loops;
  auto find = [&](Operand &operand, ArrayRef<int64_t> rows,
                  ArrayRef<int64_t> columns) {
    auto found = matrixLayout(loops.sizes, operand.strides, rows, columns);
    if (found)
      operand.layout = *found;
    return found.has_value();
  };
  if (!find(product.result, loops.m, loops.n))
    return false;
  if (product.result.layout.transposed) {
    std::swap(product.lhs, product.rhs);
    std::swap(loops.m, loops.n);
    find(product.result, loops.m, loops.n);
  }
  return find(product.lhs, loops.m, loops.k) &&
         find(product.rhs, loops.k, loops.n) &&
         !product.result.layout.transposed;
}

/// Finds the layouts of `product`, or of one that has fewer rows or columns and
/// more in its batch.
static std::optional<MatrixProduct> divideRows(const MatrixProduct &product) {
  const Contraction &loops = product.loops;
  size_t mostRows = std::max<size_t>(loops.m.size(), 1);
  size_t mostColumns = std::max<size_t>(loops.n.size(), 1);
  for (size_t moved = 0; moved < mostRows + mostColumns - 1; ++moved)
    for (size_t rows = 0; rows <= moved; ++rows) {
      size_t columns = moved - rows;
      if (rows >= mostRows || columns >= mostColumns)
        continue;
      MatrixProduct part = product;
      auto move = [&](SmallVector<int64_t> &from, size_t count) {
        part.loops.batch.append(from.begin(), from.begin() + count);
        from.erase(from.begin(), from.begin() + count);
      };
      move(part.loops.m, rows);
      move(part.loops.n, columns);
      if (findLayouts(part))
        return part;
    }
  return std::nullopt;
}

/// The type of the parts of complex numbers; other types themselves.
static Type partOf(Type element) {
  auto complex = dyn_cast<ComplexType>(element);
  return complex ? complex.getElementType() : element;
}

/// Describes `op` as a matrix product, if it is one that a BLAS can do.
static std::optional<MatrixProduct> matchProduct(linalg::LinalgOp op,
                                                 bool forDevice) {
  if (op.getNumDpsInputs() != 2 || op.getNumDpsInits() != 1 ||
      !op.hasPureBufferSemantics() || !isMultiplyAdd(*op.getBlock()))
    return std::nullopt;
  Value result = op.getDpsInits()[0];
  Type element = getElementTypeOrSelf(result);
  if (!isa<Float32Type, Float64Type>(forDevice ? element : partOf(element)))
    return std::nullopt;

  MatrixProduct product;
  product.loops.sizes = op.getStaticLoopRanges();
  int64_t count = product.loops.sizes.size();
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  Operand *operands[] = {&product.lhs, &product.rhs, &product.result};
  for (auto [operand, value, map] :
       llvm::zip_equal(operands, op->getOperands(), maps)) {
    std::optional<SmallVector<int64_t>> strides = staticStrides(value);
    if (!strides || !map.isProjectedPermutation() ||
        (getElementTypeOrSelf(value) != element &&
         (!forDevice || value == result)))
      return std::nullopt;
    operand->buffer = value;
    operand->strides = loopStrides(map, *strides, count);
  }

  if (getElementTypeOrSelf(product.lhs.buffer) !=
      getElementTypeOrSelf(product.rhs.buffer))
    return std::nullopt;

  Contraction &loops = product.loops;
  SmallVector<utils::IteratorType> kinds = op.getIteratorTypesArray();
  for (int64_t loop = 0; loop < count; ++loop) {
    bool inLhs = maps[0].isFunctionOfDim(loop);
    bool inRhs = maps[1].isFunctionOfDim(loop);
    bool inResult = maps[2].isFunctionOfDim(loop);
    if (inResult != (kinds[loop] == utils::IteratorType::parallel) ||
        (!inLhs && !inRhs) || (inLhs != inRhs && !inResult))
      return std::nullopt;
    (inLhs && inRhs ? (inResult ? loops.batch : loops.k)
                    : (inLhs ? loops.m : loops.n))
        .push_back(loop);
  }
  sortByStride(loops.m, product.result.strides);
  sortByStride(loops.n, product.result.strides);
  sortByStride(loops.k, product.lhs.strides);

  return divideRows(product);
}

/// The loops of the batch, outermost first. Those that are one loop in all
/// operands are one.
static SmallVector<Batch> mergeBatch(const MatrixProduct &product) {
  SmallVector<int64_t> loops = product.loops.batch;
  sortByStride(loops, product.result.strides);
  SmallVector<Batch> merged;
  for (int64_t loop : loops) {
    Batch next = {product.loops.sizes[loop], product.lhs.strides[loop],
                  product.rhs.strides[loop], product.result.strides[loop]};
    if (next.size == 1)
      continue;
    auto continues = [&](const Batch &outer) {
      return outer.lhs == next.lhs * next.size &&
             outer.rhs == next.rhs * next.size &&
             outer.result == next.result * next.size;
    };
    if (!merged.empty() && continues(merged.back())) {
      next.size *= merged.back().size;
      merged.pop_back();
    }
    merged.push_back(next);
  }
  return merged;
}

//===----------------------------------------------------------------------===//
// Initial values
//===----------------------------------------------------------------------===//

/// Adds the buffers whose addresses the integer `value` is computed from to
/// `buffers`. Fails where it may be any address.
static bool collectAddressed(Value value, SmallVectorImpl<Value> &buffers) {
  Operation *def = value.getDefiningOp();
  if (!def)
    return isa<scf::ForOp>(
        cast<BlockArgument>(value).getOwner()->getParentOp());
  if (auto address = dyn_cast<memref::ExtractAlignedPointerAsIndexOp>(def)) {
    buffers.push_back(address.getSource());
    return true;
  }
  if (isa<memref::ExtractStridedMetadataOp, memref::DimOp>(def))
    return true;
  return isa_and_nonnull<arith::ArithDialect>(def->getDialect()) &&
         llvm::all_of(def->getOperands(), [&](Value operand) {
           return collectAddressed(operand, buffers);
         });
}

/// Whether `op`, or an op in it, may access memory at `place`.
static bool mayAccess(Operation *op, const BufferPlace &place) {
  auto accesses = [&](Operation *nested) {
    if (isMemoryEffectFree(nested))
      return false;
    bool isUnknown = !isa<MemoryEffectOpInterface>(nested) &&
                     !nested->hasTrait<OpTrait::HasRecursiveMemoryEffects>();
    SmallVector<Value> buffers;
    for (Value operand : nested->getOperands())
      if (isa<BaseMemRefType>(operand.getType()))
        buffers.push_back(operand);
      else if (isUnknown && !isa<FloatType>(operand.getType()) &&
               !collectAddressed(operand, buffers))
        return true;
    return llvm::any_of(buffers, [&](Value buffer) {
      return mayShareBytes(findPlace(buffer), place);
    });
  };
  return op
      ->walk([&](Operation *nested) {
        return accesses(nested) ? WalkResult::interrupt()
                                : WalkResult::advance();
      })
      .wasInterrupted();
}

/// The fill with zeros of `buffer` that reaches `op` and nothing else.
static linalg::FillOp findZeroFill(Value buffer, Operation *op) {
  // Whoever is called may access a global.
  if (findPointer(buffer).getDefiningOp<memref::GetGlobalOp>())
    return {};
  BufferPlace place = findPlace(buffer);
  for (Operation *before = op->getPrevNode(); before;
       before = before->getPrevNode()) {
    if (!mayAccess(before, place))
      continue;
    auto fill = dyn_cast<linalg::FillOp>(before);
    if (fill && fill.output() == buffer && isZero(fill.value()))
      return fill;
    return {};
  }
  return {};
}

//===----------------------------------------------------------------------===//
// Rewriting
//===----------------------------------------------------------------------===//

namespace {

/// Writes the call that does `product` in place of `op`.
class CallWriter {
public:
  CallWriter(linalg::LinalgOp op, const MatrixProduct &product, bool forDevice)
      : builder(op), loc(op.getLoc()), product(product),
        module(op->getParentOfType<ModuleOp>()), forDevice(forDevice) {}

  void write(bool overwrite) {
    lhs = address(product.lhs);
    rhs = address(product.rhs);
    result = address(product.result);
    loops = mergeBatch(product);
    if (forDevice && !loops.empty()) {
      auto *largest = llvm::max_element(
          loops, [](auto &a, auto &b) { return a.size < b.size; });
      batch = *largest;
      loops.erase(largest);
    }
    SmallVector<Value> lower, upper, step;
    for (const Batch &loop : loops) {
      lower.push_back(index(0));
      upper.push_back(index(loop.size));
      step.push_back(index(1));
    }
    scf::buildLoopNest(builder, loc, lower, upper, step,
                       [&](OpBuilder &inner, Location, ValueRange position) {
                         OpBuilder outer = builder;
                         builder = inner;
                         call(position, overwrite);
                         builder = outer;
                       });
  }

private:
  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(builder, loc, value);
  }
  Value integer(int64_t value) {
    return arith::ConstantOp::create(builder, loc,
                                     builder.getI64IntegerAttr(value));
  }
  static int64_t elementBytes(const Operand &operand) {
    return *getElementBytes(getElementTypeOrSelf(operand.buffer));
  }

  /// Where the first element of `operand` is in memory.
  Value address(const Operand &operand) {
    auto type = cast<MemRefType>(operand.buffer.getType());
    Value base = memref::ExtractAlignedPointerAsIndexOp::create(builder, loc,
                                                                operand.buffer);
    auto [strides, offset] = type.getStridesAndOffset();
    if (offset == 0)
      return base;
    Value elements = ShapedType::isDynamic(offset)
                         ? memref::ExtractStridedMetadataOp::create(
                               builder, loc, operand.buffer)
                               .getOffset()
                         : index(offset);
    return advance(base, elements, elementBytes(operand));
  }

  Value advance(Value base, Value steps, int64_t bytes) {
    Value distance = arith::MulIOp::create(builder, loc, steps, index(bytes));
    return arith::AddIOp::create(builder, loc, base, distance);
  }

  /// `base` of `operand` at a position of the loops.
  Value at(Value base, const Operand &operand, int64_t Batch::*stride,
           ValueRange position) {
    for (auto [loop, step] : llvm::zip_equal(loops, position))
      if (loop.*stride)
        base = advance(base, step, loop.*stride * elementBytes(operand));
    return base;
  }

  /// What the functions for these elements are called.
  std::string elementName() const {
    Type element = getElementTypeOrSelf(product.lhs.buffer);
    if (element.isBF16())
      return "bf16";
    return ((isa<ComplexType>(element) ? "c" : "f") +
            Twine(8 * elementBytes(product.lhs)))
        .str();
  }

  void call(ValueRange position, bool overwrite) {
    Type element = getElementTypeOrSelf(product.result.buffer);
    SmallVector<Value> arguments = {
        integer(product.lhs.layout.transposed),
        integer(product.rhs.layout.transposed),
        integer(product.result.layout.rows),
        integer(product.result.layout.columns),
        integer(product.lhs.layout.columns),
        at(lhs, product.lhs, &Batch::lhs, position),
        integer(product.lhs.layout.leading),
        at(rhs, product.rhs, &Batch::rhs, position),
        integer(product.rhs.layout.leading),
        at(result, product.result, &Batch::result, position),
        integer(product.result.layout.leading),
        arith::ConstantOp::create(
            builder, loc,
            builder.getFloatAttr(partOf(element), overwrite ? 0.0 : 1.0))};
    if (forDevice)
      for (int64_t number : {batch.size, batch.lhs, batch.rhs, batch.result})
        arguments.push_back(integer(number));
    std::string name =
        ("gradopt_gemm_" + Twine(forDevice ? "batched_" : "") + elementName())
            .str();
    if (!module.lookupSymbol(name)) {
      OpBuilder atStart = OpBuilder::atBlockBegin(module.getBody());
      func::FuncOp::create(
          atStart, module.getLoc(), name,
          builder.getFunctionType(ValueRange(arguments).getTypes(), {}))
          .setPrivate();
    }
    func::CallOp::create(builder, loc, name, TypeRange(), arguments);
  }

  OpBuilder builder;
  Location loc;
  const MatrixProduct &product;
  ModuleOp module;
  bool forDevice;
  SmallVector<Batch> loops; ///< Around the call.
  Batch batch;              ///< Of the call.
  Value lhs, rhs, result;
};

/// Asks, where `function` begins, whether there is a library.
Value askForLibrary(func::FuncOp function) {
  auto module = function->getParentOfType<ModuleOp>();
  Type flag = IntegerType::get(function.getContext(), 1);
  if (!module.lookupSymbol(kHasLibraryName)) {
    OpBuilder atStart = OpBuilder::atBlockBegin(module.getBody());
    func::FuncOp::create(atStart, module.getLoc(), kHasLibraryName,
                         atStart.getFunctionType({}, flag))
        .setPrivate();
  }
  OpBuilder builder = OpBuilder::atBlockBegin(&function.getBody().front());
  return func::CallOp::create(builder, function.getLoc(), kHasLibraryName, flag,
                              ValueRange())
      .getResult(0);
}

/// Where a library does products, an epilogue is an op of its own; else both
/// are one kernel. Moves `op` and `epilogue` to where the library is, and
/// copies them, and `fill`, to where there is none.
void chooseByLibrary(linalg::LinalgOp op, linalg::LinalgOp epilogue,
                     linalg::FillOp fill, Value hasLibrary) {
  OpBuilder builder(epilogue);
  auto choice = scf::IfOp::create(builder, op.getLoc(), hasLibrary,
                                  /*withElseRegion=*/true);
  builder.setInsertionPoint(choice.elseBlock()->getTerminator());
  if (fill)
    builder.clone(*fill);
  builder.clone(*op);
  builder.clone(*epilogue)->setAttr(kEpilogueAttr, builder.getUnitAttr());
  op->moveBefore(choice.thenBlock()->getTerminator());
  epilogue->moveBefore(choice.thenBlock()->getTerminator());
}

struct GradContractionsToBlas
    : grad::impl::GradContractionsToBlasBase<GradContractionsToBlas> {
  using GradContractionsToBlasBase::GradContractionsToBlasBase;

  void runOnOperation() override {
    /// Whether there is one, for each function that asks.
    llvm::DenseMap<Operation *, Value> libraries;
    SmallVector<linalg::LinalgOp> candidates;
    getOperation().walk<WalkOrder::PreOrder>([&](Operation *op) {
      // What is done at once is one kernel.
      if (op->hasAttr(kParallelAttr))
        return WalkResult::skip();
      if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op))
        candidates.push_back(linalgOp);
      return WalkResult::advance();
    });
    for (linalg::LinalgOp op : candidates) {
      std::optional<MatrixProduct> product = matchProduct(op, forDevice);
      if (!product || !isWorthACall(product->loops))
        continue;
      linalg::FillOp fill = findZeroFill(product->result.buffer, op);
      linalg::LinalgOp epilogue = forDevice ? findEpilogue(op) : nullptr;
      if (epilogue && TiledNest::match(op, epilogue)) {
        auto function = op->getParentOfType<func::FuncOp>();
        Value &hasLibrary = libraries[function];
        if (!hasLibrary)
          hasLibrary = askForLibrary(function);
        chooseByLibrary(op, epilogue, fill, hasLibrary);
      }
      CallWriter(op, *product, forDevice)
          .write(/*overwrite=*/static_cast<bool>(fill));
      if (fill)
        fill.erase();
      op.erase();
      ++numCalls;
    }
  }

private:
  bool isWorthACall(const Contraction &loops) const {
    int64_t m = extent(loops.sizes, loops.m);
    int64_t n = extent(loops.sizes, loops.n);
    int64_t k = extent(loops.sizes, loops.k);
    return m > 1 && n > 1 && k > 1 && m * n * k >= threshold;
  }
};

} // namespace
