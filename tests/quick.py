"""Which tests `make test` runs, and which it leaves to `make test-all`. Nobody lists them: each says what it needs.

`--quick` leaves out what is marked `slow` and, as soon as a test asks for it, what needs a part that `make test` does
not bring (parts.py). It notes which tests passed. `--rest`, which follows it, runs all the others. Without either,
all tests run whose parts are here.
"""

import gc
import os
from collections.abc import Generator

import pytest

LATER = "left to make test-all: "
"""How the reason of a skipped test begins that only `make test-all` runs."""

_PASSED = "cludale/passed"
"""Where the cache of pytest has the names of those that passed."""

_chosen = {"quick": False}


def is_quick() -> bool:
    """Does this session leave out what `make test` leaves out?"""
    return _chosen["quick"]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("make test and make test-all")
    group.addoption("--quick", action="store_true", help="only what `make test` runs")
    group.addoption("--rest", action="store_true", help="only what did not pass in the last run with --quick")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes long, so it is left to `make test-all`")
    config.addinivalue_line("markers", "alone: is judged by its speed, so `make test-all` runs nothing beside it")
    _chosen["quick"] = bool(config.getoption("quick"))
    if _chosen["quick"] and not hasattr(config, "workerinput"):  # with pytest-xdist, its workers' reports come here too
        config.pluginmanager.register(_Passed(config), "cludale-passed")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected lives to the end: nobody looks for garbage in it meanwhile, and afterwards it is left alone."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    late: list[pytest.Item] = []
    if config.getoption("quick"):
        late = [item for item in items if item.get_closest_marker("slow")]
    elif config.getoption("rest"):
        cache = _cache(config)
        passed = set(cache.get(_PASSED, [])) if cache is not None else set()
        late = [item for item in items if _name(item) in passed]
    if config.getoption("quick") or config.getoption("rest"):
        items.sort(key=_longest, reverse=True)  # so that nobody waits for one that began last
    if late:
        config.hook.pytest_deselected(items=late)
        gone = set(late)
        items[:] = [item for item in items if item not in gone]


def pytest_collection_finish(session: pytest.Session) -> None:
    for item in session.items:
        item.user_properties.append((_PASSED, _name(item)))


def _longest(item: pytest.Item) -> float:
    """How long the test may take, in seconds; 0 if nothing is said of it."""
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker is not None and marker.args else 0.0


class _Passed:
    """Notes the names of the tests that passed."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._names: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self._names += [str(value) for name, value in report.user_properties if name == _PASSED]

    def pytest_sessionfinish(self) -> None:
        cache = _cache(self._config)
        if cache is not None:
            cache.set(_PASSED, self._names)


def _name(item: pytest.Item) -> str:
    """What the test is noted as: one that is to run alone, and in counts by RELIABILITY_SCALE, is another at each."""
    scale = os.environ.get("RELIABILITY_SCALE") or "quick"
    is_another = "scale" in getattr(item, "fixturenames", ()) and item.get_closest_marker("alone") is not None
    return f"{item.nodeid} at {scale}" if is_another else item.nodeid


def _cache(config: pytest.Config) -> pytest.Cache | None:
    """What `--quick` notes and `--rest` reads. None: they run all the same, and the rest is everything."""
    return getattr(config, "cache", None)
