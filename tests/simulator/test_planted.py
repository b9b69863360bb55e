"""A checker that can't fail is worth nothing: every bug that is planted is found."""

import pytest
from tests.simulator.hunt import shows
from tests.simulator.planted import BUGS, Bug

SEEDS = 2_000

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]  # one of them shows after 1,162 seeds


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_a_planted_bug_is_found(bug: Bug) -> None:
    themes = [bug.theme] if bug.theme is not None else None
    assert any(shows(bug, seed, themes) is not None for seed in range(1, SEEDS))


def test_a_planted_bug_is_gone_once_it_was_looked_for() -> None:
    for bug in BUGS:
        with bug.planted():
            pass
    assert shows(Bug("none", lambda stack: None, None), 1) is None
