// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Calls functions of a bundle through the C++ wrapper, and fails to.
#include "gradopt.hpp"

#include <array>
#include <cstdio>
#include <thread>

static void say(const char *what, const std::exception &error) {
  std::printf("%s: %s\n", what, error.what());
}

/// Prints what a call that is wrong is told.
template <typename Exception, typename Body> static void expect(Body &&body) {
  try {
    body();
    std::puts("nothing was thrown");
  } catch (const Exception &error) {
    say("thrown", error);
  }
}

int main(int argc, char **argv) {
  if (argc != 3)
    return 2;
  expect<gradopt::Error>([&] { gradopt::Bundle none(argv[2]); });
  gradopt::Bundle opened(argv[1]);
  gradopt::Bundle bundle = std::move(opened);
  gradopt::Program scaled = bundle["scaled"];
  std::printf("%zu %s %s %s %zu\n", bundle.num_programs(),
              scaled.name().c_str(), scaled.argument(0).name().c_str(),
              scaled.argument(0).description().c_str(), scaled.num_results());

  std::vector<double> x = {1, 2, 3};
  std::array<double, 3> y;
  scaled({x, 2.0}, {y});
  std::printf("%g %g %g\n", y[0], y[1], y[2]);
  const std::vector<double> constant = {4, 5, 6};
  double factor = 0.5, z[3];
  scaled({constant, factor}, {z});
  std::printf("%g %g %g\n", z[0], z[1], z[2]);
  std::vector<double> made = scaled.make_result<double>(0);
  scaled({gradopt::Span<const double>(z, 3), factor}, {made});
  std::printf("%g %g %g\n", made[0], made[1], made[2]);

  std::int64_t i = 1;
  gradopt::Program take = *bundle.find("take");
  take({x, i}, {factor});
  std::printf("%g\n", factor);
  i = 3;
  try {
    take({x, i}, {factor});
  } catch (const gradopt::CheckError &error) {
    say(error.python_exception().c_str(), error);
  }

  // The result has no memory of its own.
  gradopt::Program moved = bundle["moved"];
  std::printf("reuses %zu\n", *moved.result(0).reused());
  std::uint8_t is_large[1];
  moved({x, 1.0}, {is_large});
  std::printf("%g %g %g %d\n", x[0], x[1], x[2], is_large[0]);

  using Invalid = std::invalid_argument;
  expect<Invalid>([&] { scaled({x}, {y}); });
  expect<Invalid>([&] { scaled({x, 2.0}, {y, y}); });
  expect<Invalid>([&] { scaled({x, 2.0f}, {y}); });
  expect<Invalid>([&] { scaled({std::vector<double>(4), 2.0}, {y}); });
  expect<Invalid>([&] { scaled({x, 2.0}, {constant}); });
  expect<Invalid>([&] { moved({constant, 1.0}, {is_large}); });
  expect<Invalid>([&] { scaled.make_result<float>(0); });
  expect<std::out_of_range>([&] { bundle["none"]; });
  expect<std::out_of_range>([&] { bundle.program(7); });
  expect<std::out_of_range>([&] { scaled.argument(2); });
  std::printf("%d\n", int(bundle.find("none").has_value()));

  std::vector<std::thread> threads;
  std::array<double, 4> sums = {};
  for (std::size_t t = 0; t < sums.size(); ++t)
    threads.emplace_back([&, t] {
      std::vector<double> own = {double(t), 1, 1}, out(3);
      for (int n = 0; n < 1000; ++n) {
        scaled({own, 1.0}, {out});
        sums[t] += out[0];
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  std::printf("%g %g %g %g\n", sums[0], sums[1], sums[2], sums[3]);
}
