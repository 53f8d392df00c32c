//===- Dlpack.h - The structures of DLPack ----------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// How libraries hand arrays to each other: https://dmlc.github.io/dlpack. A
// Python capsule holds a `Managed` or, since version 1.0, a `ManagedVersioned`;
// who takes it renames the capsule and calls the deleter in the end.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_DLPACK_H
#define GRADOPT_NATIVE_DLPACK_H

#include <cstdint>

namespace gradopt::native::dlpack {

enum DeviceType : int32_t { kCpu = 1, kCuda = 2, kCudaManaged = 13 };

struct Device {
  int32_t type;
  int32_t number;
};

enum DataTypeCode : uint8_t {
  kInt = 0,
  kUInt = 1,
  kFloat = 2,
  kBfloat = 4,
  kComplex = 5,
  kBool = 6
};

struct DataType {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
};

struct Tensor {
  void *data;
  Device device;
  int32_t rank;
  DataType dtype;
  int64_t *shape;
  /// In elements; null if row-major.
  int64_t *strides;
  uint64_t byteOffset;
};

struct Managed {
  Tensor tensor;
  void *context;
  void (*deleter)(Managed *self);
};

struct Version {
  uint32_t major, minor;
};

struct ManagedVersioned {
  Version version;
  void *context;
  void (*deleter)(ManagedVersioned *self);
  uint64_t flags;
  Tensor tensor;
};

constexpr Version kVersion = {1, 0};
constexpr uint64_t kReadOnly = 1;

/// Names of capsules, before and after somebody took what is in them.
constexpr const char *kName = "dltensor", *kUsedName = "used_dltensor";
constexpr const char *kVersionedName = "dltensor_versioned",
                     *kUsedVersionedName = "used_dltensor_versioned";

} // namespace gradopt::native::dlpack

#endif // GRADOPT_NATIVE_DLPACK_H
