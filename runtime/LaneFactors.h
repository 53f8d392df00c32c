//===- LaneFactors.h - Factorisations of several matrices ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Spectra of small real matrices. Each lane of a vector has a matrix of its
// own, so that a step which has one division in a matrix is one for all of
// them. No lane has a part in another: what comes of a matrix does not depend
// on those beside it, nor on how many there are.
//
// Element i of a matrix is at lanes * i, + the number of the lane. Matrices are
// row-major, and finite; their largest elements should be near 1, so that no
// square overflows.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_LANEFACTORS_H
#define GRADOPT_RUNTIME_LANEFACTORS_H

#include <cstdint>

namespace gradopt::runtime::lapack {

/// For one number of lanes. The functions return a bit for each lane whose
/// iteration did not converge.
struct LaneFunctions {
  int64_t lanes;
  /// Of a[n, n], the lower triangle: its eigenvalues, in any order, and the
  /// vectors as rows, unless `vectors` is null. `a` is destroyed; `work` has
  /// room for 4 n.
  uint64_t (*eigh)(int64_t n, double *a, double *values, double *vectors,
                   double *work);
  /// Turns the rows of x[k, length], k <= length, until they are orthogonal
  /// up to `tolerance`. turns[k, k] are the turns, unless that is null: x
  /// before is transpose(turns) times x. `sizes` are the lengths of the rows,
  /// in any order.
  uint64_t (*svd)(int64_t k, int64_t length, double tolerance, double *x,
                  double *sizes, double *turns);
};

/// Code for one kind of CPU.
struct LaneCode {
  LaneFunctions one, many;
};

extern const LaneCode laneCodeForAll;
#ifdef __x86_64__
extern const LaneCode laneCodeForV3;
#endif

/// Rows that are smaller than this, where the largest element is near 1, are
/// not turned any more: they may have any direction.
constexpr double kNothing = 0x1p-120;

} // namespace gradopt::runtime::lapack

#endif // GRADOPT_RUNTIME_LANEFACTORS_H
