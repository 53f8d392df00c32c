//===- FourierPlans.h - Plans of ducc0 --------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// ducc0's transforms of rows. Their plans, which hold tables, are made once for
// each size, kept as long as the process lives, and found without a lock.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_FOURIERPLANS_H
#define GRADOPT_RUNTIME_FOURIERPLANS_H

#include "runtime/FourierMemory.h"

#include "ducc0/fft/fft1d_impl.h"

#include <atomic>
#include <memory>
#include <utility>

/// How ducc0 shares work among threads: there is one.
inline void DUCC0_NAMESPACE::detail_threading::execStatic(
    size_t nwork, size_t, size_t, std::function<void(Scheduler &)> func) {
  struct : Scheduler {
    size_t num_threads() const override { return 1; }
    size_t thread_num() const override { return 0; }
    Range getNext() override { return {0, std::exchange(left, 0)}; }
    size_t left;
  } scheduler;
  scheduler.left = nwork;
  func(scheduler);
}

namespace gradopt::runtime::fourier {
namespace GRADOPT_FOURIER_TARGET {

namespace ducc = DUCC0_NAMESPACE;

template <typename T> using Vector = ducc::native_simd<T>;

/// A plan of ducc0, of type P, for n numbers of type T, complex or real.
/// Throws std::bad_alloc.
template <typename P, typename T> struct Plan : P {
  Plan(int64_t n, bool isAlone)
      : P(size_t(n), isAlone), n(n), isAlone(isAlone) {
    ducc::aligned_array<T> numbers(this->length()), buffer(this->bufsize());
    std::fill_n(numbers.data(), n, T(0));
    WorkMemory counted;
    this->exec(numbers.data(), buffer.data(), 1, true);
    allocated = counted.getMost();
  }

  int64_t n;
  /// Whether it is for numbers, and not for vectors of them.
  bool isAlone;
  /// The bytes that it allocates while it transforms numbers; none for vectors.
  size_t allocated;
  Plan *next = nullptr;
};
template <typename T>
using ComplexPlan = Plan<ducc::pocketfft_c<T>, ducc::Cmplx<T>>;
template <typename T> using RealPlan = Plan<ducc::pocketfft_r<T>, T>;

template <typename P> const P &getPlan(int64_t n, bool isAlone) {
  constexpr int64_t kLists = 64;
  static std::atomic<P *> lists[kLists];
  std::atomic<P *> &list = lists[n % kLists];
  P *first = list.load(std::memory_order_acquire);
  for (P *plan = first; plan; plan = plan->next)
    if (plan->n == n && plan->isAlone == isAlone)
      return *plan;
  // Another thread may make the same, which costs nothing but memory.
  P *plan = new P(n, isAlone);
  plan->next = first;
  while (!list.compare_exchange_weak(
      plan->next, plan, std::memory_order_release, std::memory_order_relaxed))
    ;
  return *plan;
}

} // namespace GRADOPT_FOURIER_TARGET
} // namespace gradopt::runtime::fourier

#endif // GRADOPT_RUNTIME_FOURIERPLANS_H
