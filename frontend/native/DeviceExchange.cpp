//===- DeviceExchange.cpp - Device arrays of other libraries --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DeviceExchange.h"
#include "Dlpack.h"
#include "Gil.h"

#include <nanobind/stl/string.h>

#include <cstring>

namespace nb = nanobind;

namespace gradopt::native {

//===----------------------------------------------------------------------===//
// Data types
//===----------------------------------------------------------------------===//

static nb::object numpyType(dlpack::DataType dtype) {
  const char *kind = nullptr;
  switch (dtype.code) {
  case dlpack::kBool:
    kind = "b";
    break;
  case dlpack::kInt:
    kind = "i";
    break;
  case dlpack::kUInt:
    kind = "u";
    break;
  case dlpack::kFloat:
    kind = "f";
    break;
  case dlpack::kComplex:
    kind = "c";
    break;
  case dlpack::kBfloat:
    if (PyArray_Descr *descr = newDescr(GRADOPT_BF16))
      return nb::steal(reinterpret_cast<PyObject *>(descr));
    throw nb::python_error();
  }
  if (!kind || dtype.lanes != 1 || dtype.bits % 8)
    throw nb::type_error("NumPy has no dtype for its elements");
  std::string name = kind + std::to_string(dtype.bits / 8);
  return nb::module_::import_("numpy").attr("dtype")(name);
}

static dlpack::DataType dlpackType(const ArraySpec &spec) {
  auto bits = uint8_t(8 * PyDataType_ELSIZE(spec.getDescr()));
  switch (spec.getDescr()->kind) {
  case 'b':
    return {dlpack::kBool, bits, 1};
  case 'i':
    return {dlpack::kInt, bits, 1};
  case 'u':
    return {dlpack::kUInt, bits, 1};
  case 'f':
    return {dlpack::kFloat, bits, 1};
  case 'c':
    return {dlpack::kComplex, bits, 1};
  }
  if (nb::cast<std::string>(spec.descr.attr("name")) == "bfloat16")
    return {dlpack::kBfloat, bits, 1};
  throw nb::buffer_error("DLPack has no type for this dtype");
}

//===----------------------------------------------------------------------===//
// Import
//===----------------------------------------------------------------------===//

static bool isRowMajor(const dlpack::Tensor &tensor) {
  int64_t size = 1;
  for (int32_t d = 0; d < tensor.rank; ++d)
    if (tensor.shape[d] == 0)
      return true;
  for (int32_t d = tensor.rank - 1; tensor.strides && d >= 0; --d) {
    if (tensor.shape[d] != 1 && tensor.strides[d] != size)
      return false;
    size *= tensor.shape[d];
  }
  return true;
}

/// Calls the deleter in the end, with the GIL.
template <typename Managed>
static std::shared_ptr<void> keep(Managed *managed) {
  return {static_cast<void *>(managed), [](void *kept) {
            auto *managed = static_cast<Managed *>(kept);
            if (!managed->deleter || !Py_IsInitialized())
              return;
            PyGILState_STATE state =
                callPython([] { return PyGILState_Ensure(); });
            managed->deleter(managed);
            PyGILState_Release(state);
          }};
}

template <typename Managed>
static nb::object take(nb::handle capsule, Managed *managed,
                       const char *usedName, uintptr_t stream, bool lingers) {
  const dlpack::Tensor &tensor = managed->tensor;
  if (tensor.device.type != dlpack::kCuda &&
      tensor.device.type != dlpack::kCudaManaged)
    throw nb::value_error("it is not on a CUDA device");
  if (!isRowMajor(tensor))
    throw nb::value_error("it is not row-major");
  nb::list shape;
  for (int32_t d = 0; d < tensor.rank; ++d)
    shape.append(tensor.shape[d]);
  ArraySpec spec =
      ArraySpec::parse(nb::make_tuple(numpyType(tensor.dtype), shape));
  auto *address = static_cast<char *>(tensor.data) + tensor.byteOffset;
  int32_t device = tensor.device.number;
  if (PyCapsule_SetName(capsule.ptr(), usedName) < 0)
    throw nb::python_error();
  auto memory = DeviceMemory::adopt(device, address, streamFromNumber(stream),
                                    keep(managed), lingers);
  return DeviceArray::make(std::move(spec), std::move(memory), address);
}

nb::object fromDlpack(nb::handle capsule, uintptr_t stream, bool lingers) {
  dropUnused();
  PyObject *object = capsule.ptr();
  if (PyCapsule_IsValid(object, dlpack::kVersionedName)) {
    auto *managed = static_cast<dlpack::ManagedVersioned *>(
        PyCapsule_GetPointer(object, dlpack::kVersionedName));
    if (managed->version.major != dlpack::kVersion.major)
      throw nb::buffer_error("it has a version of DLPack that is not known");
    return take(capsule, managed, dlpack::kUsedVersionedName, stream, lingers);
  }
  if (PyCapsule_IsValid(object, dlpack::kName))
    return take(capsule,
                static_cast<dlpack::Managed *>(
                    PyCapsule_GetPointer(object, dlpack::kName)),
                dlpack::kUsedName, stream, lingers);
  throw nb::type_error("__dlpack__ returned no capsule with an array");
}

//===----------------------------------------------------------------------===//
// Export
//===----------------------------------------------------------------------===//

namespace {

/// What a capsule points to, and keeps.
template <typename Managed> struct Exported {
  Managed managed;
  std::shared_ptr<DeviceMemory> memory;
  std::vector<int64_t> shape;

  static void destroy(Managed *managed) {
    delete static_cast<Exported *>(managed->context);
  }
};

} // namespace

static void setVersion(dlpack::Managed &) {}
static void setVersion(dlpack::ManagedVersioned &managed) {
  managed.version = dlpack::kVersion;
}

template <typename Managed>
static nb::object exportAs(const DeviceArray &array, dlpack::DataType dtype,
                           const char *name, PyCapsule_Destructor destroy) {
  const ArraySpec &spec = array.getSpec();
  auto made = std::make_unique<Exported<Managed>>();
  made->memory = array.getMemory();
  made->shape.assign(spec.shape.begin(), spec.shape.end());
  made->managed = Managed();
  setVersion(made->managed);
  made->managed.context = made.get();
  made->managed.deleter = &Exported<Managed>::destroy;
  made->managed.tensor = {spec.bytes ? array.getAddress() : nullptr,
                          {dlpack::kCuda, array.getDevice()},
                          int32_t(spec.shape.size()),
                          dtype,
                          made->shape.data(),
                          nullptr,
                          0};
  nb::object capsule = nb::steal(PyCapsule_New(&made->managed, name, destroy));
  if (!capsule.is_valid())
    throw nb::python_error();
  (void)made.release();
  return capsule;
}

/// What becomes of a capsule whose array nobody took.
template <typename Managed>
static void drop(PyObject *capsule, const char *name) {
  if (!PyCapsule_IsValid(capsule, name))
    return;
  auto *managed = static_cast<Managed *>(PyCapsule_GetPointer(capsule, name));
  managed->deleter(managed);
}

static void dropUnversioned(PyObject *capsule) {
  drop<dlpack::Managed>(capsule, dlpack::kName);
}

static void dropVersioned(PyObject *capsule) {
  drop<dlpack::ManagedVersioned>(capsule, dlpack::kVersionedName);
}

nb::object toDlpack(const DeviceArray &array, nb::handle stream,
                    nb::handle version) {
  dlpack::DataType dtype = dlpackType(array.getSpec());
  long long number = stream.is_none() ? 1 : nb::cast<long long>(stream);
  if (number == 0 || number < -1)
    throw nb::value_error("expected a stream of DLPack's for CUDA: -1, 1, 2 or "
                          "a handle; 0 could be two");
  if (number > 0 &&
      !array.getMemory()->useOn(streamFromNumber(uintptr_t(number)))) {
    setDeviceError("handing an array to another library");
    throw nb::python_error();
  }
  bool isVersioned =
      !version.is_none() &&
      nb::cast<uint32_t>(nb::object(version[0])) >= dlpack::kVersion.major;
  if (isVersioned)
    return exportAs<dlpack::ManagedVersioned>(
        array, dtype, dlpack::kVersionedName, &dropVersioned);
  return exportAs<dlpack::Managed>(array, dtype, dlpack::kName,
                                   &dropUnversioned);
}

//===----------------------------------------------------------------------===//
// Leaves of calls
//===----------------------------------------------------------------------===//

/// Python's part: returns None or `(array, wrap)`.
static PyObject *adopter = nullptr;

/// Whether objects of a type may be arrays on a device.
static bool mayBeOnDevice(PyTypeObject *type) {
  static PyObject *const dlpackName =
      PyUnicode_InternFromString("__dlpack_device__");
  static PyObject *const interfaceName =
      PyUnicode_InternFromString("__cuda_array_interface__");
  auto *object = reinterpret_cast<PyObject *>(type);
  return PyObject_HasAttr(object, dlpackName) ||
         PyObject_HasAttr(object, interfaceName);
}

nb::object adoptLeaf(PyObject *leaf, nb::object &wrap, bool &isFailure) {
  if (!adopter || !mayBeOnDevice(Py_TYPE(leaf)))
    return nb::object();
  nb::object adopted =
      nb::steal(callPython([&] { return PyObject_CallOneArg(adopter, leaf); }));
  if (!adopted.is_valid()) {
    // An interrupt, for example, is nothing that can be explained.
    isFailure = !PyErr_ExceptionMatches(PyExc_Exception);
    if (!isFailure)
      PyErr_Clear();
    return nb::object();
  }
  if (!PyTuple_CheckExact(adopted.ptr()) ||
      PyTuple_GET_SIZE(adopted.ptr()) != 2 ||
      !DeviceArray::get(PyTuple_GET_ITEM(adopted.ptr(), 0)))
    return nb::object();
  PyObject *found = PyTuple_GET_ITEM(adopted.ptr(), 1);
  if (!wrap.is_valid() && found != Py_None)
    wrap = nb::borrow(found);
  return nb::borrow(PyTuple_GET_ITEM(adopted.ptr(), 0));
}

void bindDeviceExchange(nb::module_ &module) {
  module.def(
      "set_adopter",
      [](nb::object callable) { adopter = callable.release().ptr(); },
      nb::arg("callable"),
      "Asks this for the arrays that arguments of other libraries are.");
}

} // namespace gradopt::native
