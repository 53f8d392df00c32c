//===- DeviceArray.cpp - Arrays in the memory of devices ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DeviceArray.h"
#include "DeviceExchange.h"
#include "Dlpack.h"
#include "Gil.h"
#include "Runnable.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <new>

namespace nb = nanobind;

namespace gradopt::native {

static PyTypeObject *deviceArrayType = nullptr;

std::string deviceName(int32_t device) {
  return "cuda:" + std::to_string(device);
}

nb::object DeviceArray::make(ArraySpec spec,
                             std::shared_ptr<DeviceMemory> memory,
                             void *address) {
  nb::object made =
      nb::inst_alloc(reinterpret_cast<PyObject *>(deviceArrayType));
  new (nb::inst_ptr<DeviceArray>(made))
      DeviceArray(std::move(spec), std::move(memory), address);
  nb::inst_mark_ready(made);
  return made;
}

DeviceArray *DeviceArray::get(PyObject *object) {
  return Py_TYPE(object) == deviceArrayType ? nb::inst_ptr<DeviceArray>(object)
                                            : nullptr;
}

std::shared_ptr<DeviceMemory> DeviceArray::donate(PyObject *name) {
  donated = nb::borrow(name);
  return std::move(memory);
}

/// What the array is, for messages.
static std::string describe(const DeviceArray &self) {
  const std::string *maker =
      self.getMemory() ? self.getMemory()->getMaker() : nullptr;
  return maker ? "a result of " + *maker
               : "an array on " + deviceName(self.getDevice());
}

/// Throws the error for an array that was donated.
static void requireLive(const DeviceArray &self) {
  if (!self.donatedAs())
    return;
  nb::object donated = nb::module_::import_("gradopt.base.donated");
  nb::object error = donated.attr("donated_error")(
      "a DeviceArray", nb::borrow(self.donatedAs()));
  PyErr_SetObject(reinterpret_cast<PyObject *>(Py_TYPE(error.ptr())),
                  error.ptr());
  throw nb::python_error();
}

/// Throws a DeviceError if the status is one.
static void check(gradopt_status status, const std::string &what) {
  if (status == GRADOPT_OK)
    return;
  setDeviceError(what);
  throw nb::python_error();
}

//===----------------------------------------------------------------------===//
// To and from the host
//===----------------------------------------------------------------------===//

static nb::object toNumpy(const DeviceArray &self) {
  requireLive(self);
  nb::object array = nb::steal(makeArray(self.getSpec()));
  if (!array.is_valid())
    throw nb::python_error();
  void *to = PyArray_DATA(reinterpret_cast<PyArrayObject *>(array.ptr()));
  // It may be donated by another thread meanwhile.
  std::shared_ptr<DeviceMemory> memory = self.getMemory();
  gradopt_status status = GRADOPT_OK;
  if (self.getSpec().bytes) {
    GilRelease release;
    status = gradopt_cuda_copy(memory->getDevice(), to, self.getAddress(),
                               self.getSpec().bytes, memory->getHome());
    if (status == GRADOPT_OK)
      status = gradopt_cuda_synchronize(memory->getDevice(), memory->getHome());
  }
  check(status, "copying " + describe(self) + " to the host");
  return array;
}

static void wait(const DeviceArray &self) {
  requireLive(self);
  std::shared_ptr<DeviceMemory> memory = self.getMemory();
  gradopt_status status;
  {
    GilRelease release;
    status = gradopt_cuda_synchronize(memory->getDevice(), memory->getHome());
  }
  check(status, "waiting for " + describe(self));
}

/// Copies bytes from the host or any device to new memory of a device, on a
/// stream of that.
static nb::object copyTo(int32_t device, const ArraySpec &spec,
                         const void *from, Stream stream) {
  std::string what = "copying an array to " + deviceName(device);
  std::shared_ptr<DeviceMemory> memory =
      DeviceMemory::allocate(device, spec.bytes, stream);
  if (!memory)
    check(GRADOPT_DEVICE_ERROR, what);
  gradopt_status status = GRADOPT_OK;
  if (spec.bytes) {
    GilRelease release;
    status = gradopt_cuda_copy(device, memory->getAddress(), from, spec.bytes,
                               memory->getHome());
  }
  check(status, what);
  void *address = memory->getAddress();
  return DeviceArray::make(spec, std::move(memory), address);
}

static nb::object fromNumpy(nb::handle value, int32_t device) {
  nb::object array = nb::steal(callPython([&] {
    return PyArray_FromAny(value.ptr(), nullptr, 0, 0,
                           NPY_ARRAY_CARRAY_RO | NPY_ARRAY_NOTSWAPPED, nullptr);
  }));
  if (!array.is_valid())
    throw nb::python_error();
  ArraySpec spec = ArraySpec::parse(
      nb::make_tuple(array.attr("dtype"), array.attr("shape")));
  ScalarCell cell;
  OwnedObjects keepAlive;
  // A bool may have another value than 0 and 1.
  const void *from = leafAddress(array.ptr(), spec, cell, keepAlive);
  if (!from)
    throw nb::python_error();
  return copyTo(device, spec, from, /*stream=*/nullptr);
}

/// A copy, on another device or the same.
static nb::object toDevice(const DeviceArray &self, int32_t device) {
  requireLive(self);
  std::shared_ptr<DeviceMemory> memory = self.getMemory();
  if (device == self.getDevice())
    return copyTo(device, self.getSpec(), self.getAddress(), memory->getHome());
  // The copy is on a stream of the other device, and the memory may be freed
  // on its own.
  wait(self);
  nb::object copied =
      copyTo(device, self.getSpec(), self.getAddress(), /*stream=*/nullptr);
  wait(*DeviceArray::get(copied.ptr()));
  return copied;
}

//===----------------------------------------------------------------------===//
// Arrays of other libraries
//===----------------------------------------------------------------------===//

static nb::object fromAddress(nb::handle owner, uintptr_t address,
                              nb::handle dtype, nb::handle shape,
                              std::optional<uintptr_t> stream) {
  ArraySpec spec = ArraySpec::parse(nb::make_tuple(dtype, shape));
  int32_t device = 0;
  auto *memory = reinterpret_cast<void *>(address);
  if (spec.bytes) {
    check(gradopt_cuda_pointer_device(memory, &device),
          "looking for the device of an array");
    if (device < 0)
      throw nb::value_error("its __cuda_array_interface__ has an address that "
                            "is not on a device");
  }
  // Without a stream the contents are there already.
  auto adopted =
      DeviceMemory::adopt(device, memory, streamFromNumber(stream.value_or(0)),
                          ownerOf(owner.ptr()), /*lingers=*/false);
  return DeviceArray::make(std::move(spec), std::move(adopted), memory);
}

static std::string interfaceType(const DeviceArray &self) {
  PyArray_Descr *descr = self.getSpec().getDescr();
  if (PyDataType_ISUSERDEF(descr))
    throw nb::attribute_error(
        "__cuda_array_interface__ has no name for this dtype");
  return nb::cast<std::string>(self.getSpec().descr.attr("str"));
}

static nb::object shapeOf(const DeviceArray &self) {
  return self.getSpec().toPython()[1];
}

static nb::dict interfaceOf(const DeviceArray &self) {
  requireLive(self);
  nb::dict entries;
  entries["shape"] = shapeOf(self);
  entries["typestr"] = interfaceType(self);
  entries["data"] = nb::make_tuple(
      self.getSpec().bytes ? reinterpret_cast<uintptr_t>(self.getAddress()) : 0,
      false);
  entries["version"] = 3;
  entries["strides"] = nb::none();
  entries["stream"] = streamToNumber(self.getMemory()->getHome());
  self.getMemory()->expose();
  return entries;
}

/// `DeviceArray.__dlpack__`.
static nb::object exportArray(const DeviceArray &self, nb::handle stream,
                              nb::handle version, nb::handle device,
                              nb::handle copy) {
  requireLive(self);
  bool toHost = false;
  if (!device.is_none()) {
    auto type = nb::cast<int32_t>(nb::object(device[0]));
    auto number = nb::cast<int32_t>(nb::object(device[1]));
    toHost = type == dlpack::kCpu;
    if (!toHost && (type != dlpack::kCuda || number != self.getDevice()))
      throw nb::buffer_error("the array is on another device");
  }
  if (toHost) {
    if (copy.ptr() == Py_False)
      throw nb::buffer_error("an array on a device is copied to the host");
    return toNumpy(self).attr("__dlpack__")(nb::arg("max_version") = version);
  }
  if (copy.ptr() != Py_True)
    return toDlpack(self, stream, version);
  nb::object copied = toDevice(self, self.getDevice());
  return toDlpack(*DeviceArray::get(copied.ptr()), stream, version);
}

//===----------------------------------------------------------------------===//
// The Python class
//===----------------------------------------------------------------------===//

static npy_intp sizeOf(const DeviceArray &self) {
  npy_intp size = 1;
  for (npy_intp extent : self.getSpec().shape)
    size *= extent;
  return size;
}

static nb::object asNumpy(const DeviceArray &self, nb::handle dtype,
                          nb::handle copy) {
  if (copy.ptr() == Py_False)
    throw nb::value_error("an array on a device is copied to become a NumPy "
                          "array");
  nb::object array = toNumpy(self);
  return dtype.is_none() ? array : nb::object(array.attr("astype")(dtype));
}

static size_t length(const DeviceArray &self) {
  if (self.getSpec().isScalar())
    throw nb::type_error("len() of an array without dimensions");
  return size_t(self.getSpec().shape.front());
}

static nb::object number(const DeviceArray &self,
                         PyObject *(*convert)(PyObject *)) {
  nb::object made = nb::steal(convert(toNumpy(self).ptr()));
  if (!made.is_valid())
    throw nb::python_error();
  return made;
}

static nb::object reduce(nb::handle self) {
  const auto &array = *nb::inst_ptr<DeviceArray>(self);
  return nb::make_tuple(
      nb::module_::import_("gradopt").attr("asarray"),
      nb::make_tuple(toNumpy(array), deviceName(array.getDevice())));
}

static const char *const kDescription =
    "A row-major array in the memory of a CUDA device.\n\n"
    "Other libraries take it, without a copy, through `__dlpack__` or "
    "`__cuda_array_interface__`,\nand `numpy()` brings it to the host. Its "
    "elements may still be computed: whoever asks for them\nwaits, on the host "
    "or on a stream. It is not changed by compiled code, unless it is donated.";

void bindDeviceArray(nb::module_ &module) {
  using nb::arg;
  auto made =
      nb::class_<DeviceArray>(module, "DeviceArray", nb::is_final(),
                              kDescription)
          .def_static("from_numpy", &fromNumpy, arg("array"), arg("device"))
          .def_static("from_address", &fromAddress, arg("owner"),
                      arg("address"), arg("dtype"), arg("shape"),
                      arg("stream").none())
          .def_static("from_dlpack", &fromDlpack, arg("capsule"), arg("stream"),
                      arg("lingers"))
          .def("to_device", &toDevice, arg("device"))
          .def_prop_ro("shape", &shapeOf)
          .def_prop_ro(
              "dtype",
              [](const DeviceArray &self) { return self.getSpec().descr; })
          .def_prop_ro("ndim",
                       [](const DeviceArray &self) {
                         return self.getSpec().shape.size();
                       })
          .def_prop_ro("size", &sizeOf)
          .def_prop_ro(
              "nbytes",
              [](const DeviceArray &self) { return self.getSpec().bytes; })
          .def_prop_ro("strides",
                       [](const DeviceArray &) { return nb::none(); })
          .def_prop_ro("device",
                       [](const DeviceArray &self) {
                         return deviceName(self.getDevice());
                       })
          .def_prop_ro("device_number", &DeviceArray::getDevice)
          .def_prop_ro("donated_as",
                       [](const DeviceArray &self) {
                         return self.donatedAs() ? nb::borrow(self.donatedAs())
                                                 : nb::none();
                       })
          .def("numpy", &toNumpy, "A copy on the host; waits for the elements.")
          .def("wait", &wait, "Waits for the elements.")
          .def("item",
               [](const DeviceArray &self) {
                 return toNumpy(self).attr("item")();
               })
          .def("__array__", &asNumpy, arg("dtype") = nb::none(),
               arg("copy") = nb::none())
          .def_prop_ro("__cuda_array_interface__", &interfaceOf)
          .def("__dlpack__", &exportArray, nb::kw_only(),
               arg("stream") = nb::none(), arg("max_version") = nb::none(),
               arg("dl_device") = nb::none(), arg("copy") = nb::none())
          .def("__dlpack_device__",
               [](const DeviceArray &self) {
                 return nb::make_tuple(int(dlpack::kCuda), self.getDevice());
               })
          .def("__len__", &length)
          .def("__float__",
               [](const DeviceArray &self) {
                 return number(self, PyNumber_Float);
               })
          .def("__int__",
               [](const DeviceArray &self) {
                 return number(self, PyNumber_Long);
               })
          .def("__index__",
               [](const DeviceArray &self) {
                 return number(self, PyNumber_Index);
               })
          .def("__bool__",
               [](const DeviceArray &self) {
                 int truth = PyObject_IsTrue(toNumpy(self).ptr());
                 if (truth < 0)
                   throw nb::python_error();
                 return truth != 0;
               })
          .def("__repr__",
               [](const DeviceArray &self) {
                 return "DeviceArray(" + self.getSpec().describe() + " on " +
                        deviceName(self.getDevice()) + ")";
               })
          .def("__reduce__", &reduce);
  deviceArrayType = reinterpret_cast<PyTypeObject *>(made.ptr());
}

} // namespace gradopt::native
