//===- DeviceExecutable.cpp - Loaded code for a CUDA device ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DeviceExecutable.h"
#include "Gil.h"

#include <nanobind/stl/string.h>

#include <algorithm>
#include <cstring>

namespace nb = nanobind;

namespace gradopt::native {

/// Between arrays in one block of memory.
static constexpr size_t kBlockAlignment = 256;

/// Kernels access so many bytes at a time.
static constexpr uintptr_t kArgumentAlignment = 16;

static size_t aligned(size_t offset) {
  return (offset + kBlockAlignment - 1) / kBlockAlignment * kBlockAlignment;
}

static void *offsetBy(const std::shared_ptr<DeviceMemory> &memory,
                      size_t offset) {
  return static_cast<char *>(memory->getAddress()) + offset;
}

static PyArrayObject *asArray(PyObject *object) {
  return reinterpret_cast<PyArrayObject *>(object);
}

//===----------------------------------------------------------------------===//
// Loading
//===----------------------------------------------------------------------===//

DeviceExecutable::DeviceExecutable(nb::bytes program, int32_t device,
                                   nb::handle argSpecs, nb::handle resultSpecs,
                                   size_t arenaBytes, size_t numChecked,
                                   nb::handle captureArrays, nb::handle donated,
                                   nb::object report, const std::string &name,
                                   nb::handle targetPairs, nb::handle cutTuples)
    : Runnable(argSpecs, resultSpecs, captureArrays, donated,
               std::move(report)),
      device(device), arena(arenaBytes), numChecked(numChecked),
      name(std::make_shared<const std::string>(name)) {
  if (numChecked > results.size())
    throw nb::value_error("there are not so many results to check");
  targets.set(targetPairs);
  for (nb::handle parts : cutTuples) {
    cuts.push_back({nb::cast<size_t>(parts[0]), nb::cast<size_t>(parts[1]),
                    nb::cast<size_t>(parts[2]),
                    nb::cast<Py_ssize_t>(parts[3])});
    const Cut &cut = cuts.back();
    if (cut.result >= results.size() || cut.count >= results.size() ||
        cut.axis >= results[cut.result].shape.size() ||
        !results[cut.count].isScalar() ||
        results[cut.count].bytes != sizeof(int64_t) ||
        cut.argument >= Py_ssize_t(args.size()))
      throw nb::value_error("there is no such size of a result");
  }
  gradopt_cuda_module *loaded = nullptr;
  gradopt_status status;
  {
    GilRelease release;
    status = gradopt_cuda_module_load(program.data(), program.size(), device,
                                      &loaded);
  }
  module.reset(loaded);
  size_t bytes = 0;
  std::vector<size_t> offsets;
  for (const nb::object &capture : captures) {
    offsets.push_back(bytes);
    bytes += aligned(size_t(PyArray_NBYTES(asArray(capture.ptr()))));
  }
  if (status == GRADOPT_OK) {
    captured = DeviceMemory::allocate(device, bytes, /*stream=*/nullptr);
    status = captured ? GRADOPT_OK : GRADOPT_DEVICE_ERROR;
  }
  for (size_t i = 0; i < captures.size() && status == GRADOPT_OK; ++i) {
    PyArrayObject *array = asArray(captures[i].ptr());
    captureAddresses.push_back(offsetBy(captured, offsets[i]));
    if (PyArray_NBYTES(array))
      status = gradopt_cuda_copy(
          device, captureAddresses.back(), PyArray_DATA(array),
          size_t(PyArray_NBYTES(array)), captured->getHome());
  }
  // So that no call has to wait for them.
  if (status == GRADOPT_OK && bytes)
    status = gradopt_cuda_synchronize(device, captured->getHome());
  if (status == GRADOPT_OK)
    return;
  setDeviceError("loading " + name + " on " + deviceName(device));
  throw nb::python_error();
}

DeviceExecutable::DeviceExecutable(gradopt_program *program, int32_t device,
                                   nb::object owner, nb::object report,
                                   const std::string &name, nb::handle known)
    : Runnable(program, std::move(owner), std::move(report)), device(device),
      arena(gradopt_program_arena_bytes(program, /*room=*/0)), numChecked(0),
      name(std::make_shared<const std::string>(name)), program(program),
      isSize(args.size()) {
  for (size_t i = 0; i < args.size(); ++i) {
    const gradopt_array_info &info = *gradopt_program_argument(program, i);
    for (int32_t d = 0; d < info.rank; ++d)
      if (info.sizes[d] >= 0) {
        isSize[size_t(info.sizes[d])] = true;
        hasRoom |= info.extents_of_part[d] != 0;
      }
  }
  for (size_t i = 0; i < results.size(); ++i) {
    const gradopt_array_info &info = *gradopt_program_result(program, i);
    for (int32_t d = 0; d < info.rank; ++d)
      if (info.sizes[d] >= 0)
        cuts.push_back({i, size_t(d), size_t(info.sizes[d]), -1});
  }
  for (nb::handle pair : known) {
    auto count = nb::cast<size_t>(pair[0]),
         argument = nb::cast<size_t>(pair[1]);
    if (argument >= args.size() || !isSize[argument])
      throw nb::value_error("an argument is no size");
    for (Cut &cut : cuts)
      if (cut.count == count)
        cut.argument = Py_ssize_t(argument);
  }
  gradopt_status status;
  {
    GilRelease release;
    status = gradopt_program_load_cuda(program, device);
  }
  if (status == GRADOPT_OK)
    return;
  if (status == GRADOPT_INVALID_BUNDLE || status == GRADOPT_INVALID_OBJECT)
    raiseProgramError(status);
  else
    setDeviceError("loading " + name + " on " + deviceName(device));
  throw nb::python_error();
}

int DeviceExecutable::traverse(visitproc visit, void *arg) const {
  if (int result = targets.traverse(visit, arg))
    return result;
  return Runnable::traverse(visit, arg);
}

/// Whether an array of this shape can be such an argument.
static bool fitsShape(const ArraySpec &spec,
                      const std::vector<npy_intp> &shape) {
  if (!spec.isSized)
    return shape == spec.shape;
  return shape.size() == spec.shape.size() && shape[0] <= spec.shape[0] &&
         std::equal(shape.begin() + 1, shape.end(), spec.shape.begin() + 1);
}

bool DeviceExecutable::accepts(size_t i, PyObject *leaf) const {
  if (const DeviceArray *array = DeviceArray::get(leaf))
    return array->getDevice() == device &&
           array->getSpec().code == args[i].code &&
           fitsShape(args[i], array->getSpec().shape);
  return args[i].accepts(leaf, classifyLeaf(leaf));
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

/// One call.
class DeviceExecutable::Call {
public:
  Call(const DeviceExecutable &code, Span<PyObject *> leaves)
      : code(code), leaves(leaves), addresses(code.args.size(), nullptr),
        sizes(code.isSize.size()),
        resultAddresses(code.results.size(), nullptr),
        resultMemory(code.results.size()) {}

  bool run(Vector<PyObject *> &out);

private:
  /// Memory for an argument that is on the host, or a copy of one.
  struct Staged {
    size_t argument;
    const void *from;
    size_t bytes, offset;
  };

  bool lookAtArguments();
  bool addHostArgument(size_t i);
  bool takeDonated();
  bool findRoom();
  bool prepareResults();
  /// What needs no GIL.
  gradopt_status launch();
  gradopt_status copyArguments();
  gradopt_status copyDonated();
  gradopt_status allocateResults();
  gradopt_status readBack();
  gradopt_status readCounts();
  bool findCounts();
  bool findShape(size_t i, std::vector<npy_intp> &shape) const;
  PyObject *makeOnHost(size_t i) const;
  nb::object makeOnDevice(size_t i);
  bool makeResults(Vector<PyObject *> &out);

  std::shared_ptr<DeviceMemory> allocate(size_t bytes) {
    return DeviceMemory::allocate(code.device, bytes, stream);
  }
  gradopt_status copy(void *to, const void *from, size_t bytes) {
    return bytes ? gradopt_cuda_copy(code.device, to, from, bytes, stream)
                 : GRADOPT_OK;
  }
  /// Bytes of an argument, which may have fewer rows than it can have.
  size_t bytesOf(size_t i) const {
    if (!code.args[i].isSized)
      return code.args[i].bytes;
    const DeviceArray *array = DeviceArray::get(leaves[i]);
    return array ? array->getSpec().bytes
                 : size_t(PyArray_NBYTES(asArray(leaves[i])));
  }
  /// Of a result with as many elements as it can have in this call.
  std::vector<npy_intp> shapeOf(size_t result) const {
    std::vector<npy_intp> shape = code.results[result].shape;
    if (code.hasRoom)
      for (npy_intp &extent : shape)
        extent = extentAt(extent, room);
    return shape;
  }
  size_t resultBytes(size_t i) const {
    return code.hasRoom ? gradopt_array_bytes(
                              gradopt_program_result(code.program, i), room)
                        : code.results[i].bytes;
  }
  /// The results in front of those that are read back in each call.
  size_t numReturned() const { return code.results.size() - code.numChecked; }
  bool fail(const char *what) {
    setDeviceError(what + *code.name + " on " + deviceName(code.device));
    return false;
  }

  const DeviceExecutable &code;
  Span<PyObject *> leaves;
  /// Whether an argument is there already, and results stay there.
  bool onDevice = false;
  Stream stream = nullptr;

  InlineVector<void *, kInlineLeaves> addresses;
  /// Those that the program takes on the host.
  std::vector<int64_t> sizes;
  int64_t room = 0;
  InlineVector<ScalarCell, kInlineLeaves> cells;
  InlineVector<Staged, kInlineLeaves> staged;
  std::shared_ptr<DeviceMemory> stagedMemory;
  OwnedObjects keepAlive;

  InlineVector<void *, kInlineLeaves> resultAddresses;
  /// Of results that stay on the device.
  std::vector<std::shared_ptr<DeviceMemory>> resultMemory;
  /// Of all others.
  std::shared_ptr<DeviceMemory> hostResults;
  /// NumPy arrays for results that do not stay, or null.
  OwnedObjects hostArrays;
  /// How many elements there are, for each cut.
  std::vector<int64_t> counts;
};

bool DeviceExecutable::Call::addHostArgument(size_t i) {
  const ArraySpec &spec = code.args[i];
  ScalarCell cell;
  const void *from = leafAddress(leaves[i], spec, cell, keepAlive);
  if (!from)
    return false;
  if (!code.isSize.empty() && code.isSize[i]) {
    std::memcpy(&sizes[i], from, sizeof(int64_t));
    addresses[i] = &sizes[i];
    return true;
  }
  bool isNumber = from == cell.bytes;
  if (isNumber)
    cells.push_back(cell);
  staged.push_back({i, isNumber ? nullptr : from, bytesOf(i), 0});
  return true;
}

/// Finds the stream and the addresses of arguments that are on the device.
bool DeviceExecutable::Call::lookAtArguments() {
  for (PyObject *leaf : leaves) {
    const DeviceArray *array = DeviceArray::get(leaf);
    if (array && array->getMemory()) {
      onDevice = true;
      stream = array->getMemory()->getHome();
      break;
    }
  }
  for (size_t i = 0; i < code.args.size(); ++i) {
    DeviceArray *array = DeviceArray::get(leaves[i]);
    if (!array) {
      if (!addHostArgument(i))
        return false;
      continue;
    }
    if (array->donatedAs()) {
      code.raiseDonated(i, array->donatedAs());
      return false;
    }
    if (!array->getMemory()->useOn(stream))
      return fail("waiting for an argument of ");
    addresses[i] = array->getAddress();
    if (reinterpret_cast<uintptr_t>(addresses[i]) % kArgumentAlignment)
      staged.push_back({i, addresses[i], bytesOf(i), 0});
  }
  return true;
}

/// Lets results have the memory of arguments that were given up.
bool DeviceExecutable::Call::takeDonated() {
  if (code.donations.empty() || !onDevice)
    return true;
  InlineVector<bool, kInlineLeaves> isTaken(code.args.size(), false);
  for (const Donation &donation : code.donations) {
    const DeviceArray *array = DeviceArray::get(leaves[donation.argument]);
    isTaken[donation.argument] =
        array && array->isSole() && !donation.name.is_none();
  }
  InlineVector<Extent, kInlineLeaves> extents;
  for (size_t i = 0; i < code.args.size(); ++i)
    if (DeviceArray::get(leaves[i]) && code.args[i].bytes) {
      auto *begin = static_cast<const char *>(addresses[i]);
      extents.push_back({begin, begin + bytesOf(i), i, isTaken[i]});
    }
  if (auto shared = findShared(extents)) {
    code.raiseShared(*shared);
    return false;
  }
  for (const Donation &donation : code.donations) {
    if (!isTaken[donation.argument])
      continue;
    auto *array = DeviceArray::get(leaves[donation.argument]);
    if (!array->getMemory()->moveTo(stream))
      return fail("waiting for an argument of ");
    resultAddresses[donation.result] = array->getAddress();
    resultMemory[donation.result] = array->donate(donation.name.ptr());
  }
  return true;
}

/// Finds how much room the call has for rows. False if a Python error was set.
bool DeviceExecutable::Call::findRoom() {
  if (!code.hasRoom)
    return true;
  gradopt_status status =
      gradopt_program_room(code.program, addresses.data(), &room);
  if (status != GRADOPT_OK)
    code.raiseProgramError(status);
  return status == GRADOPT_OK;
}

/// Makes the NumPy arrays of results that do not stay on the device.
bool DeviceExecutable::Call::prepareResults() {
  for (size_t i = 0; i < code.results.size(); ++i) {
    if (onDevice && i < numReturned())
      continue;
    PyObject *array = code.hasRoom ? makeArray(code.results[i], room)
                                   : makeArray(code.results[i]);
    if (!array)
      return false;
    hostArrays.push_back(array);
  }
  return true;
}

/// Brings what is not there, or not aligned, into one block on the device.
gradopt_status DeviceExecutable::Call::copyArguments() {
  if (staged.empty())
    return GRADOPT_OK;
  size_t bytes = aligned(cells.size() * sizeof(ScalarCell));
  size_t number = 0;
  for (Staged &item : staged) {
    if (!item.from) {
      item.offset = number++ * sizeof(ScalarCell);
      continue;
    }
    item.offset = bytes;
    bytes += aligned(item.bytes);
  }
  stagedMemory = allocate(bytes);
  if (!stagedMemory)
    return GRADOPT_DEVICE_ERROR;
  gradopt_status status = copy(stagedMemory->getAddress(), cells.data(),
                               cells.size() * sizeof(ScalarCell));
  for (const Staged &item : staged) {
    void *to = offsetBy(stagedMemory, item.offset);
    addresses[item.argument] = to;
    if (item.from && status == GRADOPT_OK)
      status = copy(to, item.from, item.bytes);
  }
  return status;
}

/// Copies donated arguments whose memory cannot be taken over.
gradopt_status DeviceExecutable::Call::copyDonated() {
  for (const Donation &donation : code.donations) {
    void *&argument = addresses[donation.argument];
    void *&result = resultAddresses[donation.result];
    if (onDevice && !result) {
      size_t bytes = resultBytes(donation.result);
      std::shared_ptr<DeviceMemory> memory = allocate(bytes);
      if (!memory || copy(memory->getAddress(), argument, bytes) != GRADOPT_OK)
        return GRADOPT_DEVICE_ERROR;
      result = memory->getAddress();
      resultMemory[donation.result] = std::move(memory);
    }
    // On their way from the host, they are copies in any case.
    if (!onDevice)
      result = argument;
    argument = result;
  }
  return GRADOPT_OK;
}

gradopt_status DeviceExecutable::Call::allocateResults() {
  size_t bytes = 0;
  std::vector<std::pair<size_t, size_t>> offsets;
  for (size_t i = 0; i < code.results.size(); ++i) {
    if (code.donationOf[i] >= 0)
      continue;
    if (!onDevice || i >= numReturned()) {
      offsets.push_back({i, bytes});
      bytes += aligned(resultBytes(i));
      continue;
    }
    resultMemory[i] = allocate(resultBytes(i));
    if (!resultMemory[i])
      return GRADOPT_DEVICE_ERROR;
    resultAddresses[i] = resultMemory[i]->getAddress();
  }
  hostResults = allocate(bytes);
  if (!hostResults)
    return GRADOPT_DEVICE_ERROR;
  for (auto [i, offset] : offsets)
    resultAddresses[i] = offsetBy(hostResults, offset);
  return GRADOPT_OK;
}

/// Copies the results that do not stay, and waits for them.
gradopt_status DeviceExecutable::Call::readBack() {
  if (hostArrays.empty())
    return readCounts();
  size_t first = code.results.size() - hostArrays.size();
  for (size_t i = 0; i < hostArrays.size(); ++i) {
    gradopt_status status =
        copy(PyArray_DATA(asArray(hostArrays[i])), resultAddresses[first + i],
             resultBytes(first + i));
    if (status != GRADOPT_OK)
      return status;
  }
  gradopt_status status = gradopt_cuda_synchronize(code.device, stream);
  return status == GRADOPT_OK ? readCounts() : status;
}

/// Reads how many elements results have that stay, where no argument tells.
gradopt_status DeviceExecutable::Call::readCounts() {
  bool isRead = false;
  for (size_t i = 0; i < code.cuts.size(); ++i) {
    const Cut &cut = code.cuts[i];
    if (!onDevice || cut.argument >= 0)
      continue;
    gradopt_status status =
        copy(&counts[i], resultAddresses[cut.count], sizeof(int64_t));
    if (status != GRADOPT_OK)
      return status;
    isRead = true;
  }
  return isRead ? gradopt_cuda_synchronize(code.device, stream) : GRADOPT_OK;
}

/// Finds how many elements there are along dimensions of results, but for what
/// only the run tells of those that stay.
bool DeviceExecutable::Call::findCounts() {
  for (const Cut &cut : code.cuts) {
    counts.push_back(0);
    if (cut.argument < 0)
      continue;
    counts.back() =
        PyNumber_AsSsize_t(leaves[size_t(cut.argument)], PyExc_OverflowError);
    if (counts.back() == -1 && PyErr_Occurred())
      return false;
  }
  return true;
}

gradopt_status DeviceExecutable::Call::launch() {
  gradopt_status status = copyArguments();
  if (status == GRADOPT_OK)
    status = copyDonated();
  if (status == GRADOPT_OK)
    status = allocateResults();
  if (status != GRADOPT_OK)
    return status;
  if (code.program) {
    status =
        gradopt_program_call_cuda(code.program, code.device, addresses.data(),
                                  resultAddresses.data(), stream);
    return status == GRADOPT_OK ? readBack() : status;
  }
  InlineVector<void *, 2 * kInlineLeaves> buffers;
  buffers.append(addresses.begin(), addresses.end());
  buffers.append(code.captureAddresses.begin(), code.captureAddresses.end());
  for (size_t i = 0; i < code.results.size(); ++i)
    if (code.donationOf[i] < 0)
      buffers.push_back(resultAddresses[i]);
  const std::vector<gradopt_target> &targets = code.targets.getTable();
  if (CommandTimes *times = code.times) {
    times->places.resize(gradopt_cuda_module_num_places(code.module.get()));
    uint64_t nanoseconds = 0;
    status = gradopt_cuda_call_timed(
        code.module.get(), buffers.data(), buffers.size(), targets.data(),
        targets.size(), stream, times->places.data(), &nanoseconds);
    times->ticks += nanoseconds;
    ++times->calls;
  } else {
    status = gradopt_cuda_call_with_targets(code.module.get(), buffers.data(),
                                            buffers.size(), targets.data(),
                                            targets.size(), stream);
  }
  return status == GRADOPT_OK ? readBack() : status;
}

/// The shape that a result has in this call. False if a Python error was set.
bool DeviceExecutable::Call::findShape(size_t i,
                                       std::vector<npy_intp> &shape) const {
  shape = shapeOf(i);
  for (size_t number = 0; number < code.cuts.size(); ++number) {
    const Cut &cut = code.cuts[number];
    if (cut.result != i)
      continue;
    int64_t count = counts[number];
    if (!onDevice)
      std::memcpy(&count, PyArray_DATA(asArray(hostArrays[cut.count])),
                  sizeof(count));
    if (count < 0 || count > shape[cut.axis]) {
      PyErr_Format(PyExc_RuntimeError,
                   "result %zu of %s has %lld elements along dimension %zu, "
                   "but memory for %zd: a fault of the compiler",
                   i, code.name->c_str(), static_cast<long long>(count),
                   cut.axis, shape[cut.axis]);
      return false;
    }
    shape[cut.axis] = npy_intp(count);
  }
  return true;
}

/// A result that was brought to the host; a NumPy scalar if it has no
/// dimensions.
PyObject *DeviceExecutable::Call::makeOnHost(size_t i) const {
  size_t first = code.results.size() - hostArrays.size();
  PyObject *whole = hostArrays[i - first];
  std::vector<npy_intp> shape;
  if (!findShape(i, shape))
    return nullptr;
  if (shape == shapeOf(i))
    return PyArray_Return(asArray(Py_NewRef(whole)));
  nb::list slices;
  for (npy_intp extent : shape)
    slices.append(nb::slice(nb::none(), nb::int_(extent), nb::none()));
  return PyObject_GetItem(whole, nb::tuple(slices).ptr());
}

/// A result that stays on the device: the same memory where the elements that
/// there are lie one after the other, else a copy of them. Null if a Python
/// error was set.
nb::object DeviceExecutable::Call::makeOnDevice(size_t i) {
  std::shared_ptr<DeviceMemory> memory = std::move(resultMemory[i]);
  void *address = resultAddresses[i];
  ArraySpec spec = code.results[i];
  const std::vector<npy_intp> largest = shapeOf(i);
  if (!findShape(i, spec.shape))
    return nb::object();
  size_t bytesOfElement = size_t(PyDataType_ELSIZE(spec.getDescr()));
  spec.bytes = bytesOfElement;
  bool isTogether = true;
  for (size_t d = 0; d < largest.size(); ++d) {
    spec.bytes *= size_t(spec.shape[d]);
    isTogether &= d == 0 || spec.shape[d] == largest[d];
  }
  if (!isTogether && spec.bytes) {
    std::shared_ptr<DeviceMemory> copied = allocate(spec.bytes);
    std::vector<int64_t> extents(largest.begin(), largest.end()),
        counts(spec.shape.begin(), spec.shape.end());
    if (!copied || gradopt_cuda_copy_first(
                       code.device, copied->getAddress(), address,
                       bytesOfElement, int32_t(counts.size()), extents.data(),
                       counts.data(), stream) != GRADOPT_OK) {
      fail("copying a result of ");
      return nb::object();
    }
    memory = std::move(copied);
    address = memory->getAddress();
  }
  memory->setMaker(code.name);
  return DeviceArray::make(std::move(spec), std::move(memory), address);
}

bool DeviceExecutable::Call::makeResults(Vector<PyObject *> &out) {
  size_t begin = out.size();
  size_t first = code.results.size() - hostArrays.size();
  for (size_t i = 0; i < code.results.size(); ++i) {
    PyObject *result =
        i >= first ? makeOnHost(i) : makeOnDevice(i).release().ptr();
    if (!result) {
      while (out.size() > begin)
        Py_DECREF(out.takeBack());
      return false;
    }
    out.push_back(result);
  }
  return true;
}

bool DeviceExecutable::Call::run(Vector<PyObject *> &out) {
  for (size_t i = 0; i < leaves.size(); ++i)
    if (!code.checkLive(i, leaves[i]))
      return false;
  if (!lookAtArguments() || !findRoom() || !takeDonated() ||
      !prepareResults() || !findCounts())
    return false;
  if (code.captured)
    code.captured->addUser(stream);
  gradopt_status status;
  {
    GilRelease release;
    status = launch();
  }
  bool isDone = true;
  for (PyObject *leaf : leaves)
    if (const DeviceArray *array = DeviceArray::get(leaf))
      if (array->getMemory())
        isDone &= array->getMemory()->finishUseOn(stream);
  if (status == GRADOPT_CHECK_FAILED) {
    code.raiseProgramError(status);
    return false;
  }
  if (status == GRADOPT_TARGET_ERROR) {
    code.targets.raise();
    return false;
  }
  if (status != GRADOPT_OK || !isDone)
    return fail("running ");
  return makeResults(out);
}

bool DeviceExecutable::run(Span<PyObject *> leaves,
                           Vector<PyObject *> &out) const {
  return Call(*this, leaves).run(out);
}

//===----------------------------------------------------------------------===//
// The Python class
//===----------------------------------------------------------------------===//

void bindDeviceExecutable(nb::module_ &module) {
  nb::class_<DeviceExecutable, Runnable>(module, "DeviceExecutable",
                                         nb::type_slots(runnableSlots),
                                         "A loaded program for a device.")
      .def(nb::init<nb::bytes, int32_t, nb::handle, nb::handle, size_t, size_t,
                    nb::handle, nb::handle, nb::object, const std::string &,
                    nb::handle, nb::handle>(),
           nb::arg("program"), nb::arg("device"), nb::arg("args"),
           nb::arg("results"), nb::arg("arena_bytes") = 0,
           nb::arg("num_checked") = 0, nb::arg("captures") = nb::tuple(),
           nb::arg("donated") = nb::tuple(), nb::arg("report") = nb::none(),
           nb::arg("name") = "a program", nb::arg("targets") = nb::tuple(),
           nb::arg("cuts") = nb::tuple())
      .def_prop_ro("device", &DeviceExecutable::getDevice)
      .def("time_calls", &DeviceExecutable::timeCalls, nb::arg("times"),
           nb::keep_alive<1, 2>());
}

} // namespace gradopt::native
