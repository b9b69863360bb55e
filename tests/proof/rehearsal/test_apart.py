"""A rehearsal with a server of its own, as the console starts it: watched to its end, and nothing is left of it."""

import tempfile
from pathlib import Path

import pytest
from tests.patience import until
from tests.proof.rehearsal.test_command import command

from cludale.pages.console.rehearsals import Asked
from cludale_operations.rehearsing import Beside, rehearsing

PATIENCE_SECONDS = 120


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where what is temporary goes: of this test alone, for rehearsals may be held beside it."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)  # it keeps what it found first
    return tmp_path


def left(folder: Path) -> set[Path]:
    return set(folder.glob("cludale-rehearsal-*"))


def is_over(beside: Beside) -> bool:
    return beside.state is not None and not beside.state.is_under_way


async def test_it_is_held_beside_the_server_and_says_how_it_went(folder: Path) -> None:
    beside = Beside()
    asked = Asked(seats=20, buyers=80, rate=None, declined=False, numbered=True, connections=8)
    assert beside.start(asked)
    assert not beside.start(asked)
    await until(lambda: bool(left(folder)), seconds=PATIENCE_SECONDS)
    await until(lambda: is_over(beside), seconds=PATIENCE_SECONDS)
    state = beside.state
    assert state is not None
    assert state.failed == ""
    assert state.outcome is not None
    assert state.outcome.ok
    assert state.outcome.buyers == 80
    assert 17 <= state.outcome.seats_sold <= 20, "a party of four may be one too many for the last seats"
    assert {"no seat twice", "no avoidable single seat left over"} <= {check.name for check in state.outcome.checks}
    assert state.sold is not None
    assert left(folder) == set()


async def test_one_that_is_ended_says_so_and_leaves_nothing(folder: Path) -> None:
    beside = Beside()
    beside.start(Asked(seats=20, buyers=50_000, rate=10, declined=True))
    beside.stop()
    await until(lambda: is_over(beside) and not left(folder), seconds=PATIENCE_SECONDS)
    assert beside.state is not None
    assert beside.state.outcome is None
    assert beside.state.failed


def test_there_is_one_where_the_proof_is_installed() -> None:
    assert rehearsing() is not None


@pytest.mark.parametrize("option", [("--url", "http://127.0.0.1:9"), ("--concert", "c"), ("--label", "blue")])
def test_a_server_of_its_own_is_no_other(option: tuple[str, str]) -> None:
    result = command("--apart", *option)
    assert result.exit_code == 2
    assert "its server is a new one" in result.output
