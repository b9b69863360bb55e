"""A disk that is soon full, and a store that another process holds locked."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.parts import LEFT_OUT


@contextlib.contextmanager
def small_disk(at: Path, *, mebibytes: int) -> Iterator[None]:
    """A file system of its own that is soon full. Skips where it can't be mounted."""
    at.mkdir()
    mounting = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(at)],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    if mounting.returncode:
        pytest.skip(f"{LEFT_OUT}no small disk can be mounted here: {mounting.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(at)], timeout=30, check=True)


LOCK = """
import sqlite3, sys
store = sqlite3.connect(sys.argv[1], isolation_level=None)
store.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
store.execute("ROLLBACK")
"""


@contextlib.contextmanager
def locked(store: Path) -> Iterator[None]:
    """Another process holds the store's write lock."""
    with subprocess.Popen(
        [sys.executable, "-c", LOCK, str(store)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        yield
