//===- Fourier.cpp - The transforms of an emulated cuFFT ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// By the definition of a transform. As cuFFT may, one to real numbers destroys
// what it reads; what a plan works in is destroyed, too.
//
//===----------------------------------------------------------------------===//

#include "runtime/cuda/FourierApi.h"
#include "test/emulator/Driver.h"

#include <cmath>
#include <complex>
#include <cstring>
#include <limits>
#include <map>
#include <vector>

using namespace gradopt::emulator;

#define FOURIER extern "C" __attribute__((visibility("default"))) cufftResult

namespace {

/// The dimensions of one array of a batch.
struct Array {
  std::vector<long long> sizes;
  long long stride = 1, distance = 0;

  /// Where the first array ends, in elements.
  long long getEnd(long long batch) const {
    long long elements = 1;
    for (long long size : sizes)
      elements *= size;
    return (batch - 1) * distance + (elements - 1) * stride + 1;
  }
};

struct Plan {
  bool isMade = false, allocates = true;
  cufftType type = CUFFT_C2C;
  std::vector<long long> sizes;
  Array from, to;
  long long batch = 0;
  size_t workBytes = 0;
  CUstream stream = nullptr;
  void *work = nullptr;
};

std::map<cufftHandle, Plan> plans;
cufftHandle lastHandle = 0;

cufftResult resultOf(const Call &call) {
  return static_cast<cufftResult>(call.error);
}

/// Goes through all places of an array of these sizes.
template <typename Visit>
void forEach(const std::vector<long long> &sizes, Visit visit) {
  std::vector<long long> place(sizes.size(), 0);
  while (true) {
    visit(place);
    size_t d = sizes.size();
    while (d > 0 && ++place[d - 1] == sizes[d - 1])
      place[--d] = 0;
    if (d == 0)
      return;
  }
}

long long offsetOf(const Array &array, const std::vector<long long> &place) {
  long long linear = 0;
  for (size_t d = 0; d < place.size(); ++d)
    linear = linear * array.sizes[d] + place[d];
  return linear * array.stride;
}

/// What x contributes to y, for elements at these places.
std::complex<double> phaseOf(const std::vector<long long> &sizes,
                             const std::vector<long long> &x,
                             const std::vector<long long> &y, int direction) {
  double turns = 0;
  for (size_t d = 0; d < sizes.size(); ++d)
    turns += double(x[d] * y[d] % sizes[d]) / double(sizes[d]);
  double angle = 2 * M_PI * (turns - std::floor(turns));
  return {std::cos(angle), direction * std::sin(angle)};
}

template <typename From, typename To>
void transform(const Plan &plan, From *x, To *y, int direction) {
  constexpr bool isToReal = std::is_floating_point_v<To>;
  for (long long number = 0; number < plan.batch; ++number) {
    const From *source = x + number * plan.from.distance;
    // An array may lie where its transform will.
    std::vector<std::complex<double>> values;
    forEach(plan.from.sizes, [&](const std::vector<long long> &place) {
      values.emplace_back(source[offsetOf(plan.from, place)]);
    });
    To *target = y + number * plan.to.distance;
    long long last = plan.sizes.back();
    forEach(plan.to.sizes, [&](const std::vector<long long> &to) {
      std::complex<double> sum = 0;
      size_t next = 0;
      forEach(plan.from.sizes, [&](const std::vector<long long> &from) {
        std::complex<double> value = values[next++];
        std::complex<double> term =
            value * phaseOf(plan.sizes, from, to, direction);
        // Half of a spectrum stands for the other half, too.
        bool isAlone = from.back() == 0 || 2 * from.back() == last;
        sum += isToReal && !isAlone ? 2 * term.real() : term;
      });
      if constexpr (isToReal)
        target[offsetOf(plan.to, to)] = To(sum.real());
      else
        target[offsetOf(plan.to, to)] = To(sum);
    });
  }
  if constexpr (isToReal)
    for (long long number = 0; number < plan.batch; ++number)
      forEach(plan.from.sizes, [&](const std::vector<long long> &place) {
        x[number * plan.from.distance + offsetOf(plan.from, place)] =
            std::numeric_limits<To>::quiet_NaN();
      });
}

template <typename From, typename To>
cufftResult execute(const char *name, cufftHandle handle, cufftType type,
                    void *x, void *y, int direction) {
  Call call(name);
  auto found = plans.find(handle);
  if (found == plans.end() || !found->second.isMade ||
      found->second.type != type)
    return CUFFT_INVALID_PLAN;
  Plan plan = found->second;
  CUstream stream;
  if (call.needStream(plan.stream, stream) != CUDA_SUCCESS)
    return call.error == CUDA_SUCCESS ? CUFFT_EXEC_FAILED : resultOf(call);
  if (plan.workBytes && !plan.allocates && !plan.work)
    return CUFFT_NO_WORKSPACE;
  if ((direction != CUFFT_FORWARD && direction != CUFFT_INVERSE) ||
      uint64_t(x) % std::max(sizeof(From), sizeof(To)) ||
      uint64_t(y) % std::max(sizeof(From), sizeof(To)))
    return CUFFT_INVALID_VALUE;
  auto run = [=]() -> Error {
    Memory &memory = Memory::get();
    int device = stream->context->device;
    std::string problem = memory.checkRange(
        uint64_t(x), size_t(plan.from.getEnd(plan.batch)) * sizeof(From),
        device);
    if (problem.empty())
      problem = memory.checkRange(
          uint64_t(y), size_t(plan.to.getEnd(plan.batch)) * sizeof(To), device);
    if (problem.empty() && plan.work)
      problem = memory.checkRange(uint64_t(plan.work), plan.workBytes, device);
    if (!problem.empty())
      return {CUDA_ERROR_ILLEGAL_ADDRESS,
              "an array of a transform, " + problem};
    if (plan.work)
      std::memset(plan.work, 0xff, plan.workBytes);
    transform(plan, static_cast<From *>(x), static_cast<To *>(y), direction);
    return {};
  };
  enqueue(stream, Action{"kernel", std::string("run ") + name, std::move(run)});
  return CUFFT_SUCCESS;
}

} // namespace

FOURIER cufftCreate(cufftHandle *handle) {
  Call call("cufftCreate");
  // Who lets it fail chooses the result.
  if (call.error != CUDA_SUCCESS)
    return resultOf(call);
  if (call.needContext() != CUDA_SUCCESS)
    return CUFFT_SETUP_FAILED;
  *handle = ++lastHandle;
  plans[*handle];
  return CUFFT_SUCCESS;
}

FOURIER cufftDestroy(cufftHandle plan) {
  Call call("cufftDestroy");
  return plans.erase(plan) ? CUFFT_SUCCESS : CUFFT_INVALID_PLAN;
}

FOURIER cufftSetAutoAllocation(cufftHandle plan, int autoAllocate) {
  Call call("cufftSetAutoAllocation");
  plans[plan].allocates = autoAllocate != 0;
  return resultOf(call);
}

FOURIER cufftMakePlanMany64(cufftHandle handle, int rank, long long *n,
                            long long *inembed, long long istride,
                            long long idist, long long *onembed,
                            long long ostride, long long odist, cufftType type,
                            long long batch, size_t *workSize) {
  std::string details;
  for (int d = 0; d < rank; ++d)
    details += (d ? "x" : "") + std::to_string(n[d]);
  Call call("cufftMakePlanMany64", details + " " + std::to_string(batch));
  if (call.needContext() != CUDA_SUCCESS)
    return resultOf(call);
  // It allocates memory for tables.
  if (isCallForbidden())
    return CUFFT_INTERNAL_ERROR;
  auto found = plans.find(handle);
  if (found == plans.end() || found->second.isMade)
    return CUFFT_INVALID_PLAN;
  if (rank < 1 || rank > 3 || batch < 1 || istride < 1 || ostride < 1)
    return CUFFT_INVALID_VALUE;
  Plan &plan = found->second;
  bool isFromReal = type == CUFFT_R2C || type == CUFFT_D2Z;
  bool isToReal = type == CUFFT_C2R || type == CUFFT_Z2D;
  long long elements = 1;
  for (int d = 0; d < rank; ++d) {
    if (n[d] < 1)
      return CUFFT_INVALID_SIZE;
    elements *= n[d];
    bool isHalf = d + 1 == rank;
    long long half = n[d] / 2 + 1;
    plan.sizes.push_back(n[d]);
    // The sizes of what lies there are those of what is transformed.
    if (inembed[d] != (isToReal && isHalf ? half : n[d]) ||
        onembed[d] != (isFromReal && isHalf ? half : n[d]))
      return CUFFT_INVALID_VALUE;
    plan.from.sizes.push_back(inembed[d]);
    plan.to.sizes.push_back(onembed[d]);
  }
  plan.from.stride = istride;
  plan.from.distance = idist;
  plan.to.stride = ostride;
  plan.to.distance = odist;
  plan.type = type;
  plan.batch = batch;
  plan.workBytes = *workSize = size_t(16 * elements * batch);
  plan.isMade = true;
  return CUFFT_SUCCESS;
}

FOURIER cufftSetStream(cufftHandle plan, CUstream stream) {
  Call call("cufftSetStream");
  plans[plan].stream = stream;
  return resultOf(call);
}

FOURIER cufftSetWorkArea(cufftHandle plan, void *work) {
  Call call("cufftSetWorkArea");
  plans[plan].work = work;
  return resultOf(call);
}

FOURIER cufftExecC2C(cufftHandle plan, void *x, void *y, int direction) {
  using T = std::complex<float>;
  return execute<T, T>("cufftExecC2C", plan, CUFFT_C2C, x, y, direction);
}

FOURIER cufftExecZ2Z(cufftHandle plan, void *x, void *y, int direction) {
  using T = std::complex<double>;
  return execute<T, T>("cufftExecZ2Z", plan, CUFFT_Z2Z, x, y, direction);
}

FOURIER cufftExecR2C(cufftHandle plan, void *x, void *y) {
  return execute<float, std::complex<float>>("cufftExecR2C", plan, CUFFT_R2C, x,
                                             y, CUFFT_FORWARD);
}

FOURIER cufftExecD2Z(cufftHandle plan, void *x, void *y) {
  return execute<double, std::complex<double>>("cufftExecD2Z", plan, CUFFT_D2Z,
                                               x, y, CUFFT_FORWARD);
}

FOURIER cufftExecC2R(cufftHandle plan, void *x, void *y) {
  return execute<std::complex<float>, float>("cufftExecC2R", plan, CUFFT_C2R, x,
                                             y, CUFFT_INVERSE);
}

FOURIER cufftExecZ2D(cufftHandle plan, void *x, void *y) {
  return execute<std::complex<double>, double>("cufftExecZ2D", plan, CUFFT_Z2D,
                                               x, y, CUFFT_INVERSE);
}
