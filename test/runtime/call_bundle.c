/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
   Calls the function `scaled` of a bundle. */
#include "gradopt_runtime.h"
#include <stdio.h>
int main(int argc, char **argv) {
  gradopt_bundle *bundle;
  if (argc != 2 || gradopt_bundle_open(argv[1], &bundle) != GRADOPT_OK) {
    puts(gradopt_last_error());
    return 1;
  }
  gradopt_program *program = gradopt_bundle_find(bundle, "scaled");
  const gradopt_array_info *x = gradopt_program_argument(program, 0);
  printf("%s %d %d %d %zu %zu\n", x->name, x->dtype, x->rank, (int)x->shape[0],
         x->bytes, gradopt_program_num_results(program));
  double in[3] = {1, 2, 3}, factor = 2, out[3];
  void *arguments[] = {in, &factor}, *results[] = {out};
  if (gradopt_program_call(program, arguments, results) != GRADOPT_OK)
    return 2;
  printf("%g %g %g\n", out[0], out[1], out[2]);
  gradopt_bundle_close(bundle);
  return 0;
}
