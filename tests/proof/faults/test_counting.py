"""A fault that was meant and never happened fails its test, but not one that was left out for want of a part."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
TESTS = """
import pytest
from tests.proof.faults.conftest import *
from tests.parts import need

@pytest.fixture(autouse=True)
def meant(faults):
    faults.expect("a broken disk")

def test_that_needs_a_part_that_is_missing():
    need("no such program")

def test_that_is_left_out():
    pytest.skip("no disk to break here")

def test_that_fails():
    assert False

def test_in_which_it_happens(faults):
    faults.fire("a broken disk")

def test_in_which_it_never_happens():
    pass
"""


@pytest.mark.slow
def test_the_count_is_held_against_a_test_that_came_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(TESTS.partition("@pytest")[0])
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "--color=no", "-p", "tests.quick", "-p", "tests.parts", str(tmp_path)],
        cwd=PROJECT, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "1 failed, 2 passed, 2 skipped, 1 error in " in done.stdout, done.stdout + done.stderr
    (error,) = [line for line in done.stdout.splitlines() if line.startswith("ERROR ")]
    assert "test_in_which_it_never_happens" in error
    assert "these faults never happened, so nothing was tested: a broken disk" in done.stdout
