"""How much is done, from which seed, what it gave, and whether the faults that were meant really happened.

`make test` does a little of everything. RELIABILITY_SCALE=slow runs what is marked slow as well, and
RELIABILITY_SCALE=full does all of it in the counts that docs/reliability.md reports. RELIABILITY_SEED is the
seed of all that is random, and RELIABILITY_FIGURES a file that gets what was measured, a JSON object a line.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.experiment import Faults, Figures, Scale

HERE = Path(__file__).parent
FULL_SECONDS = 3 * 3600
"""A test in full counts may take that long."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes long; runs only with RELIABILITY_SCALE=slow or full")


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


@pytest.fixture
def faults(figures: Figures) -> Iterator[Faults]:
    """Count the faults here: one that was meant and never came fails the test."""
    counted = Faults(figures.say)
    yield counted
    for name, times in counted.fired.items():
        figures.row("faults", fault=name, fired=times)
    silent = [name for name, times in counted.fired.items() if not times]
    assert not silent, f"these faults never happened, so nothing was tested: {', '.join(silent)}"
