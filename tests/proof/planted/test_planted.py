"""A checker that can't fail is worth nothing: every bug that is planted is found."""

import ast
from contextlib import ExitStack
from pathlib import Path

import pytest

from cludale_proof.planted import bugs
from cludale_proof.planted.bugs import BUGS, Bug
from cludale_proof.planted.hunt import places, shows

SEEDS = 600
"""Of the bug's own theme, and of all themes, if the noted seed does not show it."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_a_planted_bug_is_found(bug: Bug) -> None:
    assert any(
        shows(bug, seed, None if theme is None else [theme]) is not None for theme, seed in places(bug, SEEDS)
    ), "it got away: `make hunt` looks further, and notes the seed"


def test_a_planted_bug_is_gone_once_it_was_looked_for() -> None:
    for bug in BUGS:
        with bug.planted():
            pass
    assert shows(Bug("none", lambda stack: None, None), 1) is None


def test_a_bug_takes_no_private_name_of_what_it_spoils() -> None:
    tree = ast.parse(Path(bugs.__file__).read_text())
    names = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    ours = {"_made"}  # of a class that stands there itself
    allowed = {"_replace", *ours}
    assert [name for name in names if name.startswith("_") and not name.startswith("__") and name not in allowed] == []
    with ExitStack() as stack, pytest.raises(ValueError, match="private"):
        bugs.swap(stack, bugs, "_released", None)
