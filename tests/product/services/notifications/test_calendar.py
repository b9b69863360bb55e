"""The entry for the calendar, as two libraries read it: one that is another than the one which wrote it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import vobject
from icalendar import Calendar
from msgspec.structs import replace
from tests.fakes import NOON

from cludale.ports.contacts import Contact
from cludale.ports.programme import ConcertDetails
from cludale.services.notifications.calendar import CalendarEntry, calendar
from cludale.services.notifications.domain import Notification, Status
from cludale.services.notifications.events import NotificationKind
from cludale.services.notifications.letters import Letters, spoken
from cludale.services.notifications.words import order_and_tickets
from cludale.services.orders.events import CancelReason

CONFIRMED = Notification(
    id="confirmation-1",
    order_id="order-1",
    concert_id="concert-1",
    kind=NotificationKind.CONFIRMATION,
    status=Status.PENDING,
    created_at=NOON,
    quantity=2,
)
CONCERT = ConcertDetails("Coldplay", "2027-06-05T19:30:00+02:00", "Waldbühne", place="Berlin", zone="Europe/Berlin")
LATER = NOON + timedelta(days=20)
MOVED = replace(
    CONFIRMED, id="moved-1.1", kind=NotificationKind.MOVED, date="2027-09-18T20:00:00+02:00", created_at=LATER
)
CALLED_OFF = replace(
    CONFIRMED,
    id="ticket-cancellation-1",
    kind=NotificationKind.CANCELLATION,
    was_paid=True,
    reason=CancelReason.CALLED_OFF,
    created_at=LATER,
)


def entry(n: Notification = CONFIRMED, concert: ConcertDetails = CONCERT) -> CalendarEntry:
    made = calendar(n, concert, organizer="tickets@example.com", link="https://t.example.com/shop/orders/order-1?key=k")
    assert made is not None
    return made


def event(n: Notification, concert: ConcertDetails = CONCERT) -> Any:
    (found,) = Calendar.from_ical(entry(n, concert).content).events
    return found


@pytest.mark.parametrize(
    ("written", "begins"),
    [
        ("2027-06-05T19:30:00+02:00", datetime(2027, 6, 5, 17, 30, tzinfo=UTC)),
        ("2027-06-05", date(2027, 6, 5)),
    ],
)
def test_another_library_reads_what_and_when_it_is(written: str, begins: date) -> None:
    concert = ConcertDetails("Señor, Coconut; & Sons\\", written, "The Barn, upstairs")
    content = entry(CONFIRMED, concert).content
    read = vobject.readOne(content.decode()).vevent
    assert read.dtstart.value == begins
    assert (read.summary.value, read.location.value) == (concert.artist, concert.venue)
    assert read.uid.value == "order-1@cludale-tickets"
    assert content.endswith(b"END:VCALENDAR\r\n")
    assert all(len(line) <= 75 for line in content.split(b"\r\n"))
    assert entry(CONFIRMED, concert).content == content


@pytest.mark.parametrize("n", [CONFIRMED, MOVED, CALLED_OFF, replace(MOVED, date=None)])
def test_every_entry_has_what_rfc_5545_and_5546_want(n: Notification) -> None:
    whole = Calendar.from_ical(entry(n).content)
    assert (str(whole["VERSION"]), "PRODID" in whole, len(whole.events)) == ("2.0", True, 1)
    assert str(whole["METHOD"]) == entry(n).method
    read = whole.events[0]
    assert not whole.errors
    assert not read.errors
    required = {"DTSTAMP", "DTSTART", "ORGANIZER", "SUMMARY", "UID", "SEQUENCE"}
    assert required - set(read.keys()) == set()
    assert str(read["ORGANIZER"]) == "mailto:tickets@example.com"
    assert "ATTENDEE" not in read  # as RFC 5546, section 3.2.1, has it for what is only published


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "Order: order-1. 2 tickets."),
        ("de", "Bestellung: order-1. 2 Tickets."),
        ("fr", "Commande : order-1. 2 billets."),
        ("es", "Pedido: order-1. 2 entradas."),
    ],
)
def test_the_entry_says_in_the_buyers_language_which_order_it_is_and_how_many_tickets(language: str, said: str) -> None:
    words = order_and_tickets(CONFIRMED, spoken(language))
    made = calendar(CONFIRMED, CONCERT, organizer="tickets@example.com", said=words)
    assert made is not None
    (read,) = Calendar.from_ical(made.content).events
    assert str(read["DESCRIPTION"]).replace("\N{NO-BREAK SPACE}", " ") == said
    assert order_and_tickets(replace(CONFIRMED, returned=1), spoken("en")) == "Order: order-1. 1 ticket."


def test_a_letter_brings_the_entry_in_its_own_language() -> None:
    contact = Contact("ada@example.org", None, language="de")
    letter = Letters(sender="tickets@example.com").email(CONFIRMED, contact, CONCERT, None, language="de")
    (attached,) = letter.attachments
    (read,) = Calendar.from_ical(attached.content).events
    assert str(read["DESCRIPTION"]) == "Bestellung: order-1. 2 Tickets."


def test_a_concert_that_is_moved_takes_the_place_of_the_entry_before() -> None:
    before, after = event(CONFIRMED), event(MOVED)
    assert before["UID"] == after["UID"]
    assert before["SEQUENCE"] < after["SEQUENCE"]
    assert after.start == datetime(2027, 9, 18, 18, tzinfo=UTC)
    assert (entry(MOVED).method, str(after["STATUS"])) == ("PUBLISH", "CONFIRMED")


@pytest.mark.parametrize("n", [CALLED_OFF, replace(MOVED, date=None)])
def test_a_concert_that_is_off_takes_the_entry_away(n: Notification) -> None:
    assert (entry(n).method, str(event(n)["STATUS"])) == ("CANCEL", "CANCELLED")
    assert event(n)["UID"] == event(CONFIRMED)["UID"]
    assert event(n)["SEQUENCE"] > event(CONFIRMED)["SEQUENCE"]


@pytest.mark.parametrize(
    "n",
    [
        replace(CALLED_OFF, was_paid=False, reason=CancelReason.DECLINED),
        replace(CONFIRMED, kind=NotificationKind.REFUND),
    ],
)
def test_who_has_no_entry_to_change_gets_none(n: Notification) -> None:
    assert calendar(n, CONCERT, organizer="tickets@example.com") is None


def test_a_concert_whose_new_date_is_not_known_has_no_entry_but_one_to_take_away() -> None:
    postponed = replace(CONCERT, is_postponed=True)
    assert calendar(CONFIRMED, postponed, organizer="tickets@example.com") is None
    assert entry(replace(MOVED, date=None), postponed).method == "CANCEL"
    assert entry(CALLED_OFF, postponed).method == "CANCEL"


@pytest.mark.parametrize(
    ("ends_at", "ends"),
    [
        ("2027-06-05T22:45:00+02:00", [datetime(2027, 6, 5, 20, 45, tzinfo=UTC)]),
        ("2027-06-06", []),
        (None, []),
    ],
)
def test_its_end_is_said_where_it_is_known(ends_at: str | None, ends: Sequence[datetime]) -> None:
    concert = ConcertDetails("A", "2027-06-05T19:30:00+02:00", ends_at=ends_at)
    read = event(CONFIRMED, concert)
    assert [read["DTEND"].dt for _ in range("DTEND" in read)] == list(ends)


def test_names_from_right_to_left_stay_as_they_are() -> None:
    assert str(event(CONFIRMED, ConcertDetails("فيروز", "2027-06-05", "היכל התרבות"))["SUMMARY"]) == "فيروز"
