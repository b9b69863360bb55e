"""The entry for the calendar, as another library reads it."""

from datetime import UTC, date, datetime

import pytest
import vobject
from tests.fakes import NOON

from cludale.ports.programme import ConcertDetails
from cludale.services.notifications.calendar import calendar
from cludale.services.notifications.domain import Notification, Status
from cludale.services.notifications.events import NotificationKind

CONFIRMED = Notification(
    id="confirmation-1",
    order_id="order-1",
    concert_id="concert-1",
    kind=NotificationKind.CONFIRMATION,
    status=Status.PENDING,
    created_at=NOON,
    quantity=2,
)


@pytest.mark.parametrize(
    ("written", "begins"),
    [
        ("2027-06-05T19:30:00+02:00", datetime(2027, 6, 5, 17, 30, tzinfo=UTC)),
        ("2027-06-05", date(2027, 6, 5)),
    ],
)
def test_another_library_reads_what_and_when_it_is(written: str, begins: date) -> None:
    concert = ConcertDetails("Señor, Coconut; & Sons\\", written, "The Barn, upstairs")
    content = calendar(CONFIRMED, concert)
    assert content is not None
    event = vobject.readOne(content.decode()).vevent
    assert event.dtstart.value == begins
    assert (event.summary.value, event.location.value) == (concert.artist, concert.venue)
    assert event.uid.value == "order-1@cludale-tickets"
    assert content.endswith(b"END:VCALENDAR\r\n")
    assert all(len(line) <= 75 for line in content.split(b"\r\n"))
    assert calendar(CONFIRMED, concert) == content
