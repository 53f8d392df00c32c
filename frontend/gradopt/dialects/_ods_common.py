# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the generated op classes import: the upstream helpers."""

from mlir.dialects._ods_common import *  # noqa: F403  # pyright: ignore[reportWildcardImportFromLibrary]
from mlir.dialects._ods_common import _cext as _cext
from mlir.dialects._ods_common import (
    equally_sized_accessor as equally_sized_accessor,
)
from mlir.dialects._ods_common import (
    get_default_loc_context as get_default_loc_context,
)
from mlir.dialects._ods_common import (
    get_op_result_or_op_results as get_op_result_or_op_results,
)
from mlir.dialects._ods_common import (
    get_op_result_or_value as get_op_result_or_value,
)
from mlir.dialects._ods_common import (
    get_op_results_or_values as get_op_results_or_values,
)
from mlir.dialects._ods_common import (
    segmented_accessor as segmented_accessor,
)
