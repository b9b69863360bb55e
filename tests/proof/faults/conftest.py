"""How much is done, from which seed, what it gave, and whether the faults that were meant really happened.

`make test` does a little of everything. RELIABILITY_SCALE=slow, as in `make test-all`, runs what is marked slow as
well, and RELIABILITY_SCALE=full does all of it in the counts that docs/evidence/reliability.md reports.
RELIABILITY_SEED is the seed of all that is random, and RELIABILITY_FIGURES a file that gets what was measured, a JSON
object a line.
"""

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from tests.proof.faults.experiment import Faults, Figures, Scale

HERE = Path(__file__).parent
FULL_SECONDS = 3 * 3600
"""A test in full counts may take that long."""
IS_WHOLE = pytest.StashKey[bool]()
"""Of a test that came to its end."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    scale = Scale.of(os.environ)
    ours = [item for item in items if HERE in item.path.parents]
    if scale is Scale.FULL:
        for item in ours:
            item.add_marker(pytest.mark.timeout(FULL_SECONDS))
    elif scale is Scale.QUICK:
        late = [item for item in ours if item.get_closest_marker("slow")]
        if late:
            config.hook.pytest_deselected(items=late)
            items[:] = [item for item in items if item not in late]


@pytest.fixture(scope="session")
def scale() -> Scale:
    return Scale.of(os.environ)


@pytest.fixture(scope="session")
def seed() -> int:
    return int(os.environ.get("RELIABILITY_SEED") or 1)


@pytest.fixture(scope="session")
def figures() -> Figures:
    path = os.environ.get("RELIABILITY_FIGURES")
    return Figures(Path(path) if path else None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    came_of_it = yield
    item.stash[IS_WHOLE] = True
    return came_of_it


@pytest.fixture
def faults(figures: Figures, request: pytest.FixtureRequest) -> Iterator[Faults]:
    """Count the faults here: one that was meant and never came fails the test, if the test came to its end."""
    counted = Faults(figures.say)
    yield counted
    if not request.node.stash.get(IS_WHOLE, False):
        return  # left out for want of a part, or failed: what never happened then says nothing more
    for name, times in counted.fired.items():
        figures.row("faults", fault=name, fired=times)
    missing = ", ".join(counted.missing)
    assert not missing, f"these faults never happened, so nothing was tested: {missing}"
