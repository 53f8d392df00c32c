//===- hypergeometric.cpp - Hypergeometric functions ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "special.h"

#include <boost/math/special_functions/hypergeometric_0F1.hpp>
// All that the last header includes, in its order.
// clang-format off
#include <boost/math/special_functions/detail/hypergeometric_series.hpp>
#include <boost/math/special_functions/detail/hypergeometric_asym.hpp>
#include <boost/math/special_functions/detail/hypergeometric_rational.hpp>
#include <boost/math/special_functions/detail/hypergeometric_1F1_recurrence.hpp>
#include <boost/math/special_functions/detail/hypergeometric_1F1_by_ratios.hpp>
#include <boost/math/special_functions/detail/hypergeometric_pade.hpp>
#include <boost/math/special_functions/detail/hypergeometric_1F1_bessel.hpp>
#include <boost/math/special_functions/detail/hypergeometric_1F1_scaled_series.hpp>
#include <boost/math/special_functions/detail/hypergeometric_pFq_checked_series.hpp>
#include <boost/math/special_functions/detail/hypergeometric_1F1_addition_theorems_on_z.hpp>
#include <boost/math/special_functions/detail/hypergeometric_1F1_large_abz.hpp>
#include <boost/math/special_functions/detail/hypergeometric_1F1_small_a_negative_b_by_ratio.hpp>
#include <boost/math/special_functions/detail/hypergeometric_1F1_negative_b_regions.hpp>

// Constants that the header keeps for each thread are computed where they are
// used: programs have no variables.
#define static
#define thread_local
#include <boost/math/special_functions/hypergeometric_1F1.hpp>
#undef static
#undef thread_local
// clang-format on

namespace gradopt::special {

static bool isPole(double x) { return x <= 0 && isInteger(x); }

static double hyp0f1(double v, double x) {
  if (isNaN(v) || isNaN(x) || isPole(v))
    return kNaN;
  return x == 0 ? 1 : bm::hypergeometric_0F1(v, x);
}

static double hyp1f1(double p, double q, double x) {
  if (isNaN(p) || isNaN(q) || isNaN(x))
    return kNaN;
  if (isPole(q) && !(isPole(p) && p >= q))
    return kInfinity;
  return x == 0 || p == 0 ? 1 : bm::hypergeometric_1F1(p, q, x);
}

} // namespace gradopt::special

GRADOPT_SPECIAL_BINARY(hyp0f1, gradopt::special::hyp0f1)
GRADOPT_SPECIAL_TERNARY(hyp1f1, gradopt::special::hyp1f1)
