//===- Passes.td - Passes of gradopt, by stage -------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_TD
#define GRADOPT_PASSES_TD

include "AdjointPasses.td"
include "SimplifiedPasses.td"
include "LinalgPasses.td"
include "BufferizedPasses.td"
include "LLVMPasses.td"
include "DevicePasses.td"

#endif // GRADOPT_PASSES_TD
