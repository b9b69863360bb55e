"""A fault that was meant and never happened fails its test, but not one that was left out for want of a part.

A test goes on until each has happened, if not for ever.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.proof.faults.experiment import MOST_TURNS, Faults

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


@pytest.fixture
def meant() -> Faults:
    counted = Faults(lambda _: None)
    counted.expect("a rare fault")
    return counted


def test_turns_go_on_until_each_fault_has_happened(meant: Faults) -> None:
    made = []
    for turn in meant.turns(2):
        made.append(turn)
        meant.fire("a rare fault", turn == 5)
    assert made == [0, 1, 2, 3, 4, 5]


def test_no_turn_is_left_out_because_each_fault_happened_early(meant: Faults) -> None:
    meant.fire("a rare fault")
    assert list(meant.turns(MOST_TURNS + 3)) == list(range(MOST_TURNS + 3))


def test_turns_end_though_a_fault_cannot_happen_and_it_is_missing(meant: Faults) -> None:
    assert list(meant.turns()) == list(range(MOST_TURNS))
    assert meant.missing == ["a rare fault"]


def test_turns_go_on_until_what_is_measured_is_as_promised(meant: Faults) -> None:
    meant.fire("a rare fault")
    measured = iter([False, False, True])
    assert list(meant.turns(until=lambda: next(measured))) == [0, 1, 2]
