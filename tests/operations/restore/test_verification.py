"""What runs over a restored store is asked over HTTP: whether its log is whole, and whether it has the noted head."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.served import KEY, Served, serve
from tests.stored_log import replacing, spoil

from cludale.wiring.stores import STORE
from cludale_operations.release.driver import Address, PlatformFailed
from cludale_operations.restore.verification import log_of, verified

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A platform with something in its log."""
    with serve(tmp_path_factory.mktemp("platform")) as platform:
        platform.concert("c-1")
        end = time.monotonic() + 20
        while log_of(Address(platform.url, {}), KEY).events == 0 and time.monotonic() < end:
            time.sleep(0.05)
        yield platform


def test_a_whole_log_that_has_the_head_is_fine(served: Served) -> None:
    noted = log_of(Address(served.url, {}), KEY)
    found = verified(Address(served.url, {}), KEY, datetime.now(UTC), noted.head)
    assert found.wrong == []
    assert found.log.is_whole
    assert found.log.noted_at == noted.events > 0


def test_a_log_without_the_head_lacks_what_was_acknowledged(served: Served) -> None:
    (wrong,) = verified(Address(served.url, {}), KEY, datetime.now(UTC), "0" * 63 + "1").wrong
    assert "lacks the head" in wrong


def test_who_does_not_know_us_or_does_not_answer_is_no_whole_log(served: Served) -> None:
    with pytest.raises(PlatformFailed, match="401"):
        log_of(Address(served.url, {}), "x" * 40)
    with pytest.raises(PlatformFailed):
        log_of(Address("http://127.0.0.1:1", {}), KEY)


def test_a_log_that_was_spoilt_is_said_to_be_broken(tmp_path: Path) -> None:
    with serve(tmp_path) as platform:
        platform.concert("c-1")
        address = Address(platform.url, {})
        end = time.monotonic() + 20
        while log_of(address, KEY).events == 0 and time.monotonic() < end:
            time.sleep(0.05)
    with closing(sqlite3.connect(tmp_path / STORE)) as store, store:
        spoil(store, replacing("The Paper Lanterns", "The Paper Tigers"))
    with serve(tmp_path) as platform:
        found = verified(Address(platform.url, {}), KEY, datetime.now(UTC), None)
    assert not found.log.is_whole
    assert any(each.startswith("the log is broken at entry") for each in found.wrong)
