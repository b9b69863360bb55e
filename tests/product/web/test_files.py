"""How many followers there may be beside other connections, as far as the system lets a process open files."""

import resource

import pytest

from cludale.web.files import SPARE_FILES, within_files
from cludale.web.open_connections import ConnectionLimits
from cludale_operations.gateway.clients import FILES_EACH, most_clients
from cludale_operations.gateway.clients import SPARE_FILES as SPARE_OF_HAPROXY

LIMITS = ConnectionLimits(connections=100, followers=1_000)
ALL = 100 + 1_000 + SPARE_FILES


class System:
    """A system with limits of its own."""

    def __init__(self, patched: pytest.MonkeyPatch, soft: int, hard: int) -> None:
        self.limits = (soft, hard)
        patched.setattr(resource, "getrlimit", lambda _: self.limits)
        patched.setattr(resource, "setrlimit", self.set)

    def set(self, _: int, limits: tuple[int, int]) -> None:
        self.limits = limits


@pytest.mark.parametrize(
    "hard", [ALL, 1_000_000, resource.RLIM_INFINITY], ids=["just enough", "plenty", "without a limit"]
)
def test_all_there_may_be_are_there_where_the_system_allows_them(
    monkeypatch: pytest.MonkeyPatch, hard: int, caplog: pytest.LogCaptureFixture
) -> None:
    system = System(monkeypatch, 256, hard)
    assert within_files(LIMITS) == LIMITS
    assert system.limits == (ALL, hard)
    assert not caplog.text


def test_where_it_does_not_the_rest_is_for_followers_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    System(monkeypatch, 256, 600)
    assert within_files(LIMITS) == LIMITS._replace(followers=600 - 100 - SPARE_FILES)
    assert "244 event streams at once, not 1000 (CLUDALE_MAX_STREAMS), beside 100 other connections" in caplog.text
    assert "600 open files (ulimit -n)" in caplog.text
    System(monkeypatch, 256, 300)
    assert within_files(LIMITS).followers == 75


@pytest.mark.parametrize(
    ("hard", "most"),
    [
        (resource.RLIM_INFINITY, 1_100),
        (FILES_EACH * 1_100 + SPARE_OF_HAPROXY, 1_100),
        (FILES_EACH * 400 + SPARE_OF_HAPROXY, 400),
        (100, 100),
    ],
)
def test_haproxy_is_given_as_many_clients(monkeypatch: pytest.MonkeyPatch, hard: int, most: int) -> None:
    System(monkeypatch, 256, hard)
    assert most_clients(100, 1_000) == most
