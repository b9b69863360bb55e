"""Records of a restored store are held against its log: a service has at least what it told of."""

import time
from datetime import UTC, datetime
from pathlib import Path

import apsw
import pytest
from tests.served import KEY, Served, serve

from cludale.services.catalogue import CATALOGUE
from cludale.wiring.stores import STORE
from cludale_operations.release.driver import Address, PlatformFailed
from cludale_operations.restore.records import RECORDS, Compared, compared

pytestmark = pytest.mark.slow


def _compared(platform: Served) -> Compared:
    return compared(Address(platform.url, {}), KEY, datetime.now(UTC))


@pytest.fixture(scope="module")
def sold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a concert, a paid order, its payment and its message; everything of it is in the log."""
    folder = tmp_path_factory.mktemp("platform")
    with serve(folder) as platform:
        platform.concert("c-1")
        placed = platform.http.post("/orders", json={"concertId": "c-1", "userId": "me", "quantity": 2})
        assert placed.status_code == 201, placed.text
        end = time.monotonic() + 20
        while _compared(platform).records < len(RECORDS) and time.monotonic() < end:
            time.sleep(0.1)
        assert _compared(platform) == Compared(len(RECORDS), [])
    return folder


def test_what_is_looked_at_are_events_that_there_are_one_of_each_service_with_records() -> None:
    assert set(RECORDS) <= set(CATALOGUE.types)
    assert {topic.source for topic in CATALOGUE.topics for event in topic.events if event.__name__ in RECORDS} == {
        topic.source for topic in CATALOGUE.topics
    }


@pytest.mark.parametrize(
    ("spoilt", "why"),
    [
        ("DELETE FROM concerts_concert", "/concerts/c-1 is not there"),
        ("DELETE FROM orders_order", "is not there"),
        (
            "UPDATE orders_order SET status = 'Reserved', body = replace(body, '\"Paid\"', '\"Reserved\"')",
            "is Reserved",
        ),
        ("DELETE FROM payments_payment", "/payments?orderId="),
        ("DELETE FROM notifications_notification", "/notifications?orderId="),
    ],
)
def test_a_record_that_is_not_as_far_as_the_log_is_found(sold: Path, tmp_path: Path, spoilt: str, why: str) -> None:
    source, copy = apsw.Connection(str(sold / STORE)), apsw.Connection(str(tmp_path / STORE))
    with copy.backup("main", source, "main") as backup:
        backup.step()
    copy.execute(spoilt)
    assert copy.changes() > 0
    source.close()
    copy.close()
    with serve(tmp_path) as platform:
        found = _compared(platform)
    assert found.records == len(RECORDS)
    wrong = [each for each in found.wrong if "/tickets?" not in each]  # tickets are not shown without their concert
    assert len(wrong) == 1
    assert why in wrong[0]


def test_who_may_not_look_does_not_find_all_well(sold: Path) -> None:
    with serve(sold) as platform, pytest.raises(PlatformFailed, match="401"):
        compared(Address(platform.url, {}), "x" * 40, datetime.now(UTC))
