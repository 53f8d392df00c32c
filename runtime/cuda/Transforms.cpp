//===- Transforms.cpp - Fourier transforms by cuFFT -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// cuFFT transforms up to three dimensions that follow each other, of arrays
// whose elements are a fixed number of elements apart. What is more takes
// several steps: a transform of real numbers begins with its last dimension,
// one to real numbers ends with it, and the dimensions that are left are
// transformed in place. cuFFT overwrites the spectrum that it makes real
// numbers of, which is a copy therefore.
//
// It calculates no factors, and has one direction for real numbers; with
// others, transforms are the host's. Programs have no others
// (passes/ConvertGradToLinalgFourier.cpp).
//
//===----------------------------------------------------------------------===//

#include "runtime/cuda/Transforms.h"
#include "runtime/Fourier.h"
#include "runtime/HostBuffers.h"
#include "runtime/Lock.h"
#include "runtime/OldLibrary.h"
#include "runtime/RuntimeError.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

using gradopt::runtime::fail;
using gradopt::runtime::HostBufferType;
using gradopt::runtime::Lock;
namespace fourier = gradopt::runtime::fourier;

namespace gradopt::cuda {
namespace {

struct Functions {
#define GRADOPT_POINTER(name, parameters)                                      \
  cufftResult(*name) parameters = nullptr;
  GRADOPT_FOURIER_FUNCTIONS(GRADOPT_POINTER)
#undef GRADOPT_POINTER
} functions;

bool open(void *handle) {
  bool complete = true;
#define GRADOPT_FIND(name, parameters)                                         \
  complete &= findFunction(handle, #name, functions.name);
  GRADOPT_FOURIER_FUNCTIONS(GRADOPT_FIND)
#undef GRADOPT_FIND
  return complete;
}

const char *nameOf(cufftResult result) {
  switch (result) {
#define GRADOPT_NAME(name)                                                     \
  case name:                                                                   \
    return #name
    GRADOPT_NAME(CUFFT_INVALID_PLAN);
    GRADOPT_NAME(CUFFT_ALLOC_FAILED);
    GRADOPT_NAME(CUFFT_INVALID_TYPE);
    GRADOPT_NAME(CUFFT_INVALID_VALUE);
    GRADOPT_NAME(CUFFT_INTERNAL_ERROR);
    GRADOPT_NAME(CUFFT_EXEC_FAILED);
    GRADOPT_NAME(CUFFT_SETUP_FAILED);
    GRADOPT_NAME(CUFFT_INVALID_SIZE);
    GRADOPT_NAME(CUFFT_INVALID_DEVICE);
    GRADOPT_NAME(CUFFT_NO_WORKSPACE);
    GRADOPT_NAME(CUFFT_NOT_IMPLEMENTED);
    GRADOPT_NAME(CUFFT_NOT_SUPPORTED);
#undef GRADOPT_NAME
  default:
    return "an unknown status";
  }
}

LibraryResult create(void *made) {
  cufftResult result = functions.cufftCreate(static_cast<cufftHandle *>(made));
  return LibraryResult::of(result, nameOf(result), CUFFT_ALLOC_FAILED,
                           {CUFFT_SETUP_FAILED, CUFFT_INTERNAL_ERROR});
}

/// Whether a plan was refused that another library can make.
bool isRefusal(cufftResult result) {
  return result == CUFFT_INVALID_SIZE || result == CUFFT_NOT_IMPLEMENTED ||
         result == CUFFT_NOT_SUPPORTED;
}

constexpr int kMostDimensions = 3;
/// A transform of more is the host's.
constexpr int kMostSteps = 8;
constexpr size_t kAlignment = 256;

size_t aligned(size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// The memory of a transform.
enum class Place { Input, Output, Copy };

} // namespace

/// What a plan is for: each number has one value only.
struct Transforms::Layout {
  long long rank = 0, type = 0, batch = 0, stride = 0, fromDistance = 0,
            toDistance = 0;
  long long sizes[kMostDimensions] = {}, from[kMostDimensions] = {},
            to[kMostDimensions] = {};
};

struct Transforms::Plan {
  Plan *next = nullptr;
  Layout layout;
  cufftHandle handle = 0;
  size_t workBytes = 0;
};

struct Transforms::Transform {
  struct Step {
    const Plan *plan;
    Place from, to;
    int direction;
    /// How often, with so many bytes from each time to the next one.
    int64_t count, fromBytes, toBytes;
  };

  /// The operands that are addresses.
  size_t input = 0, output = 0;
  /// What is copied before the first step; 0 if nothing is.
  size_t copiedBytes = 0;
  int numSteps = 0;
  Step steps[kMostSteps] = {};
};

/// Divides one transform into steps.
struct Transforms::Planner {
  /// An array, on the side of real numbers or of complex ones.
  struct Side {
    int64_t sizes[fourier::kMaxRank] = {}, itemBytes = 0;
  };

  /// The dimensions from `first` to `last` of an array.
  gradopt_status addStep(int first, int last, cufftType type, const Side &one,
                         Place from, const Side &other, Place to,
                         int direction = 0);
  /// Those of a set that are not done yet, of complex numbers.
  gradopt_status addComplex(int64_t dimensions, Place from, Place to,
                            int direction);
  gradopt_status plan(int64_t number);

  Planner(Transforms &transforms, Transform &result)
      : transforms(transforms), result(result) {}

  Transforms &transforms;
  Transform &result;
  int rank = 0;
  bool isDouble = false;
  Side real, spectrum; ///< Equal if there are no real numbers.
  bool isPossible = true;
};

gradopt_status Transforms::Planner::addStep(int first, int last, cufftType type,
                                            const Side &one, Place from,
                                            const Side &other, Place to,
                                            int direction) {
  Layout layout;
  layout.type = type;
  layout.rank = last - first + 1;
  long long before = 1, behind = 1, fromSize = 1, toSize = 1;
  for (int d = 0; d < first; ++d)
    before *= one.sizes[d];
  for (int d = last + 1; d < rank; ++d)
    behind *= one.sizes[d];
  for (int d = first; d <= last; ++d) {
    layout.from[d - first] = one.sizes[d];
    layout.to[d - first] = other.sizes[d];
    layout.sizes[d - first] = real.sizes[d];
    fromSize *= one.sizes[d];
    toSize *= other.sizes[d];
  }
  // With elements in a row, arrays are; else neighbours belong to others.
  bool isInner = behind == 1;
  layout.stride = behind;
  layout.batch = isInner ? before : behind;
  layout.fromDistance = isInner ? fromSize : 1;
  layout.toDistance = isInner ? toSize : 1;
  int64_t count = isInner ? 1 : before;
  int64_t fromBytes = fromSize * behind * one.itemBytes,
          toBytes = toSize * behind * other.itemBytes;
  // What is read and written is aligned as complex numbers are.
  isPossible &= result.numSteps < kMostSteps &&
                (count == 1 || (fromBytes % spectrum.itemBytes == 0 &&
                                toBytes % spectrum.itemBytes == 0));
  if (!isPossible)
    return GRADOPT_OK;
  const Plan *plan;
  gradopt_status status = transforms.getPlan(layout, plan);
  if (status != GRADOPT_OK)
    return status;
  isPossible = plan != nullptr;
  if (isPossible)
    result.steps[result.numSteps++] = {plan,  from,      to,     direction,
                                       count, fromBytes, toBytes};
  return GRADOPT_OK;
}

gradopt_status Transforms::Planner::addComplex(int64_t dimensions, Place from,
                                               Place to, int direction) {
  cufftType type = isDouble ? CUFFT_Z2Z : CUFFT_C2C;
  for (int first = 0; first < rank && isPossible;) {
    if (!(dimensions >> first & 1)) {
      ++first;
      continue;
    }
    int last = first;
    while (last + 1 < rank && last - first + 1 < kMostDimensions &&
           (dimensions >> (last + 1) & 1))
      ++last;
    if (gradopt_status status =
            addStep(first, last, type, spectrum, from, spectrum, to, direction);
        status != GRADOPT_OK)
      return status;
    from = to;
    first = last + 1;
  }
  return GRADOPT_OK;
}

gradopt_status Transforms::Planner::plan(int64_t number) {
  auto transform = fourier::Transform(number & 3);
  auto norm = fourier::Norm(number >> 2 & 3);
  bool isForward = number >> 4 & 1;
  int last = int(number >> 8 & 255);
  int64_t dimensions = number >> 16;
  bool hasElements = true;
  for (int d = 0; d < rank; ++d)
    hasElements &= real.sizes[d] > 0;
  isPossible =
      norm == fourier::None && hasElements && dimensions != 0 && last < rank &&
      (transform == fourier::C2c || isForward == (transform == fourier::R2c));
  if (!isPossible)
    return GRADOPT_OK;
  int direction = isForward ? CUFFT_FORWARD : CUFFT_INVERSE;
  if (transform == fourier::C2c)
    return addComplex(dimensions, Place::Input, Place::Output, direction);
  // The last dimension, and those that stand before it.
  int first = last;
  while (first > 0 && last - first + 1 < kMostDimensions &&
         (dimensions >> (first - 1) & 1))
    --first;
  int64_t rest = dimensions;
  for (int d = first; d <= last; ++d)
    rest &= ~(int64_t(1) << d);
  if (transform == fourier::R2c) {
    gradopt_status status =
        addStep(first, last, isDouble ? CUFFT_D2Z : CUFFT_R2C, real,
                Place::Input, spectrum, Place::Output);
    return status == GRADOPT_OK && isPossible
               ? addComplex(rest, Place::Output, Place::Output, direction)
               : status;
  }
  gradopt_status status =
      addComplex(rest, Place::Input, Place::Copy, direction);
  if (status != GRADOPT_OK || !isPossible)
    return status;
  size_t bytes = size_t(spectrum.itemBytes);
  for (int d = 0; d < rank; ++d)
    bytes *= size_t(spectrum.sizes[d]);
  if (rest == 0)
    result.copiedBytes = bytes;
  transforms.copyBytes = std::max(transforms.copyBytes, aligned(bytes));
  return addStep(first, last, isDouble ? CUFFT_Z2D : CUFFT_C2R, spectrum,
                 Place::Copy, real, Place::Output);
}

gradopt_status Transforms::plan(size_t place, const gradopt_operand *operands,
                                size_t count, bool &isPlanned) {
  isPlanned = false;
  Transform transform;
  Planner planner(*this, transform);
  // The number, that of the inputs, and the buffers: x, y and others.
  size_t next = 2;
  for (int buffer = 0; buffer < 2; ++buffer) {
    size_t address = next++;
    HostBufferType type;
    bool isValid = type.read([&](int64_t &number) {
      if (next >= count)
        return false;
      number = operands[next++].offset;
      return true;
    });
    if (!isValid || type.rank > fourier::kMaxRank)
      return GRADOPT_OK;
    (buffer == 0 ? transform.input : transform.output) = address;
    bool isReal = type.dtype == GRADOPT_F32 || type.dtype == GRADOPT_F64;
    Planner::Side &side = isReal ? planner.real : planner.spectrum;
    side.itemBytes = int64_t(runtime::itemSize(type.dtype));
    for (int d = 0; d < type.rank; ++d)
      side.sizes[d] = operands[address + 3 + size_t(d)].offset;
    planner.rank = type.rank;
    planner.isDouble = type.dtype == GRADOPT_F64 || type.dtype == GRADOPT_C128;
  }
  if ((operands[0].offset & 3) == fourier::C2c)
    planner.real = planner.spectrum;
  gradopt_status status = planner.plan(operands[0].offset);
  isPlanned = status == GRADOPT_OK && planner.isPossible;
  return isPlanned ? transforms.add(place, transform) : status;
}

/// `plan` is null if the library refuses it.
gradopt_status Transforms::getPlan(const Layout &layout, const Plan *&plan) {
  plan = nullptr;
  for (Plan *each = plans; each; each = each->next)
    if (std::memcmp(&each->layout, &layout, sizeof(layout)) == 0) {
      plan = each;
      return GRADOPT_OK;
    }
  if (!fourierLibrary.find(device.driver,
                           {{"libcufft.so.12", 13000}, {"libcufft.so.11", 0}},
                           open))
    return GRADOPT_OK;
  void *memory = std::malloc(sizeof(Plan));
  if (!memory)
    return fail(GRADOPT_OUT_OF_MEMORY, "out of memory");
  auto *made = new (memory) Plan;
  made->layout = layout;
  bool isMade;
  gradopt_status status = device.fourier.make(
      device, {"cufftCreate", create}, device.loader, &made->handle, isMade);
  if (!isMade) {
    std::free(made);
    return status;
  }
  Layout &l = made->layout;
  cufftResult result = functions.cufftSetAutoAllocation(made->handle, 0);
  if (result == CUFFT_SUCCESS)
    result = functions.cufftMakePlanMany64(
        made->handle, int(l.rank), l.sizes, l.from, l.stride, l.fromDistance,
        l.to, l.stride, l.toDistance, cufftType(l.type), l.batch,
        &made->workBytes);
  if (result == CUFFT_SUCCESS) {
    workBytes = std::max(workBytes, aligned(made->workBytes));
    made->next = plans;
    plan = plans = made;
    return GRADOPT_OK;
  }
  functions.cufftDestroy(made->handle);
  std::free(made);
  if (isRefusal(result))
    return GRADOPT_OK;
  return fail(GRADOPT_DEVICE_ERROR,
              "cannot plan a Fourier transform on cuda:%d: cuFFT returned %s "
              "(%d)",
              device.number, nameOf(result), result);
}

const Transforms::Transform *Transforms::find(size_t place) const {
  return transforms.find(place);
}

gradopt_status Transforms::execute(const Plan &plan, CUstream stream,
                                   void *work, void *from, void *to,
                                   int direction) {
  Lock lock(mutex);
  cufftResult result = functions.cufftSetStream(plan.handle, stream);
  if (result == CUFFT_SUCCESS && plan.workBytes)
    result = functions.cufftSetWorkArea(plan.handle, work);
  if (result == CUFFT_SUCCESS) {
    switch (cufftType(plan.layout.type)) {
    case CUFFT_C2C:
      result = functions.cufftExecC2C(plan.handle, from, to, direction);
      break;
    case CUFFT_Z2Z:
      result = functions.cufftExecZ2Z(plan.handle, from, to, direction);
      break;
    case CUFFT_R2C:
      result = functions.cufftExecR2C(plan.handle, from, to);
      break;
    case CUFFT_D2Z:
      result = functions.cufftExecD2Z(plan.handle, from, to);
      break;
    case CUFFT_C2R:
      result = functions.cufftExecC2R(plan.handle, from, to);
      break;
    case CUFFT_Z2D:
      result = functions.cufftExecZ2D(plan.handle, from, to);
      break;
    }
  }
  return result == CUFFT_SUCCESS
             ? GRADOPT_OK
             : fail(GRADOPT_DEVICE_ERROR,
                    "a Fourier transform along %lld dimensions, the last one "
                    "of %lld, failed on cuda:%d: cuFFT returned %s (%d)",
                    plan.layout.rank, plan.layout.sizes[plan.layout.rank - 1],
                    device.number, nameOf(result), result);
}

gradopt_status Transforms::run(const Transform &transform, const Lane &lane,
                               CUstream stream, const int64_t *values) {
  auto *work = reinterpret_cast<char *>(lane.libraryMemory);
  char *copy = work + workBytes;
  auto addressOf = [&](Place place) {
    return place == Place::Copy
               ? copy
               : reinterpret_cast<char *>(
                     values[place == Place::Input ? transform.input
                                                  : transform.output]);
  };
  if (transform.copiedBytes) {
    CUresult error = device.driver.cuMemcpyAsync(
        reinterpret_cast<CUdeviceptr>(copy),
        CUdeviceptr(values[transform.input]), transform.copiedBytes, stream);
    if (error != CUDA_SUCCESS)
      return failed(device.driver, error, "cannot copy on cuda:%d",
                    device.number);
  }
  for (int i = 0; i < transform.numSteps; ++i) {
    const Transform::Step &step = transform.steps[i];
    for (int64_t number = 0; number < step.count; ++number)
      if (gradopt_status status = execute(
              *step.plan, stream, work,
              addressOf(step.from) + number * step.fromBytes,
              addressOf(step.to) + number * step.toBytes, step.direction);
          status != GRADOPT_OK)
        return status;
  }
  return GRADOPT_OK;
}

void Transforms::clear() {
  while (Plan *plan = plans) {
    plans = plan->next;
    functions.cufftDestroy(plan->handle);
    std::free(plan);
  }
}

} // namespace gradopt::cuda
