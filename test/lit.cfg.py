# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# pyright: reportUndefinedVariable=false
"""lit configuration: `.venv/bin/lit -v test/passes` runs a part of the suite.

Environment:
    GRADOPT_BUILD_DIR: a CMake build tree to test, instead of what is installed
        beside the Python that runs lit.
    MLIR_DIR: another LLVM 22 than Debian's.
"""

import os
import sys
import sysconfig
from pathlib import Path

import lit.formats

config.name = "gradopt"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = {".mlir"}
config.excludes = ["lit.cfg.py", "Inputs"]

root = Path(__file__).resolve().parent
build = os.environ.get("GRADOPT_BUILD_DIR")
if build:
    tool = Path(build, "bin", "gradopt")
    library = Path(build, "python", "gradopt", "libGradOpt.so")
else:
    tool = Path(sys.executable).parent / "gradopt"
    library = Path(sysconfig.get_path("platlib"), "gradopt", "libGradOpt.so")
    build = str(root.parent / "build")
if not tool.is_file():
    lit_config.fatal(f"{tool} does not exist: run 'make build'")

config.test_source_root = str(root)
config.test_exec_root = str(Path(build, "test"))

mlir_dir = Path(os.environ.get("MLIR_DIR") or "/usr/lib/llvm-22/lib/cmake/mlir")
llvm_tools = mlir_dir.parent.parent.parent / "bin"

path = os.pathsep.join([str(tool.parent), str(llvm_tools), config.environment["PATH"]])
config.environment["PATH"] = path
config.environment["FILECHECK_OPTS"] = "-enable-var-scope --allow-unused-prefixes=false"

config.substitutions.append(("%gradopt_library", str(library)))
config.substitutions.append(("%python", sys.executable))

if (llvm_tools / "mlir-opt").exists():
    config.available_features.add("mlir-opt")
