// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Calls functions of a bundle on a GPU, or on what a driver emulates, by its
// generated header and by the C++ wrapper.
#include "functions.h"
#include "gradopt.hpp"

#include <cstdio>

/// An array on the first device.
class OnDevice {
public:
  OnDevice(std::size_t count, void *stream, const double *values = nullptr)
      : count(count), stream(stream) {
    void *address;
    gradopt::check(
        gradopt_cuda_allocate(0, count * sizeof(double), stream, &address));
    data = static_cast<double *>(address);
    if (values)
      gradopt::check(
          gradopt_cuda_copy(0, data, values, count * sizeof(double), stream));
  }
  ~OnDevice() { gradopt_cuda_free(0, data, stream); }

  gradopt::Span<double> span() const { return {data, count}; }

  void print() const {
    std::vector<double> values(count);
    gradopt::check(gradopt_cuda_copy(0, values.data(), data,
                                     count * sizeof(double), stream));
    gradopt::check(gradopt_cuda_synchronize(0, stream));
    for (double value : values)
      std::printf("%g ", value);
    std::puts("");
  }

  std::size_t count;
  double *data;
  void *stream;
};

/// Prints what a call that is wrong is told.
template <typename Body> static void expect(Body &&body) {
  try {
    body();
    std::puts("nothing was thrown");
  } catch (const gradopt::CheckError &error) {
    std::printf("%s: %.30s\n", error.python_exception().c_str(), error.what());
  } catch (const std::exception &error) {
    std::printf("thrown: %s\n", error.what());
  }
}

int main(int argc, char **argv) {
  if (argc != 3)
    return 2;
  gradopt::check(gradopt_cuda_set_driver(argv[2]));
  gradopt::Bundle bundle(argv[1]);
  gradopt::Program scaled = bundle["scaled"], moved = bundle["moved"];
  std::printf("%d %d %d %d\n", scaled.has_cpu_code(), scaled.has_cuda_code(),
              moved.has_cpu_code(), moved.has_cuda_code());

  const double values[] = {1, 2, 3}, two = 2;
  void *stream = nullptr;
  OnDevice x(3, stream, values), factor(1, stream, &two), y(3, stream);
  for (int i = 0; i < 3; ++i)
    gradopt::check(scaled_cuda(bundle.get(), x.data, factor.data, y.data,
                               /*device=*/0, stream));
  y.print();
  scaled.call_cuda({y.span(), factor.span()}, {x.span()}, stream);
  x.print();

  // The result is in the memory of the argument.
  OnDevice sum(1, stream);
  gradopt::check(moved_cuda(bundle.get(), x.data, factor.data, sum.data,
                            /*device=*/0, stream));
  x.print();
  moved.call_cuda({x.span(), factor.span()}, {sum.span()});
  x.print();
  sum.print();

  // Arrays of the host are copied where there is no code for the CPU.
  double own[3] = {1, 2, 3}, total;
  moved({own, 1.0}, {total});
  std::printf("%g %g %g %g\n", own[0], own[1], own[2], total);

  double three = 3, zero = 0;
  OnDevice outside(1, stream, &three), inside(1, stream, &zero);
  gradopt::Program take = bundle["take"];
  auto index = [](const OnDevice &number) {
    return gradopt::Span<std::int64_t>(
        reinterpret_cast<std::int64_t *>(number.data), 1);
  };
  take.call_cuda({x.span(), index(inside)}, {sum.span()});
  sum.print();
  expect([&] { take.call_cuda({x.span(), index(outside)}, {sum.span()}); });
  expect([&] { scaled.call_cuda({x.span(), x.span()}, {y.span()}); });
  expect([&] { scaled.call_cuda({x.span()}, {y.span()}); });
  expect([&] {
    scaled.call_cuda({x.span(), factor.span()}, {y.span()}, stream, 9);
  });
}
