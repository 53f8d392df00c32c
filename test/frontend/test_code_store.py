# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Object code that is kept on disk for later processes."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from budget import SEED

import gradopt as go
from gradopt import _compiler, _gradopt
from gradopt.compilation.store import store_directory
from gradopt.errors import CacheWarning

X = np.linspace(0.1, 0.9, 5)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The directory; what this process has compiled is forgotten."""
    monkeypatch.setenv("GRADOPT_CACHE", str(tmp_path / "store"))
    _gradopt.set_kept_code_limit(0)
    yield tmp_path / "store"
    _gradopt.set_kept_code_limit(32 << 20)


def entries(store: Path) -> list[Path]:
    return sorted(store.glob("*/code-*"))


def run(factor: float = 2.0, **options: Any) -> bool:
    """Calls a function that was never called, and looks at the result; whether it was compiled."""
    before = _compiler.programs_compiled()
    got = go.compile_grad(lambda x: np.sum(np.sin(x) * factor), **options)(X)
    np.testing.assert_allclose(got, np.cos(X) * factor, rtol=1e-14)
    return _compiler.programs_compiled() > before


def test_code_is_compiled_once(store: Path) -> None:
    assert run()
    (entry,) = entries(store)
    assert not run()
    assert entries(store) == [entry]
    assert run(3.0)
    assert run(fast_math=True)
    assert len(entries(store)) == 3
    assert not run(fast_math=True)
    assert (store.stat().st_mode & 0o777, entry.stat().st_mode & 0o777) == (0o700, 0o600)


def test_memory_is_known_of_code_from_the_store(store: Path) -> None:
    def f(x: Any) -> Any:
        return np.cumsum(x @ x.T, axis=0) @ x

    x = np.ones((30, 30))
    expected = go.compile(f).lower(x).memory()
    assert expected.arena > 0
    for _ in range(2):
        lowered = go.compile(f).lower(x)
        np.testing.assert_allclose(lowered.compile()(x), f(x))
        assert lowered.memory() == expected


def test_nothing_is_kept_where_that_is_not_wanted(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(cache=False)
    monkeypatch.setenv("GRADOPT_CACHE", "0")
    assert run()
    assert run()
    assert not store.exists()


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for chosen, caches, expected in [
        ("", "", tmp_path / ".cache/gradopt"),
        ("", "relative", tmp_path / ".cache/gradopt"),
        ("", "/caches", Path("/caches/gradopt")),
        ("~/mine", "/caches", tmp_path / "mine"),
        ("mine", "/caches", Path.cwd() / "mine"),
    ]:
        monkeypatch.setenv("GRADOPT_CACHE", chosen)
        monkeypatch.setenv("XDG_CACHE_HOME", caches)
        assert Path(store_directory()) == expected


def test_damaged_code_is_not_run(store: Path) -> None:
    assert run()
    (entry,) = entries(store)
    whole = entry.read_bytes()
    generator = random.Random(SEED)
    places = [0, 31, 32, 39, 40, len(whole) - 1]
    for place in places + [generator.randrange(len(whole)) for _ in range(10)]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << generator.randrange(8)
        entry.write_bytes(damaged)
        assert run()
        assert entry.read_bytes() == whole
    for size in (0, 1, 39, 40, 41, len(whole) - 1):
        entry.write_bytes(whole[:size])
        assert run()
    entry.unlink()
    entry.symlink_to(store / "elsewhere")
    assert run()
    entry.unlink()
    os.mkfifo(entry)  # To open one is to wait for who writes to it.
    assert run()
    assert not run()
    entry.unlink()
    entry.mkdir()
    assert run()


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_a_directory_that_others_can_write_to_is_not_used(store: Path, mode: int) -> None:
    store.mkdir()
    store.chmod(mode)
    with pytest.warns(CacheWarning, match="only its owner"):
        assert run()
    with pytest.warns(CacheWarning, match=str(store)):
        assert run()
    assert not entries(store)


def test_a_directory_that_cannot_be_made_is_named(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    for place, reason in [
        (tmp_path / "file", "Not a directory"),
        (tmp_path / "file/inside", "Not a directory"),
        (Path("/proc/none/of/this"), "No such file or directory"),
    ]:
        monkeypatch.setenv("GRADOPT_CACHE", str(place))
        message = f"the cache {place} is not used: {reason}"
        with pytest.warns(CacheWarning, match=re.escape(message)):
            assert run()


def test_one_warning_of_a_process(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    program = """
        import gradopt as go, numpy as np
        for factor in 2.0, 3.0:
            f = go.compile(lambda x: x * factor)
            print(f(np.ones(2)))
    """
    place = tmp_path / "file"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "GRADOPT_CACHE": str(place)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.split() == ["[2.", "2.]", "[3.", "3.]"]
    assert done.stderr.count("CacheWarning") == 1
    assert f"the cache {place} is not used: Not a directory" in done.stderr


@pytest.mark.filterwarnings("error")
def test_no_home_is_no_problem(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.delenv("GRADOPT_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    for home in (tmp_path / "file", Path("/proc/none")):
        monkeypatch.setenv("HOME", str(home))
        assert run()


def aged(path: Path, size: int, age: float) -> Path:
    """A file that takes no room on disk and was last used so many seconds ago."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_its_size_is_bounded(store: Path) -> None:
    assert run()
    (entry,) = entries(store)
    mark = entry.parent / ".pruned"
    old = [aged(entry.parent / f"code-{i}", 25 << 20, 1000 * (i + 1)) for i in range(4)]
    elsewhere = [aged(store / f"{i:02x}" / "code-old", 100 << 20, 1e9) for i in range(16)]

    def add() -> None:
        entry.unlink()
        assert run()
        assert entry.exists()

    add()
    assert all(path.exists() for path in old)  # It was looked at less than a minute ago.
    os.utime(mark, (time.time() - 61,) * 2)
    add()
    # A 16th of 1 GB is kept, and nobody else's part is looked at.
    assert [path.exists() for path in old] == [True, True, False, False]
    assert [path.exists() for path in elsewhere].count(False) == 1
    # What is used last is kept, though it be alone.
    for path in old[:2]:
        aged(path, 65 << 20, 1000)
    os.utime(mark, (time.time() + 1000,) * 2)
    add()
    assert not any(path.exists() for path in old)
    assert not run()


def test_what_is_no_file_is_not_waited_for(store: Path) -> None:
    assert run()
    (entry,) = entries(store)
    mark = entry.parent / ".pruned"
    mark.unlink()
    os.mkfifo(mark)
    entry.unlink()
    assert run()
    assert entry.exists()
    # Nor written to, though somebody reads.
    reader = os.open(mark, os.O_RDONLY | os.O_NONBLOCK)
    entry.unlink()
    assert run()
    assert os.read(reader, 10) == b""
    os.close(reader)


def test_what_was_not_used_for_months_is_dropped(store: Path) -> None:
    assert run()
    (entry,) = entries(store)
    days = 24 * 60 * 60
    stays, goes = (aged(entry.parent / f"code-{n}", 1, n * days) for n in (89, 91))
    (entry.parent / ".pruned").unlink()
    entry.unlink()
    assert run()
    assert stays.exists()
    assert not goes.exists()


def test_what_earlier_versions_left_goes_little_by_little(store: Path) -> None:
    store.mkdir(mode=0o700)
    for i in range(300):
        (store / f"llvmcache-{i}").touch()
    for i in range(16, 64):
        aged(store / f"{i:02x}" / "notes-old", 1, 1)
        aged(store / f"{i:02x}" / ".pruned", 1, 1)
    kept = [store / name for name in ("llvm-toolchain.tar", "40", "1g", "110")]
    for path in kept:
        path.touch()
    for left, parts in ((300 - 256, 48), (0, 0)):
        assert run()
        assert len(list(store.glob("llvmcache*"))) == left
        assert len(list(store.glob("[123][0-9a-f]"))) == parts
        (entry,) = entries(store)
        entry.unlink()
        (entry.parent / ".pruned").unlink()
    assert all(path.exists() for path in kept)


@pytest.mark.parametrize("mode", [0o770, 0o702])
def test_a_part_that_others_can_write_to_is_not_used(store: Path, mode: int) -> None:
    assert run()
    (entry,) = entries(store)
    entry.parent.chmod(mode)
    assert run()
    entry.parent.chmod(0o700)
    assert not run()
    moved = entry.parent.rename(store / "elsewhere")
    entry.parent.symlink_to(moved)
    assert run()


CHILD = """
    import sys, time, numpy as np, gradopt as go
    x = np.linspace(0.1, 0.9, 5)
    print("ready", flush=True)
    for i in range(int(sys.argv[1])):
        got = go.compile_grad(lambda x: np.sum(np.sin(x) * (i + 0.5)))(x)
        np.testing.assert_allclose(got, np.cos(x) * (i + 0.5))
    compiler = sys.modules.get("gradopt._compiler")
    compiled = "nothing" if compiler is None else compiler.programs_compiled()
    print("compiled", compiled)
"""


def start(programs: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(CHILD), str(programs)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_processes_share_it(store: Path) -> None:
    """At the same time, and one after the other."""
    racing = [start(6) for _ in range(3)]
    for child in racing:
        assert "compiled" in child.communicate(timeout=120)[0]
        assert child.returncode == 0
    assert len(entries(store)) == 6
    last = start(6)
    # It found types, too, which all of them added to one file.
    assert "compiled nothing" in last.communicate(timeout=120)[0]


def test_a_process_that_is_killed_leaves_nothing_half_done(store: Path) -> None:
    generator = random.Random(SEED)
    for _ in range(4):
        child = start(1000)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(generator.uniform(0.02, 0.4))
        child.send_signal(signal.SIGKILL)
        child.communicate(timeout=60)
    known = len([path for path in entries(store) if "." not in path.name])
    child = start(known)
    assert child.communicate(timeout=120)[0].split()[-1] in ("0", "nothing")
    assert child.returncode == 0
