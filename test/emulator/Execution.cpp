//===- Execution.cpp - Running emulated kernels ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The threads of a block are fibers: each has a stack, and runs until it comes
// to a barrier or shuffle, or ends. Then the next one goes on, a warp at a
// time. A thread that ends leaves its stack to the next, so that a kernel
// without barriers runs on one stack, as a loop would.
//
//===----------------------------------------------------------------------===//

#include "test/emulator/Execution.h"
#include "test/emulator/Memory.h"
#include "test/emulator/NarrowFloats.h"
#include "test/emulator/gradopt_emulator.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

#ifndef __x86_64__
#error "fibers are switched on x86-64 only"
#endif

// Saves the registers that a function keeps and the stack pointer, and goes on
// with another stack that was left in the same way.
extern "C" void gradoptSwitchStack(void **left, void *next);
__asm__(R"(
  .text
  .globl gradoptSwitchStack
  .hidden gradoptSwitchStack
  .type gradoptSwitchStack, @function
gradoptSwitchStack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  retq
  .size gradoptSwitchStack, .-gradoptSwitchStack
)");

namespace gradopt::emulator {
namespace {

constexpr unsigned kWarp = 32;
constexpr size_t kStackBytes = size_t(1) << 18;
constexpr size_t kSharedLimit = 48 << 10;
constexpr size_t kSavedRegisters = 6;

/// Stacks that nobody uses, each with a page below it that may not be touched.
class Stacks {
public:
  char *take() {
    if (idle.empty())
      idle.push_back(make());
    char *top = idle.back();
    idle.pop_back();
    return top;
  }
  void give(char *top) { idle.push_back(top); }

private:
  static char *make() {
    void *memory = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, kPage, PROT_NONE) != 0)
      abort();
    return static_cast<char *>(memory) + kStackBytes;
  }

  std::vector<char *> idle;
};

/// What a thread brings to a product of matrices of narrow floats, by pairs,
/// and gets.
struct NarrowFragments {
  uint32_t a[4], b[2];
  float sums[4];
};

/// The value of a float16, or bfloat16, in the low bits.
float widen(uint32_t bits, bool isBrain) {
  auto narrow = uint16_t(bits);
  return isBrain ? float(Brain{narrow}) : float(Half{narrow});
}

enum class State { New, Ready, AtBarrier, AtShuffle, Ended };

struct Thread {
  State state = State::New;
  void *stack = nullptr;
  char *top = nullptr;
  int64_t value = 0;
  int32_t operand = 0, kind = 0;
  /// What it brings to a product of matrices, and gets.
  double a = 0, b = 0;
  gradopt_emulated_pair sums = {};
  NarrowFragments narrow = {};
};

/// The kinds of an exchange that is a product of matrices, and no shuffle.
constexpr int32_t kProduct = 4, kNarrowProduct = 5, kBrainProduct = 6;

class Execution {
public:
  explicit Execution(const Launch &launch)
      : launch(launch), threads(launch.block) {
    // Who reads more parameters than there are finds garbage.
    parameters = launch.parameters;
    parameters.resize(parameters.size() + 64,
                      static_cast<int64_t>(0xA5A5A5A5A5A5A5A5));
  }
  ~Execution();

  LaunchError run();

  /// The one that is under way; work is done by one host thread at a time.
  static Execution *current;

  void wait(State state) {
    threads[thread].state = state;
    gradoptSwitchStack(&threads[thread].stack, scheduler);
  }
  int64_t shuffle(int64_t value, int32_t operand, int32_t kind);
  gradopt_emulated_pair multiply(double a, double b,
                                 gradopt_emulated_pair sums);
  NarrowFragments multiply(const NarrowFragments &brought, bool isBrain);
  void *shared(int64_t bytes);
  template <bool isStore> void access(const void *address, int64_t bytes);
  template <bool isStore>
  [[noreturn]] void refuse(uintptr_t address, int64_t bytes, bool isAligned);
  /// Ends the launch; does not return.
  [[noreturn]] void stop(CUresult code, const std::string &what);

  const Launch &launch;
  unsigned block = 0, thread = 0;

private:
  static void runThread();
  void runBlock();
  void resume(unsigned number);
  void runWarp(unsigned first);
  void exchange(unsigned first, unsigned end);
  void multiplyFragments(unsigned first);
  void multiplyNarrowFragments(unsigned first, bool isBrain);
  void describeStuck();
  std::string where(unsigned number) const {
    return "kernel " + launch.name + ", block " + std::to_string(block) +
           ", thread " + std::to_string(number) + ": ";
  }

  std::vector<Thread> threads;
  std::vector<int64_t> parameters;
  Allocation *sharedMemory = nullptr;
  Moment moment;
  void *scheduler = nullptr;
  LaunchError error;

  static Stacks stacks;
  static uint64_t time;
};

Execution *Execution::current = nullptr;
Stacks Execution::stacks;
uint64_t Execution::time = 0;

Execution::~Execution() {
  for (Thread &thread : threads)
    if (thread.top)
      stacks.give(thread.top);
  if (sharedMemory) {
    if (sharedMemory->isLive)
      Memory::get().end(sharedMemory);
    sharedMemory->isShared = false;
    Memory::get().release(sharedMemory);
  }
}

LaunchError Execution::run() {
  Execution *outer = current;
  current = this;
  moment.launch = ++time;
  for (block = 0; block < launch.grid && error.code == CUDA_SUCCESS; ++block)
    runBlock();
  current = outer;
  return error;
}

void Execution::runBlock() {
  moment.block = moment.now = ++time;
  for (Thread &each : threads)
    each.state = State::New;
  while (true) {
    for (unsigned first = 0; first < launch.block; first += kWarp) {
      runWarp(first);
      if (error.code != CUDA_SUCCESS)
        return;
    }
    unsigned ended = 0, waiting = 0;
    for (const Thread &each : threads) {
      ended += each.state == State::Ended;
      waiting += each.state == State::AtBarrier;
    }
    if (ended == launch.block)
      break;
    if (waiting != launch.block)
      return describeStuck();
    moment.now = ++time;
    for (Thread &each : threads)
      each.state = State::Ready;
  }
  if (sharedMemory && sharedMemory->isLive && !Memory::get().end(sharedMemory))
    error = {CUDA_ERROR_ILLEGAL_ADDRESS,
             where(0) + "bytes beside its shared memory were written"};
}

/// Runs the threads of a warp as long as they need nothing but each other.
void Execution::runWarp(unsigned first) {
  unsigned end = first + kWarp < launch.block ? first + kWarp : launch.block;
  while (true) {
    bool allShuffle = true;
    for (unsigned i = first; i < end; ++i) {
      if (threads[i].state <= State::Ready) {
        resume(i);
        if (error.code != CUDA_SUCCESS)
          return;
      }
      allShuffle &= threads[i].state == State::AtShuffle;
    }
    if (!allShuffle)
      return;
    unsigned numProducts = 0, numLike = 0;
    int32_t kind = threads[first].kind;
    for (unsigned i = first; i < end; ++i) {
      numProducts += threads[i].kind >= kProduct;
      numLike += threads[i].kind == kind;
    }
    if (numProducts == 0) {
      exchange(first, end);
    } else if (numLike == kWarp && kind == kProduct) {
      multiplyFragments(first);
    } else if (numLike == kWarp) {
      multiplyNarrowFragments(first, kind == kBrainProduct);
    } else {
      error = {CUDA_ERROR_LAUNCH_FAILED,
               where(first) +
                   "not all threads of its warp bring a part of a matrix"};
      return;
    }
  }
}

void Execution::resume(unsigned number) {
  thread = moment.thread = number;
  Thread &next = threads[number];
  if (next.state == State::New) {
    next.top = stacks.take();
    // As if it had left in runThread(), where a function finds its return
    // address below 16 aligned bytes.
    auto **frame = reinterpret_cast<void **>(next.top) - 2;
    *frame = reinterpret_cast<void *>(&runThread);
    for (size_t i = 0; i < kSavedRegisters; ++i)
      *--frame = nullptr;
    next.stack = frame;
  }
  next.state = State::Ready;
  gradoptSwitchStack(&scheduler, next.stack);
  if (next.state == State::Ended) {
    stacks.give(next.top);
    next.top = nullptr;
  }
}

void Execution::runThread() {
  current->launch.entry(current->parameters.data());
  current->wait(State::Ended);
}

void Execution::stop(CUresult code, const std::string &what) {
  error = {code, where(thread) + what};
  wait(State::Ended);
  abort();
}

/// Says why no thread of the block can go on.
void Execution::describeStuck() {
  auto find = [&](State state) {
    for (unsigned i = 0; i < launch.block; ++i)
      if (threads[i].state == state)
        return int(i);
    return -1;
  };
  int shuffle = find(State::AtShuffle), barrier = find(State::AtBarrier);
  int ended = find(State::Ended);
  int waits = shuffle >= 0 ? shuffle : barrier;
  std::string words = where(unsigned(waits)) + "waits in a " +
                      (shuffle >= 0 ? "shuffle" : "barrier") + ", but ";
  if (shuffle >= 0) {
    // Another thread of its warp is not there.
    unsigned first = unsigned(shuffle) / kWarp * kWarp;
    unsigned other = first;
    while (threads[other].state == State::AtShuffle)
      ++other;
    words +=
        "thread " + std::to_string(other) + " of its warp " +
        (threads[other].state == State::Ended ? "ended" : "waits in a barrier");
  } else {
    words += "thread " + std::to_string(ended) + " ended";
  }
  error = {CUDA_ERROR_LAUNCH_FAILED, words};
}

void Execution::exchange(unsigned first, unsigned end) {
  int64_t values[kWarp] = {};
  for (unsigned i = first; i < end; ++i) {
    const Thread &to = threads[i];
    int64_t lane = i - first, from = to.operand;
    switch (to.kind) {
    case 0:
      from = lane ^ from;
      break;
    case 1:
      from = lane + from;
      break;
    case 2:
      from = lane - from;
      break;
    default:
      break;
    }
    bool exists = from >= 0 && from < int64_t(end - first);
    values[lane] = threads[exists ? first + unsigned(from) : i].value;
  }
  for (unsigned i = first; i < end; ++i) {
    threads[i].value = values[i - first];
    threads[i].state = State::Ready;
  }
}

void Execution::multiplyFragments(unsigned first) {
  constexpr unsigned kDepth = 4;
  for (unsigned i = 0; i < kWarp; ++i) {
    unsigned row = i / kDepth, column = i % kDepth * 2;
    auto add = [&](double sum, unsigned column) {
      for (unsigned k = 0; k < kDepth; ++k)
        sum = std::fma(threads[first + row * kDepth + k].a,
                       threads[first + column * kDepth + k].b, sum);
      return sum;
    };
    gradopt_emulated_pair &sums = threads[first + i].sums;
    sums = {add(sums.first, column), add(sums.second, column + 1)};
    threads[first + i].state = State::Ready;
  }
}

void Execution::multiplyNarrowFragments(unsigned first, bool isBrain) {
  constexpr unsigned kRows = 16, kColumns = 8, kDepth = 16;
  float a[kRows][kDepth], b[kDepth][kColumns];
  for (unsigned i = 0; i < kWarp; ++i) {
    const NarrowFragments &brought = threads[first + i].narrow;
    unsigned group = i / 4, pair = i % 4 * 2;
    for (unsigned k : {0u, 1u})
      for (unsigned part = 0; part < 4; ++part) {
        a[group + part % 2 * 8][pair + part / 2 * 8 + k] =
            widen(brought.a[part] >> k * 16, isBrain);
        if (part < 2)
          b[pair + part * 8 + k][group] =
              widen(brought.b[part] >> k * 16, isBrain);
      }
  }
  for (unsigned i = 0; i < kWarp; ++i) {
    float *sums = threads[first + i].narrow.sums;
    for (unsigned part = 0; part < 4; ++part) {
      unsigned row = i / 4 + part / 2 * 8, column = i % 4 * 2 + part % 2;
      double sum = sums[part];
      for (unsigned k = 0; k < kDepth; ++k)
        sum += double(a[row][k]) * double(b[k][column]);
      sums[part] = float(sum);
    }
    threads[first + i].state = State::Ready;
  }
}

NarrowFragments Execution::multiply(const NarrowFragments &brought,
                                    bool isBrain) {
  Thread &mine = threads[thread];
  mine.narrow = brought;
  mine.kind = isBrain ? kBrainProduct : kNarrowProduct;
  wait(State::AtShuffle);
  return mine.narrow;
}

gradopt_emulated_pair Execution::multiply(double a, double b,
                                          gradopt_emulated_pair sums) {
  Thread &mine = threads[thread];
  mine.a = a;
  mine.b = b;
  mine.sums = sums;
  mine.kind = kProduct;
  wait(State::AtShuffle);
  return mine.sums;
}

int64_t Execution::shuffle(int64_t value, int32_t operand, int32_t kind) {
  if (kind < 0 || kind > 3)
    stop(CUDA_ERROR_LAUNCH_FAILED,
         "shuffles in way " + std::to_string(kind) + ", which there is not");
  Thread &mine = threads[thread];
  mine.value = value;
  mine.operand = operand;
  mine.kind = kind;
  wait(State::AtShuffle);
  return mine.value;
}

void *Execution::shared(int64_t bytes) {
  if (bytes < 0 || size_t(bytes) > kSharedLimit)
    stop(CUDA_ERROR_LAUNCH_FAILED, "asks for " + std::to_string(bytes) +
                                       " bytes of shared memory, but a block "
                                       "has at most 49152");
  Memory &memory = Memory::get();
  if (!sharedMemory) {
    sharedMemory = memory.reserve(launch.device, size_t(bytes));
    if (!sharedMemory)
      abort();
    sharedMemory->isShared = true;
  }
  if (!sharedMemory->isLive)
    memory.begin(sharedMemory, size_t(bytes));
  size_t has = sharedMemory->end - sharedMemory->begin;
  if (has != size_t(bytes))
    stop(CUDA_ERROR_LAUNCH_FAILED,
         "asks for " + std::to_string(bytes) +
             " bytes of shared memory, but another thread for " +
             std::to_string(has));
  return reinterpret_cast<void *>(sharedMemory->begin);
}

template <bool isStore>
void Execution::access(const void *pointer, int64_t bytes) {
  auto address = reinterpret_cast<uintptr_t>(pointer);
  bool isPower = bytes > 0 && (bytes & (bytes - 1)) == 0;
  bool isAligned =
      !isPower || address % (bytes < 16 ? uint64_t(bytes) : 16) == 0;
  if (bytes > 0 && isAligned &&
      Memory::get().access<isStore>(address, size_t(bytes), launch.device,
                                    moment, nullptr))
    return;
  refuse<isStore>(address, bytes, isAligned);
}

template <bool isStore>
void Execution::refuse(uintptr_t address, int64_t bytes, bool isAligned) {
  char text[64];
  snprintf(text, sizeof(text), "%s %lld bytes at %#llx, ",
           isStore ? "stores" : "loads", static_cast<long long>(bytes),
           static_cast<unsigned long long>(address));
  std::string what = text;
  if (bytes <= 0)
    stop(CUDA_ERROR_ILLEGAL_ADDRESS, what + "which is no size");
  if (!isAligned)
    stop(CUDA_ERROR_MISALIGNED_ADDRESS, what + "which is not aligned");
  std::string problem;
  Memory::get().access<isStore>(address, size_t(bytes), launch.device, moment,
                                &problem);
  bool isRace = problem.rfind("a race", 0) == 0;
  stop(isRace ? CUDA_ERROR_LAUNCH_FAILED : CUDA_ERROR_ILLEGAL_ADDRESS,
       what + problem);
}

} // namespace

LaunchError run(const Launch &launch) { return Execution(launch).run(); }

} // namespace gradopt::emulator

using gradopt::emulator::Execution;

int32_t gradopt_emulated_thread(void) {
  return int32_t(Execution::current->thread);
}

int32_t gradopt_emulated_block(void) {
  return int32_t(Execution::current->block);
}

int32_t gradopt_emulated_num_threads(void) {
  return int32_t(Execution::current->launch.block);
}

int32_t gradopt_emulated_num_blocks(void) {
  return int32_t(Execution::current->launch.grid);
}

void gradopt_emulated_barrier(void) {
  Execution::current->wait(gradopt::emulator::State::AtBarrier);
}

int64_t gradopt_emulated_shuffle(int64_t value, int32_t operand, int32_t kind) {
  return Execution::current->shuffle(value, operand, kind);
}

gradopt_emulated_pair gradopt_emulated_multiply(double a, double b, double c0,
                                                double c1) {
  return Execution::current->multiply(a, b, {c0, c1});
}

gradopt_emulated_words
gradopt_emulated_multiply_narrow(int64_t a01, int64_t a23, int64_t b01,
                                 int64_t c01, int64_t c23, int32_t is_brain) {
  gradopt::emulator::NarrowFragments brought;
  memcpy(&brought.a[0], &a01, sizeof(a01));
  memcpy(&brought.a[2], &a23, sizeof(a23));
  memcpy(&brought.b[0], &b01, sizeof(b01));
  memcpy(&brought.sums[0], &c01, sizeof(c01));
  memcpy(&brought.sums[2], &c23, sizeof(c23));
  auto found = Execution::current->multiply(brought, is_brain != 0);
  gradopt_emulated_words sums;
  memcpy(&sums.first, &found.sums[0], sizeof(sums.first));
  memcpy(&sums.second, &found.sums[2], sizeof(sums.second));
  return sums;
}

void *gradopt_emulated_shared(int64_t bytes) {
  return Execution::current->shared(bytes);
}

void gradopt_emulated_load(const void *address, int64_t bytes) {
  Execution::current->access<false>(address, bytes);
}

void gradopt_emulated_store(const void *address, int64_t bytes) {
  Execution::current->access<true>(address, bytes);
}
