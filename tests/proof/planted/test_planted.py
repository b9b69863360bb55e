"""A checker that can't fail is worth nothing: every bug that is planted is found."""

import ast
import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from cludale_proof.planted import bugs, planting, spoilt
from cludale_proof.planted.bugs import BUGS, Bug
from cludale_proof.planted.hunt import NOTED, places, said_without_bugs, shows

SEEDS = 600
"""Of the bug's own theme, and of all themes, if the noted seed does not show it."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(bug: Bug) -> None:
    runs = (shows(bug, seed, theme) for theme, seed in places(bug, SEEDS))
    said = next((each for each in runs if each is not None), None)
    assert said is not None, "it got away: `make hunt` looks further, and notes the seed"
    assert "TypeError" not in said, "what is planted does not fit what it replaces any more"


def test_every_bug_has_a_seed_that_is_noted() -> None:
    assert {bug.name for bug in BUGS} == json.loads(NOTED.read_text()).keys()


def test_the_runs_that_show_the_bugs_have_nothing_to_say_without_them() -> None:
    noted = {tuple(place) for place in json.loads(NOTED.read_text()).values()}
    said = {(theme, seed): said_without_bugs(seed, theme) for theme, seed in noted}
    assert {place: what for place, what in said.items() if what is not None} == {}


def test_a_planted_bug_is_gone_once_it_was_looked_for() -> None:
    for bug in BUGS:
        with bug.planted():
            pass
    assert shows(Bug("none", lambda stack: None, None), 1) is None


def test_a_bug_takes_no_private_name_of_what_it_spoils() -> None:
    sources = [*Path(bugs.__file__).parent.glob("*.py"), Path(planting.__file__), Path(spoilt.__file__)]
    assert len(sources) > 10
    nodes = [node for source in sources for node in ast.walk(ast.parse(source.read_text()))]
    names = [node.attr for node in nodes if isinstance(node, ast.Attribute)]
    ours = {"_made"}  # of a class that stands there itself
    allowed = {"_replace", *ours}
    assert [name for name in names if name.startswith("_") and not name.startswith("__") and name not in allowed] == []
    with ExitStack() as stack, pytest.raises(ValueError, match="private"):
        planting.swap(stack, bugs, "_released", None)
