//===- Donation.h - Arrays whose memory results take over -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A result that takes over the memory of an argument is a new array object. The
// memory gets an owner of its own, a `DonatedMemory`, which is the base of all
// arrays that ever had it, and knows the one that has it now. Views of that
// have it as their base. So whether an array was donated is seen by following
// bases, nothing is looked up anywhere, and no chain grows with the calls.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_DONATION_H
#define GRADOPT_NATIVE_DONATION_H

#include "Arrays.h"

namespace gradopt::native {

/// What the array, or one that it is a view of, was donated as (borrowed); null
/// if it was not.
PyObject *donatedAs(PyArrayObject *array);

/// The array that owns the memory of `array`, if no other array can show it but
/// views of `array`; else null.
PyArrayObject *findOwner(PyArrayObject *array);

/// A new array of `spec` in the memory of `array`, of which `owner` is what
/// findOwner() says. The old arrays count as donated from now on, as `name`,
/// and become read-only. Null if a Python error was set.
PyObject *takeOver(PyArrayObject *array, PyArrayObject *owner,
                   const ArraySpec &spec, PyObject *name);

/// Adds the type of the owners, and `donated_as`.
void bindDonation(nanobind::module_ &module);

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_DONATION_H
