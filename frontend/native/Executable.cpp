//===- Executable.cpp - Loaded code for the CPU ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Executable.h"
#include "Donation.h"
#include "Gil.h"
#include "runtime/Interface.h"
#include "runtime/OpenSizes.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstring>
#include <utility>

namespace nb = nanobind;

namespace gradopt::native {

/// A call that touches less memory than this keeps the GIL: giving it up and
/// getting it back would take as long as the work.
static constexpr size_t kGilThreshold = 64 << 10;

static PyObject *executionError = nullptr;

void setExecutionError() {
  // Names from files may be anything.
  const char *text = gradopt_last_error();
  nb::object message = nb::steal(
      PyUnicode_DecodeUTF8(text, Py_ssize_t(std::strlen(text)), "replace"));
  if (message.is_valid())
    PyErr_SetObject(executionError, message.ptr());
}

OpenSizes OpenSizes::parse(nb::handle parts, size_t numArguments) {
  OpenSizes made;
  made.arena = OpenArena(nb::cast<int64_t>(parts[0]));
  made.least = nb::cast<int64_t>(parts[1]);
  made.arguments = nb::cast<std::vector<size_t>>(parts[2]);
  for (size_t number : made.arguments)
    if (number >= numArguments)
      throw nb::value_error("no argument has the number of a size");
  return made;
}

int64_t OpenSizes::room(void *const *buffers) const {
  int64_t rows = 0;
  for (size_t number : arguments) {
    int64_t size;
    std::memcpy(&size, buffers[number], sizeof(size));
    rows = std::max(rows, size);
  }
  return findRoom(rows, least);
}

Executable::Executable(nb::bytes code, nb::handle argSpecs,
                       nb::handle resultSpecs, size_t arenaBytes,
                       nb::handle captured, nb::handle targetPairs,
                       nb::handle donated, nb::object report,
                       const std::string &entry, nb::handle openSizes)
    : Runnable(argSpecs, resultSpecs, captured, donated, std::move(report)) {
  gradopt_module *loaded = nullptr;
  gradopt_status status = gradopt_module_load(
      code.data(), code.size(), entry.c_str(), arenaBytes, &loaded);
  if (status != GRADOPT_OK) {
    setExecutionError();
    throw nb::python_error();
  }
  module.reset(loaded);
  setTargets(targetPairs);
  if (!openSizes.is_none())
    open = OpenSizes::parse(openSizes, args.size());
  hasRoom = bool(open);
  chooseGil();
}

Executable::Executable(gradopt_program *program, nb::object owner,
                       nb::object report)
    : Runnable(program, std::move(owner), std::move(report)), program(program) {
  for (const ArraySpec &spec : args)
    hasRoom |= spec.isSized && isOpen(spec.shape[0]);
  chooseGil();
}

void Executable::chooseGil() {
  releasesGil =
      argumentBytes() + resultBytes() + captureBytes() + arenaBytes() >
      kGilThreshold;
}

/// Whether a call of such a room touches little memory.
bool Executable::needsGil(int64_t room) const {
  auto rows = int64_t((argumentBytes() + resultBytes()) / kOpenSize);
  return size_t(rows * room) + arenaBytesAt(room) + captureBytes() <=
         kGilThreshold;
}

/// Bytes of temporaries of a call of such a room.
size_t Executable::arenaBytesAt(int64_t room) const {
  return program ? gradopt_program_arena_bytes(program, room)
                 : size_t(open.arena.at(room));
}

/// Finds the room of a call, and makes the arena large enough. False if a
/// Python error was set.
bool Executable::makeRoom(void *const *buffers, int64_t &room) const {
  if (program) {
    gradopt_status status = gradopt_program_room(program, buffers, &room);
    if (status != GRADOPT_OK)
      raise(status);
    return status == GRADOPT_OK;
  }
  room = open.room(buffers);
  gradopt_module_enlarge_arena(module.get(), arenaBytesAt(room));
  return true;
}

void Executable::setTargets(nb::handle pairs) {
  targets.set(pairs);
  const std::vector<gradopt_target> &table = targets.getTable();
  if (gradopt_module_set_targets(module.get(), table.data(), table.size()) !=
      GRADOPT_OK) {
    setExecutionError();
    throw nb::python_error();
  }
}

int Executable::traverse(visitproc visit, void *arg) const {
  if (int result = targets.traverse(visit, arg))
    return result;
  return Runnable::traverse(visit, arg);
}

/// Makes the arrays of the results that are in the memory of arguments, in the
/// order of `donations`, and puts this memory into `buffers`, which have the
/// addresses of the arguments. Where memory cannot be used, it is copied. That
/// arrays that are written to share no memory is the caller's to see to.
bool Executable::makeDonated(Span<PyObject *> leaves, void **buffers,
                             Vector<PyObject *> &made) const {
  InlineVector<PyArrayObject *, kInlineLeaves> owners;
  InlineVector<Extent, kInlineLeaves> extents;
  InlineVector<bool, kInlineLeaves> isDonated(args.size(), false);
  bool anyTaken = false;
  for (const Donation &donation : donations) {
    auto *array = reinterpret_cast<PyArrayObject *>(leaves[donation.argument]);
    bool isInPlace = PyArray_CheckExact(leaves[donation.argument]) &&
                     buffers[donation.argument] == PyArray_DATA(array);
    PyArrayObject *owner = nullptr;
    if (isInPlace && donation.isTaken())
      owner = findOwner(array);
    else if (isInPlace && donation.isWrite() && PyArray_ISCARRAY(array))
      owner = array;
    owners.push_back(owner);
    isDonated[donation.argument] = owner && donation.isTaken();
    anyTaken |= isDonated[donation.argument];
  }
  for (size_t i = 0; anyTaken && i < args.size(); ++i) {
    if (!PyArray_CheckExact(leaves[i]) || !args[i].bytes)
      continue;
    auto [begin, end] = extentOf(reinterpret_cast<PyArrayObject *>(leaves[i]));
    extents.push_back({begin, end, i, isDonated[i]});
  }
  if (auto shared = findShared(extents)) {
    raiseShared(*shared);
    return false;
  }
  for (size_t i = 0; i < donations.size(); ++i) {
    const Donation &donation = donations[i];
    PyArrayObject *owner = owners[i];
    const ArraySpec &spec = results[donation.result];
    PyObject *result;
    if (owner && donation.isWrite()) {
      result = Py_NewRef(leaves[donation.argument]);
    } else if (owner) {
      result =
          takeOver(reinterpret_cast<PyArrayObject *>(leaves[donation.argument]),
                   owner, spec, donation.name.ptr());
    } else {
      result = makeArray(spec);
      if (result)
        std::memcpy(PyArray_DATA(reinterpret_cast<PyArrayObject *>(result)),
                    buffers[donation.argument], spec.bytes);
    }
    if (!result)
      return false;
    made.push_back(result);
    buffers[donation.argument] =
        PyArray_DATA(reinterpret_cast<PyArrayObject *>(result));
  }
  return true;
}

/// Calls the code with the addresses of arguments, captures and results that
/// have memory of their own, behind which `end` is for the arena's.
gradopt_status Executable::callCode(void **buffers, void **end) const {
  if (program)
    return callProgram(buffers);
  if (times)
    return callTimed(buffers, end);
  return gradopt_call(module.get(), buffers, size_t(end - buffers));
}

gradopt_status Executable::callTimed(void **buffers, void **end) const {
  auto arena = size_t(end - buffers);
  times->places.resize(gradopt_module_num_places(module.get()));
  uint64_t begin = gradopt_ticks();
  gradopt_status status = times->places.empty()
                              ? gradopt_call(module.get(), buffers, arena)
                              : gradopt_call_timed(module.get(), buffers, arena,
                                                   times->places.data());
  times->ticks += std::max(gradopt_ticks(), begin) - begin;
  ++times->calls;
  return status;
}

gradopt_status Executable::callProgram(void **buffers) const {
  InlineVector<void *, kInlineLeaves> places;
  void **next = buffers + args.size();
  for (size_t i = 0; i < results.size(); ++i)
    places.push_back(donationOf[i] >= 0 ? nullptr : *next++);
  return gradopt_program_call(program, buffers, places.data());
}

namespace {

/// The results that a call appends: they are taken back unless it keeps them.
class NewResults {
public:
  explicit NewResults(Vector<PyObject *> &out) : out(out), begin(out.size()) {}
  ~NewResults() {
    while (!isKept && out.size() > begin)
      Py_XDECREF(out.takeBack());
  }

  PyObject *&operator[](size_t i) { return out[begin + i]; }
  void keep() { isKept = true; }

private:
  Vector<PyObject *> &out;
  size_t begin;
  bool isKept = false;
};

} // namespace

/// Sets the Python error for a call that failed.
void Executable::raise(gradopt_status status) const {
  if (program)
    raiseProgramError(status);
  else if (status == GRADOPT_TARGET_ERROR)
    targets.raise();
  else
    setExecutionError();
}

bool Executable::run(Span<PyObject *> leaves, Vector<PyObject *> &out) const {
  Span<ArraySpec> argSpecs = args, resultSpecs = results;
  size_t numCells = argSpecs.size() + resultSpecs.size();
  Scratch<void *, 2 * kInlineLeaves> buffers(numCells + captures.size() + 1);
  Scratch<ScalarCell, 2 * kInlineLeaves> cells(numCells);
  void **buffer = buffers.data();
  ScalarCell *cell = cells.data();
  OwnedObjects keepAlive, donated;

  for (size_t i = 0; i < argSpecs.size(); ++i) {
    if (!checkLive(i, leaves[i]))
      return false;
    const void *address =
        leafAddress(leaves[i], argSpecs[i], *cell++, keepAlive);
    if (!address)
      return false;
    // The code stores to no arguments but those that are donated.
    *buffer++ = const_cast<void *>(address);
  }
  if (!donations.empty() && !makeDonated(leaves, buffers.data(), donated))
    return false;
  int64_t room = 0;
  if (hasRoom && !makeRoom(buffers.data(), room))
    return false;
  for (const nb::object &capture : captures)
    *buffer++ = PyArray_DATA(reinterpret_cast<PyArrayObject *>(capture.ptr()));
  NewResults made(out);
  ScalarCell *scalar = cell;
  for (size_t i = 0; i < resultSpecs.size(); ++i) {
    if (donationOf[i] >= 0) {
      out.push_back(Py_NewRef(donated[size_t(donationOf[i])]));
    } else if (resultSpecs[i].isScalar()) {
      out.push_back(nullptr);
      *buffer++ = cell++->bytes;
    } else {
      PyObject *array =
          hasRoom ? makeArray(resultSpecs[i], room) : makeArray(resultSpecs[i]);
      if (!array)
        return false;
      out.push_back(array);
      *buffer++ = PyArray_DATA(reinterpret_cast<PyArrayObject *>(array));
    }
  }

  std::optional<GilRelease> release;
  if (releasesGil && (!hasRoom || !needsGil(room)))
    release.emplace();
  gradopt_status status = callCode(buffers.data(), buffer);
  release.reset();
  if (status != GRADOPT_OK) {
    raise(status);
    return false;
  }
  for (size_t i = 0; i < resultSpecs.size(); ++i) {
    PyObject *&result = made[i];
    if (!resultSpecs[i].isScalar())
      continue;
    result = result ? PyArray_Return(reinterpret_cast<PyArrayObject *>(result))
                    : PyArray_Scalar(scalar++->bytes, resultSpecs[i].getDescr(),
                                     nullptr);
    if (!result)
      return false;
  }
  made.keep();
  return true;
}

/// The places that commands ran at, how often, and what they took.
static nb::list placesToPython(const CommandTimes &self) {
  nb::list found;
  for (size_t i = 0; i < self.places.size(); ++i)
    if (self.places[i].runs)
      found.append(
          nb::make_tuple(i, self.places[i].runs, self.places[i].ticks));
  return found;
}

void bindExecutable(nb::module_ &module) {
  executionError = nb::exception<std::runtime_error>(module, "ExecutionError",
                                                     PyExc_RuntimeError)
                       .ptr();
  nb::class_<CommandTimes>(module, "CommandTimes", "What calls took.")
      .def(nb::init<>())
      .def_ro("calls", &CommandTimes::calls)
      .def_ro("ticks", &CommandTimes::ticks)
      .def_prop_ro("places", &placesToPython);
  module.def("ticks", &gradopt_ticks, "The clock that times are taken from.");
  nb::class_<Executable, Runnable>(module, "Executable",
                                   nb::type_slots(runnableSlots),
                                   "Loaded object code for the CPU.")
      .def(nb::init<nb::bytes, nb::handle, nb::handle, size_t, nb::handle,
                    nb::handle, nb::handle, nb::object, const std::string &,
                    nb::handle>(),
           nb::arg("code"), nb::arg("args"), nb::arg("results"),
           nb::arg("arena_bytes") = 0, nb::arg("captures") = nb::tuple(),
           nb::arg("targets") = nb::tuple(), nb::arg("donated") = nb::tuple(),
           nb::arg("report") = nb::none(),
           nb::arg("entry") = gradopt::kEntryName, nb::arg("open") = nb::none())
      .def("time_calls", &Executable::timeCalls, nb::arg("times"),
           nb::keep_alive<1, 2>());
}

} // namespace gradopt::native
