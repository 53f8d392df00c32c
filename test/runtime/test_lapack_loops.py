# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Factorisations where there is no LAPACK, in a process of its own, as a library stays loaded."""

import subprocess
import sys

PROGRAM = """
import numpy as np

import gradopt as go
import gradopt.compilation.lowered as lowered
from gradopt import errors

lowered.blas_path = lambda: None
rng = np.random.default_rng(0)
functions = {
    "cholesky": go.compile(np.linalg.cholesky),
    "eigh": go.compile(np.linalg.eigh),
    "qr": go.compile(lambda a: np.linalg.qr(a, mode="complete")),
    "svd": go.compile(np.linalg.svd),
    "solve": go.compile(np.linalg.solve),
    "gradient of solve": go.compile_grad(lambda a, b: np.sum(np.linalg.solve(a, b).real), 1),
}


def agree(one, other, tolerance):
    assert np.abs(one - other).max(initial=0) <= tolerance * np.abs(other).max(initial=1)


def adjoint(a):
    return a.conj().T


def orthonormal(columns, tolerance):
    agree(adjoint(columns) @ columns, np.eye(columns.shape[1]), tolerance)


checked = 0
for dtype, tolerance in (("f8", 1e-12), ("c16", 1e-12), ("c8", 1e-4)):
    for m, n in ((1, 1), (2, 2), (5, 5), (5, 3), (3, 5), (4, 1), (1, 4), (30, 30), (40, 40), (0, 0)):
        a = rng.normal(size=(m, n))
        if dtype != "f8":
            a = a + 1j * rng.normal(size=(m, n))
        a = a.astype(dtype)
        q, r = functions["qr"](a)
        for got, want in zip((q[:, : min(m, n)], r), np.linalg.qr(a, mode="complete")):
            agree(got, want[:, : got.shape[1]], tolerance)
        orthonormal(q, tolerance)
        u, s, vh = functions["svd"](a)
        agree(s, np.linalg.svd(a)[1], tolerance)
        agree(u[:, : len(s)] * s @ vh[: len(s)], a, tolerance)
        orthonormal(u, tolerance)
        orthonormal(adjoint(vh), tolerance)
        if m == n:
            regular, b = a + 3 * n * np.eye(n, dtype=dtype), a[:, :2]
            agree(functions["solve"](regular, b), np.linalg.solve(regular, b), tolerance)
            want = np.linalg.solve(regular.T, np.ones_like(b))
            agree(functions["gradient of solve"](regular, b), want, tolerance)
            positive = a @ adjoint(a) + n * np.eye(n, dtype=dtype)
            agree(functions["cholesky"](positive), np.linalg.cholesky(positive), tolerance)
            lower = np.tril(a, -1)
            whole = lower + adjoint(lower) + np.diag(np.diag(a).real)
            w, v = functions["eigh"](a)
            agree(w, np.linalg.eigvalsh(whole), tolerance)
            agree(whole @ v, v * w, tolerance)
            orthonormal(v, tolerance)
        checked += 1
try:
    go.compile(lambda a: np.linalg.eigvals(a))(np.eye(2))
except errors.LinAlgError as error:
    assert "no library that has it was found" in str(error), error
    checked += 1
print(checked)
"""


def test_factorisations_without_a_library() -> None:
    run = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(run, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["31"]
