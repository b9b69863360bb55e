"""The platform in virtual time, with faults of every kind: nothing breaks, and every run can be had again."""

import os
import subprocess
import sys

import pytest

from cludale_proof.simulator.campaign import run_campaign
from cludale_proof.simulator.course import run
from cludale_proof.simulator.tally import ENOUGH_SEEDS
from cludale_proof.simulator.trace import Digest, Trace

SEEDS = range(1, 1 + ENOUGH_SEEDS // 2)
"""Half of what a campaign needs by its own rule: no fault is left out in these."""


def test_some_runs_break_nothing() -> None:
    tally = run_campaign(SEEDS[:10], workers=1)
    assert (tally.seeds, tally.failed) == (10, [])


@pytest.mark.timeout(400)  # among the longest: its file begins early
@pytest.mark.slow
def test_a_hundred_and_fifty_runs_break_nothing_and_leave_no_fault_out() -> None:
    tally = run_campaign(SEEDS, workers=os.cpu_count() or 1)
    assert tally.failed == []
    assert tally.seeds == len(SEEDS)
    few = run_campaign(range(1, 41), workers=os.cpu_count() or 1, themes=["doors offline"])
    tally.add(few)  # a few of so many runs have it
    assert tally.failed == []
    assert tally.never == []


@pytest.mark.parametrize(
    ("themes", "seed"),
    [
        pytest.param(["wrong books"], 25, id="two-charges-of-a-payment-are-wrong"),
        pytest.param(["frozen", "slow payments"], 39, id="a-line-ends-with-its-cart-before-its-own-hold-does"),
        pytest.param(None, 718, id="new-secrets-are-asked-for-again-before-the-first-request-is-done"),
        pytest.param(None, 1717, id="a-process-that-was-asked-to-stop-is-not-the-one-that-sells-in-the-end"),
    ],
)
def test_what_a_run_once_showed_is_mended(themes: list[str] | None, seed: int) -> None:
    assert run(seed, themes=themes).findings == []


def digest(seed: int) -> str:
    sink = Digest()
    run(seed, Trace(sink))
    assert sink.lines > 50
    return sink.hexdigest()


_DIGESTS = """
import sys
from tests.proof.simulator.test_runs import digest
print(" ".join(digest(seed) for seed in range(1, 9)))
"""


@pytest.mark.slow
def test_the_same_seed_is_the_same_run_byte_for_byte_in_any_process() -> None:
    digests = set()
    for hash_seed in ("0", "1", "4242"):
        ran = subprocess.run(
            [sys.executable, "-c", _DIGESTS],
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        digests.add(ran.stdout)
    assert len(digests) == 1
    assert len(set(digests.pop().split())) == 8


def test_a_run_is_the_same_whatever_ran_before_it() -> None:
    alone = digest(5)
    run(77)
    assert digest(5) == alone


def test_looking_on_changes_nothing() -> None:
    lines: list[str] = []
    traced, untraced = run(3, Trace(lines.append)), run(3)
    assert traced == untraced
    assert any("commits" in line for line in lines)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_trace_can_be_read_by_a_person(seed: int) -> None:
    lines: list[str] = []
    run(seed, Trace(lines.append))
    assert all(line[:10].strip().replace(".", "").isdigit() for line in lines)
    told = "\n".join(line[10:] for line in lines)  # without the moment, which may have any digits
    assert "0199" not in told  # ids are told by number
    assert "event-1" in told
    assert "!! " in told
