//===- BufferPlace.cpp - Which memory a buffer lies in --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/BufferPlace.h"
#include "passes/BufferSize.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

using namespace mlir;
using namespace mlir::grad;

/// The op that makes `buffer` a view of another buffer, if it is one.
static ViewLikeOpInterface getView(Value buffer) {
  auto view = buffer.getDefiningOp<ViewLikeOpInterface>();
  if (!view || view.getViewDest() != buffer ||
      !isa<BaseMemRefType>(view.getViewSource().getType()))
    return {};
  return view;
}

/// The bytes of its operand that `op` shows, if they are known.
static std::optional<ByteRange> getBytes(memref::ViewOp op) {
  if (auto stated = op->getAttrOfType<DenseI64ArrayAttr>(kBytesAttr))
    return ByteRange(stated[0], stated[1]);
  std::optional<int64_t> begin = getConstantIntValue(op.getByteShift());
  std::optional<int64_t> size = getByteSize(op.getType());
  if (!begin || !size)
    return std::nullopt;
  return ByteRange(*begin, *begin + *size);
}

/// What tells the memory of `root`, no view, from all other memory.
static const void *identify(Value root) {
  if (auto argument = dyn_cast<BlockArgument>(root)) {
    // Callers of public functions pass distinct buffers.
    auto func = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp());
    bool isOwn = func && func.isPublic() &&
                 argument.getOwner() == &func.getBody().front();
    return isOwn ? root.getAsOpaquePointer() : nullptr;
  }
  if (auto global = root.getDefiningOp<memref::GetGlobalOp>())
    return global.getNameAttr().getAttr().getAsOpaquePointer();
  if (isa<memref::AllocOp, memref::AllocaOp>(root.getDefiningOp()))
    return root.getAsOpaquePointer();
  return nullptr;
}

BufferPlace mlir::grad::findPlace(Value buffer) {
  BufferPlace place;
  while (ViewLikeOpInterface view = getView(buffer)) {
    std::optional<ByteRange> shown;
    if (auto bytes = dyn_cast<memref::ViewOp>(view.getOperation()))
      shown = getBytes(bytes);
    // A part of a part: where the outer one begins has to be known.
    if (shown && place.bytes)
      place.bytes = ByteRange(shown->first + place.bytes->first,
                              shown->first + place.bytes->second);
    else
      place.bytes = shown;
    buffer = view.getViewSource();
  }
  place.object = identify(buffer);
  return place;
}

bool mlir::grad::mayShareBytes(const BufferPlace &a, const BufferPlace &b) {
  if (!a.object || !b.object)
    return true;
  if (a.object != b.object)
    return false;
  return !a.bytes || !b.bytes || overlap(*a.bytes, *b.bytes);
}

std::optional<ByteRange> mlir::grad::findSlot(Value buffer, Value arena) {
  BufferPlace place = findPlace(buffer);
  if (place.object != arena.getAsOpaquePointer())
    return std::nullopt;
  return place.bytes;
}

Value mlir::grad::findPointer(Value buffer) {
  for (ViewLikeOpInterface view = getView(buffer);
       view && !isa<memref::ViewOp>(view.getOperation());
       view = getView(buffer))
    buffer = view.getViewSource();
  return buffer;
}
